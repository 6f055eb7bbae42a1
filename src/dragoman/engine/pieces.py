"""What a model yields: checked, and with tool call ids of ours.

Models are users' code. A piece of the wrong shape is the model's fault and fails its call here,
before it can reach the journal.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import astuple, replace
from typing import Any, get_args

from dragoman.core.messages import (
    ModelEvent,
    ModelItem,
    ModelReasoning,
    ModelRefusal,
    ModelText,
    ModelToolCall,
    ModelToolDelta,
    ModelUsage,
)
from dragoman.core.usage import Usage


class Pieces:
    """The pieces of one model call. Providers reuse their ids ("call_0") from answer to answer; ours are unique."""

    def __init__(self, new_id: Callable[[], str]) -> None:
        self._new_id = new_id
        self._ids: dict[str, str] = {}

    def take(self, piece: Any) -> ModelEvent | str:
        """The piece as the journal may have it. Raises TypeError for anything but str and model events."""
        match piece:
            case str() | ModelRefusal(str()):
                return piece
            case ModelText(str(), None | dict()) | ModelReasoning(str(), None | dict()):
                return piece
            case ModelItem(str(), dict()):
                return piece
            case ModelUsage(Usage() as usage, cost) if all(map(_is_count, astuple(usage))) and _is_sum(cost):
                return piece
            case ModelToolDelta(str(), str(), str()):
                return replace(piece, call_id=self._own(piece.call_id))
            case ModelToolCall(str(), str(), dict() | str(), None | dict()):
                own = self._own(piece.call_id)
                del self._ids[piece.call_id]  # this call is complete: the same id again is another one
                return replace(piece, call_id=own)
            case _:
                fault = " whose fields have wrong types" if isinstance(piece, get_args(ModelEvent)) else ""
                raise TypeError(f"a model yields str or model events, got {type(piece).__name__}{fault}")

    def _own(self, call: str) -> str:
        if call not in self._ids:
            self._ids[call] = self._new_id()
        return self._ids[call]


def _is_count(value: Any) -> bool:
    return value is None or isinstance(value, int)


def _is_sum(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and math.isfinite(value))
