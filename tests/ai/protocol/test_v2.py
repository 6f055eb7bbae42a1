"""The typed view of v2."""

from __future__ import annotations

from typing import Any

import pytest
from tests.ai.protocol.documents import small

from dragoman.ai.errors import ProtocolError
from dragoman.ai.protocol import ProtocolLoader
from dragoman.ai.protocol.v2 import (
    ApiStyle,
    CapabilitiesV2,
    Capability,
    FeatureFlags,
    LegacyCapabilities,
    ManifestV2,
    contract_for_api_style,
)

pytestmark = pytest.mark.requirement("AIP-98")


def test_required_and_optional_are_all() -> None:
    made = CapabilitiesV2(required=["text", "tools"], optional=["vision", "text"])
    assert made.all_capabilities() == [Capability.TEXT, Capability.TOOLS, Capability.VISION]
    assert made.required_capabilities() == ["text", "tools"]
    assert made.has_capability(Capability.VISION)
    assert made.has_capability("tools")
    assert not made.has_capability(Capability.AUDIO)
    assert CapabilitiesV2().required == [Capability.TEXT]


@pytest.mark.parametrize(
    "raw",
    [
        {"required": ["text"], "optional": ["streaming", "tools"]},
        {"streaming": True, "tools": True, "vision": False},
        ["chat", "streaming", "tools"],
    ],
)
def test_all_three_shapes_are_read(raw: Any) -> None:
    made = CapabilitiesV2.from_raw(raw)
    assert set(made.all_capabilities()) == {Capability.TEXT, Capability.STREAMING, Capability.TOOLS}


def test_legacy_booleans_become_capabilities_and_flags() -> None:
    said = LegacyCapabilities(streaming=True, tools=True, parallel_tools=True, reasoning=True)
    made = CapabilitiesV2.from_legacy(said)
    assert made.required == [Capability.TEXT, Capability.STREAMING]
    assert made.optional == [Capability.TOOLS, Capability.PARALLEL_TOOLS, Capability.REASONING]
    assert made.feature_flags == FeatureFlags(parallel_tool_calls=True, extended_thinking=True)
    assert CapabilitiesV2.from_raw(None).all_capabilities() == [Capability.TEXT]


def test_a_word_of_tomorrow_is_kept() -> None:
    made = CapabilitiesV2.from_raw({"required": ["text", "telepathy"], "optional": ["rerank"]})
    assert made.has_capability("telepathy")
    assert made.has_capability(Capability.RERANKING)


def test_a_manifest_in_the_words_of_v2() -> None:
    loader = ProtocolLoader()
    gemini = ManifestV2.of(loader.load_provider_sync("gemini"))
    assert (gemini.api_style, gemini.is_v2, gemini.protocol_semver) == (ApiStyle.GEMINI_GENERATE, True, (2, 0, 0))
    assert gemini.chat_path == "/models/{model}:generateContent"
    assert gemini.aliases == ["google"]
    assert gemini.mcp_client_supported()
    assert gemini.computer_use_supported()
    assert gemini.has_capability(Capability.VIDEO)
    ollama = ManifestV2.of(loader.load_provider_sync("ollama"))
    assert (ollama.api_style, ollama.is_v2, ollama.base_url) == (ApiStyle.CUSTOM, False, "http://127.0.0.1:11434")
    assert ManifestV2.of(loader.load_provider_sync("anthropic")).detect_api_style() == ApiStyle.ANTHROPIC_MESSAGES


def test_a_document_is_enough() -> None:
    made = ManifestV2(**small(capabilities={"required": ["text"]}, feature_flags={"structured_output": True}))
    assert made.capabilities.feature_flags.structured_output
    assert made.chat_path == "/chat/completions"
    assert made.tool_calling() is None
    assert not made.mcp_client_supported()
    assert not made.is_v2
    stated = ManifestV2(**small(api_style="anthropic_messages"))
    assert stated.api_style == ApiStyle.ANTHROPIC_MESSAGES


def test_a_style_has_a_contract() -> None:
    contract = contract_for_api_style(ApiStyle.ANTHROPIC_MESSAGES)
    document = contract.request_mapping.content_block_mapping["document"]
    assert (document.format, document.ref_resolution) == ("anthropic_document", "error_before_encode")
    with pytest.raises(ProtocolError, match="there is no contract for the API style 'custom'"):
        contract_for_api_style("custom")
