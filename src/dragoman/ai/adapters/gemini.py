"""generateContent of Google: contents made of parts, settings in one object, the verb in the path.

A signature belongs to the part it came on and goes back on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from dragoman.ai.adapters.choices import BUDGETS
from dragoman.ai.adapters.conversation import Call, Media, Part, Raw, Result, Text, Thinking, Turn
from dragoman.ai.adapters.draft import Adapter, Draft
from dragoman.ai.adapters.facts import reasoning_types
from dragoman.ai.adapters.media import gemini_media
from dragoman.ai.adapters.parameters import Path
from dragoman.ai.adapters.reading import answer_of, candidate, part_of, parts_of, text_of, tool_call
from dragoman.ai.pipeline.answer import Answer, Candidate
from dragoman.ai.protocol import ProtocolManifest
from dragoman.ai.types.message import ContentBlock, ToolCall
from dragoman.wire.json_text import read_json

__all__ = ["Gemini", "write_contents"]

FAMILY = "gemini"
CONFIG = "generationConfig"
UNSIGNED = "skip_thought_signature_validator"
"""Stands for a signature on calls that no model of this wire made. Source: Google's page on thought signatures."""

_PLAIN_VERB, _STREAM_VERB = ":generateContent", ":streamGenerateContent"

_SETTINGS = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "max_tokens": "maxOutputTokens",
    "stop_sequences": "stopSequences",
    "seed": "seed",
    "frequency_penalty": "frequencyPenalty",
    "presence_penalty": "presencePenalty",
    "logprobs": "responseLogprobs",
    "top_logprobs": "logprobs",
    "n": "candidateCount",
}
_MEMBERS = frozenset(_SETTINGS.values()) | {
    "responseMimeType",
    "responseSchema",
    "responseJsonSchema",
    "responseModalities",
    "thinkingConfig",
    "mediaResolution",
    "speechConfig",
}
_OPENAPI = frozenset(
    {"type", "format", "title", "description", "nullable", "enum", "maxItems", "minItems", "properties", "required"}
    | {"minProperties", "maxProperties", "minLength", "maxLength", "pattern", "example", "anyOf", "propertyOrdering"}
    | {"default", "items", "minimum", "maximum"}
)
"""The words of JSON Schema that `parameters` understands; other schemas go as `parametersJsonSchema`."""
_UNWANTED = frozenset({"$schema", "additionalProperties"})
_MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY"}
_LEVELS = {"minimal": "minimal", "xhigh": "high", "max": "high"}


class Gemini(Adapter):
    name = FAMILY
    chat_path = "/models/{model}:generateContent"
    names: ClassVar[Mapping[str, Path | None]] = {name: (CONFIG, target) for name, target in _SETTINGS.items()}
    candidates_path = (CONFIG, "candidateCount")

    def place(self, path: Path) -> Path:
        """Settings stand in `generationConfig`, also when a manifest names them without it."""
        return (CONFIG, *path) if len(path) == 1 and path[0] in _MEMBERS else path

    def stream_address(self, path: str, *, own: bool, as_array: bool) -> tuple[str, dict[str, str]]:
        """Streams have a verb of their own, and are events only when asked for as such."""
        if not own and path.endswith(_PLAIN_VERB):
            path = path.removesuffix(_PLAIN_VERB) + _STREAM_VERB
        return path, {} if as_array else {"alt": "sse"}

    def write(self, draft: Draft) -> None:
        text, turns = (None, draft.prepend_system()) if draft.system_refused else draft.split_system()
        draft.body["contents"] = [_vouched(content) for content in write_contents(draft, turns)]
        if text is not None:
            draft.put(("systemInstruction",), {"parts": [{"text": text}]})
        declared = [_declaration(tool.to_dict()["function"]) for tool in draft.tools]
        tools = [*([{"functionDeclarations": declared}] if declared else []), *draft.foreign_tools]
        draft.put(("tools",), tools or None)
        draft.put(("toolConfig",), _tool_config(draft))
        self._write_format(draft)
        self._write_effort(draft)

    def _write_format(self, draft: Draft) -> None:
        answer = draft.format
        if answer is None or answer.kind == "text":
            return
        if answer.kind == "raw":
            draft.put((CONFIG,), answer.raw)
            return
        draft.put((CONFIG, "responseMimeType"), "application/json")
        if answer.schema is not None:
            schema = {key: value for key, value in answer.schema.items() if key != "$schema"}
            draft.put((CONFIG, "responseJsonSchema"), schema)

    def _write_effort(self, draft: Draft) -> None:
        effort = draft.effort
        if effort is None:
            return
        renamed = draft.renames("reasoning_effort")
        if renamed is not None:
            draft.put(self.place(renamed), effort.word or effort.budget)
            return
        config: dict[str, Any] = {"includeThoughts": effort.on}
        kinds = reasoning_types(draft.manifest, draft.call.model)
        if not effort.on:
            config["thinkingBudget"] = 0
        elif effort.word is not None and "effort" in kinds:
            config["thinkingLevel"] = _LEVELS.get(effort.word, effort.word)
        elif effort.budget is not None:
            config["thinkingBudget"] = effort.budget
        elif effort.word is not None and effort.word not in BUDGETS:
            config["thinkingLevel"] = effort.word
        elif effort.word is not None:  # understood by older and newer models alike
            config["thinkingBudget"] = BUDGETS[effort.word]
        draft.put((CONFIG, "thinkingConfig"), config)

    def read(self, manifest: ProtocolManifest, body: dict[str, Any]) -> Answer | None:
        told = parts_of(body.get("candidates"))
        found = [_candidate(manifest, place, one) for place, one in enumerate(told)]
        feedback = body.get("promptFeedback")
        if not found and isinstance(feedback, Mapping) and feedback.get("blockReason"):
            found = [Candidate(0, finish_reason=str(feedback["blockReason"]), stop_reason="refusal")]
        if not found:
            return None
        answer = answer_of(found, body, body.get("usageMetadata"), family=self.name, model=body.get("modelVersion"))
        if isinstance(body.get("responseId"), str):
            answer.extras["id"] = body["responseId"]
        return answer


def write_contents(draft: Draft, turns: list[Turn]) -> list[dict[str, Any]]:
    """The turns as contents, neighbours of one role merged."""
    contents: list[dict[str, Any]] = []
    for turn in turns:
        parts = [part for found in turn.parts for part in _parts(draft, found)]
        if not parts:
            continue
        role = draft.role(turn.role, "model" if turn.role == "assistant" else "user")
        if contents and contents[-1]["role"] == role:
            contents[-1]["parts"].extend(parts)
        else:
            contents.append({"role": role, "parts": parts})
    return contents


def _parts(draft: Draft, part: Part) -> list[dict[str, Any]]:
    match part:
        case Text():
            signature = part.signature if part.extras.get("family") in (None, FAMILY) else None
            return [_marked({"text": part.text}, signature)] if part.text or signature else []
        case Media():
            return [draft.media(part, gemini_media)]
        case Thinking():
            if part.signature is None or part.family not in (None, FAMILY):
                return []
            return [_marked({"text": part.text, "thought": True}, part.signature)]
        case Call():
            call: dict[str, Any] = {"id": part.id} if part.id else {}
            call |= {"name": part.name, "args": part.arguments}
            return [_marked({"functionCall": call}, part.signature if part.family in (None, FAMILY) else None)]
        case Result():
            return _result(draft, part)
        case Raw():
            return [part.value]


def _vouched(content: dict[str, Any]) -> dict[str, Any]:
    """The content; of calls among which none is signed, since another model made them, the first says so.

    Newer models refuse a step whose first call has no signature.
    """
    parts = content["parts"]
    calls = [place for place, part in enumerate(parts) if "functionCall" in part]
    if not calls or any("thoughtSignature" in parts[place] for place in calls):
        return content
    first = calls[0]
    return {**content, "parts": [*parts[:first], _marked(parts[first], UNSIGNED), *parts[first + 1 :]]}


def _marked(part: dict[str, Any], signature: str | None) -> dict[str, Any]:
    return {**part, "thoughtSignature": signature} if signature else part


def _result(draft: Draft, result: Result) -> list[dict[str, Any]]:
    value: Any = result.text
    try:
        value = read_json(result.text)
    except ValueError:
        pass
    response = value if isinstance(value, dict) else {"output": result.text}
    if result.is_error:
        response = {"error": value}
    answer: dict[str, Any] = {"id": result.call_id} if result.call_id else {}
    answer |= {"name": result.name or result.call_id, "response": response}
    files = [draft.media(part, gemini_media) for part in result.parts if isinstance(part, Media)]
    return [{"functionResponse": answer}, *files]


def _declaration(function: dict[str, Any]) -> dict[str, Any]:
    function.pop("strict", None)
    schema = function.pop("parameters", None)
    if not isinstance(schema, dict) or not schema.get("properties"):
        return function  # a function without parameters has none to declare
    cleaned = _cleaned(schema)
    if cleaned is None:
        plain = {key: value for key, value in schema.items() if key != "$schema"}
        return {**function, "parametersJsonSchema": plain}
    return {**function, "parameters": cleaned}


def _cleaned(schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """The schema without what this wire refuses; None when it says what `parameters` cannot."""
    cleaned: dict[str, Any] = {}
    for key, value in schema.items():
        if key in _UNWANTED:
            continue
        if key not in _OPENAPI or (key == "type" and not isinstance(value, str)):
            return None
        if key == "properties":
            inner = {name: _cleaned(one) if isinstance(one, Mapping) else None for name, one in value.items()}
            if any(one is None for one in inner.values()):
                return None
            cleaned[key] = inner
        elif key == "items":
            cleaned[key] = _cleaned(value) if isinstance(value, Mapping) else None
            if cleaned[key] is None:
                return None
        elif key == "anyOf":
            cleaned[key] = [_cleaned(one) if isinstance(one, Mapping) else None for one in value]
            if None in cleaned[key]:
                return None
        else:
            cleaned[key] = value
    return cleaned


def _tool_config(draft: Draft) -> dict[str, Any] | None:
    choice = draft.choice
    if choice is None:
        return None
    if choice.kind == "raw":
        return dict(choice.raw)
    config: dict[str, Any] = {"mode": _MODES.get(choice.kind, "ANY")}
    if choice.kind == "tool":
        config["allowedFunctionNames"] = [choice.name]
    return {"functionCallingConfig": config}


def _candidate(manifest: ProtocolManifest, place: int, one: Mapping[str, Any]) -> Candidate:
    texts: list[str] = []
    thinking: list[ContentBlock] = []
    calls: list[ToolCall] = []
    signed: str | None = None
    for part in parts_of(part_of(one.get("content")).get("parts")):
        signature = text_of(part.get("thoughtSignature")) or None
        call = part_of(part.get("functionCall"))
        if call:
            calls.append(tool_call(call.get("id"), call.get("name"), call.get("args"), signature))
        elif part.get("thought"):
            thinking.append(ContentBlock.thinking(text_of(part.get("text")), signature))
        else:
            texts.append(text_of(part.get("text")))
            signed = signature or signed
    index = one.get("index")
    return candidate(
        manifest,
        index if isinstance(index, int) else place,
        text="".join(texts),
        thinking=thinking,
        calls=calls,
        finish=one.get("finishReason"),
        signature=signed,
    )
