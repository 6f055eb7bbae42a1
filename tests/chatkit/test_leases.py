"""One answer per thread at a time: refused, queued or superseded, and never before the cleanup is done."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dragoman.chatkit.serving.leases import Lease, Leases, ThreadBusy

pytestmark = pytest.mark.requirement("CHK-32")


class Answer:
    """A holder that releases its lease when the test says so."""

    def __init__(self) -> None:
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True


def held(leases: Leases, key: str = "t") -> tuple[Lease, Answer]:
    lease = leases.take(key)
    assert lease is not None
    holder = lease.holder = Answer()
    return lease, holder


async def turn() -> None:
    """Let everything that can go on go on."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_thread_is_taken_once_and_free_again_after_release() -> None:
    leases = Leases()
    lease, _ = held(leases)
    assert leases.take("t") is None
    assert leases.take("another") is not None
    lease.release()
    lease.release()
    assert leases.take("t") is not None


async def test_a_busy_thread_is_refused_at_once() -> None:
    leases = Leases()
    held(leases)
    with pytest.raises(ThreadBusy) as refused:
        await leases.acquire("t", "reject")
    assert (refused.value.status, refused.value.code, refused.value.retry_after) == (409, "thread_busy", 1.0)


async def test_a_message_waits_for_the_cleanup_of_a_cancelled_answer() -> None:
    leases = Leases()
    lease, holder = held(leases)
    holder.cancel()
    waiting = asyncio.ensure_future(leases.acquire("t", "reject"))
    await turn()
    assert not waiting.done()
    lease.release()
    assert (await waiting).key == "t"
    assert leases.is_held("t")


async def test_only_one_of_those_who_waited_for_a_cleanup_gets_the_thread() -> None:
    leases = Leases()
    lease, holder = held(leases)
    holder.cancel()
    waiting = [asyncio.ensure_future(leases.acquire("t", "reject")) for _ in range(3)]
    await turn()
    lease.release()
    results: list[Any] = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(result) for result in results] == [Lease, ThreadBusy, ThreadBusy]


async def test_a_cleanup_that_does_not_end_leaves_the_thread_busy() -> None:
    leases = Leases(cleanup_seconds=0.01)
    _, holder = held(leases)
    holder.cancel()
    with pytest.raises(ThreadBusy):
        await leases.acquire("t", "reject")


async def test_a_queue_is_served_in_order() -> None:
    leases = Leases()
    lease, _ = held(leases)
    order: list[int] = []

    async def one(number: int) -> None:
        mine = await leases.acquire("t", "queue")
        order.append(number)
        await asyncio.sleep(0)
        mine.release()

    waiting = [asyncio.ensure_future(one(number)) for number in range(4)]
    await turn()
    assert order == []
    lease.release()
    await asyncio.wait_for(asyncio.gather(*waiting), 5)
    assert order == [0, 1, 2, 3]
    assert len(leases) == 0


async def test_a_queue_has_an_end() -> None:
    leases = Leases(queue_seconds=0.01)
    held(leases)
    with pytest.raises(ThreadBusy):
        await leases.acquire("t", "queue")


async def test_superseding_cancels_and_the_latest_wins() -> None:
    leases = Leases()
    lease, holder = held(leases)
    first = asyncio.ensure_future(leases.acquire("t", "supersede"))
    second = asyncio.ensure_future(leases.acquire("t", "supersede"))
    await turn()
    assert holder.is_cancelled
    lease.release()
    assert (await second).key == "t"
    with pytest.raises(ThreadBusy):
        await first


async def test_who_gives_up_waiting_holds_nothing() -> None:
    leases = Leases()
    lease, _ = held(leases)
    waiting = asyncio.ensure_future(leases.acquire("t", "queue"))
    await turn()
    waiting.cancel()
    await asyncio.wait((waiting,))
    lease.release()
    assert len(leases) == 0


async def test_who_gives_up_in_the_very_moment_gives_the_thread_on() -> None:
    leases = Leases()
    lease, _ = held(leases)
    waiting = asyncio.ensure_future(leases.acquire("t", "queue"))
    await turn()
    lease.release()
    waiting.cancel()
    await asyncio.wait((waiting,))
    assert len(leases) == 0
