"""Runs, flows, sessions and figures in a real browser: what the pages show is what the own face says."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from tests.conftest import start_server
from tests.console.driving import (
    ADMIN,
    LOSS,
    REFUSAL,
    Visitor,
    amount,
    answer,
    ask,
    duration,
    figures,
    send,
    settled,
    turn,
)

pytestmark = pytest.mark.xdist_group("console-runs")
Visit = Callable[..., Visitor]


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory, server_python: Path) -> Iterator[str]:
    """A demo server that holds something of everything that can happen, and to which nobody else comes."""
    server = start_server("--demo", data=tmp_path_factory.mktemp("seeded") / "data", python=server_python)
    for text in ("echo: one", "echo: two", "tool: add 2 3", "reason: why", "fail: the disk is full", "slow: 4 50"):
        ask(server.url, ADMIN, "/runs", {"message": {"text": text}})
    for flow in ("two-step", "model", "broken"):
        ask(server.url, ADMIN, f"/flows/basics/{flow}/runs", {"message": "hi"})
    yield server.url
    server.stop()


@pytest.fixture
def admin(visit: Visit, seeded: str) -> Visitor:
    """The demo's own user, who sees all of it."""
    return visit(seeded, token=None)


def ids(page: Page) -> list[str]:
    found: list[str] = page.locator("[data-run]").evaluate_all("all => all.map(one => one.dataset.run)")
    return found


FILTERS = [
    "",
    "status=failed",
    "status=completed,cancelled",
    "failed=true",
    "agent=demo",
    "flow=basics%2Fbroken",
    "kind=execute",
    "face=own&failed=true",
    "face=kai",
    "user={user}",
    "user=nobody",
    "range=15m",
    "from=100&to=200",
    "q=two-st",
]


def test_filters_stand_in_the_address_and_show_what_the_own_face_gives(admin: Visitor) -> None:
    user = admin.own("GET", "/me")["user"]
    page = admin.open("/console/runs")
    for one in FILTERS:
        address = one.format(user=user)
        question = address.replace("range=15m", f"from={time.time() - 900}")
        wanted = [run["id"] for run in admin.own("GET", f"/runs?{question}")["runs"]]
        turn(page, f"/console/runs?{address}")
        expect(page.locator("[data-run]")).to_have_count(len(wanted))
        if not wanted:
            expect(page.get_by_text("No run matches")).to_be_visible()
        assert ids(page) == wanted


def test_filters_are_chosen_on_the_page_and_survive_a_reload(admin: Visitor) -> None:
    page = admin.open("/console/runs")
    page.get_by_role("button", name="Filters").click()
    page.get_by_label("Agent", exact=True).select_option("demo")
    page.get_by_label("Face", exact=True).select_option("own")
    page.get_by_label("Time", exact=True).select_option("24h")
    page.get_by_label("User", exact=True).fill(admin.own("GET", "/me")["user"])
    page.get_by_label("User", exact=True).press("Enter")
    page.get_by_label("Errors only").check()
    page.wait_for_url(re.compile("failed=true"))
    for word in ("agent=demo", "face=own", "range=24h", "user="):
        assert word in page.url
    [failed] = admin.own("GET", "/runs?agent=demo&failed=true")["runs"]
    expect(page.locator("[data-run]")).to_have_count(1)
    page.reload()
    expect(page.locator(f"[data-run='{failed['id']}']")).to_be_visible()
    expect(page.get_by_role("list", name="Filters that are set").get_by_role("listitem")).to_have_count(5)
    page.get_by_role("button", name="Remove the filter errors only").click()
    expect(page.locator("[data-run]")).to_have_count(len(admin.own("GET", "/runs?agent=demo")["runs"]))
    page.get_by_role("button", name="Filters").click()
    page.get_by_label("Flow", exact=True).select_option("basics/broken")
    page.wait_for_url(re.compile("flow=basics"))
    assert "agent=" not in page.url
    expect(page.locator("[data-run]")).to_have_count(1)


def test_a_run_that_begins_elsewhere_appears_by_itself(visitor: Visitor) -> None:
    visitor.ask("echo: old")
    page = visitor.open("/console/runs")
    rows = page.locator("[data-run]")
    expect(rows).to_have_count(1)
    visitor.ask("echo: new")
    expect(rows).to_have_count(2)


def test_a_run_that_goes_with_its_thread_leaves_the_list_and_its_page_by_itself(visitor: Visitor) -> None:
    kept, gone = visitor.ask("echo: stays"), visitor.ask("echo: goes")
    page, other = visitor.open("/console/runs"), visitor.open(f"/console/runs/{gone['id']}")
    visitor.expected.append(REFUSAL)  # the page of a run that is gone looks again
    expect(page.locator("[data-run]")).to_have_count(2)
    expect(other.get_by_role("list", name="Steps of the run")).to_be_visible()
    visitor.own("DELETE", f"/threads/{gone['thread']}")
    expect(page.locator("[data-run]")).to_have_count(1)
    assert ids(page) == [kept["id"]]
    expect(other.get_by_text("There is no such run")).to_be_visible()


def test_a_held_list_stands_still_until_it_is_let_go(visitor: Visitor) -> None:
    visitor.ask("echo: old")
    page = visitor.open("/console/runs")
    expect(page.locator("[data-run]")).to_have_count(1)
    page.get_by_role("button", name="Live", exact=True).click()
    visitor.ask("echo: new")
    another = visitor.open("/console/runs")
    expect(another.locator("[data-run]")).to_have_count(2)
    assert len(ids(page)) == 1
    page.get_by_role("button", name="Held", exact=True).click()
    expect(page.locator("[data-run]")).to_have_count(2)


def test_the_list_and_a_run_go_on_when_a_lost_server_is_back(visit: Visit, serve: Callable[..., Any]) -> None:
    server = serve()
    visitor = visit(server.url, expected=LOSS)
    visitor.ask("echo: before")
    page = visitor.open("/console/runs")
    expect(page.locator("[data-run]")).to_have_count(1)
    server.kill()
    expect(page.get_by_text("Connection to the server lost")).to_be_visible()
    assert len(ids(page)) == 1  # what was shown stays
    serve(data=server.data, port=int(server.url.rpartition(":")[2]))
    expect(page.get_by_text("Connection to the server lost")).to_have_count(0)
    visitor.ask("echo: after")
    expect(page.locator("[data-run]")).to_have_count(2)


def test_a_run_is_a_waterfall_of_its_steps(visitor: Visitor) -> None:
    page = visitor.open()
    send(page, "tool: add 2 3")
    expect(answer(page)).to_contain_text("5")
    settled(page)
    answer(page).get_by_role("link", name="Trace").click()
    page.wait_for_url(re.compile(r"/console/runs/."))
    run = visitor.own("GET", f"/runs/{page.url.rpartition('/')[2]}")
    trace = visitor.own("GET", f"/runs/{run['id']}/trace")
    rows = page.get_by_role("list", name="Steps of the run").locator("button[data-row]")
    expect(rows).to_have_count(len(trace["steps"]) + len(trace["waits"]))
    labels = rows.evaluate_all("all => all.map(one => one.getAttribute('aria-label'))")
    for step in trace["steps"]:
        words = f", {step['name']}, {step['status']}, starts at {duration(step['start'])}, takes {duration(step['duration'])}"
        assert any(label.endswith(words) for label in labels), (words, labels)
    shown = figures(page)
    assert shown["Duration"] == duration(run["ended"] - run["created"])
    assert shown["First token"] == duration(run["first_token"])
    assert shown["Tokens asked"] == amount(run["usage"]["prompt_tokens"])
    assert shown["Tokens given"] == amount(run["usage"]["completion_tokens"])
    assert shown["Model calls"] == str(sum(step["kind"] == "model" for step in trace["steps"]))
    page.get_by_role("button", name=re.compile(r"^Tool, add")).click()
    expect(page.get_by_role("complementary")).to_contain_text("completed")


def test_every_event_of_a_run_can_be_looked_at(visitor: Visitor) -> None:
    run = visitor.ask("echo: look")
    events = visitor.own("GET", f"/runs/{run['id']}/events?limit=1000")["events"]
    page = visitor.open(f"/console/runs/{run['id']}?tab=events&event=1")
    expect(page.get_by_role("tab", name="Events")).to_contain_text(str(events[-1]["seq"]))
    shown = page.get_by_role("complementary")
    for event in events:
        expect(shown.get_by_role("heading").first).to_have_text(f"Event {event['seq']}")
        expect(shown.get_by_label("Event", exact=True)).to_contain_text(f'"type": "{event["type"]}"')
        if event is not events[-1]:
            shown.get_by_role("button", name="Next").click()


def test_a_run_can_be_run_again_and_compared(visitor: Visitor) -> None:
    first = visitor.ask("echo: again")
    page = visitor.open(f"/console/runs/{first['id']}")
    page.get_by_role("button", name="Re-run").click()
    page.wait_for_url(lambda url: "/console/runs/" in url and first["id"] not in url)
    second = page.url.rpartition("/")[2]
    expect(page.get_by_text("Done", exact=True)).to_be_visible()
    page.goto(f"/console/compare/{first['id']}/{second}")
    for run in (first["id"], second):
        expect(page.get_by_text(re.compile(run[-8:])).first).to_be_visible()


@pytest.mark.parametrize(("word", "output"), [("Approve", "created photos"), ("Deny", "denied")])
def test_what_a_run_waits_for_can_be_decided_on_its_page(visitor: Visitor, word: str, output: str) -> None:
    started = visitor.own("POST", "/runs", {"message": {"text": "approve: create_bucket photos"}})
    page, other = [visitor.open(f"/console/runs/{started['id']}") for _ in range(2)]
    waiting = page.get_by_role("region", name="What the run waits for")
    expect(waiting.get_by_label("Arguments", exact=True)).to_contain_text('"photos"')
    expect(other.get_by_role("region", name="What the run waits for")).to_be_visible()
    waiting.get_by_role("button", name=word, exact=True).click()
    for tab in (page, other):
        expect(tab.get_by_text("Done", exact=True)).to_be_visible()
        expect(tab.get_by_role("region", name="What the run waits for")).to_have_count(0)
    page.get_by_role("tab", name="Answer").click()
    expect(page.get_by_label("Answer", exact=True)).to_contain_text(output)


def test_a_run_can_be_cancelled_from_its_page(visitor: Visitor) -> None:
    started = visitor.own("POST", "/runs", {"message": {"text": "slow: 200 100"}})
    page = visitor.open(f"/console/runs/{started['id']}")
    page.get_by_role("button", name="Cancel", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel the run").click()
    expect(page.get_by_text("Cancelled", exact=True)).to_be_visible()
    assert visitor.own("GET", f"/runs/{started['id']}")["status"] == "cancelled"


# --------------------------------------------------------------------------- flows, sessions


def test_a_flow_is_run_with_a_message_and_its_steps_light_up(visitor: Visitor) -> None:
    page = visitor.open("/console/flows")
    page.get_by_role("link", name=re.compile("two-step")).click()
    expect(page.get_by_role("application")).to_be_visible()
    page.get_by_label(re.compile("^Run version 1")).fill("hello")
    page.get_by_role("button", name="Run", exact=True).click()
    shown = page.get_by_role("region", name="The run that is shown")
    expect(shown.get_by_label("Result", exact=True)).to_contain_text("HELLO!")
    expect(shown).to_contain_text("Done")
    for step in ("upper", "exclaim"):
        expect(page.get_by_role("listitem").filter(has_text=step).get_by_text("completed")).to_be_attached()


def test_a_session_of_the_demo_replays_without_a_difference(admin: Visitor) -> None:
    session = str(uuid.uuid4())
    admin.execute("basics/two-step", "hi", session=session)
    page = admin.open("/console/sessions")
    page.get_by_role("tab", name="Calls of flows").click()
    page.locator(f"a[href$='{session}']").click()
    page.get_by_role("button", name="Replay").click()
    expect(page.get_by_role("heading", name="No difference")).to_be_visible(timeout=30_000)


def test_replay_on_a_run_starts_the_replay_of_its_session_at_once_and_only_then(admin: Visitor) -> None:
    run = admin.ask("echo: once more")
    page = admin.open(f"/console/runs/{run['id']}")
    page.get_by_role("button", name="Replay…").click()
    expect(page.get_by_role("heading", name="No difference")).to_be_visible(timeout=30_000)
    expect(page.get_by_role("heading", level=1)).to_have_text(admin.own("GET", f"/threads/{run['thread']}")["title"])
    expect(page.get_by_text("no model is asked")).to_be_visible()
    page.reload()
    expect(page.get_by_role("link", name="Download cassette")).to_be_visible()
    expect(page.get_by_role("region", name="Replay")).to_have_count(0)


APP = """from dragoman import App, Flow, step

@step
def say(ctx):
    return ctx.message.{method}()

app = App("shop", flows=[Flow("shop/say", [say])])
"""


def test_a_replay_shows_what_the_code_does_otherwise_by_now(
    visit: Visit, serve: Callable[..., Any], tmp_path: Path
) -> None:
    code = tmp_path / "shop_app.py"
    code.write_text(APP.format(method="upper"), "utf-8")
    server = serve("shop_app:app", folder=tmp_path)
    key = next(iter(re.findall(r"dk_\S+", server.log.read_text("utf-8"))))
    visitor = visit(server.url, token=key)
    session = str(uuid.uuid4())
    visitor.execute("shop/say", "Hello", session=session)
    code.write_text(APP.format(method="lower"), "utf-8")
    page = visitor.open(f"/console/sessions/{session}")
    page.get_by_role("button", name="Replay").click()
    expect(page.get_by_role("heading", name=re.compile("differences? in 1 of 1 run"))).to_be_visible(timeout=30_000)
    replay = page.get_by_role("region", name="Replay")
    expect(replay.get_by_role("table").first).to_contain_text("HELLO")
    expect(replay.get_by_role("table").first).to_contain_text("hello")


# --------------------------------------------------------------------------- models


def test_the_models_page_says_which_can_be_used_and_why_not(admin: Visitor) -> None:
    page = admin.open("/console/models")
    listed = admin.own("GET", "/models")
    for model in listed["models"]:
        expect(page.get_by_text(model["name"], exact=True).first).to_be_visible()
    missing = next(one for one in listed["providers"] if not one["usable"])
    expect(page.get_by_text(missing["why"]).first).to_be_attached()
