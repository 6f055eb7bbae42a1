"""Cohere's second chat wire: chat messages as OpenAI has them, answers and names of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from dragoman.ai.adapters.conversation import Media
from dragoman.ai.adapters.draft import Adapter, Draft
from dragoman.ai.adapters.media import openai_media, refuse
from dragoman.ai.adapters.openai_chat import read_content, write_messages, write_tools
from dragoman.ai.adapters.parameters import Path
from dragoman.ai.adapters.reading import answer_of, candidate, part_of, parts_of, text_of, tool_call
from dragoman.ai.pipeline.answer import Answer
from dragoman.ai.protocol import ProtocolManifest
from dragoman.ai.types.message import ContentBlock

__all__ = ["CohereV2"]


class CohereV2(Adapter):
    name = "cohere_v2"
    chat_path = "/chat"
    names: ClassVar[Mapping[str, Path | None]] = {"top_p": ("p",), "top_k": ("k",), "top_logprobs": None}

    def write(self, draft: Draft) -> None:
        draft.body["model"] = draft.call.model
        turns = draft.prepend_system() if draft.system_apart else draft.turns
        draft.body["messages"] = write_messages(draft, turns, _media)
        self._write_choice(draft)
        write_tools(draft)
        answer = draft.format
        if answer is not None:
            value: dict[str, Any] = answer.raw or {"type": "text" if answer.kind == "text" else "json_object"}
            if answer.schema is not None:
                value["json_schema"] = dict(answer.schema)
            draft.shape("response_format", ("response_format",), value)
        self._write_effort(draft)
        draft.shape("stream", ("stream",), True if draft.call.stream else None)

    def _write_choice(self, draft: Draft) -> None:
        """REQUIRED or NONE; one named tool is the only one offered, and required."""
        choice = draft.choice
        if choice is None or choice.kind == "auto":
            return
        if choice.kind == "tool":
            draft.tools = [tool for tool in draft.tools if tool.name == choice.name]
        value = choice.raw if choice.kind == "raw" else "NONE" if choice.kind == "none" else "REQUIRED"
        draft.shape("tool_choice", ("tool_choice",), value)

    def _write_effort(self, draft: Draft) -> None:
        effort = draft.effort
        if effort is None:
            return
        renamed = draft.renames("reasoning_effort")
        if renamed is not None:
            draft.put(renamed, effort.word or effort.budget)
            return
        thinking: dict[str, Any] = {"type": "enabled" if effort.on else "disabled"}
        if effort.budget is not None:
            thinking["token_budget"] = effort.budget
        draft.put(("thinking",), thinking)

    def read(self, manifest: ProtocolManifest, body: dict[str, Any]) -> Answer | None:
        message = body.get("message")
        if not isinstance(message, Mapping):
            return None
        text, thinking = read_content(message.get("content"))
        if plan := text_of(message.get("tool_plan")):
            thinking.append(ContentBlock.thinking(plan))
        calls = []
        for call in parts_of(message.get("tool_calls")):
            function = part_of(call.get("function"))
            calls.append(tool_call(call.get("id"), function.get("name"), function.get("arguments")))
        found = candidate(manifest, 0, text=text, thinking=thinking, calls=calls, finish=body.get("finish_reason"))
        return answer_of([found], body, body.get("usage"), family=self.name)


def _media(media: Media) -> dict[str, Any]:
    if media.kind != "image":
        raise refuse(f"{media.kind} input", "cohere_v2")
    return openai_media(media)
