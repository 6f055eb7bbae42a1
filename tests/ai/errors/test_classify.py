"""Which class an error has: manifest, special cases, statuses, table, words."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from dragoman.ai.errors import ErrorClass, classify_http_error
from dragoman.ai.errors.classify import class_named, classify_error

pytestmark = pytest.mark.requirement("AIP-37")


def said(message: str = "", **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, **more}}


EVERYTHING = {
    "by_error_code": {"e_code": "conflict", "e_type": "not_found"},
    "by_error_status": {"WORD": "timeout"},
    "by_message_contains": {"Quota": "permission_denied"},
    "by_http_status": {"429": "overloaded", "400": "server_error", "418": "authentication"},
}


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (429, said("quota", code="e_code", type="e_type", status="WORD"), "conflict"),
        (429, said("quota", code="other", type="e_type", status="WORD"), "not_found"),
        (429, said("quota", status="WORD"), "timeout"),
        (429, said("your QUOTA is gone"), "permission_denied"),
        (429, said("no credit left"), "quota_exhausted"),
        (400, said("this model's maximum context is 8"), "request_too_large"),
        (429, said("slow down"), "overloaded"),
        (418, said("teapot"), "authentication"),
        (503, said(), "overloaded"),
        (451, said(), "invalid_request"),
        (599, said(), "server_error"),
        (302, said(), "other"),
    ],
)
def test_the_first_hit_wins_in_the_order_of_the_protocol(status: int, body: Any, expected: str) -> None:
    assert classify_http_error(status, body, EVERYTHING) == ErrorClass(expected)
    assert classify_error(status, body, classification=SimpleNamespace(**EVERYTHING)) == ErrorClass(expected)


@pytest.mark.parametrize("key", ["429", 429])
def test_statuses_of_a_manifest_may_be_text_or_numbers(key: Any) -> None:
    assert classify_http_error(429, None, {"by_http_status": {key: "timeout"}}) is ErrorClass.TIMEOUT


@pytest.mark.parametrize(
    "body",
    [
        said("You exceeded your current quota, please check your plan and billing details."),
        said("x", code="insufficient_quota"),
        said("x", type="insufficient_quota"),
        said("Your credit balance is too low"),
        {"message": "billing hard limit"},
        "Plan limit reached",
    ],
)
def test_a_429_that_speaks_of_money_is_a_quota_even_if_the_manifest_maps_429(body: Any) -> None:
    assert classify_http_error(429, body, {"by_http_status": {"429": "rate_limited"}}) is ErrorClass.QUOTA_EXHAUSTED


@pytest.mark.parametrize(
    "body",
    [
        said("Rate limit reached. Upgrade today at https://console.example.org/settings/billing"),
        said("the explanation is complicated and planet-sized"),
        said("slow down", code="rate_limit_exceeded"),
        None,
    ],
)
def test_any_other_429_is_a_rate_limit(body: Any) -> None:
    assert classify_http_error(429, body) is ErrorClass.RATE_LIMITED


def test_too_long_a_context_is_judged_by_code_or_message_and_only_for_400() -> None:
    assert classify_http_error(400, said("x", code="context_length_exceeded")) is ErrorClass.REQUEST_TOO_LARGE
    assert classify_http_error(400, said("Maximum Context length is 8")) is ErrorClass.REQUEST_TOO_LARGE
    assert classify_http_error(404, said("maximum context")) is ErrorClass.NOT_FOUND


def test_a_manifest_may_name_a_class_by_an_error_code(caplog: pytest.LogCaptureFixture) -> None:
    assert (
        classify_http_error(402, None, {"by_http_status": {"402": "insufficient_quota"}}) is ErrorClass.QUOTA_EXHAUSTED
    )
    assert class_named("E3002") is ErrorClass.OVERLOADED
    assert class_named(" Timeout ") is ErrorClass.TIMEOUT
    assert class_named("strange") is class_named(None) is None


def test_an_unknown_class_name_is_skipped_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "dragoman.ai"):
        assert classify_http_error(404, None, {"by_http_status": {"404": "gone fishing"}}) is ErrorClass.NOT_FOUND
        assert classify_http_error(404, None, {"by_http_status": {"404": "gone fishing"}}) is ErrorClass.NOT_FOUND
    assert [record.getMessage() for record in caplog.records] == [
        "manifest names an unknown error class 'gone fishing'; the entry is skipped"
    ]


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        ({"error": {"type": "overloaded_error", "message": "Overloaded"}}, "overloaded"),
        ({"type": "error", "error": {"type": "rate_limit_error", "message": "slow"}}, "rate_limited"),
        ({"error": {"code": 502, "message": "bad gateway"}}, "server_error"),
        ({"error": {"code": "429", "message": "no credits"}}, "quota_exhausted"),
        ([{"error": {"code": 503, "status": "UNAVAILABLE", "message": "m"}}], "overloaded"),
        ({"error": {"status": "RESOURCE_EXHAUSTED", "message": "m"}}, "rate_limited"),
        ({"type": "error", "code": "server_error", "message": "m"}, "server_error"),
        ({"error": "maximum context length"}, "request_too_large"),
        ({"error": {"type": "invalid_request_error", "message": "context_length_exceeded"}}, "request_too_large"),
        ({"error": {"message": "no idea"}}, "other"),
        ({"error": None}, "other"),
    ],
)
def test_an_error_without_a_status_is_judged_by_its_words(frame: Any, expected: str) -> None:
    assert classify_error(None, frame) == classify_error(200, frame) == ErrorClass(expected)


def test_the_manifest_comes_first_for_frames_too() -> None:
    mapping = {"by_error_code": {"overloaded_error": "server_error"}}
    assert classify_error(None, said(type="overloaded_error"), classification=mapping) is ErrorClass.SERVER_ERROR


def test_the_manifest_says_where_the_code_stands() -> None:
    body = {"fault": {"kind": "too_fast"}, "code": "unrelated"}
    mapping = {"by_error_code": {"too_fast": "rate_limited"}}
    assert (
        classify_error(400, body, classification=mapping, error_paths={"code_path": "fault.kind"})
        is ErrorClass.RATE_LIMITED
    )
    assert classify_error(400, body, classification=mapping) is ErrorClass.INVALID_REQUEST
