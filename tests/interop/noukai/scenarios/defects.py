"""What published clients get wrong, section 6 of the specification, beside what ours does with the same call.

Each is played by both kinds; for the published one the claim is the fault itself, so that a
correction in a later release shows.
"""

from __future__ import annotations

import time
import warnings
from typing import Any

from tests.interop.noukai.faulty import Fault, faulty
from tests.interop.noukai.registry import scenario
from tests.interop.noukai.scenarios.apps import asked, fastapi_app
from tests.interop.noukai.stage import TOOLS, Stage, fresh, kinds, weather


@scenario.requirement("NOU-91", shells=("async",))
async def d1_middleware_and_decorator_agree_on_the_session(stage: Stage) -> None:
    told: list[dict[str, Any]] = []
    async with stage.client(log_handler=told.append) as client:
        app = fastapi_app(stage, client)
        flow = client.flow("demo/basics/two-step")

        @app.get("/decorated")
        @stage.trace
        async def decorated(text: str) -> dict[str, Any]:
            return {"output": (await flow.execute(text)).output}

        got = await asked(app, "/decorated", "ab")
        session_id = got.headers["x-noukai-session"]
        recorded = await stage.ask("GET", f"/sessions/{session_id}")
        if not stage.ours:
            assert recorded.status == 404
            return
        assert len(recorded.json["executions"]) == 1
        told.clear()
        again = await asked(app, "/decorated", "edited", x_noukai_replay=session_id)
        assert again.json() == got.json() == {"output": "AB!"}
        assert [each["method"] for each in told if each["phase"] == "request"] == ["GET"]


@scenario.requirement("NOU-91", shells=("async",))
async def d2_a_leftover_is_an_answer_and_no_broken_connection(stage: Stage) -> None:
    async with stage.client() as client:
        app = fastapi_app(stage, client)
        session_id = (await asked(app, "/grade", "ab")).headers["x-noukai-session"]
        try:
            got = await asked(app, "/once", "ab", x_noukai_replay=session_id)
        except Exception:
            assert not stage.ours
            return
        assert stage.ours
        assert (got.status, got.json()["error"]) == (500, "replay_error")


@scenario.requirement("NOU-90")
async def d3_events_have_a_type_and_traces_a_summary(stage: Stage) -> None:
    async with stage.flow("two-step") as flow:
        events = await stage.all(flow.events("hi"))
        trace = await stage.call(flow.run(events[0].execution_id).trace)
    if stage.ours:
        assert [each.type for each in events] == [each.event_type for each in events]
        assert trace.summary is trace.flow_run
    else:
        assert not hasattr(events[0], "type")
        assert not hasattr(trace, "summary")


@scenario.requirement("NOU-92", alone=True)
async def d5_one_stream_after_another_is_no_concurrency(stage: Stage) -> None:
    async with stage.client() as client:
        flow = client.flow("demo/basics/echo")
        async with stage.scope() as scope:
            for text in "ab":
                await stage.all(flow.events(text))
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            async with stage.replaying(client, scope.session_id):
                for text in "ab":
                    assert (await stage.all(flow.events(text)))[-1].result == text
    if stage.ours:
        assert told == []


@scenario.requirement("NOU-92")
async def d6_a_session_with_a_job_can_be_replayed(stage: Stage) -> None:
    async with stage.client() as client:
        flow = client.flow("demo/basics/echo")
        async with stage.scope() as scope:
            await stage.call(flow.execute, "hi")
            await stage.call((await stage.call(flow.execute_async, "later")).wait, poll_interval=0.05)
        try:
            async with stage.replaying(client, scope.session_id):
                await stage.call(flow.execute, "hi")
        except stage.sdk.ReplayLeftoverError:
            assert not stage.ours
        else:
            assert stage.ours


@scenario.requirement("NOU-92")
async def d7_a_paused_run_is_replayed_as_paused(stage: Stage) -> None:
    async with stage.client() as client:
        flow = client.flow("demo/basics/weather")
        async with stage.scope() as scope:
            paused = await stage.call(flow.execute, "Bern", tools=TOOLS)
        [recorded] = (await stage.session(scope.session_id))["executions"]
        assert recorded["pause"]["toolCalls"] == paused.tool_calls
        if not stage.ours:  # our server has it raise this, lest it be a null result
            async with stage.raises("FlowExecutionError") as caught, stage.replaying(client, scope.session_id):
                await stage.call(flow.execute, "Bern", tools=TOOLS)
            assert caught[0].code == "PAUSED_FOR_TOOL_CALLS"
            return
        async with stage.replaying(client, scope.session_id):
            again = await stage.call(flow.execute, "Bern", tools=TOOLS)
        assert again.requires_tool_calls
        assert again.tool_calls == paused.tool_calls


@scenario.requirement("NOU-92", "NOU-96")
async def d7_a_cancelled_run_is_replayed_as_an_error(stage: Stage) -> None:
    async with stage.client() as client:
        flow = client.flow("demo/basics/slow")
        async with stage.scope() as scope:
            job = await stage.call(flow.execute_async, "later")
            answer = await stage.ask("POST", f"/demo/basics/slow/jobs/{job.execution_id}/cancel")
            assert answer.status == 200, answer
            status = await stage.call(job.wait, poll_interval=0.05)
        assert status.status == "failed"
        assert status.error.startswith("CANCELLED")
        [recorded] = (await stage.session(scope.session_id))["executions"]
        assert recorded["status"] == "cancelled"
        if stage.ours:
            async with stage.replaying(client, scope.session_id):
                again = await stage.call(flow.execute_async, "later")
                assert (await stage.call(again.wait)).error.startswith("CANCELLED")


@scenario.requirement("NOU-93", "NOU-60")
async def d8_a_resumed_run_keeps_its_session(stage: Stage) -> None:
    async with stage.flow("weather") as flow, stage.scope() as scope:
        paused = await stage.call(flow.execute, "Bern", tools=TOOLS)
        done = await stage.resumed(paused, weather(paused.tool_calls))
    assert paused.session_id == scope.session_id
    assert done.session_id == (scope.session_id if stage.ours else None)
    assert len((await stage.session(scope.session_id))["executions"]) == 1


@scenario.requirement("NOU-98")
async def d9_a_stream_that_breaks_is_an_error_of_the_package(stage: Stage) -> None:
    async with faulty({0: Fault(cut=700)}, "/step") as proxy, stage.through(proxy) as client:
        seen: list[Any] = []
        events = client.flow("demo/basics/slow").events("hi", run_remaining=True)
        if stage.ours:
            async with stage.raises("APIConnectionError") as caught:
                await stage.all(events, seen)
            assert caught[0].execution_id == seen[0].execution_id
        else:
            try:
                await stage.all(events, seen)
            except stage.http.HTTPError:
                pass
            else:
                raise AssertionError("it came through as an error of the package")
        assert kinds(seen)[0] == "run_started"


@scenario.requirement("NOU-98")
async def d10_no_retries_means_none(stage: Stage) -> None:
    async with faulty({0: Fault(status=503)}, "/trace") as proxy, stage.through(proxy, max_retries=0) as client:
        run = client.flow("demo/basics/echo").run(fresh())
        async with stage.raises("FlowExecutionError" if stage.ours else "FlowNotFoundError"):
            await stage.call(run.trace)
        assert len(proxy.seen) == (1 if stage.ours else 2)


@scenario.requirement("NOU-98")
async def d11_an_error_names_its_run(stage: Stage) -> None:
    async with stage.flow("broken") as flow, stage.raises("FlowExecutionError") as caught:
        await stage.call(flow.execute, "hi")
    told = caught[0].response_body["detail"]["executionId"]
    assert caught[0].execution_id == (told if stage.ours else None)


@scenario.requirement("NOU-98")
async def d12_a_log_hook_that_fails_fails_no_call(stage: Stage) -> None:
    def hook(event: dict[str, Any]) -> None:
        raise RuntimeError("the hook broke")

    async with stage.flow("echo", log_handler=hook) as flow:
        try:
            result = await stage.call(flow.execute, "hi")
        except RuntimeError:
            assert not stage.ours
        else:
            assert stage.ours
            assert result.output == "hi"


@scenario.requirement("NOU-98")
async def d13_streams_can_be_closed(stage: Stage) -> None:
    async with stage.flow("slow") as flow:
        stream = flow.events("hi", run_remaining=True)
        closing = getattr(stream, "close" if stage.blocking else "aclose", None)
        if stage.ours:
            async for _ in stage.each(stream):
                break
            assert closing is not None
            await stage.call(closing)
            assert await stage.all(stream) == []
        elif not stage.blocking:
            assert closing is None


@scenario.requirement("NOU-98", shells=("async",))
async def d14_a_pause_that_nobody_answers_ends_the_stream(stage: Stage) -> None:
    async with stage.flow("weather") as flow:
        if not stage.ours:  # it asks again, and our server refuses that
            async with stage.raises("FlowExecutionError") as caught:
                await stage.all(flow.events("Bern", tools=TOOLS))
            assert caught[0].code == "TOOL_RESULTS_MISMATCH"
            return
        events = await stage.all(flow.events("Bern", tools=TOOLS))
        assert kinds(events)[-1] == "step_paused_for_tool_calls"
        async with stage.raises("NoukaiError") as caught:
            await stage.all(flow.steps("Bern", tools=TOOLS))
        assert caught[0].code == "TOOL_CALLS_REQUIRED"


@scenario.requirement("NOU-98", alone=True)
async def d17_waiting_ends_when_it_should(stage: Stage) -> None:
    async with stage.flow("slow") as flow:
        job = await stage.call(flow.execute_async, "later")
        began = time.monotonic()
        try:
            status = await stage.call(job.wait, timeout=1.0, poll_interval=3.0)
        except stage.sdk.APITimeoutError:
            assert stage.ours
        else:  # it slept through the end of its time, and then the job had ended
            assert status.status == "completed"
        assert (time.monotonic() - began < 2.9) == stage.ours


@scenario.requirement("NOU-98")
async def d19_a_version_is_a_number_and_no_truth(stage: Stage) -> None:
    async with stage.flow("versions") as flow:
        try:
            await stage.call(flow.execute, "x", version=True)
        except ValueError:
            assert stage.release >= (0, 5)
        except stage.sdk.FlowNotFoundError:
            assert stage.release < (0, 5)
        else:
            raise AssertionError("True is no version")


@scenario.requirement("NOU-91", shells=("async",))
async def d20_an_adapter_says_what_keeps_it_from_a_session(stage: Stage) -> None:
    async with stage.client(key="nk_nobody") as stranger:
        try:
            got = await asked(fastapi_app(stage, stranger), "/once", "ab", x_noukai_replay=fresh())
        except stage.sdk.AuthenticationError:
            assert not stage.ours
        else:
            assert stage.ours
            assert (got.status, got.json()["error"]) == (500, "replay_auth")
            assert "nk_" not in got.body.decode()
    if stage.ours:
        closed = faulty({n: Fault(drop=True) for n in range(9)})
        async with closed as proxy, stage.through(proxy, max_retries=0) as client:
            got = await asked(fastapi_app(stage, client), "/once", "ab", x_noukai_replay=fresh())
        assert (got.status, got.json()["error"]) == (502, "replay_unavailable")


@scenario.requirement("NOU-99")
async def d21_names_stay_in_their_place_of_the_path(stage: Stage) -> None:
    async with stage.flow("echo?x=") as flow:
        async with stage.raises("FlowNotFoundError", "FlowExecutionError") as caught:
            await stage.call(flow.execute, "hi")
        assert (caught[0].code == "FLOW_NOT_FOUND") == stage.ours


@scenario.requirement("NOU-98")
async def d22_a_document_that_is_no_session_is_an_error_of_the_package(stage: Stage) -> None:
    async with faulty({0: Fault(status=200)}, "/sessions/") as proxy, stage.through(proxy) as client:
        try:
            async with stage.replaying(client, fresh()):
                raise AssertionError("it was let in")
        except stage.sdk.ReplayInvalidSessionError:
            assert stage.ours
        except ValueError:  # pydantic's
            assert not stage.ours


@scenario.requirement("NOU-85")
async def d23_outputs_that_a_client_echoes_do_not_count(stage: Stage) -> None:
    body = {"message": "hi", "stepIndex": 0, "parameters": {}, "runRemaining": False}
    path = "/demo/basics/two-step/step"
    first = await stage.ask("POST", path, body)
    assert first.status == 200, first
    run = next(frame["executionId"] for frame in first.chunks if frame["eventType"] == "run_started")
    forged = {"executionId": run, "stepIndex": 1, "accumulatedOutputs": {"upper": "FORGED"}, "runRemaining": False}
    second = await stage.ask("POST", path, forged)
    assert second.chunks[-1]["result"] == "HI!"
