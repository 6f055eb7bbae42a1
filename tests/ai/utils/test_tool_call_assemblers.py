"""Whole calls out of events, one answer or many at a time."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.ai.utils import MultiToolCallAssembler, ToolCallAssembler, ToolCallFragment

pytestmark = pytest.mark.requirement("AIP-96")


def test_pieces_become_calls_in_the_order_of_their_index() -> None:
    assembler = ToolCallAssembler()
    assembler.on_started("b", "second", 1)
    assembler.on_started("a", "first", 0)
    assembler.on_partial("b", '{"y"')
    assembler.on_partial("a", '{"x": 1}')
    assembler.on_partial("b", ": 2}")
    calls = assembler.finalize()
    assert [(call.id, call.function_name, call.arguments) for call in calls] == [
        ("a", "first", {"x": 1}),
        ("b", "second", {"y": 2}),
    ]
    assert [call.arguments_raw for call in calls] == ['{"x": 1}', '{"y": 2}']


def test_calls_without_an_index_keep_the_order_they_began_in() -> None:
    assembler = ToolCallAssembler()
    for name in ("c", "a", "b"):
        assembler.on_started(name, name)
    assert [call.id for call in assembler.finalize()] == ["c", "a", "b"]


def test_a_name_may_come_in_pieces_and_after_the_arguments() -> None:
    assembler = ToolCallAssembler()
    assembler.on_partial("c", "{}")
    assembler.on_name("c", "get_")
    assembler.on_name("c", "weather")
    assert assembler.get_fragment("c") == ToolCallFragment("c", "get_weather", "{}", 0)
    assembler.on_started("c", "get_weather", 4)
    assert assembler.get_fragment("c") == ToolCallFragment("c", "get_weather", "{}", 4)


def test_text_that_does_not_parse_is_kept() -> None:
    assembler = ToolCallAssembler()
    assembler.on_started("c", "f")
    assembler.on_partial("c", '{"a":')
    (call,) = assembler.finalize()
    assert (call.arguments, call.arguments_raw) == ({}, '{"a":')
    assert call.parse_error


def test_an_assembler_is_as_long_as_it_has_calls_and_a_row_of_turns_as_it_has_turns() -> None:
    one, many = ToolCallAssembler(), MultiToolCallAssembler()
    assert (len(one), len(many)) == (0, 0)
    for name in ("a", "b"):
        one.on_started(name, "f")
        many.on_started("turn", name, "f")
    assert (len(one), len(many)) == (2, 1)


def test_an_assembler_can_be_emptied() -> None:
    assembler = ToolCallAssembler()
    assert (assembler.has_tool_calls(), assembler.count, assembler.get_fragment("c")) == (False, 0, None)
    assembler.on_started("c", "f")
    assert (assembler.has_tool_calls(), assembler.count) == (True, 1)
    assert [call.id for call in assembler.finalize()] == ["c"]
    assert [call.id for call in assembler.finalize_and_reset()] == ["c"]
    assert (assembler.finalize(), assembler.has_tool_calls()) == ([], False)


def test_turns_do_not_mix() -> None:
    turns = MultiToolCallAssembler()
    turns.on_started("one", "c", "f")
    turns.on_started("two", "c", "g")
    turns.on_partial("one", "c", '{"a": 1}')
    turns.on_partial("two", "c", '{"b": 2}')
    turns.on_name("two", "c", "!")
    assert turns.turns == ["one", "two"]
    assert [call.arguments for call in turns.finalize_turn("one")] == [{"a": 1}]
    assert {turn: [call.function_name for call in calls] for turn, calls in turns.finalize_all().items()} == {
        "one": ["f"],
        "two": ["g!"],
    }
    assert turns.finalize_turn("three") == []
    turns.reset_turn("one")
    turns.reset_turn("three")
    assert turns.turns == ["two"]
    turns.reset()
    assert turns.finalize_all() == {}


@given(st.dictionaries(st.text(min_size=1), st.text(), max_size=4), st.integers(1, 7))
def test_any_cut_of_the_arguments_gives_the_same_call(arguments: dict[str, str], size: int) -> None:
    text = json.dumps(arguments)
    assembler = ToolCallAssembler()
    assembler.on_started("c", "f")
    for at in range(0, len(text), size):
        assembler.on_partial("c", text[at : at + size])
    (call,) = assembler.finalize()
    assert (call.arguments, call.arguments_raw) == (arguments, text)
