"""Holds what a case expects against what the runtime said; knows the assertion words of the case files.

`errors` are texts that must occur, none if the list is empty; `…_contains` and `…_should_mention` are
what must be in it, `…must_not_…` what must not; `…_assert` maps dotted paths to values; `{min, max}` is
a range, `{assert: length, min}` a length. Other values must be equal, objects in the keys that are
named. What the runtime was not asked for is a difference, so that no expectation is passed over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any


class Among(list[Any]):
    """Things among which the expected ones must be found, in order."""


def differences(expected: Mapping[str, Any], seen: Mapping[str, Any], where: str = "") -> list[str]:
    """What does not hold, each with its place; empty when all is well."""
    return [text for key, value in expected.items() for text in _key(f"{where}{key}", key, value, seen)]


def _key(where: str, key: str, expected: Any, seen: Mapping[str, Any]) -> Iterator[str]:
    found: Any = next((seen[name] for name in (key, key.removesuffix("_contains")) if name in seen), _NOTHING)
    if found is _NOTHING:
        yield f"{where}: the runtime was not asked for it"
    elif key == "errors" and isinstance(expected, list):
        if found and not expected:
            yield f"{where}: {found!r}"
        yield from (f"{where}: {text!r} is not in {found!r}" for text in expected if not any(text in e for e in found))
    elif "must_not_" in key:
        yield from (f"{where}: {text!r} is in it" for text in expected if text in found)
    elif key.endswith(("_contains", "_should_mention")) and not isinstance(expected, dict):
        wanted = [expected] if isinstance(expected, str) else expected
        yield from (f"{where}: {item!r} is not in {found!r}" for item in wanted if item not in found)
    elif key.endswith("_assert"):
        for path, value in expected.items():
            yield from _value(f"{where}.{path}", value, _walk(found, path.split(".")))
    else:
        yield from _value(where, expected, found)


_NOTHING = object()


def _value(where: str, expected: Any, found: Any) -> Iterator[str]:
    if isinstance(expected, dict) and expected.get("assert") == "length":
        if len(found) < expected["min"]:
            yield f"{where}: {len(found)} of them, expected at least {expected['min']}"
    elif isinstance(expected, dict) and expected and set(expected) <= {"min", "max"}:
        if not expected.get("min", found) <= found <= expected.get("max", found):
            yield f"{where}: {found!r} is not in {expected!r}"
    elif isinstance(expected, dict) and isinstance(found, Mapping):
        if not expected and found:
            yield f"{where}: {found!r}, expected nothing"
        yield from differences(expected, found, f"{where}.")
    elif isinstance(expected, list) and isinstance(found, Among):
        yield from _among(where, expected, found)
    elif isinstance(expected, list) and isinstance(found, Sequence) and not isinstance(found, str):
        if len(expected) != len(found):
            yield f"{where}: {found!r}, expected {expected!r}"
        for number, (wanted, item) in enumerate(zip(expected, found, strict=False)):
            yield from _value(f"{where}[{number}]", wanted, item)
    elif expected != found:
        yield f"{where}: {found!r}, expected {expected!r}"


def _among(where: str, expected: list[Any], found: Among) -> Iterator[str]:
    rest = iter(found)
    for wanted in expected:
        if not any(not list(_value(where, wanted, item)) for item in rest):
            yield f"{where}: {wanted!r} is not among {list(found)!r}"


def _walk(value: Any, steps: Sequence[str]) -> Any:
    for step in steps:
        if isinstance(value, Mapping):
            value = value.get(step, _NOTHING)
        elif isinstance(value, Sequence) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return _NOTHING
    return value
