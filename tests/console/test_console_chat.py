"""The chat in a real browser: questions, decisions, forms and files; reloads, restarts and other tabs in the middle of an answer."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect
from tests.console.driving import (
    LOSS,
    NARROW,
    REFUSAL,
    Visitor,
    answer,
    approval,
    field,
    numbers,
    send,
    settled,
    thread_of,
)

pytestmark = pytest.mark.xdist_group("console-chat")
Visit = Callable[..., Visitor]


def types_of(visitor: Visitor, run: str) -> list[str]:
    return [event["type"] for event in visitor.own("GET", f"/runs/{run}/events?limit=1000")["events"]]


@pytest.mark.requirement("KAI-62")
def test_a_question_is_answered_and_stays(visitor: Visitor) -> None:
    page = visitor.open()
    send(page, "echo: **hello** `world`")
    expect(answer(page).locator("strong")).to_have_text("hello")
    expect(answer(page).locator("code")).to_have_text("world")
    settled(page)
    page.reload()
    expect(page.get_by_role("article", name="You")).to_contain_text("echo: **hello** `world`")
    expect(answer(page).locator("strong")).to_have_text("hello")
    [run] = visitor.runs_of(page)
    assert (run["status"], run["face"]) == ("completed", "kai")
    expect(page.get_by_role("link", name=re.compile("hello"))).to_have_attribute("aria-current", "page")


def test_reasoning_is_folded_until_it_is_opened(visitor: Visitor) -> None:
    page = visitor.open()
    send(page, "reason: why so")
    expect(answer(page)).to_contain_text("why so")
    expect(page.get_by_text("thinking about why so")).to_have_count(0)
    page.get_by_role("button", name="Reasoning").click()
    expect(page.get_by_text("thinking about why so")).to_be_visible()


def test_a_tool_call_shows_what_went_in_and_came_out(visitor: Visitor) -> None:
    page = visitor.open()
    send(page, "tool: add 2 40")
    expect(answer(page)).to_contain_text("42")
    call = page.get_by_role("region", name="Tool add: done")
    call.get_by_role("button").first.click()
    expect(call.get_by_label("Input", exact=True)).to_contain_text('"b": 40')
    expect(call.get_by_label("Output", exact=True)).to_have_text("42")


@pytest.mark.requirement("KAI-44")
def test_what_is_approved_is_what_runs(visitor: Visitor) -> None:
    page = visitor.open()
    send(page, "approve: create_bucket photos")
    expect(approval(page).get_by_label("Arguments", exact=True)).to_have_text(
        re.compile(r'^\{\s*"name": "photos"\s*\}$')
    )
    approval(page).get_by_role("button", name="Approve", exact=True).click()
    expect(answer(page)).to_contain_text("created photos")
    expect(approval(page)).to_have_count(0)
    settled(page)
    [run] = visitor.runs_of(page)
    assert run["status"] == "completed"
    assert types_of(visitor, run["id"]).count("tool.output") == 1


@pytest.mark.requirement("KAI-44")
def test_what_is_denied_does_not_run_and_the_agent_is_told_why(visitor: Visitor) -> None:
    page = visitor.open()
    send(page, "approve: create_bucket photos")
    approval(page).get_by_role("button", name="Deny…").click()
    reason = approval(page).get_by_role("textbox", name="Why it is denied")
    reason.fill("too dear")
    reason.press("Enter")
    expect(page.get_by_role("region", name="Tool create_bucket: denied")).to_be_visible()
    expect(answer(page).get_by_text("denied", exact=True).last).to_be_visible()
    settled(page)
    [run] = visitor.runs_of(page)
    events = visitor.own("GET", f"/runs/{run['id']}/events?limit=1000")["events"]
    [decided] = [event["payload"] for event in events if event["type"] == "tool.approval_decided"]
    assert (decided["approved"], decided["reason"]) == (False, "too dear")
    assert "tool.output" not in types_of(visitor, run["id"])


def test_a_tool_that_is_always_allowed_does_not_ask_again(visitor: Visitor) -> None:
    page = visitor.open()
    send(page, "approve: create_bucket first")
    approval(page).get_by_role("button", name="Always allow this tool").click()
    expect(answer(page)).to_contain_text("created first")
    settled(page)
    send(page, "approve: create_bucket second")
    expect(answer(page)).to_contain_text("created second")
    expect(approval(page)).to_have_count(0)


def test_a_decision_shows_in_another_tab_by_itself(visitor: Visitor) -> None:
    one = visitor.open()
    send(one, "approve: create_bucket shared")
    expect(approval(one)).to_be_visible()
    other = visitor.open(f"/console/chat/{thread_of(one)}")
    expect(approval(other)).to_be_visible()
    approval(one).get_by_role("button", name="Approve", exact=True).click()
    for page in (one, other):
        expect(answer(page)).to_contain_text("created shared")
        expect(approval(page)).to_have_count(0)


@pytest.mark.parametrize("second", ["Approve", "Deny"])
def test_of_two_tabs_that_decide_at_once_one_decides(visit: Visit, second: str) -> None:
    visitor = visit(expected=REFUSAL)  # the one that comes second is told so
    one = visitor.open()
    send(one, "approve: create_bucket contested")
    expect(approval(one)).to_be_visible()
    other = visitor.open(f"/console/chat/{thread_of(one)}")
    expect(approval(other)).to_be_visible()
    if second == "Deny":
        approval(other).get_by_role("button", name="Deny…").click()
    button = approval(other).get_by_role("button", name=second, exact=True).element_handle()
    assert button is not None
    # neither waits for what the other does
    approval(one).get_by_role("button", name="Approve", exact=True).evaluate(
        "button => setTimeout(() => button.click(), 0)"
    )
    button.evaluate("button => button.click()")
    settled(one)
    expect(approval(one)).to_have_count(0)
    expect(approval(other)).to_have_count(0)
    expect(answer(one)).to_contain_text(re.compile("created contested|denied"))
    [run] = visitor.runs_of(one)
    types = types_of(visitor, run["id"])
    assert types.count("tool.approval_decided") == 1
    outcome = "created contested" if "tool.output" in types else "denied"
    for page in (one, other):
        expect(answer(page)).to_contain_text(outcome)


@pytest.mark.requirement("KAI-48")
def test_an_answer_goes_on_after_a_reload(visitor: Visitor) -> None:
    page = visitor.open()
    send(page, "slow: 60 100")  # long enough for a page to be loaded on a busy machine
    expect(answer(page)).to_contain_text("1 2 3")
    page.reload()
    expect(answer(page)).to_contain_text("1 2 3")
    expect(page.get_by_role("button", name="Stop the answer")).to_be_visible()
    expect(answer(page)).to_contain_text(numbers(60))
    settled(page)
    [run] = visitor.runs_of(page)
    assert run["status"] == "completed"


@pytest.mark.requirement("KAI-48")
def test_an_answer_goes_on_after_the_server_was_killed(visit: Visit, serve: Callable[..., Any]) -> None:
    server = serve()
    visitor = visit(server.url, expected=LOSS)
    page = visitor.open()
    send(page, "slow: 40 50")
    expect(answer(page)).to_contain_text("1 2 3")
    server.kill()
    expect(page.get_by_text("Connection to the server lost")).to_be_visible()
    serve("--demo", data=server.data, port=int(server.url.rpartition(":")[2]))
    expect(page.get_by_text("Connection to the server lost")).to_have_count(0)
    expect(answer(page)).to_contain_text(numbers(40), timeout=30_000)
    settled(page)
    [run] = visitor.runs_of(page)
    assert run["status"] == "completed"
    assert "step.restarted" in types_of(visitor, run["id"])


DOUBLED = """() => {
  window.doubled = [];
  const look = () => {
    const said = document.querySelector('article[aria-label=Answer]')?.innerText ?? '';
    if (/\\b3\\b[^]*\\b1 2 3\\b/.test(said)) doubled.push(said);
    requestAnimationFrame(look);
  };
  look();
}"""
"""Watches for an answer that says again what it had said."""


@pytest.mark.requirement("KAI-48")
def test_what_an_attempt_had_said_that_broke_off_is_never_shown_beside_the_next(
    visit: Visit, serve: Callable[..., Any]
) -> None:
    server = serve()
    visitor = visit(server.url, expected=LOSS)
    page = visitor.open()
    page.evaluate(DOUBLED)
    send(page, "slow: 40 50")
    expect(answer(page)).to_contain_text("1 2 3 4")
    server.kill()
    expect(page.get_by_text("Connection to the server lost")).to_be_visible()
    serve("--demo", data=server.data, port=int(server.url.rpartition(":")[2]))
    expect(answer(page)).to_contain_text(numbers(40), timeout=30_000)
    settled(page)
    assert page.evaluate("() => doubled") == []


def test_a_changed_question_is_sent_once_the_server_is_back(visit: Visit, serve: Callable[..., Any]) -> None:
    server = serve()
    visitor = visit(server.url, expected=LOSS)
    page = visitor.open()
    send(page, "echo: one")
    expect(answer(page)).to_contain_text("one")
    settled(page)
    question = page.get_by_role("article", name="You")
    question.hover()
    question.get_by_role("button", name="Edit and send again").click()
    server.kill()
    editor = page.get_by_role("form", name="Edit message")
    editor.get_by_role("textbox").fill("echo: two")
    editor.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_text("goes on when the server is back").last).to_be_visible()
    expect(question).to_contain_text("echo: two")
    serve("--demo", data=server.data, port=int(server.url.rpartition(":")[2]))
    expect(answer(page)).to_contain_text("two", timeout=30_000)
    settled(page)
    page.reload()
    expect(question).to_have_text(re.compile("^echo: two"))
    expect(answer(page)).to_contain_text("two")


def test_a_change_that_is_refused_stays_in_its_field(visit: Visit, serve: Callable[..., Any]) -> None:
    visitor = visit(serve(environment={"DRAGOMAN_KAI__BUSY": "reject"}).url, expected=REFUSAL)
    page = visitor.open()
    send(page, "echo: one")
    expect(answer(page)).to_contain_text("one")
    settled(page)
    page.get_by_role("article", name="You").hover()
    page.get_by_role("button", name="Edit and send again").click()
    editor = page.get_by_role("form", name="Edit message").get_by_role("textbox")
    editor.fill("echo: two")
    other = visitor.open(page.url)
    send(other, "slow: 100 50")
    expect(answer(other)).to_contain_text("1 2 3")
    editor.press("Enter")  # before this tab has seen that the other one is at it, or after: nothing is lost
    expect(editor).to_have_value("echo: two")
    other.get_by_role("button", name="Stop the answer").click()
    settled(other)
    expect(page.get_by_role("button", name="Stop the answer")).to_have_count(0)
    expect(editor).to_have_value("echo: two")
    editor.press("Enter")
    expect(answer(page)).to_contain_text("two")


def test_a_message_that_is_to_be_hidden_is_not_shown(visitor: Visitor) -> None:
    thread = uuid.uuid4().hex
    message = {
        "id": "context",
        "role": "user",
        "parts": [{"type": "text", "text": "echo: seen"}],
        "metadata": {"hidden": True},
    }
    sent = visitor.context.request.post(
        "/api/chat", data={"id": thread, "message": message}, headers={"origin": visitor.url}
    )
    assert sent.ok, sent.text()
    page = visitor.open(f"/console/chat/{thread}")
    expect(answer(page)).to_contain_text("seen")
    expect(page.get_by_role("article", name="You")).to_have_count(0)


def test_stop_ends_the_model_call(visitor: Visitor) -> None:
    page = visitor.open()
    send(page, "slow: 200 100")
    expect(answer(page)).to_contain_text("1 2 3")
    page.get_by_role("button", name="Stop the answer").click()
    expect(page.get_by_text("This answer was stopped.")).to_be_visible()
    settled(page)
    [run] = visitor.runs_of(page)
    assert run["status"] == "cancelled"
    trace = visitor.own("GET", f"/runs/{run['id']}/trace")
    assert [(step["kind"], step["status"]) for step in trace["steps"] if step["kind"] == "model"] == [
        ("model", "cancelled")
    ]
    assert trace["duration"] < 15
    assert types_of(visitor, run["id"])[-1] == "run.cancelled"


def test_what_a_form_is_given_reaches_the_agent(visitor: Visitor) -> None:
    page = visitor.open()
    send(page, "widget: form")
    form = page.get_by_role("region", name="Form: ask_name")
    form.get_by_placeholder("Your name").fill("Ada Lovelace")
    form.get_by_role("button", name="Send", exact=True).click()
    expect(answer(page)).to_contain_text("Ada Lovelace")
    expect(form).to_have_count(0)
    page.reload()
    expect(answer(page)).to_contain_text("Ada Lovelace")


def test_a_file_goes_with_the_question_and_can_be_fetched_again(visitor: Visitor) -> None:
    page = visitor.open()
    page.locator("input[type=file]").set_input_files(
        {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"x" * 2048}
    )
    expect(page.get_by_role("list", name="Files of this message")).to_contain_text("2.0 kB")
    expect(page.get_by_label("Uploading")).to_have_count(0)
    send(page, "files")
    expect(answer(page)).to_contain_text("notes.txt")
    settled(page)
    page.reload()
    link = page.get_by_role("list", name="Attached files").get_by_role("link", name="notes.txt")
    assert link.evaluate("async link => (await (await fetch(link.href)).text()).length") == 2048


def test_what_is_typed_after_a_file_was_chosen_is_the_message(visitor: Visitor) -> None:
    page = visitor.open()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Attach files").click()
    expect(field(page)).to_be_focused()  # also if no file is chosen
    chooser.value.set_files({"name": "notes.txt", "mimeType": "text/plain", "buffer": b"x"})
    page.keyboard.type("What is in this file?")
    expect(field(page)).to_have_value("What is in this file?")
    page.get_by_role("button", name="Remove notes.txt").click()
    expect(field(page)).to_be_focused()


def test_after_whatever_was_pressed_in_a_thread_one_writes_on(visitor: Visitor) -> None:
    page = visitor.open()
    send(page, "approve: create_bucket photos")
    approval(page).get_by_role("button", name="Approve", exact=True).click()
    expect(field(page)).to_be_focused()
    expect(page.get_by_role("region", name="Tool create_bucket: approved · done")).to_be_visible()
    settled(page)
    page.get_by_role("button", name="Answer again").click()
    expect(field(page)).to_be_focused()
    approval(page).get_by_role("button", name="Deny…").click()
    approval(page).get_by_role("button", name="Deny", exact=True).click()
    expect(field(page)).to_be_focused()
    settled(page)
    for button in ("Cancel", "Send"):
        page.get_by_role("article", name="You").hover()
        page.get_by_role("button", name="Edit and send again").click()
        editor = page.get_by_role("form", name="Edit message")
        editor.get_by_role("textbox").fill("slow: 200 100")
        editor.get_by_role("button", name=button, exact=True).click()
        expect(field(page)).to_be_focused()
    page.get_by_role("button", name="Stop the answer").click()
    expect(field(page)).to_be_focused()
    settled(page)
    expect(page.get_by_role("heading", name="slow: 200 100")).to_be_visible()  # the title goes with the question


@pytest.mark.parametrize("is_new", [True, False], ids=["new thread", "old thread"])
def test_stop_holds_although_the_server_has_not_yet_taken_what_was_sent(visitor: Visitor, is_new: bool) -> None:
    page = visitor.open()
    if is_new:
        visitor.expected.append(REFUSAL)  # of a thread that is not there yet
    else:
        send(page, "echo: first")
        settled(page)
    held: list[Any] = []
    page.route("**/api/chat", lambda route: held.append(route))
    with page.expect_request("**/api/chat"):
        send(page, "slow: 200 100")
    with page.expect_response(re.compile("/stop$")):  # refused, or about nothing: there is no answer yet
        page.get_by_role("button", name="Stop the answer").click()
    with page.expect_response(re.compile("/stop$")) as stopped:
        held[0].continue_()
    assert stopped.value.status == 200
    settled(page)
    assert visitor.own("GET", "/runs")["runs"][0]["status"] == "cancelled"


def test_on_a_narrow_page_escape_closes_the_list_and_buttons_stand_in_one_row(visit: Visit) -> None:
    page = visit(size=NARROW).open()
    threads = page.get_by_role("button", name="Threads", exact=True)
    threads.click()
    page.get_by_role("searchbox", name="Search threads").focus()
    page.keyboard.press("Escape")
    expect(page.get_by_role("searchbox", name="Search threads")).to_have_count(0)
    expect(threads).to_be_focused()
    send(page, "echo: one")
    settled(page)
    page.get_by_role("article", name="You").hover()
    page.get_by_role("button", name="Edit and send again").click()
    editor = page.get_by_role("form", name="Edit message")
    cancel, again = (editor.get_by_role("button", name=name, exact=True).bounding_box() for name in ("Cancel", "Send"))
    assert cancel is not None
    assert again is not None
    assert cancel["y"] == again["y"]


@pytest.mark.requirement("KAI-63")
def test_an_answer_can_be_asked_for_again_and_a_question_changed(visitor: Visitor) -> None:
    page = visitor.open()
    send(page, "echo: one")
    expect(answer(page)).to_contain_text("one")
    settled(page)
    page.get_by_role("button", name="Answer again").click()
    expect(page.get_by_role("article", name="Answer")).to_have_count(1)
    settled(page)
    question = page.get_by_role("article", name="You")
    question.hover()
    question.get_by_role("button", name="Edit and send again").click()
    editor = page.get_by_role("form", name="Edit message")
    editor.get_by_role("textbox").fill("echo: two")
    editor.get_by_role("button", name="Send", exact=True).click()
    expect(answer(page)).to_contain_text("two")
    expect(page.get_by_role("article", name="You")).to_have_text(re.compile("^echo: two"))
    settled(page)
    page.reload()
    expect(page.get_by_role("article", name="You")).to_have_text(re.compile("^echo: two"))
    expect(answer(page)).to_contain_text("two")


def test_a_vote_is_kept(visitor: Visitor) -> None:
    page = visitor.open()
    send(page, "echo: good")
    settled(page)
    up = answer(page).get_by_role("button", name=re.compile("good|helpful|up", re.I)).first
    up.click()
    expect(up).to_have_attribute("aria-pressed", "true")
    page.reload()
    expect(answer(page).locator('[aria-pressed="true"]')).to_have_count(1)


def test_a_failed_answer_says_why_and_can_be_tried_again(visitor: Visitor) -> None:
    page = visitor.open()
    send(page, "fail: the disk is full")
    expect(page.get_by_role("alert").filter(has_text="the disk is full")).to_be_visible()
    expect(page.get_by_role("button", name="Try again")).to_be_visible()


def test_a_thread_of_another_face_is_found_and_goes_on(visitor: Visitor) -> None:
    started = visitor.ask("echo: begun elsewhere")
    page = visitor.open()
    search = page.get_by_role("searchbox", name="Search threads")
    search.fill("begun elsewhere")
    page.get_by_role("link", name=re.compile("begun elsewhere")).click()
    page.wait_for_url(re.compile(re.escape(started["thread"])))
    expect(answer(page)).to_contain_text("begun elsewhere")
    send(page, "recall")
    expect(answer(page)).to_contain_text("echo: begun elsewhere")
