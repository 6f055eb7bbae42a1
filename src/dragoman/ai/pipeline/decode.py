"""Decoders: bytes of a stream → frames, incremental; any split of the bytes gives the same frames.

One decoder serves one stream; `fresh()` gives an unused one of the same settings. They stand on the
codecs of `wire` and know JSON and the end of a stream, but no provider's words. Frames that cannot
be read come out as `MalformedFrame`, so that nothing vanishes.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, Final

from dragoman.ai.errors import PipelineError, ProtocolError
from dragoman.ai.pipeline.frames import Frame, MalformedFrame, read_frames
from dragoman.ai.pipeline.json_array import ArraySplitter
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
    `decode` is the same over an async stream of bytes. Decoders of ours are two steps, `payloads`
    and `read`; a class of yours may override `feed`, or only `decode` where nothing is fed.
    """

    done: bool = False
    signalled: bool = False
    """Whether the done signal itself came."""
    last_type: str | None = None
    """The `type` of the frame that is the stream's own end."""
    _signal: bytes = b""

    def payloads(self, data: bytes) -> list[tuple[bytes, bytes]]:
        """(payload, event name) of what these bytes complete. Raises PipelineError for one over the limit."""
        raise PipelineError(f"{type(self).__name__} cannot be fed; use decode()", operator="decoder")

    def splitter(self) -> Callable[[bytes], list[tuple[bytes, bytes]]]:
        """The shortest way to `payloads`, for whoever asks once per read; it may raise the core's ProtocolError."""
        return self.payloads

    def read(self, payload: bytes, name: bytes = b"") -> list[Frame]:
        """The frames of one payload: none if it is blank or the done signal, which sets `done`."""
        stripped = payload.strip()
        if not stripped:
            return []
        if stripped == self._signal:
            self.done = self.signalled = True
            return []
        frames = read_frames(payload)
        for frame in frames:
            if name and not isinstance(frame, MalformedFrame):
                frame.setdefault("type", name.decode("utf-8", "replace"))
            if self.last_type is not None and frame.get("type") == self.last_type:
                self.done = True
        return frames

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that these bytes complete. Raises PipelineError for a frame over the limit."""
        return [] if self.done else self._read_all(self.payloads(data))

    def _read_all(self, payloads: list[tuple[bytes, bytes]]) -> list[Frame]:
        frames: list[Frame] = []
        for payload, name in payloads:
            frames += self.read(payload, name)
            if self.signalled or (self.done and self.last_type is not None):
                break  # what stands behind the end is not read
        return frames

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


def too_large(error: core.ProtocolError) -> PipelineError:
    """The error of a codec as one of the pipeline."""
    if isinstance(error, PipelineError):
        return error
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

    def payloads(self, data: bytes) -> list[tuple[bytes, bytes]]:
        if self._lines is not None:
            data = self._lines.feed(data)
        try:
            return self._codec.feed_named(data)
        except core.ProtocolError as error:
            raise too_large(error) from error

    def splitter(self) -> Callable[[bytes], list[tuple[bytes, bytes]]]:
        return self._codec.feed_named if self._lines is None else self.payloads

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

    def payloads(self, data: bytes) -> list[tuple[bytes, bytes]]:
        try:
            return [(line, b"") for line in self._codec.feed_data(data)]
        except core.ProtocolError as error:
            raise too_large(error) from error

    def close(self) -> list[Frame]:
        if self.done:
            return []
        try:
            lines = self._codec.end_data()
        except core.ProtocolError as error:
            raise too_large(error) from error
        return [frame for frame in self._read_all([(line, b"") for line in lines]) if type(frame) is not MalformedFrame]


class JsonArrayDecoder(Decoder):
    """One growing JSON array whose objects come out as they complete; the closing bracket ends it."""

    def __init__(self, *, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        self.max_frame_bytes = max_frame_bytes
        self._codec = ArraySplitter(max_object_bytes=max_frame_bytes)

    def fresh(self) -> JsonArrayDecoder:
        return type(self)(max_frame_bytes=self.max_frame_bytes)

    def payloads(self, data: bytes) -> list[tuple[bytes, bytes]]:
        try:
            found = [(one, b"") for one in self._codec.feed(data)]
        except core.ProtocolError as error:
            raise too_large(error) from error
        self.done = self._codec.done
        return found

    def close(self) -> list[Frame]:
        return [] if self.done else self._read_all([(one, b"") for one in self._codec.end()])


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
