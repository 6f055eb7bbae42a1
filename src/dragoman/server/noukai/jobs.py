"""Jobs: submit, poll, answer a pause, cancel (noukai.md 3.7 and section 7).

Clients know four states only; a pause for tools is told to those alone that say they know it, and for
the others such a step fails the job.
"""

from __future__ import annotations

from typing import Any

from dragoman.core.errors import NotFound
from dragoman.core.flows import Continue
from dragoman.core.records import Run
from dragoman.noukai.documents import job_document
from dragoman.noukai.models import ExecuteRequest
from dragoman.server.http import Answer, Call
from dragoman.server.noukai import bodies
from dragoman.server.noukai.context import Context
from dragoman.server.noukai.errors import refuse
from dragoman.server.noukai.execution import Starter, is_resume, resumed_run


class Jobs:
    """Handlers of the jobs of a flow."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._services = context.services
        self._starter = Starter(context)

    async def submit(self, call: Call) -> Answer:
        """`POST …/jobs`: the row is stored before the answer is sent."""
        flow = self._context.flow(call)
        request = await bodies.read(call, ExecuteRequest)
        if is_resume(request):
            raise refuse(400, "EXECUTION_ID_INVALID", "A submission starts a run; resume a job at its own address.")
        with_tools = bodies.wants_job_tools(call)
        if request.tools and not with_tools:
            raise refuse(400, "TOOLS_REQUIRE_SYNC_EXECUTE", "Jobs cannot call tools of the caller; use execute.")
        started = await self._starter.start(call, flow, request, "job", client_tools=with_tools)
        plan = self._context.plan(started.run)
        body = {"executionId": plan.run, "status": "pending", "flowId": plan.flow, "blockCount": plan.count}
        return Answer.json(body, 202, run_id=plan.run)

    async def poll(self, call: Call) -> Answer:
        """`GET …/jobs/{id}`."""
        return await self._state(call, await self._job(call))

    async def resume(self, call: Call) -> Answer:
        """`POST …/jobs/{id}/resume`: results for the tools that the job waits for."""
        run = await self._job(call)
        request = await bodies.read(call, ExecuteRequest)
        filled = {"execution_id": request.execution_id or run.id}
        request = request.model_copy(update=filled)
        if filled["execution_id"] != run.id or not is_resume(request):
            raise refuse(400, "EXECUTION_ID_INVALID", "executionId: expected that of the path.", run_id=run.id)
        _, outputs = await resumed_run(self._context, call, request, run)
        await self._context.check_credits(call)
        await self._services.engine.continue_flow(call.principal.tenant, run.id, Continue(outputs=outputs))
        return await self._state(call, await self._job(call))

    async def cancel(self, call: Call) -> Answer:
        """`POST …/jobs/{id}/cancel`; a job that has ended stays as it ended."""
        run = await self._job(call)
        if run.is_active:
            await self._services.engine.cancel(run.id, reason="cancelled by the caller")
        return await self._state(call, await self._job(call))

    async def _job(self, call: Call) -> Run:
        run = await self._context.run(call)
        if run.kind != "job":
            raise NotFound("There is no such job of this flow.", code="not_found:run")
        return run

    async def _state(self, call: Call, run: Run) -> Answer:
        body = job_document(run, expose=self._context.expose)
        if run.status == "paused" and bodies.wants_job_tools(call):
            body |= await self._pause(run)
        return Answer.json(body, run_id=run.id)

    async def _pause(self, run: Run) -> dict[str, Any]:
        """The fields of the pause, as long as the run still waits."""
        fold = self._context.fold(run)
        while events := await self._services.store.events(run.id, after=fold.seq):
            for event in events:
                fold.feed(event)
        return {"status": "tool_calls_required", **fold.pause()} if fold.state == "tools" else {}
