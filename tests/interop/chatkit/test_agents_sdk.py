"""The real OpenAI Agents SDK behind a ChatKit server: through the published bridge and through ours.

`side/bridge.py` is written for the published package; for ours only its import lines change. Runs,
guardrails, tools and the models' events are the SDK's own; the model says what a script wants.
Where the published bridge fails, `MENDED` says why, and what ours gives instead.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest
from tests.interop.chatkit.comparing import Told, apart, numbered, played

from dragoman.chatkit.texts import ANSWER_CANCELLED, DEFAULT_ERROR_MESSAGE

pytestmark = [
    pytest.mark.interop,
    pytest.mark.xdist_group("interop-chatkit-agents"),
    pytest.mark.requirement("CHK-24"),
]

PUBLISHED, OURS = ("play_agents.py", "chatkit"), ("play_agents.py", "dragoman.chatkit")
ANSWER = ["added assistant_message", "content_part.added", "content_part.text_delta"]
DONE = ["content_part.done", "done assistant_message"]
WORKED = [
    "progress_update",
    "added workflow",
    "workflow.task.added",
    "workflow.task.updated",
    "done workflow",
    "done widget",
]
CREATED = ["thread.created", "done user_message", "stream_options"]

MENDED: dict[str, tuple[str, list[str]]] = {
    "an id again": (
        "E1: the model gives two messages of a thread one id",
        ["done user_message", "stream_options", *ANSWER, *["content_part.text_delta"] * 2, *DONE],
    ),
    "cited": (
        "8: an annotation is taken in any shape, also as this SDK parses it",
        [*CREATED, *ANSWER, *["content_part.text_delta"] * 2, *["content_part.annotation_added"] * 2, *DONE],
    ),
    "thought and picked": (
        "E17: a workflow that went on over a client tool is stored again",
        ["stream_options", "done workflow", *ANSWER, "content_part.text_delta", *DONE],
    ),
    "nameless again": (
        "E1: all messages of a model without ids have one id",
        ["done user_message", "stream_options", *ANSWER, "content_part.text_delta", "done assistant_message"],
    ),
    "nameless with a tool": (
        "E1: all messages of a model without ids have one id",
        [
            *CREATED,
            *[*ANSWER, "done assistant_message"],
            *WORKED,
            *[*ANSWER, "content_part.text_delta", "done assistant_message"],
        ],
    ),
}
OWN = {"wait", "held", "inputs", "nameless"}
"""What has a test of its own below."""


def shapes(told: Told) -> list[str]:
    found = []
    for event in told["events"]:
        item, update = event.get("item"), event.get("update")
        kind = event["type"].removeprefix("thread.item.")
        kind = f"{kind} {item['type']}" if item else update["type"] if update else kind
        found.append(kind.removeprefix("assistant_message."))
    return found


def failed(told: Told) -> bool:
    return "error" in shapes(told)


def in_order(told: Told) -> list[Any]:
    """The events; what a tripwire removes comes in any order upstream."""
    gone = sorted(event["item_id"] for event in told["events"] if event["type"] == "thread.item.removed")
    order = iter(gone)
    return [
        {"type": event["type"], "item_id": next(order)} if event["type"] == "thread.item.removed" else event
        for event in told["events"]
    ]


def ids_of_messages(events: list[Any]) -> list[str]:
    items = [event["item"] for event in events if event["type"] == "thread.item.done"]
    return [item["id"] for item in items if item["type"] == "assistant_message"]


def test_the_real_sdk_gives_the_same_events_through_both_bridges() -> None:
    theirs, ours = copy.deepcopy(played(*PUBLISHED)), played(*OURS)
    compared = 0
    for step in theirs.keys() - MENDED.keys() - OWN:
        for event in theirs[step]["events"]:
            if event["type"] == "error":
                event["message"] = DEFAULT_ERROR_MESSAGE
        found = list(apart(in_order(numbered(theirs[step])), in_order(numbered(ours[step]))))
        assert found == [], step
        compared += 1
    assert compared >= 12


@pytest.mark.requirement("CHK-25")
@pytest.mark.parametrize("step", sorted(MENDED))
def test_what_fails_upstream_is_answered_here(step: str) -> None:
    reason, expected = MENDED[step]
    assert failed(played(*PUBLISHED)[step]), f"mended upstream: {reason}"
    assert shapes(played(*OURS)[step]) == expected


@pytest.mark.requirement("CHK-25")
def test_each_message_of_a_model_without_ids_has_an_id_of_its_own() -> None:
    ours = played(*OURS)
    ids = []
    for step in ("nameless", "nameless again", "nameless with a tool"):
        events = ours[step]["events"]
        done = ids_of_messages(events)
        touched = [event["item_id"] for event in events if "content_part" in event.get("update", {}).get("type", "")]
        assert set(touched) == set(done)
        ids += done
    assert len(set(ids)) == len(ids) == 4
    assert "__fake_id__" not in ids


@pytest.mark.requirement("CHK-06", "CHK-25")
def test_the_next_turn_gets_what_was_said_before() -> None:
    told = [str(each) for each in played(*OURS)["inputs"]["inputs"]]
    assert any("nameless one back" in each and "nameless two" in each for each in told)
    assert any("function_call_output" in each and "chosen" in each for each in told)


@pytest.mark.requirement("CHK-25")
def test_a_workflow_over_two_turns_is_stored_once() -> None:
    items = played(*OURS)["held"]["think and pick"]["items"]
    kinds = [item["type"] for item in items]
    assert kinds == ["user_message", "workflow", "client_tool_call", "assistant_message"]
    assert "duration" in items[1]["workflow"]["summary"]


@pytest.mark.parametrize("step", ["trip input", "trip output"])
def test_a_tripwire_leaves_nothing_of_the_answer(step: str) -> None:
    told = played(*OURS)
    assert [item["type"] for item in told["held"][step]["items"]] == ["user_message"]
    assert shapes(told[step])[-1] == "error"
    assert "never kept" not in str(told["held"][step])


@pytest.mark.requirement("CHK-19")
def test_stopping_reaches_the_model_and_what_was_said_is_stored() -> None:
    told = played(*OURS)
    assert told["wait"]["model_was_left"]
    asked, answer, note = told["held"]["wait"]["items"]
    assert asked["type"] == "user_message"
    assert answer["content"][0]["text"] == "half an "
    assert note["content"] == ANSWER_CANCELLED
