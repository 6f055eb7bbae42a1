"""What the proofs of replay stand on: a user's folder with an app of their own, and a provider that says something else each time.

The app's model and its writing tool talk to the provider over a socket, which counts what comes; so a
replay that sent anything would be seen, and one that asked again would get another answer.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from prove.server import ROOT, free_port

V1 = "/dragoman/v1"
KEY = "acme.ann"
BEARER = {"authorization": f"Bearer {KEY}"}
START_SECONDS = 30.0

APP = '''"""A shop's assistant."""

import asyncio
import json
import os

from dragoman import Agent, App, Flow, agent_step, step, tool
from dragoman.core.messages import ModelText, ModelToolCall
from dragoman.core.principal import Principal


async def ask(what):
    reader, writer = await asyncio.open_connection("127.0.0.1", int(os.environ["PROVIDER"]))
    writer.write(json.dumps(what).encode() + b"\\n")
    answer = json.loads(await reader.readline())
    writer.close()
    return answer


async def shopkeeper(request):
    last = request.messages[-1]
    for piece in await ask({"role": last.role, "text": last.text}):
        yield ModelToolCall("c1", *piece) if isinstance(piece, list) else ModelText(piece)


@tool(read_only=True)
def price(item: str) -> float:
    """What an item costs."""
    return len(item) * 1.5


@tool
async def order(item: str) -> dict:
    """Orders an item."""
    return {"number": await ask({"order": item})}


@step
def shout(ctx, mark="!"):
    return ctx.output.upper() + mark


def authenticate(headers):
    token = headers.get("x-storageapi-token") or headers.get("authorization", "").removeprefix("Bearer ")
    # an admin, as the developer of an app is: others get recordings without the instructions
    return Principal(*token.split("."), frozenset({"use", "admin"})) if token.count(".") == 1 else None


clerk = Agent("clerk", model=shopkeeper, instructions="Be brief.", tools=[price, order])
app = App(
    "shop",
    agents=[clerk],
    flows=[Flow("basics/cry", [agent_step("say", clerk), shout], capture="full")],
    authenticate=authenticate,
)
'''


class Provider:
    """Answers with a number that grows, and so never twice the same; `asked` is what it was sent."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.port = 0
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Provider:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._server is not None, "entered"
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readline()
        if line:
            asked = json.loads(line)
            self.asked.append(asked)
            writer.write(json.dumps(self._answer(asked)).encode() + b"\n")
            await writer.drain()
        writer.close()

    def _answer(self, asked: dict[str, Any]) -> Any:
        number = len(self.asked)
        if "order" in asked:
            return number
        if asked["role"] == "user" and " " in asked["text"]:
            verb, _, item = asked["text"].partition(" ")
            return [[verb, {"item": item}]]
        return [f"Answer {number}", ", with secrets:", " sk-live", f"-{number:012d}", " and ö"]


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that has ended."""

    code: int
    out: str
    err: str


class Shop:
    """The folder, what is served from it, and the commands that are typed in it."""

    def __init__(self, folder: Path, provider: Provider, guard: str | None) -> None:
        self.folder = folder
        self.provider = provider
        self.guard = guard
        self.url = f"http://127.0.0.1:{free_port()}"
        self._server: asyncio.subprocess.Process | None = None
        (folder / "shop.py").write_text(APP, encoding="utf-8")

    def edit(self, before: str, after: str) -> None:
        """Change the app's text, as an editor does it. Raises LookupError where there is nothing to change."""
        place = self.folder / "shop.py"
        text = place.read_text("utf-8")
        if before not in text:
            raise LookupError(f"the shop has no {before!r}")
        place.write_text(text.replace(before, after), encoding="utf-8")

    async def open(self) -> None:
        port = self.url.rpartition(":")[2]
        command = ["-m", "dragoman", "serve", "shop:app", "--host", "127.0.0.1", "--port", port, "--data", "data"]
        with (self.folder / "server.log").open("ab") as log:
            self._server = await asyncio.create_subprocess_exec(
                sys.executable, *command, cwd=self.folder, env=self._environment(), stdout=log, stderr=log
            )
        async with asyncio.timeout(START_SECONDS), httpx2.AsyncClient(timeout=2.0, trust_env=False) as probe:
            while True:
                try:
                    if (await probe.get(f"{self.url}/health/live")).status_code == 200:
                        return
                except httpx2.TransportError:
                    pass
                if self._server.returncode is not None:
                    raise AssertionError((self.folder / "server.log").read_text("utf-8", "replace")[-2000:])
                await asyncio.sleep(0.02)

    async def close(self) -> None:
        server, self._server = self._server, None
        if server is not None and server.returncode is None:
            server.terminate()
            await server.wait()

    async def type(self, *words: str) -> Ended:
        """`dragoman WORDS`, with the guard taken out that the proof is about."""
        started = ("-m", "prove.launch", "--now", self.guard) if self.guard is not None else ("-m", "dragoman")
        return await self.python(*started, *words)

    async def python(self, *words: str) -> Ended:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *words,
            cwd=self.folder,
            env=self._environment(),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        return Ended(process.returncode or 0, out.decode(), err.decode())

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("DRAGOMAN_", "PYTEST_"))}
        mine = {"PROVIDER": str(self.provider.port), "DRAGOMAN_URL": self.url, "DRAGOMAN_KEY": KEY}
        return kept | mine | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "TRACE": os.devnull}

    # ------------------------------------------------------------------ its customers

    async def chat(self, chat: str, text: str) -> str:
        """A message over the Kai face, a yes to whatever is asked; the text of the whole answer, as the journal has it."""
        async with httpx2.AsyncClient(base_url=self.url, timeout=20.0, trust_env=False) as client:
            message = {
                "id": f"m-{len(text)}-{text.partition(' ')[0]}",
                "role": "user",
                "parts": [{"type": "text", "text": text}],
            }
            body = {"id": chat, "message": message, "selectedChatModel": "clerk"}
            run, chunks = await _chat(client, body)
            for asked in [chunk for chunk in chunks if chunk["type"] == "tool-approval-request"]:
                decision = {"approval": asked["approvalId"], "approved": True}
                decided = await client.post(
                    f"{V1}/runs/{run}/approvals", json={"decisions": [decision]}, headers=BEARER
                )
                decided.raise_for_status()
            events = await _events(client, run)
        return "".join(event["payload"]["delta"] for event in events if event["type"] == "block.delta")

    async def cry(self, text: str, session: str) -> Any:
        """A run of the flow over the own face, in a session; its result."""
        async with httpx2.AsyncClient(base_url=self.url, timeout=20.0, trust_env=False) as client:
            body = {"message": text, "session": session}
            answer = await client.post(f"{V1}/flows/basics/cry/runs", json=body, headers=BEARER)
            answer.raise_for_status()
            events = await _events(client, answer.headers["x-dragoman-run"])
        return events[-1]["payload"].get("result")


async def _chat(client: httpx2.AsyncClient, body: dict[str, Any]) -> tuple[str, list[dict[str, Any]]]:
    async with client.stream("POST", "/api/chat", json=body, headers={"x-storageapi-token": KEY}) as answer:
        lines = [line async for line in answer.aiter_lines()]
    if answer.status_code != 200:
        raise AssertionError(f"the chat was answered with {answer.status_code}: {' '.join(lines)[:300]}")
    return answer.headers["x-dragoman-run"], [json.loads(line[6:]) for line in lines if line.startswith("data: {")]


async def _events(client: httpx2.AsyncClient, run: str) -> list[dict[str, Any]]:
    """All events of a run, to its end."""
    async with client.stream("GET", f"{V1}/runs/{run}/events", headers=BEARER) as answer:
        return [json.loads(line[6:]) async for line in answer.aiter_lines() if line.startswith("data: {")]
