"""Jobs: submit, poll, wait, tools, cancel, and finding one again."""

from __future__ import annotations

from typing import Any

import pytest
from tests.noukai.shells import CALLS, FLOW, PAUSED, Shell, answer, body_of, path_of, refusal, scripted

from dragoman.core.errors import ConnectionFailed
from dragoman.noukai import APITimeoutError, FlowNotFoundError

ACCEPTED = {"executionId": "j1", "status": "pending", "flowId": "f1", "blockCount": 1}
UNKNOWN = refusal(404, "JOB_NOT_FOUND")
WAITING = {key: PAUSED[key] for key in ("status", "pausedAtStep", "iterationsUsed", "toolCallMessages", "toolCalls")}
RESULTS = [{"tool_call_id": "call_1", "output": "20 degrees"}]


def status(word: str, **fields: Any) -> Any:
    return answer({"executionId": "j1", "status": word, "result": None, "error": None} | fields)


@pytest.mark.requirement("NOU-25")
async def test_a_job_is_submitted_polled_and_waited_for(shell: Shell) -> None:
    io = scripted(answer(ACCEPTED, 202), status("pending"), status("running"), status("completed", result={"a": 1}))
    job = await shell.call(shell.client(io).flow(FLOW).execute_async, "long", trace=True, attachments=[{"url": "u"}])
    assert (job.execution_id, job.flow_id, job.session_id) == ("j1", "f1", None)
    assert (await shell.call(job.poll)).status == "pending"
    done = await shell.call(job.wait, timeout=600.0, poll_interval=5.0)
    assert (done.status, done.result, done.error, done.done) == ("completed", {"a": 1}, None, True)
    assert io.sleeps == [5.0]
    assert body_of(io, 0)["trace"] is True
    assert body_of(io, 0)["attachments"] == [{"url": "u"}]
    paths = [path_of(request) for request in io.requests]
    assert paths == ["/seq/acme/spelling/grade-3/jobs"] + ["/seq/acme/spelling/grade-3/jobs/j1"] * 3
    assert "x-noukai-features" not in io.requests[0].headers


@pytest.mark.requirement("NOU-25")
async def test_a_failed_job_is_returned_not_raised(shell: Shell) -> None:
    io = scripted(answer(ACCEPTED), status("failed", error="STEP_FAILED: it broke"))
    job = await shell.call(shell.client(io).flow(FLOW).execute_async, "x")
    assert (await shell.call(job.wait)).error == "STEP_FAILED: it broke"


@pytest.mark.requirement("NOU-27")
async def test_waiting_never_goes_past_its_end(shell: Shell) -> None:
    io = scripted(answer(ACCEPTED), *[status("running")] * 4)
    job = await shell.call(shell.client(io).flow(FLOW).execute_async, "x")
    with pytest.raises(APITimeoutError, match="running after 5 s") as caught:
        await shell.call(job.wait, timeout=5.0, poll_interval=2.0)
    assert io.sleeps == [2.0, 2.0, 1.0]
    assert caught.value.execution_id == "j1"


@pytest.mark.requirement("NOU-27")
async def test_an_unknown_job_is_pending_for_five_seconds(shell: Shell) -> None:
    io = scripted(answer(ACCEPTED), UNKNOWN, UNKNOWN, UNKNOWN)
    job = await shell.call(shell.client(io).flow(FLOW).execute_async, "x")
    assert (await shell.call(job.poll)).status == "pending"
    io.advance(5.0)
    assert (await shell.call(job.poll)).status == "pending"
    io.advance(0.1)
    with pytest.raises(FlowNotFoundError):
        await shell.call(job.poll)


@pytest.mark.requirement("NOU-27")
async def test_states_of_newer_servers_pass(shell: Shell) -> None:
    io = scripted(answer(ACCEPTED), status("warming_up", colour="blue"))
    job = await shell.call(shell.client(io).flow(FLOW).execute_async, "x")
    seen = await shell.call(job.poll)
    assert (seen.status, seen.done, seen.colour) == ("warming_up", False, "blue")


@pytest.mark.requirement("NOU-96")
async def test_a_job_is_found_again_by_its_id(shell: Shell) -> None:
    io = scripted(status("running"), UNKNOWN, status("running"), UNKNOWN, UNKNOWN)
    client = shell.client(io)
    job = client.flow(FLOW).job("j1")
    assert (await shell.call(job.poll)).status == "running"
    with pytest.raises(FlowNotFoundError):
        await shell.call(job.poll)
    made = shell.job(client, "acme", "spelling", "grade-3", "j1", "f1", submitted_at=0.0)
    assert (made.execution_id, made.flow_id) == ("j1", "f1")
    assert (await shell.call(made.poll)).status == "running"
    assert (await shell.call(made.poll)).status == "pending"
    io.advance(6.0)
    with pytest.raises(FlowNotFoundError):
        await shell.call(made.poll)


@pytest.mark.requirement("NOU-96")
async def test_a_job_is_cancelled(shell: Shell) -> None:
    io = scripted(status("failed", error="CANCELLED: by its owner"))
    assert (await shell.call(shell.client(io).flow(FLOW).job("j1").cancel)).done
    assert (io.requests[0].method, path_of(io.requests[0])) == ("POST", "/seq/acme/spelling/grade-3/jobs/j1/cancel")


@pytest.mark.requirement("NOU-96")
async def test_a_handler_answers_the_tools_of_a_job(shell: Shell) -> None:
    io = scripted(
        answer(ACCEPTED), status("running"), status(**{"word": WAITING["status"]} | _rest()), status("completed")
    )
    tools = [{"type": "function", "function": {"name": "get_weather"}}]
    asked: list[Any] = []

    def handler(calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
        asked.extend(calls)
        return RESULTS

    job = await shell.call(shell.client(io).flow(FLOW).execute_async, "Bern", tools=tools, tool_handler=handler)
    assert (await shell.call(job.wait)).status == "completed"
    assert asked == CALLS
    assert [request.headers.get("x-noukai-features") for request in io.requests] == ["job-tools"] * 4
    assert path_of(io.requests[-1]).endswith("/jobs/j1/resume")
    resumed = body_of(io)
    assert (resumed["executionId"], resumed["pausedAtStep"], resumed["tools"]) == ("j1", "weather", tools)
    assert resumed["toolCallMessages"][-1] == RESULTS[0]


def _rest() -> dict[str, Any]:
    return {key: value for key, value in WAITING.items() if key != "status"}


@pytest.mark.requirement("NOU-96")
async def test_without_a_handler_the_pause_is_shown_and_resumed_by_hand(shell: Shell) -> None:
    io = scripted(
        answer(ACCEPTED), status(**{"word": WAITING["status"]} | _rest()), status("running"), status("completed")
    )
    job = await shell.call(shell.client(io).flow(FLOW).execute_async, "Bern", tools=[{"type": "function"}])
    with pytest.raises(RuntimeError, match="tool_calls_required"):
        await shell.call(job.resume, tool_results=RESULTS)
    paused = await shell.call(job.wait)
    assert (paused.status, paused.tool_calls, paused.done) == ("tool_calls_required", CALLS, False)
    assert (await shell.call(job.resume, tool_results=RESULTS)).status == "running"
    assert (await shell.call(job.wait)).status == "completed"


@pytest.mark.requirement("NOU-96")
async def test_a_job_that_was_found_again_is_resumed_and_its_resume_repeated(shell: Shell) -> None:
    io = scripted(
        status(**{"word": WAITING["status"]} | _rest()),
        ConnectionFailed("gone"),
        status("running"),
        status("completed"),
    )
    job = shell.client(io).flow(FLOW).job("j1")
    assert (await shell.call(job.wait)).tool_calls == CALLS
    assert (await shell.call(job.resume, tool_results=RESULTS)).status == "running"
    assert (await shell.call(job.poll)).status == "completed"
    assert [request.headers.get("x-noukai-features") for request in io.requests] == ["job-tools"] * 4
