"""What upstream's limits kept from users and ours gives, section 7 of the specification."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from tests.interop.noukai.faulty import Fault, Faulty, faulty
from tests.interop.noukai.registry import scenario
from tests.interop.noukai.stage import KEY, TOOLS, Stage, before, code_of, fresh, kinds, variables, weather


@scenario.requirement("NOU-93", since="99")
async def a_result_is_resumed_by_the_same_word_in_both_shells(stage: Stage) -> None:
    async with stage.flow("weather") as flow:
        paused = await stage.call(flow.execute, "Bern", tools=TOOLS)
        assert isinstance(paused, stage.sdk.PausedResult)
        done = await stage.call(paused.resume, tool_results=weather(paused.tool_calls))
        assert done.output == "It is 20 in Bern"
        if stage.blocking:
            paused = await stage.call(flow.execute, "Ulm", tools=TOOLS)
            assert paused.resume_sync(tool_results=weather(paused.tool_calls)).output == "It is 20 in Ulm"


@scenario.requirement("NOU-92", since="99")
async def calls_at_the_same_time_keep_their_places_in_a_replay(stage: Stage) -> None:
    texts = [f"text {n}" for n in range(6)]
    async with stage.client() as client:
        flow = client.flow("demo/basics/echo")

        async def gathered() -> list[Any]:
            if not stage.blocking:
                calls = [flow.execute(text) for text in texts]
                order = random.sample(range(len(calls)), len(calls))
                done = dict(zip(order, await asyncio.gather(*(calls[n] for n in order)), strict=True))
                return [done[n].output for n in range(len(calls))]
            return [(await stage.call(flow.execute, text)).output for text in texts]

        async with stage.scope() as scope:
            assert await gathered() == texts
        found = (await stage.session(scope.session_id))["executions"]
        assert [each["callIndex"] for each in found] == list(range(6))
        assert all(each["inputHash"].startswith("sha256:") for each in found)
        for _ in range(2):
            async with stage.replaying(client, scope.session_id):
                assert await gathered() == texts


@scenario.requirement("NOU-94", since="99")
async def a_call_whose_answer_is_lost_is_made_again_and_runs_once(stage: Stage) -> None:
    for fault in (Fault(lose=True), Fault(drop=True), Fault(status=503)):
        for trigger in ("execute", "jobs"):
            told: list[dict[str, Any]] = []
            async with faulty({0: fault}, f"/{trigger}") as proxy, stage.scope() as scope:
                await run_through(stage, proxy, trigger, told.append)
            assert len([each for each in proxy.seen if each.startswith("POST")]) == 2
            assert [each["attempt"] for each in told if each["phase"] == "retry"] == [1]
            assert len((await stage.session(scope.session_id))["executions"]) == 1, (fault, trigger)


async def run_through(stage: Stage, proxy: Faulty, trigger: str, log: Any) -> None:
    async with stage.through(proxy, log_handler=log) as client:
        flow = client.flow("demo/basics/two-step")
        if trigger == "execute":
            assert (await stage.call(flow.execute, "hi")).output == "HI!"
        else:
            job = await stage.call(flow.execute_async, "hi")
            assert (await stage.call(job.wait, poll_interval=0.05)).result == "HI!"


@scenario.requirement("NOU-94", since="99")
async def a_failed_run_is_not_run_again_by_its_key(stage: Stage) -> None:
    async with stage.flow("broken") as flow, stage.scope() as scope, stage.raises("FlowExecutionError") as caught:
        await stage.call(flow.execute, "hi")
    assert caught[0].code == "STEP_FAILED"
    assert len((await stage.session(scope.session_id))["executions"]) == 1


@scenario.requirement("NOU-94", since="99")
async def a_key_that_comes_with_another_body_is_a_conflict(stage: Stage) -> None:
    key, path = fresh(), "/demo/basics/echo/execute"
    first = await stage.ask("POST", path, {"message": "hi"}, Idempotency_Key=key)
    assert (await stage.ask("POST", path, {"message": "hi"}, Idempotency_Key=key)).json == first.json
    other = await stage.ask("POST", path, {"message": "ho"}, Idempotency_Key=key)
    assert code_of(other) == (409, "IDEMPOTENCY_CONFLICT")
    jobs = "/demo/basics/echo/jobs"
    job = await stage.ask("POST", jobs, {"message": "hi"}, Idempotency_Key=fresh(key))
    assert job.status == 202


@scenario.requirement("NOU-94", alone=True)
async def a_run_whose_client_leaves_goes_on_for_a_repeat_alone(stage: Stage) -> None:
    """Only ours sends a key, by which its run is asked for again."""
    async with stage.client(max_retries=0) as client:
        await stage.call(client.flow("demo/basics/echo").execute, "the connection is open")
        async with stage.scope() as scope, stage.raises("APITimeoutError"):
            await stage.call(client.flow("demo/basics/slow").execute, "x", timeout=0.7)

    async def ended() -> bool:
        found = (await stage.session(scope.session_id))["executions"]
        return found[0]["status"] not in ("pending", "running")

    await before(15.0, ended)
    [recorded] = (await stage.session(scope.session_id))["executions"]
    assert recorded["status"] == ("completed" if stage.ours else "cancelled")


@scenario.requirement("NOU-95", since="99")
async def drafts_step_and_production_is_a_word(stage: Stage) -> None:
    async with stage.flow("versions") as flow:
        for version, output in (
            ("draft", "draft:x"),
            (0, "draft:x"),
            ("production", "v2:x"),
            (None, "v2:x"),
            (1, "v1:x"),
        ):
            assert (await stage.call(flow.execute, "x", version=version)).output == output
            assert [each.output for each in await stage.all(flow.steps("x", version=version))] == [output]
            assert (await stage.all(flow.events("x", version=version)))[-1].result == output
            job = await stage.call(flow.execute_async, "x", version=version)
            assert (await stage.call(job.wait, poll_interval=0.05)).result == output


@scenario.requirement("NOU-96", since="99")
async def a_job_may_ask_for_tools(stage: Stage) -> None:
    async with stage.flow("weather") as flow:
        job = await stage.call(flow.execute_async, "Bern", tools=TOOLS, tool_handler=weather)
        assert (await stage.call(job.wait, timeout=20.0, poll_interval=0.05)).result == "It is 20 in Bern"
        job = await stage.call(flow.execute_async, "Ulm", tools=TOOLS)
        status = await stage.call(job.wait, timeout=20.0, poll_interval=0.05)
        assert status.status == "tool_calls_required"
        assert status.tool_calls[0]["function"]["name"] == "get_weather"
        unasked = await stage.ask("GET", f"/demo/basics/weather/jobs/{job.execution_id}")
        assert unasked.json["status"] == "running"
        assert "toolCalls" not in unasked.json
        await stage.call(job.resume, tool_results=weather(status.tool_calls))
        assert (await stage.call(job.wait, timeout=20.0, poll_interval=0.05)).result == "It is 20 in Ulm"
        plain = await stage.call(flow.execute_async, "Bern")
        failed = await stage.call(plain.wait, timeout=20.0, poll_interval=0.05)
        assert failed.status == "failed"
        assert failed.error.startswith("TOOLS_REQUIRE_SYNC_EXECUTE")


@scenario.requirement("NOU-96", since="99")
async def a_job_is_found_again_and_ended(stage: Stage) -> None:
    async with stage.flow("slow") as flow:
        async with stage.scope() as scope:
            files = [{"url": "https://files.example/a.png", "mime_type": "image/png"}]
            job = await stage.call(flow.execute_async, "later", attachments=files)
        assert job.session_id == scope.session_id
        again = flow.job(job.execution_id)
        assert (await stage.call(again.poll)).status in ("pending", "running")
        await stage.call(again.cancel)
        status = await stage.call(again.wait, timeout=20.0, poll_interval=0.05)
        assert status.status in ("failed", "cancelled")
        assert status.error.startswith("CANCELLED")
        await stage.call(again.cancel)


@scenario.requirement("NOU-97", since="99")
async def a_live_trace_that_breaks_goes_on_where_it_was(stage: Stage) -> None:
    broken = faulty({0: Fault(cut=900), 1: Fault(drop=True)}, "/trace/stream")
    async with broken as proxy, stage.through(proxy, max_retries=2) as client:
        flow = client.flow("demo/basics/slow")
        job = await stage.call(flow.execute_async, "x")
        events = await stage.all(flow.run(job.execution_id).live_trace())
    step = ["step_started", "step_input", "step_output", "step_completed"]
    assert kinds(events) == ["run_started", *step * 5, "flow_completed"]
    assert len(proxy.seen) == 3
    assert any("last-event-id" in head.lower() for head in proxy.heads)


@scenario.requirement("NOU-97", since="99")
async def a_segment_whose_answer_is_lost_is_told_again(stage: Stage) -> None:
    for segment in (0, 1):
        for fault in (Fault(lose=True), Fault(cut=250), Fault(drop=True)):
            async with (
                faulty({segment: fault}, "/step") as proxy,
                stage.through(proxy) as client,
                stage.scope() as scope,
            ):
                events = await stage.all(client.flow("demo/basics/two-step").events("hi"))
            step = ["step_started", "step_input", "step_output", "step_completed"]
            assert kinds(events) == ["run_started", *step, "step_paused", *step, "flow_completed"], kinds(events)
            assert events[-1].result == "HI!"
            assert len(proxy.seen) == 3
            assert len((await stage.session(scope.session_id))["executions"]) == 1


@scenario.requirement("NOU-97", since="99")
async def results_whose_answer_is_lost_are_told_again(stage: Stage) -> None:
    for path in ("/execute", "/step"):
        async with faulty({1: Fault(lose=True)}, path) as proxy, stage.through(proxy) as client:
            flow = client.flow("demo/basics/weather")
            if path == "/step":
                events = await stage.all(flow.events("Bern", tools=TOOLS, tool_handler=weather))
                assert events[-1].result == "It is 20 in Bern"
            else:
                done = await stage.call(flow.execute, "Bern", tools=TOOLS, tool_handler=weather)
                assert done.output == "It is 20 in Bern"
            assert len(proxy.seen) == 3


@scenario.requirement("NOU-98", since="99")
async def a_stream_is_a_context(stage: Stage) -> None:
    async with stage.flow("two-step") as flow:
        stream = flow.events("hi")
        if stage.blocking:
            with stream as events:
                assert next(iter(events)).type == "run_started"
        else:
            async with stream as events:
                assert (await anext(events)).type == "run_started"
        assert await stage.all(stream) == []


@scenario.requirement("NOU-98", since="99")
async def a_stream_that_falls_silent_is_a_timeout(stage: Stage) -> None:
    async with stage.flow("slow", timeout=0.1) as flow, stage.raises("APITimeoutError"):
        await stage.all(flow.events("hi", run_remaining=True))


@scenario.requirement("NOU-99", since="99", alone=True)
async def any_server_can_be_named(stage: Stage) -> None:
    url = f"{stage.url}/api/v1"
    with variables(NOUKAI_BASE_URL=url):
        by_variable = stage.new(KEY)
    for client in (by_variable, stage.new(KEY, base_url=url)):
        assert (await stage.call(client.flow("demo/basics/echo").execute, "hi")).output == "hi"
        await stage.closed(client)


@scenario.requirement("NOU-99", since="99")
async def a_session_may_have_any_name(stage: Stage) -> None:
    name = fresh("order:2026~11.21_")
    async with stage.client() as client:
        flow = client.flow("demo/basics/echo")
        assert (await stage.call(flow.execute, "hi", session_id=name)).session_id == name
        async with stage.replaying(client, name):
            assert (await stage.call(flow.execute, "edited")).output == "hi"
        for wrong in ("a b", "..", "x" * 129):
            try:
                await stage.call(flow.execute, "hi", session_id=wrong)
            except ValueError:
                continue
            raise AssertionError(wrong)


@scenario.requirement("NOU-50", since="99")
async def a_session_that_is_known_is_not_sent_again(stage: Stage) -> None:
    told: list[dict[str, Any]] = []
    async with stage.client(log_handler=told.append) as client:
        flow = client.flow("demo/basics/echo")
        async with stage.scope() as scope:
            await stage.call(flow.execute, "hi")
        told.clear()
        for _ in range(2):
            async with stage.replaying(client, scope.session_id):
                assert (await stage.call(flow.execute, "hi")).output == "hi"
        assert [each["status_code"] for each in told if each["phase"] == "response"] == [200, 304]
        await stage.call(flow.execute, "more", session_id=scope.session_id)
        async with stage.raises("ReplayLeftoverError"), stage.replaying(client, scope.session_id):
            await stage.call(flow.execute, "hi")


@scenario.requirement("NOU-58", since="99", alone=True)
async def a_shut_gate_can_be_an_error(stage: Stage) -> None:
    async with stage.client() as client:
        with variables(NOUKAI_REPLAY_ENABLED=None):
            scope = stage.scope(replay_session_id=fresh(), client=client, strict=True)
            async with stage.raises("ReplayDisabledError"), scope:
                raise AssertionError("it was let in")


@scenario.requirement("NOU-70", since="99")
async def messages_go_with_every_kind_of_call(stage: Stage) -> None:
    turns = [{"role": "user", "content": "first"}, {"role": "user", "content": "last"}]
    async with stage.flow("two-step") as flow:
        assert [each.output for each in await stage.all(flow.steps(messages=turns))] == ["LAST", "LAST!"]
        assert (await stage.all(flow.events(messages=turns)))[-1].result == "LAST!"
        job = await stage.call(flow.execute_async, messages=turns)
        assert (await stage.call(job.wait, poll_interval=0.05)).result == "LAST!"


@scenario.requirement("NOU-40", since="99")
async def a_limit_can_be_waited_for(stage: Stage) -> None:
    """The key's window is shared with whoever else plays this, hence the many tries."""
    told: list[dict[str, Any]] = []
    options = {"retry_on_rate_limit": True, "max_retries": 20, "log_handler": told.append}
    async with stage.flow(key="nk_limited") as hasty, stage.flow(key="nk_limited", **options) as patient:
        while not (waits := [each["delay"] for each in told if each["phase"] == "retry"]):
            async with stage.raises("RateLimitError"):
                while True:
                    await stage.call(hasty.execute, "hi")
            assert (await stage.call(patient.execute, "hi")).output == "hi"
    assert all(1 <= delay <= 10 for delay in waits)
