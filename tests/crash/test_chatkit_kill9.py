"""`kill -9` under ChatKit's wire: what its user was told is there afterwards, and each click counts once.

A real server process, a client over a socket that shares no code with the server, a real SIGKILL. Tools are
counted in a file outside the server.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from prove.chatkit_wire import Away, ChatKit, Document, Refused, actions_of, filled, said, text_of
from prove.registrar import SUBMIT
from prove.server import Server

SECONDS = 20.0
APPROVE, DENY = "approval.approve", "approval.deny"

pytestmark = pytest.mark.requirement("CORE-02")


class Page:
    """One fresh user's page: asks, clicks, and is loaded anew when the server was away."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.wire = ChatKit(server.url, f"crash.{uuid.uuid4().hex}")
        self.thread = ""

    def ask(self, text: str, model: str | None = None) -> AsyncIterator[Document]:
        """Events, as they come; makes the thread, or goes on in it."""
        params: Document = {"input": said(text, model)} | ({"thread_id": self.thread} if self.thread else {})
        return self._noted("threads.add_user_message" if self.thread else "threads.create", params)

    def click(self, card: Document, action: Document, **fields: str) -> AsyncIterator[Document]:
        """Click on a card, or send its form with these fields."""
        params = {"thread_id": self.thread, "item_id": card["id"], "action": filled(action, **fields)}
        return self._noted("threads.custom_action", params)

    async def _noted(self, op: str, params: Document) -> AsyncIterator[Document]:
        async for event in self.wire.stream(op, params):
            if event["type"] == "thread.created":
                self.thread = event["thread"]["id"]
            yield event

    async def items(self) -> list[Document]:
        return await self.wire.items(self.thread)

    async def texts(self) -> list[str]:
        return [text_of(item) for item in await self.items() if item["type"] in ("user_message", "assistant_message")]

    async def card(self, action: str) -> Document:
        """The card on which this can be clicked."""
        (card,) = [item for item in await self.items() if action in actions_of(item)]
        return card

    async def until_answered(self, *texts: str) -> None:
        """Load the page again and again, until these are the texts."""
        async with asyncio.timeout(SECONDS):
            while await self.texts() != list(texts):  # noqa: ASYNC110 - another process makes it so
                await asyncio.sleep(0.02)

    async def restart(self) -> None:
        self.server.kill()
        await self.server.start()


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("crash-chatkit"))
    yield made
    made.close()


@pytest.fixture
async def page(process: Server) -> AsyncIterator[Page]:
    await process.start()
    made = Page(process)
    yield made
    await made.wire.aclose()
    process.kill()


async def every(events: AsyncIterator[Document]) -> list[Document]:
    return [event async for event in events]


async def until(events: AsyncIterator[Document], *types: str) -> list[Document]:
    """What came, up to the last of these, in this order; the stream stays open."""
    wanted, seen = list(types), []
    async for event in events:
        seen.append(event)
        kind = event.get("update", event)["type"]
        if wanted and kind == wanted[0]:
            wanted.pop(0)
        if not wanted:
            return seen
    raise AssertionError(f"the stream ended without {wanted}")


async def cut(events: AsyncIterator[Document]) -> None:
    """The rest of a stream whose server has gone."""
    with pytest.raises(Away):
        await every(events)


@pytest.mark.requirement("CHK-37")
async def test_killed_while_streaming_the_answer_is_there_whole_and_once(page: Page) -> None:
    delta = "assistant_message.content_part.text_delta"
    stream = page.ask("slow: 8 100")
    seen = await until(stream, delta, delta, delta)
    await page.restart()
    await cut(stream)
    await page.until_answered("slow: 8 100", "1 2 3 4 5 6 7 8")
    told = [event["item"] for event in seen if event["type"] == "thread.item.done"]
    assert told == (await page.items())[:1]


@pytest.mark.requirement("CHK-37")
async def test_killed_before_the_first_token_the_stored_message_is_answered(page: Page) -> None:
    stream = page.ask("slow: 2 700")
    await until(stream, "thread.item.done")
    await page.restart()
    await cut(stream)
    await page.until_answered("slow: 2 700", "1 2")


@pytest.mark.requirement("CHK-28")
@pytest.mark.parametrize(("action", "answer", "runs"), [(APPROVE, "created {}", 1), (DENY, "denied", 0)])
async def test_a_card_outlives_the_kill_and_its_first_click_counts(
    page: Page, action: str, answer: str, runs: int
) -> None:
    bucket = f"ms0-{uuid.uuid4().hex}"
    text = f"approve: create_bucket {bucket}"
    await every(page.ask(text))
    before = await page.card(action)
    await page.restart()
    card = await page.card(action)
    assert card == before
    other = {APPROVE: DENY, DENY: APPROVE}[action]
    await every(page.click(card, actions_of(card)[action]))
    await page.until_answered(text, answer.format(bucket))
    for again in (action, other):
        await ignored(page, card, actions_of(card)[again])
    assert page.server.tool_runs(bucket) == runs
    assert await page.texts() == [text, answer.format(bucket)]
    decided = next(item for item in await page.items() if item["id"] == card["id"])
    assert (decided["type"], actions_of(decided)) == ("widget", {})


async def ignored(page: Page, card: Document, action: Document, **fields: str) -> None:
    """A click that comes too late: a notice or a refusal, and nothing else happens."""
    before = await page.items()
    try:
        told = {event["type"] for event in await every(page.click(card, action, **fields))}
    except Refused as refused:
        told = {refused.status}
    assert told <= {409, "stream_options", "notice", "thread.item.replaced"}
    assert await page.items() == before


@pytest.mark.requirement("CHK-28")
async def test_a_click_that_was_taken_survives_the_kill_in_the_tool(page: Page) -> None:
    bucket = f"ms30000-{uuid.uuid4().hex}"
    text = f"approve: create_bucket {bucket}"
    await every(page.ask(text))
    card = await page.card(APPROVE)
    stream = page.click(card, actions_of(card)[APPROVE])
    await until(stream, "stream_options")
    reading = asyncio.create_task(cut(stream))
    async with asyncio.timeout(SECONDS):
        while not page.server.tool_runs(bucket):  # noqa: ASYNC110 - another process makes it so
            await asyncio.sleep(0.01)
    await page.restart()
    await reading
    await page.until_answered(text, "create_bucket failed: interrupted")
    await ignored(page, card, actions_of(card)[APPROVE])
    assert page.server.tool_runs(bucket) == 1


@pytest.mark.requirement("CHK-28")
async def test_a_form_outlives_the_kill_and_what_is_sent_counts_once(page: Page) -> None:
    name = f"ms0-{uuid.uuid4().hex}"
    await every(page.ask("Who is it?", "registrar"))
    before = await page.card(SUBMIT)
    await page.restart()
    card = await page.card(SUBMIT)
    assert card == before
    form = actions_of(card)[SUBMIT]
    await every(page.click(card, form, name=name))
    await page.until_answered("Who is it?", f"signed up {name}")
    await ignored(page, card, form, name=name)
    await ignored(page, card, form, name="another")
    assert page.server.tool_runs(f"signed {name}") == 1
    assert page.server.tool_runs("signed another") == 0


@pytest.mark.requirement("CHK-28")
async def test_a_form_that_was_taken_survives_the_kill_behind_it(page: Page) -> None:
    name = f"ms30000-{uuid.uuid4().hex}"
    await every(page.ask("Who is it?", "registrar"))
    card = await page.card(SUBMIT)
    form = actions_of(card)[SUBMIT]
    reading = asyncio.create_task(cut(page.click(card, form, name=name)))
    async with asyncio.timeout(SECONDS):
        while not page.server.tool_runs(f"signed {name}"):  # noqa: ASYNC110 - another process makes it so
            await asyncio.sleep(0.01)
    await page.restart()
    await reading
    await page.until_answered("Who is it?", "sign_up failed: interrupted")
    await ignored(page, card, form, name=name)
    assert page.server.tool_runs(f"signed {name}") == 1


@pytest.mark.requirement("CHK-13")
async def test_a_client_tool_call_outlives_the_kill_and_its_output_counts_once(page: Page) -> None:
    events = await every(page.ask('client: get_time {"zone": "UTC"}', "asker"))
    call = events[-1]["item"]
    assert (call["type"], call["status"], call["name"]) == ("client_tool_call", "pending", "get_time")
    await page.restart()
    params: dict[str, Any] = {"thread_id": page.thread, "result": {"time": "noon"}}
    await every(page.wire.stream("threads.add_client_tool_output", params))
    texts = await page.texts()
    assert "noon" in texts[-1]
    with pytest.raises(Refused) as refused:
        await every(page.wire.stream("threads.add_client_tool_output", params))
    assert refused.value.status == 409
    assert await page.texts() == texts
