"""The data of the nine kinds of streaming event.

A stream makes one of these per token, so they are plain slotted classes, not validated models.
Each keeps keywords it does not know in `extras`, where they read like attributes. Nothing here
knows a wire format; `events` wraps these in a `StreamingEvent`.
"""

from __future__ import annotations

from typing import Any, ClassVar, TypeAlias

_MISSING = object()


class _Data:
    """What the nine data classes share: extras, equality by value, conversion to a dict."""

    __slots__ = ()

    _fields: ClassVar[tuple[str, ...]] = ()

    extras: dict[str, Any]

    def __getattr__(self, name: str) -> Any:
        # Reached only for names that are no slot. Copying and pickling ask before `extras` is set.
        if name != "extras" and not name.startswith("__"):
            value = self.extras.get(name, _MISSING)
            if value is not _MISSING:
                return value
        raise AttributeError(f"{type(self).__name__!r} has no field {name!r}")

    def model_dump(self, *, exclude_none: bool = False) -> dict[str, Any]:
        """All fields and extras as a plain dict."""
        values: dict[str, Any] = {name: getattr(self, name) for name in self._fields}
        values.update(self.extras)
        if exclude_none:
            return {name: value for name, value in values.items() if value is not None}
        return values

    def to_dict(self) -> dict[str, Any]:
        """The same as `model_dump()`."""
        return self.model_dump()

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self.model_dump() == other.model_dump()

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.model_dump(exclude_none=True).items())
        return f"{type(self).__name__}({shown})"


class PartialContentDelta(_Data):
    """A piece of the answer's text."""

    _fields = ("content", "sequence_id", "candidate_index")
    __slots__ = ("candidate_index", "content", "extras", "sequence_id")

    def __init__(self, content: str, sequence_id: int | None = None, candidate_index: int = 0, **extras: Any) -> None:
        self.content = content
        self.sequence_id = sequence_id
        self.candidate_index = candidate_index
        self.extras = extras


class ThinkingDelta(_Data):
    """A piece of the model's reasoning; `signature` belongs to the whole block and comes with its last piece."""

    _fields = ("thinking", "tool_consideration", "candidate_index", "signature")
    __slots__ = ("candidate_index", "extras", "signature", "thinking", "tool_consideration")

    def __init__(
        self,
        thinking: str,
        tool_consideration: str | None = None,
        candidate_index: int = 0,
        signature: str | None = None,
        **extras: Any,
    ) -> None:
        self.thinking = thinking
        self.tool_consideration = tool_consideration
        self.candidate_index = candidate_index
        self.signature = signature
        self.extras = extras

    @property
    def content(self) -> str:
        """The same as `thinking`."""
        return self.thinking


class ToolCallStarted(_Data):
    """A tool call whose id and name are known; its arguments follow."""

    _fields = ("tool_call_id", "tool_name", "index", "candidate_index")
    __slots__ = ("candidate_index", "extras", "index", "tool_call_id", "tool_name")

    def __init__(
        self, tool_call_id: str, tool_name: str, index: int | None = None, candidate_index: int = 0, **extras: Any
    ) -> None:
        self.tool_call_id = tool_call_id
        self.tool_name = tool_name
        self.index = index
        self.candidate_index = candidate_index
        self.extras = extras

    @property
    def function_name(self) -> str:
        """The same as `tool_name`."""
        return self.tool_name


class PartialToolCall(_Data):
    """The next piece of a call's arguments, as JSON text; `is_complete` when the text so far is a whole value."""

    _fields = ("tool_call_id", "arguments", "index", "is_complete", "candidate_index")
    __slots__ = ("arguments", "candidate_index", "extras", "index", "is_complete", "tool_call_id")

    def __init__(
        self,
        tool_call_id: str,
        arguments: str,
        index: int | None = None,
        is_complete: bool | None = None,
        candidate_index: int = 0,
        **extras: Any,
    ) -> None:
        self.tool_call_id = tool_call_id
        self.arguments = arguments
        self.index = index
        self.is_complete = is_complete
        self.candidate_index = candidate_index
        self.extras = extras

    @property
    def arguments_delta(self) -> str:
        """The same as `arguments`."""
        return self.arguments


class ToolCallEnded(_Data):
    """No more arguments will come for this call."""

    _fields = ("tool_call_id", "index", "candidate_index")
    __slots__ = ("candidate_index", "extras", "index", "tool_call_id")

    def __init__(self, tool_call_id: str, index: int | None = None, candidate_index: int = 0, **extras: Any) -> None:
        self.tool_call_id = tool_call_id
        self.index = index
        self.candidate_index = candidate_index
        self.extras = extras


class Metadata(_Data):
    """Usage and reasons, as soon as they are known: `finish_reason` in the provider's words, `stop_reason` in ours."""

    _fields = ("usage", "finish_reason", "stop_reason", "candidate_index")
    __slots__ = ("candidate_index", "extras", "finish_reason", "stop_reason", "usage")

    def __init__(
        self,
        usage: dict[str, Any] | None = None,
        finish_reason: str | None = None,
        stop_reason: str | None = None,
        candidate_index: int = 0,
        **extras: Any,
    ) -> None:
        self.usage = usage
        self.finish_reason = finish_reason
        self.stop_reason = stop_reason
        self.candidate_index = candidate_index
        self.extras = extras


class FinalCandidate(_Data):
    """One candidate of the answer is complete."""

    _fields = ("candidate_index", "finish_reason", "stop_reason")
    __slots__ = ("candidate_index", "extras", "finish_reason", "stop_reason")

    def __init__(
        self, candidate_index: int, finish_reason: str | None, stop_reason: str | None = None, **extras: Any
    ) -> None:
        self.candidate_index = candidate_index
        self.finish_reason = finish_reason
        self.stop_reason = stop_reason
        self.extras = extras


class StreamEnd(_Data):
    """The last event of a stream, with what is known of the whole answer."""

    _fields = ("finish_reason", "stop_reason", "usage", "candidate_index")
    __slots__ = ("candidate_index", "extras", "finish_reason", "stop_reason", "usage")

    def __init__(
        self,
        finish_reason: str | None = None,
        stop_reason: str | None = None,
        usage: dict[str, Any] | None = None,
        candidate_index: int = 0,
        **extras: Any,
    ) -> None:
        self.finish_reason = finish_reason
        self.stop_reason = stop_reason
        self.usage = usage
        self.candidate_index = candidate_index
        self.extras = extras


class StreamError(_Data):
    """The provider reported an error inside the stream, or sent a frame that cannot be read."""

    _fields = ("error", "event_id", "candidate_index", "error_class")
    __slots__ = ("candidate_index", "error", "error_class", "event_id", "extras")

    def __init__(
        self,
        error: Any,
        event_id: str | None = None,
        candidate_index: int = 0,
        error_class: str | None = None,
        **extras: Any,
    ) -> None:
        self.error = error
        self.event_id = event_id
        self.candidate_index = candidate_index
        self.error_class = error_class
        self.extras = extras

    @property
    def message(self) -> str:
        """What the error says in words."""
        told = self.error.get("message") if isinstance(self.error, dict) else None
        return str(self.extras.get("message") or told or self.error)


EventData: TypeAlias = (
    PartialContentDelta
    | ThinkingDelta
    | ToolCallStarted
    | PartialToolCall
    | ToolCallEnded
    | Metadata
    | FinalCandidate
    | StreamEnd
    | StreamError
)

KINDS: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        PartialContentDelta,
        ThinkingDelta,
        ToolCallStarted,
        PartialToolCall,
        ToolCallEnded,
        Metadata,
        FinalCandidate,
        StreamEnd,
        StreamError,
    )
}
"""Class name → class."""
