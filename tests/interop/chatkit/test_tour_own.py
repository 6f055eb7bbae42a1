"""The tour over a user's own `ChatKitServer` behind the server's face: every hook, every item, every event of its own."""

from __future__ import annotations

import itertools
import json
import re
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest
from tests.conftest import RunningServer, start_server
from tests.interop.chatkit.speaking import Document, Speaker, answer_of, deltas, done, kinds, message, text_of

HERE = Path(__file__).parent
FORM = {"why": {"values": ["because"], "skipped": False}, "colour": {"values": ["red", "blue"], "skipped": False}}


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    server = start_server("own_app:app", data=tmp_path_factory.mktemp("own") / "data", folder=HERE)
    yield server
    server.stop()


@pytest.fixture
def user(own_server: RunningServer, speakers: Callable[..., Speaker]) -> Speaker:
    return speakers(f"acme.{uuid.uuid4().hex}", own_server.url)


@pytest.mark.requirement("CHK-04", "CHK-39")
@pytest.mark.parametrize("word", ["image", "workflow", "card", "form", "call", "other"])
def test_every_item_is_read_back_as_it_was_streamed(user: Speaker, word: str) -> None:
    thread, events = user.begin(word)
    stored = user.items(thread)
    assert events[-1]["type"] == "thread.item.done"
    assert stored == done(events)
    assert all(re.search(r"(Z|\+00:00)$", item["created_at"]) for item in stored)
    assert user.ask("threads.get_by_id", thread_id=thread)["items"]["data"] == stored


@pytest.mark.requirement("CHK-04")
def test_events_that_are_no_items_pass_as_they_are(user: Speaker) -> None:
    thread, events = user.begin("events")
    assert kinds(events)[-3:] == ["progress_update", "client_effect", "notice"]
    assert len(user.items(thread)) == 2


@pytest.mark.requirement("CHK-17")
def test_hidden_items_are_kept_and_never_sent(user: Speaker) -> None:
    thread, events = user.begin("hidden")
    for number in range(3):
        events += user.say(thread, "hidden") + user.say(thread, f"w{number}")
    assert "hidden" not in {item["type"].partition("_")[0] for item in done(events)}
    pages = [user.ask("items.list", thread_id=thread, order=order, limit=9) for order in ("asc", "desc")]
    for page in pages:
        assert len(page["data"]) == 9
        assert page["has_more"] is True
        assert not [item for item in page["data"] if "hidden" in item["type"]]
    assert len(user.items(thread)) == 10
    last = user.ask("items.list", thread_id=thread, order="asc", limit=10)
    assert last["has_more"] is False


@pytest.mark.requirement("CHK-18")
def test_what_a_responder_changes_of_its_thread_is_told_and_kept(user: Speaker) -> None:
    thread, events = user.begin("close it")
    updated = [one["thread"] for one in events if one["type"] == "thread.updated"]
    assert [one["title"] for one in updated] == ["Closed"]
    assert updated[0]["metadata"] == {}
    assert user.ask("threads.get_by_id", thread_id=thread)["title"] == "Closed"


@pytest.mark.requirement("CHK-12")
def test_actions_and_what_they_make_of_a_widget_stay(user: Speaker) -> None:
    thread, events = user.begin("card")
    (card,) = done(events, "widget")

    def shown() -> str:
        (widget,) = [item for item in user.items(thread) if item["id"] == card["id"]]
        return str(widget["widget"]["children"][0]["value"])

    replaced = user.act(thread, card["id"], {"type": "count.replace", "payload": {"n": 7}})
    assert replaced[-1]["item"]["widget"]["children"][0]["value"] == "Count: 7" == shown()
    user.act(thread, card["id"], {"type": "count.update"})
    assert shown() == "Count: updated"
    click: Document = {"thread_id": thread, "action": {"type": "count.sync"}}
    answer = user.ask("threads.sync_custom_action", **click, item_id=card["id"])
    assert answer["updated_item"]["id"] == card["id"]
    assert shown() == "Count: synced"
    assert user.ask("threads.sync_custom_action", **click) == {}
    assert answer_of(user.act(thread, None, {"type": "hello"})) == "hello of the page"
    said = done(events, "user_message")[0]["id"]
    assert user.post("threads.sync_custom_action", **click, item_id=said).status_code == 400
    assert user.post("threads.custom_action", **click, item_id=said).status_code == 400


@pytest.mark.requirement("CHK-14")
def test_structured_input_is_answered_once(user: Speaker) -> None:
    thread, events = user.begin("form")
    (form,) = done(events, "structured_input")
    submit = {"thread_id": thread, "item_id": form["id"], "input": {"status": "answered", "answers": FORM}}
    answered = user.stream("threads.add_structured_input", **submit)
    (item,) = [one["item"] for one in answered if one["type"] == "thread.item.replaced"]
    assert item["status"] == "answered"
    values = {one["id"]: one["answer"]["values"] for one in item["inputs"]}
    assert values == {"colour": ["red"], "why": ["because"]}
    assert answer_of(answered) == "continued after structured_input"
    assert user.post("threads.add_structured_input", **submit).status_code == 409
    assert next(one for one in user.items(thread) if one["id"] == form["id"]) == item


@pytest.mark.requirement("CHK-14")
def test_structured_input_is_skipped(user: Speaker) -> None:
    thread, events = user.begin("form")
    skip = {"status": "skipped", "answers": {}}
    item_id = done(events, "structured_input")[0]["id"]
    skipped = user.stream("threads.add_structured_input", thread_id=thread, item_id=item_id, input=skip)
    (item,) = [one["item"] for one in skipped if one["type"] == "thread.item.replaced"]
    assert item["status"] == "skipped"
    assert all(one["answer"]["skipped"] for one in item["inputs"])


@pytest.mark.requirement("CHK-13")
def test_a_client_tool_of_ones_own_server(user: Speaker) -> None:
    thread, events = user.begin("call")
    assert events[-1]["item"]["status"] == "pending"
    after = user.stream("threads.add_client_tool_output", thread_id=thread, result={"ok": True})
    assert answer_of(after) == "continued after client_tool_call"
    assert user.items(thread)[1]["output"] == {"ok": True}
    assert user.post("threads.add_client_tool_output", thread_id=thread, result=1).status_code == 409


@pytest.mark.requirement("CHK-16")
def test_dictation(user: Speaker) -> None:
    heard = user.ask("input.transcribe", audio_base64="AAAA", mime_type="audio/webm;codecs=opus")
    assert heard == {"text": "3 bytes of audio/webm"}
    assert user.post("input.transcribe", audio_base64="AAAA" * 1024 * 1024, mime_type="audio/webm").status_code == 200
    assert user.post("input.transcribe", audio_base64="not base64!", mime_type="audio/webm").status_code in (400, 422)


@pytest.mark.requirement("CHK-20")
def test_errors_of_a_responder_are_one_event_and_tell_nothing_they_should_not(user: Speaker) -> None:
    thread, events = user.begin("fail try later")
    told = {name: events[-1][name] for name in ("type", "code", "message", "allow_retry")}
    assert told == {"type": "error", "code": "custom", "message": "try later", "allow_retry": True}
    events = user.say(thread, "break")
    assert (events[-1]["type"], events[-1]["code"], events[-1]["allow_retry"]) == ("error", "stream.error", True)
    assert "secret" not in json.dumps(events)
    assert events[-1]["message"]
    assert answer_of(user.say(thread, "well")) == "you said well"


def once_free(user: Speaker, thread: str, text: str) -> list[Document]:
    """Say it as soon as the server has heard that the reader before is gone; until then the thread is busy."""
    until = time.monotonic() + 10
    while True:
        told = user.post("threads.add_user_message", thread_id=thread, input=message(text))
        if told.status_code != 409:
            break
        assert time.monotonic() < until, told.text
    assert told.status_code == 200, told.text
    return [json.loads(block[6:]) for block in told.text.split("\n\n") if block.startswith("data: ")]


@pytest.mark.requirement("CHK-19", "CHK-37")
def test_a_stream_with_a_stop_button_is_stopped_by_hanging_up(user: Speaker) -> None:
    with user.open("threads.create", input=message("slow 500")) as events:
        begun = list(itertools.islice(events, 6))
    thread = begun[0]["thread"]["id"]
    assert answer_of(once_free(user, thread, "after")) == "you said after"
    stored = user.items(thread)
    assert [item["type"] for item in stored] == ["user_message", "assistant_message"] * 2
    assert text_of(stored[1]).startswith("".join(deltas(begun)))
    assert len(text_of(stored[1]).split()) < 100


@pytest.mark.requirement("CHK-32", "CHK-37")
def test_a_stream_without_a_stop_button_goes_on_without_its_reader(user: Speaker) -> None:
    body = json.dumps({"type": "threads.create", "params": {"input": message("slow 30")}, "metadata": {"stop": False}})
    headers = {"authorization": f"Bearer {user.token}"}
    with httpx2.stream("POST", f"{user.url}/chatkit", content=body, headers=headers, trust_env=False) as answer:
        lines = (line for line in answer.iter_lines() if line.startswith("data: "))
        thread = json.loads(next(lines)[6:])["thread"]["id"]
        assert json.loads(list(itertools.islice(lines, 2))[1][6:])["stream_options"] == {"allow_cancel": False}
    statuses = set()
    while "assistant_message" not in [item["type"] for item in user.items(thread)]:
        busy = user.post("threads.update", thread_id=thread, title="still going")
        statuses.add(busy.status_code)
    assert text_of(user.items(thread)[1]) == "".join(f"{number} " for number in range(30))
    assert statuses <= {200}


@pytest.mark.requirement("CHK-32")
def test_another_message_is_refused_while_one_is_answered(user: Speaker) -> None:
    with user.open("threads.create", input=message("slow 200")) as events:
        thread = next(events)["thread"]["id"]
        next(events)
        refused = user.post("threads.add_user_message", thread_id=thread, input=message("hi"))
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "thread_busy")
        assert "retry-after" in refused.headers
        assert answer_of(user.begin("elsewhere")[1]) == "you said elsewhere"


@pytest.mark.requirement("CHK-31")
def test_silence_is_filled_with_comments(user: Speaker, own_server: RunningServer) -> None:
    body = json.dumps({"type": "threads.create", "params": {"input": message("slow 5")}})
    headers = {"authorization": f"Bearer {user.token}"}
    told = httpx2.post(f"{own_server.url}/chatkit", content=body, headers=headers, trust_env=False).text
    assert set(re.findall(r"^:.*$", told, re.MULTILINE)) <= {": ping"}
    assert told.endswith("\n\n")


@pytest.mark.requirement("CHK-30")
def test_the_context_says_who_calls_and_with_what(user: Speaker, own_server: RunningServer) -> None:
    body = {"type": "threads.create", "params": {"input": message("whoami")}, "metadata": {"page": "home"}}
    headers = {"authorization": f"Bearer {user.token}", "x-my-app": "shop"}
    told = httpx2.post(f"{own_server.url}/chatkit", json=body, headers=headers, trust_env=False).text
    name = user.token.removeprefix("acme.")
    assert repr(("acme", name, "shop", {"page": "home"})) in told


@pytest.mark.requirement("CHK-30")
def test_tenants_and_users_are_strangers(
    user: Speaker, own_server: RunningServer, speakers: Callable[..., Speaker]
) -> None:
    thread, _ = user.begin("card")
    name = user.token.removeprefix("acme.")
    for token in (f"other.{name}", "acme.somebody"):
        stranger = speakers(token, own_server.url)
        assert thread not in [one["id"] for one in stranger.ask("threads.list")["data"]]
        for op in ("threads.get_by_id", "items.list", "threads.delete"):
            foreign = stranger.post(op, thread_id=thread)
            unknown = stranger.post(op, thread_id="thr_" + "0" * 32)
            assert (foreign.status_code, foreign.content) == (404, unknown.content), op


@pytest.mark.requirement("CHK-15")
def test_a_form_with_a_file_makes_an_attachment_at_once(user: Speaker, own_server: RunningServer) -> None:
    made = user.raw("POST", "/chatkit/upload", files={"file": ("a.txt", b"abc", "text/plain")})
    assert made.status_code == 200, made.text
    attachment = made.json()
    assert (attachment["type"], attachment["name"], attachment["mime_type"]) == ("file", "a.txt", "text/plain")
    assert "upload_descriptor" not in attachment
    events = user.begin("hi", attachments=(attachment["id"],))[1]
    assert [one["id"] for one in done(events, "user_message")[0]["attachments"]] == [attachment["id"]]
    refused = user.raw("POST", "/chatkit/upload", files={"file": ("a.html", b"<b>", "application/xhtml+xml")})
    assert refused.status_code == 415
    assert httpx2.post(f"{own_server.url}/chatkit/upload", content=b"x", trust_env=False).status_code == 401
