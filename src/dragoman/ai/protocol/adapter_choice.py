"""Which family of wire formats a manifest speaks, by what it says and nothing else.

A new provider of a known family is chosen by the words of its manifest; a manifest whose words are
all unknown is `"custom"`: its own rules are all there is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

CUSTOM = "custom"
DEFAULT = "openai_chat"

_WORDS = {
    "openai_chat": "openai_chat openai openai_style openai_compatible chat_completions",
    "openai_responses": "openai_responses responses",
    "anthropic": "anthropic anthropic_style anthropic_messages anthropic_event_stream messages",
    "gemini": "gemini gemini_style gemini_generate generate_content",
    "cohere_v2": "cohere_v2 cohere cohere_native",
    "ollama": "ollama ollama_chat",
}
ADAPTER_NAMES = tuple(_WORDS)
FAMILY_WORDS = tuple(dict.fromkeys(word for words in _WORDS.values() for word in words.split()))
_BY_WORD = {word: name for name, words in _WORDS.items() for word in words.split()}

CHAT_PATHS = {
    "openai_chat": "/chat/completions",
    "openai_responses": "/responses",
    "anthropic": "/messages",
    "gemini": "/models/{model}:generateContent",
    "cohere_v2": "/chat",
    "ollama": "/api/chat",
    CUSTOM: "/chat/completions",
}
"""Where chat is when the manifest gives no path."""


def adapter_named(word: str | None) -> str | None:
    """The adapter that a word of a manifest means, or None."""
    return _BY_WORD.get(word) if isinstance(word, str) else None


def choose_adapter(raw: Mapping[str, Any]) -> str:
    """The adapter of an upgraded document: the first hint that is a known word decides.

    Hints in order: the chat endpoint's adapter, the contract's api_style, payload_format,
    the decoder's strategy and format, the id. An api_style of `custom` means custom at once; unknown
    words in the first three, and no known word after them, mean custom too.
    """
    strange = False
    for _, hint, binding in _hints(raw):
        if hint is None:
            continue
        found = adapter_named(hint)
        if found is not None:
            return found
        if hint == CUSTOM:
            return CUSTOM
        strange = strange or binding
    return CUSTOM if strange else DEFAULT


def unknown_word(raw: Mapping[str, Any]) -> tuple[str, str] | None:
    """Place and text of the word that makes a manifest custom without saying so; None if none does."""
    if choose_adapter(raw) != CUSTOM:
        return None
    place, word = next((place, hint) for place, hint, _ in _hints(raw) if hint is not None)
    return None if word == CUSTOM else (place, word)


def _hints(raw: Mapping[str, Any]) -> Iterator[tuple[str, str | None, bool]]:
    """Where a hint stands, what it says, and whether an unknown word there counts."""
    chat = chat_operation(raw)
    yield f"endpoints.{chat[0]}.adapter" if chat else "", _text(chat[1], "adapter") if chat else None, True
    yield "provider_contract.api_style", _text(raw.get("provider_contract"), "api_style"), True
    yield "payload_format", _text(raw, "payload_format"), True
    streaming = raw.get("streaming")
    decoder = streaming.get("decoder") if isinstance(streaming, Mapping) else None
    yield "streaming.decoder.strategy", _text(decoder, "strategy"), False
    yield "streaming.decoder.format", _FORMATS.get(_text(decoder, "format") or ""), False
    yield "id", _text(raw, "id"), False


_FORMATS = {
    "anthropic_sse": "anthropic",
    "gemini_sse": "gemini",
    "gemini_json": "gemini",
    "cohere_native": "cohere_native",
    "openai_sse": "openai",
}


def chat_operation(raw: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]] | None:
    """Name and entry of the endpoint that chats: `chat`, else the one of the default API family."""
    endpoints = raw.get("endpoints")
    if not isinstance(endpoints, Mapping):
        return None
    if isinstance(endpoints.get("chat"), Mapping):
        return "chat", endpoints["chat"]
    family = _text(raw, "default_api_family")
    if family is None:
        return None
    wanted = adapter_named(family)
    for name, entry in endpoints.items():
        if isinstance(entry, Mapping) and (name == family or name.startswith(f"{family}_")):
            return name, entry
    for name, entry in endpoints.items():
        if name.startswith("chat") and wanted is not None and adapter_named(_text(entry, "adapter")) == wanted:
            return name, entry
    return None


def _text(holder: Any, name: str) -> str | None:
    value = holder.get(name) if isinstance(holder, Mapping) else None
    return value if isinstance(value, str) and value else None
