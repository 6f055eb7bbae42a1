"""Starting and going on: `execute`, `step`, and what jobs share with them (noukai.md 3.4 to 3.6).

Each handler checks in the wire's order, makes one call of the engine, which has committed when it
returns, and hands the run to `following`.
"""

from __future__ import annotations

from typing import Any, Literal

from dragoman.core.errors import NotFound
from dragoman.core.flows import Continue, FlowCall, FlowInfo
from dragoman.core.ids import is_id
from dragoman.core.records import Repeat, Run
from dragoman.core.turns import Started
from dragoman.noukai.models import ExecuteRequest, StepRequest
from dragoman.server.http import Call, Reply
from dragoman.server.noukai import bodies
from dragoman.server.noukai.context import Context
from dragoman.server.noukai.errors import refuse
from dragoman.server.noukai.following import Follower, Following, is_keyed

KEPT_SECONDS = 24 * 3600.0
"""How long the answer of a call with an idempotency key is kept."""


class Starter:
    """Starts runs for execute, step and jobs alike."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._services = context.services

    async def start(
        self,
        call: Call,
        flow: FlowInfo,
        request: ExecuteRequest | StepRequest,
        kind: Literal["execute", "step", "job"],
        *,
        client_tools: bool = True,
        remaining: bool = True,
    ) -> Started:
        """A fresh run, or the one of an earlier call with the same idempotency key."""
        given = bodies.given(request)
        if flow.requires_message and given.message is None:
            raise refuse(400, "MISSING_MESSAGE", "This flow needs a message.")
        session, call_index = bodies.session_id(call), bodies.call_index(call)
        inputs = _input_overrides(request)
        version = self._context.version(call, flow)
        self._context.check_overrides(flow, version, given.overrides, inputs)
        repeat = await self._repeat(call)
        if repeat is None or not await self._is_known(repeat):
            await self._context.check_credits(call)
        return await self._services.engine.start_flow(
            FlowCall(
                call.principal.tenant,
                flow.name,
                kind=kind,
                version=version,
                message=given.message,
                messages=given.messages,
                parameters=given.parameters,
                attachments=given.attachments,
                overrides=given.overrides,
                input_overrides=inputs,
                tools=given.tools,
                tool_choice=given.tool_choice,
                client_tools=client_tools,
                remaining=remaining,
                trace=request.trace,
                session=session,
                call_index=call_index,
                input_hash=given.hash,
                repeat=repeat,
                face="noukai",
                metadata=self._context.metadata(call, keyed=repeat is not None),
                traceparent=bodies.traceparent(call),
            )
        )

    async def _repeat(self, call: Call) -> Repeat | None:
        key = bodies.idempotency_key(call)
        if key is None:
            return None
        now, who = self._services.clock(), call.principal
        digest = await bodies.digest(call)
        # whoever has another key of the organisation must not learn what this one has sent
        owner = f"noukai {who.key_id or who.user}"
        return Repeat(who.tenant, owner, key, digest, None, None, now, now + KEPT_SECONDS)

    async def _is_known(self, repeat: Repeat) -> bool:
        now = self._services.clock()
        return await self._services.store.repeat(repeat.tenant, repeat.owner, repeat.key, now=now) is not None


class Execution:
    """Handlers of execute and step."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._services = context.services
        self._starter = Starter(context)
        self._follower = Follower(context)

    # ------------------------------------------------------------------ execute

    async def execute(self, call: Call) -> Reply:
        """`POST …/execute`: a fresh call, or the results that a paused run waits for."""
        flow = self._context.flow(call)
        request = await bodies.read(call, ExecuteRequest)
        if is_resume(request):
            following = await self._resume(call, request)
        else:
            started = await self._starter.start(call, flow, request, "execute")
            following = started_following(started)

        async def to_stop() -> Any:
            async with call.while_present():
                return await self._follower.to_stop(following)

        return await self._follower.answer(following, to_stop)

    async def _resume(self, call: Call, request: ExecuteRequest) -> Following:
        run, outputs = await resumed_run(self._context, call, request)
        if run.kind != "execute":
            raise NotFound("There is no such executed run of this flow.", code="not_found:run")
        await self._context.check_credits(call)
        given = Continue(outputs=outputs)
        continued = await self._services.engine.continue_flow(call.principal.tenant, run.id, given)
        return Following(continued.run, continued.after, is_keyed(run), live=continued.live)

    # ------------------------------------------------------------------ step

    async def step(self, call: Call) -> Reply:
        """`POST …/step`: one segment of a stepped run."""
        flow = self._context.flow(call)
        request = await bodies.read(call, StepRequest)
        if request.execution_id is not None:
            return self._follower.segment(await self._continue(call, flow, request))
        if request.step_index != 0 or request.tool_call_messages:
            raise refuse(400, "INVALID_FIRST_CALL", "A first segment has stepIndex 0 and no tool results.")
        started = await self._starter.start(call, flow, request, "step", remaining=request.run_remaining)
        return self._follower.segment(started_following(started))

    async def _continue(self, call: Call, flow: FlowInfo, request: StepRequest) -> Following:
        run_id = request.execution_id or ""
        outputs = None if request.tool_call_messages is None else bodies.outputs(request.tool_call_messages)
        tools, choice = bodies.tools(request.tools or ()), bodies.tool_choice(request.tool_choice)
        overrides, inputs = dict(request.block_overrides or {}), _input_overrides(request)
        if not is_id(run_id):
            raise refuse(400, "EXECUTION_ID_INVALID", "executionId: expected the id of a run.")
        run = await self._context.run(call, run_id)
        if run.kind != "step":
            raise NotFound("There is no such stepped run of this flow.", code="not_found:run")
        self._context.version(call, flow)
        await self._context.check_credits(call)
        given = Continue(
            outputs=outputs,
            step=request.step_index,
            remaining=request.run_remaining,
            overrides=overrides,
            input_overrides=inputs,
            tools=tools,
            tool_choice=choice,
            trace=request.trace,
        )
        continued = await self._services.engine.continue_flow(call.principal.tenant, run.id, given)
        return Following(continued.run, continued.after, is_keyed(run), live=continued.live)


def started_following(started: Started) -> Following:
    """What the caller of a fresh run waits for: all of it."""
    return Following(started.run, 0, is_keyed(started.run), live=started.live)


def is_resume(request: ExecuteRequest) -> bool:
    """Whether the body answers a pause. Raises BadRequest for one that is half of both."""
    parts = (request.execution_id, request.paused_at_step, request.tool_call_messages)
    if all(part is None for part in parts):
        return False
    if request.execution_id is None:
        raise refuse(400, "EXECUTION_ID_INVALID", "A resume names the run: executionId is missing.")
    if request.paused_at_step is None:
        raise refuse(400, "PAUSED_STEP_INVALID", "A resume names the step that waits: pausedAtStep is missing.")
    if request.tool_call_messages is None:
        raise refuse(400, "TOOL_RESULTS_MISMATCH", "A resume has the results: toolCallMessages is missing.")
    return True


async def resumed_run(
    context: Context, call: Call, request: ExecuteRequest, run: Run | None = None
) -> tuple[Run, dict[str, Any]]:
    """The run that a resume means, and the results by call. Raises BadRequest, NotFound.

    What is echoed of the run's state counts for nothing, but a step that the flow does not have is refused.
    """
    if run is None and not is_id(request.execution_id):
        raise refuse(400, "EXECUTION_ID_INVALID", "executionId: expected the id of a run.")
    outputs = bodies.outputs(request.tool_call_messages or ())
    found = run if run is not None else await context.run(call, request.execution_id)
    if context.plan(found).place(request.paused_at_step or "") is None:
        raise refuse(400, "PAUSED_STEP_INVALID", "pausedAtStep: the run has no such step.", run_id=found.id)
    return found, outputs


def _input_overrides(request: ExecuteRequest | StepRequest) -> dict[str, dict[str, Any]]:
    if not isinstance(request, StepRequest):
        return {}
    made: dict[str, dict[str, Any]] = {}
    for step, values in request.input_overrides.items():
        if not isinstance(values, dict):
            raise refuse(400, "BLOCK_OVERRIDES_INVALID", f"inputOverrides.{step[:100]}: expected an object.")
        made[step] = values
    return made
