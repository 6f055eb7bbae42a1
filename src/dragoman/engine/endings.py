"""How an agent's answer ends early: what is open is closed, and what was asked gets an answer that says why.

Needs no rules, so that it works where the agent is gone. Pure, as the reducer is.
"""

from __future__ import annotations

from dragoman.core import events as ev
from dragoman.engine.inputs import Cancel, GiveUp, Outcome, StopWork
from dragoman.engine.state import KNOWLEDGE_STEP, RunState, tool_step


def end(state: RunState, given: Cancel | GiveUp) -> Outcome:
    """What ends a run early."""
    out = Outcome()
    if isinstance(given, Cancel):
        cancel(state, given.reason, out)
    else:
        give_up(state, given.code, given.message, out)
    return out


def cancel(state: RunState, reason: str, out: Outcome) -> None:
    close_block(state, state.model_step, out)
    _end_search(state, "cancelled", reason, out)
    if state.model_step is not None:
        out.say(ev.StepFailed("cancelled", reason), state.model_step)
    for call in state.unsettled():
        if call.running:
            out.say(ev.ToolFailed(call.id, call.name, f"cancelled: {reason}"), call.step)
            out.say(ev.StepFailed("cancelled", reason), tool_step(call.id))
        else:
            out.say(ev.ToolDenied(call.id, call.name, reason), call.step)
    out.say(ev.RunCancelled(reason))
    out.commands.append(StopWork())


def give_up(state: RunState, code: str, message: str, out: Outcome) -> None:
    close_block(state, state.model_step, out)
    _end_search(state, code, message, out)
    if state.model_step is not None:
        out.say(ev.StepFailed(code, message), state.model_step)
    answered = {f.body.call for f in out.facts if isinstance(f.body, ev.ToolOutput | ev.ToolFailed | ev.ToolDenied)}
    for call in state.unsettled():
        if call.id in answered:
            continue
        if call.running:
            out.say(ev.ToolFailed(call.id, call.name, message), call.step)
            out.say(ev.StepFailed(code, message), tool_step(call.id))
        else:
            out.say(ev.ToolDenied(call.id, call.name, message), call.step)
    out.say(ev.RunFailed(code, message))
    out.commands.append(StopWork())


def close_block(state: RunState, step: str | None, out: Outcome) -> None:
    if state.open_block is not None:
        out.say(ev.BlockEnded(state.open_block.id), step)


def _end_search(state: RunState, code: str, message: str, out: Outcome) -> None:
    if state.search_attempt:
        out.say(ev.StepFailed(code, message), KNOWLEDGE_STEP)
