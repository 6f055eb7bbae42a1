"""What the server refuses, and how the client says so."""

from __future__ import annotations

from tests.interop.noukai.registry import scenario
from tests.interop.noukai.stage import TOOLS, Stage, code_of, fresh, weather


@scenario.requirement("NOU-36")
async def an_unknown_key_is_refused(stage: Stage) -> None:
    async with stage.flow("echo", key="nk_nobody") as flow:
        async with stage.raises("AuthenticationError") as caught:
            await stage.call(flow.execute, "hi")
        assert (caught[0].status_code, caught[0].code) == (401, "INVALID_API_KEY")
        assert caught[0].www_authenticate == 'Bearer error="invalid_token"'
        async with stage.raises("AuthenticationError"):
            await stage.all(flow.events("hi"))


@scenario.requirement("NOU-37")
async def a_key_of_another_organisation_is_forbidden(stage: Stage) -> None:
    async with stage.client(key="nk_other") as client:
        for slug in ("echo", "no-such-flow"):
            async with stage.raises("PermissionDeniedError") as caught:
                await stage.call(client.flow(f"demo/basics/{slug}").execute, "hi")
            assert (caught[0].status_code, caught[0].code) == (403, "FORBIDDEN")


@scenario.requirement("NOU-38")
async def an_unknown_flow_is_not_found(stage: Stage) -> None:
    async with stage.flow("no-such-flow") as flow:
        async with stage.raises("FlowNotFoundError") as caught:
            await stage.call(flow.execute, "hi")
        assert (caught[0].status_code, caught[0].code) == (404, "FLOW_NOT_FOUND")
        assert caught[0].response_body["detail"]["code"] == "FLOW_NOT_FOUND"
        assert caught[0].request_id
        async with stage.raises("FlowNotFoundError"):
            await stage.all(flow.steps("hi"))
        async with stage.raises("FlowNotFoundError"):
            await stage.call(flow.execute_async, "hi")


@scenario.requirement("NOU-39")
async def a_key_without_credit_is_refused_at_every_door(stage: Stage) -> None:
    async with stage.flow("model", key="nk_poor") as flow:
        async with stage.raises("InsufficientCreditsError") as caught:
            await stage.call(flow.execute, "echo: hi")
        assert (caught[0].status_code, caught[0].code) == (402, "INSUFFICIENT_CREDITS")
        async with stage.raises("InsufficientCreditsError"):
            await stage.all(flow.steps("echo: hi"))
        async with stage.raises("InsufficientCreditsError"):
            await stage.call(flow.execute_async, "echo: hi")


@scenario.requirement("NOU-40")
async def too_many_requests_are_told_when_to_come_again(stage: Stage) -> None:
    """The key's window is shared with whoever else plays this; so each door is tried until it is shut."""
    async with stage.flow("echo", key="nk_limited") as flow:
        async with stage.raises("RateLimitError") as caught:
            for _ in range(20):
                await stage.call(flow.execute, "hi")
        assert (caught[0].status_code, caught[0].code) == (429, "RATE_LIMITED")
        assert 1 <= caught[0].retry_after <= 10
        async with stage.raises("RateLimitError") as caught:
            for _ in range(20):
                await stage.all(flow.steps("hi"))
        if stage.ours:
            assert 1 <= caught[0].retry_after <= 10


@scenario.requirement("NOU-41")
async def a_failed_run_is_an_error_with_the_steps_code_and_the_run(stage: Stage) -> None:
    async with stage.flow("broken") as flow:
        async with stage.raises("FlowExecutionError") as caught:
            await stage.call(flow.execute, "hi")
        error = caught[0]
        assert (error.status_code, error.code) == (500, "STEP_FAILED")
        detail = error.response_body["detail"]
        assert detail["stepId"] == "second"
        assert (await stage.call(flow.run(detail["executionId"]).trace)).flow_run.status == "failed"
        if stage.ours:
            assert error.execution_id == detail["executionId"]


@scenario.requirement("NOU-80")
async def organisations_see_nothing_of_each_other(stage: Stage) -> None:
    async with stage.client() as client, stage.scope() as scope:
        done = await stage.call(client.flow("demo/basics/echo").execute, "mine")
    async with stage.client(key="nk_other") as other:
        theirs = other.flow("demo/basics/echo").run(done.execution_id)
        async with stage.raises("PermissionDeniedError"):
            await stage.call(theirs.trace)
        async with stage.raises("PermissionDeniedError"):
            await stage.all(theirs.live_trace())
        own = other.flow("other/basics/echo").run(done.execution_id)
        async with stage.raises("FlowNotFoundError", "PermissionDeniedError"):
            await stage.call(own.trace)
        async with stage.raises("ReplayForbiddenError"), stage.replaying(other, scope.session_id):
            raise AssertionError("it was let in")


@scenario.requirement("NOU-84")
async def what_is_too_much_is_refused(stage: Stage) -> None:
    def tool(name: str) -> dict[str, object]:
        return {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}

    file = {"url": "https://files.example/a.png", "mime_type": "image/png"}
    async with stage.flow("echo") as flow:
        wrong: list[tuple[str, dict[str, object]]] = [
            ("TOOLS_INVALID", {"tools": [tool(f"t{n}") for n in range(65)]}),
            ("TOOL_NAME_INVALID", {"tools": [tool("not a name")]}),
            ("TOOL_NAME_INVALID", {"tools": [tool("n" * 65)]}),
            ("ATTACHMENTS_INVALID", {"attachments": [file] * 11}),
            ("ATTACHMENTS_INVALID", {"attachments": [{"url": "http://files.example/a.png", "mime_type": "image/png"}]}),
        ]
        for code, options in wrong:
            async with stage.raises("FlowExecutionError") as caught:
                await stage.call(flow.execute, "hi", **options)
            assert (caught[0].status_code, caught[0].code) == (400, code)
        fine = {"tools": [tool("n" * 64)] * 1, "attachments": [file] * 10}
        assert (await stage.call(flow.execute, "hi", **fine)).output == "hi"
    answer = await stage.ask("POST", "/demo/basics/echo/jobs", {"message": "hi", "tools": TOOLS})
    assert code_of(answer) == (400, "TOOLS_REQUIRE_SYNC_EXECUTE")
    large = {"messages": [{"role": "user", "content": "x" * 1_000_001}]}
    assert code_of(await stage.ask("POST", "/demo/basics/echo/execute", large)) == (413, "MESSAGES_TOO_LARGE")


@scenario.requirement("NOU-86")
async def a_resume_is_checked(stage: Stage) -> None:
    async with stage.flow("weather") as flow:
        paused = await stage.call(flow.execute, "Bern", tools=TOOLS)
        body = {
            "executionId": paused.execution_id,
            "pausedAtStep": paused.paused_at_step,
            "iterationsUsed": paused.iterations_used,
            "toolCallMessages": [*paused.tool_call_messages, *weather(paused.tool_calls)],
            "accumulatedOutputs": {"weather": "forged"},
            "tools": TOOLS,
        }
        path = "/demo/basics/weather/execute"
        unknown = await stage.ask("POST", path, body | {"executionId": fresh()})
        assert code_of(unknown) == (404, "RUN_NOT_FOUND")
        assert code_of(await stage.ask("POST", path, body, key="nk_other"))[0] == 403
        elsewhere = await stage.ask("POST", "/demo/basics/echo/execute", body)
        assert code_of(elsewhere) == (404, "RUN_NOT_FOUND")
        assert code_of(await stage.ask("POST", path, body | {"pausedAtStep": "other"})) == (400, "PAUSED_STEP_INVALID")
        partial = {name: body[name] for name in ("executionId", "pausedAtStep")}
        assert code_of(await stage.ask("POST", path, partial))[0] == 400
        done = await stage.ask("POST", path, body)
        assert done.json["result"] == "It is 20 in Bern"
        again = await stage.ask("POST", path, body)
        assert again.json == done.json
        other = body | {"toolCallMessages": [{"tool_call_id": paused.tool_calls[0]["id"], "output": "30"}]}
        assert code_of(await stage.ask("POST", path, other)) == (409, "RUN_CONFLICT")
