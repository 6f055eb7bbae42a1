"""How much an answer has said, by its frames alone; and reading ahead, which joins what is there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic_core import to_json

from dragoman.ai.backwards.ahead import MOST_AHEAD, ReadAhead
from dragoman.ai.backwards.said import Said

LONG = 10.0


def frame(delta: Any) -> bytes:
    chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta}]}
    return b"data: " + to_json(chunk) + b"\n\n"


ROLE = frame({"role": "assistant", "content": "", "refusal": None})


def said(*pieces: bytes) -> int:
    heard = Said()
    for piece in pieces:
        heard.take(piece)
    return heard.tokens()


def test_nothing_said_is_no_tokens() -> None:
    assert (said(), said(ROLE), said(b": ping\n\n")) == (0, 0, 0)


@pytest.mark.parametrize("at_once", [False, True])
def test_a_frame_is_a_token_and_a_long_one_as_many_as_its_text_makes(at_once: bool) -> None:
    words = [frame({"content": word}) for word in ["a", "b", "c"]]
    texts = [frame({"content": "x" * 400}), frame({"reasoning_content": "y" * 400})]
    for frames, tokens in ((words, 3), (texts, 200)):
        pieces = [b"".join([ROLE, *frames])] if at_once else [ROLE, *frames]
        assert said(*pieces) == pytest.approx(tokens, abs=12 if tokens > 100 else 0)


def test_calls_of_tools_are_said_too() -> None:
    calls = [{"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "z" * 400}}]
    assert said(ROLE, frame({"tool_calls": calls})) == pytest.approx(100, abs=25)


def test_what_is_no_json_does_no_harm() -> None:
    assert said(ROLE, b"data: {not}\n\n", b"data: [1]\n\n") == 2


async def test_what_is_there_is_given_at_once_and_the_rest_when_it_comes() -> None:
    gate = asyncio.Event()

    async def reads() -> AsyncIterator[bytes]:
        for piece in (b"a", b"b", b"c"):
            yield piece
        await gate.wait()
        yield b"d"

    ahead = ReadAhead(reads())
    async with asyncio.timeout(LONG):
        assert await ahead.take() == b"abc"
        gate.set()
        assert (await ahead.take(), await ahead.take(), await ahead.take()) == (b"d", b"", b"")
    await ahead.aclose()


async def test_a_failure_comes_behind_what_was_read_before_it() -> None:
    async def reads() -> AsyncIterator[bytes]:
        yield b"a"
        raise OSError("broken")

    ahead = ReadAhead(reads())
    async with asyncio.timeout(LONG):
        assert await ahead.take() == b"a"
        for _ in range(2):
            with pytest.raises(OSError, match="broken"):
                await ahead.take()


async def test_reading_waits_where_nobody_takes_and_ends_with_its_reader() -> None:
    given = 0
    is_over = asyncio.Event()

    async def reads() -> AsyncIterator[bytes]:
        nonlocal given
        try:
            while True:
                given += 1
                yield b"x" * 1024
                await asyncio.sleep(0)
        finally:
            is_over.set()

    source = reads()
    ahead = ReadAhead(source)
    async with asyncio.timeout(LONG):
        taken = len(await ahead.take())
        for _ in range(500):
            await asyncio.sleep(0)
        assert given * 1024 <= taken + MOST_AHEAD + 1024
        taken += len(await ahead.take())
        assert taken == given * 1024
        await ahead.aclose()
        await ahead.aclose()
        await source.aclose()  # type: ignore[attr-defined]
        await is_over.wait()


async def test_a_wait_that_is_given_up_loses_nothing() -> None:
    gate = asyncio.Event()

    async def reads() -> AsyncIterator[bytes]:
        await gate.wait()
        yield b"late"

    ahead = ReadAhead(reads())
    waiting = asyncio.create_task(ahead.take())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    gate.set()
    async with asyncio.timeout(LONG):
        assert await ahead.take() == b"late"
    await ahead.aclose()
