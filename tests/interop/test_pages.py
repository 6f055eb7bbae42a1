"""The real `useChat` in a real browser: a stranger's React page, of another origin, against a server that a user started.

The page (`pages/chat.jsx`) is bundled with `ai` 6 and with `ai` 7, for its developer and under StrictMode. Whatever
happens to it, in the end it shows what the server has stored, without one complaint on the browser's console.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from tests.conftest import start_server
from tests.interop.environments import HERE, browser_page, pinned
from tests.interop.visiting import CONFLICT, LOSS, Stranger, Tab, served

RELEASES = ["ai6", "ai7"]
SLOW = "slow: 50 50"
COUNTED = " ".join(str(number) for number in range(1, 51))

pytestmark = [pytest.mark.interop, pytest.mark.requirement("KAI-77")]
Visit = Callable[..., Stranger]


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=pytest.mark.xdist_group(f"interop-pages-{name}")) for name in RELEASES],
)
def release(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def folder(release: str, node_environment: dict[str, str]) -> Path:
    return browser_page(release, node_environment)


@pytest.fixture(scope="module")
def origin(folder: Path) -> Iterator[str]:
    """Where the page comes from."""
    with served(folder) as origin:
        yield origin


class Mortal:
    """A server of the demo that allows pages of one origin, and can be killed and started again where it was."""

    def __init__(self, data: Path, origin: str) -> None:
        self._data = data
        self._settings = {"DRAGOMAN_CORS__ORIGINS": origin}
        self._running = start_server("--demo", data=data, environment=self._settings)
        self.url = self._running.url

    def kill(self) -> None:
        self._running.kill()

    def start(self) -> None:
        if self._running.process.poll() is not None:
            port = int(self.url.rpartition(":")[2])
            self._running = start_server("--demo", data=self._data, environment=self._settings, port=port)

    def stop(self) -> None:
        self._running.stop()


@pytest.fixture(scope="module")
def server(origin: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mortal]:
    server = Mortal(tmp_path_factory.mktemp("pages") / "data", origin)
    yield server
    server.stop()


@pytest.fixture
def visit(chromium: Browser, origin: str, server: Mortal) -> Iterator[Visit]:
    """A function that brings a stranger, a new one each time; at the end none may have a complaint."""
    strangers: list[Stranger] = []

    def bring(expected: str | None = None) -> Stranger:
        strangers.append(Stranger(chromium, origin, server.url, expected))
        return strangers[-1]

    yield bring
    complaints = [complaint for stranger in strangers for complaint in stranger.close()]
    server.start()  # a test that failed may have left it dead
    assert complaints == []


@pytest.fixture
def stranger(visit: Visit) -> Stranger:
    return visit()


def waiting(tab: Tab, name: str) -> None:
    """Ask for a bucket and wait until the page asks back."""
    tab.send(f"approve: create_bucket {name}")
    expect(tab.state("create_bucket")).to_have_text("approval-requested")
    tab.expect_status("ready")


# ------------------------------------------------------------------------------------ messages


@pytest.mark.requirement("KAI-62", "KAI-71")
def test_what_the_hook_sends_by_itself_is_answered_and_kept(stranger: Stranger) -> None:
    tab = stranger.open()
    tab.ask("echo: žluťoučký \u2028 kůň 😀")
    expect(tab.text).to_have_text("žluťoučký \u2028 kůň 😀")
    tab.ask("reason: the sky")
    tab.ask("tool: add 2 3")
    expect(tab.text).to_have_text("5")
    expect(tab.state("add")).to_have_text("output-available")
    shown = tab.settled()
    assert [role for _, role, _ in shown] == ["user", "assistant"] * 3
    for body in stranger.asked:
        assert set(body) == {"id", "messages", "trigger"}
        assert body["id"] == tab.chat
    assert [one["id"] for one in stranger.asked[-1]["messages"]] == [one for one, _, _ in shown[:-1]]
    tab.page.reload()
    expect(tab.answers).to_have_count(3)
    assert tab.settled() == shown


@pytest.mark.requirement("KAI-62", "KAI-48")
def test_a_page_chooses_the_id_of_its_chat_and_may_ask_for_it_before_it_is_there(stranger: Stranger) -> None:
    tab = stranger.open(new="room.7:a_B-c")
    tab.expect_status("ready")
    tab.ask("echo: x")
    assert tab.chat == "room.7:a_B-c"
    tab.settled()


@pytest.mark.requirement("KAI-62")
def test_the_servers_history_wins_over_the_pages(stranger: Stranger) -> None:
    old = stranger.open()
    old.ask("echo: one")
    new = stranger.open(chat=old.chat)
    new.ask("echo: two")
    old.ask("recall")  # this page does not know of the second message
    expect(old.text).to_have_text("echo: two")
    assert len(old.shown()) == 4
    old.page.reload()
    expect(old.answers).to_have_count(3)
    expect(old.text).to_have_text("echo: two")
    old.settled()


@pytest.mark.requirement("KAI-71")
def test_a_page_of_an_origin_that_is_not_allowed_gets_nothing_said(
    chromium: Browser, folder: Path, server: Mortal
) -> None:
    with served(folder) as elsewhere:
        stranger = Stranger(chromium, elsewhere, server.url, expected="blocked by CORS policy|net::ERR_FAILED")
        tab = stranger.open()
        tab.send("echo: x")
        expect(tab.failure).to_be_visible()
        assert stranger.read("/api/history")["chats"] == []
        assert stranger.close() == []


@pytest.mark.requirement("KAI-46", "KAI-63")
def test_an_answer_that_failed_says_why_and_is_tried_again(stranger: Stranger) -> None:
    tab = stranger.open()
    tab.send("fail: out of cheese")
    tab.expect_status("error")
    expect(tab.failure).to_contain_text("out of cheese")
    first = tab.shown()[-1][0]
    tab.button("Retry").click()
    expect(tab.page.locator(f"[data-message='{first}']")).to_have_count(0)
    expect(tab.answers).to_have_count(1)
    expect(tab.failure).to_contain_text("out of cheese")
    assert tab.shown() == stranger.stored(tab.chat)
    tab.ask("echo: on")
    tab.settled()


# ------------------------------------------------------------------------------------ regenerate, edit


@pytest.mark.requirement("KAI-63")
def test_an_answer_is_given_again_in_place_of_the_old_one(stranger: Stranger) -> None:
    tab = stranger.open()
    tab.ask("echo: one")
    tab.ask("tool: add 20 3")
    before = tab.settled()
    tab.button("Again").last.click()
    expect(tab.page.locator(f"[data-message='{before[-1][0]}']")).to_have_count(0)
    expect(tab.text).to_have_text("23")
    after = tab.settled()
    assert after[:3] == before[:3]
    tab.button("Again").first.click()
    expect(tab.answers).to_have_count(1)
    expect(tab.text).to_have_text("one")
    assert tab.settled()[0] == before[0]
    assert [body["trigger"] for body in stranger.asked[2:]] == ["regenerate-message"] * 2


@pytest.mark.requirement("KAI-63")
def test_a_message_is_changed_and_what_followed_is_gone(stranger: Stranger) -> None:
    tab = stranger.open()
    tab.ask("echo: one")
    tab.ask("echo: two")
    before = tab.settled()
    tab.button("Edit").first.click()
    expect(tab.page.get_by_label("Message", exact=True)).to_have_value("echo: one")
    tab.send("echo: changed")
    expect(tab.text).to_have_text("changed")
    [question, _] = tab.settled()
    assert (question[0], question[2]) == (before[0][0], [{"type": "text", "text": "echo: changed"}])
    tab.ask("recall")
    expect(tab.text).to_have_text("echo: changed")
    tab.page.reload()
    expect(tab.answers).to_have_count(2)
    tab.settled()


# ------------------------------------------------------------------------------------ approvals


@pytest.mark.requirement("KAI-44")
def test_what_is_approved_runs_and_the_answer_goes_on_by_itself(stranger: Stranger) -> None:
    tab = stranger.open()
    waiting(tab, "photos")
    assert tab.settled()[1][2][-1]["input"] == {"name": "photos"}
    tab.button("Approve").click()
    expect(tab.text).to_have_text("created photos")
    shown = tab.settled()
    assert [part["type"] for part in shown[1][2]] == ["tool-create_bucket", "text"]
    assert shown[1][2][0]["output"] == {"name": "photos", "status": "created"}
    assert len(stranger.asked) == 2
    assert stranger.events(tab.chat).count("tool.output") == 1
    tab.page.reload()
    expect(tab.text).to_have_text("created photos")
    assert tab.settled() == shown


@pytest.mark.requirement("KAI-44")
def test_what_is_denied_does_not_run_and_the_reason_is_kept(stranger: Stranger) -> None:
    tab = stranger.open()
    waiting(tab, "photos")
    tab.page.get_by_label("Reason").fill("not today")
    tab.button("Deny").click()
    expect(tab.text).to_have_text("denied")
    [_, (_, _, [call, _])] = tab.settled()
    assert (call["state"], call["approval"]["approved"], call["approval"]["reason"]) == (
        "output-denied",
        False,
        "not today",
    )
    assert "tool.output" not in stranger.events(tab.chat)


@pytest.mark.requirement("KAI-44", "KAI-45")
@pytest.mark.parametrize("second", ["Approve", "Deny"])
def test_of_two_tabs_the_first_decides(visit: Visit, second: str) -> None:
    stranger = visit(expected=CONFLICT)
    one = stranger.open()
    waiting(one, "shared")
    other = stranger.open(chat=one.chat)
    expect(other.state("create_bucket")).to_have_text("approval-requested")
    one.button("Approve").click()
    expect(one.text).to_have_text("created shared")
    other.button(second).click()
    if second == "Approve":
        expect(other.state("create_bucket")).to_have_text("output-available")
        other.expect_status("ready")
        expect(other.failure).to_have_count(0)
    else:
        expect(other.failure).to_contain_text("conflict:approval")
    other.page.reload()
    expect(other.text).to_have_text("created shared")
    assert other.settled() == one.settled()
    assert stranger.events(one.chat).count("tool.output") == 1


@pytest.mark.requirement("KAI-44", "KAI-45")
def test_a_call_that_waits_gives_way_to_a_new_message(stranger: Stranger) -> None:
    tab = stranger.open()
    waiting(tab, "photos")
    tab.ask("echo: never mind")
    expect(tab.text).to_have_text("never mind")
    tab.page.reload()
    expect(tab.state("create_bucket")).to_have_text("output-denied")
    tab.settled()


# ------------------------------------------------------------------------------------ leaving and coming back


@pytest.mark.requirement("KAI-48")
def test_an_answer_goes_on_after_a_reload_and_in_a_second_tab(stranger: Stranger) -> None:
    tab = stranger.open()
    tab.send(SLOW)
    expect(tab.text).to_contain_text("1 2 3")
    assert tab.resume()
    expect(tab.text).to_contain_text("1 2 3")
    other = stranger.open(chat=tab.chat)
    for each in (tab, other):
        expect(each.text).to_have_text(COUNTED)
    assert tab.settled() == other.settled()
    assert len(stranger.asked) == 1


@pytest.mark.requirement("KAI-48")
def test_an_answer_is_finished_without_its_page(stranger: Stranger) -> None:
    tab = stranger.open()
    tab.send(SLOW)
    expect(tab.text).to_contain_text("1 2 3")
    chat = tab.chat
    tab.page.close()
    assert stranger.events(chat)[-1] == "run.completed"
    tab = stranger.open(chat=chat)
    expect(tab.text).to_have_text(COUNTED)
    tab.settled()


@pytest.mark.requirement("KAI-48", "KAI-44")
def test_what_goes_on_after_a_decision_is_told_whole_to_who_comes_late(stranger: Stranger) -> None:
    for _ in range(6):  # the tool takes a second: on a busy machine all may be over when the page asks
        tab = stranger.open()
        waiting(tab, "slow-photos")
        tab.button("Approve").click()
        stranger.events(tab.chat, until="tool.approval_decided")
        if tab.resume():
            break
    expect(tab.text).to_have_text("created slow-photos")
    tab.settled(late=True)
    assert stranger.events(tab.chat).count("tool.output") == 1


@pytest.mark.requirement("KAI-48", "KAI-68")
def test_answers_go_on_after_the_server_was_killed(visit: Visit, release: str, server: Mortal) -> None:
    stranger = visit(expected=LOSS)
    # the hook of @ai-sdk/react 3 does not tell its own chat object that what it resumes is told from the start
    kind = {"object": "1"} if release == "ai6" else {}
    loaded, told, hidden = tabs = [stranger.open(new=f"chat-{number}", **kind) for number in range(3)]
    for tab in tabs:
        tab.send(SLOW)
        expect(tab.text).to_contain_text("1 2 3")
    server.kill()
    for tab in tabs:
        tab.expect_status("error")
    server.start()
    told.button("Reconnect").click()
    # as when a phone is taken out of the pocket: the hook goes on by itself
    hidden.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    loaded.page.reload()
    for tab in tabs:
        expect(tab.text).to_have_text(COUNTED)
        tab.settled()
        events = stranger.events(tab.chat)
        assert ("step.restarted" in events, events[-1]) == (True, "run.completed")
    assert len(stranger.asked) == len(tabs)


@pytest.mark.requirement("KAI-44", "KAI-48", "KAI-68")
def test_decisions_outlive_the_server_and_no_tool_runs_twice(visit: Visit, server: Mortal) -> None:
    stranger = visit(expected=LOSS)
    undecided, shown, running = tabs = [stranger.open() for _ in range(3)]
    for tab in tabs:
        waiting(tab, "slow-photos")
    running.button("Approve").click()
    stranger.events(running.chat, until="tool.approval_decided")
    server.kill()
    running.expect_status("error")
    server.start()
    undecided.page.reload()
    for tab in (undecided, shown):  # the one from the start, the other on the page that was there before
        tab.button("Approve").click()
        expect(tab.text).to_have_text("created slow-photos")
        tab.settled()
    running.page.reload()
    expect(running.state("create_bucket")).to_have_text("output-error")
    running.expect_status("ready")
    [_, (_, _, [call, *_])] = running.settled()
    assert "interrupted" in call["errorText"]
    events = stranger.events(running.chat)
    assert (events.count("tool.failed"), events.count("tool.output")) == (1, 0)


@pytest.mark.requirement("KAI-49")
def test_stop_ends_the_model_call(stranger: Stranger) -> None:
    tab = stranger.open()
    tab.send("slow: 400 50")
    expect(tab.text).to_contain_text("1 2 3")
    tab.button("Stop").click()
    tab.settled()
    run = stranger.run(tab.chat)
    assert run["status"] == "cancelled"
    trace = stranger.read(f"/dragoman/v1/runs/{run['id']}/trace")
    assert [step["status"] for step in trace["steps"] if step["kind"] == "model"] == ["cancelled"]
    tab.page.reload()
    expect(tab.text).to_contain_text("1 2 3")
    tab.settled()
    tab.ask("echo: on")
    expect(tab.text).to_have_text("on")
    tab.settled()


# ------------------------------------------------------------------------------------ what the pages are made of


@pytest.mark.parametrize("name", RELEASES)
def test_the_lock_of_a_page_pins_every_package_and_names_no_place_to_get_it_from(name: str) -> None:
    folder: Path = HERE / "pages" / name
    told = json.loads((folder / "package.json").read_text("utf-8"))
    wanted = told["dependencies"] | told["devDependencies"]
    assert {package: pinned(name, package, "pages") for package in wanted} == wanted
    lock = (folder / "package-lock.json").read_text("utf-8")
    packages = [each for path, each in json.loads(lock)["packages"].items() if path]
    assert all(each["integrity"].startswith("sha512-") for each in packages)
    assert re.findall(r"\w+://|resolved|funding", lock) == []
