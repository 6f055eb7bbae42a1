"""`Continue`: whether it fits where the run stands, and whether the same was given before. Pure."""

from __future__ import annotations

import hashlib
from typing import Any

from pydantic_core import to_json

from dragoman.core.errors import BadRequest, Conflict
from dragoman.core.flows import Continue
from dragoman.core.messages import ToolSpec
from dragoman.engine.flows.inputs import GoOn
from dragoman.engine.flows.state import FlowState, Resumed

_REPLACED = ("remaining", "overrides", "input_overrides", "tool_choice", "client_tools", "trace")


def judge(state: FlowState, given: Continue, *, max_rounds: int) -> GoOn | Resumed:
    """What the run is to go on with, or when it was told the same before.

    Raises BadRequest (`bad_request:step`, `bad_request:outputs`) and Conflict (`conflict:run`,
    `conflict:rounds`).
    """
    options = options_of(given)
    digest = _digest(given, options)
    last = state.resumed
    if state.status == "paused":
        if _is_new(state, given):
            if state.pending and state.pauses > max_rounds:
                raise Conflict(f"the run has paused for tools {max_rounds} times already", code="conflict:rounds")
            return GoOn(given, options, digest)
        if last is not None and _is_repeated(last, given, digest):
            return last
        raise _refusal(state, given)
    if last is not None and _is_repeated(last, given, digest):
        return last
    if state.is_final and given.step is not None and (last is None or given.step != last.step):
        raise BadRequest(f"the run has ended; step {given.step} does not come next", code="bad_request:step")
    if state.is_final:
        raise Conflict("the run has ended, and was not given this", code="conflict:run")
    raise Conflict("the run is moving", code="conflict:run")


def _is_new(state: FlowState, given: Continue) -> bool:
    if given.step is not None and given.step != state.place:
        return False
    return set(given.outputs or {}) == set(state.pending)


def _is_repeated(last: Resumed, given: Continue, digest: str) -> bool:
    same_step = given.step is None or given.step == last.step
    return same_step and last.digest == digest and set(given.outputs or {}) == set(last.calls)


def _refusal(state: FlowState, given: Continue) -> Exception:
    last, outputs = state.resumed, given.outputs or {}
    if last is not None and last.calls and set(outputs) == set(last.calls):
        return Conflict("these calls were answered with other outputs before", code="conflict:run")
    if given.step is not None and given.step != state.place:
        if last is not None and given.step == last.step and not last.calls and not outputs:
            return Conflict(f"step {given.step} was run in another way before", code="conflict:run")
        return BadRequest(f"step {given.step} does not come next; {state.place} does", code="bad_request:step")
    wanted = ", ".join(state.pending) or "none"
    return BadRequest(
        f"expected exactly one output for each pending call ({wanted}), got {', '.join(map(str, outputs)) or 'none'}",
        code="bad_request:outputs",
    )


def options_of(given: Continue) -> dict[str, Any]:
    """What a continuation changes in the options of its run."""
    options = {name: value for name in _REPLACED if (value := getattr(given, name)) is not None}
    for name in ("overrides", "input_overrides"):
        if name in options:
            options[name] = {id: dict(one) for id, one in options[name].items()}
    if given.tools is not None:
        options["tools"] = [encode_tool(tool) for tool in given.tools]
    return options


def encode_tool(tool: ToolSpec) -> dict[str, Any]:
    """A caller's tool as options keep it."""
    return {"name": tool.name, "description": tool.description, "parameters": tool.parameters}


def _digest(given: Continue, options: dict[str, Any]) -> str:
    outputs = given.outputs or {}
    return hashlib.sha256(to_json([sorted(outputs.items()), sorted(options.items())])).hexdigest()[:32]
