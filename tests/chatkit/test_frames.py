"""Frames: the fast way for text deltas gives the same bytes as the slow one."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from time import process_time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from tests.chatkit.scripted import Scripted, begin, delta, message, said

from dragoman.chatkit.processing.frames import FrameEncoder
from dragoman.chatkit.types import (
    ThreadItemAddedEvent,
    ThreadItemDoneEvent,
    ThreadMetadata,
    ThreadStreamEvent,
)
from dragoman.wire.sse import SSEDecoder

SERVER = Scripted()


@pytest.mark.requirement("CHK-04", "CHK-42")
@given(st.text(), st.text(min_size=1), st.integers(0, 10_000))
def test_a_delta_has_the_same_frame_either_way(text: str, item_id: str, index: int) -> None:
    event = delta(text, item_id, index)
    slow = FrameEncoder(SERVER._serialize, prebuild=False)(event)
    fast = FrameEncoder(SERVER._serialize)
    assert fast(event) == slow
    assert fast(event) == slow  # from the head that is kept by now


@pytest.mark.requirement("CHK-04")
@pytest.mark.parametrize("text", ["\n", "\r\n\r\n", "data: x\n\n", "\u2028\u2029\x00\x1f", "é漢🙂", '"}}'])
def test_whatever_the_text_a_frame_is_one_event(text: str) -> None:
    (event,) = SSEDecoder().feed(FrameEncoder(SERVER._serialize)(delta(text)))
    assert json.loads(event.data)["update"]["delta"] == text


@pytest.mark.requirement("CHK-04")
async def test_a_serializer_of_ones_own_is_used_for_every_event() -> None:
    class Shouting(Scripted):
        def _serialize(self, obj: BaseModel) -> bytes:
            return super()._serialize(obj).upper()

    async def respond(thread: ThreadMetadata, asked: Any, context: Any) -> AsyncIterator[ThreadStreamEvent]:
        yield ThreadItemAddedEvent(item=message(thread))
        yield delta("hi")

    result = await begin(Shouting(respond), "threads.create", input=said("x"))
    assert b'"DELTA":"HI"' in b"".join([chunk async for chunk in result])


@pytest.mark.requirement("CHK-42")
async def test_the_cost_of_a_delta_does_not_grow_with_the_answer() -> None:
    async def respond(thread: ThreadMetadata, asked: Any, context: Any) -> AsyncIterator[ThreadStreamEvent]:
        yield ThreadItemAddedEvent(item=message(thread))
        for _ in range(int(asked.content[0].text)):
            yield delta(" word")
        yield ThreadItemDoneEvent(item=message(thread, "done"))

    async def seconds(count: int) -> float:
        result = await begin(Scripted(respond), "threads.create", input=said(str(count)))
        begun, chunks = process_time(), 0
        async for _ in result.json_events:
            chunks += 1
        assert chunks == count + 5
        return process_time() - begun

    await seconds(1000)
    short = min([await seconds(10_000) for _ in range(3)])
    assert await seconds(80_000) < 16 * short
