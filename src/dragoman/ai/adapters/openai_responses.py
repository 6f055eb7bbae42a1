"""OpenAI's responses wire: input items instead of messages, output items instead of choices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from dragoman.ai.adapters.conversation import Call, Media, Part, Raw, Result, Text, Thinking, Turn, joined_text
from dragoman.ai.adapters.draft import Adapter, Draft
from dragoman.ai.adapters.media import responses_media
from dragoman.ai.adapters.parameters import Path
from dragoman.ai.adapters.reading import answer_of, candidate, part_of, parts_of, text_of, tool_call
from dragoman.ai.pipeline.answer import Answer
from dragoman.ai.protocol import ProtocolManifest
from dragoman.ai.types.message import ContentBlock, ToolCall

__all__ = ["OpenAiResponses"]

FAMILY = "openai_responses"


class OpenAiResponses(Adapter):
    name = FAMILY
    chat_path = "/responses"
    names: ClassVar[Mapping[str, Path | None]] = {
        "max_tokens": ("max_output_tokens",),
        "top_k": None,
        "stop_sequences": None,
        "seed": None,
        "frequency_penalty": None,
        "presence_penalty": None,
        "logprobs": None,
    }

    def write(self, draft: Draft) -> None:
        draft.body["model"] = draft.call.model
        text, turns = (None, draft.prepend_system()) if draft.system_refused else draft.split_system()
        items = [item for turn in turns for item in _items(draft, turn)]
        if text is not None:
            draft.shape("system_message", ("instructions",), text)
        draft.body["input"] = items
        tools = [
            *(_tool(tool.function.model_dump(mode="json", exclude_none=True)) for tool in draft.tools),
            *draft.foreign_tools,
        ]
        draft.put(("tools",), tools or None)
        draft.shape("tool_choice", ("tool_choice",), _choice(draft))
        if draft.format is not None:
            kind, raw = draft.format.kind, draft.format.raw
            value = raw or ({"type": "json_schema", **draft.format.named} if kind == "schema" else draft.format.openai)
            draft.shape("response_format", ("text", "format"), value)
        self._write_effort(draft)
        if draft.call.stream:
            draft.shape("stream", ("stream",), True)

    def _write_effort(self, draft: Draft) -> None:
        effort = draft.effort
        if effort is None:
            return
        word = effort.word if effort.on else "none"
        if word is not None:
            draft.shape("reasoning_effort", ("reasoning", "effort"), word)
        elif effort.budget is not None:
            draft.drop("reasoning_effort", "this wire takes a word, not a number of tokens")
        if effort.summary is not None:
            draft.put(("reasoning", "summary"), effort.summary)

    def read(self, manifest: ProtocolManifest, body: dict[str, Any]) -> Answer | None:
        output = body.get("output")
        if not isinstance(output, list):
            return None
        texts, refusals = [], []
        thinking: list[ContentBlock] = []
        calls: list[ToolCall] = []
        for item in parts_of(output):
            kind = item.get("type")
            if kind == "message":
                for part in parts_of(item.get("content")):
                    refusals.append(text_of(part.get("refusal")))
                    texts.append(text_of(part.get("text")))
            elif kind == "reasoning":
                thinking.append(_thinking(item))
            elif kind == "function_call":
                call = tool_call(item.get("call_id") or item.get("id"), item.get("name"), item.get("arguments"))
                own = {"item_id": item["id"]} if isinstance(item.get("id"), str) else {}
                calls.append(call.model_copy(update=own))
        finish = body.get("status")
        if finish == "incomplete":
            finish = part_of(body.get("incomplete_details")).get("reason") or finish
        found = candidate(
            manifest,
            0,
            text="".join(texts),
            refusal="".join(refusals),
            thinking=thinking,
            calls=calls,
            finish=finish,
        )
        return answer_of([found], body, body.get("usage"), family=self.name)


def _items(draft: Draft, turn: Turn) -> list[dict[str, Any]]:
    if turn.role == "tool":
        return [_output(draft, result) for result in turn.of(Result)]
    items: list[dict[str, Any]] = []
    content: list[dict[str, Any]] = []
    is_paired = False
    for place, part in enumerate(turn.parts):
        if isinstance(part, Thinking):
            led_to = _item_id(turn.parts[place + 1 :])
            item = _reasoning(part, led_to)
            is_paired = is_paired or (item is not None and led_to is not None)
        elif isinstance(part, Call):
            item = {"type": "function_call", "call_id": part.id, "name": part.name, "arguments": part.text}
            if is_paired and (own := _item_id([part])) is not None:
                item = {"id": own, **item}
        else:
            content.append(_content(draft, part, turn.role))
            continue
        if content:
            items.append(_message(draft, turn.role, content))
            content = []
        if item is not None:
            items.append(item)
    if content or not items:
        items.append(_message(draft, turn.role, content))
    return items


def _message(draft: Draft, role: str, content: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "message", "role": draft.role(role, role), "content": content}


def _content(draft: Draft, part: Part, role: str) -> dict[str, Any]:
    if isinstance(part, Text):
        return {"type": "output_text" if role == "assistant" else "input_text", "text": part.text}
    if isinstance(part, Media):
        return draft.media(part, responses_media)
    if isinstance(part, Raw):
        return part.value
    raise TypeError(f"{type(part).__name__} is no content")


def _item_id(rest: list[Part]) -> str | None:
    """The id of the item that reasoning led to, if that was a call of this wire."""
    led_to = next((part for part in rest if not isinstance(part, Thinking)), None)
    if not isinstance(led_to, Call) or led_to.family != FAMILY:
        return None
    found = led_to.extras.get("item_id")
    return found if isinstance(found, str) else None


def _reasoning(part: Thinking, led_to: str | None) -> dict[str, Any] | None:
    """The reasoning item as it came, or made anew; None when there is nothing this wire could check.

    An item that is not sealed is only a name of one that the service keeps, which refuses it unless the
    item it led to comes behind it under its own name.
    """
    if part.family not in (None, FAMILY):
        return None
    if not (part.data or part.signature) and led_to is None:
        return None
    if isinstance(part.item, Mapping) and part.item.get("type") == "reasoning":
        return dict(part.item)
    sealed = part.data or part.signature
    if sealed is None and not part.id:
        return None
    item: dict[str, Any] = {"type": "reasoning"}
    if part.id:
        item["id"] = part.id
    told = [{"type": "summary_text", "text": part.text}] if part.text else []
    item["summary"] = part.summary if part.summary is not None else told
    if sealed is not None:
        item["encrypted_content"] = sealed
    return item


def _output(draft: Draft, result: Result) -> dict[str, Any]:
    output: Any = joined_text(result.parts)
    if any(isinstance(part, Media) for part in result.parts):
        output = [_content(draft, part, "user") for part in result.parts]
    return {"type": "function_call_output", "call_id": result.call_id, "output": output}


def _tool(function: dict[str, Any]) -> dict[str, Any]:
    return {"type": "function", **function}


def _choice(draft: Draft) -> Any:
    choice = draft.choice
    if choice is None:
        return None
    if choice.kind == "tool":
        return {"type": "function", "name": choice.name}
    return choice.raw if choice.kind == "raw" else choice.kind


def _thinking(item: Mapping[str, Any]) -> ContentBlock:
    """A reasoning item as a block; `item` keeps what a block has no field for."""
    texts = [text_of(part.get("text")) for name in ("summary", "content") for part in parts_of(item.get(name))]
    block = ContentBlock.thinking("\n".join(texts) or None, data=text_of(item.get("encrypted_content")) or None)
    kept = {key: value for key, value in item.items() if value is not None}
    own = {"id": text_of(item.get("id")) or None, "item": kept, "item_type": "reasoning"}
    return block.model_copy(update=own)
