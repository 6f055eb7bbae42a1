"""The arguments of a tool call as the journal has them: decoded, and checked against the tool. Pure."""

from __future__ import annotations

from typing import Any

from dragoman.core import events as ev
from dragoman.engine.inputs import Rules
from dragoman.engine.tools import InvalidToolInput
from dragoman.wire.json_text import read_json


def tool_input(
    call: str, name: str, given: dict[str, Any] | str, rules: Rules, provider: dict[str, Any] | None = None
) -> ev.ToolInput:
    """The event of a call's arguments, `given` as a model sends them: text or decoded."""
    client = rules.agent.is_client_tool(name)
    value: Any = given
    if isinstance(given, str):
        try:
            value = read_json(given) if given.strip() else {}
        except ValueError:
            value = None
        if not isinstance(value, dict):
            return ev.ToolInput(call, name, {}, "the arguments are not a JSON object", given, client, provider)
    made = rules.agent.tools.get(name)
    if made is not None:
        try:
            made.check(value)
        except InvalidToolInput as error:
            return ev.ToolInput(call, name, value, error.message, None, client, provider)
    return ev.ToolInput(call, name, value, None, None, client, provider)
