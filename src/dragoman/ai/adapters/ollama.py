"""Ollama's own chat wire: settings in `options`, pictures beside the text, arguments as objects.

It streams unless told not to, so `stream: false` is said.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from dragoman.ai.adapters.conversation import Call, Media, Raw, Result, Text, Turn
from dragoman.ai.adapters.draft import Adapter, Draft
from dragoman.ai.adapters.facts import reasoning_types
from dragoman.ai.adapters.media import refuse
from dragoman.ai.adapters.openai_chat import tool_choice, write_tools
from dragoman.ai.adapters.parameters import Path
from dragoman.ai.adapters.reading import answer_of, candidate, part_of, parts_of, text_of, tool_call
from dragoman.ai.pipeline.answer import Answer
from dragoman.ai.protocol import ProtocolManifest
from dragoman.ai.types.message import ContentBlock

__all__ = ["Ollama"]

_OPTIONS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "max_tokens": "num_predict",
    "stop_sequences": "stop",
    "seed": "seed",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
}
_MEMBERS = frozenset(_OPTIONS.values())


class Ollama(Adapter):
    name = "ollama"
    chat_path = "/api/chat"
    accept = "application/x-ndjson"
    names: ClassVar[Mapping[str, Path | None]] = {name: ("options", target) for name, target in _OPTIONS.items()}

    def place(self, path: Path) -> Path:
        """Settings stand in `options`, also when a manifest names them without it."""
        return ("options", *path) if len(path) == 1 and path[0] in _MEMBERS else path

    def write(self, draft: Draft) -> None:
        draft.body["model"] = draft.call.model
        turns = draft.prepend_system() if draft.system_apart else draft.turns
        draft.body["messages"] = [message for turn in turns for message in _messages(draft, turn)]
        write_tools(draft)
        choice = draft.choice
        if choice is not None and choice.kind != "auto":
            self._write_choice(draft)
        answer = draft.format
        if answer is not None and answer.kind != "text":
            value = answer.raw or (dict(answer.schema) if answer.schema is not None else "json")
            draft.shape("response_format", ("format",), value)
        self._write_effort(draft)
        draft.shape("stream", ("stream",), draft.call.stream)

    def _write_choice(self, draft: Draft) -> None:
        """This wire has no tool choice: no tools means none; the rest cannot be said."""
        path = draft.renames("tool_choice")
        if path is not None:
            draft.put(path, tool_choice(draft))
        elif draft.choice is not None and draft.choice.kind == "none":
            draft.body.pop("tools", None)
        else:
            draft.drop("tool_choice", "its models decide for themselves")

    def _write_effort(self, draft: Draft) -> None:
        effort = draft.effort
        if effort is None:
            return
        levels = "effort" in reasoning_types(draft.manifest, draft.call.model)
        # Most models take only yes or no; a level is for those whose facts list levels.
        value = effort.word if effort.on and effort.word and levels else effort.on
        draft.shape("reasoning_effort", ("think",), value)

    def read(self, manifest: ProtocolManifest, body: dict[str, Any]) -> Answer | None:
        message = body.get("message")
        if not isinstance(message, Mapping):
            return None
        calls = []
        for call in parts_of(message.get("tool_calls")):
            function = part_of(call.get("function"))
            calls.append(tool_call(call.get("id"), function.get("name"), function.get("arguments")))
        thoughts = text_of(message.get("thinking"))
        found = candidate(
            manifest,
            0,
            text=text_of(message.get("content")),
            thinking=[ContentBlock.thinking(thoughts)] if thoughts else [],
            calls=calls,
            finish=body.get("done_reason"),
        )
        counts = {name: body[name] for name in _COUNTS if name in body}
        return answer_of([found], body, counts, family=self.name)


_COUNTS = (
    "prompt_eval_count",
    "eval_count",
    "total_duration",
    "load_duration",
    "prompt_eval_duration",
    "eval_duration",
)


def _messages(draft: Draft, turn: Turn) -> list[dict[str, Any]]:
    if turn.role == "tool":
        return [_result(draft, result) for result in turn.of(Result)]
    message: dict[str, Any] = {"role": draft.role(turn.role, turn.role)}
    message["content"] = "\n".join(part.text for part in turn.of(Text))
    images = [_image(draft, media) for media in turn.of(Media)]
    if images:
        message["images"] = images
    if calls := turn.of(Call):
        message["tool_calls"] = [_call(call) for call in calls]
    if any(turn.of(Raw)):
        raise refuse(f"a block of type {turn.of(Raw)[0].value.get('type')!r}", "ollama")
    return [message]


def _image(draft: Draft, media: Media) -> str:
    if media.kind != "image":
        raise refuse(f"{media.kind} input", "ollama")
    block = draft.media(media, lambda found: {"data": found.data})
    data = block.get("data")
    if not isinstance(data, str):
        raise refuse("a picture by URL", "ollama", "send its bytes")
    return data


def _call(call: Call) -> dict[str, Any]:
    return {"function": {"name": call.name, "arguments": call.arguments}}


def _result(draft: Draft, result: Result) -> dict[str, Any]:
    message = {"role": draft.role("tool", "tool"), "content": draft.results_without_media(result, "ollama")}
    return {**message, "tool_name": result.name} if result.name else message
