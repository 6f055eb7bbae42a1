"""Decoders: bytes of a stream → frames, incremental; any split of the bytes gives the same frames.

One decoder serves one stream; `fresh()` gives an unused one of the same settings. They stand on the
codecs of `wire` and know JSON and the end of a stream, but no provider's words. Frames that cannot
be read come out as `MalformedFrame`, so that nothing vanishes.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable
from typing import Any, Final

from pydantic_core import from_json

from dragoman.ai.errors import PipelineError, ProtocolError
from dragoman.ai.pipeline.frames import Frame, MalformedFrame, add_frames, read_frames
from dragoman.ai.pipeline.transform import each
from dragoman.core import errors as core
from dragoman.wire import jsonlines, sse

__all__ = [
    "AnthropicSSEDecoder",
    "Decoder",
    "JsonArrayDecoder",
    "JsonLinesDecoder",
    "SSEDecoder",
    "create_decoder",
]

MAX_FRAME_BYTES: Final = 16 * 1024 * 1024
_DONE: Final = "[DONE]"


class Decoder:
    """Bytes in, frames out.

    `feed` takes a read and gives the frames that it completes; `close` says that no more bytes come
    and gives what is left. `done` holds after the stream's own end; what is fed then is dropped.
    `decode` is the same over an async stream of bytes. A subclass that overrides only `decode` can
    be used where nothing is fed.
    """

    done: bool = False
    signalled: bool = False
    """Whether the done signal itself came."""

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that these bytes complete. Raises PipelineError for a frame over the limit."""
        raise PipelineError(f"{type(self).__name__} has no feed(); use decode()", operator="decoder")

    def close(self) -> list[Frame]:
        """The frames of the last bytes, which nothing ended. A cut frame is dropped."""
        return []

    def fresh(self) -> Decoder:
        """An unused decoder of the same settings."""
        return type(self)()

    async def decode(self, byte_stream: AsyncIterator[bytes] | Iterable[bytes]) -> AsyncIterator[Frame]:
        """The frames of a whole stream. Runs on a fresh decoder, so that it can be called again."""
        decoder = self.fresh()
        async for data in each(byte_stream):
            for frame in decoder.feed(data):
                yield frame
            if decoder.done:
                return
        for frame in decoder.close():
            yield frame


def _too_large(error: core.ProtocolError) -> PipelineError:
    made = PipelineError(error.message, operator="decoder")
    made.__cause__ = error
    return made


class _LineEvents:
    """Puts a blank line behind each data line, for wires whose events end with one line feed."""

    def __init__(self) -> None:
        self._line: list[bytes] = []

    def feed(self, data: bytes) -> bytes:
        if b"\n" not in data and b"\r" not in data:
            self._line.append(data)
            return b""
        data = b"".join((*self._line, data))
        self._line.clear()
        # the line feed of a CR at the end may come with the next read
        cut = len(data) - 1 if data[-1:] == b"\r" else len(data)
        *lines, rest = re.split(rb"\r\n|\r|\n", data[:cut])
        if cut < len(data):
            rest += b"\r"
        if rest:
            self._line.append(rest)
        return b"".join(line + (b"\n\n" if line[:4] == b"data" else b"\n") for line in lines)

    def end(self) -> bytes:
        rest = b"".join(self._line)
        self._line.clear()
        return rest


class SSEDecoder(Decoder):
    """Server-sent events whose data are JSON objects.

    `delimiter` and `prefix` are hints: a blank line and `data: ` mean the standard, a delimiter of
    one line feed ends an event with each data line as well. `done_signal` is the payload that ends
    the stream; empty means none. An event's name stands in for a `type` that its data lack.
    """

    last_type: str | None = None
    """The `type` of the frame that is the stream's own end."""

    def __init__(
        self,
        delimiter: str = "\n\n",
        prefix: str = "data: ",
        done_signal: str = _DONE,
        *,
        max_frame_bytes: int = MAX_FRAME_BYTES,
    ) -> None:
        self.delimiter = delimiter
        self.prefix = prefix
        self.done_signal = done_signal
        self.max_frame_bytes = max_frame_bytes
        self._codec = sse.SSEDecoder(max_event_bytes=max_frame_bytes)
        self._lines = _LineEvents() if delimiter == "\n" else None
        self._signal = done_signal.strip().encode()

    def fresh(self) -> SSEDecoder:
        return type(self)(self.delimiter, self.prefix, self.done_signal, max_frame_bytes=self.max_frame_bytes)

    def feed(self, data: bytes) -> list[Frame]:
        if self.done:
            return []
        if self._lines is not None:
            data = self._lines.feed(data)
        frames: list[Frame] = []
        signal, last = self._signal, self.last_type
        try:
            events = self._codec.feed_named(data)
        except core.ProtocolError as error:
            raise _too_large(error) from error
        for payload, name in events:
            try:
                value = from_json(payload)
            except ValueError:
                stripped = payload.strip()
                if stripped == signal and signal:
                    self.done = self.signalled = True
                    break
                if stripped:
                    before = len(frames)
                    read_frames(payload, frames)
                    if name:
                        self._name(frames[before:], name)
                continue
            if type(value) is dict:
                if name and "type" not in value:
                    value["type"] = name.decode("utf-8", "replace")
                frames.append(value)
                if last is not None and value.get("type") == last:
                    self.done = True
                    break
            elif payload.strip() == signal:  # a done signal that happens to be JSON
                self.done = self.signalled = True
                break
            else:
                before = len(frames)
                add_frames(value, payload, frames)
                self._name(frames[before:], name)
        return frames

    @staticmethod
    def _name(frames: list[Frame], name: bytes) -> None:
        for frame in frames:
            if name and not isinstance(frame, MalformedFrame):
                frame.setdefault("type", name.decode("utf-8", "replace"))

    def close(self) -> list[Frame]:
        if self.done:
            return []
        rest = self._lines.end() if self._lines is not None else b""
        self._lines = None
        frames = [*(self.feed(rest) if rest else []), *self.feed(b"\n\n")]
        while frames and isinstance(frames[-1], MalformedFrame):
            frames.pop()  # cut in the middle: whoever reads learns that from the missing end
        return frames


class AnthropicSSEDecoder(SSEDecoder):
    """Server-sent events with typed data, ended by a frame of type `message_stop`."""

    last_type = "message_stop"


class JsonLinesDecoder(Decoder):
    """One JSON object per line."""

    def __init__(
        self, delimiter: str = "\n", *, done_signal: str = _DONE, max_frame_bytes: int = MAX_FRAME_BYTES
    ) -> None:
        self.delimiter = delimiter
        self.done_signal = done_signal
        self.max_frame_bytes = max_frame_bytes
        self._codec = jsonlines.JSONLinesDecoder(max_line_bytes=max_frame_bytes)
        self._signal = done_signal.strip().encode()

    def fresh(self) -> JsonLinesDecoder:
        return type(self)(self.delimiter, done_signal=self.done_signal, max_frame_bytes=self.max_frame_bytes)

    def feed(self, data: bytes) -> list[Frame]:
        if self.done:
            return []
        try:
            return self._read(self._codec.feed_data(data))
        except core.ProtocolError as error:
            raise _too_large(error) from error

    def close(self) -> list[Frame]:
        if self.done:
            return []
        try:
            frames = self._read(self._codec.end_data())
        except core.ProtocolError as error:
            raise _too_large(error) from error
        return [frame for frame in frames if not isinstance(frame, MalformedFrame)]

    def _read(self, lines: list[bytes]) -> list[Frame]:
        frames: list[Frame] = []
        for line in lines:
            if self._signal and line.strip() == self._signal:
                self.done = self.signalled = True
                break
            read_frames(line, frames)
        return frames


_MARKS: Final = re.compile(rb'["\\{}\[\]]')
_INSIDE: Final = re.compile(rb'["\\]')
_BLANK: Final = b" \t\r\n,"


class JsonArrayDecoder(Decoder):
    """One growing JSON array whose objects come out as they complete; the closing bracket ends it."""

    def __init__(self, *, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        self.max_frame_bytes = max_frame_bytes
        self._object: list[bytes] = []  # reads of an unfinished object, joined once
        self._size = 0
        self._depth = 0
        self._in_text = False
        self._escaped = False
        self._in_array = False
        self._stray = b""
        self._failed = False

    def fresh(self) -> JsonArrayDecoder:
        return type(self)(max_frame_bytes=self.max_frame_bytes)

    def feed(self, data: bytes) -> list[Frame]:
        frames: list[Frame] = []
        place = 0
        while place < len(data) and not (self.done or self._failed):
            place = self._inside(data, place, frames) if self._depth else self._between(data, place, frames)
        if self._failed and not frames:
            raise PipelineError(f"a frame is larger than {self.max_frame_bytes} bytes", operator="decoder")
        return frames

    def _between(self, data: bytes, place: int, frames: list[Frame]) -> int:
        """From `place`, outside of any object, to the next one or to the end."""
        found = _MARKS.search(data, place)
        end = found.start() if found else len(data)
        self._note(data[place:end])
        if found is None:
            return end
        mark = found[0]
        if mark == b"{":
            self._report(frames)
            self._depth, self._in_text, self._escaped = 1, False, False
            self._keep(mark)
        elif mark == b"[" and not self._in_array:
            self._in_array = True
            self._stray = self._stray.removeprefix(b"\xef\xbb\xbf")
        elif mark == b"]" and self._in_array:
            self._report(frames)
            self.done = True
        else:
            self._note(mark)
        return end + 1

    def _inside(self, data: bytes, place: int, frames: list[Frame]) -> int:
        """From `place`, inside an object, to its end or to the end of the read."""
        start = place
        if self._escaped:
            self._escaped = False
            place += 1
        while self._depth:
            found = (_INSIDE if self._in_text else _MARKS).search(data, place)
            if found is None:
                self._keep(data[start:])
                return len(data)
            place = found.end()
            mark = found[0]
            if mark == b'"':
                self._in_text = not self._in_text
            elif mark == b"\\":
                if place == len(data):
                    self._escaped = True
                place += 1
            elif mark in b"{[":
                self._depth += 1
            else:
                self._depth -= 1
        self._keep(data[start:place])
        if self._failed:
            return len(data)
        read_frames(b"".join(self._object), frames)
        self._object.clear()
        self._size = 0
        return place

    def _keep(self, data: bytes) -> None:
        """Bytes of the unfinished object. Over the limit: what was found is given first, then feed raises."""
        self._object.append(data)
        self._size += len(data)
        if self._size > self.max_frame_bytes:
            self._failed = True
            self._object.clear()

    def _note(self, between: bytes) -> None:
        """Text where none belongs; its beginning is kept for the report."""
        if len(self._stray) < 1024:
            self._stray = (self._stray + between).lstrip(_BLANK)

    def _report(self, frames: list[Frame]) -> None:
        stray = self._stray.removeprefix(b"\xef\xbb\xbf").strip(_BLANK)
        if stray:
            frames.append(MalformedFrame(stray))
        self._stray = b""

    def close(self) -> list[Frame]:
        frames: list[Frame] = []
        if not self.done and not self._depth:
            self._report(frames)
        return frames


_SSE_FORMATS: Final = frozenset({"sse", "data_lines", "openai_sse", "gemini_sse", "cohere_native", "sse_data_lines"})
_LINE_FORMATS: Final = frozenset({"json_lines", "ndjson", "jsonl"})
_ARRAY_FORMATS: Final = frozenset({"gemini_json", "json_array"})


def create_decoder(config: Any = None, *, max_frame_bytes: int = MAX_FRAME_BYTES) -> Decoder:
    """The decoder that `streaming.decoder` describes; server-sent events if it says nothing.

    Raises ProtocolError for a format that is not known.
    """

    def said(name: str, default: str) -> str:
        value = config.get(name) if isinstance(config, dict) else getattr(config, name, None)
        return default if value is None else str(value)

    kind = said("format", "sse")
    signal = said("done_signal", _DONE)
    if kind in _LINE_FORMATS:
        return JsonLinesDecoder(said("delimiter", "\n"), done_signal=signal, max_frame_bytes=max_frame_bytes)
    if kind in _ARRAY_FORMATS:
        return JsonArrayDecoder(max_frame_bytes=max_frame_bytes)
    shape = AnthropicSSEDecoder if kind == "anthropic_sse" else SSEDecoder
    if kind in _SSE_FORMATS or shape is AnthropicSSEDecoder:
        return shape(said("delimiter", "\n\n"), said("prefix", "data: "), signal, max_frame_bytes=max_frame_bytes)
    known = ", ".join(sorted({*_SSE_FORMATS, *_LINE_FORMATS, *_ARRAY_FORMATS, "anthropic_sse"}))
    raise ProtocolError(f"unknown decoder format {kind!r}; expected one of {known}")
