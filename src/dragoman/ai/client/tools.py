"""The loop of a model that calls tools: ask, run what it calls, tell it, until it calls nothing."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from dragoman.ai.client.response import ChatResponse
from dragoman.ai.errors import AiRuntimeError, ValidationError
from dragoman.ai.types.message import ContentBlock, Message, ToolCall
from dragoman.ai.types.tool import ToolDefinition
from dragoman.core.errors import TooManyRounds

if TYPE_CHECKING:
    from dragoman.ai.client.chat import ChatRequestBuilder

__all__ = ["ToolRoundsExceeded", "run_tools"]


class ToolRoundsExceeded(AiRuntimeError, TooManyRounds):
    """The model went on calling tools; `response` is its last answer."""

    def __init__(self, rounds: int, response: ChatResponse) -> None:
        super().__init__(f"the model still calls tools after {rounds} rounds; raise max_rounds to allow more")
        self.response = response


async def run_tools(
    builder: ChatRequestBuilder,
    handlers: Mapping[str, Callable[..., Any]] | Iterable[Callable[..., Any]],
    max_rounds: int = 8,
) -> ChatResponse:
    """The answer that calls no tool. `builder` is not changed.

    `handlers` are functions by tool name, or functions named like their tools; those are offered to
    the model when the builder has no tools of its own. A handler gets the arguments by name; a
    coroutine function is awaited, any other runs in a worker thread. The calls of one answer run at
    the same time. What a handler raises, unknown names and arguments that are no JSON are told to
    the model as errors. Raises ToolRoundsExceeded after `max_rounds` answers with calls.
    """
    if max_rounds < 1:
        raise ValidationError("at least one round is needed", field="max_rounds", expected=">= 1", actual=max_rounds)
    named = dict(handlers) if isinstance(handlers, Mapping) else {handler.__name__: handler for handler in handlers}
    chat = builder.copy()
    if not chat._tools:
        chat.tools([_offer(name, handler) for name, handler in named.items()])
    for _ in range(max_rounds):
        response = await chat.execute()
        if not response.tool_calls:
            return response
        chat.add_message(response.to_message())
        for message in await _results(response.tool_calls, named):
            chat.add_message(message)
    raise ToolRoundsExceeded(max_rounds, response)


def _offer(name: str, handler: Callable[..., Any]) -> ToolDefinition:
    described = ToolDefinition.from_callable(handler)
    return ToolDefinition.from_function(name, described.description, described.parameters)


async def _results(calls: list[ToolCall], handlers: Mapping[str, Callable[..., Any]]) -> list[Message]:
    results: list[Message | None] = [None] * len(calls)

    async def one(index: int, call: ToolCall) -> None:
        results[index] = await _result(call, handlers.get(call.function_name))

    async with anyio.create_task_group() as tasks:
        for index, call in enumerate(calls):
            tasks.start_soon(one, index, call)
    return [result for result in results if result is not None]


async def _result(call: ToolCall, handler: Callable[..., Any] | None) -> Message:
    if handler is None:
        return _failed(call, f"there is no tool {call.function_name!r}")
    if call.parse_error is not None:
        return _failed(call, f"the arguments are {call.parse_error}")
    try:
        if inspect.iscoroutinefunction(handler):
            value = await handler(**call.arguments)
        else:
            value = await anyio.to_thread.run_sync(lambda: handler(**call.arguments))
            value = await value if inspect.isawaitable(value) else value
        return ToolCall.to_message(call, value)
    except Exception as error:
        return _failed(call, f"{type(error).__name__}: {error}")


def _failed(call: ToolCall, text: str) -> Message:
    message = Message.tool(call.id, text)
    message.content = [ContentBlock.tool_result(call.id, text, is_error=True)]
    return message
