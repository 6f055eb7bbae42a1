"""Clients before and around a call: keys, addresses, closing, timeouts, retries, log events."""

from __future__ import annotations

from typing import Any

from tests.interop.noukai.faulty import Fault, faulty
from tests.interop.noukai.registry import scenario
from tests.interop.noukai.stage import KEY, Stage, fresh, variables


@scenario.requirement("NOU-01", alone=True)
async def a_key_comes_from_the_argument_or_the_environment(stage: Stage) -> None:
    with variables(NOUKAI_API_KEY=None):
        for arguments in ((), (None,), ("sk_demo",)):
            async with stage.raises("AuthenticationError"):
                stage.new(*arguments, env="dev")
    with variables(NOUKAI_API_KEY=KEY):
        client = stage.new(env="dev")
    try:
        assert (await stage.call(client.flow("demo/basics/echo").execute, "from the environment")).output
    finally:
        await stage.closed(client)


@scenario.requirement("NOU-02", alone=True)
async def the_short_word_for_the_server_is_an_argument_or_a_variable(stage: Stage) -> None:
    for word in ("dev", "development"):
        with variables(NOUKAI_ENV=word):
            client = stage.new(KEY)
        try:
            assert (await stage.call(client.flow("demo/basics/echo").execute, word)).output == word
        finally:
            await stage.closed(client)


@scenario.requirement("NOU-03")
async def a_flow_has_three_spellings_and_half_defaults_are_refused(stage: Stage) -> None:
    async with stage.client(org="demo", project="basics") as client:
        spellings = [
            client.flow("echo"),
            client.flow("demo/basics/echo"),
            client.flow(org="demo", project="basics", slug="echo"),
        ]
        for flow in spellings:
            assert (flow.org, flow.project, flow.slug) == ("demo", "basics", "echo")
            assert (await stage.call(flow.execute, "hi")).output == "hi"
        assert (client.default_org, client.default_project) == ("demo", "basics")
    for half in ({"org": "demo"}, {"project": "basics"}):
        assert refused(lambda half=half: stage.new(KEY, env="dev", **half))
    async with stage.client() as client:
        assert refused(lambda: client.flow("echo"))
        assert refused(lambda: client.flow("demo/echo"))
        assert refused(lambda: client.flow("demo/basics/echo", org="demo", project="basics"))


def refused(make: Any) -> bool:
    try:
        make()
    except ValueError:
        return True
    return False


@scenario.requirement("NOU-04")
async def a_client_is_a_context_and_closes_more_than_once(stage: Stage) -> None:
    client = stage.new(KEY, env="dev")
    if stage.blocking:
        with client as entered:
            assert entered is client
            client.flow("demo/basics/echo").execute("hi")
    else:
        async with client as entered:
            assert entered is client
            await client.flow("demo/basics/echo").execute("hi")
    await stage.closed(client)
    await stage.closed(client)


@scenario.requirement("NOU-42")
async def a_timeout_holds_for_a_call_or_for_a_client(stage: Stage) -> None:
    async with stage.flow("slow") as flow, stage.raises("APITimeoutError"):
        await stage.call(flow.execute, "late", timeout=0.2)
    async with stage.flow("slow", timeout=0.2, max_retries=0) as flow:
        async with stage.raises("APITimeoutError"):
            await stage.call(flow.execute, "late")
        assert (await stage.call(flow.execute, "in time", timeout=20.0)).output == "in time"


@scenario.requirement("NOU-43")
async def a_server_that_is_not_there_is_a_connection_error(stage: Stage) -> None:
    async with faulty({n: Fault(drop=True) for n in range(9)}) as proxy:
        async with stage.through(proxy, max_retries=0) as client, stage.raises("APIConnectionError") as caught:
            await stage.call(client.flow("demo/basics/echo").execute, "hi")
        assert caught[0].status_code is None
    async with stage.through(proxy, max_retries=0) as client, stage.raises("APIConnectionError"):
        await stage.call(client.flow("demo/basics/echo").run("r").trace)


@scenario.requirement("NOU-44")
async def a_read_is_asked_again_and_a_failed_run_is_not_run_again(stage: Stage) -> None:
    told: list[dict[str, Any]] = []
    async with stage.flow("broken", log_handler=told.append) as flow, stage.raises("FlowExecutionError"):
        await stage.call(flow.execute, "hi")
    if not stage.ours:  # which knows that an answer of its own key is final
        assert [event["phase"] for event in told] == ["request", "response"]
    async with stage.flow("echo") as flow:
        done = await stage.call(flow.execute, "hi")
    async with faulty({0: Fault(status=503)}, "/trace") as proxy, stage.through(proxy) as client:
        run = client.flow("demo/basics/echo").run(done.execution_id)
        assert (await stage.call(run.trace)).flow_run.id == done.execution_id
        assert len(proxy.seen) == 2


@scenario.requirement("NOU-45")
async def a_log_hook_is_told_of_requests_and_of_bodies_when_asked(stage: Stage) -> None:
    for payloads in (False, True):
        told: list[dict[str, Any]] = []
        async with stage.flow("echo", log_handler=told.append, log_payloads=payloads) as flow:
            await stage.call(flow.execute, "hi")
            await stage.all(flow.events("hi"))
        request, response = told[:2]
        assert request["phase"] == "request"
        assert request["method"] == "POST"
        assert request["path"].endswith("demo/basics/echo/execute")
        assert request["attempt"] == 0
        assert response["phase"] == "response"
        assert response["status_code"] == 200
        assert response["request_id"]
        assert ("request_body" in request) == payloads
        assert ("response_body" in response) == payloads
        if payloads:
            assert request["request_body"]["message"] == "hi"
            assert response["response_body"]["result"] == "hi"
        streamed = [event for event in told if event.get("streaming")]
        assert streamed
        assert all(event["path"].endswith("/step") for event in streamed)


@scenario.requirement("NOU-46")
async def every_answer_names_its_request(stage: Stage) -> None:
    told: list[dict[str, Any]] = []
    async with stage.flow("broken", log_handler=told.append, max_retries=0) as flow:
        async with stage.raises("FlowExecutionError") as caught:
            await stage.call(flow.execute, "hi")
        await stage.all(flow.events("hi"))
        async with stage.raises("FlowNotFoundError"):
            await stage.call(flow.run(fresh()).trace)
    ids = [event["request_id"] for event in told if event["phase"] == "response"]
    assert caught[0].request_id == ids[0]
    assert all(ids)
    assert len(set(ids)) == len(ids)


@scenario.requirement("NOU-48")
async def a_session_id_of_the_call_goes_before_that_of_the_client_and_the_scope(stage: Stage) -> None:
    mine, of_client = fresh(), fresh()
    async with stage.flow("echo", session_id=of_client) as flow, stage.scope() as scope:
        assert (await stage.call(flow.execute, "1", session_id=mine)).session_id == mine
        assert (await stage.call(flow.execute, "2")).session_id == of_client
    async with stage.flow("echo") as flow, stage.scope() as scope:
        assert stage.sdk.current_session_id() == scope.session_id
        assert (await stage.call(flow.execute, "3")).session_id == scope.session_id
    assert stage.sdk.current_session_id() is None
    for session_id in (mine, of_client, scope.session_id):
        assert len((await stage.session(session_id))["executions"]) == 1


@scenario.requirement("NOU-58", alone=True)
async def replay_has_a_gate_and_capture_can_be_off(stage: Stage) -> None:
    async with stage.client() as client:
        for word in ("0", "no", "", None):
            with variables(NOUKAI_REPLAY_ENABLED=word):
                opened = stage.scope(replay_session_id=fresh(), client=client)
                state = await opened.__aenter__()
            assert state.mode.value == "capture"
            await opened.__aexit__(None, None, None)
        async with stage.scope(capture=False) as state:
            assert state.mode.value == "normal"
            assert stage.sdk.current_session_id() is None
            assert (await stage.call(client.flow("demo/basics/echo").execute, "hi")).session_id is None


@scenario.requirement("NOU-68")
async def a_log_hook_is_told_of_scopes(stage: Stage) -> None:
    told: list[dict[str, Any]] = []
    async with stage.client(log_handler=told.append) as client:
        async with stage.scope(client=client) as state:
            await stage.call(client.flow("demo/basics/echo").execute, "hi")
        async with stage.replaying(client, state.session_id):
            await stage.call(client.flow("demo/basics/echo").execute, "hi")
    scopes = [(each["phase"], each["mode"], each["session_id"]) for each in told if each["phase"].startswith("scope")]
    assert scopes == [
        ("scope_open", "capture", state.session_id),
        ("scope_close", "capture", state.session_id),
        ("scope_open", "replay", state.session_id),
        ("scope_close", "replay", state.session_id),
    ]
