"""Deciding on tool calls: which ones wait, and the calls that answer."""

from __future__ import annotations

from typing import Any

import pytest
from tests.kai.shells import BASE, FINISH, Shell, answer, body_of, scripted, streamed

from dragoman.kai import PendingApproval, parse_sse_event, pending_approvals


def pending(*chunks: dict[str, Any]) -> list[tuple[str, str | None]]:
    return [(call.tool_call_id, call.approval_id) for call in pending_approvals(map(parse_sse_event, chunks))]


def started(call: str) -> dict[str, Any]:
    return {"type": "tool-input-start", "toolCallId": call, "toolName": f"tool-{call}"}


def given(call: str, **input: Any) -> dict[str, Any]:
    return {"type": "tool-input-available", "toolCallId": call, "toolName": f"tool-{call}", "input": input}


def asked(call: str) -> dict[str, Any]:
    return {"type": "tool-approval-request", "toolCallId": call, "approvalId": f"p-{call}"}


def output(call: str) -> dict[str, Any]:
    return {"type": "tool-output-available", "toolCallId": call, "output": {}}


def test_all_calls_that_were_asked_about_wait() -> None:
    events = [
        parse_sse_event(chunk) for chunk in (started("a"), given("a", x=1), given("b"), asked("a"), asked("b"), FINISH)
    ]
    assert pending_approvals(events) == [
        PendingApproval("a", "tool-a", {"x": 1}, "p-a"),
        PendingApproval("b", "tool-b", {}, "p-b"),
    ]


@pytest.mark.parametrize(
    "outcome",
    [
        output("a"),
        {"type": "tool-output-error", "toolCallId": "a", "errorText": "x"},
        {"type": "tool-output-denied", "toolCallId": "a"},
        {"type": "tool-call", "toolCallId": "a", "state": "approval-responded"},
    ],
)
def test_a_call_with_an_outcome_does_not_wait(outcome: dict[str, Any]) -> None:
    assert pending(given("a"), asked("a"), given("b"), asked("b"), FINISH, outcome) == [("b", "p-b")]


def test_a_call_that_runs_by_itself_does_not_wait_where_the_server_asks() -> None:
    assert pending(given("a"), given("b"), asked("b"), FINISH) == [("b", "p-b")]


def test_where_the_server_never_asks_calls_without_output_wait() -> None:
    assert pending(started("z"), given("a"), given("b"), output("b"), FINISH) == [("a", None)]


def test_a_call_of_the_local_format_may_carry_its_approval() -> None:
    chunk = {
        "type": "tool-call",
        "toolCallId": "a",
        "toolName": "t",
        "state": "approval-requested",
        "approval": {"id": "p"},
    }
    assert pending(chunk) == [("a", "p")]
    assert pending(chunk | {"approval": None}) == []


@pytest.mark.parametrize("end", [{"type": "abort"}, {"type": "error", "errorText": "x"}])
def test_a_run_that_ended_leaves_nothing_to_decide(end: dict[str, Any]) -> None:
    assert pending(given("a"), asked("a"), end) == []


def test_changed_arguments_are_the_latest_ones() -> None:
    events = [parse_sse_event(chunk) for chunk in (given("a", x=1), asked("a"), given("a", x=2))]
    assert pending_approvals(events)[0].input == {"x": 2}


@pytest.mark.requirement("KAI-10")
async def test_a_tool_is_confirmed_or_denied_by_position_and_by_name(shell: Shell) -> None:
    io = scripted(*[streamed(FINISH)] * 3)
    client = shell.client(io)
    await shell.events(client.confirm_tool, "k", "c", "n")
    await shell.events(client.deny_tool, chat_id="k", tool_call_id="c", tool_name="n")
    await shell.events(client.send_tool_result, "k", "c", "n", "anything")
    assert [body_of(io, index)["message"]["parts"][0]["result"] for index in range(3)] == [
        "confirmed",
        "denied",
        "anything",
    ]


@pytest.mark.requirement("KAI-22")
async def test_a_decision_without_a_stream(shell: Shell) -> None:
    io = scripted(answer({"success": True, "toolUseId": "c", "approved": False}))
    response = await shell.call(shell.client(io).submit_approval, "k", "c", approved=False, reason="no")
    assert (response.success, response.tool_use_id, response.approved) == (True, "c", False)
    assert io.requests[0].url == f"{BASE}/api/chat/k/approval"
    assert body_of(io) == {"toolUseId": "c", "approved": False, "reason": "no"}


@pytest.mark.requirement("KAI-21")
async def test_an_approval_is_answered_by_its_id(shell: Shell) -> None:
    part = {"type": "tool-n", "toolCallId": "c", "state": "approval-requested", "approval": {"id": "p"}}
    chat = answer({"id": "k", "messages": [{"id": "a", "role": "assistant", "parts": [part]}]})
    io = scripted(*[chat, streamed(FINISH)] * 3)
    client = shell.client(io)
    await shell.events(client.approve_tool, "k", "p", reason="fine")
    await shell.events(client.reject_tool, "k", "p")
    await shell.events(client.send_tool_approval_response, "k", "p", False, reason="no", visibility="public")
    decisions = [body_of(io, index)["message"]["parts"][0]["approval"] for index in (1, 3, 5)]
    assert decisions == [
        {"id": "p", "approved": True, "reason": "fine"},
        {"id": "p", "approved": False},
        {"id": "p", "approved": False, "reason": "no"},
    ]
    assert [request.method for request in io.requests] == ["GET", "POST"] * 3


@pytest.mark.requirement("KAI-13")
async def test_a_resumed_stream_is_read_like_any_other(shell: Shell) -> None:
    io = scripted(streamed({"type": "text-delta", "delta": "again"}, FINISH))
    events = await shell.events(shell.client(io).resume_stream, "k")
    assert [event.type for event in events] == ["text", "finish"]
    assert (io.requests[0].method, io.requests[0].url) == ("GET", f"{BASE}/api/chat/k/stream")
