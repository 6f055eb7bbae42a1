"""Single requests collected into batches: full, due, failed, cancelled and stopped ones."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from dragoman.ai.batch import BatchCollector, BatchConfig
from dragoman.ai.errors import AiRuntimeError, ErrorClass, ValidationError

pytestmark = pytest.mark.requirement("AIP-88")

SLOW = BatchConfig(max_batch_size=3, max_wait_ms=60_000)
"""Goes off when it is full, not in a test's time."""


class Upper:
    """An executor that keeps the batches it was given, and waits at its gate."""

    def __init__(self, gate: asyncio.Event | None = None) -> None:
        self.batches: list[list[str]] = []
        self.under_way = self.most = 0
        self.gate = gate
        self.began = asyncio.Event()

    async def __call__(self, items: list[str]) -> list[str]:
        self.batches.append(items)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        self.began.set()
        if self.gate is not None:
            await self.gate.wait()
        self.under_way -= 1
        return [item.upper() for item in items]


async def within(waiting: Awaitable[Any], seconds: float = 5) -> Any:
    async with asyncio.timeout(seconds):
        return await waiting


async def adding(collector: BatchCollector[str, str], items: Sequence[str]) -> list[asyncio.Task[str]]:
    """Callers that wait for these items, all of them added."""
    tasks = [asyncio.create_task(collector.add(item)) for item in items]
    await anyio.lowlevel.checkpoint()
    return tasks


async def test_a_full_batch_goes_off_at_once() -> None:
    executor = Upper()
    collector = BatchCollector(SLOW, executor)
    assert await within(asyncio.gather(*map(collector.add, "abc"))) == ["A", "B", "C"]
    assert executor.batches == [["a", "b", "c"]]


async def test_a_batch_that_is_due_goes_off_and_the_next_one_too() -> None:
    executor = Upper()
    collector: BatchCollector[str, str] = BatchCollector(BatchConfig(max_batch_size=100, max_wait_ms=1), executor)
    for _ in range(3):
        assert await within(asyncio.gather(collector.add("a"), collector.add("b"))) == ["A", "B"]
    assert executor.batches == [["a", "b"]] * 3
    assert collector.get_pending_count() == 0


async def test_more_than_a_batch_makes_several() -> None:
    executor = Upper()
    collector = BatchCollector(SLOW, executor)
    tasks = await adding(collector, "abcdefg")
    assert collector.get_pending_count() == 1
    await within(collector.flush())
    assert [await within(task) for task in tasks] == [*"ABCDEFG"]
    assert [len(batch) for batch in executor.batches] == [3, 3, 1]


async def test_groups_do_not_mix() -> None:
    executor = Upper()
    config = BatchConfig(max_batch_size=2, max_wait_ms=60_000, group_by=lambda item: str(item[0]))
    collector: BatchCollector[str, str] = BatchCollector(config, executor)
    tasks = await adding(collector, ["a1", "b1", "a2"])
    assert (collector.get_pending_count(), collector.get_pending_count("b"), collector.get_pending_count("x")) == (
        1,
        1,
        0,
    )
    await within(collector.flush())
    assert [await within(task) for task in tasks] == ["A1", "B1", "A2"]
    assert sorted(executor.batches) == [["a1", "a2"], ["b1"]]


@pytest.mark.parametrize(("results", "unmatched"), [([], 3), (["A"], 2), (["A", "B"], 1)])
async def test_too_few_results_are_an_error_for_those_without(results: list[str], unmatched: int) -> None:
    async def short(items: list[str]) -> list[str]:
        return results

    collector = BatchCollector(SLOW, short)
    found = await within(asyncio.gather(*map(collector.add, "abc"), return_exceptions=True))
    assert found[: len(results)] == results
    errors = [one for one in found if isinstance(one, AiRuntimeError)]
    assert len(errors) == unmatched
    assert all("none for this one" in str(error) for error in errors)


async def test_too_many_results_are_told_and_left(caplog: pytest.LogCaptureFixture) -> None:
    async def long(items: list[str]) -> list[str]:
        return ["A", "B", "C", "D"]

    collector = BatchCollector(SLOW, long)
    assert await within(asyncio.gather(*map(collector.add, "abc"))) == ["A", "B", "C"]
    assert "4 results for 3 items" in caplog.text


async def test_a_failure_is_everybodys_and_a_failed_item_its_own_callers() -> None:
    async def failing(items: list[str]) -> list[Any]:
        if "all" in items:
            raise OSError("down")
        return [ValueError(item) if item == "b" else item.upper() for item in items]

    collector: BatchCollector[str, str] = BatchCollector(SLOW, failing)
    found = await within(asyncio.gather(*map(collector.add, "abc"), return_exceptions=True))
    assert (found[0], found[2], type(found[1])) == ("A", "C", ValueError)
    found = await within(asyncio.gather(*map(collector.add, ["x", "all", "y"]), return_exceptions=True))
    assert [type(one) for one in found] == [OSError] * 3


@pytest.mark.parametrize("error", [StopIteration(), asyncio.CancelledError(), KeyboardInterrupt()])
async def test_a_result_that_nobody_could_catch_is_an_error_all_the_same(error: BaseException) -> None:
    async def odd(items: list[str]) -> list[Any]:
        return [error]

    collector: BatchCollector[str, str] = BatchCollector(BatchConfig(max_batch_size=1), odd)
    with pytest.raises(AiRuntimeError, match="ended with"):
        await within(collector.add("a"))


async def test_an_executor_that_is_cancelled_hangs_nobody() -> None:
    async def cancelled(items: list[str]) -> list[str]:
        raise asyncio.CancelledError

    collector = BatchCollector(SLOW, cancelled)
    found = await within(asyncio.gather(*map(collector.add, "abc"), return_exceptions=True))
    assert [one.error_class for one in found] == [ErrorClass.CANCELLED] * 3


async def test_a_cancelled_caller_is_no_part_of_the_batch() -> None:
    executor = Upper()
    collector = BatchCollector(SLOW, executor)
    tasks = await adding(collector, "ab")
    tasks[0].cancel()
    await within(asyncio.wait([tasks[0]]))
    assert (tasks[0].cancelled(), collector.get_pending_count()) == (True, 1)
    await within(collector.flush())
    assert (await within(tasks[1]), executor.batches) == ("B", [["b"]])


async def test_a_caller_that_was_cancelled_a_moment_ago_is_no_part_of_the_batch() -> None:
    executor = Upper()
    collector = BatchCollector(SLOW, executor)
    tasks = await adding(collector, "ab")
    tasks[0].cancel()
    await within(collector.flush())  # before the caller has heard of it
    assert (await within(tasks[1]), executor.batches) == ("B", [["b"]])


async def test_when_all_callers_are_gone_nothing_goes_off() -> None:
    executor = Upper()
    collector = BatchCollector(SLOW, executor)
    tasks = await adding(collector, "ab")
    for task in tasks:
        task.cancel()
    await within(asyncio.wait(tasks))
    await within(collector.flush())
    assert (executor.batches, collector.get_pending_count()) == ([], 0)


async def test_a_caller_that_leaves_a_running_batch_leaves_the_others_their_answers() -> None:
    executor = Upper(asyncio.Event())
    collector = BatchCollector(SLOW, executor)
    tasks = await adding(collector, "abc")
    await within(executor.began.wait())
    tasks[0].cancel()
    await within(asyncio.wait([tasks[0]]))
    assert executor.gate is not None
    executor.gate.set()
    assert [await within(task) for task in tasks[1:]] == ["B", "C"]


async def test_batches_at_once_are_bounded_where_asked() -> None:
    executor = Upper(asyncio.Event())
    collector: BatchCollector[str, str] = BatchCollector(BatchConfig(max_batch_size=1, max_concurrent=2), executor)
    tasks = await adding(collector, "abcde")
    await within(executor.began.wait())
    assert executor.gate is not None
    executor.gate.set()
    assert [await within(task) for task in tasks] == [*"ABCDE"]
    assert executor.most == 2


async def test_stopping_runs_what_waits_and_takes_nothing_more() -> None:
    executor = Upper()
    collector = BatchCollector(SLOW, executor)
    tasks = await adding(collector, "ab")
    assert collector.is_running
    await within(collector.stop())
    await within(collector.stop())
    assert [await within(task) for task in tasks] == ["A", "B"]
    assert not collector.is_running
    with pytest.raises(AiRuntimeError, match="stopped"):
        await collector.add("c")


async def test_stopping_with_cancel_answers_everyone_with_an_error() -> None:
    executor = Upper(asyncio.Event())
    collector = BatchCollector(SLOW, executor)
    tasks = await adding(collector, "abcd")  # three run, one waits
    await within(executor.began.wait())
    await within(collector.stop(cancel=True))
    found = await within(asyncio.gather(*tasks, return_exceptions=True))
    assert [getattr(one, "error_class", None) for one in found] == [ErrorClass.CANCELLED] * 4


async def test_stopping_right_after_adding_answers_too() -> None:
    executor = Upper()
    collector = BatchCollector(SLOW, executor)
    tasks = await adding(collector, "abc")
    await within(collector.stop(cancel=True))
    found = await within(asyncio.gather(*tasks, return_exceptions=True))
    assert all(isinstance(one, AiRuntimeError) for one in found)


async def test_an_executor_is_needed_and_can_be_given_later() -> None:
    collector: BatchCollector[str, str] = BatchCollector(BatchConfig(max_batch_size=1))
    with pytest.raises(ValidationError, match="set_executor"):
        await collector.add("a")
    collector.set_executor(Upper())
    assert await within(collector.add("a")) == "A"


@pytest.mark.parametrize(
    ("config", "size", "wait"),
    [
        (BatchConfig.default(), 10, 100),
        (BatchConfig.for_embeddings(), 100, 50),
        (BatchConfig.for_chat(), 5, 10),
    ],
)
def test_configurations(config: BatchConfig, size: int, wait: float) -> None:
    assert (config.max_batch_size, config.max_wait_ms) == (size, wait)
    assert BatchCollector(config).config is config


@pytest.mark.parametrize(
    "made", [lambda: BatchConfig(0), lambda: BatchConfig(1, -1), lambda: BatchConfig(max_concurrent=-1)]
)
def test_sizes_that_cannot_be_are_refused(made: Callable[[], BatchConfig]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        made()
