"""Who sees what in a real browser: users apart, a key without the scope `admin`, signing in and out, and where keys never go."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect
from tests.conftest import RunningServer, start_server
from tests.console.driving import REFUSAL, Visitor, answer, send, settled, thread_of

pytestmark = pytest.mark.xdist_group("console-people")
Visit = Callable[..., Visitor]


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory, server_python: Path) -> Iterator[RunningServer]:
    """A demo server to whose data directory keys are added."""
    server = start_server("--demo", data=tmp_path_factory.mktemp("keyed") / "data", python=server_python)
    yield server
    server.stop()


def kept(page: Page) -> str:
    """All that the browser keeps for scripts, and the address."""
    text: str = page.evaluate(
        "() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, location.href, history.state])"
    )
    return text


def key(data: Path, *arguments: str) -> str:
    """A new key of a data directory, as a user makes one."""
    command = [sys.executable, "-m", "dragoman", "keys", "create", "--data", str(data), *arguments]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    found = re.search(r"dk_\S+", told)
    assert found is not None, told
    return found[0]


def account(page: Page) -> Locator:
    return page.get_by_role("button", name=re.compile("^Account of")).locator("visible=true")


def sign_in(page: Page, secret: str) -> None:
    page.get_by_label("API key").fill(secret)
    page.get_by_role("button", name="Sign in").click()


def sign_out(page: Page) -> None:
    account(page).click()
    page.get_by_role("menuitem", name=re.compile("^Sign out")).click()
    expect(page.get_by_role("heading", name="Sign in to Dragoman")).to_be_visible()


def test_two_users_see_nothing_of_each_other(visit: Visit) -> None:
    one, other = visit(), visit(expected=REFUSAL)
    page = one.open()
    send(page, "echo: between us")
    expect(answer(page)).to_contain_text("between us")
    settled(page)
    thread, [run] = thread_of(page), one.runs_of(page)
    theirs = other.open(f"/console/chat/{thread}")
    expect(theirs.locator("[data-state=missing], [data-state=forbidden]")).to_be_visible()
    expect(theirs.get_by_text("No threads yet")).to_be_visible()
    theirs.goto("/console/runs")
    expect(theirs.get_by_text("Nothing has run yet")).to_be_visible()
    theirs.goto(f"/console/runs/{run['id']}")
    expect(theirs.get_by_text("There is no such run")).to_be_visible()
    assert "between us" not in theirs.content()


def test_the_demo_signs_in_by_itself_and_keeps_no_key(visit: Visit) -> None:
    visitor = visit(token=None)
    page = visitor.open()
    account(page).click()
    expect(page.get_by_role("menuitem", name=re.compile("Sign out"))).to_contain_text("admin")
    [cookie] = visitor.context.cookies()
    assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"]) == ("dragoman_session", True, "Strict")
    assert cookie["value"] not in kept(page)


def test_who_signs_out_of_the_demo_stays_out_until_they_go_on(visit: Visit) -> None:
    visitor = visit(token=None, expected=REFUSAL)
    page = visitor.open()
    sign_out(page)
    page.goto("/console/runs")
    expect(page.get_by_text("This is a demo")).to_be_visible()
    assert visitor.context.cookies() == []
    page.get_by_role("button", name="Continue as demo-you").click()
    expect(page.get_by_role("heading", name="Runs")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Runs")).to_be_visible()


def test_a_key_without_admin_sees_its_own_and_is_kept_nowhere(visit: Visit, keyed: RunningServer) -> None:
    secret = key(keyed.data, "--tenant", "demo", "--user", "bob", "--scope", "use")
    somebody = visit(keyed.url)
    somebody.ask("echo: not for bob")
    visitor = visit(keyed.url, token=None, expected=REFUSAL)
    page = visitor.open()
    sign_out(page)
    sign_in(page, "dk_wrong_key")
    expect(page.get_by_role("alert")).to_contain_text("not known")
    sign_in(page, secret)
    send(page, "echo: mine")
    expect(answer(page)).to_contain_text("mine")
    settled(page)
    assert secret not in kept(page)
    expect(page.get_by_role("radiogroup", name="Whose threads")).to_have_count(0)
    page.goto("/console/runs")
    expect(page.locator("[data-run]")).to_have_count(1)
    expect(page.get_by_text("1 run", exact=True)).to_be_visible()
    page.reload()
    expect(page.locator("[data-run]")).to_have_count(1)


def test_what_only_admins_may_is_shown_as_forbidden(visit: Visit, keyed: RunningServer) -> None:
    somebody = visit(keyed.url)
    theirs = somebody.own("GET", "/me")["user"]
    hidden = somebody.ask("echo: not for zoe")
    visitor = visit(keyed.url, token=key(keyed.data, "--tenant", "demo", "--user", "zoe", "--scope", "use"))
    mine = visitor.ask("echo: mine")
    page = visitor.open("/console/overview")
    expect(page.locator("main dl > div").first).to_contain_text("1")
    visitor.expected.append(REFUSAL)
    page.goto(f"/console/runs?user={theirs}")
    expect(page.locator("[data-state=forbidden]")).to_contain_text("Not yours to see")
    page.get_by_role("button", name="Clear the filters").click()
    expect(page.locator("[data-run]")).to_have_count(1)
    page.get_by_role("button", name="Filters").click()
    expect(page.get_by_label("Agent", exact=True)).to_be_visible()
    expect(page.get_by_label("User", exact=True)).to_have_count(0)
    for path in (f"runs/{hidden['id']}", f"sessions/{hidden['thread']}", f"chat/{hidden['thread']}"):
        page.goto(f"/console/{path}")
        expect(page.locator("[data-state=missing], [data-state=forbidden]")).to_be_visible()
    page.goto(f"/console/compare/{mine['id']}/{hidden['id']}")
    expect(page.get_by_text("The second run does not exist")).to_be_visible()
    page.goto("/console/sessions")
    expect(page.locator("a[data-row]")).to_have_count(1)
    expect(page.get_by_role("tablist", name="Whose conversations")).to_have_count(0)
    page.goto(f"/console/sessions/{mine['thread']}")
    expect(page.get_by_text("needs a key with the scope “admin”")).to_be_visible()
    expect(page.get_by_role("button", name="Replay", exact=True)).to_be_disabled()
    page.keyboard.press("r")  # the shortcut may not do it, either
    expect(page.get_by_role("region", name="Replay")).to_have_count(0)
    for path in ("flows", "models", "overview"):
        page.goto(f"/console/{path}")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        expect(page.locator("[data-state=loading], [aria-busy=true], .skeleton")).to_have_count(0)
        expect(page.locator("[data-state]")).to_have_count(0)


def test_an_admin_sees_their_own_threads_first_and_everybodys_when_they_ask(visit: Visit, keyed: RunningServer) -> None:
    admin = visit(keyed.url, token=key(keyed.data, "--tenant", "demo", "--user", "ada", "--scope", "admin"))
    visit(keyed.url).ask("echo: somebody else's")
    admin.ask("echo: the admin's")
    page = admin.open("/console/chat")
    expect(page.locator("[data-thread]")).to_have_count(1)
    expect(page.locator("[data-thread]")).to_contain_text("the admin's")
    page.get_by_role("radio", name="Everybody's").click()
    expect(page.locator("[data-thread]").filter(has_text="somebody else's").first).to_be_visible()
    page.goto("/console/sessions")
    expect(page.locator("a[data-row]")).to_have_count(1)
    page.get_by_role("tab", name="Everybody's").click()
    page.wait_for_url(re.compile("whose=all"))
    expect(page.locator("a[data-row]").filter(has_text="somebody else's").first).to_be_visible()
    page.reload()
    expect(page.locator("a[data-row]").filter(has_text="somebody else's").first).to_be_visible()


def test_who_signs_in_after_another_gets_a_list_of_their_own_that_lives(visit: Visit, keyed: RunningServer) -> None:
    secret = key(keyed.data, "--tenant", "demo", "--user", "max", "--scope", "use")
    visitor = visit(keyed.url, token=None)
    page = visitor.open("/console/runs")
    expect(page.get_by_role("heading", name="Runs")).to_be_visible()
    sign_out(page)
    sign_in(page, secret)
    expect(page.get_by_text("Nothing has run yet")).to_be_visible()
    visitor.token = secret
    visitor.ask("echo: by max")
    expect(page.locator("[data-run]")).to_have_count(1)


def test_a_revoked_key_signs_the_page_out(visit: Visit, keyed: RunningServer) -> None:
    secret = key(keyed.data, "--tenant", "demo", "--user", "eve", "--scope", "use")
    visitor = visit(keyed.url, token=secret, expected=REFUSAL)
    page = visitor.open()
    expect(account(page)).to_be_visible()
    command = [sys.executable, "-m", "dragoman", "keys", "revoke", "--data", str(keyed.data), secret]
    subprocess.run(command, capture_output=True, timeout=60, check=True)
    # Goes to the runs without a click: the page may have noticed by itself, and then there is no menu any more.
    page.evaluate("history.pushState(null, '', '/console/runs'); dispatchEvent(new PopStateEvent('popstate'))")
    expect(page.get_by_role("heading", name="Sign in to Dragoman")).to_be_visible()


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_a_page_of_another_origin_changes_nothing(visitor: Visitor, method: str) -> None:
    page = visitor.open()
    send(page, "echo: stays")
    settled(page)
    path = f"/dragoman/v1/threads/{thread_of(page)}" if method == "DELETE" else "/dragoman/v1/runs"
    refused = visitor.context.request.fetch(
        path, method=method, data={"message": {"text": "echo: forged"}}, headers={"origin": "https://evil.example"}
    )
    assert refused.status == 403
    [run] = visitor.own("GET", "/runs")["runs"]
    assert run["thread"] == thread_of(page)
