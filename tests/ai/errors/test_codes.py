"""The thirteen classes, their codes and what they allow."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dragoman.ai.errors import ErrorClass, is_fallbackable, is_retryable
from dragoman.ai.errors.standard_codes import (
    E9999,
    STANDARD_ERROR_CODES,
    from_error_class,
    from_http_status,
    from_name,
)

pytestmark = pytest.mark.requirement("AIP-38", "AIP-98")

TABLE = """
E1001 invalid_request     -
E1002 authentication      F
E1003 permission_denied   -
E1004 not_found           -
E1005 request_too_large   -
E2001 rate_limited        RF
E2002 quota_exhausted     F
E3001 server_error        RF
E3002 overloaded          RF
E3003 timeout             RF
E4001 conflict            R
E4002 cancelled           -
E9999 unknown             -
"""
ROWS = [line.split() for line in TABLE.strip().splitlines()]
SCHEMAS = Path(__file__).parents[3] / "src" / "dragoman" / "ai" / "manifests" / "schemas" / "v2"


@pytest.mark.parametrize(("code", "name", "allowed"), ROWS, ids=[row[0] for row in ROWS])
def test_each_code_says_whether_to_retry_and_whether_to_fall_back(code: str, name: str, allowed: str) -> None:
    row = STANDARD_ERROR_CODES[code]
    assert (row.code, row.name, row.retryable, row.fallbackable) == (code, name, "R" in allowed, "F" in allowed)
    assert row.description
    assert from_name(name) is row


def test_there_are_thirteen_classes_and_each_has_its_code() -> None:
    assert list(STANDARD_ERROR_CODES) == [row[0] for row in ROWS]
    assert len(ErrorClass) == 13
    for error_class in ErrorClass:
        row = from_error_class(error_class)
        assert row is error_class.standard_code
        assert row.name == ("unknown" if error_class is ErrorClass.OTHER else error_class.value)
        assert (is_retryable(error_class), is_fallbackable(error_class.value)) == (row.retryable, row.fallbackable)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "E1001"),
        (401, "E1002"),
        (402, "E2002"),
        (403, "E1003"),
        (404, "E1004"),
        (408, "E3003"),
        (409, "E4001"),
        (413, "E1005"),
        (418, "E1001"),
        (422, "E1001"),
        (429, "E2001"),
        (499, "E4002"),
        (500, "E3001"),
        (502, "E3001"),
        (503, "E3002"),
        (504, "E3003"),
        (520, "E3001"),
        (529, "E3002"),
        (302, "E9999"),
        (200, "E9999"),
        (600, "E9999"),
    ],
)
def test_a_status_means_a_code(status: int, code: str) -> None:
    assert from_http_status(status).code == code


def test_unknown_words_mean_the_unknown_code() -> None:
    assert from_name("strange") is from_error_class("other") is E9999


def test_the_table_is_that_of_the_protocols_own_schema() -> None:
    text = (SCHEMAS / "error-codes.json").read_text("utf-8")
    for code in STANDARD_ERROR_CODES:
        assert json.dumps(code) in text
