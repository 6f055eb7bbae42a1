"""Which family of wires a manifest speaks, by its words alone."""

from __future__ import annotations

from typing import Any

import pytest
from tests.ai.protocol.documents import small

from dragoman.ai.protocol import ProtocolLoader, ProtocolManifest

pytestmark = pytest.mark.requirement("AIP-17")


@pytest.mark.parametrize(
    ("words", "adapter"),
    [
        ({}, "openai_chat"),
        (
            {"endpoints": {"chat": {"path": "/c", "adapter": "cohere_native"}}, "payload_format": "openai_style"},
            "cohere_v2",
        ),
        ({"provider_contract": {"api_style": "gemini_generate"}, "payload_format": "openai_style"}, "gemini"),
        ({"provider_contract": {"api_style": "custom"}, "payload_format": "openai_style"}, "custom"),
        ({"payload_format": "anthropic_style"}, "anthropic"),
        ({"streaming": {"decoder": {"strategy": "anthropic_event_stream"}}}, "anthropic"),
        ({"streaming": {"decoder": {"format": "gemini_sse"}}}, "gemini"),
        ({"streaming": {"decoder": {"strategy": "sse_ignore_comments"}}}, "openai_chat"),
        ({"payload_format": "responses"}, "openai_responses"),
        ({"payload_format": "ollama_chat"}, "ollama"),
        ({"payload_format": "acme_tongue"}, "custom"),
        ({"endpoints": {"chat": {"path": "/c", "adapter": "acme_tongue"}}, "payload_format": "gemini_style"}, "gemini"),
        ({"endpoints": {"chat": {"path": "/c", "adapter": "acme_tongue"}}}, "custom"),
        ({"id": "cohere"}, "cohere_v2"),
    ],
)
def test_the_first_known_word_decides(words: dict[str, Any], adapter: str) -> None:
    assert ProtocolManifest(**{**small(), **words}).adapter == adapter


@pytest.mark.parametrize("generation", ["v1", "v2"])
def test_the_collected_set_is_understood(generation: str) -> None:
    found = {entry.id: entry.manifest for entry in ProtocolLoader(generation=generation).providers()}
    chosen = {name: manifest.adapter for name, manifest in found.items() if manifest is not None}
    named = {"anthropic": "anthropic", "gemini": "gemini", "cohere": "cohere_v2", "ollama": "ollama"}
    named["openai-responses"] = "openai_responses"
    assert chosen == {name: named.get(name, "openai_chat") for name in chosen}


@pytest.mark.parametrize(
    ("words", "path"),
    [
        ("openai", "/chat/completions"),
        ("responses", "/responses"),
        ("anthropic", "/messages"),
        ("gemini", "/models/{model}:generateContent"),
        ("cohere", "/chat"),
        ("ollama", "/api/chat"),
    ],
)
def test_a_family_knows_its_path_when_none_is_given(words: str, path: str) -> None:
    assert ProtocolManifest(**small(payload_format=words)).get_chat_endpoint() == path
