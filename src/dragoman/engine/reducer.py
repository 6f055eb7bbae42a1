"""What a run does next: `(state, input) → bodies of events and commands`.

Pure: it neither waits nor stores nor calls. The driver numbers and commits the events, folds
them into the state (`state.evolve`), and only then carries out the commands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, assert_never

from dragoman.core import events as ev
from dragoman.core import messages as msg
from dragoman.engine.arguments import tool_input
from dragoman.engine.endings import cancel, close_block, give_up
from dragoman.engine.inputs import (
    Begin,
    CallModel,
    Cancel,
    Decide,
    Found,
    GiveUp,
    Heard,
    Input,
    ModelEnded,
    ModelFailed,
    Outcome,
    Recover,
    Rules,
    RunTool,
    Search,
    SearchFailed,
    ToolRaised,
    ToolReturned,
)
from dragoman.engine.state import KNOWLEDGE_STEP, Call, RunState, tool_step


def decide(state: RunState, given: Input, rules: Rules) -> Outcome:
    """The facts that follow from an input, and what to do once they are stored.

    A final state and a piece that comes too late give nothing.
    """
    out = Outcome()
    if state.is_final:
        return out
    match given:
        case Heard():
            _hear(state, given, rules, out)
        case Begin():
            out.say(ev.RunStarted(rules.executor))
            if rules.searches:
                out.say(ev.StepStarted("knowledge", ", ".join(rules.agent.knowledge)), KNOWLEDGE_STEP)
                out.commands.append(Search())
            else:
                _call_model(state, rules, out)
        case Found():
            _found(state, given, rules, out)
        case SearchFailed():
            _search_failed(state, given, out)
        case ModelEnded():
            _model_ended(state, given.finish, rules, out)
        case ModelFailed():
            _model_failed(state, given, out)
        case ToolReturned() | ToolRaised():
            _tool_ended(state, given, rules, out)
        case Decide():
            _decided(state, given, rules, out)
        case Cancel():
            cancel(state, given.reason, out)
        case GiveUp():
            give_up(state, given.code, given.message, out)
        case Recover():
            _recover(state, rules, out)
        case _:
            assert_never(given)
    return out


# --------------------------------------------------------------------------- what the model is told beside


def _found(state: RunState, given: Found, rules: Rules, out: Outcome) -> None:
    if not state.search_attempt:
        return
    for body in given.sources:
        out.say(ev.ItemAdded(rules.new_id(), "source", body), KNOWLEDGE_STEP)
    out.say(ev.StepCompleted(), KNOWLEDGE_STEP)
    _call_model(state, rules, out)


def _search_failed(state: RunState, given: SearchFailed, out: Outcome) -> None:
    if not state.search_attempt:
        return
    out.say(ev.StepFailed(given.code, given.message, given.ref), KNOWLEDGE_STEP)
    out.say(ev.RunFailed(given.code, given.message, ref=given.ref))


# --------------------------------------------------------------------------- the model's turn


def _call_model(state: RunState, rules: Rules, out: Outcome) -> None:
    agent = rules.agent
    if state.rounds >= agent.max_rounds:
        give_up(state, "too_many_rounds", f"the model called tools in {agent.max_rounds} rounds without an answer", out)
        return
    if agent.max_tokens is not None and (state.usage.total_tokens or 0) >= agent.max_tokens:
        give_up(state, "too_many_tokens", f"the answer used its {agent.max_tokens} tokens", out)
        return
    step = f"model:{state.rounds + 1}"
    out.say(ev.StepStarted("model", rules.model_name, index=state.rounds + 1), step)
    out.commands.append(CallModel(step))


def _hear(state: RunState, given: Heard, rules: Rules, out: Outcome) -> None:
    step, piece = state.model_step, given.piece
    if step is None:
        return
    match piece:
        case str():
            _text(state, "text", piece, step, rules, out)
        case msg.ModelText():
            _text(state, "text", piece.delta, step, rules, out, piece.provider)
        case msg.ModelReasoning():
            _text(state, "reasoning", piece.delta, step, rules, out, piece.provider)
        case msg.ModelRefusal():
            _text(state, "refusal", piece.delta, step, rules, out)
        case msg.ModelToolDelta():
            close_block(state, step, out)
            if piece.call_id not in state.calls:
                out.say(ev.ToolStarted(piece.call_id, piece.name), step)
            out.say(ev.ToolInputDelta(piece.call_id, piece.delta), step)
        case msg.ModelToolCall():
            close_block(state, step, out)
            if piece.call_id not in state.calls:
                out.say(ev.ToolStarted(piece.call_id, piece.name), step)
            said = tool_input(piece.call_id, piece.name, piece.input, rules, piece.provider)
            if said.error is None and rules.shows_form(piece.name):
                said = replace(said, widget=given.widget, error=given.fault)
            out.say(said, step)
        case msg.ModelItem():
            close_block(state, step, out)
            out.say(ev.ItemAdded(rules.new_id(), piece.kind, piece.body), step)
        case msg.ModelUsage():
            used = piece.usage
            out.say(
                ev.UsageCounted(
                    used.prompt_tokens,
                    used.completion_tokens,
                    used.cache_read_tokens,
                    used.cache_write_tokens,
                    used.reasoning_tokens,
                    piece.cost,
                ),
                step,
            )
        case msg.ModelFinish():
            raise TypeError("the driver keeps ModelFinish and gives ModelEnded")
        case _:
            assert_never(piece)


def _text(
    state: RunState,
    kind: ev.BlockKind,
    delta: str,
    step: str,
    rules: Rules,
    out: Outcome,
    provider: dict[str, Any] | None = None,
) -> None:
    """The next piece of a block; with `provider` it is the last one."""
    if not delta and provider is None:
        return
    block = state.open_block
    if block is not None and block.kind == kind:
        open_id = block.id
    else:
        close_block(state, step, out)
        open_id = rules.new_id()
        out.say(ev.BlockStarted(open_id, kind), step)
    if delta:
        out.say(ev.BlockDelta(open_id, delta), step)
    if provider is not None:
        out.say(ev.BlockEnded(open_id, provider), step)


def _model_ended(state: RunState, finish: ev.FinishReason, rules: Rules, out: Outcome) -> None:
    step = state.model_step
    if step is None:
        return
    close_block(state, step, out)
    calls = [entry for entry in state.of_step(step) if isinstance(entry, Call)]
    ready: list[Call] = []
    for call in calls:
        if call.has_input:
            ready.append(call)
            continue
        said = tool_input(call.id, call.name, "".join(call.pieces), rules)
        out.say(said, step)
        ready.append(
            Call(call.id, call.name, step, has_input=True, input=said.input, error=said.error, client=said.client)
        )
    out.say(ev.StepCompleted("tool-calls" if ready else finish), step)
    if ready and rules.hands_over:
        out.say(ev.RunCompleted("tool-calls"))
        return
    waiting = False
    for call in ready:
        waiting |= _dispatch(call, rules, out)
    if not ready:
        out.say(ev.RunCompleted(finish))
    elif not waiting:
        _call_model(state, rules, out)
    elif not any(isinstance(command, RunTool) for command in out.commands):
        _pause(ready, rules, out)


def _dispatch(call: Call, rules: Rules, out: Outcome) -> bool:
    """Say what becomes of a call whose input is known; whether an answer is still to come."""
    if call.error is not None:
        out.say(ev.ToolFailed(call.id, call.name, call.error), call.step)
        return False
    match rules.verdict(call):
        case "run":
            out.say(ev.StepStarted("tool", call.name), tool_step(call.id))
            out.commands.append(RunTool(call.id))
            return True
        case "ask":
            expires = rules.now() + rules.approval_ttl
            out.say(ev.ToolApprovalRequested(call.id, rules.new_id(), expires), call.step)
            return True
        case "client":
            return True
        case "blocked":
            out.say(ev.ToolDenied(call.id, call.name, "blocked"), call.step)
        case "cannot_ask":
            out.say(ev.ToolDenied(call.id, call.name, "this client cannot ask for approval"), call.step)
        case "no_client":
            out.say(ev.ToolFailed(call.id, call.name, "this client cannot run tools"), call.step)
        case "no_form":
            out.say(ev.ToolFailed(call.id, call.name, "this client cannot show forms"), call.step)
        case "unknown":
            known = ", ".join(sorted(rules.agent.tools)) or "none"
            out.say(ev.ToolFailed(call.id, call.name, f"no tool is called {call.name!r}; known: {known}"), call.step)
        case other:
            assert_never(other)
    return False


def _pause(calls: Sequence[Call], rules: Rules, out: Outcome) -> None:
    settled = {f.body.call for f in out.facts if isinstance(f.body, ev.ToolFailed | ev.ToolDenied | ev.ToolOutput)}
    asked = {f.body.call for f in out.facts if isinstance(f.body, ev.ToolApprovalRequested)}
    pending = [c for c in calls if c.outcome is None and c.id not in settled]
    reason: Literal["approval", "client_tool"] = (
        "approval" if any(c.id in asked or c.approval is not None for c in pending) else "client_tool"
    )
    out.say(ev.RunPaused(reason, tuple(c.id for c in pending)))


def _model_failed(state: RunState, given: ModelFailed, out: Outcome) -> None:
    step = state.model_step
    if step is None:
        return
    close_block(state, step, out)
    out.say(ev.StepFailed(given.code, given.message, given.ref), step)
    _fail_open_calls(state, "the model failed", out)
    out.say(ev.RunFailed(given.code, given.message, given.retryable, given.ref))


def _fail_open_calls(state: RunState, why: str, out: Outcome) -> None:
    for call in state.unsettled():
        if call.running:
            out.say(ev.ToolFailed(call.id, call.name, why), call.step)
        else:
            out.say(ev.ToolDenied(call.id, call.name, why), call.step)


# --------------------------------------------------------------------------- tools and decisions


def _tool_ended(state: RunState, given: ToolReturned | ToolRaised, rules: Rules, out: Outcome) -> None:
    call = state.calls.get(given.call)
    if call is None or call.outcome is not None or not call.running:
        return
    step = tool_step(call.id)
    match given:
        case ToolReturned():
            out.say(ev.ToolOutput(call.id, call.name, given.output), call.step)
            out.say(ev.StepCompleted(), step)
        case ToolRaised():
            out.say(ev.ToolFailed(call.id, call.name, given.message), call.step)
            out.say(ev.StepFailed("tool_failed", given.message), step)
    _go_on(state, rules, out)


def _go_on(state: RunState, rules: Rules, out: Outcome) -> None:
    """After some calls were answered: the next model call, a pause, or wait for what is running."""
    settled = {f.body.call for f in out.facts if isinstance(f.body, ev.ToolOutput | ev.ToolFailed | ev.ToolDenied)}
    started = {f.step for f in out.facts if isinstance(f.body, ev.StepStarted | ev.StepRestarted)}
    open_calls = [c for c in state.unsettled() if c.id not in settled]
    if not open_calls:
        _call_model(state, rules, out)
    elif not any(c.running or tool_step(c.id) in started for c in open_calls):
        _pause(open_calls, rules, out)


def _decided(state: RunState, given: Decide, rules: Rules, out: Outcome) -> None:
    accepted: list[Call] = []
    for call_id, decision in given.decisions:
        call = state.calls[call_id]
        accepted.append(call)
        if decision.is_result:
            continue
        assert call.approval is not None, "judge admits only calls that asked"
        out.say(
            ev.ToolApprovalDecided(
                call.id,
                call.approval,
                decision.approved,
                decision.reason,
                given.by,
                given.channel,
                decision.input,
                decision.answers,
            ),
            call.step,
        )
    if state.status == "paused":
        out.say(ev.RunResumed())
    for call, (_, decision) in zip(accepted, given.decisions, strict=True):
        if decision.is_result:
            if decision.error is not None:
                out.say(ev.ToolFailed(call.id, call.name, decision.error), call.step)
            else:
                out.say(ev.ToolOutput(call.id, call.name, decision.output), call.step)
        elif not decision.approved:
            out.say(ev.ToolDenied(call.id, call.name, decision.reason), call.step)
        else:
            out.say(ev.StepStarted("tool", call.name), tool_step(call.id))
            out.commands.append(RunTool(call.id))
    _go_on(state, rules, out)


# --------------------------------------------------------------------------- going on after a crash


def _recover(state: RunState, rules: Rules, out: Outcome) -> None:
    if state.status == "new":
        decided = decide(state, Begin(), rules)
        out.facts, out.commands = decided.facts, decided.commands
        return
    out.say(ev.RunStarted(rules.executor, resumed=True))
    if state.search_attempt:
        out.say(ev.StepRestarted(state.search_attempt + 1), KNOWLEDGE_STEP)
        out.commands.append(Search())
        return
    if state.model_step is not None:
        out.say(ev.StepRestarted(state.model_attempt + 1), state.model_step)
        out.commands.append(CallModel(state.model_step))
        return
    for call in state.unsettled():
        if not call.running:
            continue
        made = rules.agent.tools.get(call.name)
        if made is not None and made.may_run_again:
            out.say(ev.StepRestarted(call.attempt + 1), tool_step(call.id))
            out.commands.append(RunTool(call.id))
        else:
            out.say(ev.ToolFailed(call.id, call.name, "interrupted"), call.step)
            out.say(ev.StepFailed("interrupted", "the server stopped while the tool ran"), tool_step(call.id))
    _go_on(state, rules, out)
