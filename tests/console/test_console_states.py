"""Pages that have nothing to show, in a real browser: empty, missing, forbidden, refused, without a server, and when it is back."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from tests.console.driving import (
    LOSS,
    NARROW,
    REFUSAL,
    WIDE,
    Visitor,
    check,
    field,
    ready,
    too_wide,
    turn,
)

pytestmark = pytest.mark.xdist_group("console-states")
Visit = Callable[..., Visitor]

EMPTY = [
    "chat",
    "runs",
    "runs?q=nothing",
    "flows?q=no+such",
    "sessions",
    "sessions?of=flows",
    "overview",
    "models?q=no+such",
]
MISSING = ["nothing", "runs/none", "sessions/none", "flows/no/flow", "compare/none/none", "chat/none-of-mine"]
OWN = ["runs", "runs/{run}", "compare/{run}/{run}", "flows", "flows/basics/two-step", "sessions", "overview", "models"]


def shows(page: Page, state: str) -> None:
    expect(page.locator(f"[data-state={state}]").first).to_be_visible()
    expect(page.locator("[data-state=loading], [aria-busy=true], .skeleton")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_where_a_page_has_nothing_to_show(
    visit: Visit, serve: Callable[..., Any], axe: str, scheme: str
) -> None:
    server = serve()
    visitor = visit(server.url, scheme=scheme, size=NARROW if scheme == "dark" else WIDE)
    found: dict[str, Any] = {}
    page = visitor.open("/console/chat")
    for path in EMPTY:
        turn(page, f"/console/{path}")
        if path != "chat":
            shows(page, "empty")
        found[f"empty {path}"] = check(page, axe) + ["too wide"] * too_wide(page)
    visitor.expected += [REFUSAL, LOSS]
    for state, path in [("missing", one) for one in MISSING] + [
        ("forbidden", "runs?user=x"),
        ("error", "runs?face=a%20b"),
    ]:
        turn(page, f"/console/{path}")
        shows(page, state)
        found[f"{state} {path}"] = check(page, axe) + ["too wide"] * too_wide(page)
    run = visitor.ask("tool: add 2 3")["id"]
    server.kill()
    for path in OWN:
        turn(page, f"/console/{path.format(run=run)}")
        shows(page, "offline")
        found[f"offline {path}"] = check(page, axe) + ["too wide"] * too_wide(page)
    serve(data=server.data, port=int(server.url.rpartition(":")[2]))
    ready(page)
    page.get_by_role("button", name=re.compile("^Account of")).locator("visible=true").click()
    page.get_by_role("menuitem", name=re.compile("^Sign out")).click()
    expect(page.get_by_role("heading", name="Sign in to Dragoman")).to_be_visible()
    found["signing in"] = check(page, axe) + ["too wide"] * too_wide(page)
    assert {name: what for name, what in found.items() if what} == {}


SHOWN_AGAIN = {
    "runs": "[data-run]",
    "runs/{run}": "[data-row]",
    "compare/{run}/{run}": "[aria-label=Comparison] table",
    "flows": "[data-row]",
    "flows/basics/two-step": ".react-flow__node",
    "sessions": "[data-row]",
    "overview": "[aria-label=Figures] canvas",
    "models": "[aria-label=Models] li",
}


@pytest.mark.parametrize("paths", [OWN[:4], OWN[4:]], ids=["some", "others"])
def test_pages_that_were_opened_without_a_server_are_there_once_the_server_is(
    visit: Visit, serve: Callable[..., Any], paths: list[str]
) -> None:
    server = serve()
    visitor = visit(server.url, expected=LOSS)
    run = visitor.ask("tool: add 2 3")["id"]
    tabs = {path: visitor.open("/console/chat") for path in paths}  # no more: a browser has six connections
    for page in tabs.values():
        expect(field(page)).to_be_enabled()
    server.kill()
    for path, page in tabs.items():
        turn(page, f"/console/{path.format(run=run)}")
        shows(page, "offline")
        expect(page.get_by_text("Connection to the server lost")).to_be_visible()
    serve(data=server.data, port=int(server.url.rpartition(":")[2]))
    for path, page in tabs.items():
        expect(page.locator(SHOWN_AGAIN[path]).first).to_be_visible()
        expect(page.locator("[data-state=offline]")).to_have_count(0)
