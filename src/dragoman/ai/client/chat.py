"""Puts a chat request together and sends it, plainly or as a stream, as often as wanted."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, overload

from dragoman.ai.adapters import build_chat
from dragoman.ai.adapters.call import ChatCall, Resolver
from dragoman.ai.adapters.parameters import STANDARD
from dragoman.ai.client.event_stream import EventStream
from dragoman.ai.client.options import as_message, as_tools
from dragoman.ai.client.response import ChatResponse
from dragoman.ai.client.settings import CallOptions
from dragoman.ai.client.stats import CallStats
from dragoman.ai.client.tools import run_tools
from dragoman.ai.errors import ValidationError
from dragoman.ai.types.message import Message
from dragoman.ai.types.tool import ToolDefinition

if TYPE_CHECKING:
    from dragoman.ai.client.cancel import CancelToken
    from dragoman.ai.client.client import AiClient
    from dragoman.ai.structured.json_mode import JsonModeConfig
    from dragoman.ai.structured.streaming import StructuredStream

__all__ = ["ChatRequestBuilder"]

Self = TypeVar("Self", bound="ChatRequestBuilder")
T = TypeVar("T")


class ChatRequestBuilder:
    """Made by `AiClient.chat()`. Setters return the builder; it may be sent many times and changed between.

    What is handed in is copied: lists of the caller's are never changed.
    """

    def __init__(self, client: AiClient) -> None:
        self._client = client
        self._messages: list[Message] = []
        self._parameters: dict[str, Any] = {}
        self._extra: dict[str, Any] = {}
        self._tools: list[ToolDefinition] = []
        self._settings: dict[str, Any] = {}
        self._headers: dict[str, str] = {}
        self._timeout: float | None = None
        self._token: CancelToken | None = None
        self._cache = True
        self._tenant: str | None = None

    # ----------------------------------------------------------------------------------- messages

    def messages(self: Self, messages: Iterable[Message | Mapping[str, Any]]) -> Self:
        """Replace all messages."""
        self._messages = [as_message(message) for message in messages]
        return self

    def add_message(self: Self, message: Message | Mapping[str, Any]) -> Self:
        self._messages.append(as_message(message))
        return self

    def system(self: Self, content: str) -> Self:
        return self.add_message(Message.system(content))

    def user(self: Self, content: str) -> Self:
        return self.add_message(Message.user(content))

    def assistant(self: Self, content: str) -> Self:
        return self.add_message(Message.assistant(content))

    # --------------------------------------------------------------------------------- parameters

    def temperature(self: Self, value: float) -> Self:
        return self._parameter("temperature", value)

    def max_tokens(self: Self, value: int) -> Self:
        return self._parameter("max_tokens", value)

    def top_p(self: Self, value: float) -> Self:
        return self._parameter("top_p", value)

    def stop(self: Self, sequences: str | Iterable[str]) -> Self:
        """Texts at which the answer ends."""
        return self._parameter("stop_sequences", [sequences] if isinstance(sequences, str) else list(sequences))

    def tools(self: Self, tools: Iterable[ToolDefinition | Mapping[str, Any] | Callable[..., Any]]) -> Self:
        """The tools the model may call: definitions, their dicts, or functions, described by their signatures."""
        self._tools = as_tools(tools)
        return self

    def tool_choice(self: Self, choice: Any) -> Self:
        """`"auto"`, `"none"`, `"required"`, a tool's name, or the provider's own object."""
        return self._setting("tool_choice", choice)

    def n(self: Self, count: int) -> Self:
        """So many answers; from a provider that gives one at a time by as many requests."""
        if count < 1:
            raise ValidationError("at least one answer is asked for", field="n", expected=">= 1", actual=count)
        return self._setting("n", count)

    def response_format(self: Self, form: Any) -> Self:
        """`"json"`, a JSON Schema, a pydantic class, or OpenAI's object."""
        return self._setting("response_format", form)

    def json_mode(self: Self, config: JsonModeConfig | None = None) -> Self:
        """Ask for JSON: by a configuration of `dragoman.ai.structured`, else for any object."""
        told = config.to_openai_format() if config is not None else {"response_format": {"type": "json_object"}}
        return self._setting("response_format", told.get("response_format"))

    def reasoning(self: Self, effort: Any) -> Self:
        """How much to think: a word (`"low"`, `"high"` …), a number of tokens, True or False."""
        return self._setting("reasoning_effort", effort)

    def param(self: Self, key: str, value: Any) -> Self:
        """Any parameter: standard names are translated, others reach the body as they are, objects merged into it."""
        if key in _SETTERS:
            setter: Callable[[Any], Self] = getattr(self, _SETTERS[key])
            return setter(value)
        if key == "stream":
            raise ValidationError(
                "call stream() for a stream, execute() for a plain answer", field="stream", actual=value
            )
        if key in STANDARD:
            return self._parameter(key, value)
        self._extra = _merged(self._extra, {key: value})
        return self

    def timeout(self: Self, seconds: float) -> Self:
        """A limit for this call: to its answer, or of a stream to its first output and between its bytes."""
        if not seconds > 0:
            raise ValidationError("a timeout is above 0 seconds", field="timeout", expected="> 0", actual=seconds)
        self._timeout = seconds
        return self

    def cancel(self: Self, token: CancelToken) -> Self:
        """End the call when this token, or its handle, is cancelled."""
        self._token = token
        return self

    def cache(self: Self, on: bool = True, *, tenant: str | None = None) -> Self:
        """Whether the client's cache may answer and keep the answer; a tenant gets none but its own."""
        self._cache, self._tenant = on, tenant
        return self

    def headers(self: Self, headers: Mapping[str, str]) -> Self:
        """Headers for this call; they win over all others. Other providers get no credentials among them."""
        self._headers.update(headers)
        return self

    def resolve(self: Self, resolver: Resolver) -> Self:
        """How blocks that are only a reference get their data."""
        return self._setting("resolve", resolver)

    def _parameter(self: Self, name: str, value: Any) -> Self:
        self._parameters[name] = value
        return self

    def _setting(self: Self, name: str, value: Any) -> Self:
        self._settings[name] = value
        return self

    def copy(self: Self) -> Self:
        """A builder that starts where this one stands."""
        made = copy.copy(self)
        made._messages, made._tools = list(self._messages), list(self._tools)
        made._parameters, made._extra = dict(self._parameters), dict(self._extra)
        made._settings, made._headers = dict(self._settings), dict(self._headers)
        return made

    # ------------------------------------------------------------------------------------ sending

    def build_payload(self) -> dict[str, Any]:
        """The body that `execute` would send. Raises ValidationError as it does."""
        client = self._client
        return build_chat(client.manifest, self._call(client.model_id)).body

    def _call(self, model_id: str, *, stream: bool = False) -> ChatCall:
        return self._client._call(
            model=model_id,
            messages=list(self._messages),
            tools=list(self._tools),
            parameters=dict(self._parameters),
            extra=copy.deepcopy(self._extra),
            headers=dict(self._headers),
            stream=stream,
            **self._settings,
        )

    def _options(self) -> CallOptions:
        return CallOptions(self._timeout, self._token, self._cache, self._tenant)

    async def execute(self) -> ChatResponse:
        """Send and wait for the whole answer.

        Raises ValidationError (nothing was sent), ProtocolError for a missing credential,
        RemoteError, TransportError, PipelineError, a policy's refusal, and AiRuntimeError when a
        token cancelled it.
        """
        return (await self.execute_with_stats())[0]

    async def execute_with_stats(self) -> tuple[ChatResponse, CallStats]:
        """`execute`, and what it took."""
        return await self._client._execute(self._call(self._client.model_id), self._options())

    def stream(self) -> EventStream:
        """The events of the answer; nothing is sent before the first is asked for. See `EventStream`."""
        return self._client._stream(self._call(self._client.model_id, stream=True), self._options())[0]

    async def stream_with_stats(self) -> tuple[EventStream, CallStats]:
        """`stream`, and what it takes; complete when the stream has ended."""
        return self._client._stream(self._call(self._client.model_id, stream=True), self._options())

    async def collect(self) -> ChatResponse:
        """Send as a stream and fold it: the whole answer, without a limit for how long it may take to write."""
        return await self.stream().collect()

    async def run_tools(
        self, handlers: Mapping[str, Callable[..., Any]] | Iterable[Callable[..., Any]], max_rounds: int = 8
    ) -> ChatResponse:
        """Answer the model's tool calls until it calls none; see `dragoman.ai.client.tools.run_tools`."""
        return await run_tools(self, handlers, max_rounds)

    # ----------------------------------------------------------------------------------------- data

    @overload
    async def execute_structured(
        self, output_type: type[T], *, repairs: int = 1, name: str | None = None, strict: bool = True
    ) -> T: ...

    @overload
    async def execute_structured(
        self, output_type: Any, *, repairs: int = 1, name: str | None = None, strict: bool = True
    ) -> Any: ...

    async def execute_structured(
        self, output_type: Any, *, repairs: int = 1, name: str | None = None, strict: bool = True
    ) -> Any:
        """The answer as a value of a type, or by a JSON Schema; see `dragoman.ai.structured.ask_structured`.

        One that is not valid goes back to the model `repairs` times. Raises StructuredOutputError when
        none was valid, and what `execute` raises.
        """
        from dragoman.ai.structured.asking import ask_structured

        return (await ask_structured(self, output_type, repairs=repairs, name=name, strict=strict)).value

    @overload
    def stream_structured(
        self, output_type: type[T], *, repairs: int = 1, name: str | None = None, strict: bool = True
    ) -> StructuredStream[T]: ...

    @overload
    def stream_structured(
        self, output_type: Any, *, repairs: int = 1, name: str | None = None, strict: bool = True
    ) -> StructuredStream[Any]: ...

    def stream_structured(
        self, output_type: Any, *, repairs: int = 1, name: str | None = None, strict: bool = True
    ) -> StructuredStream[Any]:
        """The same as a stream: what there is so far, and the value itself at the end. See `StructuredStream`."""
        from dragoman.ai.structured.asking import prepared
        from dragoman.ai.structured.streaming import StructuredStream
        from dragoman.ai.structured.wanted import Wanted

        wanted = Wanted.of(output_type, name, strict)
        return StructuredStream(prepared(self, wanted, None), wanted, repairs)


_SETTERS = {
    "n": "n",
    "tools": "tools",
    "tool_choice": "tool_choice",
    "response_format": "response_format",
    "reasoning_effort": "reasoning",
    "system_message": "system",
    "stop_sequences": "stop",
    "stop": "stop",
}
"""Standard names with a setter of their own."""


def _merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(old)
    for key, value in new.items():
        before = merged.get(key)
        both = isinstance(before, Mapping) and isinstance(value, Mapping)
        merged[key] = _merged(before, value) if both else copy.deepcopy(value)  # type: ignore[arg-type]  # both says so
    return merged
