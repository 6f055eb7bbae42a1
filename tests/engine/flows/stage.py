"""A store and an engine for flows; `crash` goes on with a second engine over the same store, as after kill -9."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from dragoman.core import events as ev
from dragoman.core.flows import Continue, FlowCall
from dragoman.core.messages import ModelRequest, ModelToolCall
from dragoman.core.ports import Store
from dragoman.core.records import Run, Step
from dragoman.core.turns import Continued, Started
from dragoman.engine.agents import Agent
from dragoman.engine.app import App
from dragoman.engine.embedded import EmbeddedEngine
from dragoman.engine.flows.authoring import Flow

LONG = 10.0
"""No wait of these tests is longer."""


class Stage:
    """`flows` may be changed between two engines; `gate` is what tests let steps wait for."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.agents: Sequence[Agent] = ()
        self.options: dict[str, Any] = {"capture": "full"}
        self.time = 1_700_000_000.0
        self.gate = asyncio.Event()
        self.reached = asyncio.Event()
        self.ran: list[str] = []
        self.engines: list[EmbeddedEngine] = []

    @property
    def engine(self) -> EmbeddedEngine:
        return self.engines[-1]

    async def open(self, *flows: Flow, **options: Any) -> EmbeddedEngine:
        app = App("t", agents=self.agents, flows=flows)
        made = EmbeddedEngine(app, self.store, clock=lambda: self.time, executor="me", **(self.options | options))
        self.engines.append(made)
        await made.open()
        return made

    async def crash(self, *flows: Flow, **options: Any) -> EmbeddedEngine:
        """The engine commits nothing any more, and another one is opened over what it has left."""
        drivers = self.engine._drivers._drivers
        for driver in list(drivers.values()):
            driver._closing = True
            for task in (*driver._tasks, *([driver._loop_task] if driver._loop_task else [])):
                task.cancel()
        await asyncio.sleep(0)
        await self.engine._jobs.close()
        return await self.open(*flows, **options)

    async def start(self, flow: str = "p/f", **call: Any) -> Started:
        given = FlowCall("t", flow, message="hi")
        return await self.engine.start_flow(replace(given, **call))

    async def go_on(self, run: Started | Run, outputs: Mapping[str, Any] | None = None, **given: Any) -> Continued:
        id = run.run.id if isinstance(run, Started) else run.id
        return await self.engine.continue_flow("t", id, Continue(outputs=outputs, **given))

    async def until(
        self, started: Started | Continued, kind: type[ev.EventBody] | None = None, after: int | None = None
    ) -> list[ev.Event]:
        """The run's events behind its start, up to the next of this kind, or to the end."""
        tail = self.engine.tail(started.run.id, after=started.after if after is None else after)
        seen: list[ev.Event] = []
        while events := await tail.next(LONG):
            for event in events:
                seen.append(event)
                if kind is not None and isinstance(event.body, kind):
                    return seen
        return seen

    async def end(self, started: Started | Continued) -> ev.EventBody:
        return (await self.until(started))[-1].body

    async def result(self, flow: str = "p/f", **call: Any) -> Any:
        """What a call of the flow gives; its failure as `CODE: message`."""
        body = await self.end(await self.start(flow, **call))
        if isinstance(body, ev.RunCompleted):
            return body.result
        assert isinstance(body, ev.RunFailed)
        return f"{body.code}: {body.message}"

    async def paused(self, started: Started | Continued) -> tuple[str, ...]:
        """The calls that the run waits for."""
        body = (await self.until(started, ev.RunPaused))[-1].body
        assert isinstance(body, ev.RunPaused), body
        return body.calls

    async def run(self, started: Started) -> Run:
        found = await self.store.run(started.run.id)
        assert found is not None
        return found

    async def trace(self, started: Started) -> Sequence[Step]:
        return await self.store.steps(started.run.id)

    async def close(self) -> None:
        self.gate.set()
        for engine in self.engines:
            await engine.close(grace=0.0)


def told(events: Sequence[ev.Event]) -> list[str]:
    """Types and steps, as one line each."""
    return [f"{event.type} {event.step}" if event.step else event.type for event in events]


async def echo_model(request: ModelRequest) -> AsyncIterator[Any]:
    """Says what it was asked, or calls the tools that it is told to: `call NAME NAME …`."""
    last = request.messages[-1]
    if last.role == "tool":
        results = [part.output for message in request.messages if message.role == "tool" for part in message.parts]  # type: ignore[union-attr]
        yield f"got {results}"
    elif last.text.startswith("call "):
        for number, name in enumerate(last.text.split()[1:]):
            yield ModelToolCall(f"call_{number}", name, {"n": number})
    else:
        yield "heard "
        yield last.text
