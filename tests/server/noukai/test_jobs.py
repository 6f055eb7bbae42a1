"""Jobs: submit, poll, tools, cancel (noukai.md 3.7, section 7)."""

from __future__ import annotations

import pytest
from tests.server.noukai.flow_app import DEMO, WEATHER_TOOL, Gate, noukai_app
from tests.server.noukai.test_refusals import refusal

from dragoman.demo.app import demo_app

JOB_TOOLS = {"x_noukai_features": "other, job-tools"}


@pytest.mark.requirement("NOU-25")
async def test_a_job_is_there_before_the_answer_and_ends() -> None:
    gate = Gate()
    async with noukai_app(demo_app(sleep=gate.sleep)) as served:
        caller = served.caller()
        accepted = await caller.job("slow", "hi")
        flow = served.services.engine.flow("basics/slow")
        run = accepted.json["executionId"]
        assert (accepted.status, accepted.json) == (
            202,
            {"executionId": run, "status": "pending", "flowId": flow.id, "blockCount": 5},
        )
        early = await caller.get(f"{DEMO}/slow/jobs/{run}")
        assert early.json["status"] in ("pending", "running")
        assert (early.json["result"], early.json["error"]) == (None, None)
        gate.let(5)
        assert await caller.job_end("slow", run) == {
            "executionId": run,
            "status": "completed",
            "result": "hi",
            "error": None,
        }


@pytest.mark.requirement("NOU-26")
async def test_a_failed_job_has_its_error_as_one_text() -> None:
    async with noukai_app() as served:
        caller = served.caller()
        run = (await caller.job("broken", "hi")).json["executionId"]
        state = await caller.job_end("broken", run)
        assert (state["status"], state["result"]) == ("failed", None)
        assert state["error"].startswith("STEP_FAILED: ")


@pytest.mark.requirement("NOU-84", "NOU-96")
async def test_a_step_that_needs_the_callers_tools_fails_a_job_whose_caller_has_none() -> None:
    async with noukai_app() as served:
        caller = served.caller()
        run = (await caller.job("weather", "Bern")).json["executionId"]
        state = await caller.job_end("weather", run)
        assert state["error"].startswith("TOOLS_REQUIRE_SYNC_EXECUTE: ")


@pytest.mark.requirement("NOU-96")
async def test_a_job_asks_for_tools_where_its_caller_said_it_can_answer() -> None:
    async with noukai_app() as served:
        caller = served.caller()
        accepted = await caller.job("weather", "Bern", body={"tools": [WEATHER_TOOL]}, **JOB_TOOLS)
        run = accepted.json["executionId"]
        await served.run_status(run, "paused")
        path = f"{DEMO}/weather/jobs/{run}"
        assert (await caller.get(path)).json["status"] == "running"
        pause = (await caller.get(path, **JOB_TOOLS)).json
        assert (pause["status"], pause["pausedAtStep"], pause["iterationsUsed"]) == (
            "tool_calls_required",
            "weather",
            1,
        )
        result = {"tool_call_id": pause["toolCalls"][0]["id"], "output": "sunny"}
        body = {
            "executionId": run,
            "pausedAtStep": "weather",
            "iterationsUsed": 1,
            "toolCallMessages": [*pause["toolCallMessages"], result],
        }
        wrong = body | {"toolCallMessages": pause["toolCallMessages"]}
        assert refusal(await caller.post(f"{path}/resume", wrong, **JOB_TOOLS)) == (400, "TOOL_RESULTS_MISMATCH")
        resumed = await caller.post(f"{path}/resume", body, **JOB_TOOLS)
        assert (resumed.status, resumed.json["executionId"]) == (200, run)
        assert (await caller.job_end("weather", run))["result"] == "It is sunny in Bern"


@pytest.mark.requirement("NOU-96")
async def test_a_job_can_be_cancelled_and_is_told_as_failed() -> None:
    gate = Gate()
    async with noukai_app(demo_app(sleep=gate.sleep)) as served:
        caller = served.caller()
        run = (await caller.job("slow", "hi")).json["executionId"]
        gate.let()
        cancelled = await caller.post(f"{DEMO}/slow/jobs/{run}/cancel")
        assert (cancelled.status, cancelled.json["status"]) == (200, "failed")
        assert cancelled.json["error"].startswith("CANCELLED: ")
        assert (await caller.post(f"{DEMO}/slow/jobs/{run}/cancel")).json == cancelled.json
        unknown = await caller.post(f"{DEMO}/slow/jobs/unknown/cancel")
        assert refusal(unknown) == (404, "JOB_NOT_FOUND")


@pytest.mark.requirement("NOU-94")
async def test_a_repeated_submission_is_the_same_job() -> None:
    async with noukai_app() as served:
        caller = served.caller()
        first = await caller.job("private", "hi", idempotency_key="k")
        await caller.job_end("private", first.json["executionId"])
        again = await caller.job("private", "hi", idempotency_key="k")
        assert (again.status, again.json) == (202, first.json)
        assert (await caller.job_end("private", first.json["executionId"]))["result"] == "hi"


@pytest.mark.requirement("NOU-84")
async def test_a_submission_does_not_resume() -> None:
    async with noukai_app() as served:
        body = {"executionId": "r", "pausedAtStep": "echo", "toolCallMessages": []}
        assert refusal(await served.caller().job("echo", body=body)) == (400, "EXECUTION_ID_INVALID")
