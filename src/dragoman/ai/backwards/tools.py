"""The tools of OpenAI's chat dialect, its predecessor `functions`, and the choice among them.

Fields of a tool that nobody has documented are kept for providers of this dialect; `for_others` is what every other
wire can be told. Raises ValidationError that names the place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dragoman.ai.backwards.fields import a_boolean, a_text, an_object, at_most, one_of, refusal
from dragoman.ai.types.tool import FunctionDefinition, ToolDefinition

__all__ = ["for_others", "read_choice", "read_tools"]

MOST_TOOLS = 1024
"""Of a request; OpenAI takes 128."""
_WORDS = ("none", "auto", "required")
_OLD_WORDS = ("none", "auto")


def read_tools(given: Mapping[str, Any]) -> tuple[list[Any], bool]:
    """The tools of a request, those that are no functions in the form of the wire; and whether they are `functions`."""
    if "functions" in given:
        if "tools" in given:
            text = "'functions' and 'tools' cannot be used together."
            raise refusal("functions", text, "invalid_parameter_combination")
        functions = at_most(MOST_TOOLS, "functions", given["functions"])
        return [
            ToolDefinition(function=_function(f"functions[{place}]", one)) for place, one in enumerate(functions)
        ], True
    tools = at_most(MOST_TOOLS, "tools", given.get("tools", []))
    return [_tool(f"tools[{place}]", one) for place, one in enumerate(tools)], False


def _tool(place: str, value: Any) -> Any:
    value = an_object(place, value)
    kind = a_text(f"{place}.type", value.get("type", "function"))
    if kind != "function":
        return dict(value)
    return ToolDefinition.model_validate({**value, "function": _function(f"{place}.function", value.get("function"))})


def _function(place: str, value: Any) -> FunctionDefinition:
    value = {name: one for name, one in an_object(place, value).items() if one is not None}
    if not a_text(f"{place}.name", value.get("name")):
        raise refusal(f"{place}.name", f"Invalid '{place}.name': empty string.", "empty_string")
    for name, check in (("description", a_text), ("parameters", an_object), ("strict", a_boolean)):
        if name in value:
            check(f"{place}.{name}", value[name])
    return FunctionDefinition.model_validate(value)


def read_choice(given: Mapping[str, Any], tools: list[Any], *, old: bool) -> Any:
    """The choice in the form of `tool_choice`; None where nothing was said, or where there is nothing to choose from."""
    if "function_call" in given:
        if not old:
            text = "Invalid value for 'function_call': 'function_call' is only allowed when 'functions' are specified."
            raise refusal("function_call", text)
        return _old_choice(given["function_call"], tools)
    choice = given.get("tool_choice")
    if choice is None:
        return None
    if not tools and choice != "none":
        text = "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified."
        raise refusal("tool_choice", text)
    if isinstance(choice, str):
        one_of(_WORDS)("tool_choice", choice)
        return choice if tools else None
    choice = an_object("tool_choice", choice)
    kind = one_of(("function", "custom", "allowed_tools"))("tool_choice.type", choice.get("type"))
    if kind != "allowed_tools":
        _chosen("tool_choice", choice, tools)
        return choice
    allowed = an_object("tool_choice.allowed_tools", choice.get("allowed_tools"))
    one_of(("auto", "required"))("tool_choice.allowed_tools.mode", allowed.get("mode"))
    where = "tool_choice.allowed_tools.tools"
    for place, one in enumerate(at_most(MOST_TOOLS, where, allowed.get("tools"))):
        _chosen(f"{where}[{place}]", an_object(f"{where}[{place}]", one), tools)
    return choice


def _old_choice(choice: Any, tools: list[Any]) -> Any:
    if isinstance(choice, str):
        return one_of(_OLD_WORDS)("function_call", choice)
    name = a_text("function_call.name", an_object("function_call", choice).get("name"))
    _known("function_call", name, tools)
    return {"type": "function", "function": {"name": name}}


def _chosen(where: str, value: Mapping[str, Any], tools: list[Any]) -> None:
    kind = a_text(f"{where}.type", value.get("type"))
    named = an_object(f"{where}.{kind}", value.get(kind))
    _known(where, a_text(f"{where}.{kind}.name", named.get("name")), tools)


def _known(where: str, name: str, tools: list[Any]) -> None:
    if name not in map(_name_of, tools):
        raise refusal(where, f"Invalid value for '{where}': there is no tool '{name[:100]}' in this request.")


def _name_of(tool: Any) -> Any:
    if isinstance(tool, ToolDefinition):
        return tool.name
    named = tool.get(tool.get("type"))
    return named.get("name") if isinstance(named, Mapping) else None


def for_others(tools: list[Any], choice: Any) -> tuple[list[Any], Any]:
    """The same for wires that know functions alone and no `allowed_tools`: those that may not be called are left out."""
    if isinstance(choice, Mapping) and choice.get("type") == "allowed_tools":
        allowed = choice["allowed_tools"]
        names = {one[one["type"]]["name"] for one in allowed["tools"]}
        tools, choice = [tool for tool in tools if _name_of(tool) in names], allowed["mode"]
    return [_bare(tool) if isinstance(tool, ToolDefinition) else tool for tool in tools], choice


def _bare(tool: ToolDefinition) -> ToolDefinition:
    function = tool.function
    return ToolDefinition.from_function(function.name, function.description, function.parameters, function.strict)
