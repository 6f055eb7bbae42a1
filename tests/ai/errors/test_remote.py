"""Errors that the provider answered with: class, message, retry-after, request id."""

from __future__ import annotations

from typing import Any

import pytest

from dragoman.ai.errors import AiLibError, ErrorClass, RemoteError
from dragoman.core import errors as core

NOW = 1_445_412_480.0  # Wed, 21 Oct 2015 07:28:00 GMT


@pytest.mark.requirement("AIP-48")
def test_an_answer_becomes_an_error_with_all_it_says() -> None:
    body = {"error": {"message": "slow down", "type": "rate_limit_error"}}
    error = RemoteError.from_response(429, body, {"Retry-After": "7", "X-Request-Id": "req_1"})
    assert str(error) == "slow down [remote]"
    assert (error.status_code, error.error_class, error.standard_code.code) == (429, ErrorClass.RATE_LIMITED, "E2001")
    assert (error.retryable, error.fallbackable, error.retry_after) == (True, True, 7.0)
    assert (error.request_id, error.raw_error, error.code) == ("req_1", body, "rate_limited")


@pytest.mark.requirement("AIP-48")
def test_the_constructor_takes_the_documented_keywords() -> None:
    error = RemoteError("m", status_code=500, error_class=ErrorClass.SERVER_ERROR)
    assert (error.retryable, error.fallbackable, error.raw_error, error.retry_after) == (False, False, None, None)
    assert isinstance(error, core.RemoteError)


@pytest.mark.requirement("AIP-48")
@pytest.mark.parametrize(
    ("status", "core_class"),
    [
        (400, core.BadRequest),
        (401, core.Unauthorized),
        (402, core.BadRequest),
        (403, core.Forbidden),
        (404, core.NotFound),
        (409, core.Conflict),
        (413, core.PayloadTooLarge),
        (422, core.Unprocessable),
        (429, core.RateLimited),
        (500, core.ServerError),
        (503, core.Unavailable),
        (504, core.GatewayTimeout),
        (529, core.ServerError),
    ],
)
def test_the_cores_class_for_the_status_catches_it_too(status: int, core_class: type[core.RemoteError]) -> None:
    error = RemoteError.from_response(status)
    assert isinstance(error, RemoteError)
    assert isinstance(error, AiLibError)
    assert isinstance(error, core_class)
    assert (error.message, error.status) == (f"HTTP {status}", status)


@pytest.mark.requirement("AIP-48")
@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        ({"x-request-id": "a", "request-id": "b"}, {"request_id": "body"}, "body"),
        ({"Request-ID": "b", "CF-Ray": "c"}, None, "b"),
        ({"cf-ray": "c"}, "<html>", "c"),
        ({}, {"error": {"request_id": "inner"}}, "inner"),
        ({}, None, None),
    ],
)
def test_the_request_id_is_found(headers: dict[str, str], body: Any, expected: str | None) -> None:
    assert RemoteError.from_response(500, body, headers).request_id == expected


@pytest.mark.requirement("AIP-39")
@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Retry-After": "2"}, 2.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
        ({"retry-after": "20ms"}, 0.02),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:30 GMT"}, 30.0),
        ({"retry-after": "Wed, 21 Oct 2015 07:27:00 GMT"}, 0.0),
        ({"retry-after": "tomorrow"}, None),
        ({"retry-after": ""}, None),
        ({}, None),
    ],
)
def test_retry_after_comes_in_seconds_milliseconds_and_dates(headers: dict[str, str], expected: float | None) -> None:
    assert RemoteError.from_response(429, None, headers, now=NOW).retry_after == expected


@pytest.mark.requirement("AIP-39")
def test_a_date_is_counted_from_the_answers_own_date_when_no_time_is_given() -> None:
    headers = {"retry-after": "Wed, 21 Oct 2015 07:28:30 GMT", "date": "Wed, 21 Oct 2015 07:28:10 GMT"}
    assert RemoteError.from_response(429, None, headers).retry_after == 20.0
    assert RemoteError.from_response(429, None, {**headers, "date": "?"}).retry_after is None


@pytest.mark.requirement("AIP-39")
def test_the_manifest_may_name_another_header() -> None:
    headers = {"X-Wait": "4", "Retry-After": "9"}
    assert RemoteError.from_response(429, None, headers, limit_headers={"retry_after": "x-wait"}).retry_after == 4.0
    assert RemoteError.from_response(429, None, headers, limit_headers={"retry_after": None}).retry_after == 9.0
    assert RemoteError.from_response(429, None, headers, limit_headers={"retry_after": "x-other"}).retry_after == 9.0


@pytest.mark.requirement("AIP-39")
@pytest.mark.parametrize(
    ("extraction", "expected"),
    [
        ({"pattern": r"try again in ([0-9.]+)s"}, 6.5),
        ({"pattern": r"in ([0-9.]+)", "unit": "ms"}, 0.0065),
        ({"pattern": r"in ([0-9.]+)", "unit": "minutes"}, 390.0),
        ({"pattern": r"in [0-9.]+ days"}, None),
        ({"pattern": "("}, None),
        ({}, None),
        (None, None),
    ],
)
def test_the_message_may_say_when_to_come_back(extraction: Any, expected: float | None) -> None:
    body = {"error": {"message": "Please try again in 6.5s."}}
    error = RemoteError.from_response(429, body, {}, {"retry_after_extraction": extraction})
    assert error.retry_after == (pytest.approx(expected) if expected is not None else None)


@pytest.mark.requirement("AIP-39")
def test_a_delay_among_the_details_counts() -> None:
    body = {"error": {"code": 429, "message": "m", "status": "RESOURCE_EXHAUSTED", "details": [{"retryDelay": "30s"}]}}
    assert RemoteError.from_response(429, body).retry_after == 30.0
    assert RemoteError.from_response(429, body, {"retry-after": "1"}).retry_after == 1.0


@pytest.mark.requirement("AIP-48")
@pytest.mark.parametrize(
    ("frame", "message", "error_class", "core_class"),
    [
        ({"type": "overloaded_error", "message": "Overloaded"}, "Overloaded", "overloaded", core.Unavailable),
        ({"error": {"code": 502, "message": "bad"}}, "bad", "server_error", core.ServerError),
        ("model not loaded", "model not loaded", "other", core.RemoteError),
        (
            {"error": {"type": "rate_limit_error"}},
            "the provider reported an error in the stream",
            "rate_limited",
            core.RateLimited,
        ),
    ],
)
def test_an_error_frame_becomes_an_error(
    frame: Any, message: str, error_class: str, core_class: type[core.RemoteError]
) -> None:
    error = RemoteError.from_frame(frame)
    assert (error.message, error.error_class, error.raw_error) == (message, ErrorClass(error_class), frame)
    assert isinstance(error, core_class)


@pytest.mark.requirement("AIP-48")
def test_the_status_inside_a_frame_is_the_errors_status() -> None:
    error = RemoteError.from_frame({"error": {"code": 502, "message": "bad"}})
    assert (error.status_code, error.retryable, error.fallbackable) == (502, True, True)
    assert (
        RemoteError.from_frame("x", classification={"by_message_contains": {"X": "timeout"}}).error_class == "timeout"
    )


@pytest.mark.requirement("AIP-113")
def test_a_key_that_the_provider_repeats_is_not_in_the_text() -> None:
    error = RemoteError.from_response(401, {"error": {"message": "Incorrect API key provided: sk-abcdefgh12345678."}})
    assert "sk-abcdefgh12345678" not in f"{error} {error!r}"
    assert error.error_class is ErrorClass.AUTHENTICATION
