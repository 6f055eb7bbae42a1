"""Document blocks in the form of a provider contract."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from dragoman.ai.types.manifest_encode import (
    encode_blocks_for_anthropic_contract,
    encode_blocks_for_api_style,
    encode_blocks_for_gemini_contract,
)

pytestmark = pytest.mark.requirement("AIP-101")

TEXT = {"block_type": "text", "text": "Sum up"}
PDF = {"block_type": "document", "source_type": "base64", "data": "JVBERg==", "mime_type": "application/pdf"}
LINK = {"block_type": "document", "source_type": "url", "data": "https://example.org/a.pdf"}
REF = {"block_type": "document", "source_type": "ref", "data": "upload://a"}


def contract(**document: Any) -> dict[str, Any]:
    return {"request_mapping": {"content_block_mapping": {"document": document}}}


def test_anthropic_blocks_have_a_source() -> None:
    assert encode_blocks_for_anthropic_contract([TEXT, PDF, LINK]) == [
        {"type": "text", "text": "Sum up"},
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="}},
        {"type": "document", "source": {"type": "url", "url": "https://example.org/a.pdf"}},
    ]


def test_gemini_parts_hold_the_data_inline() -> None:
    assert encode_blocks_for_gemini_contract([TEXT, PDF, LINK]) == [
        {"text": "Sum up"},
        {"inlineData": {"mimeType": "application/pdf", "data": "JVBERg=="}},
        {"fileData": {"mimeType": "application/pdf", "fileUri": "https://example.org/a.pdf"}},
    ]


def test_the_contract_says_what_type_a_document_has_by_default() -> None:
    block = {"block_type": "document", "data": "eA=="}
    (part,) = encode_blocks_for_api_style("gemini_generate", [block], contract(default_mime_type="text/plain"))
    assert part["inlineData"]["mimeType"] == "text/plain"
    (part,) = encode_blocks_for_api_style("gemini_generate", [block])
    assert part["inlineData"]["mimeType"] == "application/pdf"


@pytest.mark.parametrize("style", ["anthropic_messages", "gemini_generate"])
def test_a_reference_is_refused_before_anything_is_encoded(style: str) -> None:
    with pytest.raises(ValueError, match="block 1 is a document by reference"):
        encode_blocks_for_api_style(style, [TEXT, REF])
    with pytest.raises(ValueError, match="block 0 is a document by reference"):
        encode_blocks_for_api_style(style, [REF], contract(ref_resolution="error_before_encode"), resolve=lambda _: PDF)


def test_a_reference_is_resolved_when_the_contract_allows_it() -> None:
    allowed = contract(ref_resolution="resolve_at_runtime")
    seen: list[Mapping[str, Any]] = []

    def resolve(block: Mapping[str, Any]) -> Mapping[str, Any]:
        seen.append(block)
        return PDF

    assert encode_blocks_for_api_style("anthropic_messages", [REF], allowed, resolve=resolve) == (
        encode_blocks_for_anthropic_contract([PDF])
    )
    assert seen == [REF]
    with pytest.raises(ValueError, match="by reference"):
        encode_blocks_for_api_style("anthropic_messages", [REF], allowed)
    with pytest.raises(ValueError, match="still a reference"):
        encode_blocks_for_api_style("anthropic_messages", [REF], allowed, resolve=lambda block: block)


@pytest.mark.parametrize(
    ("block", "problem"),
    [
        ({"block_type": "image", "data": "x"}, "block_type 'image'"),
        ({"block_type": "document", "source_type": "file", "data": "x"}, "source_type 'file'"),
        ({"block_type": "document"}, "has no data"),
    ],
)
def test_a_block_that_cannot_be_encoded_is_named(block: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=f"block 0 .*{problem}|block 0 {problem}"):
        encode_blocks_for_api_style("anthropic_messages", [block])


def test_other_styles_are_refused() -> None:
    with pytest.raises(ValueError, match="'openai_compatible'; expected one of anthropic_messages, gemini_generate"):
        encode_blocks_for_api_style("openai_compatible", [])
