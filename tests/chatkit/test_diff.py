"""The difference of two states of a widget: deltas for growing texts, and the whole widget for anything else."""

from __future__ import annotations

import gc
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.chatkit import diff
from dragoman.chatkit.actions import ActionConfig
from dragoman.chatkit.diff import diff_widget
from dragoman.chatkit.widgets import (
    Box,
    Button,
    Card,
    Col,
    DynamicWidgetComponent,
    DynamicWidgetRoot,
    Markdown,
    Row,
    Text,
    Title,
    Transition,
    WidgetComponentBase,
)

pytestmark = pytest.mark.requirement("CHK-22")

Make = Callable[..., Any]


def dynamic_text(**fields: Any) -> DynamicWidgetComponent:
    return DynamicWidgetComponent.model_validate({"type": "Text", **fields})


def dynamic_card(children: list[WidgetComponentBase]) -> DynamicWidgetRoot:
    return DynamicWidgetRoot(type="Card", children=children)


def told(before: Any, after: Any) -> list[Any]:
    """The updates in short: a delta as (id, delta, done), the whole widget as its object."""
    return [
        one.widget if one.type == "widget.root.updated" else (one.component_id, one.delta, one.done)
        for one in diff_widget(before, after)
    ]


KINDS = pytest.mark.parametrize(
    ("card", "text"),
    [(lambda children: Card(children=children), Text), (dynamic_card, dynamic_text)],
    ids=["strict", "dynamic"],
)


@KINDS
def test_equal_widgets_differ_in_nothing(card: Make, text: Make) -> None:
    assert told(card([]), card([])) == []
    assert told(card([text(value="a", id="t")]), card([text(value="a", id="t")])) == []
    same = card([text(value="a")])
    assert told(same, same) == []


@KINDS
def test_a_text_that_grows_is_told_by_a_delta(card: Make, text: Make) -> None:
    before, after = (card([text(id="t", value=value, streaming=True)]) for value in ("Hello", "Hello, world"))
    assert told(before, after) == [("t", ", world", False)]


@KINDS
def test_a_text_that_does_not_stream_is_done(card: Make, text: Make) -> None:
    assert told(card([text(id="t", value="")]), card([text(id="t", value="a")])) == [("t", "a", True)]
    before, after = (card([text(id="t", value=value, streaming=False)]) for value in ("a", "ab"))
    assert told(before, after) == [("t", "b", True)]


@KINDS
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"id": "t", "value": "a", "streaming": True}, {"id": "t", "value": "ab", "streaming": False}),
        ({"id": "t", "value": "a"}, {"id": "t", "value": "b"}),
        ({"id": "t", "value": "ab"}, {"id": "t", "value": "a"}),
        ({"id": "t", "value": "a"}, {"id": "u", "value": "ab"}),
        ({"id": "t", "value": "a", "key": "k"}, {"id": "t", "value": "ab", "key": "l"}),
        ({"id": "t", "value": "a"}, {"id": "t", "value": "ab", "size": "sm"}),
        ({"id": "t", "value": "a", "color": "red"}, {"id": "t", "value": "ab"}),
        ({"id": "t", "value": "a", "novel": 1}, {"id": "t", "value": "ab", "novel": 2}),
        ({"value": "a"}, {"value": "ab"}),
        ({"value": "a"}, {"value": "b"}),
        ({"id": "", "value": "a"}, {"id": "", "value": "ab"}),
    ],
    ids=[
        "streaming",
        "other",
        "shorter",
        "id",
        "key",
        "new-field",
        "lost-field",
        "novel-field",
        "grown-no-id",
        "changed-no-id",
        "empty-id",
    ],
)
def test_any_other_change_replaces_the_widget(card: Make, text: Make, old: dict[str, Any], new: dict[str, Any]) -> None:
    after = card([text(**new)])
    assert told(card([text(**old)]), after) == [after]


def test_markdown_grows_and_a_title_does_not() -> None:
    assert told(Card(children=[Markdown(id="m", value="a")]), Card(children=[Markdown(id="m", value="ab")])) == [
        ("m", "b", True)
    ]
    after = Card(children=[Title(id="t", value="ab")])
    assert told(Card(children=[Title(id="t", value="a")]), after) == [after]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Card(children=[Text(value="a")]), Card(children=[Markdown(value="a")])),
        (Card(children=[]), Card(children=[Text(value="a")])),
        (Card(children=[Text(value="a")]), Card(children=[Text(value="a"), Text(value="a")])),
        (Card(children=[], size="sm"), Card(children=[], size="md")),
        (Card(children=[Box()]), Card(children=[Box(children=[])])),
        (Card(children=[Box(padding={"top": 1})]), Card(children=[Box(padding={"top": 2})])),
        (
            Card(children=[Button(onClickAction=ActionConfig(type="a", payload=1))]),
            Card(children=[Button(onClickAction=ActionConfig(type="a", payload=2))]),
        ),
        (Card(children=[Transition(children=None)]), Card(children=[Transition(children=Text(value="a"))])),
        (DynamicWidgetRoot(type="Card", children=[]), DynamicWidgetRoot(type="ListView", children=[])),
        (
            DynamicWidgetRoot.model_validate({"type": "Basic", "children": {"type": "Text"}}),
            DynamicWidgetRoot.model_validate({"type": "Basic", "children": [{"type": "Text"}]}),
        ),
    ],
    ids=[
        "type",
        "first-child",
        "more-children",
        "own-field",
        "no-children",
        "nested",
        "payload",
        "single-child",
        "root-type",
        "one-or-several",
    ],
)
def test_a_change_of_structure_replaces_the_widget(before: Any, after: Any) -> None:
    assert told(before, after) == [after]
    assert told(after, before) == [before]


def test_the_single_child_of_a_component_is_compared_too() -> None:
    before, after = (
        Card(children=[Transition(children=Col(children=[Text(id="t", value=value)]))]) for value in ("a", "ab")
    )
    assert told(before, after) == [("t", "b", True)]
    before, after = (Card(children=[Transition(children=Text(value=value))]) for value in ("a", "ab"))
    assert told(before, after) == [after]


def test_several_texts_grow_in_the_order_of_the_tree() -> None:
    def state(first: str, second: str, third: str) -> Card:
        rows = [
            Row(children=[Text(id="1", value=first), Text(value="-")]),
            Markdown(id="2", value=second, streaming=True),
        ]
        return Card(children=[*rows, Box(children=[Text(id="3", value=third)])])

    assert told(state("a", "b", "c"), state("ax", "by", "cz")) == [
        ("1", "x", True),
        ("2", "y", False),
        ("3", "z", True),
    ]
    assert told(state("a", "b", "c"), state("a", "by", "c")) == [("2", "y", False)]


def test_an_id_that_stands_twice_cannot_name_a_text() -> None:
    before, after = (Card(children=[Text(id="t", value=value), Text(id="t", value="x")]) for value in ("a", "ab"))
    assert told(before, after) == [after]
    before, after = (
        Card(children=[Text(id="t", value=value), Transition(children=Box(id="t", children=[]))])
        for value in ("a", "ab")
    )
    assert told(before, after) == [after]


def test_a_stream_of_states_that_share_subtrees_is_told_by_deltas() -> None:
    fixed = Col(children=[Text(id=f"f{number}", value="fixed") for number in range(3)])
    states = [Card(children=[fixed, Text(id="t", value="word" * count)]) for count in range(5)]
    assert [told(old, new) for old, new in pairwise(states)] == [[("t", "word", True)]] * 4


def test_nothing_is_kept_of_widgets_that_are_gone() -> None:
    states = [Card(children=[Text(id="t", value="a" * count)]) for count in range(3)]
    assert len(told(*states[:2])) == 1
    assert diff._known.covers(states[0])
    del states
    gc.collect()
    assert diff._known._widgets == {}


def test_a_class_and_its_dynamic_twin_are_compared_by_their_fields() -> None:
    strict = Card(children=[Text(id="t", value="a", size="sm")])
    twin = DynamicWidgetRoot.model_validate(
        {"type": "Card", "children": [{"type": "Text", "id": "t", "value": "ab", "size": "sm"}]}
    )
    assert told(strict, twin) == [("t", "b", True)]
    assert told(twin, DynamicWidgetRoot.model_validate(twin.model_dump())) == []


def test_children_that_are_no_components_replace_the_widget() -> None:
    before = Card.model_construct(children=[{"type": "Text", "value": "a"}])
    after = Card.model_construct(children=[{"type": "Text", "value": "ab"}])
    assert len(diff_widget(before, after)) == 1


# --------------------------------------------------------------------------- property

texts = st.builds(
    lambda kind, value, id: {"type": kind, "value": value, **({"id": id} if id else {})},
    st.sampled_from(["Text", "Markdown", "Title"]),
    st.text("ab", max_size=3),
    st.sampled_from(["", "x", "y", "z"]),
)
trees = st.recursive(
    texts, lambda inner: st.builds(lambda children: {"type": "Box", "children": children}, st.lists(inner, max_size=3))
)


def applied(tree: Any, id: str, delta: str) -> Any:
    """The tree as a client has it after a delta."""
    if tree.get("id") == id:
        return {**tree, "value": tree["value"] + delta}
    if isinstance(children := tree.get("children"), list):
        return {**tree, "children": [applied(child, id, delta) for child in children]}
    return tree


@given(before=st.lists(trees, max_size=3), after=st.lists(trees, max_size=3))
def test_a_client_that_applies_the_updates_has_the_new_widget(before: list[Any], after: list[Any]) -> None:
    for root in (Card, DynamicWidgetRoot):
        old, new = (root.model_validate({"type": "Card", "children": state}) for state in (before, after))
        shown = old.model_dump(exclude_none=True)
        for update in diff_widget(old, new):
            if update.type == "widget.root.updated":
                shown = update.widget.model_dump(exclude_none=True)
            else:
                shown = applied(shown, update.component_id, update.delta)
        assert shown == new.model_dump(exclude_none=True)
