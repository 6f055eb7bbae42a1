"""What every store promises about finding runs by time, face and words, about first tokens, and about figures."""

from __future__ import annotations

from typing import Any

import pytest

from dragoman.core.events import BlockDelta, BlockStarted, RunStarted, ToolInputDelta, ToolStarted
from dragoman.core.ports import Store
from dragoman.core.records import ModelFigure, RunFigure
from dragoman.core.usage import Usage
from dragoman.core.writes import AppendEvents, PutRun, PutStep


def ids(page: Any) -> list[str]:
    return [row.id for row in page.rows]


async def put_runs(store: Store, make: Any) -> None:
    """Five runs of three owners; the clock was set back before the fourth."""
    await store.commit(
        PutRun(make.run("r1", created=10.0, face="kai", thread_id="Trip-1")),
        PutRun(make.run("r2", created=20.0, face="own", owner="bob", session="s-1", status="failed", ended=21.5)),
        PutRun(make.run("r3", created=30.0, face="kai", status="completed", usage=Usage(3, 4), cost=0.5)),
        PutRun(make.run("r4", created=15.0, face="own", kind="job", name="basics/two-step")),
        PutRun(make.run("r5", created=40.0, face="kai", kind="execute", name="other/one", owner="cid")),
        PutRun(make.run("foreign", created=25.0, tenant="else", face="kai")),
    )


@pytest.mark.parametrize(
    ("chosen", "found"),
    [
        ({"face": "kai"}, ["r5", "r3", "r1"]),
        ({"since": 15.0}, ["r5", "r4", "r3", "r2"]),
        ({"until": 20.0}, ["r4", "r1"]),
        ({"since": 15.0, "until": 30.0}, ["r4", "r2"]),
        ({"since": 41.0}, []),
        ({"since": 15.0, "until": 30.0, "face": "own", "owner": "bob"}, ["r2"]),
        ({"since": 10.0, "status": ["failed"]}, ["r2"]),
        ({"text": "tWo-s"}, ["r4"]),
        ({"text": "trip"}, ["r1"]),
        ({"text": "s-1"}, ["r2"]),
        ({"text": "%"}, []),
        ({"text": "r5", "kind": "execute"}, ["r5"]),
    ],
)
async def test_runs_are_found_by_time_face_and_words(
    store: Store, make: Any, chosen: dict[str, Any], found: list[str]
) -> None:
    await put_runs(store, make)
    assert ids(await store.runs("acme", **chosen)) == found


async def test_runs_of_a_time_come_in_pages(store: Store, make: Any) -> None:
    await put_runs(store, make)
    first = await store.runs("acme", since=15.0, until=40.0, limit=2)
    rest = await store.runs("acme", since=15.0, until=40.0, limit=2, after="r3")
    assert (ids(first), first.more) == (["r4", "r3"], True)
    assert (ids(rest), rest.more) == (["r2"], False)


@pytest.mark.parametrize(
    ("kind", "bodies", "at"),
    [
        ("chat", (RunStarted("e"), BlockStarted("b", "text"), BlockDelta("b", "x"), BlockDelta("b", "y")), 3 / 8),
        ("chat", (RunStarted("e"), ToolStarted("c", "add"), BlockDelta("b", "x")), 2 / 8),
        ("job", (RunStarted("e"), ToolStarted("c", "add"), ToolInputDelta("c", "{")), 3 / 8),
        ("execute", (RunStarted("e"), ToolStarted("c", "add")), None),
    ],
)
async def test_the_first_token_is_the_first_word_of_a_model(
    store: Store, make: Any, kind: str, bodies: tuple[Any, ...], at: float | None
) -> None:
    await store.commit(PutRun(make.run(kind=kind)))
    for seq, body in enumerate(bodies, 1):
        await store.commit(AppendEvents((make.event(seq, body),)))
    await store.commit(AppendEvents((make.event(len(bodies) + 1, RunStarted("e", resumed=True)),)))
    run = await store.run("r")
    assert run is not None
    assert run.first_token == at


async def test_figures_are_those_of_the_runs_of_that_time(store: Store, make: Any) -> None:
    await put_runs(store, make)
    found = await store.run_figures("acme", since=15.0, until=40.0, limit=9)
    assert list(found) == [
        RunFigure(30.0, None, None, None, "completed", "kai", "helper", 0, 3, 4, 0.5),
        RunFigure(20.0, None, 21.5, None, "failed", "own", "helper", 0, None, None, None),
        RunFigure(15.0, None, None, None, "queued", "own", "basics/two-step", 1, None, None, None),
    ]
    assert len(await store.run_figures("acme", since=15.0, until=40.0, limit=2)) == 2
    assert [one.created for one in await store.run_figures("acme", since=0, until=99, owner="bob", limit=9)] == [20.0]


async def test_figures_leave_out_the_flows_of_other_projects(store: Store, make: Any) -> None:
    await put_runs(store, make)
    found = await store.run_figures("acme", since=0, until=99, projects=["basics"], limit=9)
    assert [one.created for one in found] == [30.0, 20.0, 15.0, 10.0]


async def test_a_command_that_ran_a_flow_counts_as_one(store: Store, make: Any) -> None:
    await store.commit(
        PutRun(make.run("a", kind="command", options={"tree": []})), PutRun(make.run("b", kind="command"))
    )
    assert [one.is_flow for one in await store.run_figures("acme", since=0, until=9, limit=9)] in ([0, 1], [1, 0])


async def test_models_are_counted_by_their_steps(store: Store, make: Any) -> None:
    await put_runs(store, make)
    await store.commit(
        PutStep(make.step(run="r3", model="gpt", usage=Usage(1, 2), cost=0.25, status="completed")),
        PutStep(make.step("s2", run="r3", model="gpt", usage=Usage(2, None), status="failed")),
        PutStep(make.step("s3", run="r3", model=None)),
        PutStep(make.step(run="r2", model="other")),
        PutStep(make.step(run="r5", model="gpt", usage=Usage(100, 100))),
        PutStep(make.step(run="foreign", model="gpt", usage=Usage(100, 100))),
    )
    counted = await store.model_figures("acme", since=15.0, until=40.0)
    assert sorted(counted, key=lambda one: one.model) == [
        ModelFigure("gpt", 2, 1, 3, 2, 0.25),
        ModelFigure("other", 1, 0, 0, 0, None),
    ]
    assert [one.model for one in await store.model_figures("acme", since=0, until=99, owner="bob")] == ["other"]
    assert [one.calls for one in await store.model_figures("acme", since=40, until=99, projects=["x"])] == []
