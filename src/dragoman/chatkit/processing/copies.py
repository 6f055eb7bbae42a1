"""Deep copies of the wire's models, without the detours of pydantic's own, which take ten times as long."""

from __future__ import annotations

from copy import deepcopy
from datetime import date, datetime, timedelta
from typing import Any, TypeVar

from pydantic import BaseModel

T = TypeVar("T")

_ATOMS = frozenset({str, int, float, bool, bytes, type(None), datetime, date, timedelta})


def copied(value: T) -> T:
    """A copy that shares nothing that can be changed with the original."""
    copy: T = _copied(value)
    return copy


def _copied(value: Any) -> Any:
    kind = type(value)
    if kind in _ATOMS:
        return value
    if kind is list:
        return [_copied(one) for one in value]
    if kind is dict:
        return {name: _copied(one) for name, one in value.items()}
    if not isinstance(value, BaseModel) or value.__pydantic_private__ is not None:
        return deepcopy(value)
    copy = value.model_copy()
    _copy_fields(copy.__dict__)
    if copy.__pydantic_extra__ is not None:
        _copy_fields(copy.__pydantic_extra__)
    return copy


def _copy_fields(fields: dict[str, Any]) -> None:
    for name, value in fields.items():
        if type(value) not in _ATOMS:
            fields[name] = _copied(value)


class Snapshot:
    """A model as it was when this was made; tells whether it has changed since, also within what it holds.

    Asked after every event of an answer, so what was not replaced is compared by identity.
    """

    __slots__ = ("_before", "_fields", "_held", "_model")

    def __init__(self, model: BaseModel) -> None:
        self._model = model
        self._fields = dict(model.__dict__)
        self._before = copied(model)
        held = (value for value in self._fields.values() if type(value) not in _ATOMS)
        within = (value.__dict__ if isinstance(value, BaseModel) else value for value in held)
        self._held = [(value, _copied(value)) for value in within]

    @property
    def is_outdated(self) -> bool:
        if self._model.__dict__ != self._fields:
            return True
        for now, before in self._held:  # noqa: SIM110 - a generator would take as long as all of this
            if now != before:
                return True
        return False

    def merge(self, fresh: BaseModel) -> None:
        """The model keeps what was done to it since, of dictionaries key by key, and gets the rest from `fresh`."""
        before, now = self._before.__dict__, self._model.__dict__
        for name, value in now.items():
            kept, other = before.get(name), getattr(fresh, name, value)
            if value == kept:
                setattr(self._model, name, other)
            elif isinstance(value, dict) and isinstance(kept, dict) and isinstance(other, dict):
                changed = {key: one for key, one in value.items() if key not in kept or kept[key] != one}
                rest = {key: one for key, one in other.items() if key in value or key not in kept}
                setattr(self._model, name, {**rest, **changed})
