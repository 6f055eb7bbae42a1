"""A provider that says its key back wherever it can: it shows nowhere, whatever one prints, pickles or logs.

`test_secrets.py` has the errors that providers really make; these are the ones that nobody would.
"""

from __future__ import annotations

import json
import logging
import pickle
import traceback
from collections.abc import Iterator
from typing import Any

import pytest
from tests.ai.wires.server import Reply, serving
from tests.ai.wires.speak import speaker_of

from dragoman.ai import AiClient, StreamingEvent
from dragoman.ai.errors import AiLibError
from dragoman.ai.protocol import ProtocolLoader
from dragoman.ai.transport import HttpTransport
from dragoman.transport.clients import async_client
from dragoman.transport.options import ClientOptions

pytestmark = pytest.mark.requirement("AIP-113")

KEY = "Zq7Very0Secret1Value2For3This4Test5"
"""Of no shape that a pattern would know."""

EVENTS = {"content-type": "text/event-stream"}
JSON = {"content-type": "application/json"}


def event(value: Any) -> bytes:
    return b"data: " + (value if isinstance(value, bytes) else json.dumps(value).encode()) + b"\n\n"


HELLO = event({"choices": [{"index": 0, "delta": {"content": "Hello"}}]})
LOUD = {"message": f"no such key: {KEY}", "code": KEY, "type": KEY, "param": KEY, "request_id": KEY, KEY: KEY}

ECHOES = {
    "an error in the stream": Reply([event({"error": LOUD})], 200, EVENTS),
    "an error behind text": Reply([HELLO, event({"error": LOUD})], 200, EVENTS),
    "an error of one word": Reply([event({"error": KEY})], 200, EVENTS),
    "a frame that is none": Reply([event(f"{{{KEY}".encode()), HELLO], 200, EVENTS),
    "an error with status 200": Reply.json({"error": LOUD}),
    "JSON that is no answer": Reply.json({"oops": [KEY, {KEY: KEY}]}),
    "text": Reply([f"oops {KEY}".encode()], 200, {"content-type": "text/plain"}, "length"),
    "text across the cut": Reply([b"x" * 180 + KEY.encode()], 200, {"content-type": "text/html"}, "length"),
    "a page": Reply([f"<p>{KEY}".encode()], 200, {"content-type": "text/html"}, "length"),
    "the type": Reply([b"oops"], 200, {"content-type": f"text/{KEY}"}, "length"),
    "a refusal": Reply.json({"error": LOUD, "request_id": KEY}, 401),
    "its headers": Reply.json({"error": "no"}, 401, x_request_id=KEY, retry_after=KEY, www_authenticate=KEY),
    "an escaped refusal": Reply([json.dumps({"error": LOUD}).replace("Z", "\\u005a").encode()], 403, JSON, "length"),
    "a packed refusal": Reply([f"oops {KEY}".encode()], 500, {"content-type": "text/plain"}, coding="gzip"),
    "a redirect": Reply([KEY.encode()], 302, {"location": f"http://127.0.0.1:9/{KEY}"}, "length"),
    "no HTTP": Reply([f"HTTP/1.1 {KEY} OK\r\n\r\n".encode()], framing="raw"),
    "a bad chunk": Reply([f"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{KEY}\r\n".encode()], framing="raw"),
}


def told(error: BaseException) -> Iterator[str]:
    """All that a person, a log or another process could come to see of an error and of what led to it."""
    yield "".join(traceback.format_exception(error))
    yield pickle.dumps(error).decode("latin-1")
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting:
        one = waiting.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            yield f"{one} {one!r} {one.args!r} {vars(one)!r}"
            waiting += [one.__cause__, one.__context__]


async def asked(client: AiClient, how: str) -> tuple[AiLibError | None, list[StreamingEvent]]:
    chat = client.chat().user("Hello")
    events: list[StreamingEvent] = []
    try:
        if how == "events":
            async for one in chat.stream():
                events.append(one)
        else:
            await (chat.execute() if how == "whole" else chat.collect())
    except AiLibError as error:
        return error, events
    return None, events


@pytest.mark.parametrize("how", ["whole", "collected", "events"])
@pytest.mark.parametrize("name", ECHOES)
async def test_a_key_that_is_said_back_shows_nowhere(name: str, how: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "dragoman")
    document = {
        "id": "loud",
        "protocol_version": "1.5",
        "endpoint": {"base_url": "http://127.0.0.1:9"},
        "auth": {"type": "query_param", "param_name": "key"},
    }
    manifest = ProtocolLoader().register_provider(document)
    async with serving([ECHOES[name]] * 2) as server:
        for client in (
            await AiClient.create("openai/gpt-4o", api_key=KEY, base_url=server.url),
            await AiClient.from_manifest(manifest, "m", api_key=KEY, base_url=server.url),
        ):
            async with client:
                error, events = await asked(client, how)
                assert error is not None or any(one.is_stream_error for one in events)
                shown = [*(told(error) if error is not None else ()), repr(events), repr(client)]
                assert not [text for text in shown if KEY in text]
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("dragoman")]
    assert not any(KEY in line for line in ours)


async def test_what_a_model_says_is_not_changed_even_if_it_is_the_key() -> None:
    """`ollama` is a usual key of local servers, and a usual word of their answers."""
    openai = speaker_of("openai_chat")
    async with (
        serving([Reply(openai.text(["I am ollama"]), headers=EVENTS), Reply.json(openai.plain("ollama"))]) as server,
        await AiClient.create("openai/gpt-4o", api_key="ollama", base_url=server.url) as client,
    ):
        assert (await client.chat().user("Hello").collect()).content == "I am ollama"
        assert (await client.chat().user("Hello").execute()).content == "ollama"


async def test_no_log_of_the_http_library_has_the_key_of_a_request(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(1)
    for auth in ({"type": "bearer"}, {"type": "api_key"}, {"type": "query_param", "param_name": "k"}):
        document = {"id": "quiet", "protocol_version": "1.5", "endpoint": {"base_url": "http://127.0.0.1:9"}}
        manifest = ProtocolLoader().register_provider({**document, "auth": auth})
        async with serving([Reply.json({"ok": True})]) as server:
            transport = HttpTransport(manifest, api_key=KEY, base_url_override=server.url)
            async with transport:
                await transport.get("/models")
            sent = server.requests[0]
            assert KEY in f"{sent.headers} {sent.target}"
    assert any(record.name.startswith("http") for record in caplog.records)
    assert KEY not in caplog.text


async def test_http2_compresses_headers_without_telling_them_to_a_log(caplog: pytest.LogCaptureFixture) -> None:
    """The library below logs each header that it packs, and its value."""
    hpack = pytest.importorskip("hpack")
    client = async_client(ClientOptions(http2=True))
    caplog.set_level(1)
    hpack.Encoder().encode([(b"authorization", f"Bearer {KEY}".encode()), (b"x-api-key", KEY.encode())])
    assert KEY not in caplog.text
    await client.aclose()


def test_a_credential_is_in_no_text_of_what_holds_it() -> None:
    manifest = ProtocolLoader().load_provider_sync("openai")
    transport = HttpTransport(manifest, api_key=KEY, proxy=f"http://user:{KEY}@127.0.0.1:9")
    for one in (
        transport,
        transport.credential(),
        transport.connections if hasattr(transport, "connections") else None,
    ):
        assert KEY not in f"{one!r} {one}"
