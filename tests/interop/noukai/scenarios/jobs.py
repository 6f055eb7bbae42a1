"""Jobs: submitting, polling, waiting."""

from __future__ import annotations

import time

from tests.interop.noukai.registry import scenario
from tests.interop.noukai.stage import Stage, fresh


@scenario.requirement("NOU-25")
async def a_job_is_submitted_polled_and_waited_for(stage: Stage) -> None:
    async with stage.flow("slow") as flow:
        job = await stage.call(flow.execute_async, "later")
        assert job.execution_id
        assert job.flow_id
        assert (await stage.call(job.poll)).status in ("pending", "running")
        status = await stage.call(job.wait, timeout=20.0, poll_interval=0.1)
        assert (status.status, status.result, status.error) == ("completed", "later", None)
        assert (await stage.call(job.poll)).status == "completed"
        again = type(job)(flow._transport, "demo", "basics", "slow", job.execution_id, job.flow_id)
        assert (await stage.call(again.poll)).result == "later"


@scenario.requirement("NOU-26")
async def a_failed_job_says_why_in_one_text(stage: Stage) -> None:
    async with stage.flow("broken") as flow:
        job = await stage.call(flow.execute_async, "hi")
        status = await stage.call(job.wait, timeout=20.0, poll_interval=0.05)
    assert status.status == "failed"
    assert status.error.startswith("STEP_FAILED: ")
    assert status.result is None


@scenario.requirement("NOU-27")
async def waiting_has_an_end_and_an_unknown_job_a_grace(stage: Stage) -> None:
    async with stage.flow("slow") as flow:
        job = await stage.call(flow.execute_async, "later")
        async with stage.raises("APITimeoutError"):
            await stage.call(job.wait, timeout=0.2, poll_interval=0.05)
        place = (flow._transport, "demo", "basics", "slow", fresh(), job.flow_id)
        assert (await stage.call(type(job)(*place, submitted_at=time.monotonic()).poll)).status == "pending"
        async with stage.raises("FlowNotFoundError") as caught:
            await stage.call(type(job)(*place, submitted_at=time.monotonic() - 60).poll)
        assert caught[0].code == "JOB_NOT_FOUND"
