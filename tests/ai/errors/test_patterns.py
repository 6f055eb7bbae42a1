"""Which patterns of a manifest may meet a message, and how much of it."""

from __future__ import annotations

import pytest

from dragoman.ai.errors import RemoteError
from dragoman.ai.errors.patterns import checked_pattern

pytestmark = pytest.mark.requirement("AIP-39")


@pytest.mark.parametrize(
    "pattern",
    [
        r"try again in (\d+(?:\.\d+)?)\s*(ms|s|seconds?)",
        r"retry after (\d+)",
        r"in ([0-9.]+)s",
        r"(?i:wait) \((\d+)\)",
        r"[)]+\)+ (?P<seconds>\d+)",
        r"in (\d{1,3})s",
    ],
)
def test_plain_patterns_are_taken(pattern: str) -> None:
    assert checked_pattern(pattern)[0].pattern == pattern


@pytest.mark.parametrize(
    "pattern",
    [
        r"(a+)+$",
        r"(a|a)*b",
        r"(?:a{2,})+",
        r"(?:(a+))*",
        r"([\])]+)+",
        r"(\w+)\1",
        r"(?P<a>\w+)(?P=a)",
        r"(?x)(a+) +",
        r"(?i-x:(a+))(?#x)+",
        r"\d+\d+\d+\d+x",
        r"a{1,100}a{1,100}a{1,100}a{1,100}x",
        "a?" * 30 + "a" * 30,
        "(a|a)" * 30,
        "a" * 1000,
        "(",
        "a{99999999999999999999}",
    ],
)
def test_patterns_that_may_take_for_ever_are_refused_and_never_run(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"for ever|no regular|longer"):
        checked_pattern(pattern)
    body = {"error": {"message": "a" * 4000}}
    error = RemoteError.from_response(429, body, {}, {"retry_after_extraction": {"pattern": pattern}})
    assert error.retry_after is None


def test_a_pattern_that_finds_no_group_or_an_endless_number_finds_nothing() -> None:
    for pattern, text in ((r"(x)?wait", "wait"), (r"(\d+)", "9" * 400)):
        body = {"error": {"message": text}}
        error = RemoteError.from_response(429, body, {}, {"retry_after_extraction": {"pattern": pattern}})
        assert error.retry_after is None
