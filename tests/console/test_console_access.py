"""Every page for everybody: axe, the keyboard alone, pictures light and dark, wide and narrow; and how little is loaded at first."""

from __future__ import annotations

import gzip
import json
import re
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from tests.console.driving import ADMIN, NARROW, Visitor, answer, approval, ask, field, send, settled, turn

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
]


def ready(page: Page) -> None:
    """What the page shows has come: nothing loads, and nothing moves any more."""
    expect(page.get_by_role("main")).to_be_visible()
    expect(page.locator("[data-state=loading], [aria-busy=true], .skeleton")).to_have_count(0)
    if page.url.rpartition("/console/")[2].startswith("chat/"):
        expect(page.locator("article strong").first).to_be_visible()  # how markdown is shown comes after the words
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def check(page: Page, axe: str) -> list[str]:
    """What axe finds that is serious or worse, each with where it is."""
    page.evaluate(axe)
    found = page.evaluate(
        "async () => (await axe.run(document, { resultTypes: ['violations'] })).violations.map(one => "
        "[one.impact, one.id, one.nodes.slice(0, 3).map(node => node.target.join(' ') + ' ' + node.html.slice(0, 160))])"
    )
    return [f"{kind}: {places}" for impact, kind, places in found if impact in ("serious", "critical")]


def picture(page: Page, folder: Path, name: str) -> None:
    page.evaluate("() => document.activeElement?.blur?.()")
    page.screenshot(path=folder / f"{name}.png", animations="disabled", caret="hide")


def too_wide(page: Page) -> int:
    """By how many pixels the page is wider than its window."""
    return max(0, page.evaluate("() => document.documentElement.scrollWidth - innerWidth"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_on_any_page(
    visit: Visit, stage: dict[str, str], pictures: Path, axe: str, scheme: str
) -> None:
    page = visit(token=None, scheme=scheme).open(stage["welcome"])
    found: dict[str, Any] = {}
    for name in PAGES:
        turn(page, stage[name])
        ready(page)
        picture(page, pictures, f"{name}-wide-{scheme}")
        found[name] = check(page, axe)
    print(json.dumps(found, indent=1))
    assert {name: what for name, what in found.items() if what} == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_a_telephone(visit: Visit, stage: dict[str, str], pictures: Path, scheme: str) -> None:
    page = visit(token=None, scheme=scheme, size=NARROW).open(stage["welcome"])
    wide = {}
    for name in PAGES:
        turn(page, stage[name])
        ready(page)
        picture(page, pictures, f"{name}-narrow-{scheme}")
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
