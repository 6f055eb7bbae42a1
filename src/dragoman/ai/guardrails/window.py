"""Gives a validator that only judges whole texts a window that moves over a text in pieces.

A window is three reaches long and its last reach is kept back, so that a match is whole in one
window before any of it is given on. It is cut at a blank where there is one, and where the filter
does the same to the two parts as to the whole. Each character is looked at a bounded number of times.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dragoman.ai.guardrails.words import DEFAULT_REACH, Action

__all__ = ["Window"]

_GROWTH = 64
"""So many reaches a window may grow in search of a place to cut."""

_TRIES = 8


class Window:
    """`feed`, `flush` and `end` give the text that may go on; `taken` the violations since it was asked last."""

    def __init__(self, validator: Any, action: Action, reach: int | None = None) -> None:
        self._validator = validator
        self._redacts = action == "redact"
        self._blocks = action == "block"
        self._reach = max(1, reach or getattr(validator, "reach", DEFAULT_REACH))
        self._need = 3 * self._reach
        self._before = ""
        self._text = ""
        self._at = 0
        self._found: list[Any] = []
        self._seen: list[Any] = []
        self._is_over = False

    @property
    def held(self) -> int:
        return len(self._text) - self._at

    def taken(self) -> list[Any]:
        found, self._found = self._found, []
        return found

    def feed(self, piece: str) -> str:
        if self._is_over:
            return ""
        self._text += piece
        out: list[str] = []
        while not self._is_over and self.held >= self._need:
            out.append(self._step(self._text[self._at : self._at + self._need]))
        self._text, self._at = self._text[self._at :], 0
        return "".join(out)

    def flush(self) -> str:
        """Give on what is held back, though the text may go on."""
        return "" if self._is_over or not self.held else self._given(self._text[self._at :], self.held)

    end = flush

    def _step(self, text: str) -> str:
        last = len(text) - self._reach
        cut = next((cut for cut in _cuts(text, last) if self._may_cut(text, cut)), None)
        if cut is None and len(text) < _GROWTH * self._reach:
            self._need = 2 * len(text)
            return ""
        self._need = 3 * self._reach
        return self._given(text, cut or last)

    def _may_cut(self, text: str, cut: int) -> bool:
        if not self._redacts:
            return True
        filtered = self._validator.filter
        return bool(filtered(text) == filtered(text[:cut]) + filtered(text[cut:]))

    def _given(self, text: str, cut: int) -> str:
        """Give on so much of a window, after a look at it and, where nothing is replaced, around it."""
        given = text[:cut]
        result = self._validator.check(given if self._redacts else self._before + _whole_words(text, cut))
        self._note([] if result.is_safe else list(result.violations) or [result])
        if self._blocks and self._found:
            self._is_over, self._text, self._at = True, "", 0
            return ""
        self._at += cut
        self._before = (self._before + given)[-self._reach :]
        return str(self._validator.filter(given)) if self._redacts else given

    def _note(self, violations: list[Any]) -> None:
        """Those that the last window did not have as well."""
        before, self._seen = self._seen, violations
        if self._redacts:
            before = []
        for one in violations:
            if one in before:
                before = [other for other in before if other is not one and other != one]
            else:
                self._found.append(one)


def _whole_words(text: str, cut: int) -> str:
    """The window up to its last blank behind the cut, since the rest of a word may change what it is."""
    if cut == len(text):
        return text
    blank = max(text.rfind(" "), text.rfind("\n"))
    return text[: max(blank + 1, cut)]


def _cuts(text: str, last: int) -> Iterator[int]:
    """Places to cut a window at: after blanks, from the last one, else its end."""
    at = last
    for _ in range(_TRIES):
        at = max(text.rfind(" ", 0, at), text.rfind("\n", 0, at))
        if at < len(text) // 3:
            break
        yield at + 1
    yield last
