"""Kinds of content that a manifest takes and gives."""

from __future__ import annotations

from typing import Any

import pytest

from dragoman.ai.multimodal import Modality, MultimodalCapabilities, detect_modalities, validate_content_modalities
from dragoman.ai.protocol import ProtocolLoader
from dragoman.ai.types import ContentBlock

pytestmark = pytest.mark.requirement("AIP-102")

SECTION: dict[str, Any] = {
    "input": {
        "vision": {"supported": True, "formats": ["jpeg", "png"], "max_file_size": "20MB"},
        "audio": {"supported": True, "formats": ["mp3", "wav"], "max_duration": "10m"},
        "video": {"supported": False, "formats": ["mp4"]},
    },
    "output": {"text": True, "image": {"supported": True, "formats": ["png"]}},
}
IMAGE = ContentBlock.image_url("https://x.test/a.png")


def test_capabilities_come_from_the_manifest() -> None:
    found = MultimodalCapabilities.from_config(SECTION)
    assert found.input_modalities == {Modality.TEXT, Modality.IMAGE, Modality.AUDIO}
    assert found.output_modalities == {Modality.TEXT, Modality.IMAGE}
    assert (found.max_image_size, found.max_audio_duration, found.supports_omni) == ("20MB", "10m", False)
    assert found.supports_input(Modality.AUDIO)
    assert not found.supports_output(Modality.AUDIO)


@pytest.mark.parametrize("section", [None, {}, {"input": None, "output": []}])
def test_without_a_section_there_is_text_alone(section: Any) -> None:
    assert MultimodalCapabilities.from_config(section) == MultimodalCapabilities()


def test_omni_models_take_and_give_what_they_list() -> None:
    omni = {"supported": True, "input_modalities": ["video", "smell"], "output_modalities": ["audio"]}
    found = MultimodalCapabilities.from_config(
        {"omni_mode": {**omni, "real_time_voice_chat": True}, "output": {"text": False}}
    )
    assert found.input_modalities == {Modality.TEXT, Modality.VIDEO}
    assert found.output_modalities == {Modality.AUDIO}
    assert (found.supports_omni, found.supports_realtime_voice) == (True, True)


@pytest.mark.parametrize(
    ("kind", "name", "taken"),
    [
        ("image", "png", True),
        ("image", "JPG", True),
        ("image", "image/jpeg", True),
        ("image", ".png", True),
        ("image", "tiff", False),
        ("audio", "audio/mpeg", True),
        ("audio", "audio/wav; codec=1", True),
        ("audio", "flac", False),
        ("video", "mp4", False),
    ],
)
def test_formats_are_checked_by_any_of_their_names(kind: str, name: str, taken: bool) -> None:
    found = MultimodalCapabilities.from_config(SECTION)
    assert getattr(found, f"validate_{kind}_format")(name) is taken


def test_where_no_format_is_named_all_may_go() -> None:
    assert MultimodalCapabilities(input_modalities={Modality.VIDEO}).validate_video_format("mkv")


def test_blocks_tell_what_they_are() -> None:
    blocks: list[Any] = [ContentBlock.text_block("a"), IMAGE, {"type": "input_audio"}, {"type": "video_url"}, {}]
    assert detect_modalities(blocks) == set(Modality)
    assert detect_modalities([]) == set()
    assert detect_modalities([ContentBlock.document_base64("YQ==")]) == {Modality.TEXT}


def test_what_is_not_taken_is_named() -> None:
    blocks: list[Any] = [{"type": "video"}, IMAGE, ContentBlock.text_block("a")]
    assert validate_content_modalities(blocks, MultimodalCapabilities()) == [Modality.IMAGE, Modality.VIDEO]
    assert validate_content_modalities(blocks, MultimodalCapabilities.from_config(SECTION)) == [Modality.VIDEO]
    assert validate_content_modalities([], MultimodalCapabilities()) == []


def test_shipped_manifests_are_read() -> None:
    found = MultimodalCapabilities.from_config(ProtocolLoader().load_provider_sync("openai").multimodal)
    assert validate_content_modalities([IMAGE], found) == []
    assert found.validate_image_format("webp")
