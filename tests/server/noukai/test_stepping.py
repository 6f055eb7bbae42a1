"""Step: segments, frames, pauses, repeats (noukai.md 3.6, 5.2)."""

from __future__ import annotations

from typing import Any

import pytest
from tests.server.noukai.flow_app import DEMO, WEATHER_TOOL, Gate, events, kinds, noukai_app
from tests.server.noukai.test_executing import started
from tests.server.noukai.test_refusals import refusal

from dragoman.demo.app import demo_app


def following(run: str, index: int, **more: Any) -> dict[str, Any]:
    """The body of a later segment, as the published client sends it."""
    return {"executionId": run, "stepIndex": index, "accumulatedOutputs": {}, "runRemaining": False, **more}


@pytest.mark.requirement("NOU-10", "NOU-11", "NOU-83", "NOU-95")
@pytest.mark.parametrize("path", ["two-step", "two-step/v0", "two-step/v1"])
async def test_a_run_is_stepped_through_segment_by_segment(path: str) -> None:
    async with noukai_app() as served:
        caller = served.caller()
        first = await caller.step(path, "hi")
        assert first.headers["content-type"].startswith("text/event-stream")
        assert kinds(first.body) == [
            "run_started",
            "step_started",
            "step_input",
            "step_output",
            "step_completed",
            "step_paused",
        ]
        begun = events(first.body)
        run = begun[0]["executionId"]
        assert (begun[0]["stepCount"], begun[0]["flowId"]) == (2, served.services.engine.flow("basics/two-step").id)
        assert (begun[2]["inputData"]["message"], begun[3]["outputData"], begun[4]["output"]) == ("hi", "HI", "HI")
        assert (begun[5]["stepIndex"], begun[5]["nextStepIndex"]) == (0, 1)
        assert isinstance(begun[4]["durationMs"], int)
        second = await caller.step(path, body=following(run, 1, accumulatedOutputs={"upper": "FORGED"}))
        assert kinds(second.body) == ["step_started", "step_input", "step_output", "step_completed", "flow_completed"]
        ended = events(second.body)
        assert [event.get("stepIndex") for event in ended if "stepIndex" in event] == [1, 1]
        assert (ended[-1]["result"], ended[-1]["status"]) == ("HI!", "completed")


@pytest.mark.requirement("NOU-12")
async def test_the_rest_can_run_in_one_segment() -> None:
    async with noukai_app() as served:
        caller = served.caller()
        whole = events((await caller.step("two-step", "hi", body={"runRemaining": True})).body)
        assert [event["eventType"] for event in whole].count("step_completed") == 2
        assert whole[-1]["eventType"] == "flow_completed"
        slow = events((await caller.step("broken", "hi")).body)
        rest = await caller.step("broken", body=following(slow[0]["executionId"], 1, runRemaining=True))
        assert kinds(rest.body)[-2:] == ["step_error", "flow_completed"]


@pytest.mark.requirement("NOU-07", "NOU-85")
async def test_overrides_are_those_of_the_segment_and_input_may_be_changed() -> None:
    async with noukai_app() as served:
        caller = served.caller()
        run = events((await caller.step("two-step", "hi")).body)[0]["executionId"]
        more = {"blockOverrides": {"exclaim": {"suffix": "?"}}, "inputOverrides": {"exclaim": {"output": "HO"}}}
        ended = events((await caller.step("two-step", body=following(run, 1, **more))).body)
        assert ended[-1]["result"] == "HO?"
        bad = following(run, 1, inputOverrides={"exclaim": 1})
        assert refusal(await caller.step("two-step", body=bad)) == (400, "BLOCK_OVERRIDES_INVALID")


@pytest.mark.requirement("NOU-85", "NOU-97")
async def test_a_lost_segment_is_told_again_alike_and_other_places_are_refused() -> None:
    async with noukai_app() as served:
        caller = served.caller()
        run = events((await caller.step("slow", "hi")).body)[0]["executionId"]
        second = await caller.step("slow", body=following(run, 1))
        again = await caller.step("slow", body=following(run, 1))
        assert again.body == second.body
        for index in (0, 3, 9):
            assert refusal(await caller.step("slow", body=following(run, index))) == (400, "INVALID_STEP_INDEX")
        third = await caller.step("slow", body=following(run, 2, runRemaining=True))
        assert kinds(third.body)[-1] == "flow_completed"
        repeated = await caller.step("slow", body=following(run, 2, runRemaining=True))
        assert repeated.body == third.body


@pytest.mark.requirement("NOU-85")
async def test_a_run_that_moves_is_not_moved_by_another_request() -> None:
    gate = Gate()
    async with noukai_app(demo_app(sleep=gate.sleep)) as served:
        caller = served.caller()
        gate.let()
        run = events((await caller.step("slow", "hi")).body)[0]["executionId"]
        moving = caller.send("POST", f"{DEMO}/slow/step", following(run, 1))
        await moving.until(lambda: b"step_started" in moving.body)
        refused = await caller.step("slow", body=following(run, 2))
        assert refused.status in (400, 409)
        gate.let()
        assert kinds((await moving.end()).body)[-1] == "step_paused"


@pytest.mark.requirement("NOU-13", "NOU-16")
async def test_frames_are_sent_as_they_happen_and_deltas_one_by_one() -> None:
    gate = Gate()
    async with noukai_app(demo_app(sleep=gate.sleep)) as served:
        reply = served.caller().send("POST", f"{DEMO}/slow/step", {"message": "x", "runRemaining": True})
        for number in range(1, 4):
            gate.let()
            await reply.until(lambda number=number: reply.body.count(b'"step_completed"') == number)
        gate.let(2)
        assert kinds((await reply.end()).body)[-1] == "flow_completed"
        counted = events((await served.caller().step("model", "count: 3")).body)
        deltas = [event["outputData"] for event in counted if event["eventType"] == "step_output"]
        assert deltas == ["1", " 2", " 3"]
        done = next(event for event in counted if event["eventType"] == "step_completed")
        assert (done["output"], done["tokens"]["total"]) == (
            "1 2 3",
            done["tokens"]["prompt"] + done["tokens"]["completion"],
        )
        assert done["costUsd"] is None or isinstance(done["costUsd"], str)


@pytest.mark.requirement("NOU-15")
async def test_a_step_error_ends_the_segment() -> None:
    async with noukai_app() as served:
        caller = served.caller()
        run = events((await caller.step("broken", "hi")).body)[0]["executionId"]
        failed = events((await caller.step("broken", body=following(run, 1))).body)
        assert [event["eventType"] for event in failed] == [
            "step_started",
            "step_input",
            "step_error",
            "flow_completed",
        ]
        assert (failed[2]["stepId"], failed[2]["error"]["code"]) == ("second", "STEP_FAILED")
        assert failed[3]["summary"]["failed_at_step"] == "second"


@pytest.mark.requirement("NOU-22", "NOU-23", "NOU-85")
async def test_a_pause_for_tools_goes_on_in_the_same_step() -> None:
    async with noukai_app() as served:
        caller = served.caller()
        body = {"tools": [WEATHER_TOOL]}
        asked = events((await caller.step("weather", "Bern", body=body)).body)
        pause = asked[-1]
        assert [event["eventType"] for event in asked] == [
            "run_started",
            "step_started",
            "step_input",
            "step_paused_for_tool_calls",
        ]
        run, call = pause["executionId"], pause["toolCalls"][0]["id"]
        assert refusal(await caller.step("weather", body=following(run, 0))) == (400, "TOOL_RESULTS_MISMATCH")
        results = [*pause["toolCallMessages"], {"role": "tool", "toolCallId": call, "content": "sunny"}]
        rest = following(run, pause["stepIndex"], toolCallMessages=results, iterationsUsed=1, tools=[WEATHER_TOOL])
        told = await caller.step("weather", body=rest)
        assert kinds(told.body) == ["step_output", "step_completed", "flow_completed"]
        assert events(told.body)[-1]["result"] == "It is sunny in Bern"
        assert (await caller.step("weather", body=rest)).body == told.body


@pytest.mark.requirement("NOU-14", "NOU-94")
async def test_who_leaves_between_segments_leaves_a_paused_run_and_in_the_middle_ends_it() -> None:
    gate = Gate()
    async with noukai_app(demo_app(sleep=gate.sleep)) as served:
        caller = served.caller()
        gate.let()
        run = events((await caller.step("slow", "hi")).body)[0]["executionId"]
        assert await served.run_status(run, "paused", "cancelled") == "paused"
        left = caller.send("POST", f"{DEMO}/slow/step", {"message": "x", "runRemaining": True})
        gate.let()
        moving = await started(served)
        await left.leave()
        assert await served.run_status(moving, "cancelled", "completed") == "cancelled"
        kept = caller.send("POST", f"{DEMO}/slow/step", {"message": "x", "runRemaining": True}, idempotency_key="k")
        gate.let()
        moving = await started(served)
        await kept.leave()
        gate.let(5)
        assert await served.run_status(moving, "cancelled", "completed") == "completed"
