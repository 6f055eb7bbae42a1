"""Looks for matches in a text that comes in pieces, and gives on what can no longer be part of one.

However the text is cut, the matches are those of the whole text, as long as none is longer than the
`reach` of its filter. Each filter says how much of the end it has to keep back; beyond that nothing
is kept but a little of what was given on, for filters that look at what stands before a match. The
work is linear in the text.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate
from typing import Any

from dragoman.ai.guardrails.window import Window
from dragoman.ai.guardrails.words import (
    Action,
    GuardrailResult,
    GuardrailViolation,
    Rule,
    Span,
    Validator,
)

__all__ = ["MAX_HELD", "MAX_VIOLATIONS", "TextScanner", "judged", "redacted", "rules_of"]

MAX_HELD = 64 * 1024
"""A match that goes on for so long is taken as it is, and the search begins anew behind it."""

MAX_VIOLATIONS = 1000
"""So many violations of one text are kept."""

_SLICE = 64 * 1024
"""Longer texts are searched in slices, so that a pattern that is slow by the length stays bounded."""

_EAGER = 64
"""When more than this is held back, the text is looked at again only when it has grown by an eighth."""


def rules_of(validator: Any) -> list[Rule] | None:
    """The single rules of a guardrail or validator of ours; None for anything else that can check and filter."""
    if isinstance(validator, list):
        return validator
    rules = getattr(validator, "_rules", None)
    return list(rules()) if callable(rules) else None


class TextScanner:
    """`feed` pieces and `end` it; both give the text that may go on.

    With `block` they stop before the first match and `blocked` has its violations; with `redact`
    matches are replaced; with `report` the text goes on as it is. `violations` has all that were found.
    `lengths` False leaves rules about the length of the whole text out; `window` replaces the reach
    of filters that have no measure of their own.
    """

    def __init__(
        self,
        validator: Validator | list[Rule],
        action: Action = "redact",
        *,
        lengths: bool = True,
        window: int | None = None,
    ) -> None:
        rules = rules_of(validator)
        clear = [rule for rule in rules or () if not rule._is_opaque]
        self._finders = [rule for rule in clear if rule._finds]
        self._meters = [(rule, meter) for rule in clear if lengths and (meter := rule._meter()) is not None]
        opaque: list[Any] = [validator] if rules is None else [rule for rule in rules if rule._is_opaque]
        self._windows = [Window(one, action, window) for one in opaque]
        self._action = action
        self._context = max((rule.reach for rule in self._finders), default=0)
        self._text = ""
        self._search = self._at = 0  # where the search goes on, and up to where text was given on
        self._offset = 0
        self._look_at = 0
        self._is_cut = False
        self.violations: list[GuardrailViolation] = []
        self.blocked: list[GuardrailViolation] = []

    # -------------------------------------------------------------------------------- what goes in

    def feed(self, piece: str) -> str:
        """The next piece; gives what may go on."""
        if self.blocked:
            return ""
        given = "".join(self._slices(self._measured(piece)))
        return self._through_windows(given)

    def flush(self) -> str:
        """Give on what is held back, though the text may go on: the end of a paragraph, as it were.

        A match that began before is still found when its rest comes, and then its rest is replaced.
        """
        return self._through_windows(self._look(final=True, keep=True), flush=True)

    def end(self, *, may_be_short: bool = False) -> str:
        """The text is over; gives the rest. A tool call may stand for what is missing: then it may be short."""
        if self.blocked:
            return ""
        for rule, meter in self._meters:
            wrong = None if may_be_short else meter.short()
            if wrong is not None:
                self._violated([rule._create_violation(wrong)])
        return self._through_windows(self._look(final=True), end=True)

    @property
    def held(self) -> int:
        """Characters that are held back."""
        return len(self._text) - self._at + sum(window.held for window in self._windows)

    def _measured(self, piece: str) -> str:
        """The piece as far as it is within all limits."""
        allowed = 0 if self._is_cut else len(piece)
        for rule, meter in list(self._meters):
            within = meter.add(piece)
            wrong = meter.over()
            if wrong is not None:
                self._meters.remove((rule, meter))
                self._violated([rule._create_violation(wrong)])
                allowed = min(allowed, within)
        if allowed == len(piece) or self._action == "report":
            return piece
        self._is_cut = True
        return piece[:allowed]

    def _slices(self, piece: str) -> Iterator[str]:
        for begin in range(0, len(piece), _SLICE):
            self._text += piece[begin : begin + _SLICE]
            yield self._look()
            if self._action == "block" and self.blocked:
                return

    def _through_windows(self, text: str, *, flush: bool = False, end: bool = False) -> str:
        for window in self._windows:
            text = window.feed(text) + (window.end() if end else window.flush() if flush else "")
            self._violated(window.taken())
        return text

    def _violated(self, found: list[Any]) -> None:
        room = MAX_VIOLATIONS - len(self.violations)
        self.violations.extend(found[:room])
        if self._action == "block" and found and not self.blocked:
            self.blocked = list(found)

    # ---------------------------------------------------------------------------- looking at it

    def _look(self, *, final: bool = False, keep: bool = False) -> str:
        """What may go on of the text so far."""
        text = self._text
        if not self._finders:
            self._text, self._search, self._at = "", 0, 0
            return text
        if not final and len(text) - self._at < self._look_at:
            return ""
        safe = len(text)
        if not final:
            safe -= max(rule._held(text, self._search) for rule in self._finders)
        out: list[str] = []
        given = self._at
        for cluster in _clusters(self._finders, text, self._search):
            start, end = cluster[0][1].start, max(span.end for _, span in cluster)
            if end > safe and not final and end - start < MAX_HELD:
                safe = min(safe, start)
                break
            safe = max(safe, end)
            if end <= self._at:  # found when it was flushed
                continue
            self._violated([self._violation(rule, span) for rule, span in cluster])
            if self._action == "block":
                out.append(text[given : max(start, given)])
                self._text, self._search, self._at = "", 0, 0
                return "".join(out)
            if self._action == "redact":
                out += (text[given : max(start, given)], cluster[0][1].replacement)
                given = end
        safe = max(safe, self._at)
        out.append(text[given:safe])
        self._settle(safe, keep)
        return "".join(out)

    def _violation(self, rule: Rule, span: Span) -> GuardrailViolation:
        begin = self._offset + span.start
        matched = self._text[span.start : span.end]
        return rule._create_violation(span.message, matched, start=begin, end=begin + len(matched))

    def _settle(self, safe: int, keep: bool) -> None:
        """Text up to `safe` is given on; keep no more of it than filters may look back at."""
        search = self._held_from(safe) if keep else safe
        cut = max(0, search - self._context)
        self._text = self._text[cut:]
        self._offset += cut
        self._search, self._at = search - cut, safe - cut
        pending = len(self._text) - self._at
        self._look_at = pending + pending // 8 if pending > _EAGER else 0

    def _held_from(self, safe: int) -> int:
        """Where the search goes on after a flush: where an unfinished match may have begun."""
        held = max(rule._held(self._text, self._search) for rule in self._finders)
        return max(self._search, safe - held)


def _clusters(rules: list[Rule], text: str, start: int) -> Iterator[list[tuple[Rule, Span]]]:
    """Matches of all rules in order, those that overlap together; the first of them is the one to be replaced by."""
    found = [(rule, span) for rule in rules for span in rule._find(text, start)]
    found.sort(key=lambda one: (one[1].start, -one[1].end))
    ends = list(accumulate((span.end for _, span in found), max))
    begin = 0
    for index in range(1, len(found) + 1):
        if index == len(found) or found[index][1].start >= ends[index - 1]:
            yield found[begin:index]
            begin = index


# -------------------------------------------------------------------------------------- whole texts


def judged(guardrail: Any, content: str) -> GuardrailResult:
    """A whole text as the rules of a guardrail or validator see it."""
    violations, filtered = _whole(guardrail, content)
    return GuardrailResult.violated(violations, filtered) if violations else GuardrailResult.safe(content)


def redacted(guardrail: Any, content: str) -> str:
    """A whole text without what the rules of a guardrail or validator found."""
    return _whole(guardrail, content, judge=False)[1]


def _whole(guardrail: Any, content: str, *, judge: bool = True) -> tuple[list[GuardrailViolation], str]:
    rules = rules_of(guardrail) or []
    scanner = TextScanner([rule for rule in rules if not rule._is_opaque])
    filtered = scanner.feed(content) + scanner.end()
    violations = scanner.violations
    for rule in rules:
        if rule._is_opaque:
            violations += rule.check(content).violations if judge else []
            filtered = rule.filter(filtered)
    return violations, filtered
