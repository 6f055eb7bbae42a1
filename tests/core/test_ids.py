"""Identifiers and their spellings."""

from __future__ import annotations

import tracemalloc
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.core.ids import ID_PATTERN, as_prefixed, as_ulid, canonical, is_id, is_ulid, new_id

TIMES = st.integers(0, (1 << 48) - 1).map(lambda millis: millis / 1000)
UUIDS = st.uuids().map(str)


@given(TIMES)
def test_a_new_id_is_a_uuid_of_version_seven(now: float) -> None:
    made = uuid.UUID(new_id(now))
    assert made.version == 7
    assert made.variant == uuid.RFC_4122
    assert made.int >> 80 == int(now * 1000)


@given(TIMES, TIMES)
def test_ids_of_different_milliseconds_are_in_order_of_time(one: float, other: float) -> None:
    if int(one * 1000) < int(other * 1000):
        assert new_id(one) < new_id(other)
        assert as_ulid(new_id(one)) < as_ulid(new_id(other))


def test_ids_of_one_moment_differ() -> None:
    assert len({new_id(1_700_000_000.0) for _ in range(10_000)}) == 10_000


@given(UUIDS)
def test_every_spelling_leads_back_to_the_uuid(text: str) -> None:
    assert canonical(text) == text
    assert canonical(text.upper()) == text
    assert canonical(as_ulid(text)) == text
    assert canonical(as_ulid(text).lower()) == text
    assert canonical(as_prefixed(text, "thr_")) == text
    assert canonical(as_prefixed(text, "")) == text


@given(UUIDS)
def test_every_spelling_is_an_id(text: str) -> None:
    assert all(is_id(spelt) for spelt in (text, as_ulid(text), as_prefixed(text, "msg_")))
    assert len(as_ulid(text)) == 26


@pytest.mark.parametrize("own", ["chat-1", "a", "x" * 36, "msg_short", "8" * 26, "01ARZ3NDEKTSV4RRFFQ69G5FAU", "_", ""])
def test_a_clients_own_id_is_kept(own: str) -> None:
    assert canonical(own) == own


@pytest.mark.parametrize("letter", ["\u212a", "\u017f"])
def test_letters_that_only_look_like_those_of_a_ulid_are_none(letter: str) -> None:
    odd = "01ARZ3NDEKTSV4RRFFQ69G5FA" + letter
    assert canonical(odd) == odd
    assert not is_ulid(odd)


def test_what_is_far_too_long_for_an_id_is_not_remembered() -> None:
    tracemalloc.start()
    try:
        assert all(canonical(text) == text for text in (str(number) * 100_000 for number in range(10, 20)))
        assert tracemalloc.get_traced_memory()[0] < 100_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("good", ["a", "A-b_c.d~e:f", "9" * 128])
def test_what_may_be_an_id(good: str) -> None:
    assert is_id(good)
    assert ID_PATTERN.fullmatch(good)


@pytest.mark.parametrize("bad", ["", "a b", "a/b", "ä", "a\n", "9" * 129, None, 7, b"a"])
def test_what_may_not(bad: object) -> None:
    assert not is_id(bad)
