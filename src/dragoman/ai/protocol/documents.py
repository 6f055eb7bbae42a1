"""Documents as they are read: JSON or YAML text to frozen JSON values.

A parsed document is shared by every loader that meets the same file, so nobody may change it:
`freeze` gives dicts and lists that refuse to be written to, and that are plain in every other way
(`json.dumps`, pydantic and the schema validator take them as they are). Knows nothing of manifests.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from typing import Any, NoReturn

from dragoman.ai.errors import ProtocolError
from dragoman.core.errors import MissingExtra

SUFFIXES = (".json", ".yaml", ".yml")
_MOST_VALUES = 200_000


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
        value = _bounded(_yaml(text)) if yaml else json.loads(text)
    except MissingExtra:
        raise
    except (ValueError, RecursionError) as error:
        reason = str(error).replace("\n", " ")
        raise ProtocolError(f"{where} cannot be read: {reason}", protocol_path=where) from error
    if not isinstance(value, dict):
        raise ProtocolError(f"{where} must hold an object, got {type(value).__name__}", protocol_path=where)
    frozen: FrozenDict = freeze(value)
    return frozen


def _bounded(value: Any) -> Any:
    """The value, if it is of a finite size: anchors of YAML can make a few lines endless."""
    waiting, seen = [value], 0
    while waiting:
        item = waiting.pop()
        seen += 1
        if seen > _MOST_VALUES:
            raise ValueError(f"it holds more than {_MOST_VALUES} values (anchors that multiply?)")
        if isinstance(item, dict):
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
    return value


def _yaml(text: str) -> Any:
    try:
        import yaml
    except ImportError as error:
        raise MissingExtra("reading a YAML manifest (JSON needs nothing)", "protocol") from error
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return yaml.load(text, Loader=loader)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
