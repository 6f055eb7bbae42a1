"""The same ChatKit server on the published package and on ours: the same tour gives the same, word for word.

`side/app.py` is written for the published package and has a store of its own; for ours only its import
lines change. Ids and times do not count. Where ours must differ, `DIFFERENT` says why and how: each
change makes of what the published package said exactly what ours must say.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.interop.chatkit.comparing import Told, apart, numbered, played

from dragoman.chatkit.texts import ANSWER_CANCELLED, DEFAULT_ERROR_MESSAGE

pytestmark = [
    pytest.mark.interop,
    pytest.mark.xdist_group("interop-chatkit-side"),
    pytest.mark.requirement("CHK-01"),
]

PLAY = "play.py"
PUBLISHED, OURS = (PLAY, "chatkit", "own"), (PLAY, "dragoman.chatkit", "own")
OURS_WITH_OUR_STORE = (PLAY, "dragoman.chatkit", "memory")

Change = Callable[[Told], None]


# ---------------------------------------------------------------------- what section 12 demands


def changed_widgets(told: Told) -> None:
    """The first was replaced, the second changed by a sync action, the fourth has fields that no class knows."""
    shown = [item["widget"] for item in rows(told) if item["type"] == "widget"]
    if rows(told)[0]["type"] != "user_message":  # newest first
        shown.reverse()
    shown[1].clear()
    shown[1].update(type="Card", children=[{"type": "Text", "value": "synced"}])
    shown[3]["border"] = 1
    shown[3]["children"][0]["scrollable"] = True


def repainted(told: Told) -> None:
    widget = next(item for item in rows(told) if item.get("copy_text") == "copy")["widget"]
    widget["children"] = [{"type": "Text", "value": "repainted"}]


def rows(told: Told) -> list[Told]:
    return list(told["json"]["data"] if "json" in told else told["items"])


def kept_nulls(told: Told) -> None:
    card = told["events"][3]["item"]["widget"]
    for action in (card["confirm"]["action"], *actions_in(card["children"])):
        if action["type"] == "shop.buy":
            action["payload"]["deep"]["a"] = [1, None]


def actions_in(parts: list[Told]) -> Iterator[Told]:
    return (part[name] for part in parts for name in ("onClickAction", "onSubmitAction") if name in part)


def grown_without_names(told: Told) -> None:
    """Upstream's diff saw neither the text without id nor the one in a single child."""
    events = told["events"]
    item_id = events[3]["item"]["id"]

    def root(*children: Told) -> Told:
        update = {"type": "widget.root.updated", "widget": {"type": "Card", "children": list(children)}}
        return {"type": "thread.item.updated", "item_id": item_id, "update": update}

    delta = {"type": "widget.streaming_text.value_delta", "component_id": "t", "delta": "b", "done": True}
    events.insert(4, root({"type": "Markdown", "value": "ab"}))
    events.insert(6, {"type": "thread.item.updated", "item_id": item_id, "update": delta})


def unseen(told: Told) -> None:
    told["events"] = [event for event in told["events"] if event.get("item", {}).get("type") != "hidden_context_item"]


def explained(told: Told) -> None:
    next(event for event in told["events"] if event["type"] == "error")["message"] = DEFAULT_ERROR_MESSAGE


def refused(*errors: str) -> Change:
    def change(told: Told) -> None:
        told.clear()
        told.update(events=[], error=list(errors))

    return change


def answered(told: Told) -> None:
    """An object store kept the thread with its items, which upstream cannot show."""
    shown = copy.deepcopy(played(*PUBLISHED)["thread"]["events"][-1]["thread"])
    items = [event["item"] for event in played(*PUBLISHED)["thread"]["events"] if "item" in event]
    again = [event["item"] for event in played(*PUBLISHED)["after the title"]["events"] if "item" in event]
    told.clear()
    told["json"] = shown | {"items": {"data": items + again, "has_more": False}}


def without_items(told: Told) -> None:
    del told["thread"]["items"]


def in_our_words(told: Told) -> None:
    note = next(item for item in told["items"] if item["type"] == "sdk_hidden_context")
    note["content"] = ANSWER_CANCELLED


def held(**changes: list[Change]) -> Change:
    def change(told: Told) -> None:
        for thread, each in changes.items():
            for one in each:
                one(told[thread.replace("_", " ")])

    return change


def changed_widgets_held(told: Told) -> None:
    changed_widgets({"json": {"data": told["items"]}})


HELD = held(
    widgets=[changed_widgets_held],
    stream=[repainted],
    stop=[in_our_words],
    thread=[without_items],
    custom_error=[without_items],
    coded_error=[without_items],
    unexpected_error=[without_items],
)

DIFFERENT: dict[str, tuple[str, Change]] = {
    "widgets": ("E22: nulls inside action payloads stay", kept_nulls),
    "stream the nameless": ("1.3: no text of a widget goes stale", grown_without_names),
    "unexpected error": ("E19: an unexpected error has a message", explained),
    "retry at nothing": ("E20: retry after an unknown item", refused("NotFoundError")),
    "action of no widget": ("10.1: a bad target is refused, not answered by an error event", refused("ValueError")),
    "hide": ("E29: hidden items leave by no event", unseen),
    "get one whose title changed at once": ("E4: the handler of a first turn gets metadata alone", answered),
    "items of widgets, asc": ("E2, E22: sync actions are stored, unknown fields stay", changed_widgets),
    "items of widgets, desc": ("E2, E22: sync actions are stored, unknown fields stay", changed_widgets),
    "items of stream, asc": ("E2: a root update of a stored widget is stored", repainted),
    "items of stream, desc": ("E2: a root update of a stored widget is stored", repainted),
    "held": ("E2, E4, E22 in the store, 10.9: the note after a stopped answer", HELD),
}


# ---------------------------------------------------------------------- the tests


@pytest.mark.requirement("CHK-04", "CHK-18", "CHK-20")
@pytest.mark.parametrize("ours", [OURS, OURS_WITH_OUR_STORE], ids=["its own store", "our store"])
def test_the_same_server_says_the_same_on_both_packages(ours: tuple[str, ...]) -> None:
    expected, told = copy.deepcopy(played(*PUBLISHED)), copy.deepcopy(played(*ours))
    for step, (_, change) in DIFFERENT.items():
        assert expected[step] != told[step], f"{step} is no different any more"
        change(expected[step])
    for step, each in expected.items():
        if "error" in each:
            assert each["error"][0] in told[step]["error"], step
            each["error"] = told[step]["error"]
    for tour in (expected, told):
        del tour["inventory"]
        if ours == OURS_WITH_OUR_STORE:  # what it keeps was read back over the wire
            del tour["held"]
    assert list(expected) == list(told)
    found = list(apart(numbered(expected), numbered(told)))
    assert found == []


def test_each_difference_is_in_the_tour() -> None:
    assert set(DIFFERENT) <= set(played(*PUBLISHED))


@pytest.mark.requirement("CHK-02", "CHK-39")
@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo"])
def test_the_time_zone_of_the_server_changes_nothing(zone: str) -> None:
    found = list(apart(numbered(played(*OURS)), numbered(played(*OURS, zone=zone))))
    assert found == []


@pytest.mark.requirement("CHK-21")
def test_the_tour_shows_everything_that_the_published_package_knows() -> None:
    tour = played(*PUBLISHED)
    known = tour["inventory"]
    events = [event for step, told in tour.items() if step != "inventory" for event in told.get("events", [])]
    items = [event["item"] for event in events if "item" in event]
    items += [item for thread in tour["held"].values() for item in thread["items"]]
    tasks = [item["task"] for item in items if "task" in item]
    assert {event["type"] for event in events} == set(known["events"])
    assert {event["update"]["type"] for event in events if "update" in event} == set(known["updates"])
    assert {item["type"] for item in items} == set(known["items"])
    assert {task["type"] for task in tasks} == set(known["tasks"])
    assert set(known["widgets"]) <= set(types_in([item.get("widget") for item in items]))


def types_in(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("type"), str):
            yield value["type"]
        for one in value.values():
            yield from types_in(one)
    elif isinstance(value, list):
        for one in value:
            yield from types_in(one)


@pytest.mark.requirement("CHK-21")
def test_our_package_knows_everything_that_the_published_one_does() -> None:
    theirs, ours = played(*PUBLISHED)["inventory"], played(*OURS)["inventory"]
    assert {kind: set(names) - set(ours[kind]) for kind, names in theirs.items()} == {kind: set() for kind in theirs}
