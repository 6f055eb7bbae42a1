"""Every figure of Runs, Compare and Overview in a real browser is one that is computed from the own face; after a restart, too."""

from __future__ import annotations

import json
import math
import re
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from tests.conftest import RunningServer, start_server
from tests.console.driving import LOSS, Visitor, amount, ask, duration, figures, milliseconds, own

pytestmark = pytest.mark.xdist_group("console-figures")
Visit = Callable[..., Visitor]

FACES = {"own": "API", "kai": "Kai"}
"""How the console names the faces that these runs came over."""

APP = """from dragoman import Agent, App, Flow, model_step
from dragoman.core.messages import ModelText, ModelToolCall, ModelUsage
from dragoman.core.usage import Usage
from dragoman.demo.app import app as demo
from dragoman.demo.app import add


class Priced:
    name = "priced-1"

    async def stream(self, request):
        text = request.messages[-1].text
        yield ModelText(text)
        usage = Usage(prompt_tokens=1200 + len(text), completion_tokens=len(text), cache_read_tokens=1000, reasoning_tokens=3)
        yield ModelUsage(usage, cost=0.0021 * len(text))


app = App(
    "figures",
    agents=[*demo.agents, Agent("priced", model=Priced(), tools=[add])],
    flows=[*demo.flows, Flow("priced/flow", [model_step("model", model=Priced())], capture="full")],
)
"""
KINDS = ("chat", "execute")


@pytest.fixture(scope="module")
def figured(tmp_path_factory: pytest.TempPathFactory, server_python: Path) -> Iterator[tuple[RunningServer, str]]:
    """A server that holds something of everything that has a figure, and the key of its admin."""
    folder = tmp_path_factory.mktemp("figured")
    (folder / "figures_app.py").write_text(APP, "utf-8")
    server = start_server("figures_app:app", data=folder / "data", folder=folder, python=server_python)
    key = next(iter(re.findall(r"dk_\S+", server.log.read_text("utf-8"))))
    for text in ("echo: one", "tool: add 2 3", "reason: why", "fail: the disk is full", "slow: 4 50", "count: 3"):
        ask(server.url, key, "/runs", {"message": {"text": text}})
    for text in ("x" * 7, "y" * 40):
        ask(server.url, key, "/runs", {"message": {"text": text}, "agent": "priced"})
    for flow in ("basics/two-step", "basics/model", "basics/broken", "priced/flow"):
        ask(server.url, key, f"/flows/{flow}/runs", {"message": "count: 2"})
    over_kai(server.url, key, "echo: over another face")
    yield server, key
    server.stop()


def over_kai(url: str, key: str, text: str) -> None:
    message = {"id": "m-1", "role": "user", "parts": [{"type": "text", "text": text}]}
    body = {"id": "a-chat", "message": message, "selectedChatModel": "chat-model"}
    headers = {"x-storageapi-token": key, "content-type": "application/json"}
    asked = urllib.request.Request(f"{url}/api/chat", json.dumps(body).encode(), headers, method="POST")
    with urllib.request.urlopen(asked, timeout=30) as answer:
        answer.read()


@pytest.fixture
def admin(visit: Visit, figured: tuple[RunningServer, str]) -> Visitor:
    server, key = figured
    return visit(server.url, token=key)


def all_runs(visitor: Visitor) -> list[Any]:
    return [run for kind in KINDS for run in visitor.own("GET", f"/runs?kind={kind}&limit=200")["runs"]]


def dollars(cost: float | None) -> str:
    if cost is None:
        return "–"
    return f"${cost:,.2f}" if cost == 0 or cost >= 1 else f"${cost:.3g}"


def seconds(value: float | None) -> str:
    return "–" if value is None else duration(value)


def counted(value: int | None) -> str:
    return "–" if value is None else amount(value)


def both(usage: Any) -> str:
    asked, given = usage["prompt_tokens"], usage["completion_tokens"]
    return "–" if asked is None and given is None else f"{amount(asked or 0)} → {amount(given or 0)}"


# --------------------------------------------------------------------------- runs

WORDS = {"completed": "Done", "failed": "Failed", "paused": "Waiting", "cancelled": "Cancelled"}


def test_each_row_of_the_list_says_what_the_journal_holds(admin: Visitor) -> None:
    page = admin.open("/console/runs")
    runs = admin.own("GET", "/runs")["runs"]
    rows = page.locator("[data-run]")
    expect(rows).to_have_count(len(runs))
    for place, run in enumerate(runs):
        row = rows.nth(place)
        cells = row.locator("span:has(> .sr-only)").all_text_contents()
        told = dict(cell.split(": ", 1) for cell in cells)
        expect(row).to_contain_text(WORDS[run["status"]])
        expect(row.get_by_role("link")).to_have_text(run["flow"] or run["agent"])
        assert row.get_attribute("data-run") == run["id"]
        assert told["Face"] == FACES[run["face"]]
        assert told["User"].removesuffix("…") == run["user"][:10]
        assert told["Duration"] == duration(run["ended"] - run["created"])
        assert told["First token"] == seconds(run["first_token"])
        assert told["Tokens"] == both(run["usage"])
        assert told["Cost"] == dollars(run["cost"])
    assert {run["face"] for run in runs} == {"own", "kai"}
    assert any(run["cost"] for run in runs)


def test_the_head_of_each_run_says_what_the_journal_holds(admin: Visitor) -> None:
    page = admin.open("/console/runs")
    for run in all_runs(admin):
        page.goto(f"/console/runs/{run['id']}")
        steps = admin.own("GET", f"/runs/{run['id']}/trace")["steps"]
        events = admin.own("GET", f"/runs/{run['id']}/events?limit=1000")["events"]
        usage = run["usage"]
        models, tools = (sum(step["kind"] == kind for step in steps) for kind in ("model", "tool"))
        expect(page.locator("main dl > div").filter(has_text="Model calls")).to_contain_text(amount(models))
        shown = figures(page)
        assert shown["Duration"] == duration(run["ended"] - run["created"])
        assert shown["First token"] == seconds(run["first_token"])
        assert shown["Tokens asked"] == counted(usage["prompt_tokens"])
        assert shown["Tokens given"] == counted(usage["completion_tokens"])
        assert shown["Cost"] == dollars(run["cost"])
        assert shown["Model calls"] == amount(models)
        assert shown["Face"] == FACES[run["face"]]
        expect(page.get_by_role("tab", name="Events")).to_contain_text(amount(len(events)))
        for number, word in (
            (usage["cache_read_tokens"], "from cache"),
            (usage["reasoning_tokens"], "reasoning"),
            (tools, "tool call"),
        ):
            details = page.locator("main dl").get_by_text(re.compile(rf"^[\d,]+ {word}"))
            expect(details).to_have_count(1 if number else 0)
            assert not number or details.inner_text().startswith(amount(number))


def test_two_runs_beside_each_other_have_the_figures_of_both(admin: Visitor) -> None:
    one, other = [run for run in all_runs(admin) if run["agent"] == "priced"]
    page = admin.open(f"/console/compare/{one['id']}/{other['id']}")
    region = page.get_by_role("region", name="Comparison")
    expect(region.get_by_role("table")).to_be_visible()
    rows = region.locator("table").first.locator("tbody tr").all()
    told = {row.locator("th").inner_text(): row.locator("td").all_inner_texts()[:2] for row in rows}
    for place, run in enumerate((one, other)):
        trace = admin.own("GET", f"/runs/{run['id']}/trace")
        assert {name: values[place] for name, values in told.items()} == {
            "Duration": duration(run["ended"] - run["created"]),
            "Waited": duration(sum(wait["duration"] or 0 for wait in trace["waits"])),
            "First token": seconds(run["first_token"]),
            "Tokens asked": counted(run["usage"]["prompt_tokens"]),
            "Tokens given": counted(run["usage"]["completion_tokens"]),
            "Cost": dollars(run["cost"]),
            "Model calls": "1",
            "Tool calls": "0",
            "Steps": amount(len(trace["steps"])),
            "Events": amount(run["last_seq"]),
            "Code version": run["version"],
        }


# --------------------------------------------------------------------------- the overview


def rank(values: list[float], percent: int) -> str:
    """The least of the values that so many percent do not exceed, in the words of the page."""
    if not values:
        return "–"
    return milliseconds(round(sorted(values)[math.ceil(len(values) * percent / 100) - 1] * 1000, 3))


def lengths(runs: list[Any]) -> list[float]:
    return [run["ended"] - run["created"] for run in runs]


def firsts(runs: list[Any]) -> list[float]:
    return [run["first_token"] for run in runs if run["first_token"] is not None]


def total(runs: list[Any], word: str) -> int:
    return sum(run["usage"][word] or 0 for run in runs)


def cost(runs: list[Any]) -> str:
    known = [run["cost"] for run in runs if run["cost"] is not None]
    return dollars(round(sum(known), 9) if known else None)


def failures(runs: list[Any]) -> int:
    return sum(run["status"] == "failed" for run in runs)


def rows_of(page: Page, title: str) -> dict[str, list[str]]:
    """The cells of a table by the name that heads each row."""
    rows = page.get_by_role("region", name=title, exact=True).first.locator("tbody tr").all()
    return {row.locator("th").inner_text(): row.locator("td").all_inner_texts() for row in rows}


def adds_up(page: Page, runs: list[Any], steps: list[Any]) -> None:
    """Every figure that the page shows is one of these runs'."""
    shown = figures(page)
    share = failures(runs) / len(runs) * 100
    assert shown == {
        "Runs": amount(len(runs)),
        "Failed": amount(failures(runs)),
        "Duration, p50": rank(lengths(runs), 50),
        "Duration, p95": rank(lengths(runs), 95),
        "First token, p50": rank(firsts(runs), 50),
        "Tokens asked": amount(total(runs, "prompt_tokens")),
        "Tokens given": amount(total(runs, "completion_tokens")),
        "Cost": cost(runs),
    }
    for name, detail in (
        ("Failed", f"{int(share + 0.5)} %"),
        ("Duration, p50", f"p99 {rank(lengths(runs), 99)}"),
        ("First token, p50", f"p95 {rank(firsts(runs), 95)}"),
    ):
        expect(page.locator("main dl > div").filter(has=page.get_by_text(name, exact=True))).to_contain_text(detail)
    for title, word in (("Agents", "agent"), ("Flows", "flow"), ("Faces", "face")):
        named = {run[word]: [one for one in runs if one[word] == run[word]] for run in runs if run[word] is not None}
        assert rows_of(page, title) == {
            (FACES[name] if word == "face" else name): [
                amount(len(theirs)),
                amount(failures(theirs)),
                rank(lengths(theirs), 50),
                rank(lengths(theirs), 95),
                amount(total(theirs, "prompt_tokens") + total(theirs, "completion_tokens")),
                cost(theirs),
            ]
            for name, theirs in named.items()
        }
    models = {step["model"]: [one for one in steps if one["model"] == step["model"]] for step in steps}
    assert rows_of(page, "Models") == {
        name: [
            amount(sum(len(step["attempts"]) for step in theirs)),
            amount(sum(one["status"] == "failed" for step in theirs for one in step["attempts"])),
            amount(total(theirs, "prompt_tokens")),
            amount(total(theirs, "completion_tokens")),
            cost(theirs),
        ]
        for name, theirs in models.items()
    }


def charts_add_up(page: Page, runs: list[Any]) -> None:
    """The tables behind the charts have the same sums, and nothing of a time in which nothing was."""
    page.get_by_role("button", name="Tables", exact=True).click()
    for title, expected in (
        ("Runs and errors", [len(runs), failures(runs)]),
        ("Tokens", [total(runs, "prompt_tokens"), total(runs, "completion_tokens")]),
    ):
        cells = list(rows_of(page, title).values())
        assert [sum(int(row[place].replace(",", "")) for row in cells) for place in (0, 1)] == expected
    spent = [row[0] for row in rows_of(page, "Cost").values() if row[0] != "–"]
    known = sum(run["cost"] or 0 for run in runs)
    assert sum(float(one.removeprefix("$")) for one in spent) == pytest.approx(known, abs=0.001)
    if len(rows_of(page, "Duration")) == 1:  # the seconds have not come over two buckets
        [row] = rows_of(page, "Duration").values()
        assert row == [rank(lengths(runs), percent) for percent in (50, 95, 99)]
        [row] = rows_of(page, "Time to the first token").values()
        assert row == [rank(firsts(runs), percent) for percent in (50, 95)]
    page.get_by_role("button", name="Charts", exact=True).click()
    expect(page.locator(".u-wrap canvas")).to_have_count(5)


def test_the_overview_adds_up_to_what_the_journal_holds_also_after_a_restart(
    admin: Visitor, figured: tuple[RunningServer, str], server_python: Path
) -> None:
    server, key = figured
    runs = all_runs(admin)
    steps = [step for run in runs for step in admin.own("GET", f"/runs/{run['id']}/trace")["steps"]]
    steps = [step for step in steps if step["kind"] == "model"]
    page = admin.open("/console/overview")
    expect(page.get_by_role("region", name="Figures")).to_be_visible()
    adds_up(page, runs, steps)
    charts_add_up(page, runs)
    admin.expected.append(LOSS)
    server.kill()
    port = int(server.url.rpartition(":")[2])
    again = start_server(
        "figures_app:app", data=server.data, folder=server.data.parent, port=port, python=server_python
    )
    server.process = again.process  # the fixture's to end
    page.reload()
    expect(page.get_by_role("region", name="Figures")).to_be_visible()
    assert own(again.url, key, "GET", "/runs?limit=200")["runs"]
    adds_up(page, runs, steps)
    page.goto("/console/runs")
    expect(page.locator("[data-run]")).to_have_count(len(runs))


def test_a_figure_of_the_overview_leads_to_the_runs_it_counts(admin: Visitor) -> None:
    runs = all_runs(admin)
    page = admin.open("/console/overview")
    page.locator("main dl").get_by_role("link", name=str(failures(runs)), exact=True).click()
    expect(page.locator("[data-run]")).to_have_count(failures(runs))
    page.go_back()
    page.get_by_role("region", name="Agents", exact=True).get_by_role("link", name="priced").click()
    expect(page.locator("[data-run]")).to_have_count(2)
