"""Events of a run, folded into a timeline."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dragoman.core import events as ev
from dragoman.core.events import Event, EventBody
from dragoman.core.flows import Node, encode_node
from dragoman.core.records import Run, Step
from dragoman.core.usage import Usage
from dragoman.server.own.flow_models import TraceOut
from dragoman.server.own.models import encode_run
from dragoman.server.own.trace import PAYLOAD_BYTES, Timeline, encode_trace

TREE = (
    Node("plan", "plan", "function"),
    Node("each", "each", "loop", children=(Node("say", "say", "function"), Node("check", "check", "function"))),
    Node("ask", "ask", "agent"),
)
RUN = Run(
    "r", "t", "u", "execute", "p/s", 100.0, options={"tree": [encode_node(node) for node in TREE], "capture": "full"}
)
Said = tuple[float, str | None, EventBody]


def began(key: str, at: float, place: int = 0, kind: Any = "flow") -> Said:
    return at, key, ev.StepStarted(kind, key.partition("[")[0], index=place)


def done(key: str, at: float) -> Said:
    return at, key, ev.StepCompleted()


def traced(*said: Said, run: Run = RUN, rows: tuple[Step, ...] = (), only: str | None = None) -> dict[str, Any]:
    timeline = Timeline(run)
    for seq, (at, step, body) in enumerate(said, 1):
        timeline.see(Event(run.id, seq, 100.0 + at, body, step))
    told = encode_trace(timeline, rows, encode_run(run, expose=True), only=only)
    TraceOut.model_validate(told)
    return told


def edges(told: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(edge["source"], edge["target"], edge["kind"]) for edge in told["edges"]]


CREATED: Said = (0.0, None, ev.RunCreated("execute", "p/s", "v", "a"))
STARTED: Said = (0.0, None, ev.RunStarted("x"))
ENDED: Said = (9.0, None, ev.RunCompleted(result=1))


@pytest.mark.requirement("NOU-28")
def test_steps_have_offsets_and_follow_each_other() -> None:
    told = traced(
        CREATED, STARTED, began("plan", 1.0), done("plan", 1.5), began("ask", 2.0, 2), done("ask", 4.0), ENDED
    )
    assert (told["begin"], told["duration"], told["last_seq"], told["capture"]) == (100.0, 9.0, 7, "full")
    assert [(s["key"], s["kind"], s["place"], s["start"], s["duration"], s["status"]) for s in told["steps"]] == [
        ("plan", "function", 0, 1.0, 0.5, "completed"),
        ("ask", "agent", 2, 2.0, 2.0, "completed"),
    ]
    assert edges(told) == [("plan", "ask", "next")]
    assert told["waits"] == []


@pytest.mark.requirement("NOU-29")
def test_rounds_of_a_loop_lie_in_it_and_lead_back() -> None:
    told = traced(
        CREATED,
        STARTED,
        began("each", 1.0, 1),
        *[
            one
            for n in range(2)
            for key in ("say", "check")
            for one in (began(f"{key}[{n}]", 1.0), done(f"{key}[{n}]", 1.0))
        ],
        done("each", 2.0),
        ENDED,
    )
    assert [(s["key"], s["id"], s["index"], s["parent"]) for s in told["steps"]] == [
        ("each", "each", None, None),
        ("say[0]", "say", 0, "each"),
        ("check[0]", "check", 0, "each"),
        ("say[1]", "say", 1, "each"),
        ("check[1]", "check", 1, "each"),
    ]
    assert edges(told) == [
        ("say[0]", "check[0]", "next"),
        ("check[0]", "say[1]", "again"),
        ("say[1]", "check[1]", "next"),
    ]


def test_what_an_agent_does_lies_in_its_step_and_tools_at_once_are_side_by_side() -> None:
    told = traced(
        CREATED,
        STARTED,
        began("ask", 1.0, 2),
        began("ask/model:1", 1.0, 1, "model"),
        done("ask/model:1", 2.0),
        began("ask/tool:a", 2.0, 0, "tool"),
        began("ask/tool:b", 2.0, 0, "tool"),
        done("ask/tool:b", 3.0),
        done("ask/tool:a", 4.0),
        began("ask/model:2", 4.0, 2, "model"),
        done("ask/model:2", 5.0),
        done("ask", 5.0),
        ENDED,
    )
    assert {step["parent"] for step in told["steps"][1:]} == {"ask"}
    assert [step["kind"] for step in told["steps"]] == ["agent", "model", "tool", "tool", "model"]
    assert set(edges(told)) == {
        ("ask/model:1", "ask/tool:a", "next"),
        ("ask/model:1", "ask/tool:b", "next"),
        ("ask/tool:a", "ask/model:2", "next"),
        ("ask/tool:b", "ask/model:2", "next"),
    }


def test_a_part_that_a_function_names_lies_in_the_step_that_is_open() -> None:
    told = traced(
        CREATED, STARTED, began("plan", 1.0), began("fetch", 1.1), done("fetch", 1.2), done("plan", 2.0), ENDED
    )
    assert [(step["key"], step["parent"]) for step in told["steps"]] == [("plan", None), ("fetch", "plan")]


@pytest.mark.requirement("NOU-29")
def test_attempts_tell_how_each_of_them_ended() -> None:
    told = traced(
        CREATED,
        STARTED,
        began("plan", 1.0),
        (2.0, "plan", ev.StepRestarted(2, "STEP_FAILED", "no luck")),
        (5.0, None, ev.RunStarted("x", resumed=True)),
        (5.0, "plan", ev.StepRestarted(3)),
        done("plan", 6.0),
        ENDED,
    )
    (step,) = told["steps"]
    assert (step["start"], step["duration"], step["status"]) == (1.0, 5.0, "completed")
    assert [(a["attempt"], a["status"], a["start"], a["duration"], a["code"]) for a in step["attempts"]] == [
        (1, "failed", 1.0, 1.0, "STEP_FAILED"),
        (2, "failed", 2.0, 3.0, "interrupted"),
        (3, "completed", 5.0, 1.0, None),
    ]
    assert [(w["reason"], w["start"], w["duration"]) for w in told["waits"]] == [("interrupted", 2.0, 3.0)]


@pytest.mark.requirement("NOU-31")
def test_a_job_waits_in_the_queue_first_and_a_live_one_has_no_end() -> None:
    run = replace(RUN, kind="job")
    queued = traced(CREATED, run=run)
    assert queued["waits"] == [{"reason": "queue", "start": 0.0, "duration": None, "calls": []}]
    live = traced(CREATED, (3.0, None, ev.RunStarted("x")), began("plan", 3.0), run=run)
    assert live["waits"][0]["duration"] == 3.0
    assert (live["duration"], live["steps"][0]["duration"], live["steps"][0]["status"]) == (None, None, "running")


def test_pauses_are_spans_that_name_what_they_wait_for() -> None:
    call: Said = (1.0, "ask", ev.ToolInput("c", "get_weather", {"city": "Brno"}, client=True))
    pause: Said = (1.5, None, ev.RunPaused("client_tool", ("c",)))
    open_end = traced(CREATED, STARTED, began("ask", 1.0, 2), call, pause)
    calls = [{"call": "c", "name": "get_weather", "step": "ask"}]
    assert open_end["waits"] == [{"reason": "client_tool", "start": 1.5, "duration": None, "calls": calls}]
    # a restart while it waits is no second wait
    again: Said = (2.0, None, ev.RunStarted("x", resumed=True))
    over = traced(CREATED, STARTED, began("ask", 1.0, 2), call, pause, again, (4.0, None, ev.RunResumed()), ENDED)
    assert over["waits"] == [{"reason": "client_tool", "start": 1.5, "duration": 2.5, "calls": calls}]


@pytest.mark.parametrize(
    ("last", "status"), [(ev.RunCancelled("stopped"), "cancelled"), (ev.RunFailed("timeout", "too long"), "failed")]
)
def test_what_was_under_way_ends_with_the_run(last: EventBody, status: str) -> None:
    told = traced(CREATED, STARTED, began("plan", 1.0), (3.0, None, last))
    assert [(step["status"], step["duration"]) for step in told["steps"]] == [(status, 2.0)]


def row(step: str, index: int = -1, attempt: int = 1, **more: Any) -> Step:
    return Step("r", step, "flow", step, "completed", 0.0, index, attempt, **more)


def test_rows_bring_what_capture_keeps() -> None:
    rows = (
        row("say", 0, output="A", output_bytes=3, usage=Usage(1, 2), cost=0.5, model="m"),
        row("say", 1, 1, usage=Usage(1, 1)),
        row("say", 1, 2, input={"message": "x"}, output="B", usage=Usage(3, 4), cost=0.25, truncated=True),
    )
    told = traced(
        CREATED,
        STARTED,
        began("each", 1.0, 1),
        began("say[0]", 1.0),
        done("say[0]", 2.0),
        began("say[1]", 2.0),
        (3.0, "say[1]", ev.StepRestarted(2)),
        done("say[1]", 4.0),
        rows=rows,
    )
    one, two = told["steps"][1:]
    assert (one["output"], one["output_bytes"], one["model"], one["cost"]) == ("A", 3, "m", 0.5)
    assert (two["input"], two["output"], two["truncated"], two["cost"]) == ({"message": "x"}, "B", True, 0.25)
    assert two["usage"]["total_tokens"] == 9


def test_payloads_are_left_out_where_the_answer_would_grow_too_large_but_one_step_is_told_whole() -> None:
    large = "x" * 200_000
    count = PAYLOAD_BYTES // 200_000 + 2
    rows = tuple(row("say", n, output=large, output_bytes=len(large) + 2) for n in range(count))
    said = [one for n in range(count) for one in (began(f"say[{n}]", 1.0), done(f"say[{n}]", 1.0))]
    told = traced(CREATED, STARTED, *said, rows=rows)
    assert (told["steps"][0]["left_out"], told["steps"][0]["output"]) == (False, large)
    assert (told["steps"][-1]["left_out"], told["steps"][-1]["output"]) == (True, None)
    alone = traced(CREATED, STARTED, *said, rows=rows, only=f"say[{count - 1}]")
    assert [(step["key"], step["output"]) for step in alone["steps"]] == [(f"say[{count - 1}]", large)]
    assert alone["edges"] == []


def test_an_agents_run_has_a_timeline_as_well() -> None:
    run = Run("r", "t", "u", "chat", "demo", 100.0)
    rows = (replace(row("model:1", 1), kind="model", model="m", usage=Usage(5, 6)),)
    told = traced(
        CREATED,
        STARTED,
        began("model:1", 1.0, 1, "model"),
        done("model:1", 2.0),
        began("tool:a/b", 2.0, 0, "tool"),
        done("tool:a/b", 3.0),
        ENDED,
        run=run,
        rows=rows,
    )
    assert [(s["id"], s["key"], s["parent"], s["place"], s["model"]) for s in told["steps"]] == [
        ("model:1", "model:1", None, None, "m"),
        ("tool:a/b", "tool:a/b", None, None, None),
    ]
    assert edges(told) == [("model:1", "tool:a/b", "next")]


def test_ten_thousand_rounds_are_told_in_a_moment() -> None:
    said = [one for n in range(10_000) for one in (began(f"say[{n}]", 1.0), done(f"say[{n}]", 1.0))]
    told = traced(CREATED, STARTED, began("each", 1.0, 1), *said, done("each", 2.0), ENDED)
    assert len(told["edges"]) == 9_999
