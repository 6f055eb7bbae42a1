"""Streams of the Noukai client: a run driven step by step, and the live trace of a run.

Async generators over the I/O port of a transport; the blocking shell runs them without an event loop.
Nothing is sent before the first event is asked for, and closing a generator lets go of its
connection. Every fault of a stream is a `NoukaiError`. Knows no event loop and no clock.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from dragoman.core.errors import BudgetSpent, ProtocolError, TransportError
from dragoman.noukai import codec
from dragoman.noukai.cassette import recorded_events
from dragoman.noukai.events import (
    FlowCompleted,
    RunStarted,
    StepCompleted,
    StepFailed,
    StepPaused,
    StepStarted,
    StreamEvent,
    ToolCallsRequired,
)
from dragoman.noukai.exceptions import APIConnectionError, APITimeoutError, NoukaiError, ReplayMissError
from dragoman.noukai.exchange import Call, fault, open_stream
from dragoman.noukai.models import SessionExecution, StepRequest
from dragoman.noukai.paths import flow_path, run_path
from dragoman.noukai.scopes import Placement
from dragoman.noukai.tools import Rounds, with_results
from dragoman.noukai.transport import AnyTransport
from dragoman.noukai.types import IDEMPOTENCY_HEADER, Address, VersionSpec
from dragoman.resilience.retry import Backoff, next_delay

_LOG = logging.getLogger("dragoman.noukai")

Events: TypeAlias = AsyncGenerator[StreamEvent, None]
Steps: TypeAlias = AsyncGenerator[StepCompleted | StepFailed, None]


async def _segment(transport: AnyTransport, call: Call, decoder: codec.EventDecoder) -> Events:
    """One answer's events. Raises APIConnectionError when it breaks, APITimeoutError when it falls silent."""
    stream = await open_stream(transport, call)
    try:
        async for piece in stream:
            for event in decoder.feed(piece):
                yield event
        for event in decoder.end():
            yield event
    except (TransportError, ProtocolError) as error:
        if isinstance(error, NoukaiError):
            raise
        raise fault(error, f"the stream of {call.method} {call.path}") from error
    finally:
        await stream.aclose()


# ------------------------------------------------------------------------------------- step by step


@dataclass(slots=True)
class Cursor:
    """How far a stepped run has come, and what its next segment must say."""

    request: StepRequest
    index: int = 0
    execution_id: str | None = None
    outputs: dict[str, Any] = field(default_factory=dict)
    tool_messages: list[dict[str, Any]] | None = None
    iterations_used: int = 0

    def next_request(self) -> StepRequest:
        """The body of the next segment; the input goes with the first one alone."""
        update: dict[str, Any] = {
            "step_index": self.index,
            "accumulated_outputs": dict(self.outputs),
            "tool_call_messages": self.tool_messages,
            "iterations_used": self.iterations_used,
            "execution_id": self.execution_id,
        }
        if self.execution_id is not None:
            update |= {"message": None, "messages": None, "parameters": {}, "attachments": None}
        self.tool_messages, self.iterations_used = None, 0
        return self.request.model_copy(update=update)

    def follow(self, event: StreamEvent) -> None:
        """Take an event into account, and stamp it with its place in the whole flow."""
        if event.execution_id and self.execution_id is None:
            self.execution_id = event.execution_id
        match event:
            case RunStarted():
                self.execution_id = event.execution_id or self.execution_id
            case StepStarted():
                event.step_index = self.index
            case StepCompleted():
                event.step_index = self.index
                self.outputs[event.step_id] = event.output
                self.index += 1
            case StepPaused():
                event.step_index = max(self.index - 1, 0)
            case ToolCallsRequired():
                self.execution_id = event.execution_id or self.execution_id
                if "step_index" in event.model_fields_set:
                    self.index = event.step_index
                else:
                    event.step_index = self.index
                self.outputs.update(event.accumulated_outputs)

    def answer(self, event: ToolCallsRequired, results: list[dict[str, Any]]) -> None:
        """Have the next segment bring the results of a pause."""
        self.tool_messages = with_results(event.tool_call_messages, results)
        self.iterations_used = event.iterations_used


async def events(
    transport: AnyTransport,
    flow: Address,
    version: VersionSpec | None,
    request: StepRequest,
    *,
    rounds: Rounds | None,
    placement: Placement,
) -> Events:
    if placement.claim is not None:
        async with aclosing(_replayed(await placement.claim.take(codec.input_hash(request)))) as replayed:
            async for event in replayed:
                yield event
        return
    cursor = Cursor(request)
    path = f"{flow_path(flow, version)}/step"
    # a run that a key makes outlive its connection would run on behind whoever leaves, but for its pauses
    headers = placement.headers | ({} if request.run_remaining else {IDEMPOTENCY_HEADER: str(uuid.uuid4())})
    while True:
        call = Call("POST", path, codec.encode_request(cursor.next_request()), headers=headers)
        headers = placement.session_headers
        again = False
        segment = _lasting(transport, call, cursor)
        try:
            async for event in segment:
                cursor.follow(event)
                if isinstance(event, ToolCallsRequired):
                    if rounds is not None:
                        cursor.answer(event, await rounds.answer(event.tool_calls, event.execution_id))
                        again = True
                    else:
                        results: list[list[dict[str, Any]]] = []
                        event._stage = results.append
                        yield event
                        if results:
                            cursor.answer(event, results[-1])
                            again = True
                    break
                yield event
                if isinstance(event, StepPaused):
                    again = True
                    break
                if isinstance(event, StepFailed | FlowCompleted):
                    break
            else:
                _LOG.warning("the stream of %s ended before the run did", path)
        except NoukaiError as error:
            if error.execution_id is None:
                error.execution_id = error.run_id = cursor.execution_id
            raise
        finally:
            await segment.aclose()
        if again and cursor.execution_id is None:
            raise NoukaiError("the server paused a run without ever naming it", code="INVALID_ANSWER")
        if not again:
            return


async def _replayed(recorded: SessionExecution) -> Events:
    """The events of a recorded run; a pause that is answered here, and was not then, is a miss."""
    for event in recorded_events(recorded):
        if not isinstance(event, ToolCallsRequired):
            yield event
            continue
        staged: list[list[dict[str, Any]]] = []
        event._stage = staged.append
        yield event
        if staged:
            raise ReplayMissError(f"run {recorded.execution_id!r} was never resumed when it was recorded")


async def _lasting(transport: AnyTransport, call: Call, cursor: Cursor) -> Events:
    """A segment that is asked for again when its answer is lost, if the server knows what was asked before.

    The events that came before are passed over the second time. Whatever is not told the same way
    again leaves the first fault as it is.
    """
    seen: list[tuple[str, str | None, str | None]] = []
    attempt = 0
    while True:
        place = 0
        segment = _segment(transport, call, codec.EventDecoder())
        try:
            async for event in segment:
                mark = (event.event_type, event.execution_id, getattr(event, "step_id", None))
                if place < len(seen):
                    if seen[place] != mark:
                        raise APIConnectionError(
                            "the stream broke, and the server told something else when asked again",
                            code="CONNECTION",
                            execution_id=cursor.execution_id,
                        )
                    place += 1
                    continue
                place += 1
                seen.append(mark)
                yield event
            return
        except APIConnectionError as error:
            known = "executionId" in call.body or IDEMPOTENCY_HEADER in call.headers
            if (
                not (transport.options.repeats and known)
                or isinstance(error, APITimeoutError)
                or error.__cause__ is None
            ):
                raise
            await _before_again(transport, call, attempt, error)
            attempt += 1
        finally:
            await segment.aclose()


async def _before_again(transport: AnyTransport, call: Call, attempt: int, error: NoukaiError) -> None:
    """Wait before a stream is asked for again; raises `error` when it was asked for often enough."""
    policy = Backoff(transport.options.max_retries, base=1.0, factor=4.0, ceiling=3600.0, jitter=0.0)
    try:
        delay = next_delay(attempt, policy, random=lambda: 0.5)
    except BudgetSpent:
        raise error from error.__cause__
    told = {"method": call.method, "path": call.path, "attempt": attempt + 1, "status_code": None, "delay": delay}
    transport.emit({"phase": "retry", **told, "streaming": True})
    await transport.io().sleep(delay)


async def steps(source: Events) -> Steps:
    """Only the ends of steps. Raises NoukaiError, code `TOOL_CALLS_REQUIRED`, at a pause nobody answers."""
    try:
        async for event in source:
            if isinstance(event, StepCompleted | StepFailed):
                yield event
            elif isinstance(event, ToolCallsRequired):
                raise NoukaiError(
                    f"step {event.step_id!r} waits for tools: pass tool_handler= to steps(), or use events()",
                    code="TOOL_CALLS_REQUIRED",
                    execution_id=event.execution_id,
                )
    finally:
        await source.aclose()


# -------------------------------------------------------------------------------------- live traces


async def live_trace(transport: AnyTransport, flow: Address, execution_id: str) -> Events:
    path = f"{run_path(flow, execution_id)}/stream"
    last_id = ""
    attempt = 0
    while True:
        headers = {"Last-Event-ID": last_id} if last_id else {}
        decoder = codec.EventDecoder()
        segment = _segment(transport, Call("GET", path, headers=headers), decoder)
        try:
            async for event in segment:
                if decoder.last_event_id and decoder.last_event_id != last_id:
                    last_id, attempt = decoder.last_event_id, 0
                yield event
            return
        except APIConnectionError as error:
            if not last_id or isinstance(error, APITimeoutError) or error.__cause__ is None:
                raise
            await _before_again(transport, Call("GET", path), attempt, error)
            attempt += 1
        finally:
            await segment.aclose()
