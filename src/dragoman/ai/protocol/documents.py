"""Documents as they are read: JSON or YAML text to frozen JSON values.

A parsed document is shared by every loader that meets the same file, so nobody may change it:
`freeze` gives dicts and lists that refuse to be written to, and that are plain in every other way
(`json.dumps`, pydantic and the schema validator take them as they are). Knows nothing of manifests.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, NoReturn

from dragoman.ai.errors import ProtocolError
from dragoman.core.errors import MissingExtra

SUFFIXES = (".json", ".yaml", ".yml")
_MOST_VALUES = 200_000
_DEEPEST = 64
"""Levels of objects and lists; more would end the stack of whoever walks them, in C without a word."""


def _refuse(self: object, *_args: object, **_named: object) -> NoReturn:
    raise TypeError("a loaded manifest is shared and cannot be changed; work on a copy: copy.deepcopy(document)")


class FrozenDict(dict[str, Any]):
    """A dict that refuses changes; `copy.deepcopy` and `dict(...)` give ordinary ones."""

    __slots__ = ()
    __setitem__ = __delitem__ = clear = pop = popitem = setdefault = update = _refuse
    __ior__ = _refuse

    def __deepcopy__(self, memo: object) -> dict[str, Any]:
        return {name: thaw(item) for name, item in self.items()}

    def __reduce__(self) -> tuple[Any, ...]:
        return (freeze, (thaw(self),))


class FrozenList(list[Any]):
    """A list that refuses changes."""

    __slots__ = ()
    __setitem__ = __delitem__ = append = extend = insert = remove = clear = sort = reverse = _refuse
    pop = _refuse
    __iadd__ = __imul__ = _refuse

    def __deepcopy__(self, memo: object) -> list[Any]:
        return [thaw(item) for item in self]

    def __reduce__(self) -> tuple[Any, ...]:
        return (freeze, (thaw(self),))


def freeze(value: Any) -> Any:
    """The same JSON value, unchangeable. Keys become text and dates ISO text, as JSON has them."""
    kind = type(value)
    if kind is FrozenDict or kind is FrozenList:
        return value
    if isinstance(value, Mapping):
        return FrozenDict((_key(name), freeze(item)) for name, item in value.items())
    if isinstance(value, list | tuple):
        return FrozenList(freeze(item) for item in value)
    if isinstance(value, date):  # YAML reads 2026-06-19 as a date
        return value.isoformat()
    return value


def _key(name: object) -> str:
    if isinstance(name, bool):  # YAML reads a bare `on` as true
        return "true" if name else "false"
    return name if isinstance(name, str) else str(name)


def thaw(value: Any) -> Any:
    """An ordinary, changeable copy."""
    if isinstance(value, dict):
        return {name: thaw(item) for name, item in value.items()}
    if isinstance(value, list):
        return [thaw(item) for item in value]
    return value


def parse_document(text: str | bytes, *, where: str, yaml: bool) -> FrozenDict:
    """The document in a file; `where` names it in errors. Raises ProtocolError or MissingExtra."""
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise ProtocolError(f"{where} is not UTF-8 text: {error}", protocol_path=where) from error
    try:
        value = bounded(_yaml(text) if yaml else json.loads(text))
    except MissingExtra:
        raise
    except (ValueError, RecursionError) as error:
        reason = str(error).replace("\n", " ")
        raise ProtocolError(f"{where} cannot be read: {reason}", protocol_path=where) from error
    if not isinstance(value, dict):
        got = "nothing" if value is None else type(value).__name__
        raise ProtocolError(f"{where} must hold an object, got {got}", protocol_path=where)
    frozen: FrozenDict = freeze(value)
    return frozen


def bounded(value: Any) -> Any:
    """The value, if it is neither too deep nor too large, nor holds itself. Raises ValueError."""
    waiting, seen = [(value, 0)], 0
    while waiting:
        item, depth = waiting.pop()
        seen += 1
        _check(seen, depth)
        if isinstance(item, Mapping):
            waiting.extend((inner, depth + 1) for inner in item.values())
        elif isinstance(item, list | tuple):
            waiting.extend((inner, depth + 1) for inner in item)
    return value


def _check(values: int, depth: int) -> None:
    if depth > _DEEPEST:
        raise ValueError(f"it is nested more than {_DEEPEST} levels deep")
    if values > _MOST_VALUES:
        raise ValueError(f"it holds more than {_MOST_VALUES} values (anchors that multiply?)")


def _measure(
    events: Iterable[Any], alias: type[Any], begins: tuple[type[Any], ...], ends: tuple[type[Any], ...]
) -> None:
    """Count what the events of a YAML text would become, anchors written out, before anything is made of them.

    Composing is where nesting ends the stack and merged anchors fill the memory.
    """
    seen = 0
    sizes: dict[str, int] = {}
    within: list[tuple[str | None, int]] = []  # the anchor of each open node, and what was counted before it
    for event in events:
        anchor: str | None = getattr(event, "anchor", None)
        if isinstance(event, ends):
            opened, before = within.pop()
            if opened is not None:
                sizes[opened] = seen - before
            continue
        if isinstance(event, alias):
            holds_itself = any(anchor == opened for opened, _ in within)
            seen += _MOST_VALUES if holds_itself else sizes.get(str(anchor), 0)
        elif anchor is not None:
            sizes[anchor] = 1
        if isinstance(event, begins):
            within.append((anchor, seen))
        seen += 1
        _check(seen, len(within))


def _yaml(text: str) -> Any:
    try:
        import yaml
    except ImportError as error:
        raise MissingExtra("reading a YAML manifest (JSON needs nothing)", "protocol") from error
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        _measure(
            yaml.parse(text, Loader=loader),
            yaml.AliasEvent,
            (yaml.MappingStartEvent, yaml.SequenceStartEvent),
            (yaml.MappingEndEvent, yaml.SequenceEndEvent),
        )
        return yaml.load(text, Loader=loader)
    except yaml.MarkedYAMLError as error:
        parts = ((error.context, error.context_mark), (error.problem, error.problem_mark))
        raise ValueError(", ".join(text + _at(mark) for text, mark in parts if text)) from error
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


def _at(mark: Any) -> str:
    return "" if mark is None else f" (line {mark.line + 1}, column {mark.column + 1})"
