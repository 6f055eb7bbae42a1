"""Uses the public API of apps the way users do. Only checked by type checkers, never run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import assert_type

from dragoman import Agent, App, DragomanError, MissingExtra, ModelRequest, UsageError, tool
from dragoman.core.errors import RateLimited
from dragoman.core.messages import ModelEvent, ModelText
from dragoman.core.principal import Principal
from dragoman.engine.tools import Tool
from dragoman.testing import FakeClock, ScriptedModel, tool_call


@tool(read_only=True)
def add(a: float, b: float) -> float:
    """Adds two numbers."""
    return a + b


@tool
async def create_bucket(name: str) -> dict[str, str]:
    """Creates a bucket."""
    return {"name": name}


async def parrot(request: ModelRequest) -> AsyncIterator[str]:
    yield request.messages[-1].text


class Parrot:
    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent | str]:
        yield ModelText(request.instructions)
        yield "and plain text"


async def authenticate(headers: Mapping[str, str]) -> Principal | None:
    return Principal(tenant="acme", user=headers["x-user"]) if "x-user" in headers else None


assert_type(add, Tool)
assert_type(create_bucket, Tool)
helper = Agent("helper", model=parrot, instructions="Be brief.", tools=[add, create_bucket], max_rounds=4)
thinker = Agent("thinker", model=Parrot(), reasoning_model="local/parrot")
app = App("acme", agents=[helper, thinker], models={"local/parrot": Parrot()}, authenticate=authenticate)
assert_type(app.agent("helper"), Agent | None)
scripted = Agent("scripted", model=ScriptedModel([[tool_call("add", a=1, b=2)], "three"]))
assert_type(FakeClock().now(), float)


def errors_are_one_tree(error: RateLimited | MissingExtra) -> DragomanError | UsageError:
    assert_type(error.retry_after, float | None)
    return error
