"""Flows over a real store: steps in order, their input and output, loops, branches, failures, retries."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import date
from typing import Any

import pytest
from tests.engine.flows.stage import Stage, told

from dragoman.core import events as ev
from dragoman.core.errors import BadRequest, NotFound
from dragoman.engine.flows.authoring import Flow, flow, loop, step, when
from dragoman.engine.flows.context import FlowContext, StepError


@step
def upper(ctx: FlowContext) -> str:
    return ctx.message.upper()


@step
def exclaim(ctx: FlowContext, suffix: str = "!") -> str:
    return str(ctx.output) + suffix


TWO = Flow("p/f", [upper, exclaim])


@pytest.mark.requirement("NOU-06")
async def test_steps_run_in_order_and_each_result_is_stored_before_the_next_begins(stage: Stage) -> None:
    await stage.open(TWO)
    started = await stage.start()
    events = await stage.until(started)
    assert told(events) == [
        "run.created",
        "run.started",
        "step.started upper",
        "step.input upper",
        "step.completed upper",
        "step.started exclaim",
        "step.input exclaim",
        "step.completed exclaim",
        "run.completed",
    ]
    assert events[-1].body == ev.RunCompleted(result="HI!")
    assert [e.body.input for e in events if isinstance(e.body, ev.StepInput)] == [
        {"message": "hi"},
        {"message": "hi", "output": "HI"},
    ]
    run = await stage.run(started)
    assert (run.status, run.result, run.kind, run.name) == ("completed", "HI!", "execute", "p/f")
    rows = await stage.trace(started)
    assert [(r.step, r.index, r.place, r.status, r.input, r.output) for r in rows] == [
        ("upper", -1, 0, "completed", {"message": "hi"}, "HI"),
        ("exclaim", -1, 1, "completed", {"message": "hi", "output": "HI"}, "HI!"),
    ]


@pytest.mark.requirement("NOU-07")
async def test_overrides_take_effect_and_are_checked_before_anything_is_stored(stage: Stage) -> None:
    await stage.open(TWO)
    assert await stage.result(overrides={"exclaim": {"suffix": "?"}}) == "HI?"
    assert await stage.result(input_overrides={"exclaim": {"output": "X"}}) == "X!"
    for overrides in ({"nope": {}}, {"exclaim": {"sufix": "?"}}, {"exclaim": {"suffix": 5}}, {"upper": {"a": 1}}):
        with pytest.raises(BadRequest) as refused:
            await stage.start(overrides=overrides)
        assert refused.value.code == "bad_request:overrides"
    with pytest.raises(BadRequest):
        await stage.start(input_overrides={"nope": {}})
    assert len((await stage.store.runs("t")).rows) == 2


async def test_overrides_are_converted_by_their_annotations(stage: Stage) -> None:
    @step
    def due(ctx: FlowContext, day: date = date(2026, 1, 5), **more: Any) -> str:
        return f"{day.isoformat()} {type(day).__name__} {sorted(more.items())} {ctx.config['day']}"

    await stage.open(Flow("p/f", [due]))
    assert await stage.result() == "2026-01-05 date [] 2026-01-05"
    assert await stage.result(overrides={"due": {"day": "2027-02-03", "x": 1}}) == (
        "2027-02-03 date [('x', 1)] 2027-02-03"
    )


@pytest.mark.requirement("NOU-08")
async def test_a_flow_that_needs_a_message_is_refused_without_one(stage: Stage) -> None:
    await stage.open(TWO, Flow("p/g", [upper], requires_message=False))
    with pytest.raises(BadRequest) as refused:
        await stage.start(message=None)
    assert refused.value.code == "bad_request:message"
    assert await stage.result("p/g", message=None) == ""
    assert await stage.result(message=None, messages=({"role": "user", "content": "yo"},)) == "YO!"


@pytest.mark.requirement("NOU-33", "NOU-34", "NOU-35")
async def test_versions_are_chosen_by_number_the_draft_by_0_and_production_by_default(stage: Stage) -> None:
    def say(text: str) -> Any:
        return step(lambda ctx: text + ctx.message, name="say")

    made = Flow("p/f", versions={1: [say("v1:")], 2: [say("v2:")]}, production=2, draft=[say("draft:")])
    await stage.open(made, Flow("p/d", versions={}, draft=[say("d:")]))
    assert await stage.result() == "v2:hi"
    assert await stage.result(version=1) == "v1:hi"
    assert await stage.result(version=0) == "draft:hi"
    assert await stage.result("p/d") == "d:hi"
    for version in (3, -1, True):
        with pytest.raises(NotFound) as missing:
            await stage.start(version=version)
        assert missing.value.code == "not_found:version"
    with pytest.raises(NotFound) as missing:
        await stage.start("p/none")
    assert missing.value.code == "not_found:flow"
    info = stage.engine.flow("p/f")
    assert info is not None
    assert (sorted(info.versions), info.production, info.id[:2], len(info.id)) == ([0, 1, 2], 2, "f_", 14)
    assert stage.engine.flow("p/none") is None
    assert [one.name for one in stage.engine.flows()] == ["p/f", "p/d"]


# --------------------------------------------------------------------------- loops and branches


async def test_a_loop_over_a_list_gives_the_list_of_its_rounds(stage: Stage) -> None:
    @step
    def split(ctx: FlowContext) -> list[str]:
        return ctx.message.split()

    @step
    def twice(ctx: FlowContext) -> str:
        return f"{ctx.index}{ctx.item}"

    made = Flow("p/f", [split, loop("each", [twice], over=lambda ctx: ctx.output)])
    await stage.open(made)
    assert await stage.result(message="a b c") == ["0a", "1b", "2c"]
    assert await stage.result(message=" ") == []
    started = await stage.start(message="a b")
    events = await stage.until(started)
    assert told(events)[5:] == [
        "step.started each",
        "step.chosen each",
        "step.started twice[0]",
        "step.input twice[0]",
        "step.completed twice[0]",
        "step.started twice[1]",
        "step.input twice[1]",
        "step.completed twice[1]",
        "step.completed each",
        "run.completed",
    ]
    rows = [(r.step, r.index, r.place) for r in await stage.trace(started)]
    assert rows == [("split", -1, 0), ("each", -1, 1), ("twice", 0, 1), ("twice", 1, 1)]


async def test_loops_of_numbers_conditions_and_bounds(stage: Stage) -> None:
    more = step(lambda ctx: (ctx.output if isinstance(ctx.output, int) else 0) + 1, name="more")
    await stage.open(
        Flow("p/three", [loop("l", [more], times=3)]),
        Flow("p/none", [loop("l", [more], times=0)]),
        Flow("p/asked", [loop("l", [more], times=lambda ctx: int(ctx.message))]),
        Flow("p/until", [loop("l", [more], until=lambda ctx: ctx.output >= 4)]),
        Flow("p/early", [loop("l", [more], times=9, until=lambda ctx: ctx.index == 1)]),
        Flow("p/endless", [loop("l", [more], until=lambda ctx: False, most=3)]),
        Flow("p/bad", [loop("l", [more], times=lambda ctx: "x")]),
        Flow("p/over", [loop("l", [more], over=lambda ctx: 5)]),
        Flow("p/raises", [loop("l", [more], over=lambda ctx: 1 // 0)]),
    )
    assert await stage.result("p/three") == 3
    assert await stage.result("p/none") == "hi"
    assert await stage.result("p/asked", message="5") == 5
    assert (await stage.result("p/asked", message="1001")).startswith("LOOP_LIMIT: ")
    assert await stage.result("p/until") == 4
    assert await stage.result("p/early") == 2
    assert (await stage.result("p/endless")).startswith("LOOP_LIMIT: ")
    assert (await stage.result("p/bad")).startswith("OUTPUT_NOT_JSON: ")
    assert (await stage.result("p/over")).startswith("OUTPUT_NOT_JSON: ")
    assert (await stage.result("p/raises")).startswith("STEP_FAILED: ")


async def test_loops_inside_loops_count_the_runs_of_a_step_on(stage: Stage) -> None:
    cell = step(lambda ctx: f"{ctx.item}{ctx.index}", name="cell")
    inner = loop("inner", [cell], over=lambda ctx: [f"{ctx.item}x", f"{ctx.item}y"])
    await stage.open(Flow("p/f", [loop("outer", [inner], over=lambda ctx: ["a", "b"])]))
    started = await stage.start()
    events = await stage.until(started)
    assert events[-1].body == ev.RunCompleted(result=[["ax0", "ay1"], ["bx0", "by1"]])
    keys = [event.step for event in events if isinstance(event.body, ev.StepStarted)]
    assert keys == ["outer", "inner[0]", "cell[0]", "cell[1]", "inner[1]", "cell[2]", "cell[3]"]


async def test_a_branch_is_taken_or_not(stage: Stage) -> None:
    is_long = when("long", lambda ctx: len(ctx.message) > 3, [step(lambda ctx: "long", name="a")], [exclaim])
    only = when("only", lambda ctx: ctx.output == "long", [step(lambda ctx: "very " + ctx.output, name="b")])
    await stage.open(Flow("p/f", [is_long, only]))
    assert await stage.result(message="hello") == "very long"
    assert await stage.result(message="hi") == "hi!"
    events = await stage.until(await stage.start())
    assert [e.body.value for e in events if isinstance(e.body, ev.StepChosen)] == [False, False]


async def test_what_a_function_does_to_its_input_changes_nothing(stage: Stage) -> None:
    @step
    def make(ctx: FlowContext) -> dict[str, Any]:
        return {"list": [1]}

    @step
    def spoil(ctx: FlowContext) -> int:
        ctx.output["list"].append(2)
        ctx.outputs["make"]["list"].append(3)
        ctx.parameters["n"] = 5  # type: ignore[index]  # it is a copy
        return len(ctx.outputs["make"]["list"])

    await stage.open(Flow("p/f", [make, spoil, step(lambda ctx: [ctx.outputs["make"], ctx.parameters], name="see")]))
    assert await stage.result(parameters={"n": 1}) == [{"list": [1]}, {"n": 1}]


# --------------------------------------------------------------------------- failures


@pytest.mark.requirement("NOU-15", "NOU-41")
async def test_a_step_that_fails_ends_the_run_with_its_code(stage: Stage) -> None:
    @step
    def broken(ctx: FlowContext) -> None:
        raise StepError("out of paper", "NO_PAPER", status=507)

    await stage.open(Flow("p/f", [upper, loop("l", [broken], times=2), exclaim]))
    started = await stage.start()
    events = await stage.until(started)
    assert told(events)[-3:] == ["step.failed broken[0]", "step.failed l", "run.failed"]
    assert events[-1].body == ev.RunFailed("NO_PAPER", "out of paper", status=507)
    run = await stage.run(started)
    assert run.error == {"code": "NO_PAPER", "message": "out of paper", "status": 507}
    assert [r.status for r in await stage.trace(started)] == ["completed", "failed", "failed"]


async def test_the_text_of_any_other_exception_has_a_reference(stage: Stage) -> None:
    await stage.open(Flow("p/f", [step(lambda ctx: {}["secret"], name="s")]))
    body = await stage.end(await stage.start())
    assert isinstance(body, ev.RunFailed)
    assert (body.code, bool(body.ref)) == ("STEP_FAILED", True)


@pytest.mark.parametrize(
    "made",
    [
        lambda ctx: object(),
        lambda ctx: {1: {2}, "x": object()},
        lambda ctx: b"\xff",
    ],
)
async def test_output_that_is_no_json_fails_the_step(stage: Stage, made: Any) -> None:
    await stage.open(Flow("p/f", [step(made, name="s")]))
    assert (await stage.result()).startswith("OUTPUT_NOT_JSON: what step 's' gives")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (float("nan"), None),
        ({"a": (1, 2)}, {"a": [1, 2]}),
        (date(2026, 1, 2), "2026-01-02"),
        ("\ud800", "\ufffd"),
        (None, None),
        ("ü", "ü"),
    ],
)
async def test_output_is_kept_as_json(stage: Stage, given: Any, kept: Any) -> None:
    await stage.open(Flow("p/f", [step(lambda ctx: given, name="s")]))
    assert await stage.result() == kept


async def test_a_huge_output_is_passed_on_whole_and_cut_in_the_trace(stage: Stage) -> None:
    await stage.open(
        Flow("p/f", [step(lambda ctx: "x" * 3_000_000, name="s"), step(lambda ctx: len(ctx.output), name="n")])
    )
    started = await stage.start()
    assert await stage.end(started) == ev.RunCompleted(result=3_000_000)
    first = (await stage.trace(started))[0]
    assert (first.truncated, first.output_bytes) == (True, 3_000_002)
    assert len(first.output) <= 256 * 1024


async def test_a_step_that_is_cancelled_from_within_or_exits_has_failed(stage: Stage) -> None:
    @step
    async def cancelled(ctx: FlowContext) -> None:
        raise asyncio.CancelledError

    await stage.open(Flow("p/f", [cancelled]), Flow("p/g", [step(lambda ctx: exit(3), name="s")]))
    assert (await stage.result()).startswith("STEP_FAILED: ")
    assert (await stage.result("p/g")).startswith("STEP_FAILED: ")


# --------------------------------------------------------------------------- retries and timeouts


async def test_a_step_is_tried_again_and_the_trace_has_each_attempt(stage: Stage) -> None:
    @step(retries=2, backoff=0)
    def shaky(ctx: FlowContext) -> int:
        if ctx.attempt < 3:
            raise StepError(f"attempt {ctx.attempt}", "SHAKY")
        return ctx.attempt

    await stage.open(Flow("p/f", [shaky]))
    started = await stage.start()
    events = await stage.until(started)
    assert events[-1].body == ev.RunCompleted(result=3)
    assert [e.body for e in events if isinstance(e.body, ev.StepRestarted)] == [
        ev.StepRestarted(2, "SHAKY", "attempt 1"),
        ev.StepRestarted(3, "SHAKY", "attempt 2"),
    ]
    rows = [(r.attempt, r.status, (r.error or {}).get("code")) for r in await stage.trace(started)]
    assert rows == [(1, "failed", "SHAKY"), (2, "failed", "SHAKY"), (3, "completed", None)]


async def test_after_the_last_attempt_the_step_has_failed_and_secrets_stay_inside(stage: Stage) -> None:
    @step(retries=1, backoff=0)
    def broken(ctx: FlowContext) -> None:
        raise ValueError("inside information")

    await stage.open(Flow("p/f", [broken]))
    events = await stage.until(await stage.start())
    restarted = next(e.body for e in events if isinstance(e.body, ev.StepRestarted))
    assert restarted.code == "STEP_FAILED"
    assert "inside" not in restarted.message
    assert isinstance(events[-1].body, ev.RunFailed)


async def test_an_attempt_that_takes_too_long_is_cut(stage: Stage) -> None:
    @step(timeout=0.02, retries=1, backoff=0)
    async def slow(ctx: FlowContext) -> str:
        if ctx.attempt == 1:
            await stage.gate.wait()
        return "in time"

    @step(timeout=0.02)
    def thread(ctx: FlowContext) -> None:
        time.sleep(0.2)  # a plain function that blocks

    await stage.open(Flow("p/f", [slow]), Flow("p/g", [thread]))
    assert await stage.result() == "in time"
    assert (await stage.result("p/g")).startswith("STEP_TIMEOUT: ")


async def test_a_run_that_takes_too_long_is_given_up(stage: Stage) -> None:
    @step
    async def slow(ctx: FlowContext) -> None:
        stage.reached.set()
        stage.time += 5
        await stage.gate.wait()

    await stage.open(Flow("p/f", [slow], max_seconds=0.02))
    assert (await stage.result()).startswith("timeout: ")


# --------------------------------------------------------------------------- texts as they come


async def test_a_generator_streams_its_texts(stage: Stage) -> None:
    @step(retries=1, backoff=0)
    async def count(ctx: FlowContext, to: int = 3) -> AsyncIterator[str]:
        for n in range(to):
            yield f"{n} "
            if n == 1 and ctx.attempt == 1:
                raise ValueError
        yield ""

    await stage.open(Flow("p/f", [count]))
    events = await stage.until(await stage.start())
    assert events[-1].body == ev.RunCompleted(result="0 1 2 ")
    deltas = [e.body.delta for e in events if isinstance(e.body, ev.BlockDelta)]
    assert deltas == ["0 ", "1 ", "0 ", "1 ", "2 "]
    kinds = [e.type for e in events if e.type in ("block.started", "block.ended", "step.restarted")]
    assert kinds == ["block.started", "block.ended", "step.restarted", "block.started", "block.ended"]


async def test_a_generator_yields_text_only(stage: Stage) -> None:
    @step
    async def wrong(ctx: FlowContext) -> AsyncIterator[Any]:
        yield 5

    await stage.open(Flow("p/f", [wrong]))
    assert (await stage.result()).startswith("OUTPUT_NOT_JSON: ")


async def test_a_function_alone_is_a_flow(stage: Stage) -> None:
    @flow("p/report", description="Reports.")
    def report(ctx: FlowContext, loud: bool = False) -> str:
        return ctx.message.upper() if loud else ctx.message

    await stage.open(report)
    assert await stage.result("p/report", overrides={"report": {"loud": True}}) == "HI"
