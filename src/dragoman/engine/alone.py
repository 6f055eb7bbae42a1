"""`App.run`: one run of a flow in this process, with its rows in memory.

For tests, scripts and notebooks. The same engine moves it; what it would read again after a crash is gone
with the process.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from dragoman.core.errors import RunFailed, UsageError
from dragoman.core.events import Event, RunPaused, StepFailed, ToolInput
from dragoman.core.events import RunCancelled as Cancelled
from dragoman.core.events import RunCompleted as Completed
from dragoman.core.events import RunFailed as Failed
from dragoman.core.flows import Continue, FlowCall
from dragoman.core.messages import ToolSpec
from dragoman.core.ports import Store
from dragoman.core.records import Run
from dragoman.core.writes import AppendEvents, ChangeRun, PutRun, Write
from dragoman.engine.agents import ModelLike
from dragoman.engine.embedded import EmbeddedEngine
from dragoman.engine.flows.context import call
from dragoman.engine.flows.working import copied
from dragoman.engine.tools import Tool

if TYPE_CHECKING:
    from dragoman.engine.app import App


class _Rows:
    """What a run of a flow asks of a store, for one run."""

    def __init__(self) -> None:
        self._run: Run | None = None
        self._events: list[Event] = []

    async def commit(self, *writes: Write) -> None:
        for write in writes:
            match write:
                case PutRun(run=run):
                    self._run = run
                case ChangeRun(changes=changes) if self._run is not None:
                    self._run = replace(self._run, **changes)
                case AppendEvents(events=events):
                    self._events.extend(events)
                    if self._run is not None:
                        self._run = replace(self._run, last_seq=events[-1].seq)
                case _:
                    pass  # traces, sessions and the like have no readers here

    async def run(self, id: str, *, tenant: str | None = None) -> Run | None:
        return self._run

    async def events(self, run: str, *, after: int = 0, limit: int = 1000) -> Sequence[Event]:
        return self._events[after:]


async def run_alone(
    app: App,
    flow: str,
    message: str | None,
    *,
    models: Mapping[str, ModelLike],
    parameters: Mapping[str, Any],
    attachments: Sequence[Mapping[str, Any]],
    overrides: Mapping[str, Mapping[str, Any]],
    version: int | None,
    tools: Mapping[str, Callable[..., Any]],
) -> Any:
    """See `App.run`."""
    if models:
        app = copy(app)
        app.models = {**app.models, **models}
    engine = EmbeddedEngine(app, cast(Store, _Rows()), capture="full")  # a flow's run asks for no more of a store
    known = {name: one if isinstance(one, Tool) else Tool(one, name=name) for name, one in tools.items()}
    given = FlowCall(
        "",
        flow,
        version=version,
        message=message,
        parameters=parameters,
        attachments=tuple(dict(one) for one in attachments),
        overrides=overrides,
        tools=tuple(_spec(one) for one in known.values()),
        client_tools=bool(tools),
        capture="full",
        face="alone",
    )
    try:
        started = await engine.start_flow(given)
        return await _to_its_end(engine, started.run.id, known)
    finally:
        await engine.close(grace=0.0)


def _spec(tool: Tool) -> ToolSpec:
    return tool.spec


async def _to_its_end(engine: EmbeddedEngine, run: str, tools: Mapping[str, Tool]) -> Any:
    calls: dict[str, ToolInput] = {}
    step: str | None = None
    async for event in engine.events(run):
        match event.body:
            case ToolInput() as body:
                calls[body.call] = body
            case RunPaused(calls=pending):
                outputs = {one: await _called(calls[one], tools) for one in pending}
                await engine.continue_flow("", run, Continue(outputs=outputs))
            case StepFailed():
                step = step or event.step
            case Completed(result=result):
                return copied(result)
            case Failed() as body:
                where = f"step {step!r}: " if step is not None else ""
                raise RunFailed(where + body.message, code=body.code, status=body.status, run_id=run)
            case Cancelled(reason=reason):
                raise RunFailed(reason, code="CANCELLED", run_id=run)
    raise RunFailed("the run did not come to an end", run_id=run)


async def _called(made: ToolInput, tools: Mapping[str, Tool]) -> Any:
    tool = tools.get(made.name)
    if tool is None:
        known = ", ".join(tools) or "none"
        raise UsageError(f"the flow calls tool {made.name!r}; tools={{…}} knows: {known}")
    arguments = tool.check(made.input)
    result = await call(tool.function, **arguments)
    return await result if inspect.isawaitable(result) else result
