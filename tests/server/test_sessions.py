"""Recorded sessions in core words: threads read as sessions, and who may read what."""

from dataclasses import replace
from typing import Any

import pytest
from tests.testing.recordings import WHO, Recorder, Shop

from dragoman.core.errors import BadRequest, Conflict, Forbidden, Gone, NotFound
from dragoman.core.records import Run, Session, Step
from dragoman.core.turns import Decision
from dragoman.core.writes import PutRun, PutSession, PutStep
from dragoman.server.sessions import export_session, read_session

NOW = 1_000_000.0


def flow_run(id: str, *, session: str = "s1", **changes: Any) -> Run:
    node = {"id": "upper", "name": "upper", "kind": "function"}
    options = {"tree": [node, {**node, "id": "exclaim", "name": "exclaim"}], "flow_version": 1, "capture": "full"}
    run = Run(id, WHO[0], "", "execute", "basics/two-step", NOW, session=session, options=options, status="completed")
    return replace(run, **changes)


def step(run: str, id: str, output: Any, **changes: Any) -> Step:
    made = Step(run, id, "flow", id, "completed", NOW, output=output, input={"message": "hi"})
    return replace(made, **changes)


async def put(recorder: Recorder, *runs: Run, session: Session | None = None, steps: tuple[Step, ...] = ()) -> None:
    kept = session or Session(WHO[0], "s1", NOW, NOW, expires=recorder.engine._clock() + 1000)
    await recorder.store.commit(PutSession(kept), *map(PutRun, runs), *map(PutStep, steps))


@pytest.fixture
async def recorder() -> Any:
    async with Recorder(Shop().app()) as made:
        yield made


@pytest.mark.requirement("CORE-18")
async def test_a_thread_reads_as_a_session_whose_runs_are_executions_of_agents(recorder: Recorder) -> None:
    await recorder.say("hello")
    await recorder.say("order plum", {"order": Decision(True)})
    await recorder.say("fail now")
    session = await read_session(recorder.services, WHO[0], "chat-1", owner=WHO[1])
    assert session.thread is not None
    told = [(each.project, each.slug, each.trigger, each.version, each.has_snapshots) for each in session.recorded]
    assert told == [("agents", "clerk", "execute", None, True)] * 3
    first, second, third = session.recorded
    assert (first.input["message"], first.result) == ("hello", "You said hello")
    assert [(one.step, one.output) for one in second.snapshots] == [("clerk", second.result)]
    assert (third.error_at, (third.error or {})["code"]) == ("clerk", "model_error")


async def test_a_thread_is_its_owners_alone(recorder: Recorder) -> None:
    await recorder.say("hello")
    for tenant, owner in ((WHO[0], "bob"), ("other", WHO[1]), (WHO[0], None)):
        with pytest.raises(NotFound):
            await read_session(recorder.services, tenant, "chat-1", owner=owner)
        with pytest.raises(NotFound):
            await export_session(recorder.services, tenant, "chat-1", owner=owner)
    assert (await read_session(recorder.services, WHO[0], "chat-1", admin=True)).thread is not None


async def test_a_run_that_waits_for_approval_says_so_and_names_its_calls(recorder: Recorder) -> None:
    await recorder.say("order plum")
    (waiting,) = (await read_session(recorder.services, WHO[0], "chat-1", owner=WHO[1])).recorded
    assert waiting.pause is not None
    assert (waiting.pause.reason, waiting.pause.step) == ("approval", "clerk")
    assert [(call.name, call.input) for call in waiting.pause.calls] == [("order", {"item": "plum"})]
    assert (waiting.error_at, (waiting.error or {})["code"]) == ("clerk", "PAUSED_FOR_APPROVAL")


@pytest.mark.requirement("NOU-49", "NOU-69")
async def test_runs_come_by_arrival_and_calls_of_one_kind_by_their_callers_count(recorder: Recorder) -> None:
    def counted(id: str, index: int | None, **changes: Any) -> Run:
        run = flow_run(id, **changes)
        return run if index is None else replace(run, options={**run.options, "call_index": index})

    await put(
        recorder,
        counted("r1", 1),
        counted("r2", None, name="basics/echo"),
        counted("r3", 0),
        counted("r4", 0, kind="job"),
    )
    session = await read_session(recorder.services, WHO[0], "s1")
    assert [each.run.id for each in session.recorded] == ["r3", "r2", "r1", "r4"]
    assert [each.call_index for each in session.recorded] == [0, None, 1, 0]
    assert [each.trigger for each in session.recorded] == ["execute", "execute", "execute", "job"]


@pytest.mark.requirement("NOU-49")
async def test_only_the_last_attempt_of_a_top_level_step_counts(recorder: Recorder) -> None:
    steps = (
        step("r1", "upper", None, status="failed", error={"code": "interrupted", "message": "x"}),
        step("r1", "upper", "HI", attempt=2),
        step("r1", "exclaim", "HI!", index=0),
        step("r1", "exclaim", "HI!!", index=1),
        step("r1", "exclaim/model:1", None, kind="model"),
    )
    await put(recorder, flow_run("r1"), steps=steps)
    (made,) = (await read_session(recorder.services, WHO[0], "s1")).recorded
    assert [(one.step, one.index, one.output) for one in made.snapshots] == [
        ("upper", -1, "HI"),
        ("exclaim", 0, "HI!"),
        ("exclaim", 1, "HI!!"),
    ]
    assert (made.result, made.error_at) == ("HI!!", None)


@pytest.mark.requirement("NOU-53", "NOU-92")
async def test_a_run_that_ended_outside_of_a_step_has_its_error_at_one(recorder: Recorder) -> None:
    cancelled = flow_run("r1", status="cancelled", error={"code": "cancelled", "message": "stopped"})
    failed = flow_run("r2", status="failed", error={"code": "STALE_TREE", "message": "no such step"})
    broken = flow_run("r3", status="failed", error={"code": "STEP_FAILED", "message": "oops"})
    error = {"code": "STEP_FAILED", "message": "oops"}
    steps = (step("r1", "upper", "HI"), step("r3", "upper", None, status="failed", error=error))
    await put(recorder, cancelled, failed, broken, steps=steps)
    one, two, three = (await read_session(recorder.services, WHO[0], "s1")).recorded
    assert (one.error_at, (one.error or {})["code"]) == ("exclaim", "CANCELLED")
    assert (two.error_at, (two.error or {})["code"]) == ("upper", "STALE_TREE")
    assert (three.error_at, three.error) == ("upper", error)
    for made in (one, two, three):
        assert next(each for each in made.snapshots if each.step == made.error_at).error == made.error


@pytest.mark.parametrize(
    ("mode", "trace", "kept"),
    [("off", True, False), ("metadata_only", False, False), ("metadata_only", True, True), ("redacted", False, True)],
)
@pytest.mark.requirement("NOU-57", "NOU-87")
async def test_what_a_mode_did_not_keep_cannot_be_exported(
    recorder: Recorder, mode: str, trace: bool, kept: bool
) -> None:
    run = flow_run("r1")
    await put(recorder, replace(run, options={**run.options, "capture": mode, "trace": trace}))
    (made,) = (await read_session(recorder.services, WHO[0], "s1")).recorded
    assert (made.has_snapshots, made.capture) == (kept, mode)
    if not kept:
        with pytest.raises(Conflict) as caught:
            await export_session(recorder.services, WHO[0], "s1")
        assert caught.value.code == "conflict:snapshots"


@pytest.mark.requirement("NOU-56", "NOU-81")
async def test_a_session_is_its_tenants_expires_and_leaves_a_tombstone(recorder: Recorder) -> None:
    now = recorder.engine._clock()
    await put(recorder, flow_run("r1"))
    services = recorder.services
    with pytest.raises(Forbidden):
        await read_session(services, "other", "s1")
    with pytest.raises(NotFound):
        await read_session(services, "other", "s1", tells_of_others=False)
    with pytest.raises(NotFound):
        await read_session(services, WHO[0], "s2")
    for bad in ("", ".", "..", "a b", "x" * 129):
        with pytest.raises(BadRequest):
            await read_session(services, WHO[0], bad)
    await put(recorder, session=Session(WHO[0], "over", NOW, NOW, expires=now - 1))
    await put(recorder, session=Session(WHO[0], "buried", NOW, NOW, expires=now - 9, tombstone=now + 99))
    for id in ("over", "buried"):
        with pytest.raises(Gone):
            await read_session(services, WHO[0], id)
