"""Requests and responses as values."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from typing import Any

import pytest
import requests

from dragoman.core.errors import TimedOut, UsageError
from dragoman.stackspot.failures import MaxRetriesExceededError, status_error
from dragoman.stackspot.models import ChatRequest, ChatResponse, ChatStatus, ChatTokenUsage
from dragoman.wire.http import Headers

ANSWER: dict[str, Any] = {
    "message": "Doing it twice changes nothing.",
    "stop_reason": "stop",
    "tokens": {"user": 4, "enrichment": 2, "input": 6, "output": 6},
    "conversation_id": "01JZ8Q4N5V7X3W1T9R2P6M0KHC",
    "knowledge_source_id": ["team-handbook"],
}


def response(raw: Any = None, status: ChatStatus = ChatStatus.SUCCESS, **rest: Any) -> ChatResponse:
    return ChatResponse(ChatRequest("hi"), status, raw_response=raw, **rest)


@pytest.mark.requirement("STK-10")
def test_a_request_becomes_the_body_of_a_call() -> None:
    assert ChatRequest("hi").to_api_payload() == {
        "user_prompt": "hi",
        "streaming": False,
        "use_conversation": False,
        "stackspot_knowledge": "true",
        "return_ks_in_response": False,
    }


def test_what_is_set_is_sent_and_what_is_the_callers_own_is_not() -> None:
    request = ChatRequest(
        "hi",
        id="mine",
        conversation_id="c",
        use_conversation=True,
        use_knowledge_sources=False,
        return_knowledge_sources=True,
        upload_ids=["b", "a"],
        metadata={"secret": "plan"},
    )
    assert request.to_api_payload() == {
        "user_prompt": "hi",
        "streaming": False,
        "use_conversation": True,
        "stackspot_knowledge": "false",
        "return_ks_in_response": True,
        "conversation_id": "c",
        "upload_ids": ["b", "a"],
    }


def test_a_body_shares_no_list_with_its_request() -> None:
    request = ChatRequest("hi", upload_ids=["a"])
    request.to_api_payload()["upload_ids"].append("b")
    assert request.upload_ids == ["a"]


@pytest.mark.parametrize("fields", [{"user_prompt": ""}, {"user_prompt": "hi", "id": ""}])
@pytest.mark.parametrize("caught", [AssertionError, ValueError, UsageError])
def test_an_empty_prompt_or_id_is_refused(fields: dict[str, str], caught: type[Exception]) -> None:
    with pytest.raises(caught, match="empty"):
        ChatRequest(**fields)


def test_validation_holds_without_assert_statements() -> None:
    code = (
        "from dragoman.stackspot.models import ChatRequest\n"
        "try: ChatRequest('')\n"
        "except AssertionError: print('refused')"
    )
    done = subprocess.run([sys.executable, "-O", "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "refused"


def test_requests_have_ids_of_their_own_and_compare_by_value() -> None:
    assert ChatRequest("hi").id != ChatRequest("hi").id
    assert ChatRequest("hi", id="1") == ChatRequest("hi", id="1")
    with pytest.raises(dataclasses.FrozenInstanceError):
        ChatRequest("hi").id = "2"  # type: ignore[misc]
    with pytest.raises(TypeError):
        hash(ChatRequest("hi"))


@pytest.mark.requirement("STK-10", "STK-12", "STK-13")
def test_a_response_reads_its_fields_from_the_answer() -> None:
    got = response(ANSWER, result="x")
    assert got.raw_result == ANSWER["message"]
    assert got.stop_reason == "stop"
    assert got.conversation_id == ANSWER["conversation_id"]
    assert got.knowledge_sources == ["team-handbook"]
    assert got.tokens == ChatTokenUsage(user=4, enrichment=2, output=6)
    assert got.tokens is not None
    assert got.tokens.total == 12


@pytest.mark.requirement("STK-13")
def test_a_response_without_an_answer_has_nothing_to_say() -> None:
    got = response()
    assert (got.raw_result, got.stop_reason, got.tokens, got.conversation_id) == (None, None, None, None)
    assert got.knowledge_sources == []


@pytest.mark.requirement("STK-S16")
def test_counts_beyond_all_numbers_do_not_spoil_an_answer() -> None:
    assert response({"tokens": {"user": 10**400, "output": float("inf")}}).tokens == ChatTokenUsage(10**400, 0, 0)


@pytest.mark.requirement("STK-S16")
@pytest.mark.parametrize("tokens", [[1, 2], "many", 7, [], True])
def test_counts_of_another_shape_do_not_spoil_an_answer(tokens: Any) -> None:
    assert response({**ANSWER, "tokens": tokens}).tokens is None


@pytest.mark.requirement("STK-S16")
@pytest.mark.parametrize(("named", "expected"), [(None, []), ("one", ["one"]), ("", []), (["a", "b"], ["a", "b"])])
def test_knowledge_sources_are_always_a_list(named: Any, expected: list[str]) -> None:
    assert response({"message": "x", "knowledge_source_id": named}).knowledge_sources == expected


@pytest.mark.requirement("STK-12")
@pytest.mark.parametrize("absent", [{"user": None}, {"user": "4"}, {"user": True}, {"user": float("nan")}, {}])
def test_a_count_that_is_no_number_is_zero(absent: dict[str, Any]) -> None:
    assert response({"tokens": absent}).tokens == ChatTokenUsage(0, 0, 0)


@pytest.mark.requirement("STK-S11")
@pytest.mark.parametrize(
    ("counts", "user"),
    [
        ({"user": None, "input": 10, "enrichment": 3, "output": 1}, 7),
        ({"input": 10, "output": 1}, 10),
        ({"user": None, "input": 1, "enrichment": 3}, 0),
        ({"user": 2, "input": 10, "enrichment": 3}, 2),
    ],
)
def test_the_prompts_tokens_come_from_input_where_user_is_null(counts: dict[str, Any], user: int) -> None:
    usage = response({"tokens": counts}).tokens
    assert usage is not None
    assert usage.user == user


@pytest.mark.requirement("STK-15")
def test_a_failure_tells_its_details_and_a_success_has_none() -> None:
    failed = response({"message": "half"}, ChatStatus.ERROR, error="broken")
    assert failed.error_with_details() == {
        "status": ChatStatus.ERROR,
        "error_message": "broken",
        "response_body": {"message": "half"},
    }
    assert response(status=ChatStatus.TIMEOUT, error="slow").error_with_details()["response_body"] == {}
    assert response(ANSWER).error_with_details() == {}


def test_predicates_follow_the_status() -> None:
    asked = [(one.is_success(), one.is_error(), one.is_timeout()) for one in (response(status=s) for s in ChatStatus)]
    assert asked == [(True, False, False), (False, True, False), (False, False, True)]


@pytest.mark.requirement("STK-18", "STK-89")
@pytest.mark.parametrize(
    ("error", "status"),
    [
        (TimeoutError("slow"), "TIMEOUT"),
        (TimedOut("slow"), "TIMEOUT"),
        (requests.ReadTimeout("slow"), "TIMEOUT"),
        (status_error(504, Headers(), ""), "TIMEOUT"),
        (status_error(408, Headers(), ""), "TIMEOUT"),
        (MaxRetriesExceededError("spent", TimeoutError()), "TIMEOUT"),
        (status_error(500, Headers(), ""), "ERROR"),
        (ConnectionResetError(), "ERROR"),
        (ValueError(), "ERROR"),
        (MaxRetriesExceededError("spent", ConnectionResetError()), "ERROR"),
    ],
)
def test_a_status_follows_from_what_was_raised(error: Exception, status: str) -> None:
    assert ChatStatus.from_exception(error) == status
