"""Pieces of tool calls, put together."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.ai.pipeline.assembler import Assembler, new_call_id
from dragoman.ai.pipeline.reading import Ending, Fragment, function_fragment
from dragoman.ai.types.events import StreamingEvent


def feed(assembler: Assembler, *pieces: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Events as short tuples, of pieces in OpenAI's shape (flat or nested)."""
    out: list[StreamingEvent] = []
    for piece in pieces:
        fragment = function_fragment(piece)
        assert fragment is not None
        assembler.add(fragment, out)
    return short(out)


def short(events: list[StreamingEvent]) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = []
    for event in events:
        data = event.data
        if event.is_tool_call_started:
            found.append(("start", data.tool_call_id, data.tool_name))
        elif event.is_partial_tool_call:
            found.append(("piece", data.tool_call_id, data.arguments, data.is_complete))
        else:
            found.append(("end", data.tool_call_id))
    return found


def ended(assembler: Assembler) -> list[tuple[Any, ...]]:
    out: list[StreamingEvent] = []
    assembler.end_all(out)
    return short(out)


def calls(assembler: Assembler) -> list[tuple[str, str, dict[str, Any]]]:
    return [(call.id, call.function_name, call.arguments) for call in assembler.tool_calls()]


@pytest.fixture
def assembler(ids: Callable[[], str]) -> Assembler:
    return Assembler(new_id=ids)


@pytest.mark.requirement("AIP-30", "AIP-31")
def test_interleaved_calls_by_index(assembler: Assembler) -> None:
    events = feed(
        assembler,
        {"index": 0, "id": "a", "function": {"name": "f", "arguments": ""}},
        {"index": 1, "id": "b", "function": {"name": "g", "arguments": "{"}},
        {"index": 0, "function": {"arguments": '{"x"'}},
        {"index": 1, "function": {"arguments": "}"}},
        {"index": 0, "function": {"arguments": ":1}"}},
    )
    assert events == [
        ("start", "a", "f"),
        ("start", "b", "g"),
        ("piece", "b", "{", False),
        ("piece", "a", '{"x"', False),
        ("piece", "b", "}", True),
        ("piece", "a", ":1}", True),
    ]
    assert ended(assembler) == [("end", "a"), ("end", "b")]
    assert ended(assembler) == []
    assert calls(assembler) == [("a", "f", {"x": 1}), ("b", "g", {})]


@pytest.mark.requirement("AIP-30")
def test_without_index_the_id_tells_calls_apart(assembler: Assembler) -> None:
    feed(
        assembler,
        {"id": "a", "name": "f"},
        {"id": "b", "name": "f"},
        {"id": "a", "arguments": '{"x":1}'},
        {"id": "b", "arguments": '{"x":2}'},
    )
    assert calls(assembler) == [("a", "f", {"x": 1}), ("b", "f", {"x": 2})]


@pytest.mark.requirement("AIP-30")
def test_without_both_a_name_opens_and_the_rest_continues(assembler: Assembler) -> None:
    feed(
        assembler,
        {"function": {"name": "f", "arguments": '{"x"'}},
        {"function": {"arguments": ":1}"}},
        {"function": {"name": "f", "arguments": '{"x":2}'}},
        {"function": {"name": "g"}},
        {"function": {"name": "g"}},
    )
    made = [(call.id, call.function_name, call.arguments) for call in assembler.tool_calls()]
    assert made == [("made_0", "f", {"x": 1}), ("made_1", "f", {"x": 2}), ("made_2", "g", {}), ("made_3", "g", {})]


@pytest.mark.requirement("AIP-30")
def test_a_name_repeated_with_each_piece_is_neither_appended_nor_a_new_call(assembler: Assembler) -> None:
    feed(
        assembler,
        *({"index": 0, "id": "a", "function": {"name": "f", "arguments": piece}} for piece in ('{"x"', ":1}")),
    )
    feed(assembler, *({"function": {"name": "g", "arguments": piece}} for piece in ('{"y"', ":2}")))
    assert [(name, found) for _, name, found in calls(assembler)] == [("f", {"x": 1}), ("g", {"y": 2})]


@pytest.mark.requirement("AIP-30")
def test_the_same_index_with_another_id_is_another_call(assembler: Assembler) -> None:
    feed(
        assembler,
        {"index": 0, "id": "a", "function": {"name": "f", "arguments": '{"x":1}'}},
        {"index": 0, "id": "b", "function": {"name": "f", "arguments": '{"x":2}'}},
    )
    assert calls(assembler) == [("a", "f", {"x": 1}), ("b", "f", {"x": 2})]


@pytest.mark.requirement("AIP-30")
def test_the_same_index_without_ids_is_another_call_once_the_first_is_whole(assembler: Assembler) -> None:
    feed(assembler, *({"index": 0, "function": {"name": "f", "arguments": text}} for text in ('{"x":1}', '{"x":2}')))
    assert [found for _, _, found in calls(assembler)] == [{"x": 1}, {"x": 2}]


@pytest.mark.requirement("AIP-30")
def test_arguments_wait_for_a_late_name(assembler: Assembler) -> None:
    assert feed(assembler, {"index": 0, "function": {"arguments": '{"x"'}}) == []
    assert feed(assembler, {"index": 0, "id": "a", "function": {"name": "f", "arguments": ":1}"}}) == [
        ("start", "a", "f"),
        ("piece", "a", '{"x"', False),
        ("piece", "a", ":1}", True),
    ]
    other = Assembler(new_id=lambda: "made")
    assert feed(other, {"arguments": "{}"}, {"name": "f"}) == [("start", "made", "f"), ("piece", "made", "{}", True)]


@pytest.mark.requirement("AIP-30")
def test_a_call_whose_name_never_comes_does_not_vanish(assembler: Assembler) -> None:
    feed(
        assembler, {"index": 0, "id": "a", "function": {"arguments": "{}"}}, {"index": 1, "function": {"arguments": ""}}
    )
    assert ended(assembler) == [("start", "a", ""), ("piece", "a", "{}", True), ("end", "a")]


@pytest.mark.requirement("AIP-30")
def test_objects_are_written_as_compact_json_and_end_their_call(assembler: Assembler) -> None:
    assert feed(assembler, {"name": "f", "args": {"city": "Köln", "n": [1, None]}}) == [
        ("start", "made_0", "f"),
        ("piece", "made_0", '{"city":"Köln","n":[1,null]}', True),
        ("end", "made_0"),
    ]
    assert ended(assembler) == []


@pytest.mark.requirement("AIP-30")
def test_an_id_that_comes_late_does_not_change_the_one_already_told(assembler: Assembler) -> None:
    feed(assembler, {"index": 0, "function": {"name": "f"}}, {"index": 0, "id": "a", "function": {"arguments": "{}"}})
    assert calls(assembler) == [("made_0", "f", {})]


@pytest.mark.requirement("AIP-30")
def test_made_ids_are_call_and_24_hex_digits() -> None:
    first, second = new_call_id(), new_call_id()
    assert first != second
    assert first.startswith("call_")
    assert len(first) == 29
    int(first[5:], 16)


@pytest.mark.requirement("AIP-30")
@pytest.mark.parametrize(
    ("text", "arguments", "failed"), [("", {}, False), ("null", {}, False), ("{bad", {}, True), ("[1]", {}, True)]
)
def test_arguments_that_are_no_object(assembler: Assembler, text: str, arguments: dict[str, Any], failed: bool) -> None:
    feed(assembler, {"index": 0, "id": "a", "function": {"name": "f", "arguments": text}})
    ended(assembler)
    (call,) = assembler.tool_calls()
    assert call.arguments == arguments
    assert bool(call.parse_error) is failed
    assert not failed or call.arguments_raw == text


@pytest.mark.requirement("AIP-31")
def test_the_wires_own_end_counts_once_and_only_for_a_call(assembler: Assembler) -> None:
    out: list[StreamingEvent] = []
    feed(assembler, {"index": 1, "id": "a", "function": {"name": "f"}})
    for ending in (
        Ending(index=0),
        Ending(index=1),
        Ending(index=1),
        Ending(id="a"),
        Ending(id="zzz"),
        Ending(last=True),
    ):
        assembler.end(ending, out)
    assembler.end_all(out)
    assert short(out) == [("end", "a")]


@pytest.mark.requirement("AIP-31")
def test_a_whole_value_told_at_the_end_counts_only_if_no_piece_came(assembler: Assembler) -> None:
    out: list[StreamingEvent] = []
    for index, piece in ((0, None), (1, '{"x":1}')):
        assembler.add(Fragment(0, index, f"c{index}", "f", piece, fallback='{"x":1}'), out)
    assembler.end_all(out)
    assert [found for _, _, found in calls(assembler)] == [{"x": 1}, {"x": 1}]
    assert [name for name, *_ in short(out)].count("piece") == 2


@pytest.mark.requirement("AIP-30", "AIP-31")
@given(
    st.lists(st.dictionaries(st.text(max_size=4), st.text(max_size=12) | st.integers(), max_size=3), max_size=6),
    st.data(),
)
def test_any_interleaving_of_pieces_gives_the_calls(objects: list[dict[str, Any]], data: st.DataObject) -> None:
    assembler = Assembler()
    texts = [json.dumps(one) for one in objects]
    places = [0] * len(texts)
    events: list[tuple[Any, ...]] = []
    for index in range(len(texts)):
        events += feed(assembler, {"index": index, "id": f"c{index}", "function": {"name": "f"}})
    while open_ones := [index for index, text in enumerate(texts) if places[index] < len(text)]:
        index = data.draw(st.sampled_from(open_ones))
        size = data.draw(st.integers(1, 7))
        piece = texts[index][places[index] : places[index] + size]
        places[index] += size
        (event,) = feed(assembler, {"index": index, "function": {"arguments": piece}})
        assert event == ("piece", f"c{index}", piece, places[index] >= len(texts[index]))
    assert [call.arguments for call in assembler.tool_calls()] == objects
