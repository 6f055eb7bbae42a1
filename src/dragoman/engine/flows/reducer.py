"""What a flow's run does next: `(state, input) → facts and commands`.

Pure, like the agent's reducer, and driven by the same driver. One move at a time: where something
follows from facts that are not folded in yet, `Outcome.then` asks for the next move in the same commit.
An agent inside a step is moved by the agent's own reducer; its facts are told under the step's key.
"""

from __future__ import annotations

from typing import Any

from dragoman.core import events as ev
from dragoman.core.flows import Node
from dragoman.core.steps import inner_key, step_key
from dragoman.core.turns import Decision
from dragoman.engine import inputs as agent
from dragoman.engine import reducer as agents
from dragoman.engine.flows import endings
from dragoman.engine.flows.declared import AgentStep, ClientTool, FunctionStep, Loop, ModelStep, When
from dragoman.engine.flows.inputs import (
    Choose,
    Chose,
    Conclude,
    DoAsAgent,
    Failed,
    FlowInput,
    FlowRules,
    GoOn,
    InnerBegins,
    InnerEnds,
    OfAgent,
    Prepare,
    Prepared,
    Proceed,
    Rest,
    Rested,
    RunStep,
    Stale,
    Told,
    Worked,
)
from dragoman.engine.flows.resolving import agent_output, current, resolved_input
from dragoman.engine.flows.state import FlowState, Frame, OpenStep
from dragoman.engine.inputs import Begin, Cancel, GiveUp, Outcome, Recover

_MOST_DOUBLINGS = 16
"""How often the time before another attempt is doubled at most."""


def decide(state: FlowState, given: FlowInput | agent.Input, rules: FlowRules) -> Outcome:
    """The facts that follow from an input, and what to do once they are stored; nothing from one that comes too late."""
    out = Outcome()
    if state.is_final:
        return out
    match given:
        case OfAgent(key, attempt, inner) if open_step := _meant(state, key, attempt):
            _of_agent(state, open_step, inner, rules, out)
        case Told(key, attempt, text) if open_step := _meant(state, key, attempt):
            _told(open_step, text, rules, out)
        case Begin():
            out.say(ev.RunStarted(rules.executor))
            out.then = Proceed()
        case Proceed():
            _proceed(state, rules, out)
        case Worked(key, attempt, output) if open_step := _meant(state, key, attempt):
            _complete(open_step, output, "stop", out)
        case Rested(key, attempt) if _meant(state, key, attempt) and not rules.is_closing():
            out.commands.append(RunStep(key, attempt))
        case Prepared(key, attempt, value) if open_step := _meant(state, key, attempt):
            _prepared(state, open_step, value, rules, out)
        case Failed(key, attempt) if state.open is None and state.frames[-1].key == key:
            endings.fail(state, key, given, out)
        case Failed(key, attempt) if open_step := _meant(state, key, attempt):
            _failed(state, open_step, given, rules, out)
        case Chose(key, value) if state.frames[-1].key == key:
            _chose(state, state.frames[-1], value, rules, out)
        case InnerBegins() | InnerEnds() if open_step := _meant(state, given.key, given.attempt):
            _inner(open_step, given, out)
        case GoOn():
            _go_on(state, given, rules, out)
        case Stale(message):
            endings.give_up(state, "STALE_TREE", message, out)
        case Cancel(reason):
            endings.cancel(state, reason, out)
        case GiveUp(code, message):
            endings.give_up(state, code, message, out)
        case Recover():
            _recover(state, rules, out)
        case _:
            pass  # from an attempt that is over
    return out


def _meant(state: FlowState, key: str, attempt: int) -> OpenStep | None:
    found = state.open
    return found if found is not None and found.key == key and found.attempt == attempt else None


# --------------------------------------------------------------------------- the way through the tree


def _proceed(state: FlowState, rules: FlowRules, out: Outcome) -> None:
    """Begin what comes next, or end what is through."""
    if state.open is not None or rules.is_closing():
        return
    frame = state.frames[-1]
    if frame.node is None:
        if frame.at >= len(frame.steps):
            out.say(ev.RunCompleted(result=current(state, rules.input)))
        elif state.stepped and not state.options.get("remaining", True):
            out.say(ev.RunPaused("segment"))
        else:
            _begin(state, frame.steps[frame.at], rules, out)
    elif frame.node.kind == "when":
        _branch(state, frame, rules, out)
    else:
        _round(state, frame, rules, out)


def _branch(state: FlowState, frame: Frame, rules: FlowRules, out: Outcome) -> None:
    if not frame.has_chosen:
        out.commands.append(Choose(frame.key, "condition"))
    elif frame.at < len(frame.steps):
        _begin(state, frame.steps[frame.at], rules, out)
    else:
        _leave(frame, current(state, rules.input), out)


def _round(state: FlowState, frame: Frame, rules: FlowRules, out: Outcome) -> None:
    made = rules.steps.get(frame.node.id if frame.node is not None else "")
    if not isinstance(made, Loop):
        endings.give_up(state, "STALE_TREE", f"step {frame.key!r} is no loop in the flow's code any more", out)
    elif frame.at > 0:
        _begin(state, frame.steps[frame.at], rules, out)
    elif not frame.has_chosen and isinstance(made.times, int):
        out.say(ev.StepChosen(made.times), frame.key)
        out.then = Proceed()
    elif not frame.has_chosen and (made.times is not None or made.over is not None):
        out.commands.append(Choose(frame.key, "times" if made.times is not None else "over"))
    elif frame.rounds > 0 and made.until is not None and frame.stop is None:
        out.commands.append(Choose(frame.key, "until"))
    elif frame.stop or _is_through(frame):
        is_list = isinstance(frame.chosen, list)
        _leave(frame, frame.outputs if is_list else current(state, rules.input), out)
    elif frame.rounds >= made.most:
        message = f"loop {made.id!r} went through {made.most} rounds without an end"
        endings.fail(state, frame.key, Failed(frame.key, 1, "LOOP_LIMIT", message), out)
    else:
        _begin(state, frame.steps[0], rules, out)


def _is_through(frame: Frame) -> bool:
    if not frame.has_chosen:
        return False
    return frame.rounds >= (len(frame.chosen) if isinstance(frame.chosen, list) else frame.chosen)


def _leave(frame: Frame, output: Any, out: Outcome) -> None:
    out.say(ev.StepCompleted(output=output), frame.key)
    out.then = Proceed()


def _chose(state: FlowState, frame: Frame, value: Any, rules: FlowRules, out: Outcome) -> None:
    made = rules.steps.get(frame.node.id if frame.node is not None else "")
    rounds = len(value) if isinstance(value, list) else 0 if isinstance(value, bool) else value
    if isinstance(made, Loop) and rounds > made.most:
        message = f"loop {made.id!r} would have {rounds} rounds; at most {made.most} are allowed"
        endings.fail(state, frame.key, Failed(frame.key, 1, "LOOP_LIMIT", message), out)
    else:
        out.say(ev.StepChosen(value), frame.key)
        out.then = Proceed()


def _begin(state: FlowState, node: Node, rules: FlowRules, out: Outcome) -> None:
    made = rules.steps.get(node.id)
    if made is None or made.kind != node.kind:
        message = f"the run comes to step {node.id!r}, which the flow's code does not have any more"
        endings.give_up(state, "STALE_TREE", message, out)
        return
    key = step_key(node.id, state.runs.get(node.id, 0) if node.id in state.looped else None)
    out.say(ev.StepStarted("flow", node.name, index=state.place), key)
    if isinstance(made, Loop | When):
        out.then = Proceed()
        return
    if not (isinstance(made, ModelStep | AgentStep) and made.prompt is not None):
        out.say(ev.StepInput(resolved_input(state, node, rules.input)), key)
    _work(state, made, key, 1, rules, out)


def _work(state: FlowState, made: object, key: str, attempt: int, rules: FlowRules, out: Outcome) -> None:
    """Set the step to work, in this attempt."""
    match made:
        case FunctionStep():
            out.commands.append(RunStep(key, attempt))
        case ModelStep() | AgentStep() if made.prompt is None:
            out.then = OfAgent(key, attempt, Begin())
        case ClientTool() if not callable(made.arguments):
            out.then = Prepared(key, attempt, made.arguments)
        case _:
            out.commands.append(Prepare(key, attempt))


# --------------------------------------------------------------------------- the open step


def _prepared(state: FlowState, open_step: OpenStep, value: Any, rules: FlowRules, out: Outcome) -> None:
    made, key = rules.steps.get(open_step.node.id), open_step.key
    if not isinstance(made, ClientTool):
        if open_step.input is None:
            given = resolved_input(state, open_step.node, rules.input)
            out.say(ev.StepInput({**given, "prompt": value}), key)
        out.then = OfAgent(key, open_step.attempt, Begin())
        return
    if not state.options.get("client_tools", True):
        code = "TOOLS_REQUIRE_SYNC_EXECUTE" if rules.kind == "job" else "TOOLS_NOT_ENABLED"
        message = f"step {made.id!r} calls the caller's tool {made.tool!r}, and the caller runs none"
        endings.fail(state, key, Failed(key, open_step.attempt, code, message, status=400), out)
        return
    call = rules.new_id()
    out.say(ev.ToolStarted(call, made.tool), key)
    out.say(ev.ToolInput(call, made.tool, value, client=True), key)
    out.say(ev.RunPaused("client_tool", (call,)))


def _told(open_step: OpenStep, text: str, rules: FlowRules, out: Outcome) -> None:
    if not text:
        return
    block = open_step.block
    if block is None:
        block = rules.new_id()
        out.say(ev.BlockStarted(block, "text"), open_step.key)
    out.say(ev.BlockDelta(block, text), open_step.key)


def _complete(open_step: OpenStep, output: Any, finish: ev.FinishReason, out: Outcome) -> None:
    if open_step.block is not None:
        out.say(ev.BlockEnded(open_step.block), open_step.key)
    for inner, one in open_step.inner.items():
        if one.status == "running":
            out.say(ev.StepFailed("abandoned", "the step ended while this was under way"), inner)
    out.say(ev.StepCompleted(finish, output), open_step.key)
    out.then = Proceed()


def _failed(state: FlowState, open_step: OpenStep, given: Failed, rules: FlowRules, out: Outcome) -> None:
    made = rules.steps.get(open_step.node.id)
    if isinstance(made, FunctionStep) and open_step.failures < made.retries:
        _restart(open_step, given.code, _tellable(given), out)
        seconds = made.backoff * 2.0 ** min(open_step.failures, _MOST_DOUBLINGS)
        out.commands.append(Rest(open_step.key, open_step.attempt + 1, seconds))
    else:
        endings.fail(state, open_step.key, given, out)


def _tellable(given: Failed) -> str:
    return given.message if given.ref is None else f"the step failed (reference {given.ref})"


def _restart(open_step: OpenStep, code: str, message: str, out: Outcome) -> None:
    if open_step.block is not None:
        out.say(ev.BlockEnded(open_step.block), open_step.key)
    for inner, one in open_step.inner.items():
        if one.status == "running" and code != "interrupted":
            out.say(ev.StepFailed("abandoned", "the step failed while this was under way"), inner)
    out.say(ev.StepRestarted(open_step.attempt + 1, code, message), open_step.key)


def _inner(open_step: OpenStep, given: InnerBegins | InnerEnds, out: Outcome) -> None:
    known = open_step.inner.get(given.inner)
    match given:
        case InnerBegins() if known is None:
            out.say(ev.StepStarted("flow", given.name, index=open_step.place), given.inner)
        case InnerBegins() if known is not None and known.status in ("running", "void"):
            error = known.error if known.status == "void" else None
            out.say(_restarted(known.attempt + 1, error), given.inner)
        case InnerEnds(failed=None) if known is not None and known.status == "running":
            out.say(ev.StepCompleted(output=given.output), given.inner)
        case InnerEnds(failed=Failed() as failed) if known is not None and known.status == "running":
            error = ev.StepFailed(failed.code, failed.message, failed.ref, failed.status)
            out.say(_restarted(known.attempt + 1, error) if given.again else error, given.inner)
        case _:
            pass


def _restarted(attempt: int, error: ev.StepFailed | None) -> ev.StepRestarted:
    if error is None:
        return ev.StepRestarted(attempt)
    message = error.message if error.ref is None else f"the step failed (reference {error.ref})"
    return ev.StepRestarted(attempt, error.code, message)


def _of_agent(state: FlowState, open_step: OpenStep, given: agent.Input, rules: FlowRules, out: Outcome) -> None:
    """Let the agent inside the step decide, and tell it in the words of the flow."""
    inner = open_step.agent
    if inner is None:
        return
    made = agents.decide(inner, given, rules.agent(state))
    key = open_step.key
    for fact in made.facts:
        match fact.body:
            case ev.RunStarted():
                pass
            case ev.RunCompleted(finish=finish):
                output = agent_output(inner, rules.steps.get(open_step.node.id))
                if isinstance(output, Failed):
                    endings.fail(state, key, output, out)
                else:
                    _complete(open_step, output, finish, out)
            case ev.RunFailed() as body:
                failed = Failed(key, open_step.attempt, body.code, body.message, body.ref, body.status)
                endings.fail(state, key, failed, out, retryable=body.retryable)
            case ev.RunResumed():
                pass  # told already
            case ev.RunPaused():
                out.say(fact.body)
            case _:
                out.say(fact.body, inner_key(key, fact.step) if fact.step is not None else key)
    out.commands += [
        DoAsAgent(key, open_step.attempt, command)
        for command in made.commands
        if not isinstance(command, agent.StopWork)
    ]


# --------------------------------------------------------------------------- going on


def _go_on(state: FlowState, given: GoOn, rules: FlowRules, out: Outcome) -> None:
    out.say(ev.RunResumed(state.place, dict(given.options) or None, given.digest))
    outputs, open_step = given.given.outputs or {}, state.open
    if open_step is None:
        out.then = Proceed()
    elif open_step.agent is not None:
        results = tuple((call, Decision(output=outputs[call], is_result=True)) for call in state.pending)
        out.then = OfAgent(open_step.key, open_step.attempt, agent.Decide(results, None, "reply"))
    elif open_step.call is not None:
        call = open_step.call
        out.say(ev.ToolOutput(call.id, call.name, outputs[call.id]), open_step.key)
        made = rules.steps.get(open_step.node.id)
        if isinstance(made, ClientTool) and made.result is not None:
            out.commands.append(Conclude(open_step.key, open_step.attempt))
        else:
            out.then = Worked(open_step.key, open_step.attempt, outputs[call.id])


def _recover(state: FlowState, rules: FlowRules, out: Outcome) -> None:
    if state.status == "new":
        out.then = Begin()
        return
    out.say(ev.RunStarted(rules.executor, resumed=True))
    open_step = state.open
    if open_step is None:
        out.then = Proceed()
        return
    made, key = rules.steps.get(open_step.node.id), open_step.key
    if open_step.agent is not None and open_step.agent.status != "new":
        out.then = OfAgent(key, open_step.attempt, Recover())
        return
    _restart(open_step, "interrupted", "the server stopped while this was under way", out)
    if open_step.call is not None and open_step.call.answered:
        out.commands.append(Conclude(key, open_step.attempt + 1))
    elif open_step.agent is not None and open_step.input is not None:
        out.then = OfAgent(key, open_step.attempt + 1, Begin())
    else:
        _work(state, made, key, open_step.attempt + 1, rules, out)
