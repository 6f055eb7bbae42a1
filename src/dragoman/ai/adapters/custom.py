"""A wire that only its manifest describes: names, places and paths are all taken from there.

Messages are chat messages unless the contract names another form; parameters keep their standard
names unless they are mapped, and `model`, `messages` and the like can be mapped too. Answers are
read by the manifest's paths.
"""

from __future__ import annotations

from typing import Any

from dragoman.ai.adapters.anthropic import write_turns
from dragoman.ai.adapters.draft import Adapter, Draft
from dragoman.ai.adapters.gemini import write_contents
from dragoman.ai.adapters.openai_chat import tool_choice, write_messages, write_tools
from dragoman.ai.adapters.reading import read_by_paths
from dragoman.ai.pipeline.answer import Answer
from dragoman.ai.protocol import ProtocolManifest

__all__ = ["Custom"]


class Custom(Adapter):
    name = "custom"
    chat_path = "/chat/completions"

    def write(self, draft: Draft) -> None:
        draft.shape("model", ("model",), draft.call.model)
        contract = draft.contract
        form = contract.message_format if contract is not None else None
        handling = contract.system_message_handling if contract is not None else None
        turns = draft.turns
        if draft.system_apart:
            turns = draft.prepend_system()
        elif handling == "top_level_field" or "system_message" in draft.plan.named:
            text, turns = draft.split_system()
            draft.put(draft.plan.named.get("system_message", ("system",)), text)
        messages: list[dict[str, Any]]
        if form == "anthropic_messages":
            messages = write_turns(draft, turns)
        elif form == "gemini_contents":
            messages = write_contents(draft, turns)
        else:
            messages = write_messages(draft, turns)
        own = ("contents",) if form == "gemini_contents" else ("messages",)
        draft.shape("messages", own, messages)
        write_tools(draft)
        draft.shape("tool_choice", ("tool_choice",), tool_choice(draft))
        if draft.format is not None:
            value = draft.format.raw or draft.format.openai
            draft.shape("response_format", ("response_format",), value)
        effort = draft.effort
        if effort is not None:
            value = effort.word or effort.budget or effort.on
            draft.shape("reasoning_effort", ("reasoning_effort",), value)
        if draft.call.stream:
            draft.shape("stream", ("stream",), True)

    def read(self, manifest: ProtocolManifest, body: dict[str, Any]) -> Answer | None:
        return read_by_paths(manifest, body)
