"""Tool calls out of pieces: which piece belongs to which call, when a call starts and when it ends.

A reducer for one candidate of one stream: pieces in, events out. A piece belongs to the call of its
index, else of its id; without either, a name or a new id opens a call and anything else continues
the last one. Pieces are kept in a list and joined once; nothing is parsed before the end. Knows no
wire, only `Fragment`s.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Final

from dragoman.ai.errors import PipelineError
from dragoman.ai.pipeline.reading import Ending, Fragment
from dragoman.ai.types.events import (
    PartialToolCall,
    StreamingEvent,
    ToolCallEnded,
    ToolCallStarted,
)
from dragoman.ai.types.message import ToolCall
from dragoman.ai.utils.json_text import Brackets

__all__ = ["Assembler", "Call", "new_call_id"]

_ID_BYTES: Final = 12
MOST_CALLS: Final = 4096
"""Calls in one answer. No model makes so many; a stream that does is out for memory."""


def new_call_id() -> str:
    """An id for a call to which the provider gave none."""
    return f"call_{secrets.token_hex(_ID_BYTES)}"


class Call:
    """One tool call under way. `id` is the one that events carry from the start on.

    `marks` are what the provider wants back with the call: its signature, the id of its item.
    """

    __slots__ = (
        "brackets",
        "candidate",
        "ended",
        "fallback",
        "id",
        "index",
        "marks",
        "name",
        "pieces",
        "started",
        "wire_id",
    )

    def __init__(self, id: str, index: int | None, candidate: int) -> None:
        self.id = id
        self.wire_id: str | None = None
        self.index = index
        self.candidate = candidate
        self.name = ""
        self.pieces: list[str] = []
        self.brackets = Brackets()
        self.fallback: str | None = None
        self.marks: dict[str, str] = {}
        self.started = False
        self.ended = False

    def push(self, piece: str) -> StreamingEvent:
        """The event of the next piece of a call that has started."""
        self.pieces.append(piece)
        complete = self.brackets.feed(piece)
        return StreamingEvent("PartialToolCall", PartialToolCall(self.id, piece, self.index, complete, self.candidate))

    @property
    def is_complete(self) -> bool:
        return self.brackets.complete

    def text(self) -> str:
        """The arguments so far."""
        return "".join(self.pieces) or self.fallback or ""

    def tool_call(self) -> ToolCall:
        """The call as it is known now."""
        made = ToolCall.from_openai_format(self.id, self.name, self.text())
        return made.model_copy(update=self.marks) if self.marks else made


class Assembler:
    """All calls of one candidate of one stream, in the order in which they were opened."""

    __slots__ = (
        "_by_id",
        "_candidate",
        "_foreign",
        "_keep_source",
        "_new_id",
        "_unended",
        "by_index",
        "calls",
        "last",
        "started",
    )

    def __init__(
        self, candidate: int = 0, new_id: Callable[[], str] = new_call_id, *, keep_source: bool = False
    ) -> None:
        self._candidate = candidate
        self._new_id = new_id
        self._keep_source = keep_source
        self._by_id: dict[str, Call] = {}
        self.last: Call | None = None
        self._foreign: set[int] = set()
        self.by_index: dict[int, Call] = {}
        self.calls: list[Call] = []
        self._unended: list[Call] = []  # all that may still be open, so that an end need not look at every call
        self.started = False
        """Whether there is a call whose name is known."""

    def ignore(self, index: int) -> None:
        """Pieces of this index are not a call until a name comes with one."""
        self._foreign.add(index)
        self.by_index.pop(index, None)

    def add(self, fragment: Fragment, out: list[StreamingEvent]) -> None:
        """Take a piece; append the events that follow from it."""
        if fragment.index is not None and fragment.index in self._foreign:
            if fragment.name is None:
                return
            self._foreign.discard(fragment.index)
        if fragment.index is None and fragment.id is None and fragment.name is None and fragment.arguments is None:
            return
        call = self._find(fragment) or self._open(fragment)
        self.last = call
        self._describe(call, fragment)
        waiting: list[str] = []
        if call.name and not call.started:
            self._start(call, out)
            waiting, call.pieces = call.pieces, []
        if fragment.arguments:
            waiting.append(fragment.arguments)
        for piece in waiting:
            if call.started:
                event = call.push(piece)
                if self._keep_source and fragment.source is not None and piece is fragment.arguments:
                    event.data.extras["tool_calls"] = [fragment.source]
                out.append(event)
            else:
                call.pieces.append(piece)
        if fragment.whole and call.started:
            self._end(call, out)

    # ------------------------------------------------------------------ which call

    def _find(self, fragment: Fragment) -> Call | None:
        """The call that this piece continues."""
        if fragment.index is not None:
            call = self.by_index.get(fragment.index)
            if call is None and fragment.id is None and fragment.name is None and self._nameless():
                return self.last
            return None if call is None or self._is_another(call, fragment) else call
        if fragment.id is not None:
            found = self._by_id.get(fragment.id)
            return None if found is not None and found.ended and fragment.name else found
        last = self.last
        if last is None or fragment.name is None:
            return last if last is not None and not (last.ended and last.is_complete) else self._open_call()
        if not last.started:
            return last
        continues = last.name == fragment.name and last.pieces and not last.is_complete and not last.ended
        return last if continues else None

    def _nameless(self) -> bool:
        """Whether the last call is still without index and name, so that an index may be its own."""
        return self.last is not None and self.last.index is None and not self.last.started

    def _open_call(self) -> Call | None:
        """The last call that is still open, if there is one."""
        while self._unended and self._unended[-1].ended:
            self._unended.pop()
        return self._unended[-1] if self._unended else None

    @staticmethod
    def _is_another(call: Call, fragment: Fragment) -> bool:
        """Whether a piece of the same index begins a new call."""
        if fragment.id is not None and call.wire_id is not None:
            return fragment.id != call.wire_id
        if fragment.name is None or not call.started:
            return False
        # no ids: a name after the end, or whole arguments after whole arguments, is the next call
        return call.ended or (call.is_complete and bool(fragment.arguments))

    def _open(self, fragment: Fragment) -> Call:
        if len(self.calls) >= MOST_CALLS:
            raise PipelineError(f"the answer makes more than {MOST_CALLS} tool calls", operator="assembler")
        call = Call(self._own_id(fragment.id), fragment.index, self._candidate)
        self.calls.append(call)
        self._unended.append(call)
        return call

    def _own_id(self, wire_id: str | None) -> str:
        """The wire's id, unless it named another call before: what is told of two calls must not mix."""
        return wire_id if wire_id is not None and wire_id not in self._by_id else self._new_id()

    def _describe(self, call: Call, fragment: Fragment) -> None:
        """Take over what the piece says about its call."""
        if fragment.index is not None:
            self.by_index[fragment.index] = call
            if call.index is None:
                call.index = fragment.index
        if fragment.id is not None:
            if call.wire_id is None:
                call.wire_id = fragment.id
                if not call.started and fragment.id not in self._by_id:
                    call.id = fragment.id
            self._by_id[fragment.id] = call
        if fragment.alias is not None:
            self._by_id[fragment.alias] = call
            call.marks["item_id"] = fragment.alias
        if fragment.name is not None and not call.started:
            call.name = fragment.name
        if fragment.fallback is not None:
            call.fallback = fragment.fallback
        if fragment.signature is not None:
            call.marks["signature"] = fragment.signature

    # ------------------------------------------------------------------ starts and ends

    def _start(self, call: Call, out: list[StreamingEvent]) -> None:
        if call.ended:  # one that was empty at the candidate's end may still begin
            call.ended = False
            self._unended.append(call)
        call.started = self.started = True
        data = ToolCallStarted(call.id, call.name, call.index, self._candidate, **call.marks)
        out.append(StreamingEvent("ToolCallStarted", data))

    def end(self, ending: Ending, out: list[StreamingEvent]) -> None:
        """The wire's own end of a call; one that means no open call is ignored."""
        if ending.index is not None:
            call = self.by_index.get(ending.index)
            self._foreign.discard(ending.index)
        elif ending.id is not None:
            call = self._by_id.get(ending.id)
        else:
            call = self._open_call()
        if call is None and ending.index is not None and ending.id is not None:
            call = self._by_id.get(ending.id)
        if call is not None:
            self._end(call, out)

    def end_all(self, out: list[StreamingEvent]) -> None:
        """The candidate is finished, and with it every call that is still open."""
        unended, self._unended = self._unended, []
        for call in unended:
            self._end(call, out)

    def _end(self, call: Call, out: list[StreamingEvent]) -> None:
        if call.ended:
            return
        if not (call.started or call.name or call.pieces or call.fallback):
            call.ended = True
            return
        if not call.started:  # its name never came; nothing that came for it may vanish
            self._start(call, out)
            waiting, call.pieces = call.pieces, []
            out.extend(call.push(piece) for piece in waiting)
        if not call.pieces and call.fallback:
            out.append(call.push(call.fallback))
        call.ended = True
        out.append(StreamingEvent("ToolCallEnded", ToolCallEnded(call.id, call.index, self._candidate)))

    def tool_calls(self) -> list[ToolCall]:
        """The calls as they are known now; those without a name only after the end."""
        return [call.tool_call() for call in self.calls if call.started]
