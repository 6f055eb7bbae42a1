"""Errors, repeats and the log hook."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from tests.noukai.shells import COMPLETED, FLOW, SECOND, Shell, answer, path_of, refusal, scripted, streamed

from dragoman.core.errors import ConnectionFailed, ConnectionLost, DragomanError, ProtocolError, TimedOut
from dragoman.noukai import (
    APIConnectionError,
    APITimeoutError,
    AuthenticationError,
    FlowExecutionError,
    FlowNotFoundError,
    InsufficientCreditsError,
    Noukai,
    NoukaiError,
    PermissionDeniedError,
    RateLimitError,
    exceptions,
)

DOWN = refusal(503, "OVERLOADED")


@pytest.mark.requirement("NOU-37", "NOU-38", "NOU-39", "NOU-41")
@pytest.mark.parametrize(
    ("status", "code", "cls"),
    [
        (401, "INVALID_API_KEY", AuthenticationError),
        (402, "CREDITS_EXHAUSTED", InsufficientCreditsError),
        (403, "FORBIDDEN", PermissionDeniedError),
        (404, "FLOW_NOT_FOUND", FlowNotFoundError),
        (429, "RATE_LIMITED", RateLimitError),
        *[(status, "X", FlowExecutionError) for status in (400, 409, 410, 413, 422, 500, 502, 504)],
    ],
)
async def test_each_status_has_its_class(shell: Shell, status: int, code: str, cls: type[NoukaiError]) -> None:
    detail = {"code": code, "message": "why", "executionId": "r7"}
    client = shell.client(scripted(answer({"detail": detail}, status, x_request_id="q1")), retry_posts=False)
    with pytest.raises(cls) as caught:
        await shell.call(client.flow(FLOW).execute, "x")
    error = caught.value
    assert type(error) is cls
    assert (str(error), error.message, error.code, error.status_code) == ("why", "why", code, status)
    assert (error.execution_id, error.request_id, error.response_body) == ("r7", "q1", {"detail": detail})
    assert (error.run_id, error.status) == ("r7", status)


@pytest.mark.requirement("NOU-36")
async def test_a_refused_key_says_what_the_server_said(shell: Shell) -> None:
    said = 'Bearer error="invalid_token"'
    client = shell.client(scripted(refusal(401, "INVALID_API_KEY", www_authenticate=said)))
    with pytest.raises(AuthenticationError) as caught:
        await shell.call(client.flow(FLOW).execute, "x")
    assert caught.value.www_authenticate == said


@pytest.mark.requirement("NOU-38")
@pytest.mark.parametrize(
    ("body", "message"),
    [({"detail": "gone"}, "gone"), ({}, "HTTP status 404"), (b"<html>", "HTTP status 404"), (b"", "HTTP status 404")],
)
async def test_other_bodies_give_a_message_too(shell: Shell, body: Any, message: str) -> None:
    with pytest.raises(FlowNotFoundError, match=message) as caught:
        await shell.call(shell.client(scripted(answer(body, 404))).flow(FLOW).execute, "x")
    assert caught.value.code is None


@pytest.mark.requirement("NOU-40")
@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after": "7"}, 7.0),
        ({}, None),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "Wed, 21 Oct 2026 07:28:05 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 5.0),
    ],
)
async def test_a_rate_limit_says_when_to_come_back(
    shell: Shell, headers: dict[str, str], seconds: float | None
) -> None:
    io = scripted(refusal(429, "RATE_LIMITED", **headers))
    with pytest.raises(RateLimitError) as caught:
        await shell.call(shell.client(io).flow(FLOW).execute, "x")
    assert caught.value.retry_after == seconds
    assert io.sleeps == []


@pytest.mark.requirement("NOU-40", "NOU-94")
async def test_a_rate_limit_is_waited_for_if_wanted_up_to_a_minute(shell: Shell) -> None:
    io = scripted(refusal(429, "RATE_LIMITED", retry_after="7"), answer(COMPLETED))
    await shell.call(shell.client(io, retry_on_rate_limit=True).flow(FLOW).execute, "x")
    assert io.sleeps == [7.0]
    io = scripted(*[refusal(429, "RATE_LIMITED", retry_after="2")] * 4, answer(COMPLETED))
    await shell.call(shell.client(io, retry_on_rate_limit=True, max_retries=4).flow(FLOW).execute, "x")
    assert io.sleeps == [2.0] * 4
    io = scripted(refusal(429, "RATE_LIMITED", retry_after="61"))
    with pytest.raises(RateLimitError):
        await shell.call(shell.client(io, retry_on_rate_limit=True).flow(FLOW).execute, "x")
    io = scripted(refusal(429, "RATE_LIMITED", retry_after="2"), streamed(SECOND[-1]))
    assert await shell.events(shell.client(io, retry_on_rate_limit=True).flow(FLOW).events("x"))


@pytest.mark.requirement("NOU-43")
@pytest.mark.parametrize("fault", [ConnectionFailed("refused"), ConnectionLost("reset"), ProtocolError("no HTTP")])
async def test_a_fault_of_the_network_is_a_connection_error(shell: Shell, fault: Exception) -> None:
    client = shell.client(scripted(fault), max_retries=0)
    with pytest.raises(APIConnectionError) as caught:
        await shell.call(client.flow(FLOW).execute, "x")
    assert caught.value.__cause__ is fault
    assert caught.value.status_code is None
    assert not isinstance(caught.value, APITimeoutError)


@pytest.mark.requirement("NOU-42")
async def test_a_timeout_is_a_connection_error_of_its_own_and_never_repeated(shell: Shell) -> None:
    io = scripted(TimedOut("slow"))
    with pytest.raises(APITimeoutError) as caught:
        await shell.call(shell.client(io, timeout=2.0).flow(FLOW).run("r1").trace)
    assert isinstance(caught.value, APIConnectionError)
    assert io.requests[0].timeouts.read == 2.0


@pytest.mark.requirement("NOU-44")
@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
async def test_reads_are_repeated_with_growing_pauses(shell: Shell, status: int) -> None:
    io = scripted(*[refusal(status, "X")] * 3, answer({"executionId": "j", "status": "running"}))
    assert (await shell.call(shell.client(io, max_retries=3).flow(FLOW).job("j").poll)).status == "running"
    for slept, base in zip(io.sleeps, (1.0, 4.0, 16.0), strict=True):
        assert base * 0.75 <= slept <= base * 1.25


@pytest.mark.requirement("NOU-44")
@pytest.mark.parametrize(("retries", "requests"), [(0, 1), (1, 2), (None, 2)])
async def test_retries_end(shell: Shell, retries: int | None, requests: int) -> None:
    io = scripted(*[DOWN] * 3)
    with pytest.raises(FlowExecutionError, match="no") as caught:
        await shell.call(shell.client(io, max_retries=retries).flow(FLOW).job("j").poll)
    assert (caught.value.status_code, len(io.requests)) == (503, requests)


@pytest.mark.requirement("NOU-44")
@pytest.mark.parametrize("status", [400, 401, 404, 409, 429, 501])
async def test_other_statuses_are_never_repeated(shell: Shell, status: int) -> None:
    io = scripted(refusal(status, "X"))
    with pytest.raises(NoukaiError):
        await shell.call(shell.client(io).flow(FLOW).job("j").poll)


@pytest.mark.requirement("NOU-94")
@pytest.mark.parametrize("fault", [DOWN, ConnectionLost("reset")])
@pytest.mark.parametrize("method", ["execute", "execute_async"])
async def test_fresh_posts_are_repeated_under_one_key(shell: Shell, method: str, fault: Any) -> None:
    io = scripted(fault, answer({**COMPLETED, "result": 1}, 202), answer(COMPLETED))
    flow = shell.client(io).flow(FLOW)
    await shell.call(getattr(flow, method), "x")
    await shell.call(flow.execute, "x")
    keys = [request.headers["idempotency-key"] for request in io.requests]
    assert keys[0] == keys[1] != keys[2]


@pytest.mark.requirement("NOU-44", "NOU-94")
async def test_they_are_not_where_a_repeat_might_run_twice(shell: Shell) -> None:
    for fault in (DOWN, ConnectionLost("reset")):
        io = scripted(fault)
        with pytest.raises(NoukaiError):
            await shell.call(shell.client(io, retry_posts=False).flow(FLOW).execute, "x")
    io = scripted(ConnectionFailed("refused"), answer(COMPLETED))  # nothing had reached the server
    assert await shell.call(shell.client(io, retry_posts=False).flow(FLOW).execute, "x")


@pytest.mark.requirement("NOU-94")
def test_the_hosted_service_is_not_trusted_with_repeats() -> None:
    assert Noukai("nk_x")._transport.options.repeats is False
    assert Noukai("nk_x", retry_posts=True)._transport.options.repeats is True
    assert Noukai("nk_x", env="dev")._transport.options.repeats is True


@pytest.mark.requirement("NOU-41", "NOU-94")
async def test_a_run_that_has_failed_is_not_run_again(shell: Shell) -> None:
    io = scripted(answer({"detail": {"code": "STEP_FAILED", "message": "m", "executionId": "r1"}}, 500))
    with pytest.raises(FlowExecutionError) as caught:
        await shell.call(shell.client(io).flow(FLOW).execute, "x")
    assert (caught.value.code, caught.value.execution_id) == ("STEP_FAILED", "r1")


@pytest.mark.requirement("NOU-45", "NOU-46")
async def test_the_log_hook_hears_of_requests_answers_and_retries(shell: Shell) -> None:
    told: list[dict[str, Any]] = []
    io = scripted(DOWN, answer({"executionId": "j", "status": "running"}, x_request_id="q2"))
    job = shell.client(io, log_handler=told.append).flow(FLOW).job("j")
    await shell.call(job.poll)
    path = path_of(io.requests[0])
    same = {"method": "GET", "path": path}
    assert told == [
        {"phase": "request", **same, "attempt": 0},
        {"phase": "response", **same, "attempt": 0, "status_code": 503, "request_id": None},
        {"phase": "retry", **same, "attempt": 1, "status_code": 503, "delay": io.sleeps[0]},
        {"phase": "request", **same, "attempt": 1},
        {"phase": "response", **same, "attempt": 1, "status_code": 200, "request_id": "q2"},
    ]


@pytest.mark.requirement("NOU-45")
async def test_bodies_are_told_only_if_wanted(shell: Shell) -> None:
    for wanted in (False, True):
        told: list[dict[str, Any]] = []
        io = scripted(answer(COMPLETED), streamed(SECOND[-1]))
        flow = shell.client(io, log_handler=told.append, log_payloads=wanted).flow(FLOW)
        await shell.call(flow.execute, "secret")
        await shell.events(flow.events("secret"))
        assert ("secret" in str(told)) is wanted
        assert "nk_" not in str(told)
        assert [("request_body" in event, "response_body" in event) for event in told[:2]] == (
            [(True, False), (False, True)] if wanted else [(False, False)] * 2
        )
        assert [event.get("streaming") for event in told] == [None, None, True, True]


@pytest.mark.requirement("NOU-45", "NOU-98")
async def test_a_log_hook_that_fails_does_not_fail_the_call(shell: Shell, caplog: pytest.LogCaptureFixture) -> None:
    def handler(event: dict[str, Any]) -> None:
        raise ValueError("mine")

    assert await shell.call(shell.client(scripted(answer(COMPLETED)), log_handler=handler).flow(FLOW).execute, "x")
    assert "log_handler" in caplog.text


@pytest.mark.requirement("NOU-38")
def test_the_drawn_tree_is_the_tree() -> None:
    """Each class of the module is drawn with its second parent, below its first."""
    text = inspect.getdoc(exceptions) or ""
    for name, cls in vars(exceptions).items():
        if inspect.isclass(cls) and cls.__module__ == exceptions.__name__:
            [line] = [line for line in text.splitlines() if line.strip("│├└─ ").split()[:1] == [name]]
            drawn = line.strip("│├└─ ").split()[1:]
            assert issubclass(cls, NoukaiError)
            assert issubclass(cls, DragomanError)
            bases = [base.__name__ for base in cls.__bases__]
            assert bases == ["DragomanError"] if cls is NoukaiError else bases[1:] == drawn
