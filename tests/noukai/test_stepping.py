"""`steps` and `events`: the segments of a run."""

from __future__ import annotations

from typing import Any

import pytest
from tests.noukai.shells import FIRST, FLOW, SECOND, Awaiting, Shell, body_of, frame, kinds, scripted, streamed

from dragoman.core.errors import ConnectionFailed, ConnectionLost, TimedOut
from dragoman.noukai import APIConnectionError, APITimeoutError, FlowExecutionError, NoukaiError, RateLimitError
from dragoman.wire.http import Headers, Response

ALL = [
    "run_started",
    "step_started",
    "step_input",
    "step_output",
    "step_completed",
    "step_paused",
    "step_started",
    "step_completed",
    "flow_completed",
]


@pytest.mark.requirement("NOU-11", "NOU-72")
async def test_events_of_all_segments_in_their_order(shell: Shell) -> None:
    io = scripted(streamed(*FIRST), streamed(*SECOND))
    flow = shell.client(io).flow(FLOW)
    events = await shell.events(flow.events("hi", parameters={"a": 1}, input_overrides={"upper": {"b": 2}}))
    assert kinds(events) == ALL
    assert [event.event_type for event in events] == ALL
    assert events[0].step_count == 2
    assert events[2].input_data == {"message": "hi"}
    assert events[3].output_data == "HI"
    assert (events[4].output, events[4].duration_ms, events[4].tokens, events[4].cost_usd) == ("HI", 4, None, "0.1")
    assert [event.step_index for event in events if hasattr(event, "step_index")] == [0, 0, 0, 1, 1]
    assert (events[-1].result, events[-1].summary) == ("HI!", {"stepCount": 2})
    assert body_of(io, 0) == {
        "message": "hi",
        "parameters": {"a": 1},
        "stepIndex": 0,
        "accumulatedOutputs": {},
        "inputOverrides": {"upper": {"b": 2}},
        "runRemaining": False,
        "iterationsUsed": 0,
        "trace": False,
    }
    assert body_of(io, 1) == {
        "executionId": "r1",
        "stepIndex": 1,
        "accumulatedOutputs": {"upper": "HI"},
        "parameters": {},
        "inputOverrides": {"upper": {"b": 2}},
        "runRemaining": False,
        "iterationsUsed": 0,
        "trace": False,
    }
    assert io.open_streams == []


@pytest.mark.requirement("NOU-10")
async def test_steps_are_the_ends_of_steps(shell: Shell) -> None:
    io = scripted(streamed(*FIRST), streamed(*SECOND))
    steps = await shell.events(shell.client(io).flow(FLOW).steps("hi"))
    assert [(step.name, step.output, step.step_index) for step in steps] == [("upper", "HI", 0), ("exclaim", "HI!", 1)]


@pytest.mark.requirement("NOU-12")
async def test_run_remaining_is_asked_for_once(shell: Shell) -> None:
    io = scripted(streamed(*FIRST[:5], *SECOND))
    events = await shell.events(shell.client(io).flow(FLOW).events("hi", run_remaining=True))
    assert kinds(events) == [kind for kind in ALL if kind != "step_paused"]
    assert body_of(io)["runRemaining"] is True


@pytest.mark.requirement("NOU-14", "NOU-98")
async def test_leaving_early_lets_go_of_the_connection(shell: Shell) -> None:
    io = scripted(streamed(*FIRST))
    event = await shell.first(shell.client(io).flow(FLOW).events("hi"))
    assert event.type == "run_started"
    assert io.open_streams == []
    assert len(io.requests) == 1


@pytest.mark.requirement("NOU-14")
async def test_nothing_is_sent_before_the_first_event_is_asked_for(shell: Shell) -> None:
    io = scripted()
    assert shell.client(io).flow(FLOW).events("hi") is not None
    assert io.requests == []


@pytest.mark.requirement("NOU-15")
async def test_a_failed_step_is_the_last_event(shell: Shell) -> None:
    failed = frame("step_error", stepId="second", name="second", error={"code": "STEP_FAILED", "message": "m"})
    script = streamed(FIRST[0], failed, frame("flow_completed", result=None))
    events = await shell.events(shell.client(scripted(script)).flow(FLOW).events("hi"))
    assert kinds(events) == ["run_started", "step_error"]
    assert events[-1].error == {"code": "STEP_FAILED", "message": "m"}
    [step] = await shell.events(shell.client(scripted(script)).flow(FLOW).steps("hi"))
    assert (step.type, step.name, step.output, step.duration_ms) == ("step_error", "second", None, None)


@pytest.mark.requirement("NOU-98")
async def test_frames_with_few_fields_do_not_stall_the_run(shell: Shell) -> None:
    def bare(kind: str, **fields: Any) -> bytes:
        return frame(kind, runId=None, **fields)

    first = [bare("flow_started"), bare("step_completed", stepId="a", output=1, costUsd=0.5), bare("step_paused")]
    io = scripted(streamed(*first), streamed(bare("flow_completed")))
    events = await shell.events(shell.client(io).flow(FLOW).events("hi"))
    assert kinds(events) == ["run_started", "step_completed", "step_paused", "flow_completed"]
    assert {event.run_id for event in events} == {"r1"}
    assert events[1].cost_usd == "0.5"
    assert (body_of(io, 1)["executionId"], body_of(io, 1)["stepIndex"]) == ("r1", 1)


@pytest.mark.requirement("NOU-98")
async def test_bad_frames_are_passed_over_with_one_warning(shell: Shell, caplog: pytest.LogCaptureFixture) -> None:
    bad = [b"data: {no\n\n", b'data: {"eventType": "step_completed"}\n\n', b"data: 1\n\n"]
    quiet = [frame("step_progress"), frame("loop_completed"), b'data: {"eventType": "something_new"}\n\n']
    io = scripted(streamed(FIRST[0], *bad, *quiet, SECOND[-1]))
    events = await shell.events(shell.client(io).flow(FLOW).events("hi"))
    assert kinds(events) == ["run_started", "flow_completed"]
    assert len([each for each in caplog.records if each.levelname == "WARNING"]) == 1


@pytest.mark.requirement("NOU-98")
@pytest.mark.parametrize(
    ("fault", "error"),
    [(ConnectionLost("gone"), APIConnectionError), (TimedOut("silent"), APITimeoutError), (301.0, APITimeoutError)],
)
async def test_a_broken_stream_is_an_error_of_the_dialect(shell: Shell, fault: Any, error: type[Exception]) -> None:
    io = scripted([FIRST[0], fault])
    seen: list[Any] = []
    with pytest.raises(error) as caught:
        await shell.events(shell.client(io, max_retries=0).flow(FLOW).events("hi"), into=seen)
    assert kinds(seen) == ["run_started"]
    assert caught.value.__cause__ is not None
    assert getattr(caught.value, "execution_id", None) == "r1"
    assert io.open_streams == []


@pytest.mark.requirement("NOU-98", "NOU-40")
async def test_a_refused_stream_says_when_to_come_back(shell: Shell) -> None:
    refused = Response(429, Headers({"Retry-After": "7"}), b'{"detail": {"code": "RATE_LIMITED", "message": "slow"}}')
    with pytest.raises(RateLimitError) as caught:
        await shell.events(shell.client(scripted(refused)).flow(FLOW).events("hi"))
    assert (caught.value.retry_after, caught.value.code) == (7.0, "RATE_LIMITED")


@pytest.mark.requirement("NOU-98")
async def test_a_stream_that_cannot_begin_is_tried_again_only_if_nothing_was_sent(shell: Shell) -> None:
    io = scripted(ConnectionFailed("refused"), streamed(SECOND[-1]))
    assert len(await shell.events(shell.client(io).flow(FLOW).events("hi"))) == 1
    io = scripted(ConnectionLost("reset"), streamed(SECOND[-1]))
    with pytest.raises(APIConnectionError):  # without a key, for this run is to end with its connection
        await shell.events(shell.client(io).flow(FLOW).events("hi", run_remaining=True))
    assert "idempotency-key" not in io.requests[0].headers


@pytest.mark.requirement("NOU-94", "NOU-97")
async def test_a_first_segment_has_a_key_under_which_it_is_asked_for_again(shell: Shell) -> None:
    io = scripted([FIRST[0], ConnectionLost("gone")], ConnectionLost("reset"), streamed(*FIRST), streamed(*SECOND))
    assert kinds(await shell.events(shell.client(io, max_retries=2).flow(FLOW).events("hi"))) == ALL
    assert len({request.headers["idempotency-key"] for request in io.requests[:3]}) == 1
    assert "idempotency-key" not in io.requests[3].headers
    other = FIRST[0].replace(b'"executionId": "r1"', b'"executionId": "r2"')
    io = scripted([FIRST[0], ConnectionLost("gone")], streamed(other, *FIRST[1:]))
    with pytest.raises(APIConnectionError, match="something else"):
        await shell.events(shell.client(io).flow(FLOW).events("hi"))


@pytest.mark.requirement("NOU-97")
async def test_a_segment_whose_answer_was_lost_is_asked_for_again(shell: Shell) -> None:
    io = scripted(streamed(*FIRST), [SECOND[0], ConnectionLost("gone")], streamed(*SECOND))
    events = await shell.events(shell.client(io).flow(FLOW).events("hi"))
    assert kinds(events) == ALL
    assert body_of(io, 1) == body_of(io, 2)


@pytest.mark.requirement("NOU-97")
async def test_it_is_not_where_the_server_tells_something_else(shell: Shell) -> None:
    io = scripted(streamed(*FIRST), [SECOND[0], ConnectionLost("gone")], streamed(SECOND[-1]))
    with pytest.raises(APIConnectionError, match="something else"):
        await shell.events(shell.client(io).flow(FLOW).events("hi"))
    io = scripted(streamed(*FIRST), [SECOND[0], ConnectionLost("gone")])
    with pytest.raises(APIConnectionError, match="gone"):
        await shell.events(shell.client(io, retry_posts=False).flow(FLOW).events("hi"))


@pytest.mark.requirement("NOU-15")
async def test_a_refusal_between_segments_is_raised(shell: Shell) -> None:
    refused = Response(409, Headers({}), b'{"detail": {"code": "RUN_CONFLICT", "message": "in use"}}')
    with pytest.raises(FlowExecutionError, match="in use") as caught:
        await shell.events(shell.client(scripted(streamed(*FIRST), refused)).flow(FLOW).steps("hi"))
    assert caught.value.code == "RUN_CONFLICT"


@pytest.mark.requirement("NOU-98")
async def test_a_pause_of_a_run_without_a_name_is_an_error(shell: Shell) -> None:
    with pytest.raises(NoukaiError, match="naming"):
        await shell.events(shell.client(scripted([b'data: {"eventType": "step_paused"}\n\n'])).flow(FLOW).events("hi"))


@pytest.mark.requirement("NOU-11")
async def test_a_stream_that_just_ends_is_over_and_leaves_a_warning(
    shell: Shell, caplog: pytest.LogCaptureFixture
) -> None:
    assert len(await shell.events(shell.client(scripted(streamed(*FIRST[:5]))).flow(FLOW).events("hi"))) == 5
    assert "ended before the run did" in caplog.text


@pytest.mark.requirement("NOU-98")
async def test_an_async_stream_closes_by_name_and_by_block() -> None:
    io = scripted(streamed(*FIRST), streamed(*FIRST))
    flow = Awaiting().client(io).flow(FLOW)
    stream = flow.events("hi")
    assert (await anext(stream)).type == "run_started"
    await stream.aclose()
    await stream.aclose()
    assert [event async for event in stream] == []
    async with flow.steps("hi") as steps:
        assert (await anext(steps)).name == "upper"
    assert io.open_streams == []
