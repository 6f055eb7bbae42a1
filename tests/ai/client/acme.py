"""A provider for the tests of the client: a manifest of the commonest wire, answers in it, and clients of it."""

from __future__ import annotations

import json
from typing import Any

from dragoman.ai.client import AiClient, AiClientBuilder
from dragoman.ai.protocol import ProtocolLoader, ProtocolManifest
from dragoman.ai.resilience import RetryConfig
from dragoman.ai.types import StreamingEvent
from dragoman.testing import ScriptedIO
from dragoman.transport.scripted import Reply
from dragoman.wire.http import Headers, Response

KEY = "acme-secret-0123456789"


def manifest(id: str = "acme", base_url: str = "https://acme.test/v1", **changes: Any) -> ProtocolManifest:
    document = {
        "id": id,
        "protocol_version": "1.5",
        "endpoint": {"base_url": base_url},
        "auth": {"type": "bearer", "token_env": f"{id.upper()}_TOKEN"},
        "payload_format": "openai_style",
        "streaming": {"decoder": {"format": "sse"}},
        "capabilities": {"streaming": True, "tools": True, "vision": True},
        "rate_limit_headers": {"requests_remaining": "x-left", "requests_reset": "x-reset"},
        "availability": {"required": False, "regions": ["global"]},
    }
    return ProtocolManifest(**{**document, **changes})


def whole(text: str = "Hello", status: int = 200, calls: list[Any] | None = None, **headers: str) -> Response:
    """A plain answer."""
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if calls is not None:
        message["tool_calls"] = calls
    body = {
        "id": "r",
        "model": "acme-1-0",
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls" if calls else "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    }
    return Response(status, Headers({"content-type": "application/json", **headers}), json.dumps(body).encode())


def refusal(status: int, code: str | None = None, message: str = "no", **headers: str) -> Response:
    body = {"error": {"message": message, "code": code}}
    return Response(status, Headers({"content-type": "application/json", **headers}), json.dumps(body).encode())


def call_of(name: str, arguments: str, id: str = "c1") -> dict[str, Any]:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def frame(**value: Any) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def delta(text: str, finish: str | None = None) -> bytes:
    return frame(choices=[{"index": 0, "delta": {"content": text}, "finish_reason": finish}])


END = [
    frame(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}]),
    frame(choices=[], usage={"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}),
    b"data: [DONE]\n\n",
]


def streamed(*texts: str, headers: dict[str, str] | None = None) -> Reply:
    """A streamed answer, a piece for each text."""
    named = Headers({"content-type": "text/event-stream", **(headers or {})})
    return Reply([*map(delta, texts), *END], 200, named)


def body_of(io: ScriptedIO, number: int = -1) -> Any:
    return json.loads(io.requests[number].body or b"null")


def kinds(events: list[StreamingEvent]) -> list[str]:
    return [event.event_type for event in events]


FAST = RetryConfig(max_retries=2, min_delay_ms=100)


def loader_of(*documents: Any) -> ProtocolLoader:
    loader = ProtocolLoader()
    for document in documents:
        loader.register_provider(dict(document.raw))
    return loader


def building(io: ScriptedIO, *manifests: Any) -> AiClientBuilder:
    """A builder over a script, with the script's time."""
    loader = loader_of(*(manifests or (manifest(), manifest("other", "https://other.test"))))
    builder = AiClient.builder().loader(loader).http_client(io).allow_keyring(False).model("acme/acme-1")
    return builder.clock(io.now, sleep=io.sleep, random=lambda: 1.0, wall=lambda: 0.0)


async def spoken(client: AiClient) -> str:
    return (await client.chat().user("x").execute()).content
