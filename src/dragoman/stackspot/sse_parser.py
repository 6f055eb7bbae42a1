"""The frames of a streamed answer → events: text, end, failure; and the answer's particulars, gathered on the way.

`SseEventParser` is a documented hook: users subclass it. It is given lines, by `parse`, or whole frames, by
`read_frame`, which is how our own streams feed it, since `wire.sse` has cut the bytes by then. Two dialects of frames
are understood, StackSpot's own and OpenAI's chunks. Knows no connections; how an answer ends is for `chat_stream`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic_core import from_json, to_json

from dragoman.core.redact import redact_text
from dragoman.wire.json_text import read_json

logger = logging.getLogger(__name__)

_BOM = "\ufeff"
_END = "[DONE]"
_PARTICULARS = ("conversation_id", "tokens", "knowledge_source_id", "stop_reason")
_TEXTS = ("content", "text", "delta")


class ChatResponseStreamEventType(StrEnum):
    """What an event of a stream is."""

    DELTA = "delta"
    DONE = "done"
    ERROR = "error"


@dataclass(frozen=True)
class ChatResponseStreamEvent:
    """One event of a streamed answer: the next piece of `text`, the end, or an `error` of the service.

    `raw_data` is the frame's object, or `{"raw": data}` for data that is none; of the end, the particulars so far.
    """

    type: ChatResponseStreamEventType
    text: str = ""
    raw_data: dict[str, Any] | None = None
    error: str | None = None

    @property
    def is_delta(self) -> bool:
        return self.type == ChatResponseStreamEventType.DELTA

    @property
    def is_done(self) -> bool:
        return self.type == ChatResponseStreamEventType.DONE

    @property
    def is_error(self) -> bool:
        return self.type == ChatResponseStreamEventType.ERROR


_DELTA = ChatResponseStreamEventType.DELTA
_new = object.__new__


class SseEventParser:
    """Reads one stream after the other; not two at a time.

    For a service whose frames look different, override `_extract_delta_text` or `_track_chunk_metadata`; for one that
    does not send server-sent events, `parse`.
    """

    # On the class, so that a subclass may forget to call our __init__; named as subclasses of the published parser know it.
    _raw_done_data: dict[str, Any] | None = None
    _counts_are_native = False
    _tells = False
    _is_stock = False

    def __init__(self) -> None:
        self.begin()

    @property
    def metadata(self) -> dict[str, Any] | None:
        """`conversation_id`, `tokens`, `stop_reason` and the like, as far as they came; None if nothing did."""
        return self._raw_done_data

    def parse(self, lines: Iterable[str | bytes]) -> Iterator[ChatResponseStreamEvent]:
        """The events of lines without their ends; a blank line ends a frame, and so does the end of the lines.

        Begins anew: particulars of a stream before are forgotten. Stops after the DONE event.
        """
        self.begin()
        data: list[str] = []
        name = ""
        first = True
        for given in lines:
            if given is None:
                continue
            line = given.decode("utf-8", "replace") if isinstance(given, bytes) else str(given)
            line = line.rstrip("\r\n")
            if first:
                first, line = False, line.removeprefix(_BOM)
            if line:
                field, _, value = line.partition(":")
                if field == "data":
                    data.append(value.removeprefix(" "))
                elif field == "event":
                    name = value.removeprefix(" ").strip()
                continue
            event = self.read_frame("\n".join(data), name) if data else None
            data, name = [], ""
            if event is not None:
                yield event
                if event.is_done:
                    return
        event = self.read_frame("\n".join(data), name) if data else None
        if event is not None:
            yield event

    def begin(self) -> None:
        """Forget the stream before."""
        self._raw_done_data = None
        self._counts_are_native = False
        self._tells = logger.isEnabledFor(logging.DEBUG)
        self._is_stock = all(
            getattr(type(self), hook) is getattr(SseEventParser, hook)
            for hook in ("_extract_delta_text", "_track_chunk_metadata")
        )

    def read_frame(self, data: str | bytes, name: str = "") -> ChatResponseStreamEvent | None:
        """The event of one frame's data and event name; None for a frame of an unknown name, which says nothing."""
        if self._tells:
            shown = data if isinstance(data, str) else data.decode("utf-8", "replace")
            logger.debug("frame %r: %s", name, redact_text(shown))
        try:
            value = from_json(data)
        except ValueError:
            value = None
        if type(value) is dict and not name:
            if len(value) == 1 and self._is_stock and type(text := value.get("message")) is str:
                return _delta(text, value)  # what nearly every frame is, and no hook would see it otherwise
            if not value.get("error") and value.get("type") not in ("error", "done"):
                return self._delta(value)
        return self._read_rarer(value, data if isinstance(data, str) else data.decode("utf-8", "replace"), name)

    def _read_rarer(self, value: Any, data: str, name: str) -> ChatResponseStreamEvent | None:
        if data.strip() == _END:
            return ChatResponseStreamEvent(ChatResponseStreamEventType.DONE, raw_data=self._raw_done_data or {})
        if value is None:
            value = _mended(data)
        frame = value if isinstance(value, dict) else None
        kind = frame.get("type") if frame is not None else None
        if name == "error" or kind == "error" or (frame is not None and kind != "done" and _is_failure(frame)):
            text = _message_of(frame, data) if frame is not None else _plain(value, data)
            raw = frame if frame is not None else {"raw": data}
            return ChatResponseStreamEvent(ChatResponseStreamEventType.ERROR, raw_data=raw, error=text)
        if name == "done" or kind == "done":
            return self._done(frame or {})
        if name not in ("", "message"):
            if frame is not None:
                self._track_chunk_metadata(frame)
            return None
        if frame is not None:
            return self._delta(frame)
        return ChatResponseStreamEvent(ChatResponseStreamEventType.DELTA, _plain(value, data), {"raw": data})

    def _delta(self, frame: dict[str, Any]) -> ChatResponseStreamEvent:
        text = str(self._extract_delta_text(frame) or "")
        self._track_chunk_metadata(frame)
        return _delta(text, frame)

    def _done(self, frame: dict[str, Any]) -> ChatResponseStreamEvent:
        """The end, told by an object: what it says is added to what is known, and a null takes nothing away."""
        self._track_chunk_metadata(frame)
        known = self._raw_done_data or {}
        said = {key: value for key, value in frame.items() if value is not None or known.get(key) is None}
        self._raw_done_data = {**known, **said}
        return ChatResponseStreamEvent(ChatResponseStreamEventType.DONE, raw_data=self._raw_done_data)

    @staticmethod
    def _extract_delta_text(data: dict[str, Any]) -> str:
        """The piece of text in a frame; empty if there is none. A hook."""
        message = data.get("message")
        if isinstance(message, str):
            return message
        choice = _first_choice(data)
        delta = choice.get("delta") if choice is not None else None
        if isinstance(delta, dict) and isinstance(delta.get("content"), str):
            content: str = delta["content"]
            return content
        for name in _TEXTS:
            value = data.get(name)
            if isinstance(value, str):
                return value
        return ""

    def _track_chunk_metadata(self, data: dict[str, Any]) -> None:
        """Take over what a frame says of the whole answer. A hook; `metadata` gives what it gathered.

        Counts in the service's own form stay before OpenAI's; of those the last hold.
        """
        found: dict[str, Any] = {}
        known = self._raw_done_data or {}
        for name in _PARTICULARS:
            if name in data and (data[name] is not None or name not in known):
                found[name] = data[name]
        if found.get("tokens") is not None:
            self._counts_are_native = True
        choice = _first_choice(data)
        if choice is not None and choice.get("finish_reason") is not None:
            found["stop_reason"] = choice["finish_reason"]
        usage = data.get("usage")
        if isinstance(usage, dict) and not self._counts_are_native:
            found["tokens"] = {
                "user": usage.get("prompt_tokens") or 0,
                "enrichment": 0,
                "output": usage.get("completion_tokens") or 0,
            }
        if found:
            self._raw_done_data = {**known, **found}


def _delta(text: str, frame: dict[str, Any]) -> ChatResponseStreamEvent:
    """A piece of text; filled in directly, as the `__init__` of a frozen dataclass costs more than reading the frame."""
    event = _new(ChatResponseStreamEvent)
    fields = event.__dict__
    fields["type"], fields["text"], fields["raw_data"], fields["error"] = _DELTA, text, frame, None
    return event


def _first_choice(data: dict[str, Any]) -> dict[str, Any] | None:
    choices = data.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        return choices[0]
    return None


def _is_failure(frame: dict[str, Any]) -> bool:
    """Whether an object without a type tells of an error, as OpenAI's does; one that brings text as well does not."""
    error = frame.get("error")
    if isinstance(error, dict):
        return bool(error)
    return bool(isinstance(error, str) and error and "message" not in frame and "choices" not in frame)


def _message_of(frame: dict[str, Any], data: str) -> str:
    """What an error object says, however deep it says it."""
    for name in ("message", "error"):
        said = frame.get(name)
        if isinstance(said, dict):
            inner = said.get("message")
            return inner if isinstance(inner, str) and inner else to_json(said, inf_nan_mode="constants").decode()
        if said:
            return str(said)
    return data


def _plain(value: Any, data: str) -> str:
    """The text of data that is no object: a JSON string without its quotes, everything else as it came."""
    return value if isinstance(value, str) else data


def _mended(data: str) -> Any:
    """The value of JSON that holds half surrogate pairs; None for what is no JSON."""
    if data[:1] not in ("{", '"', "["):
        return None
    try:
        return read_json(data)
    except ValueError:
        return None
