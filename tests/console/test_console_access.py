"""Every page for everybody: axe, the keyboard alone, a telephone; and how little is loaded at first."""

from __future__ import annotations

import gzip
import json
import re
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from tests.console.driving import (
    ADMIN,
    NARROW,
    WIDE,
    Visitor,
    answer,
    approval,
    ask,
    check,
    field,
    ready,
    send,
    settled,
    too_wide,
    turn,
)

pytestmark = pytest.mark.xdist_group("console-access")
Visit = Callable[..., Visitor]

FIRST_LOAD_BYTES = 200_000
INTERACTIVE_SECONDS = 1.0
TABS = 150
"""So many presses of Tab go once round any page of these."""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, demo_server: Any) -> dict[str, str]:
    """Addresses of every page, with something on each; by name."""
    url = demo_server.url

    def told(text: str) -> Any:
        return ask(url, ADMIN, "/runs", {"message": {"text": text}})

    words = "reason: Why does the journal come first"
    run = told("tool: add 2 3")
    other = told("tool: add 2 3")
    told("fail: the job ran out of memory")
    talk = told(words)
    for text in (
        'echo: **Everything is a run.** A run is a list of `events`:\n\n```python\nrun = await app.run("hello")\n```',
        "tool: add 19 23",
    ):
        ask(url, ADMIN, "/runs", {"message": {"text": text}, "thread": talk["thread"]})
    session = str(uuid.uuid4())
    flow = ask(url, ADMIN, "/flows/basics/two-step/runs", {"message": "hello", "session": session})
    return {
        "chat": f"/console/chat/{talk['thread']}",
        "welcome": "/console/chat",
        "runs": "/console/runs",
        "run": f"/console/runs/{run['id']}",
        "events": f"/console/runs/{run['id']}?tab=events",
        "compare": f"/console/compare/{run['id']}/{other['id']}",
        "flows": "/console/flows",
        "flow": f"/console/flows/basics/two-step?run={flow['id']}",
        "sessions": "/console/sessions",
        "session": f"/console/sessions/{session}",
        "overview": "/console/overview",
        "models": "/console/models",
        "missing": "/console/no-such-page",
    }


PAGES = [
    "chat",
    "welcome",
    "runs",
    "run",
    "events",
    "compare",
    "flows",
    "flow",
    "sessions",
    "session",
    "overview",
    "models",
    "missing",
]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_on_any_page(visit: Visit, stage: dict[str, str], axe: str, scheme: str) -> None:
    page = visit(token=None, scheme=scheme).open(stage["welcome"])
    found: dict[str, Any] = {}
    for name in PAGES:
        turn(page, stage[name])
        ready(page)
        found[name] = check(page, axe)
    print(json.dumps(found, indent=1))
    assert {name: what for name, what in found.items() if what} == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_a_telephone(visit: Visit, stage: dict[str, str], scheme: str) -> None:
    page = visit(token=None, scheme=scheme, size=NARROW).open(stage["welcome"])
    wide = {}
    for name in PAGES:
        turn(page, stage[name])
        ready(page)
        wide[name] = too_wide(page)
    assert {name: pixels for name, pixels in wide.items() if pixels} == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_where_something_is_asked(visit: Visit, axe: str, scheme: str) -> None:
    visitor = visit(scheme=scheme)
    page = visitor.open()
    send(page, "approve: create_bucket photos")
    expect(approval(page)).to_be_visible()
    settled(page)
    found = {"approval": check(page, axe)}
    send(page, "widget: form")
    expect(page.get_by_role("region", name="Form: ask_name")).to_be_visible()
    settled(page)
    found["form"] = check(page, axe)
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    found["help"] = check(page, axe)
    assert {name: what for name, what in found.items() if what} == {}


# --------------------------------------------------------------------------- the keyboard

MARK = """() => {
  const all = [...document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex]')].filter(
    one => one.tabIndex >= 0 && !one.disabled && one.checkVisibility({ visibilityProperty: true }) && !one.closest('[inert]') && one.getClientRects().length > 0,
  );
  all.forEach((one, place) => { one.dataset.stop = place; });
  return all.map(one => (one.getAttribute('aria-label') ?? one.textContent ?? one.tagName).slice(0, 60));
}"""
FOCUSED = """() => {
  const one = document.activeElement;
  if (one === null || one === document.body) return null;
  const rings = [one, ...one.querySelectorAll('*')].concat(one.parentElement ?? []).some(part => {
    return ['', '::after'].some(pseudo => { const style = getComputedStyle(part, pseudo || undefined); return style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0; });
  });
  const border = one.closest('[class*="focus-within"]') !== null || one.id === 'main';
  return [one.dataset.stop ?? null, rings || border, one.outerHTML.slice(0, 120)];
}"""


def test_every_page_is_gone_through_with_tab_and_shows_where_one_is(visit: Visit, stage: dict[str, str]) -> None:
    page = visit(token=None).open(stage["welcome"])
    missed = {}
    for name in PAGES:
        turn(page, stage[name])
        ready(page)
        page.evaluate("() => document.activeElement?.blur?.()")
        labels = page.evaluate(MARK)
        reached, unseen = set(), []
        for _ in range(TABS):
            page.keyboard.press("Tab")
            told = page.evaluate(FOCUSED)
            if told is not None and told[0] is not None:
                if int(told[0]) in reached:
                    break
                reached.add(int(told[0]))
                unseen += [] if told[1] else [told[2]]
        left = [label for place, label in enumerate(labels) if place not in reached]
        if left or unseen:
            missed[name] = (left, unseen)
    assert missed == {}


def test_a_question_is_asked_approved_and_traced_without_a_pointer(visitor: Visitor) -> None:
    page = visitor.open()
    expect(field(page)).to_be_focused()
    page.keyboard.type("approve: create_bucket keys")
    page.keyboard.press("Enter")
    expect(approval(page)).to_be_visible()
    settled(page)
    page.keyboard.press("Alt+a")
    expect(approval(page).get_by_role("button", name="Approve", exact=True)).to_be_focused()
    page.keyboard.press("Enter")
    expect(answer(page)).to_contain_text("created keys")
    settled(page)
    page.keyboard.press("Escape")
    expect(field(page)).not_to_be_focused()
    page.keyboard.press("g")
    page.keyboard.press("r")
    page.wait_for_url(re.compile("/console/runs"))
    expect(page.locator("[data-run]")).to_have_count(1)
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/console/runs/."))
    expect(page.get_by_role("list", name="Steps of the run")).to_be_visible()
    page.keyboard.press("v")
    page.wait_for_url(re.compile("tab=events"))


def inside(page: Page) -> bool:
    """Whether the focus is in the dialog, or on nothing of the page."""
    found: bool = page.evaluate(
        "() => document.activeElement === document.body || document.querySelector('dialog[open]')?.contains(document.activeElement) === true"
    )
    return found


def test_the_first_stop_leads_past_the_menu(visitor: Visitor) -> None:
    page = visitor.open("/console/models")
    ready(page)
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the page")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_label("Search models and providers")).to_be_focused()


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_dialogs_keep_the_focus_and_give_it_back(visit: Visit, size: tuple[int, int]) -> None:
    visitor = visit(size=size)
    other, run = visitor.ask("tool: add 2 3"), visitor.own("POST", "/runs", {"message": {"text": "slow: 400 100"}})
    page = visitor.open(f"/console/runs/{run['id']}")
    openers = [("Compare…", "Compare with another run"), ("Cancel", "Cancel this run?")]
    for opener, title in openers:
        button = page.get_by_role("button", name=opener, exact=True)
        button.focus()
        page.keyboard.press("Enter")
        dialog = page.get_by_role("dialog", name=re.compile(re.escape(title)))
        expect(dialog).to_be_visible()
        for press in ["Tab"] * 8 + ["Shift+Tab"] * 8:
            page.keyboard.press(press)
            assert inside(page)
        page.keyboard.press("g")  # letters are no shortcuts meanwhile
        page.keyboard.press("f")
        page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)
        expect(button).to_be_focused()
    page.goto(f"/console/runs/{other['id']}")
    row = page.get_by_role("button", name=re.compile("^Tool, add"))
    row.focus()
    page.keyboard.press("Enter")
    details = page.get_by_role("dialog" if size == NARROW else "complementary", name="add", exact=True)
    expect(details).to_be_visible()
    page.keyboard.press("Escape")
    expect(details).to_have_count(0)
    expect(row).to_be_focused()


def test_the_menu_of_the_account_is_gone_through_with_arrows(visitor: Visitor) -> None:
    page = visitor.open("/console/models")
    button = page.get_by_role("button", name=re.compile("^Account of")).locator("visible=true")
    button.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("menuitemradio", name="Theme of the system")).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(button).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Escape")
    expect(page.get_by_role("menu")).to_have_count(0)
    expect(button).to_be_focused()


def test_each_page_has_shortcuts_that_do_what_the_help_says(visit: Visit, stage: dict[str, str]) -> None:
    visitor = visit(token=None)
    page = visitor.open(stage["runs"])
    search = page.get_by_role("searchbox").or_(page.locator("input[type=search]")).first

    def at(name: str) -> None:
        turn(page, stage[name])
        ready(page)
        page.evaluate("() => document.activeElement?.blur?.()")

    at("runs")
    for name in ("runs", "flows", "sessions", "models"):
        at(name)
        page.keyboard.press("/")
        expect(search).to_be_focused()
        page.keyboard.press("Escape")
        expect(search).not_to_be_focused()
    at("runs")
    page.keyboard.press("f")
    expect(page.get_by_label("Agent", exact=True)).to_be_visible()
    page.keyboard.press("f")
    page.keyboard.press("e")
    page.wait_for_url(re.compile("failed=true"))
    page.keyboard.press("e")
    page.wait_for_url(re.compile("/runs$"))
    expect(page.locator("[data-run]").filter(has_text="Done").nth(1)).to_be_visible()
    page.keyboard.press("l")
    expect(page.get_by_role("button", name="Held", exact=True)).to_be_visible()
    page.keyboard.press("j")
    for press in ("x", "j", "x"):
        page.keyboard.press(press)
    expect(page.get_by_text("Two runs marked.")).to_be_visible()
    page.keyboard.press("c")
    page.wait_for_url(re.compile("/console/compare/"))
    ready(page)
    before = page.url
    page.keyboard.press("s")
    page.wait_for_url(lambda url: url != before and "/compare/" in url)
    at("run")
    for letter, tab in (("v", "Events"), ("w", "Waterfall")):
        page.keyboard.press(letter)
        expect(page.get_by_role("tab", name=tab)).to_have_attribute("aria-selected", "true")
    page.keyboard.press("c")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("r")
    page.wait_for_url(lambda url: "/console/runs/" in url and stage["run"] not in url)
    at("flow")
    page.keyboard.press("i")
    expect(page.get_by_label(re.compile("^Run version"))).to_be_focused()
    for name in ("flows", "sessions"):
        at(name)
        page.keyboard.press("j")
        expect(page.locator("[data-row='0']")).to_be_focused()
        page.keyboard.press("ArrowDown")
        expect(page.locator("[data-row='1']")).to_be_focused()
    at("session")
    page.keyboard.press("r")
    expect(page.get_by_role("region", name="Replay")).to_be_visible(timeout=30_000)
    at("overview")
    page.keyboard.press("]")
    page.wait_for_url(re.compile("range=7d"))
    page.keyboard.press("[")
    page.wait_for_url(re.compile("/overview$"))
    page.keyboard.press("t")
    expect(page.get_by_role("button", name="Charts", exact=True)).to_be_visible()


def test_two_letters_lead_to_every_page(visitor: Visitor) -> None:
    page = visitor.open("/console/models")
    ready(page)
    for letter, place in zip("crfsom", ("chat", "runs", "flows", "sessions", "overview", "models"), strict=True):
        page.keyboard.press("Escape")  # the chat takes the focus into its field
        page.keyboard.press("g")
        page.keyboard.press(letter)
        page.wait_for_url(re.compile(f"/console/{place}"))
        here = page.locator('nav [aria-current="page"]').locator("visible=true")
        expect(here).to_have_attribute("href", re.compile(place))
        ready(page)


def test_the_first_load_is_small_and_quick(visit: Visit) -> None:
    visitor = visit(token=None)
    page = visitor.context.new_page()
    bodies: list[Any] = []
    page.on(
        "response",
        lambda response: (
            bodies.append(response) if "/dragoman/" not in response.url and "/api/" not in response.url else None
        ),
    )
    page.goto("/")  # signs in, fills what the system caches
    expect(field(page)).to_be_editable()
    sizes = {body.url.rpartition("/")[2] or "/": len(gzip.compress(body.body(), 9)) for body in bodies}
    assert sum(sizes.values()) < FIRST_LOAD_BYTES, sizes
    page.goto("about:blank")
    begun = time.perf_counter()
    page.goto("/", wait_until="commit")
    field(page).wait_for(state="visible")
    assert time.perf_counter() - begun < 3 * INTERACTIVE_SECONDS  # other tests share the machine
    seconds = page.evaluate("() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0") / 1000
    assert seconds < INTERACTIVE_SECONDS, json.dumps(sizes)
