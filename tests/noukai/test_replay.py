"""Replay: what is captured here is answered from the recording, without a single live call."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from tests.noukai.flows import FlowServer
from tests.noukai.shells import BASE, PAUSED, Awaiting, Blocking, Shell, answer, kinds, refusal, scripted

from dragoman.noukai import (
    FlowExecutionError,
    NoukaiError,
    PausedResult,
    ReplayError,
    ReplayForbiddenError,
    ReplayInvalidSessionError,
    ReplayLeftoverError,
    ReplayMissError,
    ReplayNoSnapshotsError,
    ReplaySessionExpiredError,
    ReplaySessionNotFoundError,
    trace_scope,
)
from dragoman.noukai.codec import input_hash
from dragoman.noukai.models import ExecuteRequest
from dragoman.transport.scripted import ScriptedIO

pytestmark = pytest.mark.usefixtures("replay_allowed")

TWO = "demo/basics/two-step"


class Recorder:
    """A client, the server behind it, and what they did."""

    def __init__(self, shell: Shell, **options: Any) -> None:
        self.shell = shell
        self.server = FlowServer()
        self.client = shell.client(ScriptedIO(self.server), **options)

    async def capture(self, work: Callable[[Any], Any]) -> tuple[str, Any]:
        async def kept(state: Any) -> tuple[str, Any]:
            return state.session_id, await work(self.client)

        return await self.shell.scoped(kept)

    async def replay(self, session: str, work: Callable[[Any], Any]) -> Any:
        """Run the same work again; nothing but the session is asked for."""
        before = len(self.server.requests)

        async def again(state: Any) -> Any:
            return await work(self.client)

        try:
            return await self.shell.scoped(again, replay_session_id=session, transport=self.client._transport)
        finally:
            asked = {request.url.removeprefix(BASE) for request in self.server.requests[before:]}
            assert asked <= {f"/seq/sessions/{session}"}


@pytest.mark.requirement("NOU-50", "NOU-52")
async def test_mixed_calls_are_answered_from_the_recording(shell: Shell) -> None:
    async def work(client: Any) -> list[Any]:
        two, echo = client.flow(TWO), client.flow("demo/basics/echo")
        first = await shell.call(two.execute, "hi")
        steps = await shell.events(two.steps("step"))
        second = await shell.call(echo.execute, "e")
        third = await shell.call(two.execute, "ho")
        return [first.result, [step.output for step in steps], second.result, third.result]

    recorder = Recorder(shell)
    session, live = await recorder.capture(work)
    assert live == ["HI!", ["STEP", "STEP!"], "e", "HO!"]
    assert await recorder.replay(session, work) == live
    assert recorder.server.calls == {"execute": 3, "step": 1}


@pytest.mark.requirement("NOU-50", "NOU-59")
async def test_a_replayed_result_names_its_session_and_ignores_the_message(shell: Shell) -> None:
    recorder = Recorder(shell)

    def work(message: str) -> Callable[[Any], Any]:
        async def call(client: Any) -> Any:
            return await shell.call(client.flow(TWO).execute, message)

        return call

    session, live = await recorder.capture(work("hi"))
    replayed = await recorder.replay(session, work("something else"))
    assert (replayed.result, replayed.session_id, replayed.execution_id) == ("HI!", session, live.execution_id)
    assert (replayed.status, replayed.block_count, replayed.flow_id) == ("completed", 2, "f")


@pytest.mark.requirement("NOU-51", "NOU-92", "NOU-72")
async def test_streams_are_replayed_in_short(shell: Shell) -> None:
    async def work(client: Any) -> list[Any]:
        return await shell.events(client.flow(TWO).events("hi"))

    recorder = Recorder(shell)
    session, live = await recorder.capture(work)
    replayed = await recorder.replay(session, work)
    expected = ["run_started", "step_started", "step_completed", "step_started", "step_completed", "flow_completed"]
    assert kinds(replayed) == expected
    assert replayed[0].execution_id == live[0].execution_id
    assert [event.step_index for event in replayed if hasattr(event, "step_index")] == [0, 0, 1, 1]
    assert replayed[-1].result == "HI!"


@pytest.mark.requirement("NOU-53")
async def test_a_failed_run_fails_again(shell: Shell) -> None:
    async def work(client: Any) -> tuple[Any, ...]:
        with pytest.raises(FlowExecutionError, match="it broke") as caught:
            await shell.call(client.flow("demo/basics/broken").execute, "x")
        events = await shell.events(client.flow("demo/basics/broken").events("x", run_remaining=True))
        steps = await shell.events(client.flow("demo/basics/broken").steps("x"))
        return caught.value.code, caught.value.execution_id, kinds(events), events[-1].error, kinds(steps)

    recorder = Recorder(shell)
    session, live = await recorder.capture(work)
    assert await recorder.replay(session, work) == (
        *live[:2],
        ["run_started", "step_started", "step_completed", "step_started", "step_error"],
        *live[3:],
    )
    assert live[0] == "STEP_FAILED"


@pytest.mark.requirement("NOU-60")
async def test_a_run_with_tools_is_one_recording_and_needs_no_tools_again(shell: Shell) -> None:
    asked: list[Any] = []

    def handler(calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
        asked.append(calls)
        return [{"tool_call_id": "call_1", "output": "20"}]

    async def work(client: Any) -> list[Any]:
        flow = client.flow("demo/basics/weather")
        by_handler = await shell.call(flow.execute, "Bern", tool_handler=handler)
        by_hand = await shell.call(flow.execute, "Bern")
        while by_hand.status == "tool_calls_required":
            assert by_hand.session_id
            by_hand = await shell.resume(by_hand, handler([]))
        streamed = await shell.events(flow.events("Bern", tool_handler=handler))
        return [by_handler.result, by_hand.result, streamed[-1].result, by_hand.session_id]

    recorder = Recorder(shell)
    session, live = await recorder.capture(work)
    assert live == ["It is 20"] * 3 + [session]
    assert all(request.headers["x-session-id"] == session for request in recorder.server.requests)
    asked.clear()
    assert await recorder.replay(session, work) == live
    assert asked == []


@pytest.mark.requirement("NOU-54")
async def test_a_call_too_many_is_a_miss(shell: Shell) -> None:
    async def once(client: Any) -> None:
        await shell.call(client.flow(TWO).execute, "a")

    async def twice(client: Any) -> None:
        await once(client)
        await once(client)

    async def other(client: Any) -> None:
        await shell.call(client.flow("demo/other/two-step").execute, "a")

    recorder = Recorder(shell)
    session, _ = await recorder.capture(once)
    with pytest.raises(ReplayMissError, match="call 2 of 'demo/basics/two-step'"):
        await recorder.replay(session, twice)
    with pytest.raises(ReplayMissError, match="demo/other"):
        await recorder.replay(session, other)


@pytest.mark.requirement("NOU-55")
async def test_a_call_too_few_is_a_leftover_unless_the_code_failed(shell: Shell) -> None:
    async def twice(client: Any) -> None:
        for _ in range(2):
            await shell.call(client.flow(TWO).execute, "a")

    async def once(client: Any) -> None:
        await shell.call(client.flow(TWO).execute, "a")

    async def fails(client: Any) -> None:
        raise KeyError("mine")

    recorder = Recorder(shell)
    session, _ = await recorder.capture(twice)
    with pytest.raises(ReplayLeftoverError, match=r"1 of two-step \(execute\)"):
        await recorder.replay(session, once)
    with pytest.raises(KeyError):
        await recorder.replay(session, fails)


@pytest.mark.requirement("NOU-56", "NOU-57")
@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (refusal(400, "INVALID_SESSION_ID"), ReplayInvalidSessionError),
        (refusal(403, "FORBIDDEN"), ReplayForbiddenError),
        (refusal(404, "SESSION_NOT_FOUND"), ReplaySessionNotFoundError),
        (refusal(410, "SESSION_EXPIRED"), ReplaySessionExpiredError),
        (answer({"executions": 7}), ReplayInvalidSessionError),
        (answer(b"<html>"), ReplayInvalidSessionError),
        (
            answer(
                {"sessionId": "s", "executions": [{"executionId": "r", "status": "x", "snapshotsAvailable": False}]}
            ),
            ReplayNoSnapshotsError,
        ),
    ],
)
async def test_a_session_that_cannot_be_had(shell: Shell, reply: Any, error: type[ReplayError]) -> None:
    client = shell.client(scripted(reply))

    async def work(state: Any) -> None:
        raise AssertionError("the scope never opens")

    with pytest.raises(error) as caught:
        await shell.scoped(work, replay_session_id="s", transport=client._transport)
    assert type(caught.value) is error


@pytest.mark.requirement("NOU-56")
async def test_other_refusals_keep_their_class_and_are_repeated_as_reads_are(shell: Shell) -> None:
    io = scripted(refusal(503, "X"), refusal(401, "INVALID_API_KEY"))

    async def work(state: Any) -> None:
        raise AssertionError("the scope never opens")

    with pytest.raises(NoukaiError) as caught:
        await shell.scoped(work, replay_session_id="s", transport=shell.client(io)._transport)
    assert (caught.value.status_code, len(io.requests)) == (401, 2)


@pytest.mark.requirement("NOU-59")
async def test_another_session_named_by_a_call_answers_it_and_takes_its_place(shell: Shell) -> None:
    async def say(client: Any, *messages: str, **options: Any) -> list[Any]:
        results = [await shell.call(client.flow(TWO).execute, message, **options) for message in messages]
        return [(result.result, result.session_id) for result in results]

    recorder = Recorder(shell)
    other, _ = await recorder.capture(lambda client: say(client, "other"))
    session, _ = await recorder.capture(lambda client: say(client, "a", "b"))

    async def work(state: Any) -> list[Any]:
        return [
            *await say(recorder.client, "x", session_id=other),
            *await say(recorder.client, "x", session_id=session),
        ]

    found = await shell.scoped(work, replay_session_id=session, transport=recorder.client._transport)
    assert found == [("OTHER!", other), ("B!", session)]
    assert recorder.server.calls == {"execute": 3}


@pytest.mark.requirement("NOU-59", "NOU-64")
async def test_a_blocking_client_works_within_a_scope_of_the_awaiting_one() -> None:
    recorder = Recorder(Awaiting())
    blocking = Blocking().client(ScriptedIO(recorder.server)).flow(TWO)
    async with trace_scope() as other:
        blocking.execute("other")
    async with trace_scope() as scope:
        assert blocking.execute("hi").session_id == scope.session_id
        blocking.execute("ho")
    async with trace_scope(replay_session_id=scope.session_id, transport=recorder.client._transport):
        assert blocking.execute("x").result == "HI!"
        assert blocking.execute("x", session_id=other.session_id).result == "OTHER!"
    assert recorder.server.calls == {"execute": 3}


@pytest.mark.requirement("NOU-50")
def test_it_works_on_trio_too() -> None:
    async def work() -> list[Any]:
        recorder = Recorder(Awaiting())

        async def call(client: Any) -> Any:
            events = [event.type async for event in client.flow(TWO).steps("s")]
            return (await client.flow(TWO).execute("hi")).result, events

        session, live = await recorder.capture(call)
        return [live, await recorder.replay(session, call)]

    live, replayed_ = anyio.run(work, backend="trio")
    assert live == replayed_ == ("HI!", ["step_completed"] * 2)


@pytest.mark.requirement("NOU-61", "NOU-92")
async def test_jobs_replay_and_are_no_leftovers(shell: Shell) -> None:
    async def work(client: Any) -> list[Any]:
        jobs = [await shell.call(client.flow(f"demo/basics/{slug}").execute_async, "x") for slug in ("echo", "broken")]
        return [await shell.call(job.wait) for job in jobs]

    async def nothing(client: Any) -> None:
        pass

    recorder = Recorder(shell)
    session, live = await recorder.capture(work)
    replayed = await recorder.replay(session, work)
    assert [(each.status, each.result, each.error) for each in replayed] == [
        (each.status, each.result, each.error) for each in live
    ]
    assert replayed[1].error == "STEP_FAILED: it broke"
    await recorder.replay(session, nothing)


def execution(id: str, **fields: Any) -> dict[str, Any]:
    step = {"stepId": "a", "outputSnapshot": id}
    base = {"executionId": id, "flowId": "f", "slug": "two-step", "triggerType": "execute", "status": "completed"}
    return base | {"snapshotsAvailable": True, "steps": [step]} | fields


async def replayed(shell: Shell, executions: list[dict[str, Any]], work: Callable[[Any], Any]) -> Any:
    client = shell.client(scripted(answer({"sessionId": "s", "executions": executions})))

    async def inside(state: Any) -> Any:
        return await work(client.flow(TWO))

    return await shell.scoped(inside, replay_session_id="s", transport=client._transport)


@pytest.mark.requirement("NOU-92")
async def test_a_paused_run_replays_as_paused(shell: Shell) -> None:
    paused = execution("r1", status="running", pause=PAUSED, errorAtStep="weather", steps=[{"stepId": "weather"}])

    async def execute(flow: Any) -> Any:
        return await shell.call(flow.execute, "x")

    result = await replayed(shell, [paused], execute)
    assert isinstance(result, PausedResult)
    assert (result.tool_calls, result.session_id) == (PAUSED["toolCalls"], "s")
    with pytest.raises(ReplayMissError, match="never resumed"):
        await shell.resume(result, [])

    async def events(flow: Any) -> Any:
        return await shell.events(flow.events("x"))

    seen = await replayed(shell, [paused | {"triggerType": "step"}], events)
    assert kinds(seen) == ["run_started", "step_started", "tool_calls_required"]


@pytest.mark.requirement("NOU-92")
async def test_a_cancelled_run_raises_and_need_not_be_used(shell: Shell) -> None:
    async def execute(flow: Any) -> Any:
        return await shell.call(flow.execute, "x")

    async def nothing(flow: Any) -> None:
        pass

    cancelled = execution("r1", status="cancelled")
    with pytest.raises(FlowExecutionError) as caught:
        await replayed(shell, [cancelled], execute)
    assert caught.value.code == "CANCELLED"
    await replayed(shell, [cancelled, execution("r2", status="pending")], nothing)
    with pytest.raises(ReplayNoSnapshotsError, match="not ended"):
        await replayed(shell, [execution("r2", status="pending")], execute)


@pytest.mark.requirement("NOU-92")
async def test_a_cut_recording_is_refused(shell: Shell) -> None:
    cut = execution("r1", steps=[{"stepId": "a", "outputSnapshot": "half", "truncated": True}])

    async def execute(flow: Any) -> Any:
        return await shell.call(flow.execute, "x")

    with pytest.raises(ReplayNoSnapshotsError, match="too large"):
        await replayed(shell, [cut], execute)


@pytest.mark.requirement("NOU-54")
async def test_a_deleted_flow_is_named_in_the_miss(shell: Shell) -> None:
    async def execute(flow: Any) -> Any:
        return await shell.call(flow.execute, "x")

    with pytest.raises(ReplayMissError, match="deleted flow"):
        await replayed(shell, [execution("r1", slug=None)], execute)


@pytest.mark.requirement("NOU-79")
async def test_keys_that_recording_added_are_left_out(shell: Shell) -> None:
    snapshot = {"text": "x", "__rendered_prompt__": "p"}

    async def both(flow: Any) -> Any:
        return (await shell.call(flow.execute, "x")).result, (await shell.events(flow.events("x")))[2].output

    steps = [{"stepId": "a", "outputSnapshot": snapshot}]
    recorded = [execution("r1", steps=steps), execution("r2", steps=steps, triggerType="step")]
    assert await replayed(shell, recorded, both) == ({"text": "x"}, {"text": "x"})


@pytest.mark.requirement("NOU-92")
async def test_gathered_calls_keep_the_places_in_which_they_were_made() -> None:
    shell = Awaiting()
    recorder = Recorder(shell)

    async def work(client: Any) -> list[Any]:
        flow = client.flow(TWO)
        calls = [flow.execute(message) for message in "abc"]
        tasks = [asyncio.ensure_future(call) for call in reversed(calls)]  # the last made begins first
        await asyncio.gather(*tasks)
        return [task.result().result for task in reversed(tasks)]

    session, live = await recorder.capture(work)
    assert live == ["A!", "B!", "C!"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert await recorder.replay(session, work) == live


@pytest.mark.requirement("NOU-92")
async def test_overlapping_calls_of_older_recordings_are_told_apart_by_what_they_were_given() -> None:
    hashes = [input_hash(ExecuteRequest(message=message)) for message in ("first", "second")]
    recorded = [execution("r2", inputHash=hashes[1]), execution("r1", inputHash=hashes[0])]

    async def work(flow: Any) -> list[Any]:
        results = await asyncio.gather(flow.execute("first"), flow.execute("second"))
        return [result.execution_id for result in results]

    with pytest.warns(UserWarning, match="concurrent"):
        assert await replayed(Awaiting(), recorded, work) == ["r1", "r2"]


@pytest.mark.requirement("NOU-92")
async def test_calls_one_after_the_other_do_not_warn(shell: Shell) -> None:
    async def work(flow: Any) -> list[str]:
        return [(await shell.events(flow.events("x")))[0].execution_id for _ in range(2)]

    recorded = [execution("r1", triggerType="step"), execution("r2", triggerType="step")]
    assert await replayed(shell, recorded, work) == ["r1", "r2"]


@pytest.mark.requirement("NOU-92")
async def test_a_session_is_fetched_once_while_its_etag_holds() -> None:
    unchanged = answer(b"", 304)
    io = scripted(answer({"sessionId": "s", "executions": []}, etag='"1"'), unchanged, unchanged)
    client = Awaiting().client(io)
    for _ in range(3):
        async with trace_scope(replay_session_id="s", transport=client._transport):
            pass
    assert [request.headers.get("if-none-match") for request in io.requests] == [None, '"1"', '"1"']
