"""A recorded session that answers calls instead of a server.

A call's key is organisation, project, slug, trigger and position; the position is fixed when the call
is made. Recordings that carry the position they had (`callIndex`) are found by it, others by their
order, and where such calls overlapped by what they were given. What a call says is not compared
otherwise: replay shows what the code does now with what the flows did then. Knows no scopes.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from dragoman.noukai.events import (
    FlowCompleted,
    RunStarted,
    StepCompleted,
    StepFailed,
    StepStarted,
    StreamEvent,
    ToolCallsRequired,
)
from dragoman.noukai.exceptions import (
    FlowExecutionError,
    ReplayLeftoverError,
    ReplayMissError,
    ReplayNoSnapshotsError,
)
from dragoman.noukai.models import (
    ExecuteResult,
    JobStatus,
    PausedResult,
    SessionExecution,
    SessionResponse,
    SessionStep,
)
from dragoman.noukai.sessions import fetch_session
from dragoman.noukai.transport import AnyTransport
from dragoman.noukai.types import Address, Trigger

_OPTIONAL = ("pending", "cancelled")
"""States of runs that a replay need not use: nothing came of them."""


@dataclass(slots=True)
class Claim:
    """A call's right to a recording: made when the call is made, used when it runs. `transport` is the caller's."""

    cassette: Cassette
    transport: AnyTransport
    flow: Address
    trigger: Trigger
    position: int
    other_session: str | None
    overlaps: bool = False

    async def take(self, input_hash: str) -> SessionExecution:
        """The recording. Raises ReplayMissError if there is none."""
        return await self.cassette.take(self, input_hash)


@dataclass(slots=True)
class Cassette:
    """A session, and which of its recordings have been used."""

    session: SessionResponse
    used: set[str] = field(default_factory=set)
    _waiting: dict[tuple[Address, Trigger], list[Claim]] = field(default_factory=dict)

    def claim(
        self, transport: AnyTransport, flow: Address, trigger: Trigger, position: int, other_session: str | None
    ) -> Claim:
        """Note a call that is being made."""
        claim = Claim(self, transport, flow, trigger, position, other_session)
        waiting = self._waiting.setdefault((flow, trigger), [])
        if waiting:
            for each in (*waiting, claim):
                each.overlaps = True
        waiting.append(claim)
        return claim

    async def take(self, claim: Claim, input_hash: str) -> SessionExecution:
        waiting = self._waiting[claim.flow, claim.trigger]
        waiting.remove(claim)
        if claim.other_session is None:
            found = self._find(claim, input_hash)
            if found is None:
                raise self._miss(claim)
            self.used.add(found.execution_id)
            return found
        instead = self._find(claim, input_hash)
        if instead is not None:  # counts as used, for the place in this session is taken
            self.used.add(instead.execution_id)
        session = await fetch_session(claim.transport, claim.other_session)
        first = next(candidates(session, claim.flow, claim.trigger), None)
        if first is None:
            raise ReplayMissError(
                f"session {claim.other_session!r} has no {claim.trigger} recording of {str(claim.flow)!r}"
            )
        return first

    def _find(self, claim: Claim, input_hash: str) -> SessionExecution | None:
        found = list(candidates(self.session, claim.flow, claim.trigger))
        free = [each for each in found if each.execution_id not in self.used]
        if found and all(each.call_index is not None for each in found):
            return next((each for each in free if each.call_index == claim.position), None)
        if claim.overlaps:
            warnings.warn(
                f"concurrent calls of {str(claim.flow)!r}: this session does not say in which order they were made",
                UserWarning,
                stacklevel=2,
            )
            like = next((each for each in free if each.input_hash == input_hash), None)
            if like is not None:
                return like
        if claim.position < len(found) and found[claim.position] in free:
            return found[claim.position]
        return free[0] if claim.overlaps and free else None

    def _miss(self, claim: Claim) -> ReplayMissError:
        count = sum(1 for _ in candidates(self.session, claim.flow, claim.trigger))
        nameless = sum(1 for each in self.session.executions if each.slug is None)
        note = f" {nameless} more belong to a deleted flow and match no call." if nameless else ""
        return ReplayMissError(
            f"call {claim.position + 1} of {str(claim.flow)!r} ({claim.trigger}) has no recording: session"
            f" {self.session.session_id!r} has {count} of them, and the code makes other calls than then.{note}"
        )

    def check_leftovers(self) -> None:
        """Raises ReplayLeftoverError for recordings that no call has used; jobs may stay unused."""
        left = [
            each
            for each in self.session.executions
            if each.execution_id not in self.used and each.trigger_type != "job" and each.status not in _OPTIONAL
        ]
        if left:
            counts = Counter(f"{each.slug} ({each.trigger_type})" for each in left)
            named = ", ".join(f"{count} of {name}" for name, count in counts.items())
            raise ReplayLeftoverError(
                f"session {self.session.session_id!r} has recordings that no call has used: {named}",
                response_body=[each.execution_id for each in left],
            )


def candidates(session: SessionResponse, flow: Address, trigger: Trigger) -> Iterator[SessionExecution]:
    """The recordings of calls like this one, in their order."""
    for each in session.executions:
        if each.trigger_type != trigger or each.slug != flow.slug:
            continue
        if each.org in (None, flow.org) and each.project in (None, flow.project):
            yield each


# ------------------------------------------------------------------------------ recordings as answers


def check_whole(recorded: SessionExecution) -> None:
    """Raises ReplayNoSnapshotsError if the recording has been cut."""
    for step in recorded.steps:
        if step.truncated:
            raise ReplayNoSnapshotsError(
                f"step {step.step_id!r} of run {recorded.execution_id!r} was too large to be recorded in full",
                execution_id=recorded.execution_id,
            )


def _failed_step(recorded: SessionExecution) -> SessionStep | None:
    named = [step for step in recorded.steps if step.step_id == recorded.error_at_step and step.error_snapshot]
    return named[-1] if named else None


def recorded_error(recorded: SessionExecution) -> FlowExecutionError | None:
    """The error that the run ended with; None if it did not fail."""
    id = recorded.execution_id
    if recorded.status == "cancelled":
        return FlowExecutionError(f"run {id!r} was cancelled when it was recorded", code="CANCELLED", execution_id=id)
    if recorded.error_at_step is None and recorded.status != "failed":
        return None
    step = _failed_step(recorded)
    said = (step.error_snapshot if step else None) or {}
    message = said.get("message") or f"run {id!r} failed when it was recorded, at step {recorded.error_at_step!r}"
    return FlowExecutionError(str(message), code=said.get("code"), execution_id=id)


def recorded_result(recorded: SessionExecution) -> ExecuteResult | PausedResult:
    """What `execute` returned then, or raises what it raised."""
    check_whole(recorded)
    if recorded.pause is not None:
        return recorded.pause.model_copy()
    error = recorded_error(recorded)
    if error is not None:
        raise error
    if recorded.status in ("pending", "running"):
        raise ReplayNoSnapshotsError(
            f"run {recorded.execution_id!r} had not ended when the session was fetched",
            execution_id=recorded.execution_id,
        )
    return ExecuteResult(
        status="completed",
        result=recorded.result,
        flow_id=recorded.flow_id or "",
        block_count=len(recorded.steps) or 1,
        execution_id=recorded.execution_id,
    )


def recorded_job(recorded: SessionExecution) -> JobStatus:
    """How the job ended then, or the state in which it was."""
    check_whole(recorded)
    error = recorded_error(recorded)
    if error is None:
        ended = recorded.status == "completed"
        return JobStatus(
            execution_id=recorded.execution_id, status=recorded.status, result=recorded.result if ended else None
        )
    text = f"{error.code}: {error.message}" if error.code else error.message
    return JobStatus(execution_id=recorded.execution_id, status="failed", error=text)


def recorded_events(recorded: SessionExecution) -> Iterator[StreamEvent]:
    """The stream of the run: its start, start and end of each step, and its end, without delay.

    A failed run ends with the StepFailed, as a live stream does; a cancelled one raises at its end.
    """
    check_whole(recorded)
    id = recorded.execution_id
    yield RunStarted(execution_id=id, flow_id=recorded.flow_id, step_count=len(recorded.steps))
    failed = _failed_step(recorded) if recorded.status != "cancelled" and recorded.pause is None else None
    for index, step in enumerate(recorded.steps):
        yield StepStarted(execution_id=id, step_id=step.step_id, name=step.name, step_index=index)
        if step is failed:
            yield StepFailed(execution_id=id, step_id=step.step_id, name=step.name, error=step.error_snapshot)
            return
        if recorded.pause is not None and step.step_id == recorded.pause.paused_at_step:
            break
        yield StepCompleted(execution_id=id, step_id=step.step_id, name=step.name, step_index=index, output=step.output)
    if recorded.pause is not None:
        yield _recorded_pause(recorded, recorded.pause)
        return
    error = recorded_error(recorded)
    if error is not None:
        raise error
    yield FlowCompleted(execution_id=id, result=recorded.result)


def _recorded_pause(recorded: SessionExecution, pause: PausedResult) -> ToolCallsRequired:
    ids = [step.step_id for step in recorded.steps]
    return ToolCallsRequired(
        execution_id=recorded.execution_id,
        step_id=pause.paused_at_step,
        step_index=ids.index(pause.paused_at_step) if pause.paused_at_step in ids else len(ids),
        iterations_used=pause.iterations_used,
        tool_call_messages=pause.tool_call_messages,
        tool_calls=pause.tool_calls,
        accumulated_outputs=pause.accumulated_outputs,
    )
