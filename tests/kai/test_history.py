"""Stored items → messages: grouping, steps, tool states, what is left out."""

import pytest

from dragoman.core.records import Item, Thread
from dragoman.kai.history import messages, summary


def user(item_id="u1", parts=None, **more):
    return Item(item_id, "message", "user", 10.0, {"parts": parts or [{"type": "text", "text": "hi"}]}, **more)


def part(kind, body, item_id="i", answer="a1", step=1, **more):
    return Item(item_id, kind, "assistant", 11.5, body, answer=answer, step=step, **more)


@pytest.mark.requirement("KAI-50")
def test_items_of_one_answer_are_one_message_with_a_mark_before_each_step():
    found = messages(
        [
            user(),
            part("reasoning", {"text": "hm"}),
            part(
                "tool_call", {"call": "c1", "name": "add", "input": {"a": 2}, "state": "output-available", "output": 5}
            ),
            part("message", {"text": "5"}, step=2),
        ]
    )
    assert [message["role"] for message in found] == ["user", "assistant"]
    assert found[0] == {
        "id": "u1",
        "role": "user",
        "parts": [{"type": "text", "text": "hi"}],
        "createdAt": "1970-01-01T00:00:10.000Z",
    }
    assert found[1]["id"] == "a1"
    assert found[1]["parts"] == [
        {"type": "step-start"},
        {"type": "reasoning", "text": "hm", "state": "done"},
        {
            "type": "tool-add",
            "toolCallId": "c1",
            "state": "output-available",
            "input": {"a": 2},
            "output": {"result": 5},
        },
        {"type": "step-start"},
        {"type": "text", "text": "5", "state": "done"},
    ]
    assert "metadata" not in found[1]


@pytest.mark.requirement("KAI-50")
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"state": "approval-requested", "approval": {"id": "p1"}}, {"approval": {"id": "p1"}}),
        (
            {"state": "output-denied", "approval": {"id": "p1", "approved": False, "reason": "no", "system": True}},
            {"approval": {"id": "p1", "approved": False, "reason": "no"}},
        ),
        ({"state": "output-error", "error": "broke"}, {"errorText": "broke"}),
    ],
)
def test_a_tool_part_says_its_state_and_never_null(body, expected):
    call = part("tool_call", {"call": "c1", "name": "x", "input": {}, **body})
    told = messages([call])[0]["parts"][1]
    assert told == {"type": "tool-x", "toolCallId": "c1", "state": body["state"], "input": {}, **expected}


@pytest.mark.requirement("KAI-49", "KAI-50")
def test_an_answer_that_was_cut_is_marked_even_if_nothing_of_it_is_left():
    end = {"status": "interrupted", "answer": "a1"}
    kept = messages([user(), part("message", {"text": "par"}), part("end_of_turn", {}, **end)])
    assert kept[1]["metadata"] == {"interrupted": True}
    assert kept[1]["parts"][1]["text"] == "par"
    empty = messages([user(), part("end_of_turn", {}, **end), user("u2")])
    assert [message["role"] for message in empty] == ["user", "assistant", "user"]
    assert empty[1]["parts"] == []


@pytest.mark.requirement("KAI-59", "KAI-73")
def test_metadata_files_and_parts_of_pages_come_back_as_they_were_sent():
    sent = [{"type": "text", "text": "hi"}, {"type": "data-cursor", "data": 3}]
    metadata = {"hidden": True, "requestContext": {"path": "/x"}}
    found = messages([user(extra={"kai": {"metadata": metadata, "parts": sent}})])
    assert (found[0]["parts"], found[0]["metadata"]) == (sent, metadata)
    file = {"type": "file", "url": "data:,x", "media_type": "text/plain", "name": "x.txt"}
    found = messages([user(parts=[file])])
    assert found[0]["parts"] == [{"type": "file", "mediaType": "text/plain", "url": "data:,x", "filename": "x.txt"}]


@pytest.mark.requirement("KAI-73")
def test_items_beside_text_are_parts_and_hidden_or_transient_ones_are_not():
    found = messages(
        [
            part("source", {"id": "s", "url": "https://x"}, "i1"),
            part("data", {"name": "chart", "data": 1}, "i2"),
            part("data", {"name": "usage", "data": 1, "transient": True}, "i3"),
            part("hidden", {"note": "x"}, "i4"),
            part("file", {"url": "data:,x", "media_type": "text/plain", "name": "x.txt"}, "i5"),
        ]
    )
    assert found[0]["parts"][1:] == [
        {"type": "source-url", "sourceId": "s", "url": "https://x"},
        {"type": "data-chart", "data": 1},
        {"type": "file", "url": "data:,x", "mediaType": "text/plain", "filename": "x.txt"},
    ]


@pytest.mark.requirement("KAI-48")
def test_an_answer_under_way_can_be_left_out():
    assert [m["id"] for m in messages([user(), part("message", {"text": "x"})], hidden={"a1"})] == ["u1"]


@pytest.mark.requirement("KAI-50")
def test_a_summary_is_never_without_title_or_user():
    told = summary(Thread("t", "p", "", 0.0, 1.25))
    assert told["title"]
    assert told["userId"]
    assert told["updatedAt"] == "1970-01-01T00:00:01.250Z"
