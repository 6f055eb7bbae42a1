"""The messages wire of Anthropic: two roles, blocks, system text on top, tokens always bounded.

Reasoning with its signature goes back first and unchanged; unsigned reasoning is refused by the
wire and so left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from dragoman.ai.adapters.conversation import Call, Media, Part, Raw, Result, Text, Thinking, Turn
from dragoman.ai.adapters.draft import Adapter, Draft
from dragoman.ai.adapters.facts import largest_output, reasoning_types
from dragoman.ai.adapters.media import anthropic_media
from dragoman.ai.adapters.parameters import Path
from dragoman.ai.adapters.reading import answer_of, candidate, parts_of, text_of, tool_call
from dragoman.ai.errors import ValidationError
from dragoman.ai.pipeline.answer import Answer
from dragoman.ai.protocol import ProtocolManifest
from dragoman.ai.structured.messages_schema import messages_schema
from dragoman.ai.types.message import ContentBlock, ToolCall

__all__ = ["Anthropic", "write_turns"]

FAMILY = "anthropic"
DEFAULT_MAX_TOKENS = 4096
LEAST_BUDGET = 1024
OLDER_FORMAT_BETA = "structured-outputs-2025-11-13"

_EFFORTS = {"minimal": "low"}
_CHOICES = {"auto": "auto", "none": "none", "required": "any"}


class Anthropic(Adapter):
    name = FAMILY
    chat_path = "/messages"
    names: ClassVar[Mapping[str, Path | None]] = {
        "seed": None,
        "frequency_penalty": None,
        "presence_penalty": None,
        "logprobs": None,
        "top_logprobs": None,
    }
    required: ClassVar[Mapping[str, Any]] = {"max_tokens": DEFAULT_MAX_TOKENS}
    headers: ClassVar[Mapping[str, str]] = {"anthropic-version": "2023-06-01"}

    def write(self, draft: Draft) -> None:
        draft.body["model"] = draft.call.model
        text, turns = (None, draft.prepend_system()) if draft.system_refused else draft.split_system()
        if text is not None:
            draft.shape("system_message", ("system",), text)
        draft.body["messages"] = write_turns(draft, turns)
        tools = [*(_tool(tool.to_dict()["function"]) for tool in draft.tools), *draft.foreign_tools]
        draft.put(("tools",), tools or None)
        draft.put(("tool_choice",), _choice(draft))
        self._write_format(draft)
        self._write_effort(draft)
        if draft.call.stream:
            draft.shape("stream", ("stream",), True)

    def finish(self, draft: Draft) -> None:
        thinking = draft.body.get("thinking")
        if not isinstance(thinking, Mapping) or thinking.get("type") not in ("enabled", "adaptive"):
            return
        if draft.body.get("temperature", 1) != 1:
            draft.drop("temperature", "it must be 1 while the model thinks")
            del draft.body["temperature"]
        budget = thinking.get("budget_tokens")
        given = _given_room(draft)
        if not isinstance(budget, int):
            return
        if given is None:
            room = largest_output(draft.manifest, draft.call.model)
            wanted = budget + DEFAULT_MAX_TOKENS
            draft.body["max_tokens"] = wanted if room is None or room <= budget else min(wanted, room)
        elif given <= budget:
            raise ValidationError(
                f"max_tokens must be larger than the {budget} tokens for reasoning, got {given}",
                field="max_tokens",
                expected=f"more than {budget}",
                actual=given,
            )

    def _write_format(self, draft: Draft) -> None:
        answer = draft.format
        if answer is None or answer.kind == "text":
            return
        if answer.kind == "json":
            draft.drop("response_format", "it takes a JSON Schema, not the bare word JSON")
            return
        value = (
            answer.raw
            if answer.kind == "raw"
            else {"type": "json_schema", "schema": messages_schema(answer.schema or {})}
        )
        draft.shape("response_format", ("output_config", "format"), value)
        if "output_format" in draft.body:  # the older place, behind a beta header
            draft.headers["anthropic-beta"] = OLDER_FORMAT_BETA

    def _write_effort(self, draft: Draft) -> None:
        effort = draft.effort
        if effort is None:
            return
        renamed = draft.renames("reasoning_effort")
        if renamed is not None:
            draft.put(renamed, effort.word or effort.budget or ("none" if not effort.on else None))
        elif not effort.on:
            draft.put(("thinking",), {"type": "disabled"})
        elif effort.budget is not None or self._counts_tokens(draft):
            budget = effort.tokens or DEFAULT_MAX_TOKENS
            room = _given_room(draft) or largest_output(draft.manifest, draft.call.model)
            if effort.budget is None and room is not None:
                budget = min(budget, room // 2)  # a word leaves room for the answer
            draft.put(("thinking",), {"type": "enabled", "budget_tokens": max(budget, LEAST_BUDGET)})
        else:
            draft.put(("thinking",), {"type": "adaptive"})
            if effort.word is not None:
                draft.put(("output_config", "effort"), _EFFORTS.get(effort.word, effort.word))

    def _counts_tokens(self, draft: Draft) -> bool:
        """Whether the facts say that this model takes a budget and no effort word."""
        kinds = reasoning_types(draft.manifest, draft.call.model)
        return "budget_tokens" in kinds and "effort" not in kinds

    def read(self, manifest: ProtocolManifest, body: dict[str, Any]) -> Answer | None:
        content = body.get("content")
        if not isinstance(content, list) or (not content and "stop_reason" not in body):
            return None
        texts: list[str] = []
        thinking: list[ContentBlock] = []
        calls: list[ToolCall] = []
        for block in parts_of(content):
            kind = block.get("type")
            if kind == "text":
                texts.append(text_of(block.get("text")))
            elif kind == "thinking":
                signature = text_of(block.get("signature")) or None
                thinking.append(ContentBlock.thinking(text_of(block.get("thinking")), signature))
            elif kind == "redacted_thinking":
                thinking.append(ContentBlock.thinking(None, data=text_of(block.get("data"))))
            elif kind == "tool_use":
                calls.append(tool_call(block.get("id"), block.get("name"), block.get("input")))
        found = candidate(
            manifest, 0, text="".join(texts), thinking=thinking, calls=calls, finish=body.get("stop_reason")
        )
        return answer_of([found], body, body.get("usage"), family=self.name)


def _given_room(draft: Draft) -> int | None:
    """The most tokens that the caller allows."""
    given = draft.call.parameters.get("max_tokens") or draft.call.extra.get("max_tokens")
    return given if isinstance(given, int) else None


def write_turns(draft: Draft, turns: list[Turn]) -> list[dict[str, Any]]:
    """The turns as messages, neighbours of one role merged, tool results first in theirs."""
    messages: list[dict[str, Any]] = []
    for turn in turns:
        blocks = _blocks(draft, turn)
        if not blocks:
            continue
        role = draft.role(turn.role, "assistant" if turn.role == "assistant" else "user")
        if messages and messages[-1]["role"] == role:
            messages[-1]["content"].extend(blocks)
        else:
            messages.append({"role": role, "content": blocks})
    for message in messages:
        blocks = message["content"]
        if len(blocks) == 1 and set(blocks[0]) == {"type", "text"}:
            message["content"] = blocks[0]["text"]
    return messages


def _blocks(draft: Draft, turn: Turn) -> list[dict[str, Any]]:
    order = turn.parts
    if order and not isinstance(order[0], Thinking):  # it begins an answer; what comes between calls stays there
        order = sorted(order, key=lambda part: not isinstance(part, Thinking | Result))
    blocks = (_block(draft, part) for part in order)
    return [block for block in blocks if block is not None]


def _block(draft: Draft, part: Part) -> dict[str, Any] | None:
    match part:
        case Text():
            if not part.text:
                return None
            return _cached({"type": "text", "text": part.text}, part.extras)
        case Media():
            return draft.media(part, anthropic_media)
        case Thinking():
            return _thinking(part)
        case Call():
            return {"type": "tool_use", "id": part.id, "name": part.name, "input": part.arguments}
        case Result():
            return _result(draft, part)
        case Raw():
            return part.value


def _thinking(part: Thinking) -> dict[str, Any] | None:
    if part.family not in (None, FAMILY):
        return None
    if part.data is not None:
        return {"type": "redacted_thinking", "data": part.data}
    if part.signature is None:
        return None
    return {"type": "thinking", "thinking": part.text, "signature": part.signature}


def _result(draft: Draft, result: Result) -> dict[str, Any]:
    block: dict[str, Any] = {"type": "tool_result", "tool_use_id": result.call_id}
    if all(isinstance(part, Text) for part in result.parts):
        if result.text:
            block["content"] = result.text
    else:
        inner = (_block(draft, part) for part in result.parts)
        block["content"] = [one for one in inner if one is not None]
    if result.is_error:
        block["is_error"] = True
    return _cached(block, result.extras)


def _cached(block: dict[str, Any], extras: Mapping[str, Any]) -> dict[str, Any]:
    """The block with the mark for the prompt cache, if the caller set one."""
    control = extras.get("cache_control")
    return {**block, "cache_control": control} if control else block


def _tool(function: dict[str, Any]) -> dict[str, Any]:
    schema = function.pop("parameters", None) or {"type": "object", "properties": {}}
    return {**function, "input_schema": schema}


def _choice(draft: Draft) -> dict[str, Any] | None:
    choice = draft.choice
    if choice is None:
        return None
    if choice.kind == "raw":
        return dict(choice.raw)
    if choice.kind == "tool":
        return {"type": "tool", "name": choice.name}
    return {"type": _CHOICES[choice.kind]}
