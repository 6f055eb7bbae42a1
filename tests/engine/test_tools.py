"""Tools: schema from a typed function, checks before the call, marks."""

import threading
from typing import Annotated

import pytest
from pydantic import Field

from dragoman.core.errors import UsageError
from dragoman.engine.tools import InvalidToolInput, Tool, ToolContext, tool


@tool(read_only=True)
def add(a: float, b: float = 1) -> float:
    """Adds two numbers."""
    return a + b


@tool
async def greet(name: Annotated[str, Field(min_length=1)], ctx: ToolContext) -> dict[str, str]:
    """Greets somebody."""
    return {"to": name, "from": ctx.user}


def test_name_docstring_and_types_become_the_schema() -> None:
    assert add.spec.name == "add"
    assert add.spec.description == "Adds two numbers."
    assert add.spec.parameters == {
        "type": "object",
        "properties": {"a": {"type": "number"}, "b": {"type": "number", "default": 1}},
        "required": ["a"],
        "additionalProperties": False,
    }


def test_the_context_is_not_part_of_the_schema() -> None:
    assert set(greet.spec.parameters["properties"]) == {"name"}


async def test_a_plain_function_runs_in_a_thread_and_an_async_one_in_the_loop() -> None:
    here = threading.get_ident()

    @tool
    def where() -> bool:
        return threading.get_ident() == here

    @tool
    async def here_too() -> bool:
        return threading.get_ident() == here

    assert await where.invoke({}, ToolContext()) is False
    assert await here_too.invoke({}, ToolContext()) is True


async def test_the_context_is_handed_to_the_function() -> None:
    assert await greet.invoke({"name": "Ada"}, ToolContext(user="u1")) == {"to": "Ada", "from": "u1"}


async def test_the_result_is_json() -> None:
    @tool
    def odd() -> object:
        return {"when": {1, 2}, "what": b"x"}

    assert await odd.invoke({}, ToolContext()) == {"when": [1, 2], "what": "x"}


@pytest.mark.parametrize(
    ("arguments", "named"),
    [({}, "a"), ({"a": "x"}, "a"), ({"a": 1, "c": 2}, "c"), ([1], "JSON object"), ("x", "JSON object")],
)
def test_arguments_that_do_not_fit_are_named(arguments: object, named: str) -> None:
    with pytest.raises(InvalidToolInput, match=named):
        add.check(arguments)


@pytest.mark.parametrize(
    ("marks", "needs"),
    [
        ({}, True),
        ({"read_only": True}, False),
        ({"approval": False}, False),
        ({"read_only": True, "approval": True}, True),
    ],
)
def test_a_tool_asks_first_unless_it_is_read_only_or_says_otherwise(marks: dict[str, bool], needs: bool) -> None:
    assert Tool(lambda: None, name="t", description="", **marks).needs_approval is needs


def test_a_signature_without_a_schema_is_refused() -> None:
    with pytest.raises(UsageError, match="'args'"):
        Tool(lambda *args: None, name="t")
    with pytest.raises(UsageError, match="tool name"):
        Tool(lambda: None, name="no spaces")


def test_a_tool_is_still_a_function() -> None:
    assert add(2, 3) == 5
