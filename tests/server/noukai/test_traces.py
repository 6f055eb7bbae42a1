"""Traces of runs and steps, at once and live (noukai.md 3.8)."""

from __future__ import annotations

import re

import pytest
from tests.server.noukai.flow_app import DEMO, Gate, events, noukai_app, with_flows
from tests.server.noukai.test_refusals import refusal

from dragoman.demo.app import demo_app
from dragoman.engine.flows.authoring import Flow, loop, step
from dragoman.engine.flows.context import FlowContext

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@pytest.mark.requirement("NOU-28")
async def test_a_run_has_a_trace_with_its_steps() -> None:
    async with noukai_app() as served:
        caller = served.caller()
        run = (await caller.execute("model", "count: 3")).json["executionId"]
        trace = (await caller.get(f"{DEMO}/model/runs/{run}/trace")).json
        summary, (only,) = trace["flowRun"], trace["steps"]
        assert {name: summary[name] for name in ("id", "status", "triggerType", "stepCount")} == {
            "id": run,
            "status": "completed",
            "triggerType": "execute",
            "stepCount": 1,
        }
        assert TIME.fullmatch(summary["startedAt"])
        assert TIME.fullmatch(only["completedAt"])
        assert (only["stepId"], only["attempt"], only["loopIndex"], only["status"]) == ("model", 1, None, "completed")
        assert (only["modelUsed"], only["tokens"]["total"] > 0, only["truncated"]) == ("scripted", True, False)
        assert only["inputContext"]["message"] == "count: 3"
        assert only["outputContext"] == {"output": "1 2 3"}
        assert only["outputSizeBytes"] == len('"1 2 3"')


@pytest.mark.requirement("NOU-32")
async def test_a_failed_run_has_a_trace_that_names_the_error() -> None:
    async with noukai_app() as served:
        caller = served.caller()
        run = (await caller.execute("broken", "hi")).json["detail"]["executionId"]
        trace = (await caller.get(f"{DEMO}/broken/runs/{run}/trace")).json
        assert trace["flowRun"]["status"] == "failed"
        assert [each["status"] for each in trace["steps"]] == ["completed", "failed"]
        assert trace["steps"][1]["errorContext"]["code"] == "STEP_FAILED"


@pytest.mark.requirement("NOU-29")
async def test_attempts_and_rounds_of_a_step_are_told_apart() -> None:
    tries: list[int] = []

    @step(retries=1, backoff=0.0)
    def shaky(ctx: FlowContext) -> int:
        tries.append(ctx.attempt)
        if ctx.attempt == 1 and ctx.index == 1:
            raise ValueError("not yet")
        return ctx.item

    flow = Flow("basics/rounds", [loop("each", [shaky], over=lambda ctx: [10, 20])], capture="full")
    async with noukai_app(with_flows([flow])) as served:
        caller = served.caller()
        done = (await caller.execute("rounds", "go")).json
        assert done["result"] == [10, 20]
        path = f"{DEMO}/rounds/runs/{done['executionId']}/steps/shaky/trace"
        latest = (await caller.get(f"{path}?loop_index=1")).json
        assert (latest["attempt"], latest["loopIndex"], latest["status"]) == (2, 1, "completed")
        every = (await caller.get(f"{path}?attempt=all&loop_index=1")).json
        assert [(each["attempt"], each["status"]) for each in every["attempts"]] == [(1, "failed"), (2, "completed")]
        first = (await caller.get(f"{path}?attempt=1&loop_index=0")).json
        assert (first["loopIndex"], first["outputContext"]) == (0, {"output": 10})
        assert refusal(await caller.get(f"{path}?attempt=7")) == (404, "STEP_NOT_FOUND")
        assert refusal(await caller.get(f"{path}?attempt=x")) == (422, "INVALID_REQUEST")
        assert refusal(await caller.get(f"{path}?loop_index=9")) == (404, "STEP_NOT_FOUND")
        whole = (await caller.get(f"{DEMO}/rounds/runs/{done['executionId']}/trace")).json
        assert [(each["stepId"], each["loopIndex"]) for each in whole["steps"]] == [
            ("each", None),
            ("shaky", 0),
            ("shaky", 1),
        ]


@pytest.mark.requirement("NOU-30", "NOU-97")
async def test_a_live_trace_of_a_finished_run_has_all_frames_and_continues_behind_any_of_them() -> None:
    async with noukai_app() as served:
        caller = served.caller()
        run = (await caller.execute("two-step", "hi")).json["executionId"]
        path = f"{DEMO}/two-step/runs/{run}/trace/stream"
        whole = await caller.get(path)
        names = [event["eventType"] for event in events(whole.body)]
        assert (names[0], names[-1], names.count("step_completed")) == ("run_started", "flow_completed", 2)
        frames = whole.body.split(b"\n\n")[:-1]
        ids = [re.search(rb"^id: (\d+)$", frame, re.MULTILINE) for frame in frames]
        assert [int(found[1]) for found in ids if found] == list(range(1, len(frames) + 1))
        for seen in range(len(frames) + 1):
            rest = await caller.get(path, last_event_id=str(seen))
            assert rest.body.split(b"\n\n")[:-1] == frames[seen:]


@pytest.mark.requirement("NOU-31")
async def test_a_live_trace_follows_a_running_job_to_its_end() -> None:
    gate = Gate()
    async with noukai_app(demo_app(sleep=gate.sleep)) as served:
        caller = served.caller()
        run = (await caller.job("slow", "hi")).json["executionId"]
        reply = caller.send("GET", f"{DEMO}/slow/runs/{run}/trace/stream")
        for number in range(1, 6):
            gate.let()
            await reply.until(lambda number=number: reply.body.count(b"event: step_completed") >= number)
        assert events((await reply.end()).body)[-1]["eventType"] == "flow_completed"


@pytest.mark.requirement("NOU-31")
async def test_leaving_a_live_trace_changes_nothing() -> None:
    gate = Gate()
    async with noukai_app(demo_app(sleep=gate.sleep)) as served:
        caller = served.caller()
        run = (await caller.job("slow", "hi")).json["executionId"]
        reply = caller.send("GET", f"{DEMO}/slow/runs/{run}/trace/stream")
        await reply.until(lambda: b"step_started" in reply.body)
        await reply.leave()
        gate.let(5)
        assert (await caller.job_end("slow", run))["status"] == "completed"
