"""Objects while they are still being written."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ai.counted import steps

from dragoman.ai.structured import PartialJson

pytestmark = pytest.mark.requirement("AIP-93")


def seen(*pieces: str) -> list[Any]:
    """What there is after each piece."""
    reader = PartialJson()
    found = []
    for piece in pieces:
        reader.feed(piece)
        found.append(json.loads(json.dumps(reader.value)))
    return found


def test_fields_appear_with_their_names_and_texts_grow() -> None:
    assert seen('{"na', 'me": "A', 'da", "age', '": 4', "2", ', "ok": tr', "ue}") == [
        {},
        {"name": "A"},
        {"name": "Ada"},
        {"name": "Ada"},
        {"name": "Ada"},
        {"name": "Ada", "age": 42},
        {"name": "Ada", "age": 42, "ok": True},
    ]


def test_lists_and_objects_appear_when_they_begin() -> None:
    assert seen('{"a": [', "1, {", '"b": "x"}', "], ", '"c": []}') == [
        {"a": []},
        {"a": [1, {}]},
        {"a": [1, {"b": "x"}]},
        {"a": [1, {"b": "x"}]},
        {"a": [1, {"b": "x"}], "c": []},
    ]


def test_half_of_an_escape_waits_for_the_other_half() -> None:
    texts = [value["a"] for value in seen('{"a":"x', "\\", "n", "\\u00", "e9", "\\ud83d", "\\ude", "00", '"}')]
    assert texts == ["x", "x", "x\n", "x\n", "x\né", "x\né", "x\né", "x\né😀", "x\né😀"]


def test_half_of_a_pair_that_stays_alone_is_replaced() -> None:
    assert seen(r'{"a":"\ud83d', "x", r"\ude00", r'\ud83d"}')[-1] == {"a": "\ufffdx\ufffd\ufffd"}
    assert seen(r'{"\ud83d\ude00": "\ud83d\ud83d\ude00"}') == [{"😀": "\ufffd😀"}]


def test_what_stands_before_and_after_is_passed_by() -> None:
    reader = PartialJson()
    assert not reader.feed("Here: ```json\n")
    assert reader.feed('{"a": 1}\n``` {"b": 2}')
    assert (reader.value, reader.is_complete) == ({"a": 1}, True)
    assert not reader.feed('{"c": 3}')


@pytest.mark.parametrize(
    "text",
    [
        *('{"a" 1}', "{a: 1}", '{"a": 1,}', "[1,]", "[1 2]", '{"a": NaN}', '{"a": 1e999}', '{"a": tru}', '["\\x"]'),
        *("[}", '["\\u12g4"]', "[-]", "[1" + "0" * 5000 + "]", "[" * 201, '{"a": }', "{,}", '{"a"}'),
    ],
)
def test_what_is_no_json_ends_it(text: str) -> None:
    reader = PartialJson()
    reader.feed(text + " ")
    assert reader.is_broken
    assert not reader.feed('{"b": 1}')


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.lists(values, max_size=4) | st.dictionaries(st.text(), values, max_size=4), st.data(), st.booleans())
def test_at_the_end_it_is_the_value_however_it_was_cut(value: Any, data: st.DataObject, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    reader, at = PartialJson(), 0
    while at < len(text):
        size = data.draw(st.integers(1, 9))
        reader.feed(text[at : at + size])
        at += size
    assert reader.is_complete
    assert reader.value == value


def test_it_costs_what_the_text_is_long() -> None:
    def work(size: int) -> int:
        reader = PartialJson()
        text = '{"a": "' + "x" * size + '", "b": [' + "1, " * size + "2]}"
        return steps(lambda: [reader.feed(letter) for letter in text])

    assert work(4000) < 2.5 * work(2000)
