"""A guard around the events of a stream: what a validator finds is found however the text was cut.

Text is given on as soon as it can no longer be part of a match; by most filters that is at the next
blank. Events keep their order. What is held back when reasoning or a tool call begins is given on
first; a match that goes on behind it is found all the same. Reasoning and the arguments of tools are
looked at when that is asked for, arguments as a whole and within their JSON.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, TypeVar

from dragoman.ai.errors import ValidationError
from dragoman.ai.guardrails.blocked import GuardrailBlocked
from dragoman.ai.guardrails.scanning import MAX_VIOLATIONS, TextScanner
from dragoman.ai.guardrails.values import ValueGuard
from dragoman.ai.guardrails.words import Action, GuardrailViolation, Validator
from dragoman.ai.types.event_data import (
    FinalCandidate,
    PartialContentDelta,
    PartialToolCall,
    StreamEnd,
    StreamError,
    ThinkingDelta,
    ToolCallEnded,
    ToolCallStarted,
)
from dragoman.ai.types.events import StreamingEvent

__all__ = ["EventGuard", "GuardedStream"]

Self = TypeVar("Self", bound="GuardedStream")


class _Channel:
    """The answer's text, or the reasoning, of one candidate."""

    def __init__(self, scanner: TextScanner, action: Action) -> None:
        self.scanner = scanner
        self._is_reported = action == "report"
        self._last: PartialContentDelta | ThinkingDelta | None = None
        self._extras: dict[str, Any] = {}
        self._told = 0
        self._signed_at = 0

    def feed(self, event: StreamingEvent, data: PartialContentDelta | ThinkingDelta) -> list[StreamingEvent]:
        text = data.thinking if isinstance(data, ThinkingDelta) else data.content
        signature = data.signature if isinstance(data, ThinkingDelta) else None
        was_empty = not self.scanner.held
        given = self.scanner.feed(text)
        if signature is not None:  # it signs the block as a whole
            given += self.scanner.flush()
            if len(self.scanner.violations) > self._signed_at and not self._is_reported:
                signature = None  # of another text than this is now
            self._signed_at = len(self.scanner.violations)
        self._last = data
        same_signature = not isinstance(data, ThinkingDelta) or signature == data.signature
        if self._is_reported or (was_empty and given == text and same_signature):
            return [event]
        self._extras.update(data.extras)
        return self._event(given, signature)

    def flush(self) -> list[StreamingEvent]:
        return self._event(self.scanner.flush()) if self.scanner.held else []

    def end(self, *, may_be_short: bool) -> list[StreamingEvent]:
        return self._event(self.scanner.end(may_be_short=may_be_short))

    def news(self) -> list[GuardrailViolation]:
        """The violations since this was asked last."""
        found, self._told = self.scanner.violations[self._told :], len(self.scanner.violations)
        return found

    def _event(self, text: str, signature: str | None = None) -> list[StreamingEvent]:
        """The text as an event like the last one that came."""
        last = self._last
        if self._is_reported or last is None or not (text or signature):
            return []
        extras, self._extras = self._extras, {}
        if isinstance(last, PartialContentDelta):
            return [StreamingEvent.content_delta(text, last.sequence_id, last.candidate_index, **extras)]
        said = (last.tool_consideration, last.candidate_index, signature)
        return [StreamingEvent.thinking_delta(text, *said, **extras)]


class EventGuard:
    """`feed` it events and `end` it; both give the events that may go on.

    After a match that blocks, `blocked` has its violations and nothing goes on any more.
    """

    def __init__(
        self,
        validator: Validator,
        action: Action = "block",
        *,
        window: int | None = None,
        thinking: bool = False,
        tool_arguments: bool = False,
        on_violations: Callable[[list[Any]], object] | None = None,
    ) -> None:
        if action not in ("block", "redact", "report"):
            raise ValidationError(
                f"there is no action {action!r}", field="action", expected="block, redact or report", actual=action
            )
        self._validator = validator
        self._action: Action = action
        self._window = window
        self._thinks = thinking
        self._values = ValueGuard(validator, action) if tool_arguments else None
        self._on_violations = on_violations
        self._channels: dict[tuple[bool, int], _Channel] = {}
        self._arguments: dict[str, list[PartialToolCall]] = {}
        self._calling: set[int] = set()
        self._is_over = self._finished = False
        self.violations: list[Any] = []
        self.blocked: Sequence[Any] = ()

    def feed(self, event: StreamingEvent) -> list[StreamingEvent]:
        """The events that may go on now that this one has come."""
        if self.blocked:
            return []
        data = event.data
        candidate = data.candidate_index
        if isinstance(data, PartialContentDelta):
            return [*self._flushed(True, candidate), *self._text(False, event, data)]
        if isinstance(data, ThinkingDelta):
            out = self._flushed(False, candidate)
            return [*out, *(self._text(True, event, data) if self._thinks else self._unless_blocked(event))]
        if isinstance(data, PartialToolCall) and self._values is not None:
            self._arguments.setdefault(data.tool_call_id, []).append(data)
            return [event] if self._action == "report" else []
        out = []
        if isinstance(data, ToolCallStarted | StreamError):
            out = [*self._flushed(True, candidate), *self._flushed(False, candidate)]
            if isinstance(data, ToolCallStarted):
                self._calling.add(candidate)
        elif isinstance(data, ToolCallEnded):
            out = self._called(data.tool_call_id)
        elif isinstance(data, FinalCandidate):
            if candidate == 0 and candidate not in self._calling:
                self._channel(False, candidate)
            self._finished = True
            out = self._ended([key for key in self._channels if key[1] == candidate])
        elif isinstance(data, StreamEnd):
            out = self.end()
        return [*out, *self._unless_blocked(event)]

    def end(self) -> list[StreamingEvent]:
        """There is no more; gives the rest. Idempotent."""
        if self._is_over or self.blocked:
            return []
        self._is_over = True
        if not self._channels and not self._finished and not self._calling:  # no text at all, which may be too little
            self._channel(False, 0)
        out = self._ended(list(self._channels))
        for call in list(self._arguments):
            out += self._called(call)
        return out

    def _unless_blocked(self, event: StreamingEvent) -> list[StreamingEvent]:
        return [] if self.blocked else [event]

    # ------------------------------------------------------------------------------------- texts

    def _text(
        self, thinking: bool, event: StreamingEvent, data: PartialContentDelta | ThinkingDelta
    ) -> list[StreamingEvent]:
        channel = self._channel(thinking, data.candidate_index)
        return self._after(channel, channel.feed(event, data))

    def _channel(self, thinking: bool, candidate: int) -> _Channel:
        known = self._channels.get((thinking, candidate))
        if known is None:
            scanner = TextScanner(self._validator, self._action, lengths=not thinking, window=self._window)
            known = self._channels[thinking, candidate] = _Channel(scanner, self._action)
        return known

    def _flushed(self, thinking: bool, candidate: int) -> list[StreamingEvent]:
        channel = self._channels.get((thinking, candidate))
        return self._after(channel, channel.flush()) if channel is not None and not self.blocked else []

    def _ended(self, keys: list[tuple[bool, int]]) -> list[StreamingEvent]:
        out: list[StreamingEvent] = []
        for key in sorted(keys, reverse=True):  # reasoning before the answer
            if not self.blocked:
                channel = self._channels.pop(key)
                out += self._after(channel, channel.end(may_be_short=key[1] in self._calling))
        return out

    def _after(self, channel: _Channel, events: list[StreamingEvent]) -> list[StreamingEvent]:
        self._note(channel.news(), bool(channel.scanner.blocked))
        return events

    def _note(self, found: list[Any], blocks: bool) -> None:
        if not found:
            return
        self.violations.extend(found[: MAX_VIOLATIONS - len(self.violations)])
        if blocks and not self.blocked:
            self.blocked = list(found)
        if self._on_violations is not None:
            self._on_violations(found)

    # ----------------------------------------------------------------------------------- arguments

    def _called(self, call: str) -> list[StreamingEvent]:
        """The arguments of a call, which are whole now, as one piece; in pieces where nothing was replaced."""
        pieces = self._arguments.pop(call, None)
        if pieces is None or self._values is None or self.blocked:
            return []
        before = "".join(piece.arguments for piece in pieces)
        after, found = self._values.guarded_json(before)
        self._note(found, self._action == "block")
        if self.blocked or self._action == "report":
            return []
        if after == before:
            return [StreamingEvent("PartialToolCall", piece) for piece in pieces]
        last = pieces[-1]
        return [StreamingEvent.partial_tool_call(call, after, last.index, True, last.candidate_index, **last.extras)]


class GuardedStream:
    """The events of a stream, after a guard; an async iterator that can be closed.

    `validator` is a guardrail, a `ContentValidator`, or anything with `check` and `filter`. At a match

    - `block` raises GuardrailBlocked; no part of the match was given on. The source is closed.
    - `redact` replaces it.
    - `report` gives all events on as they came, without any delay.

    `violations` has what was found so far, and `on_violations` is called with it as it is found.
    `thinking` and `tool_arguments` say whether these are looked at too. `window` is how long a match
    may be (in characters) for validators that only judge whole texts, 256 by default.

    Rules about length count the answer's text alone, and a text that is too short is told at the end.
    """

    def __init__(
        self,
        events: AsyncIterator[StreamingEvent],
        validator: Validator,
        *,
        action: Action = "block",
        window: int | None = None,
        thinking: bool = False,
        tool_arguments: bool = False,
        on_violations: Callable[[list[Any]], object] | None = None,
    ) -> None:
        self._source = aiter(events)
        self._guard = EventGuard(
            validator,
            action,
            window=window,
            thinking=thinking,
            tool_arguments=tool_arguments,
            on_violations=on_violations,
        )
        self._hides = action != "report"
        self._ready: deque[StreamingEvent] = deque()
        self._is_over = False
        self._failure: Exception | None = None

    @property
    def violations(self) -> list[Any]:
        """What was found so far."""
        return self._guard.violations

    def __aiter__(self) -> AsyncIterator[StreamingEvent]:
        return self

    async def __anext__(self) -> StreamingEvent:
        while not self._ready:
            if self._is_over:
                failure, self._failure = self._failure, None
                if failure is not None:
                    raise failure
                raise StopAsyncIteration
            await self._read()
        return self._ready.popleft()

    async def _read(self) -> None:
        """The next event of the source, or its end."""
        guard = self._guard
        try:
            self._ready.extend(guard.feed(await self._source.__anext__()))
            if not guard.blocked:
                return
        except StopAsyncIteration:
            self._ready.extend(guard.end())
        except Exception as error:
            self._ready.extend(guard.end())
            self._failure = self._hidden(error)
        self._is_over = True
        if guard.blocked:
            self._failure = GuardrailBlocked("output", guard.blocked)
        await self._close()

    def _hidden(self, error: Exception) -> Exception:
        """An error of a cut stream holds what had come, which nobody has looked at."""
        if self._hides and getattr(error, "partial", None) is not None:
            error.partial = None  # type: ignore[attr-defined]  # it has one, as was just seen
        return error

    async def _close(self) -> None:
        close = getattr(self._source, "aclose", None)
        if close is not None:
            await close()

    async def aclose(self) -> None:
        """End the stream and close its source. Idempotent."""
        self._is_over, self._failure = True, None
        self._ready.clear()
        await self._close()

    async def __aenter__(self: Self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.aclose()
