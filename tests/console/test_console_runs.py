"""Runs, flows, sessions and figures in a real browser: what the pages show is what the own face says."""

from __future__ import annotations

import math
import re
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect
from tests.conftest import start_server
from tests.console.driving import ADMIN, Visitor, amount, answer, ask, duration, figures, milliseconds, send, settled

pytestmark = pytest.mark.xdist_group("console-runs")
Visit = Callable[..., Visitor]


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A demo server that holds something of everything that can happen, and to which nobody else comes."""
    server = start_server("--demo", data=tmp_path_factory.mktemp("seeded") / "data")
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


def tokens(usage: Any) -> str:
    asked, given = usage["prompt_tokens"], usage["completion_tokens"]
    return "–" if asked is None and given is None else f"{amount(asked or 0)} → {amount(given or 0)}"


def test_the_list_of_runs_says_what_the_journal_holds(admin: Visitor) -> None:
    page = admin.open("/console/runs")
    chats = admin.own("GET", "/runs")["runs"]
    rows = page.locator("[data-run]")
    expect(rows).to_have_count(len(chats))
    for place, run in enumerate(chats):
        row = rows.nth(place)
        cells = row.locator("span:has(> .sr-only)").all_text_contents()
        told = dict(cell.split(": ", 1) for cell in cells)
        assert row.get_attribute("data-run") == run["id"]
        assert told["Face"] == run["face"]
        assert told["Duration"] == duration(run["ended"] - run["created"])
        assert told["First token"] == ("–" if run["first_token"] is None else duration(run["first_token"]))
        assert told["Tokens"] == tokens(run["usage"])
    page.get_by_role("button", name="Failed", exact=True).click()
    failed = [run for run in chats if run["status"] == "failed"]
    expect(rows).to_have_count(len(failed))
    assert "status=failed" in page.url
    page.reload()
    expect(rows).to_have_count(len(failed))


def test_a_run_that_begins_elsewhere_appears_by_itself(visitor: Visitor) -> None:
    visitor.ask("echo: old")
    page = visitor.open("/console/runs")
    rows = page.locator("[data-run]")
    expect(rows).to_have_count(1)
    visitor.ask("echo: new")
    expect(rows).to_have_count(2)


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


# --------------------------------------------------------------------------- figures


def rank(values: list[float], percent: int) -> str:
    """The least of the values that so many percent do not exceed, in the words of the page."""
    return milliseconds(round(sorted(values)[math.ceil(len(values) * percent / 100) - 1] * 1000, 3))


def test_the_overview_adds_up_to_what_the_journal_holds(admin: Visitor) -> None:
    page = admin.open("/console/overview")
    region = page.get_by_role("region", name="Figures")
    expect(region).to_be_visible()
    kinds = ("chat", "execute")
    runs = [run for kind in kinds for run in admin.own("GET", f"/runs?kind={kind}&limit=200")["runs"]]
    lengths = [run["ended"] - run["created"] for run in runs]
    firsts = [run["first_token"] for run in runs if run["first_token"] is not None]
    shown = figures(page)
    assert shown["Runs"] == str(len(runs))
    assert shown["Failed"] == str(sum(run["status"] == "failed" for run in runs))
    assert shown["Duration, p50"] == rank(lengths, 50)
    assert shown["Duration, p95"] == rank(lengths, 95)
    assert shown["First token, p50"] == rank(firsts, 50)
    assert shown["Tokens asked"] == amount(sum(run["usage"]["prompt_tokens"] or 0 for run in runs))
    assert shown["Tokens given"] == amount(sum(run["usage"]["completion_tokens"] or 0 for run in runs))
    for title, word in (("Agents", "agent"), ("Flows", "flow"), ("Faces", "face")):
        rows = page.get_by_role("region", name=title, exact=True).first.locator("tbody tr").all()
        told = {row.locator("th").inner_text(): row.locator("td").first.inner_text() for row in rows}
        names = [run[word] for run in runs if run[word] is not None]
        assert told == {name: str(names.count(name)) for name in set(names)}


def test_the_models_page_says_which_can_be_used_and_why_not(admin: Visitor) -> None:
    page = admin.open("/console/models")
    listed = admin.own("GET", "/models")
    for model in listed["models"]:
        expect(page.get_by_text(model["name"], exact=True).first).to_be_visible()
    missing = next(one for one in listed["providers"] if not one["usable"])
    expect(page.get_by_text(missing["why"]).first).to_be_attached()
