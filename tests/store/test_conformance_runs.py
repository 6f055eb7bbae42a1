"""What every store promises about runs and what hangs on them: events, steps, approvals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dragoman.core.errors import NotFound, ProtocolError, StaleWrite, UsageError
from dragoman.core.events import (
    BlockDelta,
    BlockEnded,
    BlockStarted,
    RunCompleted,
    RunCreated,
    RunPaused,
    ToolInputDelta,
    ToolOutput,
)
from dragoman.core.ports import Store
from dragoman.core.records import Thread
from dragoman.core.usage import Usage
from dragoman.core.writes import AppendEvents, ChangeRun, DecideApproval, PutApproval, PutRun, PutStep, PutThread


async def refused(store: Store, what: str, *writes: Any) -> None:
    with pytest.raises(StaleWrite) as raised:
        await store.commit(*writes)
    assert raised.value.what == what


def ids(page: Any) -> list[str]:
    return [row.id for row in page.rows]


# --------------------------------------------------------------------------- runs


async def test_a_run_is_read_back_as_it_was_put(store: Store, thread: Thread, make: Any) -> None:
    full = make.run(
        "full",
        kind="command",
        version="v1",
        thread=thread.number,
        thread_id="t",
        session="s",
        face="kai",
        status="running",
        answer="ans",
        input={"parts": [{"type": "text", "text": "hé \ud800"}]},
        options={"max_rounds": 3},
        usage=Usage(1, 2, 3, 4, 5),
        cost=0.25,
        error={"code": "x", "message": "y"},
        started=2.0,
        ended=3.0,
        queue="q",
        executor="e",
        lease=4.0,
    )
    await store.commit(PutRun(full))
    assert await store.run("full") == replace(full, number=2)


async def test_a_run_is_not_seen_by_another_tenant(store: Store, make: Any) -> None:
    await store.commit(PutRun(make.run()))
    assert await store.run("r", tenant="acme") is not None
    assert await store.run("r", tenant="other") is None
    assert await store.run("none") is None


async def test_a_run_id_is_unique_and_its_thread_must_be_there(store: Store, make: Any) -> None:
    await store.commit(PutRun(make.run()))
    await refused(store, "run_id", PutRun(make.run(tenant="other")))
    await refused(store, "thread_gone", PutRun(make.run("r2", thread=7)))
    await refused(store, "thread_gone", PutRun(make.run("r2", thread=0)))


async def test_every_field_of_a_run_that_may_change_can_be_changed(store: Store, make: Any) -> None:
    await store.commit(PutRun(make.run()))
    changes: dict[str, Any] = {
        "status": "failed",
        "usage": Usage(7, 8),
        "cost": 1.5,
        "error": {"code": "c", "message": "m"},
        "started": 2.0,
        "ended": 3.0,
        "executor": "e",
        "lease": 4.0,
        "queue": "q",
        "options": {"o": 1},
    }
    await store.commit(ChangeRun("r", changes))
    assert await store.run("r") == replace(make.run(number=1), **changes)
    await store.commit(ChangeRun("r", {"error": None, "lease": None}))
    assert await store.run("r") == replace(make.run(number=1), **changes | {"error": None, "lease": None})


async def test_a_run_changes_only_from_the_states_named(store: Store, make: Any) -> None:
    await store.commit(PutRun(make.run()))
    await store.commit(ChangeRun("r", {"status": "running"}, only_if=("queued", "paused")))
    await refused(store, "run_status", ChangeRun("r", {"status": "paused"}, only_if=("queued",)))
    await refused(store, "run_status", ChangeRun("none", {"status": "paused"}, only_if=("queued",)))
    await refused(store, "run_gone", ChangeRun("none", {"status": "paused"}))
    await refused(store, "run_status", ChangeRun("r", {}, only_if=()))
    with pytest.raises(UsageError, match="'owner'"):
        await store.commit(ChangeRun("r", {"owner": "eve"}))
    stored = await store.run("r")
    assert stored is not None
    assert (stored.status, stored.owner) == ("running", "ann")


async def put_many_runs(store: Store, make: Any) -> None:
    await store.commit(
        PutThread(make.thread()),
        PutRun(make.run("r1", thread=0, status="completed")),
        PutRun(make.run("r2", owner="bob", status="running")),
        PutRun(make.run("r3", name="other", status="failed")),
        PutRun(make.run("r4", thread=0, status="paused")),
        PutRun(make.run("x", tenant="other", status="queued")),
        PutRun(make.run("r5", status="completed")),
    )


async def test_runs_are_listed_newest_first_by_any_filter(store: Store, make: Any) -> None:
    await put_many_runs(store, make)
    assert ids(await store.runs("acme")) == ["r5", "r4", "r3", "r2", "r1"]
    assert ids(await store.runs("acme", owner="ann")) == ["r5", "r4", "r3", "r1"]
    assert ids(await store.runs("acme", thread=1)) == ["r4", "r1"]
    assert ids(await store.runs("acme", name="helper")) == ["r5", "r4", "r2", "r1"]
    assert ids(await store.runs("acme", status=["completed"])) == ["r5", "r1"]
    assert ids(await store.runs("acme", status=["paused", "running", "paused"])) == ["r4", "r2"]
    assert ids(await store.runs("acme", status=[])) == []
    everything = await store.runs("acme", owner="ann", thread=1, name="helper", status=["completed"])
    assert ids(everything) == ["r1"]
    assert ids(await store.runs("other", thread=1)) == []
    assert ids(await store.runs("acme", owner="bob", thread=1)) == []


async def test_runs_come_in_pages(store: Store, make: Any) -> None:
    await put_many_runs(store, make)
    page = await store.runs("acme", limit=2)
    assert (ids(page), page.more) == (["r5", "r4"], True)
    page = await store.runs("acme", limit=2, after="r3")
    assert (ids(page), page.more) == (["r2", "r1"], False)
    page = await store.runs("acme", status=["completed"], limit=1, after="r4")
    assert (ids(page), page.more) == (["r1"], False)
    page = await store.runs("acme", limit=100, after="r4")
    assert (ids(page), page.more) == (["r3", "r2", "r1"], False)


async def test_a_run_cursor_of_somebody_else_is_not_found(store: Store, make: Any) -> None:
    await put_many_runs(store, make)
    for tenant, owner, cursor in (("acme", None, "x"), ("acme", "ann", "r2"), ("acme", None, "none")):
        with pytest.raises(NotFound):
            await store.runs(tenant, owner=owner, after=cursor)


async def test_unfinished_runs_of_all_tenants_come_oldest_first(store: Store, make: Any) -> None:
    await put_many_runs(store, make)
    assert [run.id for run in await store.unfinished()] == ["r2", "r4", "x"]
    await store.commit(ChangeRun("r4", {"status": "cancelled"}))
    assert [run.id for run in await store.unfinished()] == ["r2", "x"]


# --------------------------------------------------------------------------- events


async def test_events_are_read_back_as_they_were_appended(store: Store, make: Any) -> None:
    bodies = [
        RunCreated("chat", "helper", "v", "ans", thread="t"),
        BlockStarted("b", "text"),
        BlockDelta("b", "Hel"),
        BlockDelta("b", "lo \ud83d"),
        BlockDelta("b", "\ude00"),
        BlockDelta("c", ""),
        ToolInputDelta("b", "{"),
        ToolInputDelta("b", "}"),
        BlockEnded("b"),
        RunPaused("approval", ("c1", "c2")),
        ToolOutput("c1", "add", {"sum": [1, 2.5, None]}),
        RunCompleted(),
    ]
    events = tuple(make.event(seq, body, step="s" if seq > 2 else None) for seq, body in enumerate(bodies, 1))
    await store.commit(PutRun(make.run()), AppendEvents(events[:4]), AppendEvents(events[4:]))
    for after in range(len(events) + 1):
        assert list(await store.events("r", after=after)) == list(events[after:])
    stored = await store.run("r")
    assert stored is not None
    assert stored.last_seq == len(events)
    assert not await store.events("none")


async def test_deltas_of_different_steps_stay_apart(store: Store, make: Any) -> None:
    events = tuple(make.event(seq, BlockDelta("b", str(seq)), step=f"s{seq // 3}") for seq in range(1, 8))
    await store.commit(PutRun(make.run()), AppendEvents(events))
    assert list(await store.events("r")) == list(events)


async def test_equal_and_different_times_of_joined_deltas_are_kept(store: Store, make: Any) -> None:
    same = tuple(make.event(seq, time=5.125) for seq in (1, 2, 3))
    different = tuple(make.event(seq, time=1e9 + seq / 3) for seq in (4, 5, 6))
    await store.commit(PutRun(make.run()), AppendEvents(same), AppendEvents(different))
    assert list(await store.events("r", after=1)) == [*same[1:], *different]


async def test_a_gap_a_repetition_or_a_foreign_event_changes_nothing(store: Store, make: Any) -> None:
    await store.commit(PutRun(make.run()), PutRun(make.run("r2")), AppendEvents(make.events(1, 2)))
    wrong = [
        make.events(4),
        make.events(2),
        make.events(3, 5),
        make.events(3, 3),
        make.events(3) + make.events(4, run="r2"),
    ]
    for events in wrong:
        with pytest.raises(ProtocolError):
            await store.commit(ChangeRun("r", {"status": "failed"}), AppendEvents(events))
    assert list(await store.events("r")) == list(make.events(1, 2))
    stored = await store.run("r")
    assert stored is not None
    assert (stored.status, stored.last_seq) == ("queued", 2)
    await store.commit(AppendEvents(make.events(3)), AppendEvents(()))
    assert len(await store.events("r")) == 3


async def test_events_need_their_run(store: Store, make: Any) -> None:
    await refused(store, "run_gone", AppendEvents(make.events(1)))


async def test_a_limit_may_be_passed_only_to_keep_a_row_whole(store: Store, make: Any) -> None:
    await store.commit(PutRun(make.run()), *(AppendEvents(make.events(seq)) for seq in range(1, 201)))
    for limit in (1, 3, 64, 65, 150):
        assert [event.seq for event in await store.events("r", after=7, limit=limit)] == list(range(8, 8 + limit))
    await store.commit(AppendEvents(make.events(*range(201, 1001))))
    for after, limit in ((205, 2), (150, 60), (0, 500), (998, 10)):
        found = await store.events("r", after=after, limit=limit)
        assert [event.seq for event in found] == list(range(after + 1, after + 1 + len(found)))
        assert len(found) >= min(limit, 1000 - after)
    assert len(await store.events("r", after=205, limit=2)) < 300


# --------------------------------------------------------------------------- steps


async def test_a_step_is_replaced_by_its_key(store: Any, make: Any) -> None:
    await store.commit(PutRun(make.run()), PutStep(make.step()), PutStep(make.step("s2")))
    done = make.step(
        status="completed",
        ended=2.0,
        model="gpt",
        usage=Usage(3, 4),
        cost=0.5,
        input=[1],
        output={"a": None},
        error={"code": "x"},
    )
    await store.commit(PutStep(done), PutStep(make.step(attempt=2)), PutStep(make.step(index=1)))
    assert await store.steps("r") == (done, make.step("s2"), make.step(attempt=2), make.step(index=1))
    await refused(store, "run_gone", PutStep(make.step(run="none")))


# --------------------------------------------------------------------------- approvals


async def test_an_approval_is_read_back_as_it_was_put(store: Store, make: Any) -> None:
    await store.commit(PutRun(make.run()), PutApproval(make.approval()))
    assert await store.approval("a") == make.approval()
    assert await store.approval("a", tenant="acme") == make.approval()
    assert await store.approval("a", tenant="other") is None
    assert await store.approval("none") is None


async def test_an_approval_is_decided_once(store: Store, make: Any) -> None:
    await store.commit(PutRun(make.run()), PutApproval(make.approval()))
    await store.commit(DecideApproval("a", True, {"reason": "ok"}, 3.0, by="ann"))
    decided = replace(make.approval(), state="approved", decision={"reason": "ok"}, decided=3.0, by="ann")
    assert await store.approval("a") == decided
    await refused(store, "approval", DecideApproval("a", False, {}, 4.0))
    await refused(store, "approval", DecideApproval("none", False, {}, 4.0))
    assert await store.approval("a") == decided


async def test_a_call_has_one_approval_and_an_approval_one_id(store: Store, make: Any) -> None:
    await store.commit(PutRun(make.run()), PutRun(make.run("r2")), PutApproval(make.approval()))
    await refused(store, "approval", PutApproval(make.approval("b")))
    await refused(store, "approval", PutApproval(make.approval("a", call="c2")))
    await refused(store, "run_gone", PutApproval(make.approval("b", run="none")))
    await store.commit(PutApproval(make.approval("b", run="r2")))


async def test_approvals_of_a_run_come_in_order_of_creation(store: Store, make: Any) -> None:
    await store.commit(
        PutRun(make.run()), PutApproval(make.approval("z", call="1")), PutApproval(make.approval("a", call="2"))
    )
    assert [approval.id for approval in await store.approvals("r")] == ["z", "a"]
    assert await store.approvals("none") == ()


async def test_pending_approvals_come_soonest_first(store: Store, make: Any) -> None:
    await store.commit(PutRun(make.run()))
    for name, expires in (("late", 30.0), ("soon", 10.0), ("mid", 20.0), ("done", 5.0)):
        await store.commit(PutApproval(make.approval(name, call=name, expires=expires)))
    await store.commit(DecideApproval("done", False, {}, 1.0))
    assert [approval.id for approval in await store.pending_approvals()] == ["soon", "mid", "late"]
    assert [approval.id for approval in await store.pending_approvals(before=20.0)] == ["soon"]
    assert [approval.id for approval in await store.pending_approvals(limit=2)] == ["soon", "mid"]
