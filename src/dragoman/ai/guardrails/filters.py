"""Filters for words, patterns and lengths.

A pattern is Python's own, and Python's engine may take exponential time for some: those whose
repetition repeats a repetition, `(a+)+`, are refused. A search looks at bounded slices of a text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar

from dragoman.ai.errors import ValidationError
from dragoman.ai.guardrails.base import Guardrail
from dragoman.ai.guardrails.counting import CharacterMeter, WordMeter
from dragoman.ai.guardrails.patterns import is_ambiguous
from dragoman.ai.guardrails.words import DEFAULT_REACH, REDACTED, GuardrailSeverity, Meter, Span

__all__ = ["PROFANITY", "KeywordFilter", "LengthFilter", "ProfanityFilter", "RegexFilter"]

_BESIDE = ("EmailFilter", "UrlFilter")


def __getattr__(name: str) -> Any:
    # What stands beside this module, for code that looks for it here.
    if name in _BESIDE:
        from dragoman.ai.guardrails import links

        return getattr(links, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_BESIDE})


PROFANITY = ("damn", "hell", "crap")
"""The default list: mild words, so that it is an example of one. Bring the list that fits your users."""

_LONGEST_KEYWORD = 64
"""Of longer keywords a stream keeps back their length, not only what may begin one."""


class KeywordFilter(Guardrail):
    """Words and phrases, as parts of words too unless `match_substring` is False. Empty ones are left aside.

    Letters with accents are found as one character and as two.
    """

    default_message: ClassVar[str] = "a forbidden keyword"

    def __init__(
        self,
        rule_id: str,
        keywords: Iterable[str],
        severity: GuardrailSeverity = GuardrailSeverity.WARNING,
        case_sensitive: bool = False,
        match_substring: bool = True,
        replacement: str | None = None,
    ) -> None:
        super().__init__(rule_id, severity)
        self._keywords = [word for word in dict.fromkeys(keywords) if word]
        self._fold: Callable[[str], str] = str if case_sensitive else _lower
        self._ascii_only = not case_sensitive
        self._replacement = REDACTED if replacement is None else replacement
        spelt = [unicodedata.normalize(form, word) for word in self._keywords for form in ("NFC", "NFD")]
        folded = list(dict.fromkeys(map(self._fold, [*self._keywords, *spelt])))
        self._pattern = _any_of(folded, whole=not match_substring, flags=0 if case_sensitive else re.IGNORECASE)
        longest = max(map(len, folded), default=0)
        self.reach = longest + 1
        self._longest = longest
        self._begins: frozenset[str] | None = None
        if longest <= _LONGEST_KEYWORD:
            last = 1 if match_substring else 0  # a whole word is one only when its next character is known
            self._begins = frozenset(word[:end] for word in folded for end in range(1, len(word) + 1 - last))

    @property
    def keywords(self) -> list[str]:
        return list(self._keywords)

    def _find(self, text: str, start: int) -> Iterator[Span]:
        if self._pattern is None:
            return
        for match in self._pattern.finditer(text, start):
            yield Span(match.start(), match.end(), self._replacement, self.default_message)

    def _held(self, text: str, start: int) -> int:
        """As much of the end as a keyword begins with."""
        room = min(len(text) - start, self._longest)
        tail = text[len(text) - room :]
        if self._begins is None or (self._ascii_only and not tail.isascii()):
            return room  # letters beyond ASCII have more than one other case
        tail = self._fold(tail)
        return next((size for size in range(room, 0, -1) if tail[-size:] in self._begins), 0)


class ProfanityFilter(KeywordFilter):
    """Whole words of a list, by default `PROFANITY`."""

    default_message: ClassVar[str] = "a profane word"

    def __init__(
        self,
        rule_id: str,
        severity: GuardrailSeverity = GuardrailSeverity.WARNING,
        profanity_list: Iterable[str] | None = None,
        case_sensitive: bool = False,
        replacement: str | None = None,
    ) -> None:
        words = PROFANITY if profanity_list is None else profanity_list
        super().__init__(rule_id, words, severity, case_sensitive, False, replacement)


class RegexFilter(Guardrail):
    """Matches of a pattern, with `message` in the violation.

    `reach` is the longest match, in characters and with what it looks at before and behind, that is
    found whole in a stream, and what a stream is kept back by. `accept` may refuse a match, or give
    the place where it ends. Raises ValidationError for a pattern that is none, and for one that takes
    exponential time; `(?>a+)+` and `(?:a++)+` do not.
    """

    def __init__(
        self,
        rule_id: str,
        pattern: str | re.Pattern[str],
        severity: GuardrailSeverity = GuardrailSeverity.WARNING,
        flags: int = 0,
        replacement: str | None = None,
        message: str | None = None,
        *,
        reach: int = DEFAULT_REACH,
        accept: Callable[[re.Match[str]], int | bool] | None = None,
        held_by: str = "",
        begun_by: str = "",
    ) -> None:
        """`held_by` are all characters that a match can be made of, and `begun_by` those that can begin one.

        With them a stream is kept back by these characters at its end alone.
        """
        super().__init__(rule_id, severity)
        self._pattern = _compiled(pattern, flags)
        self._replacement = REDACTED if replacement is None else replacement
        self._message = message
        self._accept = accept
        self._held_by = held_by
        self._not_first = "".join(set(held_by) - set(begun_by or held_by))
        self.reach = max(1, reach)

    @property
    def pattern(self) -> re.Pattern[str]:
        return self._pattern

    def _find(self, text: str, start: int) -> Iterator[Span]:
        message = self._message or "a match of a forbidden pattern"
        at = start
        while (match := self._pattern.search(text, at)) is not None:
            begin, end = match.span()
            if self._accept is not None:
                told = self._accept(match)
                end = begin if told is False else end if told is True else told
            if end > begin:
                yield Span(begin, end, self._replacement, message)
            at = end if end > begin else begin + 1
            if at > len(text):
                return

    def _held(self, text: str, start: int) -> int:
        room = min(len(text) - start, self.reach)
        if not self._held_by:
            return room
        tail = text[len(text) - room :]
        run = tail[len(tail.rstrip(self._held_by)) :]
        return len(run.lstrip(self._not_first) if self._not_first else run)


class LengthFilter(Guardrail):
    """A text that is too short, an empty one too, or too long, in `chars`, `words`, or `tokens` (four characters each).

    Filtering cuts what is too long; of what is too short it can make nothing else.
    """

    def __init__(
        self,
        rule_id: str,
        min_length: int | None = None,
        max_length: int | None = None,
        severity: GuardrailSeverity = GuardrailSeverity.WARNING,
        count_mode: str = "chars",
    ) -> None:
        super().__init__(rule_id, severity)
        if count_mode not in ("chars", "words", "tokens"):
            raise ValidationError(
                f"there is no count mode {count_mode!r}", field="count_mode", expected="chars, words or tokens"
            )
        for name, value in (("min_length", min_length), ("max_length", max_length)):
            if value is not None and value < 0:
                raise ValidationError(f"{name} cannot be below 0", field=name, expected=">= 0", actual=value)
        self._min = min_length
        self._max = max_length
        self._count_mode = count_mode

    def _meter(self) -> Meter:
        if self._count_mode == "words":
            return WordMeter(self._min, self._max)
        return CharacterMeter(self._min, self._max, self._count_mode)


def _lower(text: str) -> str:
    """In small letters, where that leaves as many."""
    low = text.lower()
    return low if len(low) == len(text) else text


def _compiled(pattern: str | re.Pattern[str], flags: int) -> re.Pattern[str]:
    try:
        compiled = re.compile(pattern, flags)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValidationError(f"{pattern!r} is no pattern: {error}", field="pattern") from error
    if is_ambiguous(compiled.pattern, verbose=bool(compiled.flags & re.VERBOSE)):
        raise ValidationError(
            f"{compiled.pattern!r} repeats what repeats itself, which takes exponential time on some texts;"
            " make the inner part possessive (a++) or atomic ((?>a+))",
            field="pattern",
        )
    return compiled


def _any_of(words: list[str], *, whole: bool, flags: int) -> re.Pattern[str] | None:
    """A pattern of all words, the longest first; grouped by their first letters, since they may be many."""
    if not words:
        return None
    groups: dict[str, list[str]] = {}
    for word in sorted(words, key=len, reverse=True):
        groups.setdefault(word[0], []).append(re.escape(word[1:]))
    parts = (f"{re.escape(first)}(?:{'|'.join(rest)})" for first, rest in groups.items())
    text = f"(?:{'|'.join(parts)})"
    return re.compile(rf"(?<!\w){text}(?!\w)" if whole else text, flags)
