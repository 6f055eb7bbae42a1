"""Bytes of a text stream → its lines, for parsers that users write.

A line ends at LF, CRLF or CR and at nothing else, and is decoded whole, so that neither a character nor a line end
that a read cuts in two is lost. Our own parser is not fed lines: `wire.sse` cuts frames for it.
"""

from __future__ import annotations

from dragoman.core.errors import ProtocolError

LONGEST_LINE = 16 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"


class LineCutter:
    """Bytes in, complete lines out, without their ends; a BOM at the very beginning is dropped."""

    def __init__(self) -> None:
        self._pending: list[bytes] = []
        self._size = 0
        self._skip_lf = False
        self._fresh = True

    def feed(self, data: bytes) -> list[str]:
        """The lines that these bytes complete. Raises ProtocolError for one beyond all bounds."""
        if self._skip_lf and data:
            self._skip_lf = False
            data = data.removeprefix(b"\n")
        if not data:
            return []
        self._skip_lf = data.endswith(b"\r")
        if b"\r" in data:
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *ended, rest = data.split(b"\n")
        if ended:
            ended[0] = b"".join((*self._pending, ended[0]))
            self._pending, self._size = [], 0
        if rest:
            self._pending.append(rest)
            self._size += len(rest)
            if self._size > LONGEST_LINE:
                raise ProtocolError(f"a line is longer than {LONGEST_LINE} bytes", code="line_too_long")
        return [self._text(line) for line in ended]

    def end(self) -> list[str]:
        """The last line, if no line end followed it."""
        return [self._text(b"".join(self._pending))] if self._pending else []

    def _text(self, line: bytes) -> str:
        if self._fresh:
            self._fresh = False
            line = line.removeprefix(_BOM)
        return line.decode("utf-8", "replace")
