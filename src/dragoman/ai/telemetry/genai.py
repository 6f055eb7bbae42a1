"""The names of OpenTelemetry's conventions for generative AI, and what they say of a request to a model.

The conventions have no release yet, so the names stand here and nowhere else. Messages and answers
are read only where a tracer records content.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from dragoman.ai.adapters.call import ChatCall
from dragoman.ai.types.message import ContentBlock, Message, ToolCall

__all__ = ["answer_attributes", "content_of_answer", "content_of_call", "request_attributes"]

CHAT = "chat"

OPERATION = "gen_ai.operation.name"
PROVIDER = "gen_ai.provider.name"
REQUEST_MODEL = "gen_ai.request.model"
CHOICES = "gen_ai.request.choice.count"
STREAMED = "gen_ai.request.stream"
OUTPUT_TYPE = "gen_ai.output.type"
RESPONSE_ID = "gen_ai.response.id"
RESPONSE_MODEL = "gen_ai.response.model"
FINISH_REASONS = "gen_ai.response.finish_reasons"
FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"
INPUT_TOKENS = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
CACHE_READ = "gen_ai.usage.cache_read.input_tokens"
CACHE_CREATION = "gen_ai.usage.cache_creation.input_tokens"
REASONING = "gen_ai.usage.reasoning.output_tokens"
ERROR = "error.type"
ADDRESS = "server.address"
PORT = "server.port"

COST = "dragoman.cost_usd"
"""No convention names it yet."""

INSTRUCTIONS = "gen_ai.system_instructions"
INPUT = "gen_ai.input.messages"
OUTPUT = "gen_ai.output.messages"
TOOLS = "gen_ai.tool.definitions"

_PARAMETERS = {
    "temperature": "gen_ai.request.temperature",
    "max_tokens": "gen_ai.request.max_tokens",
    "top_p": "gen_ai.request.top_p",
    "top_k": "gen_ai.request.top_k",
    "frequency_penalty": "gen_ai.request.frequency_penalty",
    "presence_penalty": "gen_ai.request.presence_penalty",
    "seed": "gen_ai.request.seed",
    "stop_sequences": "gen_ai.request.stop_sequences",
}
_USAGE = {
    "prompt_tokens": INPUT_TOKENS,
    "completion_tokens": OUTPUT_TOKENS,
    "cache_read_tokens": CACHE_READ,
    "cache_creation_tokens": CACHE_CREATION,
    "reasoning_tokens": REASONING,
}
_PORTS = {"https": 443, "http": 80}


def request_attributes(
    provider: str, model: str, call: ChatCall | None, url: str | None, operation: str = CHAT
) -> dict[str, Any]:
    """What is known before anything is sent; of `url` only host and port. Operations but chats have no `call`."""
    found: dict[str, Any] = {OPERATION: operation, PROVIDER: provider, REQUEST_MODEL: model, **_place(url)}
    if call is None:
        return found
    found.update((name, call.parameters[key]) for key, name in _PARAMETERS.items() if key in call.parameters)
    if call.n > 1:
        found[CHOICES] = call.n
    if call.stream:
        found[STREAMED] = True
    if call.response_format is not None:
        found[OUTPUT_TYPE] = "json"
    return found


def _place(url: str | None) -> dict[str, Any]:
    try:
        parts = urlsplit(url or "")
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return {}
    return {ADDRESS: parts.hostname, PORT: port} if parts.hostname else {}


def answer_attributes(
    *,
    usage: Mapping[str, Any] | None = None,
    cost: float | None = None,
    model: str | None = None,
    id: Any = None,
    reasons: Iterable[str | None] = (),
    first_token: float | None = None,
) -> dict[str, Any]:
    """What is known of an answer; `first_token` is seconds."""
    given = usage or {}
    found: dict[str, Any] = {name: given[key] for key, name in _USAGE.items() if given.get(key) is not None}
    finished = [reason for reason in reasons if reason is not None]
    told: dict[str, Any] = {COST: cost, RESPONSE_MODEL: model, RESPONSE_ID: id if isinstance(id, str) else None}
    told |= {FINISH_REASONS: finished or None, FIRST_CHUNK: first_token}
    return found | {name: value for name, value in told.items() if value is not None}


# ---------------------------------------------------------------------------------------- content


def content_of_call(call: ChatCall) -> dict[str, Any]:
    """The messages and tools of a request, in the shapes of the conventions, as JSON text."""
    system = [message for message in call.messages if message.role == "system"]
    others = [message for message in call.messages if message.role != "system"]
    found = {INPUT: _json([{"role": message.role, "parts": _parts(message)} for message in others])}
    if system:
        found[INSTRUCTIONS] = _json([part for message in system for part in _parts(message)])
    if call.tools:
        found[TOOLS] = _json([{"type": tool.type, **tool.to_dict()["function"]} for tool in call.tools])
    return found


def content_of_answer(candidates: Iterable[Any]) -> dict[str, Any]:
    """What a model said, the same way; candidates are those of an answer."""
    told = []
    for one in candidates:
        parts: list[dict[str, Any]] = []
        if one.thinking:
            parts.append({"type": "reasoning", "content": one.thinking})
        if one.content:
            parts.append({"type": "text", "content": one.content})
        parts += [_call(call) for call in one.tool_calls]
        told.append({"role": "assistant", "parts": parts, "finish_reason": one.finish_reason or ""})
    return {OUTPUT: _json(told)}


def _parts(message: Message) -> list[dict[str, Any]]:
    blocks = message.content
    whole = [{"type": "text", "content": blocks}] if blocks else []
    parts = whole if isinstance(blocks, str) else [_part(block) for block in blocks]
    if message.role == "tool" and message.tool_call_id is not None and isinstance(blocks, str):
        parts = [{"type": "tool_call_response", "id": message.tool_call_id, "response": blocks}]
    return [*parts, *(_call(call) for call in message.tool_calls or ())]


def _part(block: ContentBlock) -> dict[str, Any]:
    if block.type == "text":
        return {"type": "text", "content": block.text}
    if block.type == "thinking":
        return {"type": "reasoning", "content": block.text}
    if block.type == "tool_use":
        return {"type": "tool_call", "id": block.id, "name": block.name, "arguments": block.input}
    if block.type == "tool_result":
        return {"type": "tool_call_response", "id": block.tool_use_id, "response": _plain(block.content)}
    media = getattr(block.source, "media_type", None)
    return {"type": "blob", "modality": block.type, "mime_type": media}  # the bytes stay where they are


def _plain(content: Any) -> Any:
    if isinstance(content, list):
        return [_part(one) if isinstance(one, ContentBlock) else one for one in content]
    return content


def _call(call: ToolCall) -> dict[str, Any]:
    return {"type": "tool_call", "id": call.id, "name": call.function_name, "arguments": call.arguments}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
