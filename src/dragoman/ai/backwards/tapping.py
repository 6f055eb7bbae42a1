"""A stream of OpenAI's dialect on its way through: forwarded as bytes, with an ear on it.

`Tap` cuts what comes at the ends of frames and gives it on as it is; a frame is only decoded where a search over its
bytes says that it may hold the counts, the end or an error. What we asked the provider for and the client did not (the
chunk with the counts) is taken out, an error is never given on. Feed it bytes; it opens nothing.
"""

from __future__ import annotations

import re
from typing import Any

from pydantic_core import from_json

from dragoman.ai.errors import PipelineError, RemoteError
from dragoman.ai.pipeline.usage import normalise_usage
from dragoman.core.errors import ProtocolError
from dragoman.wire.sse import SSEDecoder

__all__ = ["Tap"]

MOST_FRAME_BYTES = 16 * 1024 * 1024

_USAGE = re.compile(rb'"usage"\s*:\s*\{')
_OUTPUT = re.compile(
    rb'"(?:content|reasoning_content|reasoning|thinking|refusal|arguments|input|data)"\s*:\s*"[^"]'
    rb'|"(?:tool_calls|content)"\s*:\s*\[\s*[^\]\s]|"(?:function_call|audio|message)"\s*:\s*\{'
)
"""The first words of an answer: until then an error can still be told with a status."""
_DONE = b"[DONE]"
_OPENING = re.compile(rb'(?:\A|(?<=\n\n))data: ?\{(?=\s*")')
_NAMED = rb'\g<0>"object":"chat.completion.chunk",'
"""Some servers leave out what a frame is, and the published client's helpers pass over such a frame."""


def _says_little(frames: bytes) -> bool:
    """Whether these frames are JSON objects of a line each that hold no counts, no end and no error, as nearly all do.

    In the text of a model each quote has a backslash before it, so these words are never text.
    """
    ends = frames.count(b'"finish_reason"')
    return (
        (ends == frames.count(b'"finish_reason":null') or ends == frames.count(b'"finish_reason": null'))
        and frames.count(b"\n") == 2 * frames.count(b"}\n\n")
        and b'"error"' not in frames
        and (b'"usage"' not in frames or _USAGE.search(frames) is None)
    )


class Tap:
    """`feed` gives the bytes that may go on. `usage` is normalised.

    `finished`: a finish reason has come, so the answer is whole. `done`: `[DONE]` has come and nothing more is read.
    `has_output`: something was said. `error`: the provider reported one, or sent what is no stream; nothing follows.
    """

    __slots__ = (
        "_classification",
        "_decoder",
        "_fresh",
        "_is_unnamed",
        "_pending",
        "_size",
        "_strip_usage",
        "done",
        "error",
        "finished",
        "has_output",
        "usage",
    )

    def __init__(self, *, strip_usage: bool, classification: Any = None) -> None:
        """`strip_usage`: the client did not ask for the chunk with the counts."""
        self.usage: dict[str, Any] | None = None
        self.finished = False
        self.done = False
        self.has_output = False
        self.error: RemoteError | PipelineError | None = None
        self._strip_usage = strip_usage
        self._classification = classification
        self._pending: list[bytes] = []
        self._size = 0
        self._fresh = True
        self._is_unnamed: bool | None = None
        self._decoder: SSEDecoder | None = None

    def feed(self, data: bytes) -> bytes:
        """The frames that these bytes complete, as far as they go on."""
        if self.done or self.error is not None or not data:
            return b""
        if self._decoder is not None or b"\r" in data or (self._fresh and data[:1] == b"\xef"):
            return self._decoded(data)
        self._fresh = False
        pending = self._pending
        if pending:
            if b"\n\n" not in data and not (data[:1] == b"\n" and pending[-1][-1:] == b"\n"):
                return self._keep(data)
            pending.append(data)
            data = b"".join(pending)
            pending.clear()
            self._size = 0
        cut = data.rfind(b"\n\n") + 2
        if cut < 2:
            return self._keep(data)
        if cut < len(data):
            self._keep(data[cut:])
            data = data[:cut]
        return self._passed(data)

    def close(self) -> bytes:
        """The connection is over: a last frame without its blank line counts."""
        if self.done or self.error is not None:
            return b""
        if self._decoder is not None:
            return self._decoded(b"\n\n")
        rest = b"".join(self._pending).strip()
        self._pending.clear()
        return self._passed(rest + b"\n\n") if rest else b""

    def _keep(self, rest: bytes) -> bytes:
        self._pending.append(rest)
        self._size += len(rest)
        if self._size > MOST_FRAME_BYTES:
            self._pending.clear()
            self.error = _too_large()
        return b""

    def _decoded(self, data: bytes) -> bytes:
        """Line ends of another kind: frame by frame, written anew."""
        if self._decoder is None:
            self._decoder = SSEDecoder(max_event_bytes=MOST_FRAME_BYTES)
            data = b"".join((*self._pending, data))
            self._pending.clear()
        try:
            payloads = self._decoder.feed_data(data)
        except ProtocolError:
            self.error = _too_large()
            return b""
        frames = b"".join(b"data: " + payload.replace(b"\n", b"\ndata: ") + b"\n\n" for payload in payloads)
        return self._passed(frames) if frames else b""

    def _passed(self, frames: bytes) -> bytes:
        """Whole frames: all of them go on, but for what a look at the bytes finds."""
        if not _says_little(frames):
            frames = self._sifted(frames)
        if not self.has_output and frames:
            self.has_output = _OUTPUT.search(frames) is not None
        if self._is_unnamed is None and (first := _OPENING.search(frames)):
            self._is_unnamed = b'"object"' not in frames[: frames.index(b"\n\n", first.end())]
        return _OPENING.sub(_NAMED, frames) if self._is_unnamed else frames

    def _sifted(self, frames: bytes) -> bytes:
        kept: list[bytes] = []
        for frame in frames.split(b"\n\n"):
            if not frame.strip():
                continue
            if _says_little(frame + b"\n\n") or self._look(frame):
                kept.append(frame + b"\n\n")
            if self.done or self.error is not None:
                break
        return b"".join(kept)

    def _look(self, frame: bytes) -> bool:
        """A frame that says more than text, or is none; whether it goes on."""
        lines = [line for line in frame.split(b"\n") if line.startswith(b"data:")]
        if not lines:
            return frame.lstrip().startswith(b":")  # a comment keeps the connection alive
        payload = b"\n".join(line[5:].strip() for line in lines)
        if payload == _DONE:
            self.done = True
            return True
        try:
            value = from_json(payload)
        except ValueError:
            return False
        if not isinstance(value, dict):
            return False
        if value.get("error") or value.get("type") == "error":
            self.error = RemoteError.from_frame(value.get("error") or value, classification=self._classification)
            return False
        return self._counted(value)

    def _counted(self, value: dict[str, Any]) -> bool:
        groq = value.get("x_groq")
        usage = value.get("usage") or (groq.get("usage") if isinstance(groq, dict) else None)
        if isinstance(usage, dict) and usage:
            self.usage = normalise_usage(usage)
        choices = value.get("choices")
        if not choices:
            return not (self._strip_usage and isinstance(usage, dict))
        if isinstance(choices, list) and any(isinstance(one, dict) and one.get("finish_reason") for one in choices):
            self.finished = True
        return True


def _too_large() -> PipelineError:
    return PipelineError(f"a frame has more than {MOST_FRAME_BYTES} bytes", operator="decoder")
