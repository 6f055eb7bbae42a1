"""A store, an engine over it, and a model whose next steps the test decides."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from dragoman.core import events as ev
from dragoman.core.messages import ModelFinish, ModelRequest, ModelToolCall
from dragoman.core.ports import Store
from dragoman.core.records import Item
from dragoman.core.turns import Started, Turn
from dragoman.engine.agents import Agent
from dragoman.engine.app import App
from dragoman.engine.embedded import EmbeddedEngine
from dragoman.engine.tools import tool

LONG = 10.0
"""No wait of these tests is longer."""


class World:
    """A store, an engine over it, and a model whose next steps the test decides."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.requests: list[ModelRequest] = []
        self.ran: list[str] = []
        self.gate = asyncio.Event()
        self.closed = asyncio.Event()
        self.running = asyncio.Event()
        self.time = 1_700_000_000.0
        self.engine = self.make()

    def make(self, *, without_agent: bool = False) -> EmbeddedEngine:
        @tool
        async def write(name: str) -> str:
            """Writes."""
            self.ran.append(name)
            self.running.set()
            if name.startswith("slow"):
                await self.gate.wait()
            return f"wrote {name}"

        @tool(read_only=True)
        async def look(name: str) -> str:
            """Looks."""
            self.ran.append(name)
            self.running.set()
            await self.gate.wait()
            return f"saw {name}"

        agents = [] if without_agent else [Agent("helper", model=self.model, tools=[write, look])]
        return EmbeddedEngine(App("t", agents=agents), self.store, clock=lambda: self.time, executor="me")

    async def model(self, request: ModelRequest) -> AsyncIterator[Any]:
        self.requests.append(request)
        last = request.messages[-1]
        if last.role == "tool":
            yield "; ".join(str(part.output) for part in last.parts)  # type: ignore[union-attr]  # results only
            return
        word, _, rest = last.text.partition(" ")
        if word == "call":
            name, _, argument = rest.partition(" ")
            yield ModelToolCall("call_0", name, {"name": argument})
        elif word == "hang":
            try:
                yield "some"
                await self.gate.wait()
                yield " more"
            finally:
                self.closed.set()
        elif word == "fail":
            yield "some"
            raise RuntimeError("out of cheese")
        elif word == "short":
            yield "cut"
            yield ModelFinish("length")
        else:
            yield f"heard {last.text}"

    async def ask(self, text: str, **turn: Any) -> Started:
        given = Turn("t", "ann", "helper", thread_id="k", parts=({"type": "text", "text": text},))
        return await self.engine.start(replace(given, **turn))

    async def until(self, started: Started, kind: type[ev.EventBody] | None = None) -> list[ev.Event]:
        """The run's events up to one of this kind, or to the end."""
        tail, seen = self.engine.tail(started.run.id, after=started.after), []
        while events := await tail.next(LONG):
            seen += events
            if kind is not None and any(isinstance(e.body, kind) for e in events):
                break
        return seen

    async def items(self, thread: str = "k") -> list[Item]:
        found = await self.store.thread("t", thread)
        return list((await self.store.items(found.number)).rows) if found else []

    async def restart(self, **options: Any) -> None:
        await self.engine.close(grace=0.05)
        self.engine = self.make(**options)
        await self.engine.open()


def texts(items: list[Item]) -> list[str]:
    return [i.body.get("text") or i.body["parts"][0]["text"] for i in items if i.kind == "message"]


async def pending_call(world: World, text: str = "call write x") -> tuple[Started, str]:
    started = await world.ask(text)
    paused = (await world.until(started, ev.RunPaused))[-1].body
    assert isinstance(paused, ev.RunPaused)
    return started, paused.calls[0]
