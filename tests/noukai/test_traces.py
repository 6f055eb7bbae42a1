"""Traces of runs, whole, by step, and live."""

from __future__ import annotations

from typing import Any

import pytest
from tests.noukai.shells import FLOW, Shell, answer, frame, kinds, path_of, refusal, scripted

from dragoman.core.errors import ConnectionLost
from dragoman.noukai import APIConnectionError, FlowNotFoundError, StepAttempts, StepTrace

STEP = {
    "stepId": "ask",
    "attempt": 2,
    "loopIndex": None,
    "status": "completed",
    "startedAt": "2026-01-05T10:00:00Z",
    "completedAt": "2026-01-05T10:00:01Z",
    "durationMs": 1000,
    "modelUsed": "m",
    "tokens": {"prompt": 1, "completion": 2, "total": 3},
    "costUsd": "0.001",
    "inputContext": {"message": "hi"},
    "outputContext": {"output": "HI"},
    "errorContext": None,
    "inputSizeBytes": 10,
    "outputSizeBytes": 11,
    "truncated": False,
}
RUN = {"id": "r1", "flowId": "f1", "status": "completed", "triggerType": "execute", "durationMs": 9, "stepCount": 1}
BASE_PATH = "/seq/acme/spelling/grade-3/runs/r1"


@pytest.mark.requirement("NOU-28")
async def test_the_trace_of_a_run(shell: Shell) -> None:
    io = scripted(answer({"flowRun": RUN, "steps": [STEP]}))
    run = shell.client(io).flow(FLOW).run("r1")
    assert run.execution_id == "r1"
    trace = await shell.call(run.trace, timeout=3.0)
    assert trace.summary is trace.flow_run
    assert (trace.summary.id, trace.summary.trigger_type, trace.summary.step_count) == ("r1", "execute", 1)
    [step] = trace.steps
    assert (step.step_id, step.attempt, step.model_used, step.tokens.total, step.cost_usd) == (
        "ask",
        2,
        "m",
        3,
        "0.001",
    )
    assert step.model_dump(by_alias=True) == STEP
    assert (path_of(io.requests[0]), io.requests[0].timeouts.read) == (f"{BASE_PATH}/trace", 3.0)


@pytest.mark.requirement("NOU-29")
@pytest.mark.parametrize(
    ("arguments", "query"),
    [
        ({}, ""),
        ({"attempt": "latest"}, ""),
        ({"attempt": 2}, "?attempt=2"),
        ({"loop_index": 0}, "?loop_index=0"),
        ({"attempt": 1, "loop_index": 3}, "?attempt=1&loop_index=3"),
    ],
)
async def test_one_attempt_of_a_step(shell: Shell, arguments: dict[str, Any], query: str) -> None:
    io = scripted(answer(STEP))
    step = await shell.call(shell.client(io).flow(FLOW).run("r1").step_trace, "ask", **arguments)
    assert isinstance(step, StepTrace)
    assert path_of(io.requests[0]) == f"{BASE_PATH}/steps/ask/trace{query}"


@pytest.mark.requirement("NOU-29")
async def test_all_attempts_of_a_step(shell: Shell) -> None:
    io = scripted(answer({"stepId": "ask", "attempts": [{**STEP, "attempt": 1}, STEP]}))
    found = await shell.call(shell.client(io).flow(FLOW).run("r1").step_trace, "ask", attempt="all")
    assert isinstance(found, StepAttempts)
    assert [attempt.attempt for attempt in found.attempts] == [1, 2]
    assert path_of(io.requests[0]).endswith("?attempt=all")


@pytest.mark.requirement("NOU-28")
async def test_an_unknown_run_is_not_found(shell: Shell) -> None:
    client = shell.client(scripted(refusal(404, "RUN_NOT_FOUND")))
    with pytest.raises(FlowNotFoundError):
        await shell.call(client.flow(FLOW).run("r9").trace)


@pytest.mark.requirement("NOU-30", "NOU-31")
async def test_a_live_trace_tells_everything_and_goes_on_after_a_failed_step(shell: Shell) -> None:
    frames = [
        frame("run_started"),
        frame("step_started", stepId="a", stepIndex=4),
        b": keep\n\n",
        frame("step_error", stepId="a"),
        frame("flow_completed", result=None, summary={"failed_at_step": "a"}),
    ]
    io = scripted(frames)
    events = await shell.events(shell.client(io).flow(FLOW).run("r1").live_trace())
    assert kinds(events) == ["run_started", "step_started", "step_error", "flow_completed"]
    assert events[1].step_index == 4
    assert (io.requests[0].method, path_of(io.requests[0])) == ("GET", f"{BASE_PATH}/trace/stream")


def numbered(number: int, kind: str, **fields: Any) -> bytes:
    return b"id: %d\n" % number + frame(kind, **fields)


@pytest.mark.requirement("NOU-97")
async def test_a_broken_live_trace_goes_on_after_the_last_id(shell: Shell) -> None:
    io = scripted(
        [
            numbered(1, "run_started"),
            numbered(2, "step_started", stepId="a"),
            b"id: 3\ndata: {",
            ConnectionLost("gone"),
        ],
        [numbered(3, "step_completed", stepId="a"), ConnectionLost("gone")],
        [numbered(4, "flow_completed")],
    )
    events = await shell.events(shell.client(io).flow(FLOW).run("r1").live_trace())
    assert kinds(events) == ["run_started", "step_started", "step_completed", "flow_completed"]
    assert [request.headers.get("last-event-id") for request in io.requests] == [None, "2", "3"]
    assert io.sleeps == [1.0, 1.0]


@pytest.mark.requirement("NOU-97")
async def test_it_gives_up_where_there_are_no_ids_or_no_retries(shell: Shell) -> None:
    io = scripted([frame("run_started"), ConnectionLost("gone")])
    with pytest.raises(APIConnectionError):
        await shell.events(shell.client(io).flow(FLOW).run("r1").live_trace())
    io = scripted([numbered(1, "run_started"), ConnectionLost("gone")], ConnectionLost("again"), ConnectionLost("more"))
    with pytest.raises(APIConnectionError):
        await shell.events(shell.client(io, max_retries=1).flow(FLOW).run("r1").live_trace())
    assert len(io.requests) == 2
