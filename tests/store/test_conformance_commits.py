"""What every store promises about commits: all or nothing, many at once, and over restarts."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from dragoman.core.errors import StaleWrite, Unavailable
from dragoman.core.ports import Store
from dragoman.core.records import Thread
from dragoman.core.writes import (
    AppendEvents,
    ChangeThread,
    Count,
    DecideApproval,
    DeleteThread,
    PutApproval,
    PutItem,
    PutKey,
    PutRepeat,
    PutRun,
    PutSetting,
    PutStep,
    PutThread,
    PutVote,
    RemoveItems,
    RevokeKey,
)


async def everything(store: Any) -> list[Any]:
    """All that can be read, for comparing before and after."""
    return [
        (await store.threads("acme", None, limit=99)).rows,
        (await store.items(1)).rows,
        (await store.runs("acme")).rows,
        await store.unfinished(),
        list(await store.events("r")),
        await store.steps("r"),
        await store.approvals("r"),
        await store.pending_approvals(),
        await store.votes(1),
        await store.setting("acme", "ann", "tone"),
        await store.counter("acme", "ann", "n", now=1.0),
        await store.keys(),
        await store.repeat("acme", "ann", "once", now=11.0),
    ]


async def test_a_commit_that_fails_at_its_end_has_changed_nothing(store: Any, thread: Thread, make: Any) -> None:
    await store.commit(AppendEvents(make.events(1)), PutStep(make.step()), PutVote(make.vote("m2")), PutKey(make.key()))
    before = await everything(store)
    with pytest.raises(StaleWrite):
        await store.commit(
            PutThread(make.thread("another")),
            PutItem(thread.number, make.item("m3")),
            PutItem(thread.number, make.item("m1", "changed"), replace=True),
            PutRun(make.run("r2")),
            AppendEvents(make.events(2, 3)),
            PutStep(make.step(status="failed")),
            PutVote(make.vote("m2", up=False)),
            DecideApproval("a", True, {}, 1.0),
            PutApproval(make.approval("b", call="d")),
            PutSetting(make.setting(1)),
            Count("acme", "ann", "n", 0.0, 9.0),
            RevokeKey("k", 1.0),
            PutKey(make.key("k2")),
            PutRepeat(make.repeat()),
            RemoveItems(thread.number, 1),
            ChangeThread(thread.number, {"title": "x"}),
            DeleteThread(thread.number, forget_at=2e9),
            ChangeThread(thread.number, {"title": "gone"}),
        )
    assert await everything(store) == before


async def test_an_empty_commit_does_nothing(store: Store) -> None:
    await store.commit()


async def test_what_was_committed_is_read_at_once(store: Store, make: Any) -> None:
    await store.commit(PutRun(make.run()))
    for seq in range(1, 200):
        await store.commit(AppendEvents(make.events(seq)))
        assert [event.seq for event in await store.events("r", after=seq - 1)] == [seq]
        large = await store.events("r", after=max(0, seq - 80), limit=1000)
        assert large[-1].seq == seq


async def test_fifty_committers_at_once_get_their_rows_in_order(store: Store, make: Any) -> None:
    await store.commit(PutThread(make.thread()), *(PutRun(make.run(f"r{n}")) for n in range(50)))

    async def write(n: int) -> None:
        for seq in range(1, 11):
            await store.commit(
                AppendEvents(make.events(seq, run=f"r{n}")), PutItem(1, make.item(f"{n}-{seq}", created=float(seq)))
            )

    await asyncio.gather(*(write(n) for n in range(50)))
    for n in range(50):
        assert list(await store.events(f"r{n}")) == list(make.events(*range(1, 11), run=f"r{n}"))
    items = (await store.items(1)).rows
    assert [item.pos for item in items] == list(range(1, 501))
    for n in range(50):
        assert [item.created for item in items if item.id.startswith(f"{n}-")] == [float(seq) for seq in range(1, 11)]


async def test_one_of_many_that_fails_hurts_no_other(store: Store, thread: Thread, make: Any) -> None:
    def writes(n: int) -> tuple[Any, ...]:
        put = PutItem(thread.number, make.item(f"x{n}"))
        return (put, PutItem(thread.number, make.item("m1"))) if n % 3 == 0 else (put,)

    outcomes = await asyncio.gather(*(store.commit(*writes(n)) for n in range(30)), return_exceptions=True)
    assert [isinstance(outcome, StaleWrite) for outcome in outcomes] == [n % 3 == 0 for n in range(30)]
    found = {item.id for item in (await store.items(thread.number)).rows}
    assert found == {"m1", "m2"} | {f"x{n}" for n in range(30) if n % 3}


async def test_an_approval_is_decided_by_exactly_one_of_many(store: Store, thread: Thread) -> None:
    decisions = (store.commit(DecideApproval("a", n % 2 == 0, {"n": n}, 1.0)) for n in range(20))
    outcomes = await asyncio.gather(*decisions, return_exceptions=True)
    winner = outcomes.index(None)
    assert outcomes.count(None) == 1
    approval = await store.approval("a")
    assert approval is not None
    assert approval.decision == {"n": winner}


async def test_whoever_is_cancelled_while_committing_leaves_the_store_sound(store: Store, make: Any) -> None:
    await store.commit(PutThread(make.thread()))
    tasks = [asyncio.create_task(store.commit(PutItem(1, make.item(f"m{n}")))) for n in range(20)]
    await asyncio.sleep(0)  # all have handed over
    for task in tasks[::2]:
        task.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert sum(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes) >= 1
    await store.commit(PutItem(1, make.item("last")))
    found = [item.id for item in (await store.items(1)).rows]
    assert found == [f"m{n}" for n in range(20)] + ["last"]


async def test_a_closed_store_refuses_clearly_and_closes_again(backend: Any, make: Any) -> None:
    store = await backend.open()
    pending = [asyncio.create_task(store.commit(PutThread(make.thread(f"t{n}")))) for n in range(5)]
    await asyncio.sleep(0)
    await asyncio.gather(store.close(), store.close())
    assert await asyncio.gather(*pending) == [None] * 5
    await store.close()
    with pytest.raises(Unavailable, match="closed"):
        await store.commit(PutThread(make.thread()))
    with pytest.raises(Unavailable, match="closed"):
        await store.thread("acme", "t")
    with pytest.raises(Unavailable, match="closed"):
        await store.items(1)
    with pytest.raises(Unavailable, match="closed"):
        await store.check()


async def test_a_sound_store_passes_its_check(store: Store) -> None:
    await store.check()
    await store.check()


async def test_everything_is_there_after_a_restart(lasting_backend: Any, make: Any) -> None:
    store = await lasting_backend.open()
    await store.commit(
        PutThread(make.thread()),
        PutItem(0, make.item()),
        PutRun(make.run(thread=0)),
        AppendEvents(make.events(1, 2, 3)),
        PutStep(make.step()),
        PutApproval(make.approval()),
        PutVote(make.vote(thread=0)),
        PutSetting(make.setting([1])),
        Count("acme", "ann", "n", 0.0, 9.0),
        PutKey(make.key()),
        PutRepeat(make.repeat()),
    )
    before, secret = await everything(store), await store.secret("signing")
    assert all(before)
    await store.close()
    again = await lasting_backend.open()
    assert await everything(again) == before
    assert await again.secret("signing") == secret
    await again.commit(AppendEvents(make.events(4)), PutThread(make.thread("t2")))
    run = await again.run("r")
    assert run == replace(make.run(thread=1), number=1, last_seq=4, first_token=0.125)
    await again.close()
