"""Who else turns the bytes of a model's stream into events: the peers of P1, each in the dialect it knows.

A peer that this environment does not have is None; `decode` measures the others.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from bench.measure import peer

Events = AsyncIterator[Any] | Iterable[Any]


@dataclass(frozen=True, slots=True)
class Decoder:
    """Somebody's way from reads to events.

    It gives one event per event of the dialect, and `more`; None if it leaves out some, as it says.
    """

    name: str
    dialect: str
    decode: Callable[[list[bytes]], Events]
    text: Callable[[Any], str]
    more: int | None = 0


async def source(reads: list[bytes]) -> AsyncIterator[bytes]:
    for read in reads:
        yield read


def kai_client() -> Decoder | None:
    sse, httpx = peer("kai_client.sse"), peer("httpx")
    if sse is None or httpx is None:
        return None

    def decode(reads: list[bytes]) -> Events:
        return sse.parse_sse_stream(httpx.Response(200, content=source(reads)))

    return Decoder("kai-client", "ai_sdk", decode, lambda e: e.text if e.type == "text" else "")


def httpx_sse() -> Decoder | None:
    """Events with JSON parsed; no types."""
    sse, httpx = peer("httpx_sse"), peer("httpx")
    if sse is None or httpx is None:
        return None

    async def decode(reads: list[bytes]) -> AsyncIterator[Any]:
        response = httpx.Response(200, headers={"content-type": "text/event-stream"}, content=source(reads))
        async for event in sse.EventSource(response).aiter_sse():
            if event.data != "[DONE]":
                yield event.json()

    def text(event: Any) -> str:
        return event["delta"] if event["type"] == "text-delta" else ""

    return Decoder("httpx-sse + json", "ai_sdk", decode, text)


def noukai_sdk() -> Decoder | None:
    streaming = peer("noukai_sdk._streaming")
    if streaming is None:
        return None

    def decode(reads: list[bytes]) -> Events:
        return streaming.parse_sse_stream(source(reads))

    return Decoder("noukai-sdk", "noukai", decode, lambda e: getattr(e, "output_data", None) or "")


def stkai() -> Decoder | None:
    agents, requests = peer("stkai.agents._sse_parser"), peer("requests")
    if agents is None or requests is None:
        return None

    def decode(reads: list[bytes]) -> Events:
        response = requests.Response()
        response.status_code, response.encoding = 200, "utf-8"
        response.raw = _Raw(reads)
        return agents.SseEventParser().parse(response.iter_lines(decode_unicode=True))

    return Decoder("stkai", "stackspot", decode, lambda e: e.text or "", more=1)  # one for [DONE]


class _Raw:
    """What `requests` reads from, one read at a time."""

    def __init__(self, reads: list[bytes]) -> None:
        self._reads = reads

    def stream(self, size: int, decode_content: bool = True) -> Iterable[bytes]:
        yield from self._reads


def ai_lib() -> Decoder | None:
    base, decoders, mappers = (peer(f"ai_lib_python.pipeline.{name}") for name in ("base", "decode", "event_map"))
    if base is None or decoders is None or mappers is None:
        return None

    def decode(reads: list[bytes]) -> Events:
        pipeline = base.Pipeline(decoders.SSEDecoder(), event_mapper=mappers.DefaultEventMapper())
        return pipeline.process(source(reads))

    def text(event: Any) -> str:
        return event.data.content if event.event_type == "PartialContentDelta" else ""

    return Decoder("ai-lib-python", "openai", decode, text, more=None)


def openai() -> Decoder | None:
    package, httpx2 = peer("openai"), peer("httpx2")
    if package is None or httpx2 is None:
        return None
    client = package.AsyncOpenAI(api_key="none")
    chunk = importlib_of("openai.types.chat").ChatCompletionChunk

    def decode(reads: list[bytes]) -> Events:
        response = httpx2.Response(200, content=source(reads), request=httpx2.Request("POST", "http://none"))
        return package.AsyncStream(cast_to=chunk, response=response, client=client)

    def text(event: Any) -> str:
        return (event.choices[0].delta.content or "") if event.choices else ""

    return Decoder("openai", "openai", decode, text)


def anthropic() -> Decoder | None:
    package, httpx2 = peer("anthropic"), peer("httpx2")
    if package is None or httpx2 is None:
        return None
    client = package.AsyncAnthropic(api_key="none")
    event_type = importlib_of("anthropic.types").RawMessageStreamEvent

    def decode(reads: list[bytes]) -> Events:
        response = httpx2.Response(200, content=source(reads), request=httpx2.Request("POST", "http://none"))
        return package.AsyncStream(cast_to=event_type, response=response, client=client)

    def text(event: Any) -> str:
        return getattr(event.delta, "text", "") if event.type == "content_block_delta" else ""

    return Decoder("anthropic", "anthropic", decode, text)


def importlib_of(name: str) -> Any:
    """A module of a package that is there."""
    found = peer(name)
    if found is None:
        raise ModuleNotFoundError(name)
    return found


def pydantic_ai() -> Decoder | None:
    """Its OpenAI model over a client of the openai package, whose transport gives the reads."""
    if None in (peer("pydantic_ai"), peer("openai"), peer("httpx2")):
        return None
    models, providers, messages, settings = (
        importlib_of(f"pydantic_ai.{name}") for name in ("models.openai", "providers.openai", "messages", "models")
    )
    package, httpx = importlib_of("openai"), importlib_of("httpx2")

    async def decode(reads: list[bytes]) -> AsyncIterator[Any]:
        def respond(request: Any) -> Any:
            headers = {"content-type": "text/event-stream"}
            return httpx.Response(200, headers=headers, content=source(reads), request=request)

        http = httpx.AsyncClient(transport=httpx.MockTransport(respond))
        client = package.AsyncOpenAI(api_key="none", base_url="http://none", http_client=http)
        model = models.OpenAIChatModel("gpt-4o-mini", provider=providers.OpenAIProvider(openai_client=client))
        asked = [messages.ModelRequest(parts=[messages.UserPromptPart("hi")])]
        async with model.request_stream(asked, None, settings.ModelRequestParameters()) as response:
            async for event in response:
                yield event

    def text(event: Any) -> str:
        if event.event_kind == "part_start":
            return str(getattr(event.part, "content", ""))
        delta = getattr(event, "delta", None)
        return str(getattr(delta, "content_delta", None) or "")

    return Decoder("pydantic-ai", "openai", decode, text, more=None)


def litellm() -> Decoder | None:
    """Its wrapper of a stream of the openai package, of which it asks for an older one: see `bench.apart`."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # else its import asks the network
    package, httpx, client_package = peer("litellm"), peer("httpx"), peer("openai")
    if package is None or httpx is None or client_package is None:
        return None
    package.suppress_debug_info = True

    async def decode(reads: list[bytes]) -> AsyncIterator[Any]:
        def respond(request: Any) -> Any:
            headers = {"content-type": "text/event-stream"}
            return httpx.Response(200, headers=headers, content=source(reads), request=request)

        http = httpx.AsyncClient(transport=httpx.MockTransport(respond))
        client = client_package.AsyncOpenAI(api_key="none", base_url="http://none", http_client=http)
        asked = [{"role": "user", "content": "hi"}]
        async for chunk in await package.acompletion("openai/gpt-4o-mini", asked, stream=True, client=client):
            yield chunk

    def text(event: Any) -> str:
        return (event.choices[0].delta.content or "") if event.choices else ""

    return Decoder("litellm", "openai", decode, text, more=None)


PEERS: dict[str, Callable[[], Decoder | None]] = {
    "noukai-sdk": noukai_sdk,
    "stkai": stkai,
    "httpx-sse + json": httpx_sse,
    "kai-client": kai_client,
    "ai-lib-python": ai_lib,
    "anthropic": anthropic,
    "openai": openai,
    "pydantic-ai": pydantic_ai,
    "litellm": litellm,
}
