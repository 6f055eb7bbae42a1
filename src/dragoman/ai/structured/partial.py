"""An object while it is still being written: fed pieces of JSON text, it shows what is there already.

Nothing is read twice, so that a long answer in small pieces costs no more than its length. Fields
appear when their names are whole, numbers and words when they are, texts as they grow; no character
is shown that is not there yet: half of an escape or of a surrogate pair waits for the other half.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

__all__ = ["MAX_DEPTH", "PartialJson"]

MAX_DEPTH = 200
"""So deeply objects and arrays may be nested; what is deeper is no answer."""

_OPENING = re.compile(r"[{\[]")
_BLANK = re.compile(r"[ \t\r\n]*")
_INSIDE = re.compile(r'["\\]')
_SCALAR = re.compile(r"[-+.0-9A-Za-z]*")
_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_HIGH, _LOW = range(0xD800, 0xDC00), range(0xDC00, 0xE000)
_SHARE = 32
"""A text is shown anew when it has grown by this part; short ones always."""

_BEFORE, _VALUE, _KEY, _COLON, _NEXT, _STRING, _NAME, _WORD, _DONE, _BROKEN = range(10)


class _Text:
    """A string as it comes."""

    __slots__ = ("escape", "grown", "high", "new", "shown")

    def __init__(self) -> None:
        self.shown = ""
        self.new: list[str] = []
        self.grown = 0
        self.escape = ""
        self.high = ""

    def add(self, text: str) -> None:
        if text:
            if self.high:
                self.high = ""
                self._put("\ufffd")  # a first half that no second one followed
            self._put(text)

    def _put(self, text: str) -> None:
        self.new.append(text)
        self.grown += len(text)

    def unit(self, code: int) -> None:
        r"""A \u escape: a character, or half of one."""
        if code in _HIGH:
            if self.high:
                self._put("\ufffd")
            self.high = chr(code)
        elif code in _LOW:
            pair = (self.high + chr(code)).encode("utf-16", "surrogatepass") if self.high else b""
            self.high = ""
            self._put(pair.decode("utf-16") if pair else "\ufffd")
        else:
            self.add(chr(code))

    def whole(self) -> str:
        if self.high:
            self.high = ""
            self._put("\ufffd")
        return self.show()

    def show(self) -> str:
        if self.new:
            self.shown += "".join(self.new)
            self.new, self.grown = [], 0
        return self.shown


class PartialJson:
    """`feed` it pieces; `value` is what is there so far, an object or array that goes on growing.

    What stands before the first bracket is passed by. `is_broken` says that this is no JSON, after
    which nothing changes any more; `is_complete` that the value is whole. `stopped` is where in the
    last piece reading stopped.
    """

    def __init__(self) -> None:
        self.value: Any = None
        self.is_too_deep = False
        self.stopped = 0
        self._state = _BEFORE
        self._stack: list[Any] = []
        self._names: list[str] = []
        self._text = _Text()
        self._word: list[str] = []
        self._may_end = False
        self._changed = False

    @property
    def is_complete(self) -> bool:
        return self._state == _DONE

    @property
    def is_broken(self) -> bool:
        return self._state == _BROKEN

    def feed(self, text: str, at: int = 0) -> bool:
        """Read the next piece, from a place in it on; whether `value` looks different now."""
        self._changed = False
        self.stopped = self.read(text, at)
        if self._state == _STRING and self._text.grown >= max(1, len(self._text.shown) // _SHARE):
            self._set(self._text.show())
        return self._changed

    def read(self, text: str, at: int) -> int:
        """Read from a place in a text to its end, or to that of the value; where that is."""
        end = len(text)
        while at < end and self._state < _DONE:
            at = self._step(text, at)
        return at

    # ------------------------------------------------------------------------------------- reading

    def _step(self, text: str, at: int) -> int:
        """Read on from here; where to go on."""
        if self._state in (_STRING, _NAME):
            return self._in_string(text, at)
        if self._state == _WORD:
            return self._in_word(text, at)
        if self._state == _BEFORE:
            opening = _OPENING.search(text, at)
            if opening is None:
                return len(text)
            self._state = _VALUE
            return opening.start()
        blank = _BLANK.match(text, at)
        at = blank.end() if blank is not None else at
        if at < len(text):
            self._at_mark(text[at])
            if self._state in (_WORD, _BROKEN):
                return at
        return at + 1

    def _at_mark(self, mark: str) -> None:
        inside = self._stack[-1] if self._stack else None
        if mark in "]}" and self._may_end and isinstance(inside, dict if mark == "}" else list):
            self._close()
        elif self._state == _NEXT and mark == ",":
            self._state, self._may_end = (_KEY if isinstance(inside, dict) else _VALUE), False
        elif self._state == _COLON and mark == ":":
            self._state = _VALUE
        elif self._state == _KEY and mark == '"':
            self._text, self._state = _Text(), _NAME
        elif self._state == _VALUE:
            self._begin(mark)
        else:
            self._state = _BROKEN

    def _begin(self, mark: str) -> None:
        if mark == '"':
            self._text, self._state = _Text(), _STRING
            self._put("")
        elif mark in "{[":
            made: Any = {} if mark == "{" else []
            if len(self._stack) >= MAX_DEPTH:
                self._state, self.is_too_deep = _BROKEN, True
                return
            self._put(made)
            self._stack.append(made)
            self._names.append("")
            self._state, self._may_end = (_KEY if mark == "{" else _VALUE), True
        elif _SCALAR.fullmatch(mark):
            self._word, self._state = [], _WORD
        else:
            self._state = _BROKEN

    def _close(self) -> None:
        self._stack.pop()
        self._names.pop()
        self._after()

    def _after(self) -> None:
        """A value is whole."""
        self._state, self._may_end = (_NEXT, True) if self._stack else (_DONE, False)

    # -------------------------------------------------------------------------------------- values

    def _put(self, value: Any) -> None:
        """A new value at the place where one is due."""
        self._changed = True
        self._may_end = False
        if not self._stack:
            self.value = value
        elif isinstance(self._stack[-1], dict):
            self._stack[-1][self._names[-1]] = value
        else:
            self._stack[-1].append(value)

    def _set(self, value: Any) -> None:
        """Another value at the place of the last one."""
        self._changed = True
        inside = self._stack[-1]
        if isinstance(inside, dict):
            inside[self._names[-1]] = value
        else:
            inside[-1] = value

    def _in_word(self, text: str, at: int) -> int:
        found = _SCALAR.match(text, at)
        end = found.end() if found is not None else at
        self._word.append(text[at:end])
        if end == len(text):
            return end
        try:
            value = json.loads("".join(self._word), parse_constant=_refuse)
        except ValueError:
            value = math.nan
        if isinstance(value, float) and not math.isfinite(value):
            self._state = _BROKEN
            return end
        self._put(value)
        self._after()
        return end

    def _in_string(self, text: str, at: int) -> int:
        if self._text.escape:
            return self._in_escape(text, at)
        found = _INSIDE.search(text, at)
        end = found.start() if found is not None else len(text)
        self._text.add(text[at:end])
        if found is None:
            return end
        if found[0] == "\\":
            self._text.escape = "\\"
        elif self._state == _NAME:
            self._names[-1] = self._text.whole()
            self._state, self._may_end = _COLON, False
        else:
            self._set(self._text.whole())
            self._after()
        return end + 1

    def _in_escape(self, text: str, at: int) -> int:
        held = self._text
        if held.escape == "\\" and text[at] != "u":
            held.escape = ""
            if text[at] in _ESCAPES:
                held.add(_ESCAPES[text[at]])
            else:
                self._state = _BROKEN
            return at + 1
        taken = text[at : at + 6 - len(held.escape)]
        held.escape += taken
        if len(held.escape) == 6:
            digits, held.escape = held.escape[2:], ""
            if all(digit in "0123456789abcdefABCDEF" for digit in digits):
                held.unit(int(digits, 16))
            else:
                self._state = _BROKEN
        return at + len(taken)


def _refuse(word: str) -> None:
    raise ValueError(word)
