"""What every store promises about flows: the queue of jobs, traces, sessions, and bodies that are replaced."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dragoman.core.errors import NotFound, ProtocolError, StaleWrite
from dragoman.core.events import (
    BlockDelta,
    BlockEnded,
    BlockStarted,
    Event,
    RunCompleted,
    StepInput,
    ToolInputDelta,
)
from dragoman.core.ports import Store
from dragoman.core.records import Session
from dragoman.core.writes import AppendEvents, ChangeRun, PutRun, PutSession, PutStep, ReplaceEvents


def ids(page: Any) -> list[str]:
    return [row.id for row in page.rows]


# --------------------------------------------------------------------------- the queue


async def put_jobs(store: Store, make: Any, *priorities: int, **more: Any) -> None:
    jobs = [make.run(f"j{n}", kind="job", priority=priority, **more) for n, priority in enumerate(priorities)]
    await store.commit(*(PutRun(job) for job in jobs))


@pytest.mark.requirement("NOU-25")
async def test_jobs_wait_by_priority_and_then_by_age_over_all_tenants(store: Store, make: Any) -> None:
    await put_jobs(store, make, 0, 5, -1, 5, 0)
    await store.commit(PutRun(make.run("other", kind="job", tenant="other", priority=1)))
    assert [run.id for run in await store.queued(limit=9)] == ["j1", "j3", "other", "j0", "j4", "j2"]
    assert [run.id for run in await store.queued(limit=2)] == ["j1", "j3"]
    assert await store.queue_length() == 6


async def test_only_jobs_that_have_not_begun_are_in_the_queue(store: Store, make: Any) -> None:
    await put_jobs(store, make, 0, 0, 0)
    await store.commit(
        ChangeRun("j0", {"status": "running"}),
        ChangeRun("j2", {"status": "cancelled"}),
        PutRun(make.run("chat", status="queued")),
        PutRun(make.run("call", kind="execute", status="queued")),
    )
    assert [run.id for run in await store.queued(limit=9)] == ["j1"]
    assert await store.queue_length() == 1
    assert [run.id for run in await store.unfinished()] == ["j0", "chat", "call"]


async def test_a_queue_of_thousands_is_read_a_page_at_a_time_and_not_at_a_start(store: Store, make: Any) -> None:
    await put_jobs(store, make, *range(3000))
    assert await store.unfinished() == ()
    assert [run.priority for run in await store.queued(limit=3)] == [2999, 2998, 2997]
    assert len(await store.queued(limit=100)) == 100
    assert await store.queue_length() == 3000


async def test_priority_input_and_result_of_a_run_can_be_changed(store: Store, make: Any) -> None:
    await store.commit(PutRun(make.run(priority=3, input={"message": "secret"}, result={"a": [1]})))
    stored = await store.run("r")
    assert stored is not None
    assert (stored.priority, stored.input, stored.result) == (3, {"message": "secret"}, {"a": [1]})
    changes = {"priority": 4, "input": {"message": "[redacted]"}, "result": [None, "é"]}
    await store.commit(ChangeRun("r", changes))
    assert await store.run("r") == replace(stored, **changes)
    await store.commit(ChangeRun("r", {"result": None}))
    assert await store.run("r") == replace(stored, **changes | {"result": None})


# --------------------------------------------------------------------------- listings


async def test_runs_are_listed_by_kind_and_by_session(store: Store, make: Any) -> None:
    for n, (kind, session, name, status) in enumerate(
        [
            ("job", None, "a/x", "queued"),
            ("execute", "s", "a/x", "completed"),
            ("job", "s", "a/y", "completed"),
            ("step", "t", "a/x", "paused"),
            ("job", "s", "a/x", "failed"),
        ]
    ):
        await store.commit(PutRun(make.run(f"r{n}", kind=kind, session=session, name=name, status=status)))
    await store.commit(PutRun(make.run("x", tenant="other", kind="job", session="s", name="a/x")))
    assert ids(await store.runs("acme", kind="job")) == ["r4", "r2", "r0"]
    assert ids(await store.runs("acme", kind="job", name="a/x")) == ["r4", "r0"]
    assert ids(await store.runs("acme", kind="job", name="a/x", status=["failed"])) == ["r4"]
    assert ids(await store.runs("acme", kind="execute", name="a/x")) == ["r1"]
    assert ids(await store.runs("acme", session="s")) == ["r4", "r2", "r1"]
    assert ids(await store.runs("acme", session="s", kind="job", owner="ann")) == ["r4", "r2"]
    assert ids(await store.runs("acme", session="none")) == []
    first = await store.runs("acme", kind="job", limit=2)
    assert (ids(first), first.more) == (["r4", "r2"], True)
    assert ids(await store.runs("acme", kind="job", limit=2, after="r2")) == ["r0"]


# --------------------------------------------------------------------------- traces


@pytest.mark.requirement("NOU-28", "NOU-29")
async def test_a_trace_is_read_back_in_the_order_in_which_its_steps_began(store: Store, make: Any) -> None:
    await store.commit(PutRun(make.run()))
    steps = [
        make.step("say", kind="flow", place=0, input={"message": "hi"}, input_bytes=16),
        make.step("loop", kind="flow", index=1, place=1),
        make.step("say", kind="flow", attempt=2, place=0),
        make.step("loop/model:1", index=1, place=1, model="scripted", output="cut", output_bytes=9**9, truncated=True),
    ]
    await store.commit(*(PutStep(step) for step in steps))
    done = replace(steps[0], status="failed", ended=2.0, error={"code": "interrupted"})
    await store.commit(PutStep(done))
    assert await store.steps("r") == (done, *steps[1:])
    assert await store.steps("none") == ()


# --------------------------------------------------------------------------- sessions


def session(id: str = "s", **more: Any) -> Session:
    known = {"tenant": "acme", "id": id, "created": 1.0, "updated": 1.0, "expires": 2_000_000.0}
    return Session(**known | more)


async def test_a_session_is_made_by_its_first_run_and_moved_on_by_later_ones(store: Store, make: Any) -> None:
    await store.commit(PutRun(make.run("r1")), PutSession(session(first_run="r1", last_run="r1", metadata={"a": 1})))
    await store.commit(
        PutSession(session(created=5.0, updated=5.0, first_run="r2", last_run="r2", expires=3e6, metadata={"b": 2}))
    )
    assert await store.session("acme", "s") == session(
        updated=5.0, first_run="r1", last_run="r2", expires=3e6, metadata={"a": 1}
    )
    assert await store.session("other", "s") is None
    assert await store.session("acme", "t") is None


@pytest.mark.requirement("NOU-81")
async def test_sessions_of_one_id_in_two_tenants_are_two(store: Store) -> None:
    await store.commit(PutSession(session()))
    assert not await store.has_session_elsewhere("acme", "s")
    assert await store.has_session_elsewhere("other", "s")
    assert not await store.has_session_elsewhere("other", "t")
    await store.commit(PutSession(session(tenant="other", metadata={"o": 1})))
    assert await store.has_session_elsewhere("acme", "s")
    mine, theirs = await store.session("acme", "s"), await store.session("other", "s")
    assert (mine, theirs) == (session(), session(tenant="other", metadata={"o": 1}))


async def test_sessions_are_listed_in_pages_the_last_written_to_first(store: Store, clock: Any) -> None:
    for n, updated in enumerate([4.0, 9.0, 9.0, 1.0, 7.0]):
        await store.commit(PutSession(session(f"s{n}", updated=updated)))
    await store.commit(
        PutSession(session("over", updated=8.0, expires=clock())),
        PutSession(session("gone", updated=8.0, tombstone=9e9)),
        PutSession(session("endless", updated=2.0, expires=None)),
        PutSession(session("x", tenant="other")),
    )
    order = ["s1", "s2", "s4", "s0", "endless", "s3"]
    assert ids(await store.sessions("acme")) == order
    walked: list[str] = []
    page = await store.sessions("acme", limit=2)
    while True:
        walked += ids(page)
        if not page.more:
            break
        page = await store.sessions("acme", limit=2, after=walked[-1])
    assert walked == order
    assert ids(await store.sessions("acme", limit=100, after="s4")) == order[3:]
    with pytest.raises(NotFound):
        await store.sessions("other", after="s1")


async def test_a_page_of_runs_ends_where_their_inputs_are_too_much_for_one(store: Store, make: Any) -> None:
    large = {"message": "x" * (7 * 1024 * 1024)}
    for number in range(5):
        await store.commit(PutRun(make.run(f"r{number}", session="s", input=large)))
    first = await store.runs("acme", limit=1000)
    assert (ids(first), first.more) == (["r4", "r3", "r2"], True)
    rest = await store.runs("acme", limit=1000, after="r2")
    assert (ids(rest), rest.more) == (["r1", "r0"], False)
    recorded = await store.session_runs("acme", "s", limit=1000)
    assert (ids(recorded), recorded.more) == (["r0", "r1", "r2"], True)


async def test_the_runs_of_a_session_come_oldest_first_and_in_pages(store: Store, make: Any) -> None:
    for n in range(5):
        await store.commit(PutRun(make.run(f"r{n}", session="s")))
    await store.commit(PutRun(make.run("x", tenant="other", session="s")), PutRun(make.run("y", session="t")))
    first = await store.session_runs("acme", "s", limit=3)
    assert (ids(first), first.more) == (["r0", "r1", "r2"], True)
    rest = await store.session_runs("acme", "s", after=first.rows[-1].number, limit=1000)
    assert (ids(rest), rest.more) == (["r3", "r4"], False)
    assert ids(await store.session_runs("acme", "none")) == []


@pytest.mark.requirement("NOU-81")
@pytest.mark.parametrize("over", [{"tombstone": 9e9}, {"expires": 40.0}], ids=["tombstone", "expired"])
async def test_a_session_that_is_over_begins_anew_without_its_old_runs(store: Store, make: Any, over: Any) -> None:
    await store.commit(
        PutRun(make.run("old", session="s")), PutSession(session(first_run="old", metadata={"a": 1}, **over))
    )
    new = session(created=50.0, updated=50.0, first_run="new", last_run="new")
    await store.commit(PutRun(make.run("new", session="s")), PutSession(new))
    assert await store.session("acme", "s") == new
    assert ids(await store.session_runs("acme", "s")) == ["new"]
    old = await store.run("old")
    assert old is not None
    assert old.session is None


# --------------------------------------------------------------------------- bodies that are replaced


async def put_run(store: Store, make: Any) -> list[Event]:
    bodies = [
        StepInput({"message": "secret"}),
        BlockStarted("b", "text"),
        BlockDelta("b", "my "),
        BlockDelta("b", "secret "),
        BlockDelta("b", "word"),
        BlockEnded("b"),
        ToolInputDelta("c", '{"a"'),
        ToolInputDelta("c", ":1}"),
    ]
    events = [make.event(seq, body, step="say") for seq, body in enumerate(bodies, 1)]
    await store.commit(PutRun(make.run()), AppendEvents(tuple(events[:4])))
    await store.commit(AppendEvents(tuple(events[4:])))
    return events


@pytest.mark.requirement("NOU-87")
async def test_events_get_other_bodies_and_stay_where_they_are(store: Store, make: Any) -> None:
    events = await put_run(store, make)
    end = make.event(9, RunCompleted(result="secret word"))
    new = {
        1: StepInput({"message": "[redacted]"}),
        4: BlockDelta("b", "[redacted] "),
        5: BlockDelta("b", ""),
        8: ToolInputDelta("c", ""),
        9: RunCompleted(result=None),
    }
    replaced = tuple(Event("r", seq, 0.0, body) for seq, body in sorted(new.items(), reverse=True))
    await store.commit(AppendEvents((end,)), ReplaceEvents(replaced))
    stored = await store.events("r")
    assert stored == [replace(event, body=new.get(event.seq, event.body)) for event in [*events, end]]
    assert await store.events("r", after=3) == stored[3:]
    await store.commit(ReplaceEvents(()))


@pytest.mark.parametrize(
    "event",
    [
        Event("r", 1, 0.0, RunCompleted()),
        Event("r", 4, 0.0, BlockDelta("other", "x")),
        Event("r", 4, 0.0, ToolInputDelta("b", "x")),
        Event("r", 9, 0.0, RunCompleted()),
        Event("r", 0, 0.0, RunCompleted()),
    ],
    ids=["type", "block", "kind of delta", "beyond", "before"],
)
async def test_an_event_keeps_its_type_and_block(store: Store, make: Any, event: Event) -> None:
    events = await put_run(store, make)
    with pytest.raises(ProtocolError):
        await store.commit(ReplaceEvents((Event("r", 3, 0.0, BlockDelta("b", "gone")), event)))
    assert await store.events("r") == events


async def test_events_of_a_run_that_is_not_there_are_not_replaced(store: Store, make: Any) -> None:
    with pytest.raises(StaleWrite) as raised:
        await store.commit(ReplaceEvents((make.event(1, run="none"),)))
    assert raised.value.what == "run_gone"
