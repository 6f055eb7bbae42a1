"""A whole answer as OpenAI's `chat.completion`, and token counts as its `usage`.

Values in, JSON values out; streams are `chunks`' business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import to_json

from dragoman.ai.pipeline.answer import Candidate
from dragoman.ai.types.message import ContentBlock, ToolCall

__all__ = ["FINISH", "completion", "openai_usage", "passed_completion"]

FINISH: Mapping[str | None, str] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
"""The protocol's reason → OpenAI's; anything else is `stop`."""

_OUTSIDE = ("cost", "cache_creation_input_tokens")
_KEPT = ("prompt_tokens_details", "completion_tokens_details")


def openai_usage(usage: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Normalised counts as OpenAI spells them; None if nothing was counted. What a provider says of cost stays."""
    if not usage:
        return None
    prompt, completion = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    total = _count(usage, "total_tokens") or prompt + completion
    if not total:
        return None
    made: dict[str, Any] = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total}
    details = {
        "prompt_tokens_details": {"cached_tokens": _count(usage, "cache_read_tokens"), "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": _count(usage, "reasoning_tokens"),
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
    for name, counts in details.items():
        said = usage.get(name)
        made[name] = {**counts, **said} if isinstance(said, Mapping) else counts
    created = _count(usage, "cache_creation_tokens")
    if created:
        made["cache_creation_input_tokens"] = created
        made["prompt_tokens_details"].setdefault("cache_write_tokens", created)
    for name in _OUTSIDE:
        if isinstance(usage.get(name), int | float | Mapping):
            made[name] = usage[name]
    return made


def _count(usage: Mapping[str, Any], name: str) -> int:
    value = usage.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def completion(
    candidates: Sequence[Candidate],
    usage: Mapping[str, Any] | None,
    *,
    id: str,
    created: int,
    model: str,
    old_functions: bool = False,
) -> dict[str, Any]:
    """The body of a plain answer. `created` is in seconds since the epoch; `old_functions`: calls as `function_call`."""
    made: dict[str, Any] = {
        "id": id,
        "object": "chat.completion",
        "created": created,
        "model": model,
        "choices": [_choice(one, old_functions=old_functions) for one in candidates],
    }
    counted = openai_usage(usage)
    if counted is not None:
        made["usage"] = counted
    return made


def _choice(one: Candidate, *, old_functions: bool) -> dict[str, Any]:
    message: dict[str, Any] = {
        "role": "assistant",
        "content": one.content if one.content or not one.tool_calls else None,
        "refusal": None,
    }
    if one.thinking:
        message["reasoning_content"] = one.thinking
    blocks = [written for block in one.thinking_blocks if (written := thinking_block(block)) is not None]
    if blocks:
        message["thinking_blocks"] = blocks
    finish = FINISH.get(one.stop_reason, "stop")
    if one.tool_calls and old_functions:
        call = one.tool_calls[0]
        message["function_call"] = {"name": call.function_name, "arguments": _arguments(call)}
        finish = "function_call"
    elif one.tool_calls:
        message["tool_calls"] = [_call(call) for call in one.tool_calls]
    return {"index": one.index, "message": message, "logprobs": None, "finish_reason": finish}


def thinking_block(block: ContentBlock) -> dict[str, Any] | None:
    """A stretch of reasoning that its provider wants back unchanged; None for one that nobody signed."""
    family = (block.model_extra or {}).get("family")
    if block.data is not None:
        return {"type": "redacted_thinking", "data": block.data, "family": family}
    if block.signature is None:
        return None
    return {"type": "thinking", "thinking": block.text or "", "signature": block.signature, "family": family}


def _call(call: ToolCall) -> dict[str, Any]:
    made = {"id": call.id, "type": "function", "function": {"name": call.function_name, "arguments": _arguments(call)}}
    if call.signature is not None:
        made["extra_content"] = {"google": {"thought_signature": call.signature}}
    return made


def _arguments(call: ToolCall) -> str:
    if call.arguments_raw is not None and call.arguments_raw.strip():
        return call.arguments_raw
    return to_json(call.arguments).decode()


def passed_completion(
    body: Mapping[str, Any], usage: Mapping[str, Any] | None, *, id: str, created: int, model: str
) -> dict[str, Any]:
    """The plain answer of a provider of this dialect: as it came, with what a client may count on."""
    made = dict(body)
    made["object"] = "chat.completion"
    for name, value in (("id", id), ("created", created), ("model", model)):
        if not isinstance(made.get(name), type(value)):
            made[name] = value
    choices = made.get("choices")
    if isinstance(choices, list):
        made["choices"] = [_completed(place, one) for place, one in enumerate(choices) if isinstance(one, Mapping)]
    if not isinstance(made.get("usage"), Mapping):
        counted = openai_usage(usage)
        if counted is not None:
            made["usage"] = counted
    return made


def _completed(place: int, choice: Mapping[str, Any]) -> dict[str, Any]:
    made = {"index": place, "logprobs": None, **choice}
    if not made.get("finish_reason"):
        message = made.get("message")
        called = isinstance(message, Mapping) and message.get("tool_calls")
        made["finish_reason"] = "tool_calls" if called else "stop"
    return made
