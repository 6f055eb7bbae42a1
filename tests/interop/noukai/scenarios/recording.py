"""Sessions: what is recorded, and what a replay answers from it."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.interop.noukai.registry import scenario
from tests.interop.noukai.stage import Stage, fresh, kinds

EXPIRED = "00000000-0000-4000-8000-000000000410"


@scenario.requirement("NOU-47")
async def a_scope_records_every_kind_of_call_in_order(stage: Stage) -> None:
    async with stage.client() as client, stage.scope() as scope:
        one = await stage.call(client.flow("demo/basics/two-step").execute, "hi")
        await stage.all(client.flow("demo/basics/two-step").steps("ho"))
        job = await stage.call(client.flow("demo/basics/echo").execute_async, "later")
        await stage.call(job.wait, timeout=20.0, poll_interval=0.05)
    assert one.session_id == scope.session_id
    found = (await stage.session(scope.session_id))["executions"]
    assert [each["triggerType"] for each in found] == ["execute", "step", "job"]
    assert [each["slug"] for each in found] == ["two-step", "two-step", "echo"]
    assert [each["status"] for each in found] == ["completed"] * 3
    assert found[0]["executionId"] == one.execution_id
    assert found[2]["executionId"] == job.execution_id


@scenario.requirement("NOU-49")
async def a_session_shows_inputs_outputs_and_errors(stage: Stage) -> None:
    async with stage.client() as client, stage.scope() as scope:
        await stage.call(client.flow("demo/basics/two-step").execute, "hi")
        async with stage.raises("FlowExecutionError"):
            await stage.call(client.flow("demo/basics/broken").execute, "hi")
    document = await stage.session(scope.session_id)
    assert document["sessionId"] == scope.session_id
    good, bad = document["executions"]
    assert good["snapshotsAvailable"] is True
    assert good["traceCaptureMode"] == "full"
    assert good["errorAtStep"] is None
    base = 1 if stage.release >= (0, 5) else 0  # for whom the base path is the draft
    assert (good["org"], good["project"], good["version"]) == ("demo", "basics", base)
    assert [(each["stepId"], each["outputSnapshot"]) for each in good["steps"]] == [("upper", "HI"), ("exclaim", "HI!")]
    assert good["steps"][0]["inputSnapshot"]["message"] == "hi"
    assert good["steps"][0]["truncated"] is False
    assert bad["status"] == "failed"
    assert bad["errorAtStep"] == "second"
    assert bad["steps"][-1]["errorSnapshot"]["code"] == "STEP_FAILED"


@scenario.requirement("NOU-50")
async def execute_is_replayed_without_a_live_call(stage: Stage) -> None:
    told: list[dict[str, Any]] = []
    async with stage.client(log_handler=told.append) as client:
        flow = client.flow("demo/basics/two-step")
        async with stage.scope() as scope:
            first = [await stage.call(flow.execute, text) for text in ("a", "b")]
        told.clear()
        async with stage.replaying(client, scope.session_id):
            again = [await stage.call(flow.execute, "edited") for _ in first]
        paths = [event["path"] for event in told if event["phase"] == "request"]
    assert [each.output for each in again] == ["A!", "B!"]
    assert [each.execution_id for each in again] == [each.execution_id for each in first]
    assert [each.block_count for each in again] == [2, 2]
    assert all(each.session_id == scope.session_id for each in again)
    assert len(paths) == 1
    assert "/sessions/" in paths[0] or "sessions" in paths[0]


@scenario.requirement("NOU-51")
async def events_and_steps_are_replayed(stage: Stage) -> None:
    async with stage.client() as client:
        flow = client.flow("demo/basics/two-step")
        async with stage.scope() as scope:
            await stage.all(flow.events("hi"))
            await stage.all(flow.steps("ho"))
        async with stage.replaying(client, scope.session_id):
            events = await stage.all(flow.events("hi"))
            steps = await stage.all(flow.steps("ho"))
    assert kinds(events)[0] == "run_started"
    assert [each.output for each in events if each.event_type == "step_completed"] == ["HI", "HI!"]
    assert events[-1].result == "HI!"
    assert [each.output for each in steps if each.event_type == "step_completed"] == ["HO", "HO!"]
    assert (kinds(steps) == ["step_completed"] * 2) == stage.ours


@scenario.requirement("NOU-52")
async def mixed_calls_are_replayed_each_from_its_own(stage: Stage) -> None:
    async def work(client: Any) -> list[Any]:
        echo, two = client.flow("demo/basics/echo"), client.flow("demo/basics/two-step")
        found = [(await stage.call(echo.execute, "1")).output]
        found += [each.output for each in await stage.all(two.events("2")) if each.event_type == "step_completed"]
        found += [(await stage.call(two.execute, "3")).output, (await stage.call(echo.execute, "4")).output]
        return found

    async with stage.client() as client:
        async with stage.scope() as scope:
            first = await work(client)
        async with stage.replaying(client, scope.session_id):
            assert await work(client) == first == ["1", "2", "2!", "3!", "4"]


@scenario.requirement("NOU-53")
async def failed_runs_fail_again(stage: Stage) -> None:
    async with stage.client() as client:
        flow = client.flow("demo/basics/broken")

        async def work() -> tuple[Any, list[Any]]:
            async with stage.raises("FlowExecutionError") as caught:
                await stage.call(flow.execute, "hi")
            return caught[0], await stage.all(flow.events("hi"))

        async with stage.scope() as scope:
            await work()
        async with stage.replaying(client, scope.session_id):
            error, events = await work()
    assert error.code == "STEP_FAILED"
    assert error.execution_id
    [failed] = [each for each in events if each.event_type == "step_error"]
    assert (failed.step_id, failed.error["code"]) == ("second", "STEP_FAILED")


@scenario.requirement("NOU-54")
async def a_call_too_many_is_a_miss(stage: Stage) -> None:
    async with stage.client() as client:
        flow = client.flow("demo/basics/echo")
        async with stage.scope() as scope:
            await stage.call(flow.execute, "hi")
        async with stage.raises("ReplayMissError"), stage.replaying(client, scope.session_id):
            await stage.call(flow.execute, "hi")
            await stage.call(flow.execute, "hi")
        async with stage.raises("ReplayMissError"), stage.replaying(client, scope.session_id):
            await stage.call(client.flow("demo/basics/two-step").execute, "hi")


@scenario.requirement("NOU-55")
async def a_call_too_few_is_a_leftover(stage: Stage) -> None:
    async with stage.client() as client:
        flow = client.flow("demo/basics/echo")
        async with stage.scope() as scope:
            await stage.call(flow.execute, "1")
            await stage.call(flow.execute, "2")
        async with stage.raises("ReplayLeftoverError"), stage.replaying(client, scope.session_id):
            await stage.call(flow.execute, "1")


@scenario.requirement("NOU-56")
async def sessions_that_cannot_be_had_have_each_an_error(stage: Stage) -> None:
    async with stage.client() as client, stage.client(key="nk_other") as other:
        async with stage.scope() as scope:
            await stage.call(client.flow("demo/basics/echo").execute, "hi")
        cases = [
            ("ReplaySessionNotFoundError", client, fresh()),
            ("ReplaySessionExpiredError", client, EXPIRED),
            ("ReplayInvalidSessionError", client, "no!session"),
            ("ReplayForbiddenError", other, scope.session_id),
        ]
        for name, asking, session_id in cases:
            async with stage.raises(name) as caught, stage.replaying(asking, session_id):
                raise AssertionError("it was let in")
            assert caught[0].status_code in (400, 403, 404, 410)


@scenario.requirement("NOU-57")
async def nothing_is_stored_of_a_private_flow(stage: Stage) -> None:
    async with stage.client() as client:
        async with stage.scope() as scope:
            done = await stage.call(client.flow("demo/basics/private").execute, "secret", trace=True)
        assert done.output == "secret"
        [recorded] = (await stage.session(scope.session_id))["executions"]
        assert recorded["snapshotsAvailable"] is False
        assert recorded["traceCaptureMode"] == "off"
        assert "secret" not in str(recorded)
        trace = await stage.call(client.flow("demo/basics/private").run(done.execution_id).trace)
        assert "secret" not in str(trace)
        async with stage.raises("ReplayNoSnapshotsError"), stage.replaying(client, scope.session_id):
            raise AssertionError("it was let in")


@scenario.requirement("NOU-59")
async def another_session_may_answer_one_call_of_a_replay(stage: Stage) -> None:
    async with stage.client() as client:
        flow = client.flow("demo/basics/echo")
        sessions = []
        for texts in (["a", "b"], ["other"]):
            async with stage.scope() as scope:
                for text in texts:
                    await stage.call(flow.execute, text)
            sessions.append(scope.session_id)
        async with stage.replaying(client, sessions[0]):
            first = await stage.call(flow.execute, "", session_id=sessions[1])
            second = await stage.call(flow.execute, "")
    assert (first.output, second.output) == ("other", "b")


@scenario.requirement("NOU-61")
async def a_job_in_a_replay(stage: Stage) -> None:
    async with stage.client() as client:
        flow = client.flow("demo/basics/echo")
        async with stage.scope() as scope:
            job = await stage.call(flow.execute_async, "later")
            await stage.call(job.wait, timeout=20.0, poll_interval=0.05)
        if stage.ours:
            async with stage.replaying(client, scope.session_id):
                job = await stage.call(flow.execute_async, "later")
                assert (await stage.call(job.wait)).result == "later"
                assert job.session_id == scope.session_id
            return
        async with stage.raises("ReplayMissError"), stage.replaying(client, scope.session_id):
            await stage.call(flow.execute_async, "later")


@scenario.requirement("NOU-62", "NOU-73")
async def the_decorator_makes_a_session_of_a_function(stage: Stage) -> None:
    async with stage.client() as client:
        flow = client.flow("demo/basics/echo")

        async def awaiting(text: str) -> tuple[Any, Any]:
            return stage.sdk.current_session_id(), await stage.call(flow.execute, text)

        def blocking(text: str) -> tuple[Any, Any]:
            return stage.sdk.current_session_id(), flow.execute(text)

        session_id, result = await stage.trace(awaiting)("hi")
        assert session_id == result.session_id is not None
        assert len((await stage.session(session_id))["executions"]) == 1
        if stage.blocking:
            other, result = await asyncio.to_thread(stage.trace(blocking), "ho")
            assert other == result.session_id != session_id
        names = ("replay", "replay_scope", "replay_scope_sync"), ("trace", "trace_scope", "trace_scope_sync")
        for index, group in enumerate(names):
            exported = all(hasattr(stage.sdk, name) for name in group)
            assert exported == (stage.ours or stage.renamed == (index == 0))


@scenario.requirement("NOU-69")
async def runs_at_the_same_time_are_all_in_their_session(stage: Stage) -> None:
    texts = [f"text {n}" for n in range(8)]
    async with stage.client() as client, stage.scope() as scope:
        flow = client.flow("demo/basics/two-step")
        done = await asyncio.gather(*(stage.call(flow.execute, text) for text in texts))
    assert [each.output for each in done] == [f"TEXT {n}!" for n in range(8)]
    found = (await stage.session(scope.session_id))["executions"]
    assert {each["executionId"] for each in found} == {each.execution_id for each in done}
    assert all(len(each["steps"]) == 2 for each in found)
    if not stage.ours:  # ours are listed in the order in which they were called
        assert [each["startedAt"] for each in found] == sorted(each["startedAt"] for each in found)
