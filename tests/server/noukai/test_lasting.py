"""What outlives requests and processes: repeats under way, restarts, retention, and what capture keeps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.server.noukai.flow_app import BASE, DEMO, WEATHER_TOOL, Gate, events, noukai_app, with_flows
from tests.server.noukai.test_executing import paused, resume, started
from tests.server.noukai.test_recorded_sessions import S, session
from tests.server.noukai.test_refusals import refusal

from dragoman.core.records import Keep
from dragoman.demo.app import demo_app
from dragoman.engine.flows.authoring import Flow
from dragoman.engine.flows.context import FlowContext
from dragoman.testing.clock import FakeClock

DAY = 24 * 3600.0


@pytest.mark.requirement("NOU-94")
async def test_a_repeat_of_a_call_under_way_waits_for_the_same_answer() -> None:
    gate = Gate()
    async with noukai_app(demo_app(sleep=gate.sleep)) as served:
        caller = served.caller()
        first = caller.send("POST", f"{DEMO}/slow/execute", {"message": "x"}, idempotency_key="k")
        gate.let()
        run = await started(served)
        second = caller.send("POST", f"{DEMO}/slow/execute", {"message": "x"}, idempotency_key="k")
        gate.let(4)
        assert (await first.end()).json == (await second.end()).json
        assert first.json["executionId"] == run
        assert len((await served.services.store.runs("demo")).rows) == 1


@pytest.mark.requirement("NOU-94")
async def test_keys_of_two_callers_do_not_meet() -> None:
    async with noukai_app() as served:
        await served.caller("nk_demo").execute("echo", "mine", idempotency_key="k")
        other = await served.caller("nk_limited").execute("echo", "theirs", idempotency_key="k")
        assert (other.status, other.json["result"]) == (200, "theirs")


@pytest.mark.requirement("NOU-86")
async def test_a_run_goes_on_at_the_door_that_it_came_in_by() -> None:
    async with noukai_app() as served:
        caller = served.caller()
        pause = await paused(caller)
        result = {"tool_call_id": pause["toolCalls"][0]["id"], "output": "sunny"}
        wrong = {"executionId": pause["executionId"], "stepIndex": 0, "toolCallMessages": [result]}
        assert refusal(await caller.step("weather", body=wrong)) == (404, "RUN_NOT_FOUND")
        asked = events((await caller.step("weather", "Bern", body={"tools": [WEATHER_TOOL]})).body)[-1]
        stepped = resume({**asked, "pausedAtStep": asked["stepId"]}, result)
        assert refusal(await caller.post(f"{DEMO}/weather/execute", stepped)) == (404, "RUN_NOT_FOUND")


@pytest.mark.requirement("NOU-19", "NOU-89")
async def test_jobs_and_pauses_survive_a_restart(tmp_path: Path) -> None:
    gate = Gate()
    async with noukai_app(demo_app(sleep=gate.sleep), data=str(tmp_path)) as served:
        caller = served.caller()
        pause = await paused(caller)
        segment = events((await caller.step("two-step", "hi")).body)[0]["executionId"]
        job = (await caller.job("slow", "hi")).json["executionId"]
        gate.let()
        await started(served)
    gate.let(5)
    async with noukai_app(demo_app(sleep=gate.sleep), data=str(tmp_path)) as served:
        caller = served.caller()
        assert (await caller.job_end("slow", job))["result"] == "hi"
        result = {"tool_call_id": pause["toolCalls"][0]["id"], "output": "sunny"}
        done = await caller.post(f"{DEMO}/weather/execute", resume(pause, result))
        assert done.json["result"] == "It is sunny in Bern"
        rest = await caller.step("two-step", body={"executionId": segment, "stepIndex": 1})
        assert events(rest.body)[-1]["result"] == "HI!"
        trace = (await caller.get(f"{DEMO}/slow/runs/{job}/trace")).json
        assert trace["flowRun"]["status"] == "completed"


@pytest.mark.requirement("NOU-81")
async def test_a_session_expires_is_known_as_expired_and_then_forgotten() -> None:
    clock = FakeClock()
    async with noukai_app(clock=clock) as served:
        caller = served.caller()
        await caller.execute("echo", "hi", x_session_id=S)
        await session(caller)
        for days, said in ((31, (410, "SESSION_EXPIRED")), (91, (404, "SESSION_NOT_FOUND"))):
            clock.advance(days * DAY)
            async for _ in served.services.store.sweep(Keep(clock())):
                pass
            assert refusal(await caller.get(f"{BASE}/sessions/{S}")) == said


def secretive(mode: Any) -> Flow:
    def look(ctx: FlowContext) -> dict[str, str]:
        return {"password": "hunter2", "mail": "ann@example.org", "size": "x" * 10}

    return Flow("basics/look", [look], capture=mode)


@pytest.mark.requirement("NOU-87")
@pytest.mark.parametrize(
    ("mode", "trace", "available", "shows"),
    [
        ("off", True, False, None),
        ("metadata_only", False, False, None),
        ("metadata_only", True, True, {"password": "hunter2", "mail": "ann@example.org", "size": "x" * 10}),
        ("redacted", False, True, {"password": "[redacted]", "mail": "[redacted]", "size": "x" * 10}),
        ("full", False, True, {"password": "hunter2", "mail": "ann@example.org", "size": "x" * 10}),
    ],
)
async def test_a_capture_mode_decides_what_traces_and_sessions_show(
    mode: str, trace: bool, available: bool, shows: Any
) -> None:
    async with noukai_app(with_flows([secretive(mode)])) as served:
        caller = served.caller()
        done = (await caller.execute("look", "go", body={"trace": trace}, x_session_id=S)).json
        assert done["result"]["password"] == "hunter2"
        (only,) = (await session(caller))["executions"]
        assert (only["traceCaptureMode"], only["snapshotsAvailable"]) == (mode, available)
        assert only["steps"][0]["outputSnapshot"] == shows
        step = (await caller.get(f"{DEMO}/look/runs/{done['executionId']}/steps/look/trace")).json
        assert step["outputContext"] == shows
        assert (step["outputSizeBytes"] is None) == (mode == "off")


@pytest.mark.requirement("NOU-87")
async def test_what_is_too_large_is_cut_and_says_so() -> None:
    def large(ctx: FlowContext) -> str:
        return "x" * 300_000

    async with noukai_app(with_flows([Flow("basics/large", [large], capture="full")])) as served:
        caller = served.caller()
        done = (await caller.execute("large", "go", x_session_id=S)).json
        assert len(done["result"]) == 300_000
        (only,) = (await session(caller))["executions"]
        assert only["steps"][0]["truncated"] is True
        step = (await caller.get(f"{DEMO}/large/runs/{done['executionId']}/steps/large/trace")).json
        assert (step["truncated"], step["outputSizeBytes"]) == (True, 300_002)


@pytest.mark.requirement("NOU-16")
async def test_silence_on_a_stream_is_broken_by_comments_that_are_no_frames() -> None:
    gate = Gate()
    async with noukai_app(demo_app(sleep=gate.sleep), limits={"heartbeat_seconds": 0.01}) as served:
        reply = served.caller().send("POST", f"{DEMO}/slow/step", {"message": "x"})
        await reply.until(lambda: b": heartbeat\n\n" in reply.body)
        gate.let()
        assert events((await reply.end()).body)[-1]["eventType"] == "step_paused"
