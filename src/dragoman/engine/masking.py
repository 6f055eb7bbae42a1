"""What capture mode `redacted` takes out of payloads: secrets, e-mail addresses, card numbers, and what rules add.

Secrets are those of `core.redact`. Pure: values and texts in, masked copies out; where a payload
is kept, and when it is masked, is said in `capture`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias, get_args

from dragoman.core.errors import UsageError
from dragoman.core.redact import REDACTED, is_secret_name, redact, secret_spans

Rule: TypeAlias = Literal["emails", "cards"]

RULES: tuple[Rule, ...] = get_args(Rule)
"""The rules that can be switched off; secrets are always masked."""

_MAX_DEPTH = 64
_KEY = re.compile(r"(?<![A-Za-z0-9])nk_[A-Za-z0-9_-]+")  # of any length, unlike those in `core.redact`
_EMAIL = re.compile(r"(?<![\w.%+-])[\w.%+-]+@[\w-]+(?:\.[\w-]+)+")
_DIGITS = re.compile(r"(?<![\w.])\d(?:[ -]?\d){12,}(?![\w])", re.ASCII)
_GROUP = re.compile(r"\d+", re.ASCII)
_FEWEST, _MOST = 13, 19
_FIRST_GROUP, _LATER_GROUP = 4, 3
"""Digits of a group of a card number at least: 4-4-4-4, 4-6-5, 4-3-3-3, 4-4-4-4-3 …"""
_SEPARATORS = re.compile(r"[\s_.-]")

Span: TypeAlias = tuple[int, int]


class Masking:
    """The rules of mode `redacted`.

    `rules` are some of `RULES`; `names` more names of fields whose values are masked whole (case and
    separators do not count); `patterns` regular expressions whose matches are masked. Raises UsageError for
    a rule that there is not, or a pattern that is none.
    """

    def __init__(
        self, rules: Iterable[str] = RULES, *, names: Iterable[str] = (), patterns: Iterable[str] = ()
    ) -> None:
        self._rules = frozenset(rules)
        if unknown := sorted(self._rules - set(RULES)):
            raise UsageError(f"there is no rule {unknown[0]!r} for masking; known: {', '.join(RULES)}")
        self._names = frozenset(map(_plain, names))
        try:
            self._patterns = tuple(map(re.compile, patterns))
        except re.error as error:
            raise UsageError(f"{error.pattern!r} is no regular expression: {error}") from error

    def masked(self, value: Any) -> Any:
        """A copy of a JSON value without what is masked; the value itself if there is nothing."""
        made = self._masked(value, _MAX_DEPTH)
        return value if made == value else made

    def masked_text(self, text: str) -> str:
        """The text, each stretch that is masked replaced by `[redacted]`."""
        return self.masked_pieces((text,))[0]

    def masked_pieces(self, pieces: Sequence[str]) -> list[str]:
        """The pieces of one text, masked as a whole: what lies across pieces goes from all of them."""
        spans = self._spans("".join(pieces))
        if not spans:
            return list(pieces)
        made: list[str] = []
        begin = 0
        for piece in pieces:
            made.append(_cut_out(piece, begin, spans))
            begin += len(piece)
        return made

    def _spans(self, text: str) -> list[Span]:
        found = secret_spans(text)
        if "nk_" in text:
            found += [match.span() for match in _KEY.finditer(text)]
        if "@" in text and "emails" in self._rules:
            found += [match.span() for match in _EMAIL.finditer(text)]
        if "cards" in self._rules:
            found += [span for match in _DIGITS.finditer(text) for span in _cards(match)]
        for pattern in self._patterns:
            found += [match.span() for match in pattern.finditer(text) if match.end() > match.start()]
        return _merged(found)

    def _masked(self, value: Any, depth: int) -> Any:
        if isinstance(value, str):
            return self.masked_text(value)
        if isinstance(value, int) and not isinstance(value, bool):
            return REDACTED if "cards" in self._rules and _is_card(str(value)) else value
        if isinstance(value, Mapping):
            if depth == 0:
                return REDACTED
            return {self._name(name): self._field(name, inner, depth - 1) for name, inner in value.items()}
        if isinstance(value, list | tuple):
            return REDACTED if depth == 0 else [self._masked(element, depth - 1) for element in value]
        return value

    def _name(self, name: Any) -> Any:
        if not isinstance(name, str) or (name.isidentifier() and "nk_" not in name and not self._patterns):
            return name  # as nearly all names are
        return name if is_secret_name(name) else self.masked_text(name)

    def _field(self, name: Any, value: Any, depth: int) -> Any:
        if self._names and isinstance(name, str) and _plain(name) in self._names and value is not None:
            return REDACTED
        if is_secret_name(name):
            value = redact({name: value})[name]
        return self._masked(value, depth)


def _plain(name: str) -> str:
    return _SEPARATORS.sub("", name).lower()


def _merged(found: list[Span]) -> list[Span]:
    spans: list[Span] = []
    for start, end in sorted(found):
        if spans and start < spans[-1][1]:
            spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
        else:
            spans.append((start, end))
    return spans


def _cut_out(piece: str, begin: int, spans: Sequence[Span]) -> str:
    """The piece that begins at `begin` of the whole text; a stretch is shown as masked where it begins."""
    end, place, kept = begin + len(piece), begin, []
    for start, stop in spans:
        if stop <= begin or start >= end:
            continue
        kept.append(piece[place - begin : max(start, begin) - begin])
        if start >= begin:
            kept.append(REDACTED)
        place = min(stop, end)
    return "".join((*kept, piece[place - begin :]))


def _cards(match: re.Match[str]) -> list[Span]:
    """The card numbers in a run of digit groups: they begin and end with a group.

    Cards are written in groups of four, six or so; `2 3 4 … 13` is a row of numbers, whatever its check digit says.
    """
    groups = [(group.start() + match.start(), group[0]) for group in _GROUP.finditer(match[0])]
    found: list[Span] = []
    first = 0
    while first < len(groups):
        digits = ""
        for last in range(first, len(groups)):
            start, group = groups[last]
            digits += group
            if len(digits) > _MOST or len(group) < (_FIRST_GROUP if last == first else _LATER_GROUP):
                break
            if _is_card(digits):
                found.append((groups[first][0], start + len(group)))
                first = last
                break
        first += 1
    return found


def _is_card(digits: str) -> bool:
    """By length, first digit and Luhn's check digit."""
    if not _FEWEST <= len(digits) <= _MOST or digits[0] not in "23456":
        return False
    total = 0
    for place, digit in enumerate(reversed(digits)):
        number = int(digit) * (1 + place % 2)
        total += number - 9 if number > 9 else number
    return total % 10 == 0


MASKING = Masking()
"""The rules where nobody has set others."""
