"""Which files a family of wires can carry to its models, so that others are refused before anything is sent.

Texts go as text everywhere and are no matter of this table. A contract that says how it writes a kind of block has
the last word, and a manifest without a known family is asked nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dragoman.ai.protocol import ProtocolManifest
from dragoman.core.errors import FileRefused
from dragoman.core.messages import FilePart, Message

__all__ = ["refuse_files"]

_PDF = "application/pdf"
_OFFICE = "application/vnd.openxmlformats-officedocument."
_TAKEN: Mapping[str, tuple[str, ...]] = {
    "openai_chat": ("image/", "audio/", _PDF),
    "openai_responses": ("image/", "audio/", _PDF, _OFFICE),
    "anthropic": ("image/", _PDF),
    "gemini": ("image/", "audio/", "video/", _PDF),
    "cohere_v2": ("image/",),
    "ollama": ("image/",),
}
"""Beginnings of media types, by the manifest's adapter."""

_CAPABILITIES = {"image": "vision", "audio": "audio", "video": "video"}


def refuse_files(messages: Iterable[Message], manifest: ProtocolManifest, model: str) -> None:
    """Raises FileRefused for the first file whose bytes this model cannot be sent."""
    for message in messages:
        if message.role == "assistant":  # its files are not told
            continue
        for part in message.parts:
            if isinstance(part, FilePart) and not _is_taken(part, manifest, model):
                kind = part.media_type.partition(";")[0].strip() or "of no known type"
                raise FileRefused(
                    f"the model cannot take the file {part.name or 'without a name'!r} ({kind}); send text, or a file "
                    f"of another type: {_takes(manifest, model)}"
                )


def _is_taken(part: FilePart, manifest: ProtocolManifest, model: str) -> bool:
    kind = part.media_type.partition(";")[0].strip().lower()
    # what lies elsewhere is fetched by the provider, which knows best
    if part.text is not None or part.url[:5].lower() != "data:" or kind.startswith("text/"):
        return True
    block = kind.partition("/")[0]
    if _has_own_form(manifest, block):
        return True
    taken = _TAKEN.get(manifest.adapter)
    if taken is None or _is_readable(kind):
        return True
    return kind.startswith(taken) and not _lacks(block, manifest, model)


def _has_own_form(manifest: ProtocolManifest, block: str) -> bool:
    """Whether the contract writes such blocks in fields of its own, which no family knows."""
    contract = manifest.contract
    blocks = contract.request_mapping.content_block_mapping if contract is not None else {}
    mapping = blocks.get(block if block in _CAPABILITIES else "document")
    return mapping is not None and mapping.format is None


def _is_readable(kind: str) -> bool:
    """Whether the bytes go as text: see `translate`."""
    return kind.startswith("application/") and kind.removeprefix("application/") in READABLE


def _lacks(block: str, manifest: ProtocolManifest, model: str) -> bool:
    capability = _CAPABILITIES.get(block)
    return capability is not None and manifest.supports(capability, model) == "no"


def _takes(manifest: ProtocolManifest, model: str) -> str:
    taken = _TAKEN[manifest.adapter]
    kinds = [f"{one}*" if one.endswith(("/", ".")) else one for one in taken]
    left = [one for one in kinds if not _lacks(one.partition("/")[0], manifest, model)]
    return ", ".join(left) or "it takes none"


READABLE = frozenset(("json", "xml", "yaml", "x-yaml", "toml"))
"""Subtypes of `application` that are text."""
