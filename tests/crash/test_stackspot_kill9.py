"""`kill -9` under StackSpot's wire: who asks again under the same key gets the one answer, and nothing is half stored.

A real server process, a client over a socket that shares no code with the server, a real SIGKILL. Tools are counted
in a file outside the server.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from prove.chatkit_wire import Away, Document
from prove.reading import V1, Client
from prove.server import Server
from prove.stackspot_wire import StackSpot, new_conversation
from tests.conftest import start_server
from tests.interop.stackspot.scenarios.refusing_files import send
from tests.interop.wire import Wire

SECONDS = 20.0
KEY = "the-key"

pytestmark = pytest.mark.requirement("CORE-02")


class Page:
    """One fresh user in one conversation."""

    def __init__(self, server: Server) -> None:
        token = f"crash.{uuid.uuid4().hex}"
        self.server = server
        self.wire, self.own = StackSpot(server.url, token), Client(server.url, token)
        self.conversation, self.thread = new_conversation()
        self.about: Document = {"use_conversation": True, "conversation_id": self.conversation}

    async def chat(self, text: str, agent: str = "helper", key: str | None = KEY) -> Document:
        """The answer, however often it takes to ask."""
        async with asyncio.timeout(SECONDS):
            while True:
                try:
                    return await self.wire.chat(agent, text, key=key, **self.about)
                except Away:
                    await asyncio.sleep(0.02)

    def stream(self, text: str, agent: str = "helper", key: str | None = KEY) -> AsyncIterator[Document]:
        return self.wire.stream(agent, text, key=key, **self.about)

    async def runs(self) -> list[str]:
        """How the user's runs stand, without those that belong to another."""
        listed = (await self.own.send("GET", f"{V1}/runs?limit=100")).json()["runs"]
        return [run["status"] for run in listed if not run.get("parent")]

    async def until_runs(self, *statuses: str) -> None:
        """Wait until the user's runs stand so."""
        async with asyncio.timeout(SECONDS):
            while sorted(await self.runs()) != sorted(statuses):  # noqa: ASYNC110 - another process makes it so
                await asyncio.sleep(0.02)

    async def texts(self) -> list[str]:
        """What the conversation holds, as another wire shows it."""
        answer = await self.own.send("GET", f"{V1}/threads/{self.thread}/items")
        if answer.status_code == 404:
            return []
        items = [item["body"] for item in answer.json()["items"] if item["kind"] == "message"]
        return [body["text"] if "text" in body else body["parts"][0]["text"] for body in items]

    async def restart(self) -> None:
        self.server.kill()
        await self.server.start()


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("crash-stackspot"))
    yield made
    made.close()


@pytest.fixture
async def page(process: Server) -> AsyncIterator[Page]:
    await process.start()
    made = Page(process)
    yield made
    await made.wire.aclose()
    await made.own.aclose()
    process.kill()


async def cut(frames: AsyncIterator[Document]) -> None:
    """The rest of a stream whose server has gone."""
    with pytest.raises(Away):
        async for _ in frames:
            pass


async def some(frames: AsyncIterator[Document], count: int) -> str:
    """The text of the first frames; the stream stays open."""
    seen: list[str] = []
    while len(seen) < count:
        seen.append((await anext(frames))["message"])
    return "".join(seen)


@pytest.mark.requirement("STK-P04")
async def test_killed_while_streaming_the_repeat_has_the_whole_answer(page: Page) -> None:
    stream = page.stream("slow: 12 100")
    assert await some(stream, 3) == "1 2 3"
    assert await page.texts() == []
    await page.restart()
    await cut(stream)
    whole = "1 2 3 4 5 6 7 8 9 10 11 12"
    assert (await page.chat("slow: 12 100"))["message"] == whole
    assert "".join([frame["message"] async for frame in page.stream("slow: 12 100")]) == whole
    assert await page.texts() == ["slow: 12 100", whole]
    assert await page.runs() == ["completed"]


@pytest.mark.requirement("STK-P04")
async def test_killed_before_the_first_token_the_repeat_waits_for_the_run(page: Page) -> None:
    asking = asyncio.create_task(page.chat("slow: 2 700"))
    await page.until_runs("running")
    await page.restart()
    assert (await asking)["message"] == "1 2"
    assert await page.runs() == ["completed"]


@pytest.mark.requirement("STK-P04")
async def test_an_answer_outlives_the_kill_with_its_ids(page: Page) -> None:
    told = await page.chat("echo: hello")
    await page.restart()
    assert await page.chat("echo: hello") == told
    assert told["conversation_id"] == page.conversation
    assert await page.runs() == ["completed"]
    assert (await page.chat("recall", key="another"))["message"] == "echo: hello"


@pytest.mark.requirement("STK-58")
@pytest.mark.parametrize("streamed", [False, True])
async def test_without_a_key_a_kill_leaves_nothing_behind(page: Page, streamed: bool) -> None:
    await page.chat("echo: before")
    if streamed:
        stream = page.stream("slow: 12 100", key=None)
        await some(stream, 2)
        await page.restart()
        await cut(stream)
    else:
        asking = asyncio.create_task(page.wire.chat("helper", "slow: 12 100", **page.about))
        await page.until_runs("running", "completed")
        await page.restart()
        with pytest.raises(Away):
            await asking
    await page.until_runs("cancelled", "completed")
    assert await page.texts() == ["echo: before", "before"]


@pytest.mark.requirement("STK-P04")
async def test_a_tool_that_a_kill_has_met_is_not_run_again(page: Page) -> None:
    bucket = f"ms30000-{uuid.uuid4().hex}"
    asking = asyncio.create_task(page.chat(f"approve: create_bucket {bucket}", "clerk"))
    await ran(page, bucket)
    await page.restart()
    assert (await asking)["message"] == "create_bucket failed: interrupted"
    assert page.server.tool_runs(bucket) == 1


async def ran(page: Page, bucket: str) -> None:
    """Until the tool has begun."""
    async with asyncio.timeout(SECONDS):
        while not page.server.tool_runs(bucket):  # noqa: ASYNC110 - another process makes it so
            await asyncio.sleep(0.01)


@pytest.mark.requirement("STK-96")
@pytest.mark.parametrize(("slug", "more"), [("helper", ""), ("ten", " 1 2 3 4 5 6 7 8 9 10")])
async def test_a_quick_command_goes_on_under_its_id(page: Page, slug: str, more: str) -> None:
    text = "slow: 6 100" if slug == "helper" else "begin"
    execution = await page.wire.begin(slug, text, key=KEY)
    await page.restart()
    assert await page.wire.begin(slug, text, key=KEY) == execution
    told = await ended(page, execution)
    assert told["progress"]["status"] == "COMPLETED"
    assert told["result"] == (f"{text}{more}" if more else "1 2 3 4 5 6")
    await page.restart()
    assert await page.wire.look(execution) == told


async def ended(page: Page, execution: str) -> Document:
    async with asyncio.timeout(SECONDS):
        while (told := await page.wire.look(execution))["progress"]["status"] in ("CREATED", "RUNNING"):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    return told


@pytest.mark.requirement("STK-96")
async def test_a_quick_commands_tool_is_not_run_again(page: Page) -> None:
    bucket = f"ms30000-{uuid.uuid4().hex}"
    execution = await page.wire.begin("clerk", f"approve: create_bucket {bucket}", key=KEY)
    await ran(page, bucket)
    await page.restart()
    assert (await ended(page, execution))["result"] == "create_bucket failed: interrupted 2"
    assert page.server.tool_runs(bucket) == 1


# --------------------------------------------------------------------------- the demo


def signed_in(url: str) -> Wire:
    """Raw requests with a token that the endpoint gave."""
    form = b"grant_type=client_credentials&client_id=demo&client_secret=demo-secret"
    told = {"content-type": "application/x-www-form-urlencoded"}
    token = Wire(url).send("POST", "/demo/oidc/oauth/token", form, headers=told).json["access_token"]
    wire = Wire(url)
    wire.headers["authorization"] = f"Bearer {token}"
    return wire


def files(wire: Wire, *ids: str) -> Any:
    """What the demo says about these uploads."""
    answer = wire.send("POST", "/v1/agent/demo/chat", {"user_prompt": "files", "upload_ids": list(ids)})
    return answer.json["message"] if answer.status == 200 else answer.json["code"]


@pytest.mark.requirement("STK-02", "STK-P01")
def test_a_token_and_what_was_uploaded_outlive_the_kill(tmp_path: Path) -> None:
    server = start_server("--demo", data=tmp_path / "data")
    port = int(server.url.rpartition(":")[2])
    try:
        wire = signed_in(server.url)
        asked = {"file_name": "a.txt", "target_type": "CONTEXT", "expiration": 60}
        sent, late = (wire.send("POST", "/v2/file-upload/form", asked).json for _ in range(2))
        assert send(sent["url"], sent["form"], b"words").status == 204
        server.kill()
        server = start_server("--demo", data=tmp_path / "data", port=port)
        assert files(wire, sent["id"]) == "a.txt"
        assert files(wire, late["id"]) == "UPLOAD_INCOMPLETE"
        assert send(late["url"], late["form"], b"words").status == 204
        assert files(wire, sent["id"], late["id"]) == "a.txt, a.txt"
    finally:
        server.stop()
