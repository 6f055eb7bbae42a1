"""`StreamingEvent`s → the bytes of OpenAI's `chat.completion.chunk`s.

Incremental, and cheap where it counts: all of a frame but the text is built once per stream, so that a piece of text
costs one JSON string. One encoder per stream; `event` gives the bytes of an event, perhaps none, `end` the last ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pydantic_core

from dragoman.ai.backwards.answers import FINISH, openai_usage
from dragoman.ai.types.events import StreamingEvent
from dragoman.wire.json_text import sound

__all__ = ["DONE", "ChunkEncoder", "error_frame"]

DONE = b"data: [DONE]\n\n"

_to_json = pydantic_core.to_json


def error_frame(error: Mapping[str, Any]) -> bytes:
    """An error inside a stream; nothing follows it."""
    return b"data: " + _to_json({"error": error}) + b"\n\n"


def _json_text(text: str) -> bytes:
    try:
        return _to_json(text)
    except ValueError:  # half a surrogate pair, which has no bytes
        return _to_json(sound(text))


@dataclass(slots=True)
class _Candidate:
    """What is said of one candidate so far; `text` and `thought` are the heads of its frames."""

    text: bytes
    thought: bytes
    calls: dict[str, int] = field(default_factory=dict)
    heads: dict[str, bytes] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)


class ChunkEncoder:
    """`include_usage` adds the last chunk with the counts, and `usage: null` to all others, as OpenAI does."""

    def __init__(
        self, *, id: str, created: int, model: str, include_usage: bool = False, old_functions: bool = False
    ) -> None:
        self.usage: Mapping[str, Any] | None = None
        head = {"id": id, "object": "chat.completion.chunk", "created": created, "model": model}
        self._head = b"data: " + _to_json(head)[:-1] + b',"choices":['
        self._tail = b'}],"usage":null}\n\n' if include_usage else b"}]}\n\n"
        self._open = b',"logprobs":null,"finish_reason":null' + self._tail
        self._text_tail = b"}" + self._open
        self._include_usage = include_usage
        self._old_functions = old_functions
        self._candidates: dict[int, _Candidate] = {}
        self._finishes: dict[int, str] = {}
        self._has_ended = False

    @property
    def has_begun(self) -> bool:
        """Whether anything was said."""
        return bool(self._candidates)

    @property
    def has_finished(self) -> bool:
        """Whether a candidate has said why it ends."""
        return bool(self._finishes)

    def event(self, event: StreamingEvent) -> bytes:
        """The frames that say this event; none for what this wire says at the end or not at all."""
        data: Any = event.data
        kind = event.event_type
        if kind == "PartialContentDelta":
            one = self._candidates.get(data.candidate_index)
            if one is not None:
                return one.text + _json_text(data.content) + self._text_tail
            begun = self._begun(data.candidate_index)
            return begun + self.event(event)
        if kind == "ThinkingDelta":
            return self._thinking(data)
        if kind == "PartialToolCall":
            return self._arguments(data)
        if kind == "ToolCallStarted":
            return self._call(data)
        if kind == "ToolCallEnded":
            return self._call_ended(data)
        if kind == "FinalCandidate":
            self._note(data.candidate_index, data.stop_reason, data.finish_reason)
        elif kind == "Metadata":
            self.usage = data.usage or self.usage
        elif kind == "StreamEnd":
            self.usage = data.usage or self.usage
            self._note(data.candidate_index, data.stop_reason, data.finish_reason)
        return b""

    def _begun(self, index: int) -> bytes:
        """The candidate's first frame, which names its role."""
        start = self._head + b'{"index":%d,"delta":{' % index
        self._candidates[index] = _Candidate(start + b'"content":', start + b'"reasoning_content":')
        return start + b'"role":"assistant","content":"","refusal":null' + self._text_tail

    def _of(self, index: int) -> tuple[_Candidate, bytes]:
        begun = b"" if index in self._candidates else self._begun(index)
        return self._candidates[index], begun

    def _delta(self, index: int, delta: Mapping[str, Any]) -> bytes:
        return self._head + b'{"index":%d,"delta":' % index + _to_json(delta) + self._open

    def _note(self, index: int, stop: str | None, word: str | None) -> None:
        if word == "error":
            return
        if stop is not None or word is not None:
            self._finishes[index] = FINISH.get(stop, "stop")

    # ------------------------------------------------------------------ reasoning and calls

    def _thinking(self, data: Any) -> bytes:
        one, frames = self._of(data.candidate_index)
        if data.thinking:
            frames += one.thought + _json_text(data.thinking) + self._text_tail
        sealed = {name: value for name in ("signature", "data") if (value := _seal(data, name)) is not None}
        if sealed:
            kind = "thinking" if "signature" in sealed else "redacted_thinking"
            family = data.extras.get("family")
            frames += self._delta(
                data.candidate_index, {"thinking_blocks": [{"type": kind, **sealed, "family": family}]}
            )
        return frames

    def _call(self, data: Any) -> bytes:
        one, frames = self._of(data.candidate_index)
        place = one.calls.setdefault(data.tool_call_id, len(one.calls))
        if place and self._old_functions:  # that form has one call; clients would run a second into the first
            return frames
        one.silent.add(data.tool_call_id)
        start = self._head + b'{"index":%d,"delta":{' % data.candidate_index
        if self._old_functions:
            one.heads[data.tool_call_id] = start + b'"function_call":{"arguments":'
            named: dict[str, Any] = {"function_call": {"name": data.tool_name, "arguments": ""}}
            return frames + self._delta(data.candidate_index, named)
        one.heads[data.tool_call_id] = start + b'"tool_calls":[{"index":%d,"function":{"arguments":' % place
        call: dict[str, Any] = {
            "index": place,
            "id": data.tool_call_id,
            "type": "function",
            "function": {"name": data.tool_name, "arguments": ""},
        }
        mark = data.extras.get("signature")
        if isinstance(mark, str):
            call["extra_content"] = {"google": {"thought_signature": mark}}
        return frames + self._delta(data.candidate_index, {"tool_calls": [call]})

    def _arguments(self, data: Any) -> bytes:
        one = self._candidates.get(data.candidate_index)
        head = one.heads.get(data.tool_call_id) if one is not None else None
        if one is None or head is None or not data.arguments:
            return b""
        one.silent.discard(data.tool_call_id)
        return head + _json_text(data.arguments) + (b"}" if self._old_functions else b"}}]") + self._text_tail

    def _call_ended(self, data: Any) -> bytes:
        """A call without arguments gets those of an empty object: clients read them as JSON."""
        one, call = self._candidates.get(data.candidate_index), data.tool_call_id
        if one is None or call not in one.heads:
            return b""
        frames = b""
        if call in one.silent:
            one.silent.discard(call)
            frames = one.heads[call] + b'"{}"' + (b"}" if self._old_functions else b"}}]") + self._text_tail
        mark = data.extras.get("signature")
        if isinstance(mark, str) and not self._old_functions:
            marked = {"index": one.calls[call], "extra_content": {"google": {"thought_signature": mark}}}
            frames += self._delta(data.candidate_index, {"tool_calls": [marked]})
        return frames

    # ------------------------------------------------------------------ the end

    def end(self) -> bytes:
        """Finish reasons, the counts if they were asked for and are known, and `[DONE]`. Nothing, if called again."""
        if self._has_ended:
            return b""
        self._has_ended = True
        silent = self._finishes.keys() - self._candidates.keys()
        if not self._candidates and not silent:
            silent = {0}
        frames = [self._begun(index) for index in sorted(silent)]  # answers without a word
        for index, one in sorted(self._candidates.items()):
            finish = self._finishes.get(index) or ("tool_calls" if one.calls else "stop")
            if self._old_functions and finish == "tool_calls":
                finish = "function_call"
            frames.append(
                self._head
                + b'{"index":%d,"delta":{},"logprobs":null,"finish_reason":"%b"' % (index, finish.encode())
                + self._tail
            )
        usage = openai_usage(self.usage) if self._include_usage else None
        if usage is not None:
            frames.append(self._head + b'],"usage":' + _to_json(usage) + b"}\n\n")
        frames.append(DONE)
        return b"".join(frames)


def _seal(data: Any, name: str) -> Any:
    value = data.signature if name == "signature" else data.extras.get(name)
    return value if isinstance(value, str) else None
