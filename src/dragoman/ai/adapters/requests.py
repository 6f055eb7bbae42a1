"""Builds the HTTP request of a call and reads its plain answer, by the family a manifest belongs to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import Any
from urllib.parse import parse_qsl, quote

from dragoman._version import __version__
from dragoman.ai.adapters.call import ChatCall, ChatRequest
from dragoman.ai.adapters.draft import Adapter, Draft
from dragoman.ai.adapters.guard import check_call
from dragoman.ai.adapters.parameters import merge
from dragoman.ai.adapters.reading import error_of, not_an_answer, read_by_paths
from dragoman.ai.errors import ProtocolError, RemoteError, ValidationError
from dragoman.ai.pipeline.answer import Answer
from dragoman.ai.protocol import ProtocolManifest
from dragoman.wire.json_text import read_json, sound

__all__ = ["adapter_of", "build_chat", "native_candidates", "parse_answer"]

_CLASSES = {
    "openai_chat": "OpenAiChat",
    "openai_responses": "OpenAiResponses",
    "anthropic": "Anthropic",
    "gemini": "Gemini",
    "cohere_v2": "CohereV2",
    "ollama": "Ollama",
    "custom": "Custom",
}
_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_JSON_LINES = frozenset({"json_lines", "ndjson", "jsonl"})
_JSON_ARRAYS = frozenset({"gemini_json", "json_array"})


def adapter_of(manifest: ProtocolManifest) -> Adapter:
    """The adapter of the wire that this manifest speaks."""
    return _adapter(manifest.adapter)


def native_candidates(manifest: ProtocolManifest) -> bool:
    """Whether several candidates are asked for in one request; else somebody has to ask several times."""
    said = manifest.features.multi_candidate
    if said is not None:
        return said.support_type == "native"
    return adapter_of(manifest).candidates_path is not None


def build_chat(manifest: ProtocolManifest, call: ChatCall) -> ChatRequest:
    """The request that says `call` on the manifest's wire, all but credentials.

    Raises ValidationError, before anything is sent, for what `check_call` refuses, for a block that
    the wire cannot carry and, when the call is strict, for a parameter it cannot express.
    """
    check_call(manifest, call)
    adapter = adapter_of(manifest)
    draft = Draft(manifest, call, adapter)
    adapter.write(draft)
    if draft.n > 1 and native_candidates(manifest):
        _write_candidates(draft)
    draft.write_parameters()
    adapter.finish(draft)
    merge(draft.body, call.extra)
    method, path, query = _address(manifest, adapter, call)
    return ChatRequest(method, path, query, _headers(draft), draft.body, tuple(draft.dropped))


def parse_answer(
    manifest: ProtocolManifest, body: Any, *, status: int | None = None, content_type: str | None = None
) -> Answer:
    """A plain answer: decoded JSON, or the bytes or text of it.

    Raises RemoteError when the body reports an error whatever its status, PipelineError when it is no
    JSON or has no answer in it; `status` and `content_type` are for that message.
    """
    value = body
    if isinstance(body, bytes | bytearray | str):
        try:
            value = read_json(body if isinstance(body, str) else bytes(body).decode("utf-8-sig"))
        except ValueError as error:
            raise not_an_answer(body, status=status, content_type=content_type) from error
    if isinstance(value, list) and len(value) == 1:  # some wires wrap a whole answer in a list
        value = value[0]
    if not isinstance(value, dict):
        raise not_an_answer(value, status=status, content_type=content_type)
    reported = error_of(manifest, value)
    if reported is not None:
        raise reported
    answer = adapter_of(manifest).read(manifest, value)
    if answer is None and manifest.adapter != "custom":
        answer = read_by_paths(manifest, value)  # a gateway with a shape of its own that the manifest knows
    if answer is None:
        if isinstance(value.get("message"), str) and "choices" not in value:
            raise RemoteError.from_frame(value, classification=manifest.error_classification)
        raise not_an_answer(value, status=status, content_type=content_type)
    return answer


@cache
def _adapter(name: str) -> Adapter:
    made: Adapter = getattr(import_module(f"dragoman.ai.adapters.{name}"), _CLASSES[name])()
    return made


def _write_candidates(draft: Draft) -> None:
    said = draft.manifest.features.multi_candidate
    named = tuple(said.param_name.split(".")) if said is not None and said.param_name else None
    if named is not None:
        draft.put(draft.adapter.place(named), draft.n)
    else:
        draft.shape("n", draft.adapter.candidates_path or ("n",), draft.n)


# -------------------------------------------------------------------- address and headers


def _address(manifest: ProtocolManifest, adapter: Adapter, call: ChatCall) -> tuple[str, str, dict[str, str]]:
    endpoint = manifest.operation("chat")
    streams = manifest.endpoints.get("stream_chat") if call.stream else None
    path, _, text = (streams or endpoint).path.partition("?")
    query = dict(parse_qsl(text, keep_blank_values=True))
    if call.stream:
        as_array = _decoder_format(manifest) in _JSON_ARRAYS
        path, more = adapter.stream_address(path, own=streams is not None, as_array=as_array)
        query = {**more, **query}
    path = _PLACEHOLDER.sub(lambda found: _filled(found[1], manifest, call), path)
    if "://" not in path and not path.startswith("/"):
        path = f"/{path}"
    return (streams or endpoint).method.upper(), path, query


def _filled(name: str, manifest: ProtocolManifest, call: ChatCall) -> str:
    value = call.model if name in ("model", "model_id") else call.extra.get(name, manifest.connection_vars.get(name))
    if value is None:
        raise ProtocolError(
            f"the chat path of {manifest.id!r} needs a value for {name!r}", protocol_path="endpoints.chat.path"
        )
    text = str(value)
    if text in (".", ".."):
        raise ValidationError(f"{text!r} would lead to another path of the provider", field=name, actual=text)
    text = sound(text)
    return quote(text.removeprefix("models/") if name == "model" else text, safe="")


def _headers(draft: Draft) -> dict[str, str]:
    manifest, call = draft.manifest, draft.call
    headers = {"content-type": "application/json", "accept": _accept(draft), "user-agent": f"dragoman/{__version__}"}
    auth = manifest.auth
    sources: list[Mapping[str, str]] = [draft.adapter.headers]
    sources.append({header.name: header.value for header in auth.extra_headers} if auth is not None else {})
    sources.append(draft.contract.required_headers if draft.contract is not None else {})
    sources.append(draft.headers)
    sources.append(call.headers)
    for source in sources:
        for name, value in source.items():
            low = name.lower()
            if low == "anthropic-beta" and low in headers:  # a list: betas add up
                value = ",".join(dict.fromkeys((*headers[low].split(","), *value.split(","))))
            headers[low] = value
    return headers


def _accept(draft: Draft) -> str:
    if not draft.call.stream:
        return "application/json"
    form = _decoder_format(draft.manifest)
    if form in _JSON_LINES:
        return "application/x-ndjson"
    if form in _JSON_ARRAYS:
        return "application/json"
    return draft.adapter.accept if form is None else "text/event-stream"


def _decoder_format(manifest: ProtocolManifest) -> str | None:
    streaming = manifest.streaming
    return streaming.decoder.format if streaming is not None and streaming.decoder is not None else None
