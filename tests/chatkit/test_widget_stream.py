"""Widgets that change while they are shown, as events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.chatkit.scripted import Scripted, events, said, stored

from dragoman.chatkit.server import stream_widget
from dragoman.chatkit.types import ThreadMetadata, ThreadStreamEvent, WidgetItem
from dragoman.chatkit.widgets import Card, Markdown, Text
from dragoman.testing.chatkit.examples import NOON, THREAD

ANN = ThreadMetadata(id=THREAD, created_at=NOON)


def card(text: str, *, streaming: bool = True, item_id: str | None = "t") -> Card:
    return Card(children=[Text(id=item_id, value=text, streaming=streaming)])


async def states(*roots: Card) -> AsyncIterator[Card]:
    for root in roots:
        yield root


async def told(widget: Any, **options: Any) -> list[dict[str, Any]]:
    return [event.model_dump(exclude_none=True) async for event in stream_widget(ANN, widget, **options)]


@pytest.mark.requirement("CHK-22", "CHK-02")
async def test_a_widget_that_is_ready_is_one_event() -> None:
    (event,) = await told(card("hi"), copy_text="hi", generate_id=lambda kind: f"{kind}_1")
    assert event["type"] == "thread.item.done"
    assert (event["item"]["id"], event["item"]["thread_id"]) == ("message_1", THREAD)
    assert event["item"]["copy_text"] == "hi"
    assert event["item"]["created_at"].tzinfo is not None


@pytest.mark.requirement("CHK-22", "CHK-02")
async def test_a_growing_text_is_added_then_sent_as_deltas_then_done() -> None:
    found = await told(states(card("a"), card("ab"), card("abc")))
    assert [event["type"] for event in found] == [
        "thread.item.added",
        "thread.item.updated",
        "thread.item.updated",
        "thread.item.done",
    ]
    assert [event["update"]["delta"] for event in found[1:3]] == ["b", "c"]
    assert len({event.get("item_id") or event["item"]["id"] for event in found}) == 1
    assert found[3]["item"]["widget"]["children"][0]["value"] == "abc"


@pytest.mark.requirement("CHK-22")
async def test_a_text_without_an_id_is_sent_whole() -> None:
    found = await told(states(card("a", item_id=None), card("ab", item_id=None)))
    assert found[1]["update"]["type"] == "widget.root.updated"


@pytest.mark.requirement("CHK-22")
async def test_equal_states_send_nothing_in_between() -> None:
    found = await told(states(card("a"), card("a")))
    assert [event["type"] for event in found] == ["thread.item.added", "thread.item.done"]


@pytest.mark.requirement("CHK-22")
async def test_no_state_is_no_event() -> None:
    assert await told(states()) == []


@pytest.mark.requirement("CHK-22")
async def test_any_async_iterable_will_do() -> None:
    class Iterable:
        def __aiter__(self) -> AsyncIterator[Card]:
            return states(card("a"), card("b"))

    assert len(await told(Iterable())) == 3


@pytest.mark.requirement("CHK-22", "CHK-19")
async def test_the_source_is_closed_with_the_stream() -> None:
    closed = False

    async def endless() -> AsyncIterator[Card]:
        nonlocal closed
        try:
            while True:
                yield card("a")
        finally:
            closed = True

    stream = stream_widget(ANN, endless())
    await anext(stream)
    await stream.aclose()  # type: ignore[attr-defined]  # a generator
    assert closed


@pytest.mark.requirement("CHK-22", "CHK-21")
async def test_the_last_state_is_stored() -> None:
    async def respond(thread: ThreadMetadata, asked: Any, context: Any) -> AsyncIterator[ThreadStreamEvent]:
        roots = states(Card(children=[Markdown(id="m", value="a")]), Card(children=[Markdown(id="m", value="ab")]))
        async for event in stream_widget(thread, roots):
            yield event

    server = Scripted(respond)
    first = (await events(server, "threads.create", input=said("show")))[0]
    item = (await stored(server, first["thread"]["id"]))[1]
    assert isinstance(item, WidgetItem)
    assert item.widget.model_dump()["children"][0]["value"] == "ab"
