"""Small manifests of each family, and the published ones, for the tests of the adapters."""

from __future__ import annotations

from typing import Any

from dragoman.ai.adapters import ChatCall, ChatRequest, build_chat
from dragoman.ai.protocol.manifest import ProtocolManifest
from dragoman.ai.protocol.package import package_document
from dragoman.ai.protocol.patches import apply_patches
from dragoman.ai.protocol.upgrade import upgrade
from dragoman.ai.types import ContentBlock, Message, ToolCall, ToolDefinition

FAMILIES = ("openai_chat", "openai_responses", "anthropic", "gemini", "cohere_v2", "ollama")
CHAT_PATHS = {
    "openai_chat": "/chat/completions",
    "openai_responses": "/responses",
    "anthropic": "/messages",
    "gemini": "/models/{model}:generateContent",
    "cohere_v2": "/chat",
    "ollama": "/api/chat",
    "custom": "/talk",
}
PNG = "iVBORw0KGgoAAAANSUhEUg=="
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = ToolDefinition.from_function("weather", "The weather of a city", SCHEMA)


def family(adapter: str, **more: Any) -> ProtocolManifest:
    """A manifest that says no more than which family it is, and `more`."""
    document: dict[str, Any] = {
        "id": "someone",
        "protocol_version": "2.0",
        "endpoint": {"base_url": "https://someone.example/v1"},
        "endpoints": {"chat": {"path": CHAT_PATHS[adapter], "method": "POST", "adapter": adapter}},
    }
    return ProtocolManifest(**{**document, **more})


def published(name: str) -> ProtocolManifest:
    """A manifest of the package by its path, with its patches."""
    document, _ = apply_patches(upgrade(package_document(f"{name}.json")))
    return ProtocolManifest(**document)


def request(manifest: ProtocolManifest | str, messages: Any = "Hi", **call: Any) -> ChatRequest:
    """The request for a conversation; a text is one user message."""
    if isinstance(manifest, str):
        manifest = family(manifest)
    if isinstance(messages, str):
        messages = [Message.user(messages)]
    return build_chat(manifest, ChatCall(call.pop("model", "m-1"), messages, **call))


def body(manifest: ProtocolManifest | str, messages: Any = "Hi", **call: Any) -> dict[str, Any]:
    return request(manifest, messages, **call).body


def user(*blocks: ContentBlock) -> Message:
    return Message.with_content("user", list(blocks))


def calling(*calls: tuple[str, str, str], text: str = "", signature: str | None = None) -> Message:
    """An assistant message that calls tools: (id, name, arguments as JSON text)."""
    made = [ToolCall.from_openai_format(*one) for one in calls]
    if signature is not None:
        made[0] = made[0].model_copy(update={"signature": signature})
    return Message(role="assistant", content=text, tool_calls=made)
