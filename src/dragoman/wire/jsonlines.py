"""JSON lines: bytes ⇄ values, one JSON value per line, incremental.

Used by wires and files that carry one value per line. It knows nothing of what the values
mean. Lines end in LF; a CR before it is blank space to JSON, and empty lines say nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

from pydantic_core import from_json, to_json

from dragoman.core.errors import ProtocolError, UsageError

DEFAULT_MAX_LINE_BYTES = 16 * 1024 * 1024

_BOM = b"\xef\xbb\xbf"
_T = TypeVar("_T")


class JSONLinesDecoder:
    """Bytes in, values out; any split of the same bytes gives the same values.

    `feed_data` and `end_data` are the bytes-level twins of `feed` and `end`: lines, not yet read.

    A line that is no JSON (NaN and Infinity are none) or has more than `max_line_bytes` raises
    ProtocolError with the line's number, after the values before it were returned; every later
    call raises it again.
    """

    __slots__ = ("_error", "_max", "_number", "_pending", "_pending_size")

    def __init__(self, *, max_line_bytes: int = DEFAULT_MAX_LINE_BYTES) -> None:
        if max_line_bytes < 1:
            raise UsageError(f"max_line_bytes must be at least 1, not {max_line_bytes!r}")
        self._max = max_line_bytes
        self._error: ProtocolError | None = None
        self._pending: list[bytes] = []  # reads of an unfinished line, joined once when it ends
        self._pending_size = 0
        self._number = 0

    def feed(self, data: bytes) -> list[Any]:
        """The values of the lines that these bytes complete."""
        return self._deliver(self._values(self._lines(data)))

    def feed_data(self, data: bytes) -> list[bytes]:
        """The lines that these bytes complete as bytes, blank ones left out, whether they are JSON or not."""
        return self._deliver([line for _, line in self._numbered(self._lines(data))])

    def end(self) -> list[Any]:
        """The input is over: the value of a last line without LF, if there is one."""
        return self._deliver(self._values(self._last_line()))

    def end_data(self) -> list[bytes]:
        """`end` for those who use `feed_data`."""
        return self._deliver([line for _, line in self._numbered(self._last_line())])

    def _lines(self, data: bytes) -> list[bytes]:
        """Complete lines; what is left waits. An error of the waiting part is told with the next call."""
        if self._error is not None:
            raise self._error
        lines: list[bytes] = []
        if b"\n" in data:
            lines = b"".join((*self._pending, data)).split(b"\n")
            data = lines.pop()
            self._pending.clear()
            self._pending_size = 0
        if data:
            self._pending.append(data)
            self._pending_size += len(data)
        return lines

    def _last_line(self) -> list[bytes]:
        if self._error is not None:
            raise self._error
        lines = [b"".join(self._pending)] if self._pending else []
        self._pending.clear()
        self._pending_size = 0
        return lines

    def _deliver(self, values: list[_T]) -> list[_T]:
        """Fail now, or at the next call if there is something to deliver first."""
        if self._error is None and self._pending_size > self._max:
            self._refuse(f"line {self._number + 1} is larger than {self._max} bytes")
        if self._error is not None and not values:
            raise self._error
        return values

    def _numbered(self, lines: list[bytes]) -> Iterator[tuple[int, bytes]]:
        """Number and text of the lines that say something, up to the first that is too large."""
        for line in lines:
            self._number += 1
            if len(line) > self._max:
                self._refuse(f"line {self._number} is larger than {self._max} bytes")
                return
            if self._number == 1:
                line = line.removeprefix(_BOM)
            if line and not line.isspace():
                yield self._number, line

    def _values(self, lines: list[bytes]) -> list[Any]:
        values: list[Any] = []
        for number, line in self._numbered(lines):
            try:
                values.append(from_json(line, allow_inf_nan=False))
            except ValueError as error:
                self._refuse(f"line {number} is no JSON: {error}", error)
                break
        return values

    def _refuse(self, message: str, cause: ValueError | None = None) -> None:
        self._error = ProtocolError(message, code="bad_json_line")
        self._error.__cause__ = cause
        self._pending.clear()


def encode(value: Any) -> bytes:
    """One line with its LF. Raises UsageError for a value that JSON cannot say, such as NaN."""
    try:
        line = to_json(value, inf_nan_mode="constants")
        if b"N" in line or b"I" in line:  # perhaps NaN or Infinity outside a string: have it looked at
            from_json(line, allow_inf_nan=False)
    except ValueError as error:
        raise UsageError(f"expected a JSON value: {error}") from error
    return line + b"\n"
