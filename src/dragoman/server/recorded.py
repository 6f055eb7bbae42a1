"""One run of a recorded session, read off its rows and, where those do not tell all, its journal.

Answers what a replay needs to know: what the run was given, what its top-level steps gave, where it failed or
what it waits for. Knows no session and no wire.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from dragoman.core import events as ev
from dragoman.core.flows import CaptureMode, FlowInfo, decode_node
from dragoman.core.ports import Store
from dragoman.core.records import Item, Run, Step
from dragoman.core.steps import split_key
from dragoman.engine.capture import keeps_payloads
from dragoman.server.services import Services

AGENTS = "agents"
"""The project that the agents of threads are in."""


@dataclass(frozen=True, slots=True)
class PendingCall:
    """A tool call of a paused run that nobody has answered."""

    id: str
    name: str
    input: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Pause:
    """What a paused run waits for. `step` is the top-level step that is open or comes next, `place` its index.

    `rounds` counts the pauses for client tools, this one included; `outputs` holds what the finished
    top-level steps gave, by id.
    """

    reason: Literal["approval", "client_tool", "segment"]
    step: str
    place: int
    calls: tuple[PendingCall, ...]
    rounds: int
    outputs: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Recorded:
    """One run of a session.

    `flow` is None for an agent's run and for a flow that is no longer served. `project` and `slug` are its address;
    `version` is the flow's number (0: draft), None for an agent. `steps` is the whole trace; `snapshots` are the
    top-level steps as replay wants them: the last attempt of each, in the order of their beginning, an agent's run as
    one step. `error_at` names the snapshot whose error a replay raises: the step that failed, or the one at which the
    run was cancelled or waits. `has_snapshots`: whether outputs were recorded at all.
    `events` is the journal of a paused run and of an agent's, empty for others (see `read_events`).
    """

    run: Run
    flow: FlowInfo | None
    project: str
    slug: str
    trigger: Literal["execute", "step", "job"]
    version: int | None
    capture: CaptureMode
    has_snapshots: bool
    steps: tuple[Step, ...]
    snapshots: tuple[Step, ...]
    input: dict[str, Any]
    result: Any
    error_at: str | None = None
    error: dict[str, Any] | None = None
    pause: Pause | None = None
    events: tuple[ev.Event, ...] = ()

    @property
    def call_index(self) -> int | None:
        """The caller's count of calls like this one, if it sent one."""
        found = self.run.options.get("call_index")
        return found if isinstance(found, int) else None

    @property
    def input_hash(self) -> str | None:
        """The caller's digest of what the call was given, if it sent one."""
        return self.run.options.get("input_hash")


async def read_events(store: Store, run: str) -> tuple[ev.Event, ...]:
    """A run's whole journal."""
    found: list[ev.Event] = []
    while events := await store.events(run, after=found[-1].seq if found else 0):
        found += events
    return tuple(found)


async def read_run(services: Services, run: Run) -> Recorded:
    """What was recorded of a run."""
    steps = tuple(await services.store.steps(run.id))
    is_agent = run.thread is not None or "/" not in run.name
    events: tuple[ev.Event, ...] = ()
    if is_agent or run.status == "paused":
        events = await read_events(services.store, run.id)
    made = await _of_agent(services, run, steps, events) if is_agent else _of_flow(services, run, steps, events)
    return _with_error(made)


async def _of_agent(services: Services, run: Run, steps: tuple[Step, ...], events: tuple[ev.Event, ...]) -> Recorded:
    asked = await question(services.store, run)
    given = {"message": _text(asked), **({"parts": asked.body["parts"]} if asked is not None else {})}
    text = _answer(events)
    snapshot = Step(
        run.id,
        run.name,
        "agent",
        run.name,
        {"completed": "completed", "failed": "failed", "cancelled": "cancelled"}.get(run.status, "running"),  # type: ignore[arg-type]
        run.started if run.started is not None else run.created,
        ended=run.ended,
        usage=run.usage,
        cost=run.cost,
        input=given,
        output=text if run.status == "completed" else None,
        error=run.error,
        place=0,
    )
    return Recorded(
        run,
        None,
        AGENTS,
        run.name,
        "execute",
        None,
        "full",
        True,
        steps,
        (snapshot,),
        given,
        snapshot.output,
        pause=_pause(run, (snapshot,), events, [run.name]),
        events=events,
    )


def _of_flow(services: Services, run: Run, steps: tuple[Step, ...], events: tuple[ev.Event, ...]) -> Recorded:
    project, _, slug = run.name.partition("/")
    mode: CaptureMode = run.options.get("capture") or services.settings.capture.mode
    snapshots = _snapshots(steps)
    result = run.result
    if result is None and run.status == "completed":
        last = _node_ids(run)[-1:]
        result = next((step.output for step in reversed(snapshots) if step.step in last), None)
    return Recorded(
        run,
        services.engine.flow(run.name),
        project,
        slug,
        run.kind if run.kind in ("step", "job") else "execute",
        run.options.get("flow_version"),
        mode,
        keeps_payloads(mode, bool(run.options.get("trace"))),
        steps,
        snapshots,
        dict(run.input),
        result,
        pause=_pause(run, snapshots, events, _node_ids(run)),
        events=events,
    )


def _snapshots(steps: Sequence[Step]) -> tuple[Step, ...]:
    """The last attempt of each top-level step, in the order in which the steps began first."""
    last: dict[tuple[str, int], Step] = {}
    for step in steps:
        if step.kind == "flow" and split_key(step.step)[2] is None:
            key = (step.step, step.index)
            if key not in last or step.attempt >= last[key].attempt:
                last[key] = step
    return tuple(last.values())


def _node_ids(run: Run) -> list[str]:
    return [decode_node(one).id for one in run.options.get("tree", ())]


def _with_error(made: Recorded) -> Recorded:
    """What a replay raises: the failed step's error, or that of a run that ended or waits outside of one."""
    run = made.run
    if run.status == "failed":
        failed = next((step for step in reversed(made.snapshots) if step.error and step.status == "failed"), None)
        if failed is not None:
            return replace(made, error_at=failed.step, error=failed.error)
        return _marked(made, run.error or {"code": "failed", "message": "the run failed"}, "failed")
    if run.status == "cancelled":
        reason = (run.error or {}).get("message") or "cancelled"
        return _marked(made, {"code": "CANCELLED", "message": str(reason)}, "cancelled")
    if run.status == "paused" and made.pause is not None:
        code, waits = {
            "client_tool": ("PAUSED_FOR_TOOL_CALLS", "the outputs of tool calls"),
            "approval": ("PAUSED_FOR_APPROVAL", "a human's decision"),
            "segment": ("PAUSED", "being told to go on"),
        }[made.pause.reason]
        return _marked(made, {"code": code, "message": f"the run waits for {waits}"}, "running")
    return made


def _marked(made: Recorded, error: dict[str, Any], status: Literal["failed", "cancelled", "running"]) -> Recorded:
    """The error at the step that was under way, at the next one, or at the last."""
    snapshots = list(made.snapshots)
    place = next((n for n, step in enumerate(snapshots) if step.status != "completed"), None)
    if place is not None:
        snapshots[place] = replace(snapshots[place], error=snapshots[place].error or error)
    else:
        begun = {step.step for step in snapshots}
        ids = _node_ids(made.run) or [made.run.name]
        following = next((id for id in ids if id not in begun), None)
        if following is None:
            place = len(snapshots) - 1
            snapshots[place] = replace(snapshots[place], error=error)
        else:
            at = made.run.ended if made.run.ended is not None else made.run.created
            nth = ids.index(following)
            snapshots.append(Step(made.run.id, following, "flow", following, status, at, error=error, place=nth))
            place = len(snapshots) - 1
    return replace(made, snapshots=tuple(snapshots), error_at=snapshots[place].step, error=snapshots[place].error)


def _pause(run: Run, snapshots: Sequence[Step], events: Sequence[ev.Event], ids: Sequence[str]) -> Pause | None:
    if run.status != "paused":
        return None
    inputs = {event.body.call: event.body for event in events if isinstance(event.body, ev.ToolInput)}
    pauses = [event.body for event in events if isinstance(event.body, ev.RunPaused)]
    if not pauses:
        return None
    done: dict[str, Any] = {}
    for event in events:  # the journal of an active run holds what the trace may not keep
        if event.step is not None and event.step in ids and isinstance(event.body, ev.StepCompleted):
            done[event.step] = event.body.output
    waiting = next((step.step for step in snapshots if step.status == "running"), None)
    step = waiting or next((id for id in ids if id not in done), ids[-1] if ids else run.name)
    last = pauses[-1]
    calls = tuple(PendingCall(call, inputs[call].name, inputs[call].input) for call in last.calls if call in inputs)
    rounds = sum(1 for each in pauses if each.reason == "client_tool")
    return Pause(last.reason, step, ids.index(step) if step in ids else 0, calls, rounds, done)


async def question(store: Store, run: Run) -> Item | None:
    """The message that the run answers; None once it has been edited away."""
    message = run.input.get("message")
    return await store.item(run.thread, message) if run.thread is not None and isinstance(message, str) else None


def _text(item: Item | None) -> str | None:
    if item is None:
        return None
    return "".join(part.get("text", "") for part in item.body.get("parts", ()) if part.get("type") == "text")


def _answer(events: Sequence[ev.Event]) -> str:
    """The text of the answer: that of all attempts that counted."""
    texts: dict[str, tuple[str | None, list[str]]] = {}
    for event in events:
        match event.body:
            case ev.StepRestarted():
                texts = {block: kept for block, kept in texts.items() if kept[0] != event.step}
            case ev.BlockStarted(block, "text"):
                texts[block] = (event.step, [])
            case ev.BlockDelta(block, delta) if block in texts:
                texts[block][1].append(delta)
            case _:
                pass
    return "".join(piece for _, pieces in texts.values() for piece in pieces)
