"""The tour of ChatKit's wire over a real demo server: what it streams and what it keeps.

All requests, answers and events are judged by the published types as they pass (`speaking.Speaker`).
"""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from tests.interop.chatkit.speaking import Speaker, actions, answer_of, deltas, done, kinds, message, text_of

pytestmark = pytest.mark.requirement("CHK-04", "CHK-39")


# --------------------------------------------------------------------------- messages


@pytest.mark.requirement("CHK-05", "CHK-31")
def test_a_new_thread_comes_first_then_the_message_then_the_answer(user: Speaker) -> None:
    thread, events = user.begin("echo: hi there")
    assert [kind for kind in kinds(events) if kind != "assistant_message.content_part.done"] == [
        "thread.created",
        "thread.item.done",
        "stream_options",
        "thread.item.added",
        "assistant_message.content_part.added",
        "assistant_message.content_part.text_delta",
        "thread.item.done",
    ]
    created = events[0]["thread"]
    assert re.fullmatch(r"thr_[0-9a-f]{32}", created["id"])
    assert created["items"]["data"] == []
    assert created["created_at"].endswith("Z")
    assert created["metadata"] == {}
    assert created["status"] == {"type": "active"}
    assert answer_of(events) == "hi there" == "".join(deltas(events))
    assert user.head["content-type"].startswith("text/event-stream")
    assert user.head["x-accel-buffering"] == "no"
    assert user.head["cache-control"] == "no-cache, no-transform"
    assert "content-encoding" not in user.head
    assert re.fullmatch(r"[0-9a-f-]{36}", user.run)
    assert user.items(thread) == done(events)


@pytest.mark.requirement("CHK-06")
def test_a_thread_goes_on_and_remembers(user: Speaker) -> None:
    thread, first = user.begin("echo: alpha")
    second = user.say(thread, "recall")
    assert kinds(second)[0] == "thread.item.done"
    assert answer_of(second) == "echo: alpha"
    assert user.items(thread) == done(first) + done(second)


@pytest.mark.requirement("CHK-07")
def test_tags_quotes_and_options_of_a_message_are_kept_and_come_back(user: Speaker) -> None:
    tag = {"type": "input_tag", "id": "t-1", "text": "Ada", "data": {"n": 1}, "group": "people", "interactive": True}
    content = [{"type": "input_text", "text": "echo: hello"}, tag]
    options = {"model": "demo", "tool_choice": {"id": "add"}}
    said = {"content": content, "attachments": [], "quoted_text": "a line", "inference_options": options}
    events = user.stream("threads.create", input=said)
    item = done(events, "user_message")[0]
    assert {name: item[name] for name in said} == said
    assert user.items(item["thread_id"])[0] == item
    refused = user.post("threads.create", input=message("echo: hi", inference_options={"model": "no-such-model"}))
    assert refused.status_code == 400
    assert "no-such-model" in refused.json()["error"]["message"]


def test_a_count_is_so_many_deltas(user: Speaker) -> None:
    _, events = user.begin("count: 40")
    found = deltas(events)
    assert len(found) == 40
    assert "".join(found) == answer_of(events) == " ".join(map(str, range(1, 41)))


def test_reasoning_is_a_workflow_of_thoughts_before_the_answer(user: Speaker) -> None:
    thread, events = user.begin("reason: why")
    workflow, answer = done(events, "workflow")[0], done(events, "assistant_message")[0]
    assert workflow["workflow"]["type"] == "reasoning"
    thoughts = [task["content"] for task in workflow["workflow"]["tasks"]]
    assert "".join(thoughts) == "thinking about why"
    assert text_of(answer) == "why"
    stored = user.items(thread)
    assert [item["id"] for item in stored[1:]] == [workflow["id"], answer["id"]]
    assert stored[1:] == [workflow, answer]


@pytest.mark.requirement("CHK-27")
def test_a_tool_of_the_server_is_progress_and_a_workflow_of_one_task(user: Speaker) -> None:
    thread, events = user.begin("tool: add 2 3")
    progress = [one for one in events if one["type"] == "progress_update"]
    assert [one["text"] for one in progress] == ["add"]
    workflow = done(events, "workflow")[0]["workflow"]
    (task,) = workflow["tasks"]
    assert workflow["type"] == "custom"
    assert task["title"] == "add"
    assert task["status_indicator"] == "complete"
    assert "5" in task["content"]
    assert "5" in answer_of(events)
    assert user.items(thread) == done(events)


def test_every_item_that_is_added_comes_to_an_end(user: Speaker) -> None:
    for text in ("echo: a", "count: 5", "reason: b", "tool: add 1 2", "approve: create_bucket c", "fail: d"):
        _, events = user.begin(text)
        added = {one["item"]["id"] for one in events if one["type"] == "thread.item.added"}
        ended = {one["item"]["id"] for one in events if one["type"] in ("thread.item.done", "thread.item.replaced")}
        ended |= {one["item_id"] for one in events if one["type"] == "thread.item.removed"}
        assert added <= ended or events[-1]["type"] == "error", text


# --------------------------------------------------------------------------- approvals, forms, client tools


@pytest.mark.requirement("CHK-12", "CHK-28")
@pytest.mark.parametrize(("decision", "answer"), [("approval.approve", "created photos"), ("approval.deny", "denied")])
def test_an_approval_is_a_card_whose_buttons_decide_once(user: Speaker, decision: str, answer: str) -> None:
    thread, events = user.begin("approve: create_bucket photos")
    card = done(events, "widget")[-1]
    live = actions(card["widget"])
    assert card["widget"]["type"] == "Card"
    assert set(live) == {"approval.approve", "approval.deny"}
    assert live[decision]["payload"]["approval"]

    decided = user.act(thread, card["id"], live[decision])
    (replaced,) = [one["item"] for one in decided if one["type"] == "thread.item.replaced"]
    assert replaced["id"] == card["id"]
    assert actions(replaced["widget"]) == {}
    assert answer in answer_of(decided)

    again = user.act(thread, card["id"], live["approval.approve"])
    assert [one["type"] for one in again if one["type"] != "stream_options"] == ["notice"]
    stored = user.items(thread)
    assert [item for item in stored if item["id"] == card["id"]] == [replaced]
    assert sum(answer in text_of(item) for item in stored if item["type"] == "assistant_message") == 1


@pytest.mark.requirement("CHK-28")
def test_an_undecided_approval_does_not_block_the_thread(user: Speaker) -> None:
    thread, events = user.begin("approve: create_bucket later")
    card = done(events, "widget")[-1]
    live = actions(card["widget"])
    assert answer_of(user.say(thread, "echo: never mind")).endswith("never mind")
    late = user.act(thread, card["id"], live["approval.approve"])
    assert "created later" not in answer_of(late)
    stored = next(item for item in user.items(thread) if item["id"] == card["id"])
    assert actions(stored["widget"]) == {}


def test_a_form_asks_and_the_answer_has_its_values(user: Speaker) -> None:
    thread, events = user.begin("widget: form")
    card = done(events, "widget")[-1]
    live = actions(card["widget"])
    assert card["widget"]["type"] == "Card"
    assert set(live) == {"form.submit"}
    inputs = [one for one in _nodes(card["widget"]) if one.get("type") == "Input"]
    assert [one["name"] for one in inputs] == ["name"]
    submit = live["form.submit"]
    filled = {"type": submit["type"], "payload": {"name": "Grace Hopper", **(submit.get("payload") or {})}}
    answered = user.act(thread, card["id"], filled)
    assert "Grace Hopper" in answer_of(answered)
    (replaced,) = [one["item"] for one in answered if one["type"] == "thread.item.replaced"]
    assert replaced["id"] == card["id"]
    assert actions(replaced["widget"]) == {}
    repeated = user.act(thread, card["id"], filled)
    assert answer_of(repeated) == ""


def _nodes(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, dict):
        return [value, *itertools.chain.from_iterable(_nodes(inner) for inner in value.values())]
    return list(itertools.chain.from_iterable(_nodes(inner) for inner in value)) if isinstance(value, list) else []


@pytest.mark.requirement("CHK-13")
def test_a_tool_of_the_client_ends_the_stream_and_its_output_continues(user: Speaker) -> None:
    thread, events = user.begin('client: get_time {"zone": "UTC"}')
    call = events[-1]["item"]
    assert events[-1]["type"] == "thread.item.done"
    assert call["type"] == "client_tool_call"
    assert (call["status"], call["name"], call["arguments"]) == ("pending", "get_time", {"zone": "UTC"})
    after = user.stream("threads.add_client_tool_output", thread_id=thread, result={"time": "12:00"})
    assert '"12:00"' in answer_of(after)
    stored = next(item for item in user.items(thread) if item["id"] == call["id"])
    assert stored["status"] == "completed"
    assert stored["output"] == {"time": "12:00"}
    late = user.post("threads.add_client_tool_output", thread_id=thread, result=1)
    assert late.status_code == 409


@pytest.mark.requirement("CHK-13")
def test_a_call_that_the_client_left_behind_blocks_nothing(user: Speaker) -> None:
    thread, _ = user.begin("client: get_time {}")
    assert answer_of(user.say(thread, "echo: moving on")) == "moving on"
    assert user.post("threads.add_client_tool_output", thread_id=thread, result=1).status_code == 409


# --------------------------------------------------------------------------- failing, retrying, stopping


@pytest.mark.requirement("CHK-08", "CHK-20")
def test_a_failure_is_one_error_event_and_the_message_can_be_tried_again(user: Speaker) -> None:
    thread, events = user.begin("fail: the disk is on fire")
    assert events[-1]["type"] == "error"
    told = {name: events[-1][name] for name in ("code", "message", "allow_retry")}
    assert told == {"code": "custom", "message": "the disk is on fire", "allow_retry": True}
    assert sum(one["type"] == "error" for one in events) == 1
    assert user.items(thread) == done(events)
    assert [item["type"] for item in done(events)] == ["user_message", "end_of_turn"]
    again = user.stream("threads.retry_after_item", thread_id=thread, item_id=done(events, "user_message")[0]["id"])
    assert again[-1]["type"] == "error"
    assert again[-1]["message"] == "the disk is on fire"
    assert answer_of(user.say(thread, "echo: still here")) == "still here"


@pytest.mark.requirement("CHK-08")
def test_a_retry_drops_all_that_followed_the_message(user: Speaker) -> None:
    thread, first = user.begin("echo: one")
    user.say(thread, "echo: two")
    user.say(thread, "tool: add 1 1")
    question = done(first, "user_message")[0]
    again = user.stream("threads.retry_after_item", thread_id=thread, item_id=question["id"])
    assert kinds(again)[0] == "stream_options"
    assert answer_of(again) == "one"
    stored = user.items(thread)
    assert stored == [question, *done(again)]


@pytest.mark.requirement("CHK-08")
def test_a_retry_needs_a_message_of_the_user(user: Speaker) -> None:
    thread, events = user.begin("echo: one")
    answer = done(events, "assistant_message")[0]["id"]
    refused = user.post("threads.retry_after_item", thread_id=thread, item_id=answer)
    assert refused.status_code == 400
    assert "user message" in refused.json()["error"]["message"]
    missing = user.post("threads.retry_after_item", thread_id=thread, item_id="msg_" + "0" * 32)
    assert missing.status_code == 404
    assert user.items(thread) == done(events)


def has_ended(user: Speaker, run: str) -> None:
    deadline = time.monotonic() + 10
    while user.raw("GET", f"/dragoman/v1/runs/{run}").json()["status"] in ("queued", "running"):
        assert time.monotonic() < deadline, "the run of a reader who left goes on"


@pytest.mark.requirement("CHK-19", "CHK-37")
def test_who_hangs_up_has_stopped_the_answer_and_what_was_said_stays(user: Speaker) -> None:
    with user.open("threads.create", input=message("slow: 1000 50")) as events:
        begun = list(itertools.islice(events, 8))
    assert {"type": "stream_options", "stream_options": {"allow_cancel": True}} in begun
    thread, said = begun[0]["thread"]["id"], "".join(deltas(begun))
    has_ended(user, user.run)  # when the server notices that a reader has gone is the network's affair
    assert answer_of(user.say(thread, "recall")) == "slow: 1000 50"
    stored = user.items(thread)
    turn = ["user_message", "assistant_message"]
    assert [item["type"] for item in stored] == [*turn, "end_of_turn", *turn]
    kept = text_of(stored[1])
    assert kept.startswith(said.rstrip())
    assert len(kept.split()) < 100


@pytest.mark.requirement("CHK-32")
def test_one_answer_at_a_time_per_thread_and_as_many_as_there_are_threads(user: Speaker) -> None:
    with user.open("threads.create", input=message("slow: 200 30")) as events:
        thread = next(events)["thread"]["id"]
        list(itertools.islice(events, 4))
        refused = user.post("threads.add_user_message", thread_id=thread, input=message("echo: too early"))
        assert refused.status_code == 409
        assert refused.json()["error"]["code"] == "thread_busy"
        _, other = user.begin("echo: elsewhere")
        assert answer_of(other) == "elsewhere"
    assert [item["type"] for item in user.items(thread)][:1] == ["user_message"]


@pytest.mark.requirement("CHK-37")
def test_a_running_answer_can_be_read_again_by_its_run(user: Speaker) -> None:
    _, events = user.begin("count: 3")
    run = user.raw("GET", f"/dragoman/v1/runs/{user.run}/events", headers={"accept": "application/json"})
    assert run.status_code == 200
    deltas_stored = [one["payload"]["delta"] for one in run.json()["events"] if one["type"] == "block.delta"]
    assert "".join(deltas_stored) == answer_of(events) == "1 2 3"


# --------------------------------------------------------------------------- threads and items


@pytest.mark.requirement("CHK-09")
def test_threads_are_read_renamed_listed_and_deleted(user: Speaker) -> None:
    ids = [user.begin(f"echo: {number}")[0] for number in range(3)]
    got = user.ask("threads.get_by_id", thread_id=ids[0])
    assert [item["type"] for item in got["items"]["data"]] == ["user_message", "assistant_message"]
    renamed = user.ask("threads.update", thread_id=ids[0], title="First of all")
    assert renamed["title"] == "First of all"
    assert renamed["items"]["data"] == []
    newest = user.ask("threads.list")
    assert [one["id"] for one in newest["data"]] == ids[::-1]
    assert newest["has_more"] is False
    assert newest["data"][-1]["title"] == "First of all"
    assert newest["data"][0]["items"]["data"] == []
    page = user.ask("threads.list", order="asc", limit=2)
    assert [one["id"] for one in page["data"]] == ids[:2]
    assert page["has_more"]
    assert page["after"] == ids[1]
    rest = user.ask("threads.list", order="asc", limit=2, after=page["after"])
    assert [one["id"] for one in rest["data"]] == ids[2:]
    assert not rest["has_more"]
    assert rest.get("after") is None
    user.ask("threads.delete", thread_id=ids[1])
    assert [one["id"] for one in user.ask("threads.list", order="asc")["data"]] == [ids[0], ids[2]]
    for op, more in (("threads.get_by_id", {}), ("threads.update", {"title": "x"}), ("threads.delete", {})):
        assert user.post(op, thread_id=ids[1], **more).status_code == 404, op


@pytest.mark.requirement("CHK-10", "CHK-17")
def test_pages_of_items_are_full_and_lose_nothing_in_both_orders(user: Speaker) -> None:
    thread, _ = user.begin("echo: 0")
    for number in range(1, 6):
        user.say(thread, f"echo: {number}")
    whole = user.items(thread)
    assert len(whole) == 12
    for order, expected in (("asc", whole), ("desc", whole[::-1])):
        found: list[Any] = []
        more: dict[str, Any] = {}
        for _ in range(3):
            page = user.ask("items.list", thread_id=thread, order=order, limit=4, **more)
            assert len(page["data"]) == 4
            found += page["data"]
            more = {"after": page.get("after")}
        assert found == expected
        assert page["has_more"] is False
        assert page.get("after") is None
    assert user.ask("threads.get_by_id", thread_id=thread)["items"]["data"] == whole
    assert len(user.ask("items.list", thread_id=thread, limit=0)["data"]) == 12  # no number means twenty
    assert user.post("items.list", thread_id=thread, after="msg_" + "0" * 32).status_code == 404
    assert user.post("items.list", thread_id="thr_" + "0" * 32).status_code == 404


@pytest.mark.requirement("CHK-11")
def test_feedback_is_kept_and_only_admins_read_it(user: Speaker, speakers: Callable[..., Speaker]) -> None:
    thread, events = user.begin("echo: rate me")
    answer = done(events, "assistant_message")[0]["id"]
    user.ask("items.feedback", thread_id=thread, item_ids=[answer], kind="negative")
    user.ask("items.feedback", thread_id=thread, item_ids=[answer], kind="positive")
    unknown = {"thread_id": thread, "item_ids": ["msg_" + "0" * 32], "kind": "positive"}
    assert user.post("items.feedback", **unknown).status_code == 404
    assert user.post("items.feedback", **(unknown | {"thread_id": "thr_" + "0" * 32})).status_code == 404
    assert user.raw("GET", "/chatkit/feedback").status_code == 403
    read = speakers("demo-you").raw("GET", f"/chatkit/feedback?thread_id={thread}")
    assert read.status_code == 200
    (row,) = read.json()["data"]
    assert (row["thread_id"], row["item_id"], row["kind"]) == (thread, answer, "positive")


# --------------------------------------------------------------------------- other faces


@pytest.mark.requirement("CHK-06")
def test_a_chat_of_kai_goes_on_here_and_back(user: Speaker) -> None:
    chat = "0190c0de-0000-7000-8000-%012x" % (hash(user.token) & (1 << 48) - 1)
    kai = {"x-storageapi-token": user.token, "x-storageapi-url": user.url}
    said = {"id": f"m-{chat}", "role": "user", "parts": [{"type": "text", "text": "echo: from kai"}]}
    body = {"id": chat, "message": said, "selectedChatModel": "chat-model", "selectedVisibilityType": "private"}
    assert "from kai" in user.raw("POST", "/api/chat", json=body, headers=kai).text
    (listed,) = user.ask("threads.list")["data"]
    thread = listed["id"]
    assert thread == "thr_" + chat.replace("-", "")
    assert answer_of(user.say(thread, "recall")) == "echo: from kai"
    assert [item["type"] for item in user.items(thread)] == ["user_message", "assistant_message"] * 2
    history = user.raw("GET", f"/api/chat/{chat}", headers=kai).json()
    texts = [[part["text"] for part in one["parts"] if part["type"] == "text"] for one in history["messages"]]
    assert texts == [["echo: from kai"], ["from kai"], ["recall"], ["echo: from kai"]]
    said = said | {"id": f"n-{chat}", "parts": [{"type": "text", "text": "recall"}]}
    assert '"recall"' in user.raw("POST", "/api/chat", json=body | {"message": said}, headers=kai).text
    assert len(user.items(thread)) == 6
