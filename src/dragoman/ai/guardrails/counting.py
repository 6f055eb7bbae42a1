"""Counts one text as it comes, for rules about its length."""

from __future__ import annotations

import re

__all__ = ["CharacterMeter", "WordMeter"]

_WORD = re.compile(r"\S+")
CHARACTERS_PER_TOKEN = 4


class CharacterMeter:
    """Counts characters, or tokens of four."""

    def __init__(self, least: int | None, most: int | None, unit: str = "chars") -> None:
        self._least = least
        self._most = most
        self._unit = unit
        self._size = CHARACTERS_PER_TOKEN if unit == "tokens" else 1
        self._count = 0

    def add(self, piece: str) -> int:
        """How many characters of the piece are within the limit."""
        room = len(piece) if self._most is None else self._most * self._size - self._count
        self._count += len(piece)
        return max(0, min(len(piece), room))

    @property
    def count(self) -> int:
        return -(-self._count // self._size)

    def over(self) -> str | None:
        """What is wrong when there is too much."""
        return _over(self._most, self.count, self._unit)

    def short(self) -> str | None:
        """What is wrong when this was all and it is too little."""
        return _short(self._least, self.count, self._unit)


class WordMeter:
    """Counts words: what stands between blanks."""

    def __init__(self, least: int | None, most: int | None) -> None:
        self._least = least
        self._most = most
        self.count = 0
        self._inside = False

    def add(self, piece: str) -> int:
        within = len(piece)
        for found in _WORD.finditer(piece):
            if found.start() == 0 and self._inside:
                continue
            self.count += 1
            if self._most is not None and self.count > self._most:
                within = min(within, found.start())
        if piece:
            self._inside = not piece[-1].isspace()
        return within

    def over(self) -> str | None:
        return _over(self._most, self.count, "words")

    def short(self) -> str | None:
        return _short(self._least, self.count, "words")


def _over(most: int | None, count: int, unit: str) -> str | None:
    return f"the text is too long: more than {most} {unit}" if most is not None and count > most else None


def _short(least: int | None, count: int, unit: str) -> str | None:
    too_short = least is not None and count < least
    return f"the text is too short: {count} {unit}, at least {least} are asked for" if too_short else None
