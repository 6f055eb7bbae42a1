"""JSON of strangers: what can be said again is read, the rest is refused."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.wire.json_text import mended, read_json, sound

HALF = "\N{REPLACEMENT CHARACTER}"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
        max_leaves=10,
    )
)
def test_what_json_can_say_is_read_as_it_was_said(value: Any) -> None:
    text = json.dumps(value)
    assert read_json(text) == read_json(text.encode()) == value


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", '{"a": -Infinity}', "1e400", "[-1e999]", "9" * 400 + ".0"])
def test_numbers_without_end_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"NaN|Infinity|larger|no JSON|expected"):
        read_json(text)


@pytest.mark.parametrize("text", ["1e30", "123e-400", '{"a": "1e999"}', "9" * 400, '"NaN"'])
def test_numbers_that_only_look_like_it_are_read(text: str) -> None:
    value = read_json(text)
    assert not isinstance(value, float) or math.isfinite(value)


def test_halves_of_characters_and_other_bytes_are_mended() -> None:
    assert read_json('{"\\ud800": ["\\udc00", "\\ud83d\\ude00"]}') == {HALF: [HALF, "\N{GRINNING FACE}"]}
    assert read_json(b'["\xff"]') == [HALF]
    assert mended({"a\ud800": ["\udc00", 1]}) == {f"a{HALF}": [HALF, 1]}
    assert sound("plain") == "plain"


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "9" * 10_000, '{"a": 1} x', b"\xff", b"\xef\xbb\xbf{"])
def test_what_is_no_json_is_a_value_error_that_shows_nothing_of_it(text: str | bytes) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the texts are the parsers' own
        read_json(text)
    assert len(str(caught.value)) < 200
    assert not hasattr(caught.value, "doc")
    assert caught.value.__cause__ is None
