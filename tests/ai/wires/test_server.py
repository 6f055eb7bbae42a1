"""The byte server keeps its word: what it says, holds, cuts and tells of connections."""

from __future__ import annotations

import asyncio

import pytest
from tests.ai.wires.server import CUT, HOLD, Reply, pieces, serving

from dragoman.core.errors import TransportError
from dragoman.transport.drivers import AsyncDriver
from dragoman.wire.http import Headers, Request


def asking(url: str, body: bytes | None = None) -> Request:
    return Request("POST", url, Headers({"content-type": "application/json"}), body)


@pytest.mark.parametrize("framing", ["chunked", "length", "close"])
@pytest.mark.parametrize("coding", ["", "gzip"])
async def test_every_framing_and_coding_arrives_whole(framing: str, coding: str) -> None:
    reply = Reply(pieces(b"a" * 1000 + "ü".encode(), 97), framing=framing, coding=coding)  # type: ignore[arg-type]  # the literals of the table
    async with serving(lambda _: reply) as server:
        driver = AsyncDriver()
        try:
            answers = [await driver.send(asking(f"{server.url}/a%20b?x=1", b'{"n": 1}')) for _ in range(2)]
        finally:
            await driver.aclose()
    assert [answer.body for answer in answers] == [b"a" * 1000 + "ü".encode()] * 2
    request = server.requests[0]
    assert (request.path, request.raw_path, request.query, request.json()) == ("/a b", "/a%20b", {"x": "1"}, {"n": 1})
    assert [each.connection for each in server.requests] == ([0, 1] if framing == "close" else [0, 0])


async def test_it_holds_until_it_is_released_and_tells_when_the_peer_left() -> None:
    async with serving([Reply([b"one", HOLD, b"two"])]) as server:
        driver = AsyncDriver()
        try:
            stream = await driver.stream(asking(server.url))
            reading = aiter(stream)
            assert await anext(reading) == b"one"
            assert not server.requests[0].closed.is_set()
            server.release()
            assert await anext(reading) == b"two"
            await stream.aclose()
        finally:
            await driver.aclose()
        assert await server.requests[0].gone() <= asyncio.get_running_loop().time()


async def test_it_cuts() -> None:
    async with serving([Reply([b"one", CUT])]) as server:
        driver = AsyncDriver()
        try:
            with pytest.raises(TransportError):
                await driver.send(asking(server.url))
        finally:
            await driver.aclose()
