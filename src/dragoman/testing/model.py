"""A model without a network: deterministic, driven by the user's text or by a list of answers.

`ScriptedModel()` understands the commands of `dragoman.testing.grammar` and is the model of the
demo; `ScriptedModel([...])` gives the answers of a test, one per call. Implements
`dragoman.core.ports.Model`; knows no app, no tool and no engine.
"""

from __future__ import annotations

import math
import posixpath
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any, TypeAlias
from urllib.parse import unquote, urlsplit

import anyio
import anyio.lowlevel
from pydantic_core import to_json

from dragoman.core.errors import ServerError, UsageError
from dragoman.core.messages import (
    FilePart,
    Message,
    ModelEvent,
    ModelFinish,
    ModelItem,
    ModelReasoning,
    ModelRequest,
    ModelText,
    ModelToolCall,
    ModelToolDelta,
    ModelUsage,
    ToolCallPart,
    ToolResultPart,
)
from dragoman.core.usage import Usage
from dragoman.testing.grammar import (
    Call,
    Command,
    CountTo,
    Fail,
    ListFiles,
    Recall,
    Say,
    ShowForm,
    parse,
)

ScriptedAnswer: TypeAlias = str | Exception | Sequence[ModelEvent | str | Exception]
"""One answer: a text, an error, or a list of events, texts and errors in the order they happen."""

USAGE = Usage(prompt_tokens=21, completion_tokens=13, cache_read_tokens=5, cache_write_tokens=3, reasoning_tokens=2)
"""What every call reports. Fixed, so that tests can compare."""

FRIENDLY = (
    "Hello! I am the scripted model of Dragoman's demo: no key, no network, always the same answers. "
    "Try one of these: echo: hello · tool: add 2 3 · approve: create_bucket photos · count: 5 · "
    "slow: 5 300 · reason: why · recall · fail: oops"
)
"""The answer to everything that is no command."""

FORM_TOOL = "ask_name"
"""The form tool that `widget: form` calls where forms can be shown."""

FORM_TEXT = "Please fill in the form: it asks for your name."
FORM: dict[str, Any] = {
    "type": "Card",
    "children": [
        {
            "type": "Form",
            "onSubmitAction": {"type": "form.submit", "payload": {}},
            "children": [
                {"type": "Input", "name": "name", "placeholder": "Your name", "required": True},
                {"type": "Button", "label": "Send", "submit": True},
            ],
        }
    ],
}

_BREATHE = 64
"""Deltas between two chances for other tasks: a stream that never suspends starves them."""


def tool_call(name: str, /, **arguments: Any) -> ModelToolCall:
    """A tool call with a fresh id, for scripts: `tool_call("add", a=2, b=3)`."""
    return ModelToolCall(_new_call_id(), name, arguments)


class ScriptedModel:
    """A `Model` whose answers are known beforehand.

    Without `script` it obeys the commands of the demo. With `script`, call number *n* gets
    `script[n]`, one call more raises UsageError, and `requests` lists what it was asked. `sleep` is
    awaited with the seconds of a pause, `name` is what traces call it. `any_client_tool` lets
    `client: NAME` call tools that the request does not list (for `Agent(client_tools="*")`).
    """

    def __init__(
        self,
        script: Iterable[ScriptedAnswer] | None = None,
        *,
        name: str = "scripted",
        any_client_tool: bool = False,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        self.name = name
        self.requests: list[ModelRequest] = []
        self._script = None if script is None else list(script)
        self._calls = 0
        self._any_client_tool = any_client_tool
        self._sleep = sleep

    def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent | str]:
        """Answer: text, reasoning, tool calls and items, then (without `script`) usage and finish."""
        if self._script is None:
            return self._obey(request)
        self.requests.append(request)
        self._calls += 1
        if self._calls > len(self._script):
            raise UsageError(f"the script of {self.name!r} has {len(self._script)} answers and was asked for one more")
        return _play(self._script[self._calls - 1])

    async def _obey(self, request: ModelRequest) -> AsyncIterator[ModelEvent | str]:
        question, since = _last_question(request.messages)
        command = parse(question.text)
        finish = ModelFinish()
        if isinstance(command, CountTo):
            async for delta in self._count(command):
                yield delta
        elif isinstance(command, Fail):
            yield ModelText("One moment: ")
            raise ServerError(command.message or "the model failed", code="model_error", status=502, retryable=False)
        else:
            for event in _answer(command, request, question, since, self._any_client_tool):
                if isinstance(event, ModelToolCall):
                    finish = ModelFinish("tool-calls")
                yield event
        yield ModelUsage(USAGE)
        yield finish

    async def _count(self, command: CountTo) -> AsyncIterator[ModelText]:
        for n in range(1, command.n + 1):
            if command.pause:
                await self._sleep(command.pause)
            elif n % _BREATHE == 0:
                await anyio.lowlevel.checkpoint()
            yield ModelText("1" if n == 1 else f" {n}")

    def __repr__(self) -> str:
        return f"ScriptedModel(name={self.name!r})"


async def _play(answer: ScriptedAnswer) -> AsyncIterator[ModelEvent | str]:
    for event in [answer] if isinstance(answer, str | Exception) else answer:
        if isinstance(event, Exception):
            raise event
        yield event


def _last_question(messages: Sequence[Message]) -> tuple[Message, Sequence[Message]]:
    """The last user message and what came after it."""
    for index in range(len(messages) - 1, -1, -1):
        if messages[index].role == "user":
            return messages[index], messages[index + 1 :]
    return Message("user", ()), ()


def _answer(
    command: Command, request: ModelRequest, question: Message, since: Sequence[Message], any_client_tool: bool
) -> Iterator[ModelEvent]:
    match command:
        case Say(text, reasoning):
            if reasoning:
                yield from map(ModelReasoning, pieces(reasoning))
            yield from map(ModelText, pieces(text))
        case Recall():
            yield from map(ModelText, pieces(_previous(request.messages)))
        case ListFiles():
            yield ModelText(", ".join(map(_file_name, _files(question))) or "no files")
        case ShowForm():
            yield from _form(request, since)
        case Call():
            result = _result(since)
            if result is not None:
                yield ModelText(_outcome(command, since, result))
            elif (command.client and any_client_tool) or any(spec.name == command.name for spec in request.tools):
                yield from _call(command)
            else:
                yield ModelText(FRIENDLY)
        case _:
            yield ModelText(FRIENDLY)


def _form(request: ModelRequest, since: Sequence[Message]) -> Iterator[ModelEvent]:
    """The form as a tool, and then what was submitted; only shown where nobody can answer it."""
    result = _result(since)
    if result is not None:
        text = to_json(result.output).decode() if result.outcome == "output" else "No answer"
        yield ModelText(f"Thank you: {text}" if result.outcome == "output" else text)
    elif any(spec.name == FORM_TOOL for spec in request.tools):
        yield from _call(Call(FORM_TOOL))
    else:
        yield ModelItem("widget", FORM)
        yield ModelText(FORM_TEXT)


def _call(command: Call) -> Iterator[ModelEvent]:
    call_id = _new_call_id()
    raw = to_json(command.input).decode()
    half = len(raw) // 2
    yield ModelToolDelta(call_id, command.name, raw[:half])
    yield ModelToolDelta(call_id, command.name, raw[half:])
    yield ModelToolCall(call_id, command.name, command.input)


def _result(since: Sequence[Message]) -> ToolResultPart | None:
    found = None
    for message in since:
        for part in message.parts:
            if isinstance(part, ToolResultPart):
                found = part
    return found


def _outcome(command: Call, since: Sequence[Message], result: ToolResultPart) -> str:
    if result.outcome == "denied":
        return "denied"
    if result.outcome == "error":
        return f"{command.name} failed: {_as_text(result.output)}"
    if command.client:
        return to_json(result.output).decode()
    if command.name == "create_bucket":
        return f"created {_bucket_name(command, since, result)}"
    return _as_text(result.output)


def _bucket_name(command: Call, since: Sequence[Message], result: ToolResultPart) -> str:
    """The name as executed: a human may have changed it when approving."""
    if isinstance(result.output, dict) and isinstance(result.output.get("name"), str):
        return str(result.output["name"])
    for message in since:
        for part in message.parts:
            if isinstance(part, ToolCallPart) and part.call_id == result.call_id and "name" in part.input:
                return str(part.input["name"])
    return str(command.input["name"])


def _as_text(output: Any) -> str:
    if isinstance(output, dict) and output.keys() == {"result"}:
        output = output["result"]
    if isinstance(output, str):
        return output
    if isinstance(output, int | float) and not isinstance(output, bool):
        return decimal_text(output)
    return to_json(output).decode()


def decimal_text(value: float) -> str:
    """A number as people write it: no exponent, no `.0`. Infinities and NaN by their names."""
    if not math.isfinite(value):
        return str(value)
    if value == int(value):
        return str(int(value))
    return format(Decimal(repr(value)), "f")


def pieces(text: str, *, at_most: int = 40, at_least: int = 16) -> Iterator[str]:
    """The text cut as a stream would bring it: up to `at_most` pieces of `at_least` characters or more."""
    size = max(at_least, -(-len(text) // at_most))
    return (text[start : start + size] for start in range(0, len(text), size))


def _previous(messages: Sequence[Message]) -> str:
    """The user message before the last one, whole; empty if there is none."""
    asked = [message for message in messages if message.role == "user"]
    return asked[-2].text if len(asked) > 1 else ""


def _files(message: Message) -> list[FilePart]:
    return [part for part in message.parts if isinstance(part, FilePart)]


def _file_name(part: FilePart) -> str:
    if part.name:
        return part.name
    if part.url.startswith("data:"):
        return "file"
    return unquote(posixpath.basename(urlsplit(part.url).path)) or "file"


def _new_call_id() -> str:
    return f"call_{uuid.uuid4().hex}"
