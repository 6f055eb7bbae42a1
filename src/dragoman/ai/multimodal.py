"""What kinds of content a manifest's provider takes and gives, and checks of messages against it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from dragoman.ai.types.message import ContentBlock

__all__ = ["Modality", "MultimodalCapabilities", "detect_modalities", "validate_content_modalities"]


class Modality(StrEnum):
    """A kind of content."""

    TEXT = "text"
    IMAGE = "image"
    AUDIO = "audio"
    VIDEO = "video"


_INPUTS = (("vision", Modality.IMAGE), ("audio", Modality.AUDIO), ("video", Modality.VIDEO))
_OUTPUTS = (("image", Modality.IMAGE), ("audio", Modality.AUDIO), ("video", Modality.VIDEO))
_BLOCKS = {
    "image": Modality.IMAGE,
    "image_url": Modality.IMAGE,
    "input_image": Modality.IMAGE,
    "audio": Modality.AUDIO,
    "input_audio": Modality.AUDIO,
    "video": Modality.VIDEO,
    "video_url": Modality.VIDEO,
    "input_video": Modality.VIDEO,
}
_SAME = {
    "jpg": "jpeg",
    "mpeg": "mp3",
    "x-wav": "wav",
    "wave": "wav",
    "mpga": "mp3",
    "quicktime": "mov",
    "svg+xml": "svg",
}


def _text_alone() -> set[Modality]:
    return {Modality.TEXT}


@dataclass
class MultimodalCapabilities:
    """By a manifest's `multimodal` section. An empty list of formats means that none is named, not that none goes."""

    input_modalities: set[Modality] = field(default_factory=_text_alone)
    output_modalities: set[Modality] = field(default_factory=_text_alone)
    image_formats: list[str] = field(default_factory=list)
    audio_formats: list[str] = field(default_factory=list)
    video_formats: list[str] = field(default_factory=list)
    max_image_size: str | None = None
    max_audio_duration: str | None = None
    supports_omni: bool = False
    supports_realtime_voice: bool = False

    @classmethod
    def from_config(cls, config: Mapping[str, Any] | None) -> MultimodalCapabilities:
        """Text alone where there is no section."""
        taken, given, omni = _part(config, "input"), _part(config, "output"), _part(config, "omni_mode")
        inputs = {kind for name, kind in _INPUTS if _part(taken, name).get("supported") is True}
        outputs = {kind for name, kind in _OUTPUTS if _part(given, name).get("supported") is True}
        is_omni = omni.get("supported") is True
        if is_omni:
            inputs |= _named(omni.get("input_modalities"))
            outputs |= _named(omni.get("output_modalities"))
        return cls(
            _text_alone() | inputs,
            (_text_alone() if given.get("text", True) is not False else set()) | outputs,
            _listed(_part(taken, "vision")),
            _listed(_part(taken, "audio")),
            _listed(_part(taken, "video")),
            _part(taken, "vision").get("max_file_size"),
            _part(taken, "audio").get("max_duration"),
            is_omni,
            is_omni and omni.get("real_time_voice_chat") is True,
        )

    def supports_input(self, modality: Modality) -> bool:
        return modality in self.input_modalities

    def supports_output(self, modality: Modality) -> bool:
        return modality in self.output_modalities

    def validate_image_format(self, fmt: str) -> bool:
        """Whether an image of this format, ending or media type, is taken."""
        return self._takes(Modality.IMAGE, self.image_formats, fmt)

    def validate_audio_format(self, fmt: str) -> bool:
        return self._takes(Modality.AUDIO, self.audio_formats, fmt)

    def validate_video_format(self, fmt: str) -> bool:
        return self._takes(Modality.VIDEO, self.video_formats, fmt)

    def _takes(self, modality: Modality, formats: list[str], fmt: str) -> bool:
        return self.supports_input(modality) and (not formats or _format(fmt) in map(_format, formats))


def detect_modalities(content_blocks: Iterable[ContentBlock | Mapping[str, Any]]) -> set[Modality]:
    """The kinds of content that blocks have; what is no picture, sound or film is text."""
    return {_BLOCKS.get(_type(block), Modality.TEXT) for block in content_blocks}


def validate_content_modalities(
    blocks: Iterable[ContentBlock | Mapping[str, Any]], caps: MultimodalCapabilities
) -> list[Modality]:
    """The kinds among the blocks that are not taken, in the order of `Modality`; none when all is well."""
    found = detect_modalities(blocks)
    return [one for one in Modality if one in found and not caps.supports_input(one)]


def _type(block: ContentBlock | Mapping[str, Any]) -> str:
    return str(block.get("type", "")) if isinstance(block, Mapping) else block.type


def _part(holder: Any, name: str) -> Mapping[str, Any]:
    value = holder.get(name) if isinstance(holder, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def _listed(section: Mapping[str, Any]) -> list[str]:
    formats = section.get("formats")
    return [str(one) for one in formats] if isinstance(formats, list | tuple) else []


def _named(names: Any) -> set[Modality]:
    known = {one.value: one for one in Modality}
    return {known[name] for name in names if name in known} if isinstance(names, list | tuple) else set()


def _format(name: str) -> str:
    """An ending or a media type as the plain word: `.JPG` and `image/jpeg` are `jpeg`."""
    word = name.strip().lower().partition(";")[0].rpartition("/")[2].lstrip(".")
    return _SAME.get(word, word)
