"""Whether JSON text that arrives in pieces is whole yet."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.ai.utils.json_text import Brackets

pytestmark = pytest.mark.requirement("AIP-31")

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(alphabet='ab"\\{}[]é\n'),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(alphabet='a"\\{]'), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(alphabet='k"\\}'), values, max_size=4) | st.lists(values, max_size=4), st.integers(1, 5))
def test_text_is_complete_at_its_last_character_and_not_before(value: object, size: int) -> None:
    text = json.dumps(value, ensure_ascii=False)
    brackets = Brackets()
    for at in range(len(text)):
        assert brackets.feed(text[at]) is brackets.complete is (at == len(text) - 1)
    pieces = Brackets()
    for at in range(0, len(text), size):
        pieces.feed(text[at : at + size])
    assert pieces.complete


def test_an_escape_may_be_cut_from_what_it_escapes() -> None:
    brackets = Brackets()
    assert [brackets.feed(piece) for piece in ('{"a": "\\', '"}', '"', "}")] == [False, False, False, True]


@pytest.mark.parametrize("text", ["", "  ", "null", '"{}"', "{", '{"a": [}'])
def test_what_opens_nothing_or_closes_nothing_is_not_complete(text: str) -> None:
    assert Brackets().feed(text) is False
