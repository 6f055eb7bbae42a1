"""Chat completions: OpenAI's first wire, and the one most other providers speak.

Variants differ in what they refuse; what a manifest does not say is left out rather than guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from dragoman.ai.adapters.conversation import Call, Media, Part, Raw, Result, Text, Thinking, Turn
from dragoman.ai.adapters.draft import Adapter, Draft
from dragoman.ai.adapters.facts import is_reasoning_model
from dragoman.ai.adapters.media import openai_media
from dragoman.ai.adapters.parameters import Path
from dragoman.ai.adapters.reading import answer_of, candidate, part_of, parts_of, text_of, tool_call
from dragoman.ai.pipeline.answer import Answer, Candidate
from dragoman.ai.protocol import ProtocolManifest
from dragoman.ai.types.message import ContentBlock, ToolCall
from dragoman.ai.utils.thinking_extract import extract_thinking

__all__ = ["OpenAiChat", "read_content", "tool_choice", "write_messages", "write_tools"]


class OpenAiChat(Adapter):
    name = "openai_chat"
    chat_path = "/chat/completions"
    names: ClassVar[Mapping[str, Path | None]] = {"stop_sequences": ("stop",), "top_k": None}
    candidates_path = ("n",)

    def write(self, draft: Draft) -> None:
        draft.shape("model", ("model",), draft.call.model)
        turns = draft.prepend_system() if draft.system_apart else draft.turns
        draft.shape("messages", ("messages",), write_messages(draft, turns))
        write_tools(draft)
        draft.shape("tool_choice", ("tool_choice",), tool_choice(draft))
        if draft.format is not None:
            raw = draft.format.raw
            draft.shape("response_format", ("response_format",), raw or draft.format.openai)
        self._write_effort(draft)
        if draft.call.stream:
            draft.shape("stream", ("stream",), True)
            if draft.manifest.feature_flags.get("streaming_usage") and "stream_options" not in draft.call.extra:
                draft.body["stream_options"] = {"include_usage": True}

    def finish(self, draft: Draft) -> None:
        given = "max_tokens" in draft.body and "max_tokens" not in draft.call.extra
        if given and is_reasoning_model(draft.manifest, draft.call.model):
            draft.body.setdefault("max_completion_tokens", draft.body.pop("max_tokens"))

    def _write_effort(self, draft: Draft) -> None:
        effort = draft.effort
        if effort is None:
            return
        word = effort.word if effort.on else "none"
        if word is not None:
            draft.shape("reasoning_effort", ("reasoning_effort",), word)
        elif effort.budget is not None:
            draft.drop("reasoning_effort", "this wire takes a word, not a number of tokens")

    def read(self, manifest: ProtocolManifest, body: dict[str, Any]) -> Answer | None:
        choices = parts_of(body.get("choices"))
        if not choices:
            return None
        found = [_candidate(manifest, place, choice) for place, choice in enumerate(choices)]
        usage = body.get("usage")
        if not isinstance(usage, Mapping):
            usage = part_of(body.get("x_groq")).get("usage")  # one wire puts the counts one level down
        return answer_of(found, body, usage, family=self.name)


def write_messages(draft: Draft, turns: list[Turn], media: Any = openai_media) -> list[dict[str, Any]]:
    """The turns as chat messages; each tool result is a message of its own."""
    messages: list[dict[str, Any]] = []
    wanted = _in_tool_loops(turns) if draft.manifest.feature_flags.get("reasoning_content_echo") else set()
    for place, turn in enumerate(turns):
        if turn.role == "tool":
            messages.extend(_result(draft, result) for result in turn.of(Result))
        elif turn.role == "assistant":
            messages.append(_assistant(draft, turn, media, with_reasoning=place in wanted))
        else:
            message: dict[str, Any] = {
                "role": draft.role(turn.role, turn.role),
                "content": _content(draft, turn.parts, media),
            }
            if turn.name:
                message["name"] = turn.name
            messages.append({**message, **_own(draft, turn.extras)})
    return messages


def write_tools(draft: Draft) -> None:
    """The tools in OpenAI's form; a provider's own tools stay as they are."""
    tools = [*(tool.to_dict() for tool in draft.tools), *draft.foreign_tools]
    if tools:
        draft.shape("tools", ("tools",), tools)


def tool_choice(draft: Draft) -> Any:
    """The tool choice in OpenAI's form: a word or a function's name in an object."""
    choice = draft.choice
    if choice is None:
        return None
    if choice.kind == "tool":
        return {"type": "function", "function": {"name": choice.name}}
    return choice.raw if choice.kind == "raw" else choice.kind


def read_content(content: Any) -> tuple[str, list[ContentBlock]]:
    """Text and thinking of a message's content: a text, or a list of blocks as some servers send it."""
    if isinstance(content, str):
        return content, []
    texts: list[str] = []
    thinking: list[ContentBlock] = []
    for block in content if isinstance(content, list) else ():
        if isinstance(block, str):
            texts.append(block)
        elif part_of(block).get("type") == "thinking":
            thoughts = block.get("thinking")
            thinking.append(ContentBlock.thinking(text_of(thoughts) or read_content(thoughts)[0]))
        else:
            texts.append(text_of(part_of(block).get("text")))
    return "".join(texts), thinking


def _content(draft: Draft, parts: list[Part], media: Any) -> Any:
    if all(isinstance(part, Text) for part in parts):
        texts = [part.text for part in parts if isinstance(part, Text)]
        if len(texts) < 2 and not any(_own(draft, part.extras) for part in parts if isinstance(part, Text)):
            return texts[0] if texts else ""
    return [_block(draft, part, media) for part in parts if not isinstance(part, Thinking)]


def _own(draft: Draft, extras: Mapping[str, Any]) -> Mapping[str, Any]:
    """Fields that a caller of this dialect has given and that nobody here knows (see `backwards.messages`)."""
    found = extras.get(OpenAiChat.name) if draft.adapter.name == OpenAiChat.name else None
    return found if isinstance(found, Mapping) else {}


def _block(draft: Draft, part: Part, media: Any) -> dict[str, Any]:
    if isinstance(part, Text):
        return {"type": "text", "text": part.text, **_own(draft, part.extras)}
    if isinstance(part, Media):
        return {**draft.media(part, media), **_own(draft, part.extras)}
    if isinstance(part, Raw):
        return part.value
    raise TypeError(f"{type(part).__name__} is no content")


def _in_tool_loops(turns: list[Turn]) -> set[int]:
    """The places of what the assistant said while a question was worked on with tools."""
    found: set[int] = set()
    said: list[int] = []
    with_calls = False
    for place, turn in enumerate(turns):
        if turn.role in ("user", "system"):
            said, with_calls = [], False
        elif turn.role == "assistant":
            said.append(place)
            with_calls = with_calls or bool(turn.of(Call))
        if with_calls:
            found.update(said)
            said = []
    return found


def _assistant(draft: Draft, turn: Turn, media: Any, *, with_reasoning: bool) -> dict[str, Any]:
    calls: list[Call] = turn.of(Call)
    rest: list[Part] = [part for part in turn.parts if not isinstance(part, Call | Thinking)]
    # Some servers refuse an assistant message without `content`, none refuses an empty one.
    message: dict[str, Any] = {"role": draft.role("assistant", "assistant"), "content": _content(draft, rest, media)}
    if turn.name:
        message["name"] = turn.name
    if with_reasoning:  # also where there is none: the field must be there
        own = (part.text for part in turn.of(Thinking) if part.family in (None, OpenAiChat.name))
        message["reasoning_content"] = "".join(own)
    if calls:
        message["tool_calls"] = [_call(call) for call in calls]
    return {**message, **_own(draft, turn.extras)}


def _call(call: Call) -> dict[str, Any]:
    value: dict[str, Any] = {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.text},
    }
    if call.signature is not None and call.family == OpenAiChat.name:  # Google's models behind this wire
        value["extra_content"] = {"google": {"thought_signature": call.signature}}
    return value


def _result(draft: Draft, result: Result) -> dict[str, Any]:
    text = draft.results_without_media(result, draft.adapter.name)
    return {"role": draft.role("tool", "tool"), "tool_call_id": result.call_id, "content": text}


def _candidate(manifest: ProtocolManifest, place: int, choice: Mapping[str, Any]) -> Candidate:
    message = part_of(choice.get("message")) or part_of(choice.get("delta"))
    text, thinking = read_content(message.get("content"))
    reasoning = extract_thinking(message)
    if reasoning and not thinking:
        thinking = [ContentBlock.thinking(reasoning)]
    calls = [_read_call(call) for call in parts_of(message.get("tool_calls"))]
    old = part_of(message.get("function_call"))
    if not calls and old:
        calls.append(tool_call(None, old.get("name"), old.get("arguments")))
    index = choice.get("index")
    return candidate(
        manifest,
        index if isinstance(index, int) else place,
        text=text,
        refusal=message.get("refusal"),
        thinking=thinking,
        calls=calls,
        finish=choice.get("finish_reason"),
    )


def _read_call(call: Mapping[str, Any]) -> ToolCall:
    function = part_of(call.get("function"))
    mark = part_of(part_of(call.get("extra_content")).get("google")).get("thought_signature")
    return tool_call(call.get("id"), function.get("name"), function.get("arguments"), mark)
