"""The commands of the scripted model: user text → what is wanted.

Pure: texts in, values out. Knows neither tools nor streams; `dragoman.testing.model` acts on
these values.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from pydantic_core import from_json

MAX_COUNT = 100_000
MAX_PAUSE_MS = 60_000

_INTEGER = re.compile(r"[0-9]{1,9}")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?P<fraction>\.[0-9]*)?|(?P<bare>\.[0-9]+))(?P<exponent>[eE][+-]?[0-9]+)?")
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_INT64 = 2**63


@dataclass(frozen=True, slots=True)
class Say:
    """Answer `text`, after `reasoning` where there is some."""

    text: str
    reasoning: str = ""


@dataclass(frozen=True, slots=True)
class CountTo:
    """Count to `n`, `pause` seconds before each number."""

    n: int
    pause: float = 0.0


@dataclass(frozen=True, slots=True)
class Fail:
    """Say a little, then fail with `message`."""

    message: str


@dataclass(frozen=True, slots=True)
class Recall:
    """Repeat the previous user message."""


@dataclass(frozen=True, slots=True)
class ListFiles:
    """Name the files that came with the message."""


@dataclass(frozen=True, slots=True)
class ShowForm:
    """Show a card with a form."""


@dataclass(frozen=True, slots=True)
class Call:
    """Call the tool `name`; `client` where the caller's own program is to run it."""

    name: str
    input: dict[str, Any] = field(default_factory=dict)
    client: bool = False


@dataclass(frozen=True, slots=True)
class Unknown:
    """None of the commands: explain."""


Command: TypeAlias = Say | CountTo | Fail | Recall | ListFiles | ShowForm | Call | Unknown


def parse(text: str) -> Command:
    """The command that a user text is.

    What follows a command word and its blank counts to the last character, line breaks included.
    """
    word, separator, rest = text.partition(": ")
    if not separator:
        return _WORDS.get(text.strip(), Unknown())
    match word:
        case "echo" | "json":
            return Say(rest)
        case "reason":
            return Say(rest, reasoning=f"thinking about {rest}")
        case "fail":
            return Fail(rest)
        case "count":
            return _count(rest)
        case "slow":
            return _slow(rest)
        case "tool":
            return _add(rest)
        case "approve":
            return _create_bucket(rest)
        case "widget" if rest.strip() == "form":
            return ShowForm()
        case "client":
            return _client(rest)
        case _:
            return Unknown()


_WORDS: dict[str, Command] = {"recall": Recall(), "files": ListFiles()}


def _count(rest: str) -> Command:
    n = _integer(rest.strip(), MAX_COUNT)
    return Unknown() if n is None else CountTo(n)


def _slow(rest: str) -> Command:
    words = rest.split()
    if len(words) != 2:
        return Unknown()
    n = _integer(words[0], MAX_COUNT)
    pause = number(words[1])
    if n is None or pause is None or not 0 <= pause <= MAX_PAUSE_MS:
        return Unknown()
    return CountTo(n, pause / 1000)


def _add(rest: str) -> Command:
    words = rest.split()
    if len(words) != 3 or words[0] != "add":
        return Unknown()
    a, b = number(words[1]), number(words[2])
    return Unknown() if a is None or b is None else Call("add", {"a": a, "b": b})


def _create_bucket(rest: str) -> Command:
    tool, _, name = rest.partition(" ")
    return Call(tool, {"name": name}) if tool == "create_bucket" and name.strip() else Unknown()


def _client(rest: str) -> Command:
    name, _, raw = rest.partition(" ")
    if not _NAME.fullmatch(name):
        return Unknown()
    try:
        arguments = from_json(raw, allow_inf_nan=False)
    except ValueError:
        return Unknown()
    return Call(name, arguments, client=True) if isinstance(arguments, dict) and _is_finite(arguments) else Unknown()


def _is_finite(value: Any) -> bool:
    """Whether no number in a JSON value is too large for a float: `1e999` is read as infinity."""
    if isinstance(value, dict):
        return all(map(_is_finite, value.values()))
    if isinstance(value, list):
        return all(map(_is_finite, value))
    return not isinstance(value, float) or math.isfinite(value)


def _integer(word: str, limit: int) -> int | None:
    return int(word) if _INTEGER.fullmatch(word) and int(word) <= limit else None


def number(word: str) -> int | float | None:
    """A finite decimal number, or None. Whole ones stay integers up to 64 bits, as JSON peers read them."""
    match = _NUMBER.fullmatch(word)
    if match is None or len(word) > 400:
        return None
    value = float(word)
    if not math.isfinite(value):
        return None
    if match["fraction"] is None and match["bare"] is None and match["exponent"] is None:
        whole = int(word)
        return whole if -_INT64 <= whole < _INT64 else value
    return value
