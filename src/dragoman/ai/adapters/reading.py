"""Plain answers: what the six families share, and the way by the paths of a manifest.

A body that says it is an error becomes a RemoteError whatever its status; one that has no answer in
it a PipelineError that shows what came instead.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from dragoman.ai.errors import PipelineError, RemoteError
from dragoman.ai.pipeline.answer import Answer, Candidate, mark_signed
from dragoman.ai.pipeline.assembler import new_call_id
from dragoman.ai.pipeline.reasons import standard_reason
from dragoman.ai.pipeline.usage import normalise_usage
from dragoman.ai.protocol import ProtocolManifest
from dragoman.ai.protocol.expressions import Path, compile_expression, compile_path
from dragoman.ai.types.message import ContentBlock, ToolCall

__all__ = [
    "answer_of",
    "candidate",
    "error_of",
    "not_an_answer",
    "part_of",
    "parts_of",
    "read_by_paths",
    "text_of",
    "tool_call",
]

_SHOWN = 200


def text_of(value: Any) -> str:
    """A text, or nothing for anything else."""
    return value if isinstance(value, str) else ""


def part_of(value: Any) -> Mapping[str, Any]:
    """An object, or an empty one for anything else."""
    return value if isinstance(value, Mapping) else {}


def parts_of(value: Any) -> list[Mapping[str, Any]]:
    """The objects of a list."""
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def tool_call(call_id: Any, name: Any, arguments: Any, signature: Any = None) -> ToolCall:
    """A call as it came: arguments as JSON text or as an object, an id made when there is none."""
    made = call_id if isinstance(call_id, str | int) and call_id else new_call_id()
    call = ToolCall.from_openai_format(str(made), text_of(name), arguments)
    return call.model_copy(update={"signature": signature}) if isinstance(signature, str) else call


def candidate(
    manifest: ProtocolManifest,
    index: int,
    *,
    text: str,
    thinking: list[ContentBlock],
    calls: list[ToolCall],
    finish: Any,
    refusal: Any = None,
    signature: str | None = None,
) -> Candidate:
    """A candidate with its reasons; a refusal's text counts as content."""
    word = finish if isinstance(finish, str) and finish else None
    stop = standard_reason(manifest, word, tool_calls=bool(calls))
    if isinstance(refusal, str) and refusal:
        text, stop = text + refusal, "refusal"
    thoughts = "".join(block.text or "" for block in thinking)
    return Candidate(index, text, thoughts, thinking, calls, word, stop, signature)


def answer_of(
    candidates: list[Candidate],
    body: Mapping[str, Any],
    usage: Any,
    *,
    family: str | None = None,
    model: Any = None,
) -> Answer:
    """The answer made of these candidates; usage gets the normalised keys, the body's id is kept."""
    mark_signed(candidates, family)
    named = model if model is not None else body.get("model")
    answer = Answer.of(
        candidates,
        usage=normalise_usage(usage) if isinstance(usage, Mapping) else None,
        model=named if isinstance(named, str) else None,
        raw=body,
    )
    if isinstance(body.get("id"), str):
        answer.extras["id"] = body["id"]
    return answer


def error_of(manifest: ProtocolManifest, body: Mapping[str, Any]) -> RemoteError | None:
    """The error that an answer of status 200 reports, if it does."""
    error = body.get("error")
    if not error and body.get("type") == "error":
        error = body
    if not error and body.get("status") == "failed":
        error = body.get("incomplete_details") or "the provider failed to answer"
    if not error:
        return None
    found = RemoteError.from_frame(error, classification=manifest.error_classification)
    found.raw_error = body
    return found


def not_an_answer(body: Any, *, status: int | None, content_type: str | None) -> PipelineError:
    """The error for a body that holds no answer: says what came, up to 200 characters of it."""
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else body
    if not isinstance(text, str):
        text = json.dumps(text, ensure_ascii=False, default=str)
    place = f"status {status if status is not None else 'unknown'}, content type {content_type or 'unknown'}"
    return PipelineError(
        f"expected an answer of the model as JSON, got ({place}): {text[:_SHOWN]}",
        operator="answer",
        body=text[:_SHOWN],
    )


# -------------------------------------------------------------------- by the manifest's paths


def read_by_paths(manifest: ProtocolManifest, body: dict[str, Any]) -> Answer | None:
    """A plain answer by `response_paths`, `response_mapping` and the contract; None when nothing is there."""
    paths = _paths(manifest)
    content = [node for node in _nodes(manifest, paths.get("content"), body) if node is not None]
    reasoning = "".join(node for node in _nodes(manifest, paths.get("reasoning"), body) if isinstance(node, str))
    calls = _calls(manifest, paths.get("tool_calls"), body)
    finish = next((node for node in _nodes(manifest, paths.get("finish_reason"), body) if isinstance(node, str)), None)
    if not content and not calls and finish is None:
        return None
    thinking = [ContentBlock.thinking(reasoning)] if reasoning else []
    text = "".join(_text(node) for node in content)
    found = candidate(manifest, 0, text=text, thinking=thinking, calls=calls, finish=finish)
    usage = next((node for node in _nodes(manifest, paths.get("usage"), body) if isinstance(node, Mapping)), None)
    return answer_of([found], body, usage)


def _paths(manifest: ProtocolManifest) -> dict[str, str]:
    contract = manifest.contract.response_mapping if manifest.contract is not None else None
    paths: dict[str, str] = {}
    if contract is not None:
        said = {"content": contract.content_path, "usage": contract.usage_path}
        said["finish_reason"] = contract.finish_reason_path
        paths = {name: path for name, path in said.items() if path}
    own = {name: path for name, path in (manifest.response_paths or {}).items() if isinstance(path, str) and path}
    if "finish_reason" not in own and "stop_reason" in own:
        own["finish_reason"] = own["stop_reason"]
    return {**paths, **own}


def _compiled(manifest: ProtocolManifest, path: str) -> Path:
    return manifest.compiled(("adapters.path", path), lambda _: compile_path(path))


def _nodes(manifest: ProtocolManifest, path: str | None, body: Any) -> list[Any]:
    return _compiled(manifest, path).nodes(body) if path else []


def _text(node: Any) -> str:
    if isinstance(node, str):
        return node
    if isinstance(node, Mapping) and isinstance(node.get("text"), str):
        return str(node["text"])
    if isinstance(node, list):
        return "".join(_text(item) for item in node)
    return "" if isinstance(node, Mapping) else str(node)


def _calls(manifest: ProtocolManifest, path: str | None, body: Any) -> list[ToolCall]:
    mapping = manifest.features.response_mapping.get("tool_calls") if manifest.features is not None else None
    if not isinstance(mapping, Mapping):
        return [_plain_call(node) for node in _elements(_nodes(manifest, path, body)) if isinstance(node, Mapping)]
    elements: Iterable[Any] = _elements(_nodes(manifest, mapping.get("path") or path, body))
    if wanted := mapping.get("filter"):
        matches = manifest.compiled(("adapters.filter", wanted), lambda _: compile_expression(str(wanted)))
        elements = [element for element in elements if matches(element)]
    fields = mapping.get("fields") or {}
    generate = "generate_uuid" in (mapping.get("id_strategy"), fields.get("id_strategy"))
    calls = []
    for element in elements:
        name = _field(manifest, fields.get("name"), element)
        if name is None:
            continue
        own = None if generate else _field(manifest, fields.get("id"), element)
        calls.append(tool_call(own, name, _field(manifest, fields.get("args") or fields.get("arguments"), element)))
    return calls


def _elements(nodes: list[Any]) -> list[Any]:
    """Lists opened, one object counted as a list of one."""
    return [item for node in nodes if node is not None for item in (node if isinstance(node, list) else [node])]


def _field(manifest: ProtocolManifest, path: Any, element: Any) -> Any:
    if not isinstance(path, str) or path.startswith("_generate"):
        return None
    return _compiled(manifest, path).first(element)


def _plain_call(node: Mapping[str, Any]) -> ToolCall:
    function = node.get("function") or node
    arguments = function.get("arguments", function.get("args", function.get("input")))
    return tool_call(node.get("id"), function.get("name"), arguments)
