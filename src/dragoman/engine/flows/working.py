"""Runs the functions of a flow's steps and tells the driver what came of it.

Users' code meets the engine here: whatever it raises becomes an input of the reducer, and what it gives
becomes JSON. Values are copied on their way in, so that no function changes what the journal says.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any

from pydantic_core import from_json, to_json

from dragoman.core.records import Run
from dragoman.core.redact import redact_text
from dragoman.engine.course import Inbox, Work
from dragoman.engine.flows.context import FlowContext, InnerFailed, Perform, StepError, call
from dragoman.engine.flows.declared import AgentStep, ClientTool, FunctionStep, Loop, ModelStep, Step, When
from dragoman.engine.flows.inner import InnerSteps
from dragoman.engine.flows.inputs import (
    Choose,
    Chose,
    Conclude,
    Failed,
    FlowRules,
    Prepare,
    Prepared,
    Rest,
    Rested,
    RunStep,
    Told,
    Worked,
)
from dragoman.engine.flows.resolving import choice_input, resolved_input
from dragoman.engine.flows.state import FlowState, OpenStep
from dragoman.engine.flows.values import NotJson, as_json

logger = logging.getLogger("dragoman.engine")


class FlowWork:
    """The functions of one run's steps."""

    def __init__(self, run: Run, state: FlowState, rules: FlowRules) -> None:
        self._run = run
        self._state = state
        self._rules = rules

    def work(self, command: RunStep | Rest | Prepare | Conclude | Choose, inbox: Inbox) -> Work:
        """How a command is carried out."""
        if isinstance(command, Choose):
            lost = Failed(command.key, 1, "STEP_FAILED", "the decision was cancelled")
            return Work(self._choose(command, inbox), lost, idle=True)
        lost = Failed(command.key, command.attempt, "STEP_FAILED", "the step was cancelled from within")
        if isinstance(command, RunStep):
            return Work(self._run_step(command, inbox), lost)
        if isinstance(command, Rest):
            return Work(self._rest(command, inbox), lost, idle=True)
        doing = self._prepared if isinstance(command, Prepare) else self._concluded
        return Work(self._tell(command, doing, inbox), lost, idle=True)

    # ------------------------------------------------------------------ functions

    @staticmethod
    async def _rest(command: Rest, inbox: Inbox) -> None:
        await asyncio.sleep(command.seconds)
        inbox.put(Rested(command.key, command.attempt))

    async def _run_step(self, command: RunStep, inbox: Inbox) -> None:
        open_step, made = self._state.open, self._rules.steps[self._open().node.id]
        if open_step is None or not isinstance(made, FunctionStep):
            return
        async with _Telling(self, command, inbox, made.timeout) as tell:
            inner = InnerSteps(open_step, self._state.nodes, inbox, self.failure)
            context = self._context(open_step.node.id, open_step.input or {}, open_step, inner.perform)
            config = made.check(self._overrides(made))
            try:
                if inspect.isasyncgenfunction(made.function):
                    output: Any = await self._stream(made.function(context, **config), open_step, inbox)
                else:
                    output = await call(made.function, context, **config)
            finally:
                inner.close()
            tell(Worked(command.key, command.attempt, as_json(output, f"what step {made.id!r} gives")))

    async def _stream(self, pieces: AsyncIterator[Any], open_step: OpenStep, inbox: Inbox) -> str:
        key, attempt, texts = open_step.key, open_step.attempt, list[str]()
        try:
            async for piece in pieces:
                if not isinstance(piece, str):
                    raise NotJson(f"a generator step yields text, got {type(piece).__name__}")
                text = str(as_json(piece, "a piece"))
                texts.append(text)
                inbox.put(Told(key, attempt, text))
                await inbox.breathe()
        finally:
            aclose = getattr(pieces, "aclose", None)
            if aclose is not None:
                await aclose()
        return "".join(texts)

    async def _tell(self, command: Prepare | Conclude, doing: Callable[[OpenStep], Any], inbox: Inbox) -> None:
        async with _Telling(self, command, inbox, None) as tell:
            tell(await doing(self._open()))

    async def _prepared(self, open_step: OpenStep) -> Prepared:
        made = self._rules.steps[open_step.node.id]
        given = open_step.input or resolved_input(self._state, open_step.node, self._rules.input)
        context = self._context(made.id, given, open_step)
        if isinstance(made, ModelStep | AgentStep) and made.prompt is not None:
            value = as_json(await call(made.prompt, context), f"the prompt of step {made.id!r}")
        elif isinstance(made, ClientTool) and callable(made.arguments):
            value = as_json(await call(made.arguments, context), f"what step {made.id!r} calls its tool with")
            if not isinstance(value, dict):
                raise NotJson(f"the arguments of a tool are an object, got {type(value).__name__}")
        else:
            value = None
        return Prepared(open_step.key, open_step.attempt, value)

    async def _concluded(self, open_step: OpenStep) -> Worked:
        made = self._rules.steps[open_step.node.id]
        output = open_step.call.output if open_step.call is not None else None
        if isinstance(made, ClientTool) and made.result is not None:
            context = self._context(made.id, open_step.input or {}, open_step)
            output = as_json(await call(made.result, context, copied(output)), f"what step {made.id!r} gives")
        return Worked(open_step.key, open_step.attempt, output)

    # ------------------------------------------------------------------ decisions

    async def _choose(self, command: Choose, inbox: Inbox) -> None:
        async with _Telling(self, command, inbox, None) as tell:
            node = self._state.frames[-1].node
            made = self._rules.steps[node.id if node is not None else ""]
            given = choice_input(self._state, command.what, self._rules.input)
            value = await call(_decider(made, command.what), self._context(made.id, given, None))
            tell(Chose(command.key, _choice(made.id, command.what, value)))

    # ------------------------------------------------------------------ what they see

    def _open(self) -> OpenStep:
        assert self._state.open is not None, "a command for a step follows from its being open"
        return self._state.open

    def _overrides(self, made: Step) -> Mapping[str, Any]:
        found: Mapping[str, Any] = (self._state.options.get("overrides") or {}).get(made.id) or {}
        return copied(found)  # type: ignore[no-any-return]  # an object stays one

    def _context(
        self, id: str, given: Mapping[str, Any], open_step: OpenStep | None, perform: Perform | None = None
    ) -> FlowContext:
        made, run = self._rules.steps[id], self._run
        seen = copied(given)
        message = seen.get("message")
        return FlowContext(
            message=message if message is not None else "",
            messages=copied(self._rules.input.get("messages") or []),
            parameters=seen.get("parameters") or {},
            attachments=seen.get("attachments") or [],
            output=seen.get("output", message),
            outputs=_Outputs(self._state.outputs),
            config={**copied(made.config), **self._overrides(made)},
            item=seen.get("item"),
            index=seen.get("index"),
            run_id=run.id,
            step_id=id,
            attempt=open_step.attempt if open_step is not None else 1,
            tenant=run.tenant,
            session=run.session,
            input=seen,
            _perform=perform,
        )

    def failure(self, error: BaseException, key: str, attempt: int) -> Failed:
        """What an exception of users' code comes to; its text is for the log unless it is a StepError."""
        match error:
            case InnerFailed(ref=ref) if ref is not None:
                return Failed(key, attempt, error.code or "STEP_FAILED", error.message, ref, error.status)
            case StepError():
                return Failed(key, attempt, error.code or "STEP_FAILED", error.message, None, error.status)
            case NotJson():
                return Failed(key, attempt, "OUTPUT_NOT_JSON", error.message)
        ref = secrets.token_hex(6)
        extra = {"run_id": self._run.id, "step": key, "ref": ref}
        logger.warning("step failed", exc_info=error, extra=extra)
        return Failed(key, attempt, "STEP_FAILED", redact_text(str(error) or type(error).__name__), ref)


class _Telling:
    """A block of users' code: whatever it raises is told as the failure of the command's step.

    `timeout` bounds it; a CancelledError passes, for whoever runs the task knows what it means.
    """

    def __init__(
        self, work: FlowWork, command: RunStep | Prepare | Conclude | Choose, inbox: Inbox, timeout: float | None
    ) -> None:
        self._work, self._command, self._inbox, self._timeout = work, command, inbox, timeout
        self._limit = asyncio.timeout(timeout)

    async def __aenter__(self) -> Callable[[Any], None]:
        await self._limit.__aenter__()
        return self._inbox.put

    async def __aexit__(self, kind: Any, error: BaseException | None, trace: Any) -> bool:
        key, attempt = self._command.key, getattr(self._command, "attempt", 1)
        try:
            await self._limit.__aexit__(kind, error, trace)
        except TimeoutError:
            message = f"an attempt took longer than {self._timeout:g} seconds"
            self._inbox.put(Failed(key, attempt, "STEP_TIMEOUT", message, status=504))
            return True
        if isinstance(error, Exception | SystemExit):  # a step that exits must not take the server along
            self._inbox.put(self._work.failure(error, key, attempt))
            return True
        return False


class _Outputs(Mapping[str, Any]):
    """The outputs of steps by id, copied when they are looked at."""

    def __init__(self, outputs: Mapping[str, Any]) -> None:
        self._outputs = outputs

    def __getitem__(self, id: str) -> Any:
        return copied(self._outputs[id])

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._outputs))

    def __len__(self) -> int:
        return len(self._outputs)

    def __repr__(self) -> str:
        return repr(dict(self._outputs))


def copied(value: Any) -> Any:
    """A copy of a JSON value."""
    return from_json(to_json(value)) if isinstance(value, dict | list) and value else value


def _decider(made: Step, what: str) -> Callable[..., Any]:
    match made:
        case When():
            return made.condition
        case Loop():
            function = {"times": made.times, "over": made.over, "until": made.until}[what]
            if callable(function):
                return function
    raise NotJson(f"step {made.id!r} decides by a function that is not there any more")


def _shown(value: Any) -> str:
    # the message is for callers, and only a number says nothing of what a value holds
    return repr(value) if isinstance(value, int) else type(value).__name__


def _choice(id: str, what: str, value: Any) -> Any:
    match what:
        case "times":
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise NotJson(f"loop {id!r} runs a number of times, 0 or more, got {_shown(value)}")
            return value
        case "over":
            made = as_json(value, f"what loop {id!r} runs over")
            if not isinstance(made, list):
                raise NotJson(f"loop {id!r} runs over a list, got {type(value).__name__}")
            return made
        case _:
            return bool(value)
