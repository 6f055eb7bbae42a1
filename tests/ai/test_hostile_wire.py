"""A provider's server that does not stop, or stops anywhere: each request ends, with an error of ours and bounded memory.

What the server sends without end is sent until the client hangs up; a client that never does runs
into the test's limit.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from tests.ai.wires.server import CUT, Reply, serving
from tests.ai.wires.speak import SPEAKERS, Speaker, speaker_of, stream

from dragoman.ai import AiClient
from dragoman.ai.client import reading
from dragoman.ai.errors import AiLibError, PipelineError, RemoteError, TransportError
from dragoman.core.errors import ProtocolError, TimedOut
from dragoman.transport.drivers import AsyncDriver
from dragoman.transport.options import ClientOptions
from dragoman.wire.http import Headers, Request, Timeouts

pytestmark = pytest.mark.requirement("AIP-33", "AIP-63", "AIP-115")

OPENAI = speaker_of("openai_chat")
MEGABYTE = bytes(1 << 20)
STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
JSON = STREAM.replace(b"text/event-stream", b"application/json")
FAILED = JSON.replace(b"200 OK", b"500 No")
HELLO = OPENAI.text(["Hello"])


@asynccontextmanager
async def sending(first: bytes, again: bytes = b"") -> AsyncIterator[str]:
    """A server that answers with `first`, and then with `again` until nobody listens."""

    tasks: set[asyncio.Task[Any]] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(first)
            await writer.drain()
            while again:
                writer.write(again)
                await writer.drain()
        writer.transport.abort() if again else writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def refused(url: str, *, streamed: bool, timeout: float = 5.0) -> AiLibError:
    async with await AiClient.create("openai/gpt-4o", api_key="test-key", base_url=url, timeout=timeout) as client:
        chat = client.chat().user("Hello")
        with pytest.raises(AiLibError) as caught:
            await (chat.collect() if streamed else chat.execute())
    return caught.value


def bomb(layers: int = 1) -> bytes:
    """A gigabyte of nothing in a megabyte, or in a kilobyte."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = b"".join(packer.compress(MEGABYTE) for _ in range(1024)) + packer.flush()
    for _ in range(layers - 1):
        packed = gzip.compress(packed)
    return packed


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize(
    ("first", "again"),
    [
        pytest.param(b"HTTP/1.1 200 OK\r\n", b"x-a: b\r\n" * 1000, id="headers"),
        pytest.param(b"HTTP/1.1 200 OK\r\nx-a: ", b"b" * 65536, id="one header"),
        pytest.param(b"", b"x" * 65536, id="a status line"),
        pytest.param(JSON[:-2] + b"transfer-encoding: chunked\r\n\r\n1;", b"x" * 65536, id="a chunk's extension"),
        pytest.param(JSON[:-2] + b"transfer-encoding: chunked\r\n\r\n0\r\n", b"a: b\r\n" * 1000, id="trailers"),
    ],
)
async def test_http_without_end_is_a_broken_connection(first: bytes, again: bytes, streamed: bool) -> None:
    async with sending(first, again) as url:
        assert isinstance(await refused(url, streamed=streamed), TransportError)


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize(
    ("first", "again"),
    [
        pytest.param(JSON, b"[" * 65536, id="JSON"),
        pytest.param(JSON, b'{"a":"' + b"x" * 65536, id="an object"),
        pytest.param(JSON.replace(b"application/json", b"text/html"), b"<" * 65536, id="a page"),
        pytest.param(STREAM, b"x" * 65536, id="a line"),
        pytest.param(STREAM, b"data: {\n\n" * 5000, id="frames that are none"),
        pytest.param(JSON[:-2] + b"content-encoding: gzip\r\n\r\n" + bomb(), b"", id="gzip"),
        pytest.param(JSON[:-2] + b"content-encoding: gzip, gzip\r\n\r\n" + bomb(2), b"", id="gzip in gzip"),
        pytest.param(STREAM[:-2] + b"content-encoding: gzip\r\n\r\n" + bomb(), b"", id="gzip of a stream"),
    ],
)
async def test_a_body_without_end_is_refused(first: bytes, again: bytes, streamed: bool) -> None:
    async with sending(first, again) as url:
        assert isinstance(await refused(url, streamed=streamed), PipelineError)


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize(
    ("first", "again"),
    [
        pytest.param(FAILED, b"x" * 65536, id="plain"),
        pytest.param(FAILED[:-2] + b"content-encoding: gzip\r\n\r\n" + bomb(), b"", id="gzip"),
    ],
)
async def test_of_an_error_without_end_the_beginning_is_read(first: bytes, again: bytes, streamed: bool) -> None:
    async with sending(first, again) as url:
        error = await refused(url, streamed=streamed)
    assert isinstance(error, RemoteError)
    assert error.status_code == 500


@pytest.mark.parametrize("streamed", [True, False])
async def test_early_hints_without_end_are_no_answer_in_time(streamed: bool) -> None:
    """No read is ever silent, so no limit on silence ends this."""
    async with sending(b"", b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n") as url:
        error = await refused(url, streamed=streamed, timeout=0.1)
    assert isinstance(error, TransportError)
    assert error.kind == "timeout_read"


async def test_a_stream_that_never_ends_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_BYTES", 1 << 20)
    for again in (HELLO[1] * 200, b": nothing\n\n" * 5000):
        async with sending(STREAM, again) as url:
            assert "on and on" in str(await refused(url, streamed=True))


async def test_what_comes_behind_a_whole_answer_does_not_hold_it_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_BYTES", 1 << 20)
    async with (
        sending(STREAM + HELLO[0] + HELLO[1] + _finish(), b": nothing\n\n" * 5000) as url,
        await AiClient.create("openai/gpt-4o", api_key="test-key", base_url=url) as client,
    ):
        assert (await client.chat().user("Hello").collect()).content == "Hello"


def _finish() -> bytes:
    return b"data: " + json.dumps({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}).encode() + b"\n\n"


@pytest.mark.parametrize("speaker", [pytest.param(each, id=each.name) for each in SPEAKERS])
async def test_a_connection_that_ends_at_any_byte_is_an_answer_or_an_error(speaker: Speaker) -> None:
    """Never half an answer that passes for whole."""
    whole = b"".join(speaker.text(["Hel", "lo"]))
    ends = range(0, len(whole), 7)
    replies = [stream(speaker, [whole[:end], CUT]) for end in ends]
    async with (
        serving(replies) as server,
        await AiClient.create(speaker.model, api_key="test-key", base_url=server.url + speaker.base) as client,
    ):
        for _ in ends:
            try:
                answer = await client.chat().user("Hello").collect()
            except TransportError:
                continue
            assert answer.content == "Hello"


@pytest.mark.parametrize("length", ["5", "0", "-1", "x", "99999999999999999999999", "5, 6"])
async def test_a_length_that_lies_is_an_error_or_an_end(length: str) -> None:
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n".encode()
    for streamed in (True, False):
        async with sending(head + json.dumps(OPENAI.plain("Hello")).encode()) as url:
            assert isinstance(await refused(url, streamed=streamed), (TransportError, PipelineError))


async def test_cookies_are_not_kept_and_redirects_take_no_key_along() -> None:
    async with serving([]) as other:
        there = Reply([], 307, {"location": f"{other.url}/v1/chat", "set-cookie": "a=b; path=/"}, "length")
        async with (
            serving([there, Reply.json(OPENAI.plain("Hello"), set_cookie="c=d; path=/"), there]) as server,
            await AiClient.create("openai/gpt-4o", api_key="test-key", base_url=server.url) as client,
        ):
            with pytest.raises(RemoteError):
                await client.chat().user("Hello").execute()
            await client.chat().user("Hello").execute()
            with pytest.raises(RemoteError):
                await client.chat().user("Hello").collect()
            assert not any("cookie" in request.headers for request in server.requests)
        assert not other.requests


async def test_half_a_character_goes_out_as_none() -> None:
    """Users and models write them, and a conversation that has one must go on."""
    async with (
        serving([Reply.json(OPENAI.plain("Hello"))]) as server,
        await AiClient.create("openai/gpt-4o", api_key="test-key", base_url=server.url) as client,
    ):
        await client.chat().user("a\ud800b").execute()
        assert server.requests[0].json()["messages"][0]["content"] == "a\N{REPLACEMENT CHARACTER}b"


# --------------------------------------------------------------------------- the driver below


async def test_a_whole_answer_is_read_up_to_a_bound_and_an_error_up_to_its_beginning() -> None:
    driver = AsyncDriver(options=ClientOptions(answer_bytes=1000))
    try:
        async with sending(JSON, b"x" * 65536) as url:
            with pytest.raises(ProtocolError, match="more than 1000 bytes"):
                await driver.send(Request("GET", url))
        async with sending(FAILED, b"x" * 65536) as url:
            answer = await driver.send(Request("GET", url))
            assert answer.status == 500
            assert len(answer.body) >= 1000
    finally:
        await driver.aclose()


async def test_a_head_is_waited_for_as_long_as_its_phases_and_its_body_may_take() -> None:
    driver = AsyncDriver()
    limits: Any = Timeouts.all(0.02)
    try:
        async with sending(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n") as url:
            with pytest.raises(TimedOut, match=r"within 0\.18 s"):
                await driver.stream(Request("POST", url, Headers(), b"x" * 1000, limits))
    finally:
        await driver.aclose()
