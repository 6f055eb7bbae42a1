"""An app of flows of every kind, and how its runs are recorded."""

import asyncio
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.testing.recordings import LONG, WHO, Recorder, talker

from dragoman import (
    Agent,
    App,
    Flow,
    FlowContext,
    StepError,
    agent_step,
    client_tool,
    flow,
    loop,
    model_step,
    step,
    tool,
    when,
)
from dragoman.core import events as ev
from dragoman.core.flows import Continue, FlowCall
from dragoman.core.records import Run


@dataclass
class Works:
    """What the flows are made of, so that a test can edit one thing; `ran` tells what ran."""

    mark: str = "!"
    prompt: str = "Say it."
    hint: str = "Be kind."
    rate: float = 1.5
    host: tuple[str, int] | None = None
    model: Any = talker
    ran: list[str] = field(default_factory=list)

    def app(self, **options: Any) -> App:
        clerk = Agent("clerk", model=self.model, instructions=self.hint, tools=[self._price(), self._order()])
        shout = [step(name="upper")(lambda ctx: ctx.output.upper()), self._exclaim]
        choice = when("long", lambda ctx: len(ctx.message) > 3, [_named("cut", lambda ctx: ctx.output[:3])])
        each = loop("each", [self._one()], over=lambda ctx: ctx.message.split())
        until = loop("until", [_named("grow", lambda ctx: ctx.output + "a")], until=lambda ctx: len(ctx.output) > 4)
        weather = client_tool("weather", tool="get_weather", arguments=lambda ctx: {"city": ctx.message})
        flows = [
            Flow("basics/shout", versions={1: shout, 2: [*shout, choice]}, production=1),
            Flow("basics/words", [each, _named("join", lambda ctx: "-".join(ctx.output))]),
            Flow("basics/grow", [until]),
            Flow("basics/say", [model_step("say", model=self.model, instructions=self.prompt), self._exclaim]),
            Flow("basics/ask", [agent_step("ask", clerk)]),
            Flow("basics/weather", [weather, self._exclaim]),
            Flow("basics/broken", [_named("first", lambda ctx: ctx.output), self._broken()]),
            Flow("basics/slow", [_named("quick", lambda ctx: ctx.output), self._slow()]),
            self._report(),
            Flow("basics/fetch", [self._fetch()]),
        ]
        return App("works", flows=flows, **options)

    def _exclaim(self, ctx: FlowContext, suffix: str | None = None) -> str:
        return f"{ctx.output}{suffix or self.mark}"

    def _one(self) -> Any:
        return _named("one", lambda ctx: f"{ctx.index}:{ctx.item}{self.mark}")

    def _price(self) -> Any:
        @tool(read_only=True)
        def price(item: str) -> float:
            self.ran.append(f"price {item}")
            return len(item) * self.rate

        return price

    def _order(self) -> Any:
        @tool(approval=False)
        def order(item: str) -> dict[str, Any]:
            self.ran.append(f"order {item}")
            return {"number": len(self.ran)}

        return order

    def _broken(self) -> Any:
        @step(name="second", retries=1, backoff=0.0)
        def second(ctx: FlowContext) -> None:
            raise StepError("it is broken", code="BROKEN") if ctx.message == "told" else RuntimeError("by accident")

        return second

    def _slow(self) -> Any:
        @step(name="slow")
        async def slow(ctx: FlowContext) -> str:
            await asyncio.sleep(0 if ctx.message == "quick" else LONG)
            return "done"

        return slow

    def _report(self) -> Any:
        @flow("basics/report")
        async def report(ctx: FlowContext) -> list[str]:
            async def write(word: str) -> str:
                return word.upper() + self.mark

            return list(await asyncio.gather(*(ctx.step("write", write, word) for word in ctx.message.split())))

        return report

    def _fetch(self) -> Any:
        def get() -> str:
            with socket.create_connection(self.host or ("127.0.0.1", 1), LONG) as made:
                return made.recv(100).decode()

        @step(name="fetch")
        async def fetch(ctx: FlowContext) -> str:
            inner = await ctx.step("get", get)
            return f"{ctx.message}: {inner}"

        return fetch


def _named(name: str, function: Any) -> Any:
    return step(name=name)(lambda ctx: function(ctx))


async def run_flow(
    recorder: Recorder,
    slug: str,
    message: str | None = "hello",
    *,
    outputs: Mapping[str, Any] | None = None,
    cancel_at: tuple[str, str] | None = None,
    session: str = "s1",
    **options: Any,
) -> Run:
    """One run to its end, or to a pause for a tool that `outputs` (by name) has nothing for."""
    names: dict[str, str] = {}
    async with asyncio.timeout(LONG):
        call = FlowCall(WHO[0], f"basics/{slug}", message=message, session=session, **{"capture": "full", **options})
        run = (await recorder.engine.start_flow(call)).run.id
        tail = recorder.engine.tail(run)
        while events := await tail.next():
            for event in events:
                match event.body:
                    case ev.ToolStarted(one, name):
                        names[one] = name
                    case ev.RunPaused("segment"):
                        await recorder.engine.continue_flow(WHO[0], run, Continue())
                    case ev.RunPaused("client_tool", calls) if all(names[one] in (outputs or {}) for one in calls):
                        given = {one: (outputs or {})[names[one]] for one in calls}
                        await recorder.engine.continue_flow(WHO[0], run, Continue(outputs=given))
                    case ev.RunPaused():
                        return await _row(recorder, run)
                if (event.type, event.step) == cancel_at:
                    await recorder.engine.cancel(run, reason="enough")
    return await _row(recorder, run)


async def _row(recorder: Recorder, run: str) -> Run:
    found = await recorder.store.run(run)
    assert found is not None, "it was started"
    return found
