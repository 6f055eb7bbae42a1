"""Server-sent events: bytes ⇄ events, incremental, by the WHATWG standard.

Clients and the server share this codec, so they cannot disagree. It works on bytes, for a
character that a read cuts in two then mends itself, and it does its work per read, not per
byte: one split at the blank lines, and a slice for the frame that nearly all frames are, one
`data: ` line. It knows nothing of JSON, of dialects, of connections or of time; `SSEDecoder`
keeps the last event id and the retry time for whoever reconnects.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

from dragoman.core.errors import ProtocolError, UsageError

DEFAULT_MAX_EVENT_BYTES = 16 * 1024 * 1024

_BOM = b"\xef\xbb\xbf"
_LINE_END = re.compile(rb"\r\n|\r|\n")
_CR, _LF, _NUL = 0x0D, 0x0A, 0x00  # looking for a byte as a number takes a tenth of the time
_LONGEST_RETRY = 15  # digits; more is an attack on int(), not a time


@dataclass(frozen=True, slots=True)
class SSEEvent:
    """One dispatched event. `id` and `retry_ms` are what this very frame carried, else None.

    The id that lasts from event to event is `SSEDecoder.last_event_id`.
    """

    data: str
    event: str = "message"
    id: str | None = None
    retry_ms: int | None = None


_Frame: TypeAlias = tuple[bytes, bytes, bytes | None, int | None]
"""Data, event, id, retry time."""


class SSEDecoder:
    """Bytes in, events out; any split of the same bytes gives the same events.

    Use either `feed` and `end`, or their bytes-level twins `feed_data` and `end_data`, which give
    only each event's data and are the fast way for wires that use nothing else; `feed_named` gives
    the event's name too.

    A frame (what lies between two blank lines, comments included) of more than `max_event_bytes`
    raises ProtocolError, after the events before it were returned; every later call raises it
    again. The standard drops a last event that no blank line ended; for servers that leave the line
    out, feed one (`feed(b"\\n\\n")`) at the end of the connection.
    """

    __slots__ = (
        "_error",
        "_head",
        "_last_id",
        "_max",
        "_pending",
        "_pending_size",
        "_skip_lf",
        "_unusual",
        "retry_ms",
    )

    def __init__(self, *, max_event_bytes: int = DEFAULT_MAX_EVENT_BYTES) -> None:
        if max_event_bytes < 1:
            raise UsageError(f"max_event_bytes must be at least 1, not {max_event_bytes!r}")
        self._last_id = b""
        self.retry_ms: int | None = None
        self._max = max_event_bytes
        self._error: ProtocolError | None = None
        self._reset()

    def _reset(self) -> None:
        self._pending: list[bytes] = []  # reads of an unfinished frame, joined once when it ends
        self._pending_size = 0
        self._head: bytes | None = b""  # the first bytes while they may still be a BOM, then None
        self._skip_lf = False  # the last read ended in CR; a LF at the start of the next is its half
        self._unusual = True  # one of the two above needs a look before the fast path

    @property
    def last_event_id(self) -> str:
        """The id that the latest frame with one has set; empty before."""
        return self._last_id.decode("utf-8", "replace")

    def feed(self, data: bytes) -> list[SSEEvent]:
        """The events that these bytes complete."""
        return self._events(self._frames(data))

    def feed_data(self, data: bytes) -> list[bytes]:
        """The data of the events that these bytes complete; lines are joined by LF."""
        return self._payloads(self._frames(data))

    def feed_named(self, data: bytes) -> list[tuple[bytes, bytes]]:
        """(data, event name) of the events that these bytes complete; the name is empty if there was none."""
        if not (self._pending or self._unusual) and _CR not in data and len(data) <= self._max:
            # a read that is one whole event, as most reads of a slow stream are
            end = len(data) - 2
            if data[:6] == b"data: ":
                if data.find(b"\n") == end and data[end:] == b"\n\n":
                    return [(data[6:end], b"")]
            elif data[:7] == b"event: ":
                place = data.find(b"\n")
                if (
                    data[place + 1 : place + 7] == b"data: "
                    and data.find(b"\n", place + 1) == end
                    and data[end:] == b"\n\n"
                ):
                    return [(data[place + 7 : end], data[7:place])]
        return self._named(self._frames(data))

    def end(self) -> list[SSEEvent]:
        """The connection is over, and the decoder ready for the next one; no event comes of it.

        `last_event_id` and `retry_ms` stay. Raises ProtocolError for an error that is still untold.
        """
        return self._events(self._last_frame())

    def end_data(self) -> list[bytes]:
        """`end` for those who use `feed_data`."""
        return self._payloads(self._last_frame())

    # ----------------------------------------------------------------- bytes to frames

    def _frames(self, data: bytes) -> list[bytes]:
        """Complete frames, without the blank lines that end them; may be empty or start with LF."""
        if self._error is not None:
            raise self._error
        if self._unusual or _CR in data:
            data = self._normalise(data)
        if self._pending:
            if b"\n\n" not in data and not (data[:1] == b"\n" and self._pending[-1][-1:] == b"\n"):
                return self._wait(data, [])
            data = b"".join((*self._pending, data))
            self._pending.clear()
            self._pending_size = 0
        frames = data.split(b"\n\n")
        tail = frames.pop()
        if len(data) > self._max:
            frames = self._within_limit(frames)
        return self._wait(tail, frames) if tail else frames

    def _wait(self, data: bytes, frames: list[bytes]) -> list[bytes]:
        """Keep bytes of an unfinished frame; gives `frames` back."""
        if data and self._error is None:
            self._pending.append(data)
            self._pending_size += len(data)
            # one more than the limit: the last byte may be the first half of the blank line
            if self._pending_size > self._max + 1:
                self._refuse(frames)
        return frames

    def _within_limit(self, frames: list[bytes]) -> list[bytes]:
        """The frames before the first that is too large."""
        for index, frame in enumerate(frames):
            if len(frame) > self._max:
                frames = frames[:index]
                self._refuse(frames)
                break
        return frames

    def _refuse(self, frames: list[bytes]) -> None:
        """Fail now, or at the next call if there is something to deliver first."""
        self._error = ProtocolError(f"a server-sent event is larger than {self._max} bytes", code="event_too_large")
        self._pending.clear()
        if not frames:
            raise self._error

    def _normalise(self, data: bytes) -> bytes:
        """Strip the BOM that may open a stream and turn CRLF and CR into LF."""
        if self._head is not None:
            data = self._head + data
            if len(data) < len(_BOM) and _BOM.startswith(data):
                self._head = data
                return b""
            self._head = None
            data = data.removeprefix(_BOM)
        if not data:
            return data
        if self._skip_lf:
            data = data[1:] if data[:1] == b"\n" else data
        self._skip_lf = self._unusual = data[-1:] == b"\r"
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if _CR in data else data

    def _last_frame(self) -> list[bytes]:
        if self._error is not None:
            raise self._error
        rest = (self._head or b"") + b"".join(self._pending)
        self._reset()
        frame = rest.removesuffix(b"\n")
        if len(frame) > self._max:
            self._refuse([])
        # the event is dropped, but a retry time holds as soon as its line is complete
        last_id = self._last_id
        self._parse(rest.rpartition(b"\n")[0])
        self._last_id = last_id
        return []

    # ---------------------------------------------------------------- frames to values

    def _payloads(self, frames: list[bytes]) -> list[bytes]:
        payloads = []
        for frame in frames:
            if frame[:6] == b"data: " and _LF not in frame:
                payloads.append(frame[6:])
                continue
            first, _, rest = frame.partition(b"\n")
            if first[:4] == b"id: " and rest[:6] == b"data: " and _LF not in rest and _NUL not in first:
                self._last_id = first[4:]
                payloads.append(rest[6:])
            elif frame and (parsed := self._parse(frame)) is not None:
                payloads.append(parsed[0])
        return payloads

    def _named(self, frames: list[bytes]) -> list[tuple[bytes, bytes]]:
        named = []
        for frame in frames:
            if frame[:7] == b"event: ":
                place = frame.find(b"\n")
                if frame[place + 1 : place + 7] == b"data: " and frame.find(b"\n", place + 7) < 0:
                    named.append((frame[place + 7 :], frame[7:place]))
                    continue
            elif frame[:6] == b"data: " and _LF not in frame:
                named.append((frame[6:], b""))
                continue
            if frame and (parsed := self._parse(frame)) is not None:
                named.append((parsed[0], parsed[1]))
        return named

    def _events(self, frames: list[bytes]) -> list[SSEEvent]:
        events = []
        for frame in frames:
            if frame[:6] == b"data: " and _LF not in frame:
                events.append(SSEEvent(frame[6:].decode("utf-8", "replace")))
            elif frame and (parsed := self._parse(frame)) is not None:
                data, event, id, retry_ms = parsed
                events.append(
                    SSEEvent(
                        data.decode("utf-8", "replace"),
                        event.decode("utf-8", "replace") or "message",
                        None if id is None else id.decode("utf-8", "replace"),
                        retry_ms,
                    )
                )
        return events

    def _parse(self, frame: bytes) -> _Frame | None:
        """The fields of one frame; None if it has no data line, for then nothing is dispatched."""
        first, _, rest = frame.partition(b"\n")
        if rest[:6] == b"data: " and _LF not in rest:  # what most frames are that hold more than data
            if first[:4] == b"id: " and _NUL not in first:
                self._last_id = id = first[4:]
                return rest[6:], b"", id, None
            if first[:7] == b"event: ":
                return rest[6:], first[7:], None, None
        return self._parse_lines(frame.split(b"\n"))

    def _parse_lines(self, frame: list[bytes]) -> _Frame | None:
        lines: list[bytes] = []
        event = b""
        id: bytes | None = None
        retry_ms: int | None = None
        for line in frame:
            name, _, value = line.partition(b":")
            if value[:1] == b" ":
                value = value[1:]
            if name == b"data":
                lines.append(value)
            elif name == b"event":
                event = value
            elif name == b"id" and _NUL not in value:
                id = value
            elif name == b"retry" and value.isdigit() and len(value) <= _LONGEST_RETRY:
                retry_ms = int(value)
        if id is not None:
            self._last_id = id
        if retry_ms is not None:
            self.retry_ms = retry_ms
        return (b"\n".join(lines), event, id, retry_ms) if lines else None


# ------------------------------------------------------------------------------ values to bytes


def encode_event(
    data: str | bytes | None, *, event: str | None = None, id: str | None = None, retry_ms: int | None = None
) -> bytes:
    """One frame with the blank line that ends it.

    Line ends in `data` (CRLF, CR or LF) make several data lines, which a decoder joins by LF.
    `data=None` sends only the other fields; decoders take them over and dispatch nothing.
    Raises UsageError for a line end in `event` or `id`, a NUL in `id`, a negative `retry_ms`.
    """
    only_data = event is None and id is None and retry_ms is None
    if only_data and isinstance(data, bytes) and _LF not in data and _CR not in data:
        return b"data: " + data + b"\n\n"
    lines: list[bytes] = []
    if event is not None:
        lines.append(b"event: " + _one_line("event", event))
    if id is not None:
        if "\0" in id:
            raise UsageError("the id of a server-sent event must not contain NUL; decoders would ignore it")
        lines.append(b"id: " + _one_line("id", id))
    if retry_ms is not None:
        if retry_ms < 0:
            raise UsageError(f"retry_ms must not be negative, got {retry_ms!r}")
        lines.append(b"retry: %d" % retry_ms)
    if data is not None:
        lines += [b"data: " + line for line in _LINE_END.split(data if isinstance(data, bytes) else _utf8(data))]
    return b"\n".join(lines) + b"\n\n"


def encode_comment(text: str = "") -> bytes:
    """A comment, which decoders ignore: the heartbeat. To be sent between events only."""
    return b"".join(b": " + line + b"\n" for line in _LINE_END.split(_utf8(text))) + b"\n"


def _one_line(name: str, value: str) -> bytes:
    if "\n" in value or "\r" in value:
        raise UsageError(f"the {name} of a server-sent event must be one line, got {value[:80]!r}")
    return _utf8(value)


def _utf8(text: str) -> bytes:
    """UTF-8; a lone surrogate, which has no bytes, becomes U+FFFD."""
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode("utf-8")
