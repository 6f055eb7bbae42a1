"""Text to speech: a text in, the bytes of a recording out.

client = await TtsClient.builder().model("openai/tts-1").build()
spoken = await client.synthesize("Hello", TtsOptions(voice="alloy"))
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from dragoman.ai.client.target import Target
from dragoman.ai.errors import ValidationError
from dragoman.ai.services.building import ServiceBuilder
from dragoman.ai.services.operation import Operation, ServiceClient, json_of
from dragoman.ai.transport.response import HttpResponse

__all__ = ["AudioFormat", "AudioOutput", "TtsClient", "TtsClientBuilder", "TtsOptions"]

_USUAL = "/audio/speech"
TEXT_TO_SPEECH = Operation(
    "text_to_speech",
    "tts",
    {"openai_chat": _USUAL, "openai_responses": _USUAL, "custom": _USUAL},
    others=("tts", "speech"),
)


class AudioFormat(str, Enum):  # noqa: UP042  # `str()` of a member is documented to name the member
    """Formats of recordings."""

    Mp3 = "mp3"
    Opus = "opus"
    Aac = "aac"
    Flac = "flac"
    Wav = "wav"
    Pcm = "pcm"

    @classmethod
    def from_str(cls, s: str) -> AudioFormat:
        """The format of a name, case-blind. Raises ValueError for another."""
        return cls(s.strip().lower())


_BY_TYPE = {
    "audio/mpeg": AudioFormat.Mp3,
    "audio/mp3": AudioFormat.Mp3,
    "audio/opus": AudioFormat.Opus,
    "audio/ogg": AudioFormat.Opus,
    "audio/aac": AudioFormat.Aac,
    "audio/flac": AudioFormat.Flac,
    "audio/x-flac": AudioFormat.Flac,
    "audio/wav": AudioFormat.Wav,
    "audio/x-wav": AudioFormat.Wav,
    "audio/wave": AudioFormat.Wav,
    "audio/pcm": AudioFormat.Pcm,
}


@dataclass
class AudioOutput:
    """A recording: its bytes, and their format as the provider tells it, else as it was asked for."""

    data: bytes = field(repr=False)
    format: AudioFormat = AudioFormat.Mp3


@dataclass
class TtsOptions:
    """`voice` and `response_format` are the provider's words; `speed` 1 is normal."""

    voice: str | None = None
    speed: float | None = None
    response_format: str | None = None


class TtsClient(ServiceClient):
    """Make one by `builder()`; close it, or use it in `async with`."""

    operation = TEXT_TO_SPEECH

    @classmethod
    def builder(cls) -> TtsClientBuilder:
        return TtsClientBuilder(cls)

    async def synthesize(self, text: str, options: TtsOptions | None = None, **extra: Any) -> AudioOutput:
        """The recording of a text. `extra` goes along as it is. Raises as a chat does."""
        if not text:
            raise ValidationError("there is no text to speak", field="text", expected="a text")
        told = options or TtsOptions()
        manifest, endpoint = await self._place()
        body = {
            "model": self.model,
            "input": text,
            "voice": told.voice,
            "response_format": told.response_format,
            "speed": told.speed,
            **extra,
        }

        def read(response: HttpResponse) -> AudioOutput:
            if response.media_type.endswith("json"):
                json_of(response, manifest)  # which raises what it reports
            if response.media_type.endswith("json") or response.media_type[:5] == "text/" or not response.content:
                raise response.not_understood("expected a recording")
            return AudioOutput(response.content, _format(response.media_type, told.response_format))

        body = {name: value for name, value in body.items() if value is not None}
        return await self._ask(manifest, endpoint, read, json=body, accept="*/*")


class TtsClientBuilder(ServiceBuilder[TtsClient]):
    """Every setter returns the builder; `await build()` gives the client."""

    def __init__(self, made: type[TtsClient] = TtsClient) -> None:
        """`made` is the class of the client."""
        super().__init__()
        self._class = made

    def _client(self, target: Target) -> TtsClient:
        return self._class(target, endpoint=self._given_endpoint())


def _format(media_type: str, asked: str | None) -> AudioFormat:
    known = _BY_TYPE.get(media_type)
    if known is not None:
        return known
    named = [one for one in AudioFormat if one.value == (asked or "").lower()]
    return named[0] if named else AudioFormat.Mp3
