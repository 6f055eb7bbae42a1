"""Transforms that make several frames of one, or tell frames apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from dragoman.ai.pipeline.frames import Frame
from dragoman.ai.pipeline.transform import Transform
from dragoman.ai.protocol.expressions import Path, compile_path

__all__ = ["FanOutTransform", "ReplicateTransform", "SplitTransform", "create_fan_out"]

_ARRAYS: Final = ("choices", "candidates", "results", "data", "items")


class FanOutTransform(Transform):
    """One frame per element of an array, in order; a frame without it passes unchanged.

    `array_path` names the array; without it the first of choices, candidates, results, data and items
    that is a list with something in it, or the frame itself when it is a list. Elements get the
    frame's other keys, unless `preserve_metadata` is False; one that is no object becomes the `value`
    beside them.
    """

    def __init__(self, enabled: bool = True, array_path: str | None = None, preserve_metadata: bool = True) -> None:
        self.enabled = enabled
        self.array_path = array_path
        self.preserve_metadata = preserve_metadata
        self._path: Path | None = compile_path(array_path) if array_path else None

    def feed(self, frame: Frame) -> list[Any]:
        if self.enabled and isinstance(frame, list):
            return list(frame)
        if not self.enabled or not isinstance(frame, dict):
            return [frame]
        key, elements = self._array(frame)
        if not elements:
            return [frame]
        others = {name: value for name, value in frame.items() if name != key} if self.preserve_metadata else {}
        return [_beside(others, element) for element in elements]

    def _array(self, frame: Frame) -> tuple[str | None, list[Any]]:
        """The key below which the array is, and the array."""
        if self._path is not None:
            found = self._path.first(frame)
            step = self._path.steps[0] if self._path.steps else None
            return (step if isinstance(step, str) else None), (found if isinstance(found, list) else [])
        for name in _ARRAYS:
            if isinstance(frame.get(name), list) and frame[name]:
                return name, frame[name]
        return None, []


def _beside(others: dict[str, Any], element: Any) -> Any:
    if isinstance(element, dict):
        return {**others, **element}
    return {**others, "value": element} if others else element


class ReplicateTransform(Transform):
    """Each frame `count` times, at least once; with `add_index` copies carry `_replica_index`.

    What is no object then becomes the `value` of one.
    """

    def __init__(self, count: int = 2, add_index: bool = False) -> None:
        self.count = max(1, count)
        self.add_index = add_index

    def feed(self, frame: Frame) -> list[Any]:
        if self.add_index:
            values = frame if isinstance(frame, dict) else {"value": frame}
            return [{**values, "_replica_index": place} for place in range(self.count)]
        return [dict(frame) if isinstance(frame, dict) else frame for _ in range(self.count)]


class SplitTransform(Transform):
    """Lets frames pass for which `predicate` holds and keeps the others, to be asked for.

    They are kept here whichever stream they came from, those of a pipeline too.
    """

    def __init__(self, predicate: Callable[[Any], bool] | None = None, collect_filtered: bool = True) -> None:
        self.predicate = predicate
        self.collect_filtered = collect_filtered
        self._filtered: list[Any] = []

    def feed(self, frame: Frame) -> list[Any]:
        if self.predicate is None or self.predicate(frame):
            return [frame]
        if self.collect_filtered:
            self._filtered.append(frame)
        return []

    def get_filtered(self) -> list[Any]:
        """The frames that did not pass, in order."""
        return list(self._filtered)

    def clear_filtered(self) -> None:
        """Forget them."""
        self._filtered.clear()


def create_fan_out(enabled: bool = True, array_path: str | None = None) -> FanOutTransform:
    """A FanOutTransform with these settings."""
    return FanOutTransform(enabled, array_path)
