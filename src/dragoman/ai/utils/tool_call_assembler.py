"""Whole tool calls out of the pieces that a stream's events carry.

For callers that read events themselves; the client does this on its own. State belongs to one
answer: use a fresh assembler, or `reset()`, for the next.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from dragoman.ai.types.message import ToolCall

__all__ = ["MultiToolCallAssembler", "ToolCallAssembler", "ToolCallFragment"]


@dataclass
class ToolCallFragment:
    """What is known of one call so far."""

    id: str
    name: str = ""
    arguments_buffer: str = ""
    index: int = 0


@dataclass(slots=True)
class _Open:
    """One call under way; its pieces are joined when somebody asks."""

    id: str
    index: int
    names: list[str] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)

    def fragment(self) -> ToolCallFragment:
        return ToolCallFragment(self.id, "".join(self.names), "".join(self.pieces), self.index)

    def call(self) -> ToolCall:
        return ToolCall.from_openai_format(self.id, "".join(self.names), "".join(self.pieces))


class ToolCallAssembler:
    """Collects the pieces of the calls of one answer; pieces of unknown calls open one."""

    def __init__(self) -> None:
        self._calls: dict[str, _Open] = {}

    def on_started(self, tool_call_id: str, tool_name: str, index: int | None = None) -> None:
        """A call began. One that is open already keeps its arguments and gets its name and place."""
        call = self._calls.get(tool_call_id)
        if call is None:
            call = self._open(tool_call_id)
        call.names = [tool_name]
        if index is not None:
            call.index = index

    def on_partial(self, tool_call_id: str, arguments_fragment: str) -> None:
        """The next piece of a call's arguments."""
        (self._calls.get(tool_call_id) or self._open(tool_call_id)).pieces.append(arguments_fragment)

    def on_name(self, tool_call_id: str, name_fragment: str) -> None:
        """The next piece of a call's name."""
        (self._calls.get(tool_call_id) or self._open(tool_call_id)).names.append(name_fragment)

    def finalize(self) -> list[ToolCall]:
        """The calls by index, then in the order they began; `arguments_raw` is the joined text."""
        return [call.call() for call in sorted(self._calls.values(), key=lambda call: call.index)]

    def finalize_and_reset(self) -> list[ToolCall]:
        """The calls; the assembler is empty afterwards."""
        calls = self.finalize()
        self.reset()
        return calls

    def reset(self) -> None:
        """Forget everything."""
        self._calls.clear()

    def has_tool_calls(self) -> bool:
        """Whether a call began."""
        return bool(self._calls)

    def get_fragment(self, tool_call_id: str) -> ToolCallFragment | None:
        """What is known of one call so far."""
        call = self._calls.get(tool_call_id)
        return call.fragment() if call is not None else None

    @property
    def count(self) -> int:
        """How many calls began."""
        return len(self._calls)

    def __len__(self) -> int:
        return len(self._calls)

    def _open(self, tool_call_id: str) -> _Open:
        place = 1 + max((call.index for call in self._calls.values()), default=-1)
        call = self._calls[tool_call_id] = _Open(tool_call_id, place)
        return call


class MultiToolCallAssembler:
    """One assembler per turn, for answers that arrive at the same time."""

    def __init__(self) -> None:
        self._turns: dict[str, ToolCallAssembler] = {}

    def on_started(self, turn_id: str, tool_call_id: str, tool_name: str, index: int | None = None) -> None:
        """A call began in a turn."""
        self._turn(turn_id).on_started(tool_call_id, tool_name, index)

    def on_partial(self, turn_id: str, tool_call_id: str, arguments_fragment: str) -> None:
        """The next piece of the arguments of a turn's call."""
        self._turn(turn_id).on_partial(tool_call_id, arguments_fragment)

    def on_name(self, turn_id: str, tool_call_id: str, name_fragment: str) -> None:
        """The next piece of the name of a turn's call."""
        self._turn(turn_id).on_name(tool_call_id, name_fragment)

    def finalize_turn(self, turn_id: str) -> list[ToolCall]:
        """The calls of one turn; none for a turn that is not known."""
        turn = self._turns.get(turn_id)
        return turn.finalize() if turn is not None else []

    def finalize_all(self) -> dict[str, list[ToolCall]]:
        """Turn id → its calls."""
        return {turn_id: turn.finalize() for turn_id, turn in self._turns.items()}

    def reset(self) -> None:
        """Forget all turns."""
        self._turns.clear()

    def reset_turn(self, turn_id: str) -> None:
        """Forget one turn."""
        self._turns.pop(turn_id, None)

    @property
    def turns(self) -> list[str]:
        """The ids of the turns with a call."""
        return list(self._turns)

    def __len__(self) -> int:
        """How many turns have a call."""
        return len(self._turns)

    def _turn(self, turn_id: str) -> ToolCallAssembler:
        turn = self._turns.get(turn_id)
        if turn is None:
            turn = self._turns[turn_id] = ToolCallAssembler()
        return turn
