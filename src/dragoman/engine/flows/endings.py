"""How a flow's run ends early: everything that is open is said to have ended, from the inside out."""

from __future__ import annotations

from dragoman.core import events as ev
from dragoman.core.steps import inner_key
from dragoman.engine import endings as agents
from dragoman.engine.flows.inputs import Failed
from dragoman.engine.flows.state import FlowState
from dragoman.engine.inputs import Cancel, GiveUp, Outcome, StopWork


def fail(state: FlowState, key: str, given: Failed, out: Outcome, *, retryable: bool = False) -> None:
    """The step of this key failed for good, and with it all that it lies in."""
    error = ev.StepFailed(given.code, given.message, given.ref, given.status)
    _close(state, error, ev.StepFailed("abandoned", "the step failed while this was under way"), out)
    out.say(ev.RunFailed(given.code, given.message, retryable, given.ref, given.status))
    out.commands.append(StopWork())


def give_up(state: FlowState, code: str, message: str, out: Outcome) -> None:
    """The run cannot go on: out of time, or its code is gone."""
    _agent_ends(state, GiveUp(code, message), out)
    error = ev.StepFailed(code, message)
    _close(state, error, error, out)
    out.say(ev.RunFailed(code, message))
    out.commands.append(StopWork())


def cancel(state: FlowState, reason: str, out: Outcome) -> None:
    """Somebody ended the run."""
    _agent_ends(state, Cancel(reason), out)
    error = ev.StepFailed("cancelled", reason)
    _close(state, error, error, out)
    out.say(ev.RunCancelled(reason))
    out.commands.append(StopWork())


def _agent_ends(state: FlowState, given: Cancel | GiveUp, out: Outcome) -> None:
    open_step = state.open
    if open_step is None or open_step.agent is None or open_step.agent.status == "new":
        return
    for fact in agents.end(open_step.agent, given).facts:
        if not isinstance(fact.body, ev.FINAL):
            out.say(fact.body, inner_key(open_step.key, fact.step) if fact.step is not None else open_step.key)


def _close(state: FlowState, error: ev.StepFailed, inside: ev.StepFailed, out: Outcome) -> None:
    open_step = state.open
    if open_step is not None:
        if open_step.block is not None:
            out.say(ev.BlockEnded(open_step.block), open_step.key)
        for inner, one in open_step.inner.items():
            if one.status == "running":
                out.say(inside, inner)
        if open_step.call is not None and not open_step.call.answered:
            out.say(ev.ToolDenied(open_step.call.id, open_step.call.name, error.message), open_step.key)
        out.say(error, open_step.key)
    for frame in state.frames[:0:-1]:
        out.say(error, frame.key)
