"""Drivers: one style of API without a client, for code that sends requests by itself.

A thin view of the adapters and the pipeline, which the client uses as well: a driver builds the body
of a request, reads a plain answer and the payloads of a stream, one after the other. It opens no
connection and knows no credential.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from dragoman.ai.adapters.call import ChatCall
from dragoman.ai.adapters.requests import build_chat, parse_answer
from dragoman.ai.errors import ProtocolError
from dragoman.ai.pipeline.answer import Answer
from dragoman.ai.pipeline.base import Pipeline
from dragoman.ai.pipeline.run import StreamRun
from dragoman.ai.protocol.manifest import ProtocolManifest
from dragoman.ai.protocol.v2 import ApiStyle, Capability
from dragoman.ai.types.events import StreamingEvent
from dragoman.ai.types.message import Message, ToolCall
from dragoman.ai.types.tool import ToolDefinition
from dragoman.wire.json_text import read_json

__all__ = [
    "AnthropicDriver",
    "DriverRequest",
    "DriverResponse",
    "GeminiDriver",
    "OpenAiDriver",
    "ProviderDriver",
    "UsageInfo",
    "create_driver",
]

_WORDS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
"""Standard reasons in the words of contracts."""
_OWN_HEADERS = frozenset({"content-type", "accept", "user-agent"})


@dataclass
class DriverRequest:
    """What to send. `url` is the path below the base URL; `headers` are those the style asks for."""

    url: str = ""
    method: str = "POST"
    headers: dict[str, str] = field(default_factory=dict)
    body: dict[str, Any] = field(default_factory=dict)
    stream: bool = False


@dataclass
class UsageInfo:
    """Token counts of one answer; 0 when the provider did not count."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0


@dataclass
class DriverResponse:
    """A plain answer. `finish_reason` is one of stop, length, tool_calls, content_filter, else the
    provider's word; `tool_calls` are in the form of the style, `answer` is the whole of it."""

    content: str | None = None
    finish_reason: str | None = None
    usage: UsageInfo | None = None
    tool_calls: list[dict[str, Any]] = field(default_factory=list)
    raw: dict[str, Any] = field(default_factory=dict)
    answer: Answer | None = None


class ProviderDriver:
    """One style of API for one provider. Reading a stream keeps state: use one driver per stream, or
    read each to its end."""

    style: ClassVar[ApiStyle] = ApiStyle.OPENAI_COMPATIBLE

    def __init__(self, provider_id: str, capabilities: Sequence[Capability | str] | None = None) -> None:
        self._provider_id = provider_id
        self._capabilities = list(capabilities or ())
        self._manifest = _manifest(provider_id, self.style, self._capabilities)
        self._run: StreamRun | None = None

    @property
    def provider_id(self) -> str:
        return self._provider_id

    @property
    def api_style(self) -> ApiStyle:
        return self.style

    @property
    def manifest(self) -> ProtocolManifest:
        """The manifest that says no more than this driver was told."""
        return self._manifest

    def supported_capabilities(self) -> list[Capability | str]:
        """The capabilities the driver was made with."""
        return list(self._capabilities)

    def build_request(
        self,
        messages: Sequence[Message],
        model: str,
        *,
        temperature: float | None = None,
        max_tokens: int | None = None,
        stream: bool = False,
        extra: Mapping[str, Any] | None = None,
        tools: Sequence[ToolDefinition] = (),
        tool_choice: Any = None,
    ) -> DriverRequest:
        """The request for an answer; `extra` goes to the top level of the body verbatim."""
        parameters = {"temperature": temperature, "max_tokens": max_tokens}
        call = ChatCall(
            model,
            messages,
            tools=tools,
            tool_choice=tool_choice,
            parameters={name: value for name, value in parameters.items() if value is not None},
            extra=extra or {},
            stream=stream,
        )
        made = build_chat(self._manifest, call)
        headers = {name: value for name, value in made.headers.items() if name not in _OWN_HEADERS}
        return DriverRequest(made.path, made.method, headers, made.body, stream)

    def parse_response(self, body: Any) -> DriverResponse:
        """A plain answer. Raises RemoteError for an error, PipelineError for what is no answer."""
        answer = parse_answer(self._manifest, body)
        reason = _WORDS.get(answer.stop_reason or "", answer.finish_reason)
        usage = answer.usage
        counts = None
        if usage is not None:
            names = ("prompt_tokens", "completion_tokens", "total_tokens")
            counts = UsageInfo(*(int(usage.get(name) or 0) for name in names))
        return DriverResponse(
            content=answer.content or None,
            finish_reason=reason,
            usage=counts,
            tool_calls=[self.write_call(call) for call in answer.tool_calls],
            raw=body if isinstance(body, dict) else {},
            answer=answer,
        )

    def write_call(self, call: ToolCall) -> dict[str, Any]:
        """A call in the form of the style."""
        arguments = call.arguments_raw if call.arguments_raw is not None else json.dumps(call.arguments)
        return {"id": call.id, "type": "function", "function": {"name": call.function_name, "arguments": arguments}}

    def parse_stream_event(self, data: str | bytes) -> list[StreamingEvent]:
        """The events of one payload (what stands behind `data:`), in order.

        StreamEnd comes with the payload that ends the stream, else from `end_stream`; the next
        payload then begins a new one.
        """
        payload = data.encode() if isinstance(data, str) else bytes(data)
        if not payload.strip():
            return []
        if self._run is None:
            self._run = Pipeline.from_manifest(self._manifest).start()
        framed = b"".join(b"data: " + line + b"\n" for line in payload.splitlines())
        events = self._run.feed(framed + b"\n")
        if self._run.error is not None:
            error, self._run = self._run.error, None
            raise error
        if self._run.done:
            self._run = None
        return events

    def end_stream(self) -> list[StreamingEvent]:
        """The last events, when the connection is over. Raises TransportError when the answer was cut."""
        run, self._run = self._run, None
        if run is None:
            return []
        events = run.close()
        if run.error is not None:
            raise run.error
        return events

    def is_stream_done(self, data: str | bytes) -> bool:
        """Whether this payload says that nothing more comes."""
        text = (data.decode("utf-8", "replace") if isinstance(data, bytes) else data).strip()
        return text == "[DONE]"


class OpenAiDriver(ProviderDriver):
    """Chat completions, which most providers speak."""

    style = ApiStyle.OPENAI_COMPATIBLE


class AnthropicDriver(ProviderDriver):
    """Anthropic's messages."""

    style = ApiStyle.ANTHROPIC_MESSAGES

    def write_call(self, call: ToolCall) -> dict[str, Any]:
        return call.to_content_block()

    def is_stream_done(self, data: str | bytes) -> bool:
        """True for the payload of type message_stop."""
        try:
            frame = read_json(data)
        except ValueError:
            return False
        return isinstance(frame, dict) and frame.get("type") == "message_stop"


class GeminiDriver(ProviderDriver):
    """Google's generateContent; its streams end with the connection."""

    style = ApiStyle.GEMINI_GENERATE

    def write_call(self, call: ToolCall) -> dict[str, Any]:
        return {"functionCall": {"name": call.function_name, "args": call.arguments}}

    def is_stream_done(self, data: str | bytes) -> bool:
        """Never: this wire has no word for it."""
        return False


_DRIVERS: dict[str, type[ProviderDriver]] = {
    ApiStyle.OPENAI_COMPATIBLE.value: OpenAiDriver,
    ApiStyle.ANTHROPIC_MESSAGES.value: AnthropicDriver,
    ApiStyle.GEMINI_GENERATE.value: GeminiDriver,
    ApiStyle.CUSTOM.value: OpenAiDriver,
}


def create_driver(
    api_style: ApiStyle | str, provider_id: str, capabilities: Sequence[Capability | str] | None = None
) -> ProviderDriver:
    """The driver of a style; `custom` gets that of chat completions. Raises ProtocolError for other words."""
    made = _DRIVERS.get(str(getattr(api_style, "value", api_style)))
    if made is None:
        raise ProtocolError(f"unknown API style {api_style!r}, expected one of {sorted(_DRIVERS)}")
    return made(provider_id, capabilities)


def _manifest(provider_id: str, style: ApiStyle, capabilities: Sequence[Capability | str]) -> ProtocolManifest:
    document: dict[str, Any] = {
        "id": provider_id,
        "protocol_version": "2.0",
        "provider_contract": {"api_style": style.value},
        "streaming": {"decoder": {"format": "sse"}},
    }
    if capabilities:
        names = [str(getattr(name, "value", name)) for name in capabilities]
        document["capabilities"] = {"required": names, "optional": []}
    return ProtocolManifest(**document)
