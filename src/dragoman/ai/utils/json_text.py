"""Whether JSON text that arrives in pieces is a whole value yet, by counting its brackets.

Linear in the text, whatever its pieces: nothing is parsed, and nothing is read twice. It answers
for text that is JSON; of other text it says only that the brackets match.
"""

from __future__ import annotations

import re

__all__ = ["Brackets"]

_OUTSIDE = re.compile(r'["\[\]{}]')
_INSIDE = re.compile(r'["\\]')


class Brackets:
    """Counts brackets outside of strings.

    `complete` holds when an object or array was opened and everything is closed again. Scalars
    have no end of their own and never make it hold.
    """

    __slots__ = ("_depth", "_escaped", "_in_string", "_opened")

    def __init__(self) -> None:
        self._depth = 0
        self._opened = False
        self._in_string = False
        self._escaped = False

    @property
    def complete(self) -> bool:
        return self._opened and self._depth == 0 and not self._in_string

    def feed(self, text: str) -> bool:
        """Count the next piece; gives `complete`."""
        at, end = 0, len(text)
        while at < end:
            if self._in_string:
                at = self._skip_string(text, at)
                continue
            match = _OUTSIDE.search(text, at)
            if match is None:
                break
            at = match.end()
            mark = match[0]
            if mark == '"':
                self._in_string = True
            elif mark in "{[":
                self._depth += 1
                self._opened = True
            else:
                self._depth -= 1
        return self._opened and self._depth == 0 and not self._in_string

    def _skip_string(self, text: str, at: int) -> int:
        """The index after the string's end, or the end of the text."""
        if self._escaped:
            self._escaped = False
            return at + 1
        match = _INSIDE.search(text, at)
        if match is None:
            return len(text)
        if match[0] == '"':
            self._in_string = False
        else:
            self._escaped = True
        return match.end()
