"""One growing JSON array: bytes → its objects as bytes, as soon as each is complete.

Brackets are counted outside of strings; nothing is parsed and nothing is read twice. It does not
know what the objects say. Text where none belongs comes out as a payload of its own, for whoever
reads it to find that it is no JSON.
"""

from __future__ import annotations

import re
from typing import Final

from dragoman.core.errors import ProtocolError

_MARKS: Final = re.compile(rb'["\\{}\[\]]')
_INSIDE: Final = re.compile(rb'["\\]')
_BLANK: Final = b" \t\r\n,"
_BOM: Final = b"\xef\xbb\xbf"
_STRAY: Final = 1024
"""Bytes of stray text that are kept."""


class ArraySplitter:
    """Bytes in, objects out; any split of the same bytes gives the same. `done` after the closing bracket.

    A single object without an array comes out too. One of more than `max_object_bytes` raises
    ProtocolError, after those before it were returned; every later call raises it again.
    """

    __slots__ = ("_depth", "_escaped", "_failed", "_in_array", "_in_text", "_max", "_object", "_size", "_stray", "done")

    def __init__(self, *, max_object_bytes: int) -> None:
        self._max = max_object_bytes
        self._object: list[bytes] = []  # reads of an unfinished object, joined once
        self._size = 0
        self._depth = 0
        self._in_text = False
        self._escaped = False
        self._in_array = False
        self._stray = b""
        self._failed = False
        self.done = False

    def feed(self, data: bytes) -> list[bytes]:
        """The objects that these bytes complete; what follows the array is dropped."""
        found: list[bytes] = []
        place = 0
        while place < len(data) and not (self.done or self._failed):
            place = self._inside(data, place, found) if self._depth else self._between(data, place, found)
        if self._failed and not found:
            raise ProtocolError(f"an object is larger than {self._max} bytes", code="frame_too_large")
        return found

    def end(self) -> list[bytes]:
        """No more bytes come: stray text that is still untold. A cut object is dropped."""
        found: list[bytes] = []
        if not (self.done or self._depth):
            self._tell_stray(found)
        return found

    def _between(self, data: bytes, place: int, found: list[bytes]) -> int:
        """From `place`, outside of any object, to the next one or to the end."""
        match = _MARKS.search(data, place)
        end = match.start() if match else len(data)
        self._note(data[place:end])
        if match is None:
            return end
        mark = match[0]
        if mark == b"{":
            self._tell_stray(found)
            self._depth, self._in_text, self._escaped = 1, False, False
            self._keep(mark)
        elif mark == b"[" and not self._in_array:
            self._in_array = True
        elif mark == b"]" and self._in_array:
            self._tell_stray(found)
            self.done = True
        else:
            self._note(mark)
        return end + 1

    def _inside(self, data: bytes, place: int, found: list[bytes]) -> int:
        """From `place`, inside an object, to its end or to the end of the read."""
        start = place
        if self._escaped:
            self._escaped = False
            place += 1
        while self._depth:
            match = (_INSIDE if self._in_text else _MARKS).search(data, place)
            if match is None:
                self._keep(data[start:])
                return len(data)
            place = match.end()
            mark = match[0]
            if mark == b'"':
                self._in_text = not self._in_text
            elif mark == b"\\":
                self._escaped = place == len(data)
                place += 1
            elif mark in b"{[":
                self._depth += 1
            else:
                self._depth -= 1
        self._keep(data[start:place])
        if not self._failed:
            found.append(b"".join(self._object))
            self._object.clear()
            self._size = 0
        return place

    def _keep(self, data: bytes) -> None:
        self._object.append(data)
        self._size += len(data)
        if self._size > self._max:
            self._failed = True
            self._object.clear()

    def _note(self, between: bytes) -> None:
        """Keep the beginning of text where none belongs."""
        if between and len(self._stray) < _STRAY:
            self._stray = (self._stray + between).lstrip(_BLANK)

    def _tell_stray(self, found: list[bytes]) -> None:
        stray = self._stray.removeprefix(_BOM).strip(_BLANK)
        if stray:
            found.append(stray)
        self._stray = b""
