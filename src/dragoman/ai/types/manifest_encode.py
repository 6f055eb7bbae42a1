"""Content blocks in the form that a provider contract asks for.

For callers that build requests themselves; the adapters do this for the client. A block is a
plain dict: `block_type` text or document, `text`, `source_type` base64, url or ref, `data`,
`mime_type`. Only the document mapping of a contract matters here; without a contract, the one
that every provider of the style has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

__all__ = [
    "encode_blocks_for_anthropic_contract",
    "encode_blocks_for_api_style",
    "encode_blocks_for_gemini_contract",
]

_DEFAULT_MIME_TYPE = "application/pdf"
_REFUSE = "error_before_encode"


def encode_blocks_for_api_style(
    api_style: str,
    blocks: Iterable[Mapping[str, Any]],
    contract: Any = None,
    *,
    resolve: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None,
) -> list[dict[str, Any]]:
    """The blocks as `anthropic_messages` or `gemini_generate` has them.

    `contract` is a provider contract, an object or a mapping. A document given by reference is
    refused before anything is encoded, unless the contract says `resolve_at_runtime` and `resolve`
    turns the block into one with data. ValueError names the style or the block that cannot be encoded.
    """
    encode = _ENCODERS.get(str(api_style))
    if encode is None:
        raise ValueError(f"no block encoding for api style {api_style!r}; expected one of {', '.join(_ENCODERS)}")
    mapping = _document_mapping(contract)
    default = str(_part(mapping, "default_mime_type") or _DEFAULT_MIME_TYPE)
    refuse = str(_part(mapping, "ref_resolution") or _REFUSE) == _REFUSE
    resolved = [_resolved(block, at, None if refuse else resolve) for at, block in enumerate(blocks)]
    return [encode(block, at, default) for at, block in enumerate(resolved)]


def encode_blocks_for_anthropic_contract(blocks: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The blocks as `anthropic_messages` has them."""
    return encode_blocks_for_api_style("anthropic_messages", blocks)


def encode_blocks_for_gemini_contract(blocks: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The blocks as `gemini_generate` has them."""
    return encode_blocks_for_api_style("gemini_generate", blocks)


def _resolved(
    block: Mapping[str, Any], at: int, resolve: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None
) -> Mapping[str, Any]:
    if block.get("source_type") != "ref":
        return block
    if resolve is None:
        shown = block.get("data")
        raise ValueError(f"block {at} is a document by reference ({shown!r}): the ref must be resolved beforehand")
    given = resolve(block)
    if given.get("source_type") == "ref":
        raise ValueError(f"block {at} is still a reference after it was resolved")
    return given


def _anthropic(block: Mapping[str, Any], at: int, default: str) -> dict[str, Any]:
    if block.get("block_type") == "text":
        return {"type": "text", "text": str(block.get("text") or "")}
    data, is_url = _data(block, at)
    if is_url:
        return {"type": "document", "source": {"type": "url", "url": data}}
    media_type = block.get("mime_type") or default
    return {"type": "document", "source": {"type": "base64", "media_type": media_type, "data": data}}


def _gemini(block: Mapping[str, Any], at: int, default: str) -> dict[str, Any]:
    if block.get("block_type") == "text":
        return {"text": str(block.get("text") or "")}
    data, is_url = _data(block, at)
    mime_type = block.get("mime_type") or default
    if is_url:
        return {"fileData": {"mimeType": mime_type, "fileUri": data}}
    return {"inlineData": {"mimeType": mime_type, "data": data}}


_ENCODERS: dict[str, Callable[[Mapping[str, Any], int, str], dict[str, Any]]] = {
    "anthropic_messages": _anthropic,
    "gemini_generate": _gemini,
}


def _data(block: Mapping[str, Any], at: int) -> tuple[str, bool]:
    """A document's data, and whether that is a URL."""
    kind, source, data = block.get("block_type"), block.get("source_type", "base64"), block.get("data")
    if kind != "document":
        raise ValueError(f"block {at} has block_type {kind!r}; expected 'text' or 'document'")
    if source not in ("base64", "url"):
        raise ValueError(f"block {at} has source_type {source!r}; expected 'base64' or 'url'")
    if not isinstance(data, str) or not data:
        raise ValueError(f"block {at} has no data")
    return data, source == "url"


def _document_mapping(contract: Any) -> Any:
    found = contract
    for name in ("request_mapping", "content_block_mapping", "document"):
        found = _part(found, name)
    return found


def _part(document: Any, name: str) -> Any:
    return document.get(name) if isinstance(document, Mapping) else getattr(document, name, None)
