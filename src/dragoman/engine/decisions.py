"""Whether a decision may be taken: pure checks before anything is stored.

All decisions of one request are judged first, so that one bad one changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dragoman.core.errors import BadRequest, Conflict, NotFound
from dragoman.core.turns import Decision
from dragoman.engine.agents import Agent
from dragoman.engine.state import Call, RunState
from dragoman.engine.tools import InvalidToolInput


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is new, and since which seq the oldest repeated decision is known."""

    accepted: tuple[tuple[str, Decision], ...]
    repeated_since: int


def judge(state: RunState, agent: Agent | None, decisions: Sequence[tuple[str, Decision]]) -> Judgement:
    """Sort decisions into new ones and repetitions.

    Raises NotFound (`not_found:call`), Conflict (`conflict:approval`) for an opposite, superseded or
    expired one, BadRequest (`bad_request:input`) for arguments that do not fit or a result for a
    tool that the server runs.
    """
    accepted: dict[str, Decision] = {}
    since = state.last_seq
    for call_id, decision in decisions:
        call = state.calls.get(call_id)
        if call is None:
            raise NotFound(f"no tool call has the id {call_id!r}", code="not_found:call")
        if call_id in accepted:
            if accepted[call_id] != decision:
                raise Conflict(f"two different answers to tool call {call_id!r}", code="conflict:approval")
        elif _is_new(call, decision, agent, final=state.is_final):
            accepted[call_id] = decision
        else:
            since = min(since, (call.decided or call.settled or state.last_seq + 1) - 1)
    return Judgement(tuple(accepted.items()), since)


def _is_new(call: Call, decision: Decision, agent: Agent | None, *, final: bool) -> bool:
    if decision.is_result:
        if not call.client:
            raise BadRequest(f"tool {call.name!r} is run by the server, not by the client", code="bad_request:input")
        if call.outcome == "denied":
            raise Conflict(f"tool call {call.id!r} was given up: {call.reason}", code="conflict:approval")
        return call.is_pending and not final
    if call.is_pending and not final:
        if call.client:
            raise BadRequest(f"tool {call.name!r} is run by the client; send its output", code="bad_request:input")
        if decision.input is not None:
            _check_input(call, decision, agent)
        return True
    if call.approval is None:
        happened = call.outcome != "denied"
    elif call.approved is None or call.by_system:
        raise Conflict(
            f"tool call {call.id!r} can no longer be decided: {call.reason or 'it was given up'}",
            code="conflict:approval",
        )
    else:
        happened = call.approved
    if happened is not decision.approved:
        word = "approved" if happened else "denied"
        raise Conflict(f"tool call {call.id!r} was already {word}", code="conflict:approval")
    return False


def _check_input(call: Call, decision: Decision, agent: Agent | None) -> None:
    made = agent.tools.get(call.name) if agent is not None else None
    if made is None:
        raise BadRequest(f"tool {call.name!r} is gone; its input cannot be changed", code="bad_request:input")
    try:
        made.check(decision.input)
    except InvalidToolInput as error:
        raise BadRequest(error.message, code="bad_request:input") from None
