"""Traces of runs, whole, by step, and live."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

from tests.interop.noukai.registry import scenario
from tests.interop.noukai.scenarios.stepping import spread
from tests.interop.noukai.stage import Stage, fresh, kinds

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)")


@scenario.requirement("NOU-28")
async def a_run_has_a_trace(stage: Stage) -> None:
    async with stage.flow("two-step") as flow:
        done = await stage.call(flow.execute, "hi")
        run = flow.run(done.execution_id)
        assert run.execution_id == done.execution_id
        trace = await stage.call(run.trace)
        streamed = await stage.all(flow.steps("hi"))
        stepped = (await stage.all(flow.events("hi")))[0].execution_id
        assert len(streamed) == 2
        assert (await stage.call(flow.run(stepped).trace)).flow_run.trigger_type == "step"
    summary = trace.flow_run
    assert (summary.id, summary.flow_id) == (done.execution_id, done.flow_id)
    assert (summary.status, summary.trigger_type, summary.step_count) == ("completed", "execute", 2)
    assert TIME.fullmatch(summary.started_at), summary.started_at
    assert summary.duration_ms >= 0
    assert [step.step_id for step in trace.steps] == ["upper", "exclaim"]
    upper = trace.steps[0]
    assert (upper.attempt, upper.loop_index, upper.status) == (1, None, "completed")
    assert upper.output_context == {"output": "HI"}
    assert upper.input_context["message"] == "hi"
    assert upper.error_context is None
    assert upper.output_size_bytes > 0
    assert upper.truncated is False


@scenario.requirement("NOU-29")
async def a_step_has_a_trace_by_attempt(stage: Stage) -> None:
    async with stage.flow("two-step") as flow:
        done = await stage.call(flow.execute, "hi")
        run = flow.run(done.execution_id)
        latest = await stage.call(run.step_trace, "exclaim")
        assert (latest.step_id, latest.attempt) == ("exclaim", 1)
        assert latest.output_context == {"output": "HI!"}
        every = await stage.call(run.step_trace, "exclaim", attempt="all")
        assert (every.step_id, [each.attempt for each in every.attempts]) == ("exclaim", [1])
        assert (await stage.call(run.step_trace, "exclaim", attempt=1)).attempt == 1
        for wrong in ({"attempt": 9}, {"loop_index": 3}):
            async with stage.raises("FlowNotFoundError") as caught:
                await stage.call(run.step_trace, "exclaim", **wrong)
            assert caught[0].code == "STEP_NOT_FOUND"
        async with stage.raises("FlowNotFoundError"):
            await stage.call(run.step_trace, "nothing")


@scenario.requirement("NOU-30")
async def the_live_trace_of_a_finished_run_tells_it_again(stage: Stage) -> None:
    async with stage.flow("two-step") as flow:
        done = await stage.call(flow.execute, "hi")
        events = await stage.all(flow.run(done.execution_id).live_trace())
    step = ["step_started", "step_input", "step_output", "step_completed"]
    assert kinds(events) == ["run_started", *step, *step, "flow_completed"]
    assert events[-1].result == "HI!"


@scenario.requirement("NOU-31")
async def the_live_trace_of_a_running_job_follows_it(stage: Stage) -> None:
    async with stage.flow("slow") as flow:
        jobs = []

        async def live() -> AsyncIterator[Any]:
            jobs.append(await stage.call(flow.execute_async, "x"))
            async for event in stage.each(flow.run(jobs[-1].execution_id).live_trace()):
                yield event

        seen = await spread(live, 5)
        assert kinds(seen)[0] == "run_started"
        assert kinds(seen)[-1] == "flow_completed"
        assert (await stage.call(jobs[-1].poll)).status == "completed"


@scenario.requirement("NOU-32")
async def traces_of_failed_unknown_and_foreign_runs(stage: Stage) -> None:
    async with stage.client() as client:
        broken = client.flow("demo/basics/broken")
        execution_id = (await stage.all(broken.events("hi")))[0].execution_id
        trace = await stage.call(broken.run(execution_id).trace)
        assert trace.flow_run.status == "failed"
        assert [step.status for step in trace.steps] == ["completed", "failed"]
        assert trace.steps[1].error_context["code"] == "STEP_FAILED"
        live = await stage.all(broken.run(execution_id).live_trace())
        assert "step_error" in kinds(live)
        for flow, run in ((broken, fresh()), (client.flow("demo/basics/echo"), execution_id)):
            async with stage.raises("FlowNotFoundError") as caught:
                await stage.call(flow.run(run).trace)
            assert (caught[0].status_code, caught[0].code) == (404, "RUN_NOT_FOUND")
            async with stage.raises("FlowNotFoundError"):
                await stage.all(flow.run(run).live_trace())
