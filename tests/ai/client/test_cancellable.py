"""Any stream under a token: interrupted while it waits, closed, told about once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import anyio
import anyio.lowlevel
import pytest

from dragoman.ai.client import CancellableStream, CancelReason, CancelToken, create_cancel_pair, with_cancellation

pytestmark = pytest.mark.requirement("AIP-57")


class Source:
    """Gives numbers, then waits for ever; knows whether it was closed."""

    def __init__(self, count: int = 2) -> None:
        self.count, self.closed, self.waiting = count, 0, anyio.Event()

    def __aiter__(self) -> Source:
        return self

    async def __anext__(self) -> int:
        if self.count:
            self.count -= 1
            return self.count
        self.waiting.set()
        await anyio.sleep_forever()
        raise AssertionError

    async def aclose(self) -> None:
        self.closed += 1


async def test_cancelling_interrupts_a_pending_read_closes_and_calls_back_once() -> None:
    handle, token = create_cancel_pair()
    source, called = Source(), []
    stream = CancellableStream(source, token, lambda: called.append(1))
    assert (stream.started, stream.finished) == (False, False)
    seen = []

    async def read() -> None:
        async for number in stream:
            seen.append(number)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            await source.waiting.wait()
            handle.cancel()
    assert seen == [1, 0]
    assert (stream.started, stream.finished, source.closed, called) == (True, True, 1, [1])
    assert [number async for number in stream] == []
    assert (source.closed, called) == (1, [1])


async def test_a_token_cancelled_before_gives_nothing_and_closes_the_source() -> None:
    token, source, called = CancelToken(), Source(), []
    token.cancel()

    async def on_cancel() -> None:
        called.append(token.reason)

    assert [n async for n in with_cancellation(source, token, on_cancel)] == []
    assert (source.count, source.closed, called) == (2, 1, ["user_request"])


async def test_a_timeout_ends_a_stream_that_waits() -> None:
    token, source = CancelToken(timeout=0.01), Source()
    with anyio.fail_after(5):
        assert [n async for n in with_cancellation(source, token)] == [1, 0]
    assert (token.reason, source.closed) == (CancelReason.TIMEOUT, 1)


async def test_a_stream_that_ends_by_itself_is_finished_and_nobody_is_called() -> None:
    called: list[int] = []

    async def numbers() -> AsyncIterator[int]:
        yield 1

    stream = with_cancellation(numbers(), CancelToken(), lambda: called.append(1))
    assert [n async for n in stream] == [1]
    assert (stream.finished, called) == (True, [])


async def test_an_error_of_the_source_comes_through_and_closes_it() -> None:
    source = Source()

    async def fail() -> int:
        raise KeyError("x")

    source.__class__ = type("Failing", (Source,), {"__anext__": lambda self: fail()})
    with pytest.raises(KeyError):
        await anext(with_cancellation(source, CancelToken()))
    assert source.closed == 1


async def test_it_may_be_awaited_or_not_and_takes_what_has_to_be_awaited() -> None:
    async def numbers() -> AsyncIterator[int]:
        yield 1

    async def later() -> AsyncIterator[int]:
        return numbers()

    stream = with_cancellation(later(), CancelToken())
    assert await stream is stream
    assert [n async for n in stream] == [1]


async def test_a_handle_serves_as_well_as_a_token() -> None:
    handle, token = create_cancel_pair()
    source = Source()
    async with with_cancellation(source, handle) as stream:
        assert await anext(stream) == 1
        token.cancel()
        assert [n async for n in stream] == []
    assert source.closed == 1


async def test_closing_by_hand_and_cancelling_the_reading_task_close_the_source() -> None:
    source = Source()
    stream = with_cancellation(source, CancelToken())
    await stream.close()
    await stream.close()
    assert source.closed == 1
    other = Source()
    task = asyncio.ensure_future(_drain(with_cancellation(other, CancelToken())))
    with anyio.fail_after(5):
        await other.waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert other.closed == 1


async def _drain(stream: CancellableStream[int]) -> None:
    async for _ in stream:
        pass


async def test_a_callback_that_fails_does_not_stop_the_end(caplog) -> None:
    token, source = CancelToken(), Source()
    token.cancel()
    assert [n async for n in with_cancellation(source, token, lambda: 1 / 0)] == []
    assert source.closed == 1
    assert "ZeroDivisionError" in caplog.text
