"""Calls and answers as the plain dicts that middleware, plugins and hooks see, and back.

A request has `model`, `messages` and `stream`, and where they were given `tools`, `tool_choice`,
`response_format`, `reasoning_effort`, `n` and every parameter under its own name; headers do not go
in, but those that come back are added. An answer has `content`, `thinking`, `tool_calls`,
`finish_reason`, `stop_reason`, `usage`, `model`, `request_id`, and `candidates` if there are several.
What was not changed stays the very object that it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from dragoman.ai.adapters.call import ChatCall
from dragoman.ai.adapters.parameters import STANDARD
from dragoman.ai.client.options import as_message, as_tools
from dragoman.ai.client.response import ChatResponse
from dragoman.ai.errors import ValidationError
from dragoman.ai.pipeline.answer import Candidate
from dragoman.ai.types.events import StreamingEvent
from dragoman.ai.types.message import ToolCall

__all__ = ["answer_of", "call_of", "events_of", "request_of", "response_of"]

_TOLD = ("model", "stream")
"""What is said and cannot be changed: a request is made for a model, plainly or as a stream."""

_SETTINGS = ("tool_choice", "response_format", "reasoning_effort")
_OWN = frozenset({*_TOLD, *_SETTINGS, "messages", "tools", "n", "headers"})

_PLAIN = ("content", "thinking", "finish_reason", "stop_reason", "usage", "model", "request_id")


def request_of(call: ChatCall) -> dict[str, Any]:
    """A call as a dict, new in all its parts."""
    found: dict[str, Any] = {
        "model": call.model,
        "messages": [message.to_dict() for message in call.messages],
        "stream": call.stream,
    }
    if call.tools:
        found["tools"] = [tool.to_dict() for tool in call.tools]
    if call.n != 1:
        found["n"] = call.n
    found.update((name, _fresh(value)) for name in _SETTINGS if (value := getattr(call, name)) is not None)
    for given in (call.parameters, call.extra):
        found.update((name, _fresh(value)) for name, value in given.items() if name not in _OWN)
    return found


def _fresh(value: Any) -> Any:
    """A copy of the dicts and lists in a value; what else is in them is shared."""
    if isinstance(value, dict):
        return {name: _fresh(one) for name, one in value.items()}
    return [_fresh(one) for one in value] if isinstance(value, list) else value


def _require_dict(value: object, what: str) -> None:
    if not isinstance(value, Mapping):
        raise ValidationError(
            f"a hook or a middleware gave a {type(value).__name__} for {what}", field=what, expected="a dict"
        )


def call_of(request: Mapping[str, Any], call: ChatCall) -> ChatCall:
    """The call that a dict describes, made of the one that the dict was made of. Raises ValidationError."""
    _require_dict(request, "request")
    before = request_of(call)
    for name in _TOLD:
        if request.get(name, before[name]) != before[name]:
            raise ValidationError(
                f"{name!r} of a request cannot be changed on its way", field=name, expected=before[name]
            )
    changes: dict[str, Any] = {name: request.get(name) for name in _SETTINGS}
    changes["n"] = request.get("n", 1)
    if request.get("messages") != before["messages"]:
        changes["messages"] = [as_message(message) for message in _listed(request, "messages")]
    if request.get("tools", []) != before.get("tools", []):
        changes["tools"] = as_tools(_listed(request, "tools"))
    others = {name: value for name, value in request.items() if name not in _OWN}
    kept = {name: value for name, value in call.extra.items() if name in _OWN}
    changes["parameters"] = {name: value for name, value in others.items() if name in STANDARD}
    changes["extra"] = {**{name: value for name, value in others.items() if name not in STANDARD}, **kept}
    if isinstance(headers := request.get("headers"), Mapping):
        changes["headers"] = {**call.headers, **headers}
    return replace(call, **changes)


def _listed(request: Mapping[str, Any], name: str) -> Iterable[Any]:
    value = request.get(name) or []
    if not isinstance(value, list | tuple):
        raise ValidationError(f"{name!r} of a request is a list", field=name, actual=value)
    return value


# ---------------------------------------------------------------------------------------- answers


def response_of(answer: ChatResponse) -> dict[str, Any]:
    """An answer as a dict, new in all its parts."""
    found: dict[str, Any] = {name: getattr(answer, name) for name in _PLAIN}
    found["usage"] = _fresh(answer.usage)
    found["tool_calls"] = _dumped(answer.tool_calls)
    if len(answer.candidates) > 1:
        found["candidates"] = [_candidate(one) for one in answer.candidates]
    return found


def _dumped(calls: Iterable[ToolCall]) -> list[dict[str, Any]]:
    return [call.model_dump(mode="json", exclude_none=True) for call in calls]


def _candidate(one: Candidate) -> dict[str, Any]:
    told = {name: getattr(one, name) for name in ("index", "content", "thinking", "finish_reason", "stop_reason")}
    return {**told, "tool_calls": _dumped(one.tool_calls)}


def answer_of(response: Mapping[str, Any], before: ChatResponse | None = None) -> ChatResponse:
    """The answer that a dict describes. Raises ValidationError.

    With the answer `before` that the dict was made of, what it does not speak of stays; a changed
    text loses its signature, and the provider's own body is given up.
    """
    _require_dict(response, "response")
    answer = before if before is not None else ChatResponse()
    known = response_of(answer)
    changes = {name: response[name] for name in _PLAIN if name in response and response[name] != known[name]}
    if "content" in changes and not isinstance(changes["content"], str):
        raise ValidationError("the content of an answer is a text", field="content", actual=changes["content"])
    calls = response.get("tool_calls", known["tool_calls"])
    if calls != known["tool_calls"]:
        changes["tool_calls"] = _calls(calls)
    if "thinking" in changes:
        changes["thinking_blocks"] = []
    others = response.get("candidates", known.get("candidates"))
    if before is not None and not changes and others == known.get("candidates"):
        return before
    made = replace(answer, **changes, raw_response=None)
    if others is not None and others != known.get("candidates"):
        made.candidates = [_as_candidate(one, index) for index, one in enumerate(others)]
    elif made.candidates:
        made.candidates = [_first(made), *made.candidates[1:]]
    else:
        made.candidates = [_first(made)]
    return made


def _calls(calls: Any) -> list[ToolCall]:
    try:
        return [ToolCall.model_validate(call) for call in calls or ()]
    except (TypeError, ValueError) as error:
        raise ValidationError(f"these are no tool calls: {error}", field="tool_calls") from error


def _first(answer: ChatResponse) -> Candidate:
    """The first candidate, as the answer shows it."""
    before = answer.candidates[0] if answer.candidates else Candidate()
    is_same = before.content == answer.content
    return replace(
        before,
        content=answer.content,
        thinking=answer.thinking or "",
        thinking_blocks=list(answer.thinking_blocks),
        tool_calls=list(answer.tool_calls),
        finish_reason=answer.finish_reason,
        stop_reason=answer.stop_reason,
        signature=before.signature if is_same else None,
    )


def _as_candidate(one: Mapping[str, Any], index: int) -> Candidate:
    return Candidate(
        index=one.get("index", index),
        content=one.get("content") or "",
        thinking=one.get("thinking") or "",
        tool_calls=_calls(one.get("tool_calls")),
        finish_reason=one.get("finish_reason"),
        stop_reason=one.get("stop_reason"),
    )


def events_of(answer: ChatResponse) -> list[StreamingEvent]:
    """The events of a stream that would have given this answer's first candidate."""
    events: list[StreamingEvent] = []
    if answer.thinking:
        events.append(StreamingEvent.thinking_delta(answer.thinking))
    if answer.content:
        events.append(StreamingEvent.content_delta(answer.content))
    for index, call in enumerate(answer.tool_calls):
        events.append(StreamingEvent.tool_call_started(call.id, call.function_name, index))
        events.append(StreamingEvent.partial_tool_call(call.id, call.arguments_raw or "{}", index, True))
        events.append(StreamingEvent.tool_call_ended(call.id, index))
    if answer.usage is not None:
        events.append(StreamingEvent.metadata(answer.usage, answer.finish_reason, answer.stop_reason))
    return [*events, StreamingEvent.stream_end(answer.finish_reason, answer.stop_reason, answer.usage)]
