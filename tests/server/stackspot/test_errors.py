"""Errors as this wire, its token endpoint and its form target spell them (stackspot.md 2.1, 2.5, 2.7)."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest

from dragoman.core import errors as core
from dragoman.server.stackspot.errors import COMMANDS, TARGET, TOKEN, encode_error

ERRORS = [
    (core.BadRequest("x"), 400, "VALIDATION_ERROR"),
    (core.Unauthorized("x"), 401, "UNAUTHORIZED"),
    (core.Forbidden("x"), 403, "FORBIDDEN"),
    (core.NotFound("x"), 404, "NOT_FOUND"),
    (core.NotFound("x", code="not_found:run"), 404, "EXECUTION_NOT_FOUND"),
    (core.NotFound("x", code="UPLOAD_NOT_FOUND"), 404, "UPLOAD_NOT_FOUND"),
    (core.MethodNotAllowed("x"), 405, "METHOD_NOT_ALLOWED"),
    (core.Conflict("x", code="UPLOAD_INCOMPLETE"), 409, "UPLOAD_INCOMPLETE"),
    (core.Conflict("x", code="conflict:repeat"), 409, "IDEMPOTENCY_CONFLICT"),
    (core.Gone("x", code="UPLOAD_EXPIRED"), 410, "UPLOAD_EXPIRED"),
    (core.PayloadTooLarge("x"), 413, "PAYLOAD_TOO_LARGE"),
    (core.Unprocessable("x"), 422, "VALIDATION_ERROR"),
    (core.RateLimited("x"), 429, "INFERENCE_3008_CHAT_RATE_LIMIT_EXCEEDED"),
    (core.LimitExceeded("x"), 403, "QUOTA_EXCEEDED"),
    (core.ServerError("x"), 500, "INTERNAL_ERROR"),
    (core.Unavailable("x", retry_after=0.2), 503, "SERVICE_UNAVAILABLE"),
    (core.DragomanError("x"), 500, "INTERNAL_ERROR"),
]


@pytest.mark.parametrize(("error", "status", "code"), ERRORS)
def test_every_error_is_an_object_of_three_words(error: core.DragomanError, status: int, code: str) -> None:
    answer = encode_error(error, "chat")
    body = json.loads(answer.body)
    assert (answer.status, body["code"], body["details"]) == (status, code, "x")
    assert body.keys() == {"type", "code", "details"}
    assert body["type"].isupper()


@pytest.mark.parametrize(("seconds", "told"), [(0.0, "1"), (0.2, "1"), (1.0, "1"), (59.5, "60"), (3600.0, "60")])
def test_the_time_to_wait_is_in_whole_seconds_up_to_a_minute(seconds: float, told: str) -> None:
    for kind in (core.RateLimited, core.Unavailable):
        assert encode_error(kind("x", retry_after=seconds), "chat").headers["retry-after"] == told


def test_a_rate_limit_always_says_when_to_come_back() -> None:
    assert encode_error(core.RateLimited("x"), "chat").headers["retry-after"] == "1"


def test_commands_have_a_code_of_their_own_for_rates() -> None:
    answer = encode_error(core.RateLimited("x"), COMMANDS)
    assert json.loads(answer.body)["code"] == "CODEBUDDY_1044_QUICK_COMMAND_RATE_LIMIT_EXCEEDED"


@pytest.mark.requirement("STK-04")
@pytest.mark.parametrize(
    ("error", "status", "word"),
    [
        (core.Unauthorized("x"), 401, "invalid_client"),
        (core.BadRequest("x"), 400, "invalid_request"),
        (core.BadRequest("x", code="unsupported_grant_type"), 400, "unsupported_grant_type"),
        (core.NotFound("x"), 404, "invalid_request"),
        (core.RateLimited("x"), 429, "temporarily_unavailable"),
        (core.Unavailable("x"), 503, "temporarily_unavailable"),
        (core.ServerError("x"), 500, "server_error"),
    ],
)
def test_the_token_endpoint_speaks_of_grants(error: core.DragomanError, status: int, word: str) -> None:
    answer = encode_error(error, TOKEN)
    assert answer.status == status
    assert json.loads(answer.body) == {"error": word, "error_description": "x"}


@pytest.mark.requirement("STK-69")
@pytest.mark.parametrize(
    ("error", "status", "word"),
    [
        (core.BadRequest("<&>", code="EntityTooLarge"), 400, "EntityTooLarge"),
        (core.BadRequest("<&>"), 400, "MalformedPOSTRequest"),
        (core.Forbidden("<&>", code="SignatureDoesNotMatch"), 403, "SignatureDoesNotMatch"),
        (core.Forbidden("<&>", code="FORBIDDEN"), 403, "AccessDenied"),
        (core.Unavailable("<&>"), 503, "SlowDown"),
        (core.ServerError("<&>"), 500, "InternalError"),
    ],
)
def test_the_form_target_speaks_xml(error: core.DragomanError, status: int, word: str) -> None:
    answer = encode_error(error, TARGET)
    root = ElementTree.fromstring(answer.body)
    assert answer.status == status
    assert answer.headers["content-type"].startswith("application/xml")
    assert (root.tag, root.findtext("Code"), root.findtext("Message")) == ("Error", word, "<&>")
