"""The fold from a run's events to frames and documents, by itself: no engine, no server."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from dragoman.core import events as ev
from dragoman.core.events import Event
from dragoman.core.records import Run, Step
from dragoman.core.usage import Usage
from dragoman.noukai.codec import decode_stream_event
from dragoman.noukai.documents import job_document, latest_attempts, step_document, step_rows, trace_document, wire_time
from dragoman.noukai.translate import FlowFold, Frame, Plan, encode_frame, plain_decimal, plan_of, tool_results

PLAN = plan_of("r1", "f1", [{"id": "upper", "name": "upper"}, {"id": "exclaim", "name": "exclaim"}])
ONE = Plan("r1", "f1", (("model", "model"),))


class Told:
    """Feeds bodies with seqs and times of their own; `frames` is all that was said."""

    def __init__(self, plan: Plan = PLAN, **options: Any) -> None:
        self.fold = FlowFold(plan, **options)
        self.frames: list[Frame] = []
        self.seq = 0

    def feed(self, *bodies: tuple[str | None, ev.EventBody] | ev.EventBody) -> list[Frame]:
        made: list[Frame] = []
        for each in bodies:
            step, body = each if isinstance(each, tuple) else (None, each)
            self.seq += 1
            made += self.fold.feed(Event("r1", self.seq, 100.0 + self.seq / 1000, body, step))
        self.frames += made
        return made

    def kinds(self) -> list[str]:
        return [frame["eventType"] for frame in self.frames]


BEGIN = (ev.RunCreated("step", "basics/two-step", "c", "a"), ev.RunStarted("x"))


def step(id: str, place: int, output: Any, **given: Any) -> list[tuple[str, ev.EventBody]]:
    return [
        (id, ev.StepStarted("flow", id, index=place)),
        (id, ev.StepInput({"message": "hi", **given})),
        (id, ev.StepCompleted(output=output)),
    ]


@pytest.mark.requirement("NOU-11", "NOU-83")
def test_a_stepped_run_is_told_frame_by_frame_as_the_wire_shows_it() -> None:
    told = Told()
    told.feed(*BEGIN, *step("upper", 0, "HI"), ev.RunPaused("segment"))
    assert told.frames == [
        {"eventType": "run_started", "runId": "r1", "executionId": "r1", "flowId": "f1", "stepCount": 2},
        {
            "eventType": "step_started",
            "runId": "r1",
            "executionId": "r1",
            "stepId": "upper",
            "name": "upper",
            "stepIndex": 0,
        },
        {
            "eventType": "step_input",
            "runId": "r1",
            "executionId": "r1",
            "stepId": "upper",
            "inputData": {"message": "hi"},
        },
        {"eventType": "step_output", "runId": "r1", "executionId": "r1", "stepId": "upper", "outputData": "HI"},
        {
            "eventType": "step_completed",
            "runId": "r1",
            "executionId": "r1",
            "stepId": "upper",
            "name": "upper",
            "stepIndex": 0,
            "output": "HI",
            "durationMs": 2,
            "tokens": None,
            "costUsd": None,
        },
        {
            "eventType": "step_paused",
            "runId": "r1",
            "executionId": "r1",
            "stepId": "upper",
            "stepIndex": 0,
            "nextStepIndex": 1,
        },
    ]
    assert told.fold.state == "segment"
    rest = told.feed(ev.RunResumed(1), *step("exclaim", 1, "HI!"), ev.RunCompleted(result="HI!"))
    assert next(frame["eventType"] for frame in rest) == "step_started"
    assert rest[-1] == {
        "eventType": "flow_completed",
        "runId": "r1",
        "executionId": "r1",
        "result": "HI!",
        "status": "completed",
        "summary": {"stepCount": 2, "durationMs": 9},
    }
    assert told.fold.outputs == {"upper": "HI", "exclaim": "HI!"}
    assert told.fold.completed_document("HI!") == {
        "status": "completed",
        "result": "HI!",
        "executionId": "r1",
        "flowId": "f1",
        "blockCount": 2,
    }


@pytest.mark.requirement("NOU-09", "NOU-13")
def test_a_model_step_sends_its_deltas_and_no_frame_with_the_whole() -> None:
    told = Told(ONE)
    inner = "model/model:1"
    told.feed(
        *BEGIN,
        ("model", ev.StepStarted("flow", "model")),
        ("model", ev.StepInput({"message": "count: 2"})),
        (inner, ev.StepStarted("model", "scripted", index=1)),
        (inner, ev.BlockStarted("b1", "reasoning")),
        (inner, ev.BlockDelta("b1", "hm")),
        (inner, ev.BlockEnded("b1")),
        (inner, ev.BlockStarted("b2", "text")),
        (inner, ev.BlockDelta("b2", "1")),
        (inner, ev.BlockDelta("b2", " 2")),
        (inner, ev.UsageCounted(21, 13, cost=0.00000012)),
        (inner, ev.BlockEnded("b2")),
        (inner, ev.StepCompleted()),
        ("model", ev.StepCompleted(output="1 2")),
        ev.RunCompleted(result="1 2"),
    )
    outputs = [frame["outputData"] for frame in told.frames if frame["eventType"] == "step_output"]
    assert outputs == ["1", " 2"]
    done = next(frame for frame in told.frames if frame["eventType"] == "step_completed")
    assert (done["output"], done["tokens"], done["costUsd"]) == (
        "1 2",
        {"prompt": 21, "completion": 13, "total": 34},
        "0.00000012",
    )
    assert "step_progress" not in told.kinds()


@pytest.mark.requirement("NOU-15", "NOU-41")
def test_a_failing_step_is_told_once_and_the_run_closes_after_it() -> None:
    told = Told()
    told.feed(*BEGIN, *step("upper", 0, "HI"), ("exclaim", ev.StepStarted("flow", "exclaim", index=1)))
    frames = told.feed(
        ("exclaim", ev.StepFailed("STEP_FAILED", "no", None)), ev.RunFailed("STEP_FAILED", "no", False, None)
    )
    assert [frame["eventType"] for frame in frames] == ["step_error", "flow_completed"]
    assert (frames[0]["stepId"], frames[0]["error"]) == ("exclaim", {"code": "STEP_FAILED", "message": "no"})
    assert (frames[1]["result"], frames[1]["status"], frames[1]["summary"]["failed_at_step"]) == (
        None,
        "failed",
        "exclaim",
    )
    assert told.fold.failure is not None
    assert told.fold.failure.step == "exclaim"


def test_the_text_of_an_exception_is_told_only_where_it_may_be() -> None:
    for expose, shown in ((True, "db01 said no"), (False, "The answer could not be completed. (reference ref-1)")):
        told = Told(expose=expose)
        told.feed(*BEGIN, ("upper", ev.StepStarted("flow", "upper")))
        told.feed(("upper", ev.StepFailed("STEP_FAILED", "db01 said no", "ref-1")))
        assert told.frames[-1]["error"]["message"] == shown


@pytest.mark.requirement("NOU-92")
def test_a_run_that_ends_outside_of_a_step_names_the_step_that_was_to_come() -> None:
    told = Told()
    told.feed(*BEGIN, *step("upper", 0, "HI"), ev.RunPaused("segment"))
    frames = told.feed(ev.RunCancelled("disconnected"))
    assert (frames[0]["stepId"], frames[0]["error"]["code"]) == ("exclaim", "CANCELLED")
    assert told.fold.state == "cancelled"


@pytest.mark.requirement("NOU-88")
def test_a_run_that_was_cut_for_want_of_credits_says_so() -> None:
    told = Told()
    told.feed(*BEGIN, ("upper", ev.StepStarted("flow", "upper")), ev.RunCancelled("CREDITS_EXHAUSTED"))
    assert told.frames[-2]["error"]["code"] == "CREDITS_EXHAUSTED"


def paused(told: Told, *, call: str = "call_1", city: str = "Bern") -> list[Frame]:
    key = f"weather/tool:{call}"
    return told.feed(
        (key, ev.ToolStarted(call, "get_weather")),
        (key, ev.ToolInput(call, "get_weather", {"city": city}, client=True)),
        ev.RunPaused("client_tool", (call,)),
    )


WEATHER = Plan("r1", "f1", (("weather", "weather"),))


@pytest.mark.requirement("NOU-17", "NOU-19", "NOU-21", "NOU-23")
def test_a_pause_for_tools_has_all_that_a_caller_must_send_back() -> None:
    told = Told(WEATHER)
    told.feed(*BEGIN, ("weather", ev.StepStarted("flow", "weather")), ("weather", ev.StepInput({"message": "Bern"})))
    (frame,) = paused(told)
    calls = [
        {
            "id": "call_1",
            "type": "function",
            "function": {"name": "get_weather", "arguments": '{"city": "Bern"}'},
        }
    ]
    assert frame["eventType"] == "step_paused_for_tool_calls"
    assert (frame["stepId"], frame["stepIndex"], frame["iterationsUsed"]) == ("weather", 0, 1)
    document = told.fold.pause_document()
    assert document == {
        "status": "tool_calls_required",
        "executionId": "r1",
        "pausedAtStep": "weather",
        "iterationsUsed": 1,
        "toolCallMessages": [
            {"role": "user", "content": "Bern"},
            {"role": "assistant", "content": None, "toolCalls": calls},
        ],
        "toolCalls": calls,
        "accumulatedOutputs": {},
        "flowId": "f1",
        "blockCount": 1,
    }
    told.feed(ev.RunResumed(), ("weather/tool:call_1", ev.ToolOutput("call_1", "get_weather", '{"sky": "blue"}')))
    paused(told, call="call_2", city="Basel")
    again = told.fold.pause_document()
    assert (again["iterationsUsed"], [turn["role"] for turn in again["toolCallMessages"]]) == (
        2,
        ["user", "assistant", "tool", "assistant"],
    )


@pytest.mark.requirement("NOU-24", "NOU-85")
def test_only_what_follows_the_last_question_counts_as_a_result() -> None:
    echoed = [
        {"role": "user", "content": "Bern"},
        {"role": "assistant", "content": None, "toolCalls": [{"id": "call_1"}]},
        {"role": "tool", "toolCallId": "call_1", "content": "old"},
        {"role": "assistant", "content": None, "toolCalls": [{"id": "call_2"}]},
    ]
    results = [
        {"tool_call_id": "call_2", "output": {"t": 20}},
        {"role": "tool", "toolCallId": "call_3", "content": "text"},
        {"role": "assistant", "content": "chatter"},
    ]
    assert tool_results([*echoed, *results]) == [("call_2", '{"t": 20}'), ("call_3", "text")]
    assert tool_results(results) == [("call_2", '{"t": 20}'), ("call_3", "text")]
    assert tool_results(echoed) == []


def test_what_lies_in_a_loop_is_no_step_of_its_own_on_the_wire() -> None:
    told = Told(Plan("r1", "f1", (("each", "each"),)))
    told.feed(
        *BEGIN,
        ("each", ev.StepStarted("flow", "each")),
        ("inside[0]", ev.StepStarted("flow", "inside")),
        ("inside[0]", ev.BlockStarted("b", "text")),
        ("inside[0]", ev.BlockDelta("b", "hidden")),
        ("inside[0]", ev.StepCompleted(output="a")),
        ("each", ev.StepCompleted(output=["a"])),
        ev.RunCompleted(result=["a"]),
    )
    counted = [kind for kind in told.kinds() if kind in ("step_started", "step_output", "step_completed")]
    assert counted == ["step_started", "step_output", "step_completed"]
    progress = [frame for frame in told.frames if frame["eventType"] == "step_progress"]
    assert [(frame["stepId"], frame["loopIndex"], frame["status"]) for frame in progress] == [
        ("inside", 0, "running"),
        ("inside", 0, "completed"),
    ]
    assert all(decode_stream_event(json.dumps(frame).encode()) is None for frame in progress)


def test_a_step_that_begins_anew_may_stream_its_text_again() -> None:
    told = Told(ONE)
    told.feed(
        *BEGIN,
        ("model", ev.StepStarted("flow", "model")),
        ("model", ev.BlockStarted("b1", "text")),
        ("model", ev.BlockDelta("b1", "half")),
        ("model", ev.StepRestarted(2)),
        ("model", ev.StepCompleted(output="whole")),
    )
    outputs = [frame["outputData"] for frame in told.frames if frame["eventType"] == "step_output"]
    assert outputs == ["half", "whole"]


@pytest.mark.requirement("NOU-83")
def test_a_frame_is_one_line_of_json_whatever_is_in_it() -> None:
    frame = {"eventType": "step_output", "outputData": "a\r\nb\u2028c\u2029d\x85e\ud800"}
    data = encode_frame(frame, id="7")
    assert data.startswith(b"event: step_output\nid: 7\ndata: {")
    assert data.endswith(b"}\n\n")
    text = data.decode()
    assert len(text.splitlines()) == 4
    assert "\r" not in text
    assert json.loads(text.split("data: ")[1]) == frame


def run(**changes: Any) -> Run:
    given = {"status": "completed", "started": 1.0, "ended": 2.5, "result": "x", **changes}
    return Run("r1", "demo", "", "job", "basics/echo", 0.5, **given)


@pytest.mark.requirement("NOU-26")
def test_a_job_is_told_in_four_words_and_its_error_as_one_text() -> None:
    assert job_document(run(), expose=False) == {
        "executionId": "r1",
        "status": "completed",
        "result": "x",
        "error": None,
    }
    failed = run(status="failed", result=None, error={"code": "STEP_FAILED", "message": "no"})
    assert job_document(failed, expose=False)["error"] == "STEP_FAILED: no"
    words = {
        state: job_document(run(status=state, result=None), expose=False)["status"]
        for state in ("queued", "running", "paused", "cancelled")
    }
    assert words == {"queued": "pending", "running": "running", "paused": "running", "cancelled": "failed"}
    assert str(job_document(run(status="cancelled"), expose=False)["error"]).startswith("CANCELLED: ")


@pytest.mark.requirement("NOU-28", "NOU-29", "NOU-87")
def test_a_trace_shows_the_latest_attempt_of_each_step_with_what_its_model_used() -> None:
    rows = [
        Step("r1", "model", "flow", "model", "failed", 1.0, ended=1.2, error={"code": "STEP_FAILED", "message": "m"}),
        Step(
            "r1", "model", "flow", "model", "completed", 1.2, attempt=2, ended=1.5, input={"message": "hi"},
            output="HI", input_bytes=16, output_bytes=4, truncated=True,
        ),
        Step("r1", "model/model:1", "model", "scripted", "completed", 1.3, ended=1.4, model="scripted",
             usage=Usage(3, 4), cost=0.5),
    ]  # fmt: skip
    made = step_rows(rows)
    assert [(row.step, row.attempt) for row in made] == [("model", 1), ("model", 2)]
    (latest,) = latest_attempts(made)
    assert step_document(latest, expose=True) == {
        "stepId": "model",
        "attempt": 2,
        "loopIndex": None,
        "status": "completed",
        "startedAt": "1970-01-01T00:00:01.200Z",
        "completedAt": "1970-01-01T00:00:01.500Z",
        "durationMs": 300,
        "modelUsed": "scripted",
        "tokens": {"prompt": 3, "completion": 4, "total": 7},
        "costUsd": "0.5",
        "inputContext": {"message": "hi"},
        "outputContext": {"output": "HI"},
        "errorContext": None,
        "inputSizeBytes": 16,
        "outputSizeBytes": 4,
        "truncated": True,
    }
    document = trace_document(run(), "f1", rows, 1, expose=True)
    assert document["flowRun"] == {
        "id": "r1",
        "flowId": "f1",
        "status": "completed",
        "triggerType": "job",
        "startedAt": "1970-01-01T00:00:01.000Z",
        "completedAt": "1970-01-01T00:00:02.500Z",
        "durationMs": 1500,
        "stepCount": 1,
    }
    assert [each["attempt"] for each in document["steps"]] == [2]


def test_amounts_and_times_are_plain() -> None:
    assert plain_decimal(Decimal("1E-7")) == "0.0000001"
    assert wire_time(None) is None
