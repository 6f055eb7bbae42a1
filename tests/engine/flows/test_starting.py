"""What starts with a run: idempotency records, sessions, jobs; and what of it is kept when it ends."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from tests.engine.flows.stage import Stage, told

from dragoman.core import events as ev
from dragoman.core.errors import BadRequest, Conflict, Unavailable
from dragoman.core.flows import decode_node
from dragoman.core.records import Repeat
from dragoman.engine.flows.authoring import Flow, client_tool, step
from dragoman.engine.flows.context import FlowContext

ECHO = Flow("p/f", [step(lambda ctx: ctx.message, name="echo")])


def waiting(stage: Stage) -> Flow:
    async def work(ctx: FlowContext) -> str:
        stage.ran.append(ctx.message)
        stage.reached.set()
        await stage.gate.wait()
        return ctx.message

    return Flow("p/f", [step(work, name="work")])


# --------------------------------------------------------------------------- idempotency


@pytest.mark.requirement("NOU-94")
async def test_the_same_key_gives_the_run_of_the_first_call(stage: Stage) -> None:
    await stage.open(waiting(stage))
    repeat = Repeat("t", "o", "key", "digest", None, None, stage.time, stage.time + 60)
    first = await stage.start(repeat=repeat)
    again = await stage.start(repeat=repeat)
    assert (again.outcome, again.run.id) == ("attached", first.run.id)
    with pytest.raises(Conflict) as refused:
        await stage.start(repeat=replace(repeat, digest="other"))
    assert refused.value.code == "conflict:repeat"
    stage.gate.set()
    await stage.until(first)
    later = await stage.start(repeat=repeat)
    assert (later.outcome, later.run.id, later.run.result) == ("answered", first.run.id, "hi")
    stage.time += 61
    fresh = replace(repeat, created=stage.time, expires=stage.time + 60)
    assert (await stage.start(repeat=fresh)).outcome == "started"


async def test_the_same_key_at_once_makes_one_run(stage: Stage) -> None:
    await stage.open(ECHO)
    repeat = Repeat("t", "o", "key", "digest", None, None, stage.time, stage.time + 60)
    many = await asyncio.gather(*(stage.start(repeat=repeat) for _ in range(5)))
    assert len({one.run.id for one in many}) == 1
    assert sorted(one.outcome for one in many)[-1] == "started"
    assert len((await stage.store.runs("t")).rows) == 1


# --------------------------------------------------------------------------- sessions


@pytest.mark.requirement("NOU-47")
async def test_a_run_is_filed_in_its_session(stage: Stage) -> None:
    await stage.open(ECHO, session_seconds=100.0)
    runs = [await stage.start(session="s~1", call_index=n) for n in range(2)]
    for run in runs:
        await stage.until(run)
    session = await stage.store.session("t", "s~1")
    assert session is not None
    assert (session.first_run, session.last_run) == (runs[0].run.id, runs[1].run.id)
    assert session.expires == stage.time + 100
    kept = (await stage.store.session_runs("t", "s~1")).rows
    assert [(run.id, run.options["call_index"]) for run in kept] == [(one.run.id, n) for n, one in enumerate(runs)]
    for bad in ("", ".", "..", "a b", "x" * 129):
        with pytest.raises(BadRequest):
            await stage.start(session=bad)


# --------------------------------------------------------------------------- jobs


@pytest.mark.requirement("NOU-25")
async def test_a_job_waits_for_a_worker_and_the_urgent_ones_go_first(stage: Stage) -> None:
    await stage.open(waiting(stage), workers=1)
    first = await stage.start(kind="job", message="first")
    assert (first.run.status, first.outcome) == ("queued", "started")
    await stage.reached.wait()
    later = [await stage.start(kind="job", message=text, priority=p) for text, p in (("low", 0), ("high", 5))]
    assert [(await stage.run(one)).status for one in (first, *later)] == ["running", "queued", "queued"]
    stage.gate.set()
    for one in (first, *later):
        assert isinstance(await stage.end(one), ev.RunCompleted)
    assert stage.ran == ["first", "high", "low"]
    assert (await stage.run(first)).result == "first"


@pytest.mark.requirement("NOU-89")
async def test_jobs_survive_a_crash_whether_they_wait_or_run(stage: Stage) -> None:
    await stage.open(waiting(stage), workers=1)
    jobs = [await stage.start(kind="job", message=text) for text in "abc"]
    await stage.reached.wait()
    stage.gate.set()
    await stage.crash(ECHO_WORK, workers=2)
    for job, text in zip(jobs, "abc", strict=True):
        assert await stage.end(job) == ev.RunCompleted(result=text)
    rows = await stage.trace(jobs[0])
    assert [(r.attempt, r.status) for r in rows] == [(1, "failed"), (2, "completed")]
    assert [(r.attempt, r.status) for r in await stage.trace(jobs[1])] == [(1, "completed")]


ECHO_WORK = Flow("p/f", [step(lambda ctx: ctx.message, name="work")])


@pytest.mark.requirement("NOU-96")
async def test_a_job_that_waits_can_be_cancelled_and_never_begins(stage: Stage) -> None:
    await stage.open(waiting(stage), workers=1)
    first = await stage.start(kind="job", message="first")
    await stage.reached.wait()
    second = await stage.start(kind="job", message="second")
    assert await stage.engine.cancel(second.run.id)
    assert told(await stage.until(second)) == ["run.created", "run.cancelled"]
    stage.gate.set()
    assert isinstance(await stage.end(first), ev.RunCompleted)
    assert stage.ran == ["first"]


async def test_a_full_queue_refuses_and_keeps_nothing(stage: Stage) -> None:
    await stage.open(waiting(stage), workers=1, queue_limit=1)
    await stage.start(kind="job")
    await stage.reached.wait()
    await stage.start(kind="job")
    with pytest.raises(Unavailable) as refused:
        await stage.start(kind="job")
    assert refused.value.code == "unavailable:queue"
    assert len((await stage.store.runs("t")).rows) == 2


async def test_a_job_that_pauses_frees_its_worker(stage: Stage) -> None:
    await stage.open(Flow("p/g", [client_tool("c")]), ECHO, workers=1)
    paused = await stage.start("p/g", kind="job")
    (call,) = await stage.paused(paused)
    assert await stage.end(await stage.start(kind="job")) == ev.RunCompleted(result="hi")
    assert await stage.end(await stage.go_on(paused, {call: 1})) == ev.RunCompleted(result=1)


async def test_jobs_of_a_flow_that_is_gone_fail(stage: Stage) -> None:
    await stage.open(waiting(stage), workers=1)
    await stage.start(kind="job")
    await stage.reached.wait()
    waits = await stage.start(kind="job")
    await stage.crash(Flow("p/other", [step(lambda ctx: 1, name="s")]))
    body = await stage.end(waits)
    assert isinstance(body, ev.RunFailed)
    assert body.code == "STALE_TREE"


async def test_many_jobs_all_end(stage: Stage) -> None:
    await stage.open(ECHO, workers=8)
    jobs = await asyncio.gather(*(stage.start(kind="job", message=str(n)) for n in range(200)))
    ends = await asyncio.gather(*(stage.end(job) for job in jobs))
    assert [end.result for end in ends if isinstance(end, ev.RunCompleted)] == [str(n) for n in range(200)]
    assert stage.engine.jobs.length == 0


async def test_as_many_runs_as_may_move_and_no_more(stage: Stage) -> None:
    await stage.open(waiting(stage), most_moving=1)
    await stage.start()
    with pytest.raises(Unavailable) as refused:
        await stage.start()
    assert refused.value.code == "unavailable:runs"


# --------------------------------------------------------------------------- capture


async def test_the_journal_is_scrubbed_as_the_mode_says_when_the_run_ends(stage: Stage) -> None:
    made = [step(lambda ctx: {"password": "hunter2", "n": 1}, name="s")]
    flows = [Flow(f"p/{mode}", made, capture=mode) for mode in ("off", "metadata_only", "redacted", "full")]  # type: ignore[arg-type]  # they are
    await stage.open(*flows)
    kept: dict[str, Any] = {}
    for flow in flows:
        started = await stage.start(flow.name, parameters={"token": "abc"})
        live = await stage.until(started)
        assert live[-1].body == ev.RunCompleted(result={"password": "hunter2", "n": 1}), (
            "the caller gets it in any mode"
        )
        stored = await stage.store.events(started.run.id)
        run, (row,) = await stage.run(started), await stage.trace(started)
        kept[flow.name] = (stored[-1].body.result, run.input.get("parameters"), row.output, row.output_bytes)  # type: ignore[union-attr]  # completed
    full = {"password": "hunter2", "n": 1}
    masked = {"password": "[redacted]", "n": 1}
    assert kept["p/off"] == (None, None, None, None)
    assert kept["p/metadata_only"] == (None, None, None, 28)
    assert kept["p/redacted"] == (masked, {"token": "[redacted]"}, masked, 28)
    assert kept["p/full"] == (full, {"token": "abc"}, full, 28)


async def test_the_call_wins_over_the_flow_and_the_flow_over_the_server(stage: Stage) -> None:
    await stage.open(Flow("p/own", [step(lambda ctx: 1, name="s")], capture="full"), ECHO, capture="off")
    modes = [
        (await stage.start("p/own", capture="metadata_only")).run.options["capture"],
        (await stage.start("p/own")).run.options["capture"],
        (await stage.start()).run.options["capture"],
    ]
    assert modes == ["metadata_only", "full", "off"]


async def test_an_active_run_goes_on_from_what_the_mode_will_not_keep(stage: Stage) -> None:
    made = Flow(
        "p/f",
        [step(lambda ctx: "secret", name="s"), client_tool("c"), step(lambda ctx: ctx.outputs["s"], name="t")],
        capture="off",
    )
    await stage.open(made)
    started = await stage.start()
    (call,) = await stage.paused(started)
    await stage.crash(made)
    continued = await stage.go_on(started, {call: 1})
    assert await stage.end(continued) == ev.RunCompleted(result="secret")
    assert "secret" not in str([e.body for e in await stage.store.events(started.run.id)])


# --------------------------------------------------------------------------- what a run and an engine keep


async def test_a_run_keeps_the_tree_and_the_version_that_it_began_with(stage: Stage) -> None:
    await stage.open(ECHO)
    run = (await stage.start(version=1, traceparent="00-x", metadata={"a": 1})).run
    info = stage.engine.flow("p/f")
    assert info is not None
    assert tuple(decode_node(one) for one in run.options["tree"]) == info.versions[1]
    assert (run.options["flow_version"], run.options["traceparent"], run.options["metadata"]) == (1, "00-x", {"a": 1})


async def test_an_engine_keeps_what_its_code_says_once(stage: Stage) -> None:
    engine = await stage.open(ECHO)
    version = (await stage.start()).run.version
    kept = await stage.store.setting("", "", f"app:{version}")
    assert kept is not None
    assert list(kept.value["flows"]) == ["p/f"]
    await stage.crash(ECHO)
    assert await stage.store.setting("", "", f"app:{version}") == kept
    assert engine is not stage.engine


async def test_input_that_is_no_json_is_refused(stage: Stage) -> None:
    await stage.open(ECHO)
    with pytest.raises(BadRequest):
        await stage.start(parameters={"x": object()})
    with pytest.raises(BadRequest):
        await stage.start(max_seconds=0)
    assert await stage.result(message="\ud800") == "\ufffd"
