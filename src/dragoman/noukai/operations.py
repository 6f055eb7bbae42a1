"""Every plain call of the Noukai client, once, for the awaiting and the blocking shell alike.

Coroutines over the I/O port of a transport; besides it they await only a user's async tool handler,
which the blocking shell refuses. Calls within a replay are answered by the recording. Streams are in
`stepping`. What each call is for is told where users read it, in `client`. Knows no event loop, no
clock and no HTTP library.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from dragoman.noukai import codec
from dragoman.noukai.cassette import recorded_job, recorded_result
from dragoman.noukai.exceptions import (
    APITimeoutError,
    FlowNotFoundError,
    NoukaiError,
    ReplayMissError,
)
from dragoman.noukai.exchange import Call, send
from dragoman.noukai.models import (
    ExecuteRequest,
    ExecuteResult,
    JobAccepted,
    JobStatus,
    PausedResult,
    StepAttempts,
    StepTrace,
    Trace,
)
from dragoman.noukai.paths import flow_path, job_path, run_path, step_path, version_name
from dragoman.noukai.scopes import Placement
from dragoman.noukai.spans import Span
from dragoman.noukai.tools import Rounds, settle, with_results
from dragoman.noukai.transport import AnyTransport
from dragoman.noukai.types import (
    FEATURES_HEADER,
    IDEMPOTENCY_HEADER,
    JOB_GRACE,
    JOB_TOOLS,
    Address,
    Attempt,
    VersionSpec,
)

_FEATURES = {FEATURES_HEADER: JOB_TOOLS}
"""Says that we know what a job's pause for tools is; on a submission, that there is somebody to answer it."""


def _fresh(
    transport: AnyTransport, path: str, body: ExecuteRequest, headers: dict[str, str], timeout: float | None
) -> Call:
    """A call that begins a run, under a key by which the server knows a repeat of it."""
    keyed = {**headers, IDEMPOTENCY_HEADER: str(uuid.uuid4())}
    encoded = codec.encode_request(body)
    return Call("POST", path, encoded, timeout, keyed, repeatable=transport.options.repeats)


# --------------------------------------------------------------------------------------- execute


async def execute(
    transport: AnyTransport,
    flow: Address,
    version: VersionSpec | None,
    request: ExecuteRequest,
    *,
    rounds: Rounds | None,
    placement: Placement,
    timeout: float | None,
) -> ExecuteResult | PausedResult:
    spans = transport.options.spans
    with spans.call("execute", flow, version_name(version)) as span:
        result = await _execute(transport, flow, version, request, rounds, placement, timeout)
        span.ended(result.execution_id, result.status)
        if spans.steps and placement.claim is None and isinstance(result, ExecuteResult) and result.execution_id:
            await _add_steps(transport, flow, result.execution_id, span)
        return result


async def _execute(
    transport: AnyTransport,
    flow: Address,
    version: VersionSpec | None,
    request: ExecuteRequest,
    rounds: Rounds | None,
    placement: Placement,
    timeout: float | None,
) -> ExecuteResult | PausedResult:
    path = f"{flow_path(flow, version)}/execute"

    async def go_on(body: ExecuteRequest) -> ExecuteResult | PausedResult:
        if placement.claim is not None:
            raise ReplayMissError(
                f"run {body.execution_id!r} was never resumed when it was recorded", execution_id=body.execution_id
            )
        # the same results for the same pause are answered as they were the first time
        again = transport.options.repeats
        call = Call("POST", path, codec.encode_request(body), timeout, placement.session_headers, repeatable=again)
        answer = await send(transport, call)
        return codec.decode_result(answer.body, request_id=answer.request_id)

    if placement.claim is not None:
        result = recorded_result(await placement.claim.take(codec.input_hash(request)))
        rounds = None  # what the tools gave then is part of what was recorded
    else:
        answer = await send(transport, _fresh(transport, path, request, placement.headers, timeout))
        result = codec.decode_result(answer.body, request_id=answer.request_id)
    return await settle(
        result,
        request=request,
        post=go_on,
        rounds=rounds,
        session_id=placement.session_id,
        blocking=transport.blocking,
    )


async def _add_steps(transport: AnyTransport, flow: Address, execution_id: str, span: Span) -> None:
    try:
        found = await get_trace(transport, flow, execution_id, None)
    except NoukaiError:
        return  # the call itself went well
    span.add_steps(found.steps)


# ------------------------------------------------------------------------------------------ jobs


@dataclass(slots=True)
class JobState:
    """A job as its client knows it. `recorded` answers in a replay; `request` and `rounds` are for its tools.

    `submitted_at` is a time of the I/O port, None for a job that was taken up again.
    """

    transport: AnyTransport
    flow: Address
    execution_id: str
    flow_id: str
    submitted_at: float | None = None
    session_id: str | None = None
    recorded: JobStatus | None = None
    request: ExecuteRequest | None = None
    rounds: Rounds | None = None
    last: JobStatus | None = None


async def submit(
    transport: AnyTransport,
    flow: Address,
    version: VersionSpec | None,
    request: ExecuteRequest,
    *,
    rounds: Rounds | None,
    placement: Placement,
    timeout: float | None,
) -> JobState:
    with transport.options.spans.call("execute_async", flow, version_name(version)) as span:
        state = await _submit(transport, flow, version, request, rounds, placement, timeout)
        span.ended(state.execution_id, state.last.status if state.last else None)
        return state


async def _submit(
    transport: AnyTransport,
    flow: Address,
    version: VersionSpec | None,
    request: ExecuteRequest,
    rounds: Rounds | None,
    placement: Placement,
    timeout: float | None,
) -> JobState:
    if placement.claim is not None:
        recorded = await placement.claim.take(codec.input_hash(request))
        status = recorded_job(recorded)
        return JobState(
            transport,
            flow,
            recorded.execution_id,
            recorded.flow_id or "",
            session_id=placement.session_id,
            recorded=status,
            last=status,
        )
    state = JobState(transport, flow, "", "", session_id=placement.session_id, request=request, rounds=rounds)
    headers = placement.headers | (_FEATURES if request.tools else {})
    answer = await send(transport, _fresh(transport, f"{flow_path(flow, version)}/jobs", request, headers, timeout))
    accepted = codec.decode_answer(answer.body, JobAccepted, request_id=answer.request_id)
    state.execution_id, state.flow_id = accepted.execution_id, accepted.flow_id
    state.submitted_at = transport.io().now()
    state.last = JobStatus(execution_id=accepted.execution_id, status=accepted.status)
    return state


async def poll_job(state: JobState, timeout: float | None) -> JobStatus:
    if state.recorded is not None:
        return state.recorded
    call = Call(
        "GET",
        job_path(state.flow, state.execution_id),
        timeout=timeout,
        headers=_FEATURES,
        repeatable=True,
    )
    try:
        answer = await send(state.transport, call)
    except FlowNotFoundError:
        if state.submitted_at is None or state.transport.io().now() - state.submitted_at > JOB_GRACE:
            raise
        return JobStatus(execution_id=state.execution_id, status="pending")
    state.last = codec.decode_answer(answer.body, JobStatus, request_id=answer.request_id)
    return state.last


async def wait_for_job(state: JobState, timeout: float, poll_interval: float) -> JobStatus:
    if state.recorded is not None:
        return state.recorded
    io = state.transport.io()
    deadline = io.now() + timeout
    while True:
        left = deadline - io.now()
        status = await poll_job(state, min(state.transport.options.timeout, max(left, 1.0)))
        if status.status == "tool_calls_required":
            if state.rounds is None:
                return status
            results = await state.rounds.answer(status.tool_calls, state.execution_id)
            status = await resume_job(state, results, None)
        if status.done:
            return status
        left = deadline - io.now()
        if left <= 0:
            raise APITimeoutError(
                f"job {state.execution_id!r} was {status.status} after {timeout:g} s",
                code="JOB_WAIT_TIMEOUT",
                execution_id=state.execution_id,
            )
        await io.sleep(min(poll_interval, left))


async def resume_job(state: JobState, results: list[dict[str, Any]], timeout: float | None) -> JobStatus:
    paused = state.last
    if paused is None or paused.status != "tool_calls_required":
        raise RuntimeError("a job is resumed after poll() or wait() has shown tool_calls_required")
    request = (state.request or ExecuteRequest()).model_copy(
        update={
            "message": None,
            "messages": None,
            "execution_id": state.execution_id,
            "paused_at_step": paused.paused_at_step,
            "iterations_used": paused.iterations_used,
            "tool_call_messages": with_results(paused.tool_call_messages, results),
            "accumulated_outputs": paused.accumulated_outputs,
        }
    )
    path = job_path(state.flow, state.execution_id, "resume")
    again = state.transport.options.repeats
    call = Call("POST", path, codec.encode_request(request), timeout, _FEATURES, repeatable=again)
    answer = await send(state.transport, call)
    state.last = codec.decode_answer(answer.body, JobStatus, request_id=answer.request_id)
    return state.last


async def cancel_job(state: JobState, timeout: float | None) -> JobStatus:
    if state.recorded is not None:
        return state.recorded
    call = Call("POST", job_path(state.flow, state.execution_id, "cancel"), timeout=timeout, repeatable=True)
    answer = await send(state.transport, call)
    state.last = codec.decode_answer(answer.body, JobStatus, request_id=answer.request_id)
    return state.last


# ---------------------------------------------------------------------------------------- traces


async def get_trace(transport: AnyTransport, flow: Address, execution_id: str, timeout: float | None) -> Trace:
    answer = await send(transport, Call("GET", run_path(flow, execution_id), timeout=timeout, repeatable=True))
    return codec.decode_answer(answer.body, Trace, request_id=answer.request_id)


async def get_step_trace(
    transport: AnyTransport,
    flow: Address,
    execution_id: str,
    step_id: str,
    *,
    attempt: Attempt,
    loop_index: int | None,
    timeout: float | None,
) -> StepTrace | StepAttempts:
    path = step_path(flow, execution_id, step_id, attempt, loop_index)
    answer = await send(transport, Call("GET", path, timeout=timeout, repeatable=True))
    if attempt == "all":
        return codec.decode_answer(answer.body, StepAttempts, request_id=answer.request_id)
    return codec.decode_answer(answer.body, StepTrace, request_id=answer.request_id)
