"""Many operations side by side: order, bounds, progress, failures, cancelling."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import anyio
import anyio.lowlevel
import pytest

from dragoman.ai.batch import BatchExecutor, BatchResult, batch_execute
from dragoman.ai.client import CancelToken
from dragoman.ai.errors import AiRuntimeError, ErrorClass

pytestmark = pytest.mark.requirement("AIP-89")


async def double(item: int) -> int:
    await anyio.lowlevel.checkpoint()
    if item < 0:
        raise ValueError(item)
    return 2 * item


def cut(error: object) -> bool:
    return isinstance(error, AiRuntimeError) and error.error_class is ErrorClass.CANCELLED


async def test_results_come_in_the_order_of_the_items() -> None:
    result = await BatchExecutor(double).execute(range(100))
    assert result.results == [2 * n for n in range(100)]
    assert (result.all_successful, result.successful_count, result.failed_count) == (True, 100, 0)
    assert result.total_time_ms >= 0


async def test_a_failure_is_kept_beside_the_results() -> None:
    result = await batch_execute([1, -1, 2, -2], double, max_concurrent=2)
    assert result.results == [2, None, 4, None]
    assert result.get_successful_results() == [2, 4]
    assert [(place, str(error)) for place, error in result.get_errors()] == [(1, "-1"), (3, "-2")]
    assert (result.successful_count, result.failed_count, result.all_successful) == (2, 2, False)


@pytest.mark.parametrize("fail_fast", [False, True])
async def test_what_an_operation_waits_for_may_be_cancelled_without_the_batch(fail_fast: bool) -> None:
    async def wait(item: int) -> int:
        if item == 0:
            inner = asyncio.ensure_future(asyncio.Event().wait())
            asyncio.get_running_loop().call_soon(inner.cancel)
            await inner
        return item

    result = await BatchExecutor(wait, max_concurrent=1, fail_fast=fail_fast).execute(range(3))
    assert result.results == ([None, None, None] if fail_fast else [None, 1, 2])
    assert cut(result.errors[0])


async def test_no_items_are_no_work() -> None:
    result = await BatchExecutor(double).execute([])
    assert (result.results, result.errors, result.all_successful) == ([], [], True)


async def test_none_is_a_result() -> None:
    async def nothing(item: int) -> None:
        return None

    result = await BatchExecutor(nothing).execute([1, 2])
    assert (result.get_successful_results(), result.all_successful) == ([None, None], True)


async def test_so_many_run_at_once_and_no_more_are_taken() -> None:
    at_once, most, taken = 0, 0, 0
    gate = anyio.Event()

    def items() -> Iterator[int]:
        nonlocal taken
        for n in range(50):
            taken += 1
            yield n

    async def wait(item: int) -> int:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        if item == 2:
            assert taken == 3
            gate.set()
        await gate.wait()
        await anyio.lowlevel.checkpoint()
        at_once -= 1
        return item

    with anyio.fail_after(5):
        result = await BatchExecutor(wait, max_concurrent=3).execute(items())
    assert (result.results, most) == ([*range(50)], 3)
    assert BatchExecutor(wait, max_concurrent=3).max_concurrent == 3


async def test_items_may_come_asynchronously() -> None:
    async def items() -> AsyncIterator[int]:
        for n in range(10):
            await anyio.lowlevel.checkpoint()
            yield n

    assert (await BatchExecutor(double, 4).execute(items())).results == [2 * n for n in range(10)]


async def test_progress_is_told_after_each_item() -> None:
    told: list[tuple[int, int]] = []
    await BatchExecutor(double, 2).execute_with_progress([1, -1, 3], lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]


async def test_progress_may_be_told_to_a_coroutine_and_fail(caplog: pytest.LogCaptureFixture) -> None:
    told: list[int] = []

    async def on_progress(done: int, total: int) -> None:
        told.append(total)
        raise OSError("screen gone")

    result = await BatchExecutor(double, 1).execute_with_progress(iter([1, 2]), on_progress)
    assert (result.results, told) == ([2, 4], [1, 2])
    assert "on_progress failed" in caplog.text


async def test_the_first_failure_may_end_the_rest() -> None:
    begun: list[int] = []

    async def noted(item: int) -> int:
        begun.append(item)
        return await double(item)

    result = await BatchExecutor(noted, 1, fail_fast=True).execute([1, -1, 3, 4])
    assert (result.results, begun) == ([2, None, None, None], [1, -1])
    assert isinstance(result.errors[1], ValueError)
    assert [cut(error) for error in result.errors] == [False, False, True, True]
    assert result.failed_count == 3


async def test_what_is_under_way_is_cut_when_one_fails() -> None:
    forever = anyio.Event()

    async def waits(item: int) -> int:
        if item:
            await forever.wait()
        raise ValueError(item)

    with anyio.fail_after(5):
        result = await BatchExecutor(waits, 3, fail_fast=True).execute([1, 2, 0, 3])
    assert [cut(error) for error in result.errors] == [True, True, False, True]


async def test_a_token_ends_it_and_keeps_what_is_done() -> None:
    token = CancelToken()

    async def until(item: int) -> int:
        if item == 2:
            token.cancel()
            await anyio.Event().wait()
        return item

    with anyio.fail_after(5):
        result = await BatchExecutor(until, 1).execute([0, 1, 2, 3], cancel=token)
    assert result.results == [0, 1, None, None]
    assert [cut(error) for error in result.errors] == [False, False, True, True]


async def test_cancelling_the_caller_cancels_all() -> None:
    began, ended = anyio.Event(), anyio.Event()

    async def waits(item: int) -> int:
        began.set()
        try:
            await anyio.Event().wait()
        finally:
            ended.set()
        return item

    task = asyncio.create_task(BatchExecutor(waits).execute([1]))
    async with asyncio.timeout(5):
        await began.wait()
        task.cancel()
        await asyncio.wait([task])
    assert (task.cancelled(), ended.is_set()) == (True, True)


async def test_what_the_items_raise_is_raised() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise OSError("file gone")

    with pytest.raises(OSError, match="file gone"):
        await BatchExecutor(double).execute(items())


def test_no_worker_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        BatchExecutor(double, 0)


def test_a_result_is_plain() -> None:
    assert BatchResult[int]() == BatchResult([], [], 0.0)


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_it_needs_no_asyncio() -> None:
    assert (await batch_execute([1, -1], double)).results == [2, None]
