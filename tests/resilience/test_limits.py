"""Limit headers and Retry-After in all their forms."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.resilience.limits import (
    LimitState,
    Window,
    find_retry_after,
    parse_duration,
    parse_limit_headers,
    parse_reset,
)

NOW = 1_800_000_000.0  # 2027-01-15T08:00:00Z


@pytest.mark.requirement("AIP-42")
@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("20ms", 0.02),
        ("1s", 1.0),
        ("6m0s", 360.0),
        ("1m30s", 90.0),
        ("2h", 7200.0),
        ("1h2m3.5s", 3723.5),
        ("7.66s", 7.66),
        ("2m59.56s", 179.56),
        ("1d", 86400.0),
        ("250µs", 0.00025),
        ("12", 12.0),
        (" 0 ", 0.0),
        ("1.5", 1.5),
        (f"{NOW + 30:.0f}", 30.0),
        (f"{(NOW + 30) * 1000:.0f}", 30.0),
        (f"{NOW - 30:.0f}", 0.0),
        ("2027-01-15T08:00:45Z", 45.0),
        ("2027-01-15T10:00:45+02:00", 45.0),
        ("2027-01-15T08:00:45.250Z", 45.25),
        ("2027-01-15T08:00:45", 45.0),
        ("2026-01-15T08:00:45Z", 0.0),
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1x", None),
        ("s", None),
        ("5 s", None),
        ("nan", None),
        ("9" * 40, None),
    ],
)
def test_a_reset_is_read_in_every_form(text: str | None, seconds: float | None) -> None:
    read = parse_reset(text, NOW)
    assert read == (None if seconds is None else pytest.approx(seconds))


@given(st.text(max_size=40) | st.from_regex(r"[0-9:TZ.mshd+\-]{1,40}", fullmatch=True))
def test_no_header_can_break_the_parsers(text: str) -> None:
    for seconds in (parse_reset(text, NOW), find_retry_after({"retry-after": text}, NOW)):
        assert seconds is None or (math.isfinite(seconds) and seconds >= 0)
    parse_limit_headers({"x-ratelimit-remaining-requests": text, "x-ratelimit-reset-tokens": text}, NOW)


@given(st.integers(0, 23), st.integers(0, 59), st.integers(0, 59), st.integers(0, 999))
def test_a_duration_of_pieces_is_their_sum(hours: int, minutes: int, seconds: int, ms: int) -> None:
    total = hours * 3600 + minutes * 60 + seconds + ms / 1000
    assert parse_duration(f"{hours}h{minutes}m{seconds}s{ms}ms") == pytest.approx(total)


@pytest.mark.requirement("AIP-42")
def test_the_usual_headers_are_read_whatever_their_case() -> None:
    state = parse_limit_headers(
        {
            "X-RateLimit-Limit-Requests": "60",
            "x-ratelimit-remaining-requests": "0",
            "X-Ratelimit-Reset-Requests": "6m0s",
            "x-ratelimit-limit-tokens": "150000",
            "x-ratelimit-remaining-tokens": "149984",
            "x-ratelimit-reset-tokens": "20ms",
        },
        NOW,
    )
    assert state == LimitState(Window(60, 0, 360.0), Window(150000, 149984, 0.02))
    assert state.to_dict() == {
        "requests_limit": 60,
        "requests_remaining": 0,
        "requests_reset": 360.0,
        "tokens_limit": 150000,
        "tokens_remaining": 149984,
        "tokens_reset": 0.02,
    }


@pytest.mark.requirement("AIP-42")
def test_a_manifest_names_its_own_headers() -> None:
    names = {"requests_remaining": "acme-left", "requests_reset": "acme-until", "retry_after": "acme-wait"}
    headers = {"Acme-Left": "3, 10;w=60", "acme-until": "2027-01-15T08:00:10Z", "acme-wait": "2s"}
    state = parse_limit_headers(headers, NOW, names=names)
    assert state == LimitState(Window(None, 3, 10.0), retry_after=2.0)
    assert parse_limit_headers({"x-ratelimit-remaining-requests": "1"}, NOW, names=names) == LimitState()


def test_headers_that_say_nothing_make_a_state_that_is_false() -> None:
    assert not parse_limit_headers({"x-ratelimit-remaining-requests": "many", "date": "today"}, NOW)
    assert parse_limit_headers({"retry-after": "3"}, NOW)


@pytest.mark.requirement("AIP-39")
@pytest.mark.parametrize(
    ("headers", "name", "seconds"),
    [
        ({"Retry-After": "3"}, None, 3.0),
        ({"retry-after": "Fri, 15 Jan 2027 08:00:20 GMT"}, None, 20.0),
        ({"retry-after-ms": "1500", "retry-after": "9"}, None, 1.5),
        ({"retry-after-ms": "soon", "retry-after": "9"}, None, 9.0),
        ({"Acme-Wait": "1m30s", "retry-after": "9"}, "acme-wait", 90.0),
        ({"acme-wait-ms": "250"}, "Acme-Wait-Ms", 0.25),
        ({"retry-after": "9"}, "acme-wait", 9.0),
        ({"retry-after": "later"}, None, None),
        ({}, None, None),
    ],
)
def test_the_peers_wish_is_found_by_the_manifests_name_first(
    headers: dict[str, str], name: str | None, seconds: float | None
) -> None:
    assert find_retry_after(headers, NOW, name=name) == seconds


@pytest.mark.requirement("AIP-39")
@pytest.mark.parametrize(
    ("text", "seconds"),
    [("3", 3.0), ("1m30s", 90.0), ("Fri, 15 Jan 2027 08:00:20 GMT", None), ("2027-01-15T08:00:45Z", None)],
)
def test_without_the_time_moments_cannot_be_read(text: str, seconds: float | None) -> None:
    assert find_retry_after({"retry-after": text}, None) == seconds


@pytest.mark.requirement("AIP-39")
def test_a_moment_is_no_delay_of_fifty_years() -> None:
    assert find_retry_after({"acme-until": f"{NOW + 20:.0f}"}, NOW, name="acme-until") == 20
