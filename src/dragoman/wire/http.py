"""HTTP requests and answers as plain values.

Codecs make and read these; drivers in `dragoman.transport` put them on the network. Knows
nothing of sockets, pools or retries.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from pydantic_core import from_json

from dragoman.core.errors import ProtocolError
from dragoman.core.redact import redact_text


class Headers(Mapping[str, str]):
    """Read-only header fields; names compare without case, repeated ones are joined by ", "."""

    __slots__ = ("_fields", "_pairs")

    def __init__(self, pairs: Mapping[str, str] | Iterable[tuple[str, str]] = ()) -> None:
        items = pairs.items() if isinstance(pairs, Mapping) else pairs
        self._pairs = tuple((name, value) for name, value in items)
        self._fields: dict[str, str] = {}
        for name, value in self._pairs:
            low = name.lower()
            self._fields[low] = f"{self._fields[low]}, {value}" if low in self._fields else value

    def __getitem__(self, name: str) -> str:
        return self._fields[name.lower()]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._fields

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Every field as it came, in order."""
        return self._pairs

    def __repr__(self) -> str:
        return f"Headers({', '.join(sorted(self._fields))})"


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Limits in seconds for each phase of an exchange; None means no limit.

    `read` is the longest pause between two reads, not the length of the whole answer.
    """

    connect: float | None = 5.0
    read: float | None = 60.0
    write: float | None = 60.0
    pool: float | None = 60.0

    @classmethod
    def all(cls, seconds: float | None) -> Timeouts:
        """The same limit for every phase."""
        return cls(seconds, seconds, seconds, seconds)


class StreamedBody(Protocol):
    """The body of a request, `length` bytes that are made while they are sent and never whole in memory.

    Each iteration begins anew, so that a request can be sent again. Iterating may block, as reading a file does.
    """

    @property
    def length(self) -> int: ...

    def __iter__(self) -> Iterator[bytes]: ...


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request; `url` is absolute, `body` complete or made while it is sent."""

    method: str
    url: str
    headers: Headers = field(default_factory=Headers)
    body: bytes | StreamedBody | None = None
    timeouts: Timeouts = field(default_factory=Timeouts)

    @property
    def length(self) -> int:
        """Bytes of the body."""
        if self.body is None:
            return 0
        return len(self.body) if isinstance(self.body, bytes) else self.body.length

    def __str__(self) -> str:  # no header values, query strings or user names: they carry credentials
        return f"{self.method} {redact_text(self.url.partition('?')[0])}"

    def __repr__(self) -> str:
        return f"Request({self})"


@dataclass(frozen=True, slots=True)
class Response:
    """One complete HTTP answer."""

    status: int
    headers: Headers = field(default_factory=Headers)
    body: bytes = b""

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def text(self) -> str:
        """The body as UTF-8; bytes that are none become U+FFFD."""
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """The decoded body. Raises ProtocolError if it is no JSON."""
        try:
            return from_json(self.body)
        except ValueError as error:
            raise ProtocolError(f"expected a JSON body, got {self.text[:80]!r}", status=self.status) from error
