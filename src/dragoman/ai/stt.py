"""Speech to text: the bytes of a recording in, what was said out.

client = await SttClient.builder().model("openai/whisper-1").build()
said = await client.transcribe(Path("hello.wav").read_bytes())
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dragoman.ai.client.target import Target
from dragoman.ai.errors import PipelineError, ValidationError
from dragoman.ai.services.building import ServiceBuilder
from dragoman.ai.services.operation import Operation, ServiceClient, json_of
from dragoman.ai.transport.response import HttpResponse

__all__ = ["SttClient", "SttClientBuilder", "SttOptions", "Transcription", "TranscriptionSegment"]

_USUAL = "/audio/transcriptions"
SPEECH_TO_TEXT = Operation(
    "speech_to_text",
    "stt",
    {"openai_chat": _USUAL, "openai_responses": _USUAL, "custom": _USUAL},
    others=("stt", "transcriptions"),
)

_MARKS: tuple[tuple[int, bytes, str, str], ...] = (
    (8, b"WAVE", "wav", "audio/wav"),
    (0, b"ID3", "mp3", "audio/mpeg"),
    (0, b"\xff\xfb", "mp3", "audio/mpeg"),
    (0, b"\xff\xf3", "mp3", "audio/mpeg"),
    (0, b"OggS", "ogg", "audio/ogg"),
    (0, b"fLaC", "flac", "audio/flac"),
    (4, b"ftyp", "m4a", "audio/mp4"),
    (0, b"\x1aE\xdf\xa3", "webm", "audio/webm"),
)
"""Place, bytes there → ending and media type. Providers go by the name of the file."""


_DOCUMENTS = ("text", "srt", "vtt")
"""Formats of which the whole answer is the text."""


@dataclass
class TranscriptionSegment:
    """A stretch of the recording, in seconds."""

    id: int
    start: float
    end: float
    text: str


@dataclass
class Transcription:
    """What was said. Everything but the text is None where the provider does not tell."""

    text: str
    language: str | None = None
    confidence: float | None = None
    segments: list[TranscriptionSegment] | None = None
    duration: float | None = None

    @classmethod
    def from_openai_format(cls, data: Mapping[str, Any]) -> Transcription:
        """Raises PipelineError without a text."""
        if not isinstance(data.get("text"), str):
            raise PipelineError("the answer has no `text`", operator="stt")
        rows = data.get("segments")
        segments = [_segment(place, row) for place, row in enumerate(rows)] if isinstance(rows, list) else None
        return cls(data["text"], data.get("language"), data.get("confidence"), segments, data.get("duration"))


@dataclass
class SttOptions:
    """What is known of the recording and wanted of the answer.

    `response_format` is the provider's word (`json`, `verbose_json`, `text`, `srt`, `vtt`); of the last
    three the answer's text is the whole document. `filename` and `media_type` are found out from
    the bytes where they are not given.
    """

    language: str | None = None
    prompt: str | None = None
    temperature: float | None = None
    response_format: str | None = None
    filename: str | None = None
    media_type: str | None = None


class SttClient(ServiceClient):
    """Make one by `builder()`; close it, or use it in `async with`."""

    operation = SPEECH_TO_TEXT

    @classmethod
    def builder(cls) -> SttClientBuilder:
        return SttClientBuilder(cls)

    async def transcribe(self, audio: bytes, options: SttOptions | None = None, **extra: Any) -> Transcription:
        """What a recording says. `extra` fields go along as they are. Raises as a chat does."""
        if not audio:
            raise ValidationError("there is no recording to transcribe", field="audio", expected="bytes")
        told = options or SttOptions()
        manifest, endpoint = await self._place()
        fields = {
            "model": self.model,
            "language": told.language,
            "prompt": told.prompt,
            "response_format": told.response_format,
            "temperature": told.temperature,
            **extra,
        }
        fields = {name: value for name, value in fields.items() if value is not None}
        ending, kind = _kind(audio)
        name, kind = told.filename or f"audio.{ending}", told.media_type or kind

        is_document = fields.get("response_format") in _DOCUMENTS

        def read(response: HttpResponse) -> Transcription:
            if response.media_type.endswith("json") or (not is_document and response.content.lstrip()[:1] == b"{"):
                return Transcription.from_openai_format(_object(json_of(response, manifest)))
            return Transcription(response.text)

        if endpoint.request_encoding in ("json", "form"):
            body = {**fields, "file": base64.b64encode(audio).decode()}
            form = endpoint.request_encoding == "form"
            return await self._ask(manifest, endpoint, read, json=None if form else body, data=body if form else None)
        return await self._ask(manifest, endpoint, read, data=fields, files={"file": (name, audio, kind)})


class SttClientBuilder(ServiceBuilder[SttClient]):
    """Every setter returns the builder; `await build()` gives the client."""

    def __init__(self, made: type[SttClient] = SttClient) -> None:
        """`made` is the class of the client."""
        super().__init__()
        self._class = made

    def _client(self, target: Target) -> SttClient:
        return self._class(target, endpoint=self._given_endpoint())


def _kind(audio: bytes) -> tuple[str, str]:
    for place, mark, ending, kind in _MARKS:
        if audio[place : place + len(mark)] == mark:
            return ending, kind
    return "wav", "application/octet-stream"


def _object(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise PipelineError(f"expected an object with `text`, got a {type(value).__name__}", operator="stt")
    return value


def _segment(place: int, row: Any) -> TranscriptionSegment:
    try:
        return TranscriptionSegment(
            int(row.get("id", place)), float(row["start"]), float(row["end"]), str(row.get("text", ""))
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise PipelineError(f"segment {place} of the answer cannot be read", operator="stt") from error
