"""Pictures of every page, light and dark, wide and narrow: those of `docs/console.md`, if they are asked for.

`DRAGOMAN_PICTURES=1 make test ARGS=tests/console/test_console_pictures.py` keeps them in `docs/images/console`. Made anew
they are the same files, byte for byte, but for pages that have come to look different.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.console.driving import NARROW, REFUSAL, WIDE, Visitor, too_wide
from tests.console.pictures import keep
from tests.console.staging import NOW, YOU, Stage, staged

pytestmark = [pytest.mark.xdist_group("console-pictures"), pytest.mark.timeout(300)]
Visit = Callable[..., Visitor]
FOLDER = Path(__file__).parents[2] / "docs" / "images" / "console"
ASKED = bool(os.environ.get("DRAGOMAN_PICTURES"))
SCHEMES = ["light", "dark"] if ASKED else ["light"]
WIDTHS = [("wide", WIDE), ("narrow", NARROW)] if ASKED else [("wide", WIDE)]
"""Where nobody asks for pictures it is enough that they can be made; how pages look is for other tests."""

FIRST = (1360, 1040)
"""The picture that README begins with, which is twice as sharp."""

SMALLEST_BYTES = 4_000
"""A picture of an empty page is smaller."""

PAGES = (
    *("welcome", "chat", "demo", "form", "runs", "run", "events", "compare", "flows", "flow"),
    *("sessions", "session", "overview", "models"),
)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, built: Path) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("stage") / "server") as made:
        yield made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pictures go: into the documentation if they are asked for, else nowhere that stays."""
    if not ASKED:
        return tmp_path_factory.mktemp("pictures")
    FOLDER.mkdir(parents=True, exist_ok=True)
    return FOLDER


def address(stage: Stage, name: str) -> str:
    run = stage.runs["run"]
    return {
        "welcome": "/console/chat",
        "run": f"/console/runs/{run}",
        "events": f"/console/runs/{run}?tab=events",
        "compare": f"/console/compare/{stage.runs['before']}/{run}",
        "flow": f"/console/flows/orders/refund?run={stage.runs['refund 4711']}",
        "session": f"/console/sessions/{stage.session}",
        **{name: f"/console/chat/{thread}" for name, thread in stage.threads.items()},
    }.get(name, f"/console/{name}")


def ready(page: Page) -> None:
    """All that the page shows has come, markdown and drawings included, and nothing moves any more."""
    expect(page.get_by_role("main")).to_be_visible()
    expect(page.locator("[data-state=loading], [aria-busy=true], .skeleton, .dgm-plain")).to_have_count(0)
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def show(page: Page, stage: Stage, name: str) -> None:
    """Open a page and bring it to where the picture is taken."""
    page.goto(address(stage, name))
    ready(page)
    if name in ("chat", "demo"):
        expect(page.locator("article .dgm").first).to_be_visible()
    elif name == "form":
        expect(page.get_by_role("region", name="Form: ask_name").get_by_role("textbox")).to_be_visible()
    elif name == "session":
        page.get_by_role("button", name="Replay").click()
        expect(page.get_by_role("heading", name="2 differences in 2 of 3 runs")).to_be_visible(timeout=30_000)
    elif name == "overview":
        expect(page.locator("main canvas").first).to_be_visible()
    elif name == "run" and page.viewport_size["width"] >= WIDE[0]:
        page.get_by_role("button", name="Tool, list_buckets").click()
        expect(page.get_by_role("complementary")).to_contain_text("completed")
    page.mouse.move(0, 0)
    page.evaluate("() => document.activeElement?.blur?.()")
    ready(page)


def shoot(chromium: Browser, page: Page, path: Path) -> None:
    keep(chromium, page.screenshot(animations="disabled", caret="hide"), path)
    assert path.stat().st_size > SMALLEST_BYTES


def open_at(visit: Visit, stage: Stage, **manner: Any) -> Page:
    """A tab of the person whose day it was, at the hour at which pictures are taken."""
    page = visit(stage.url, token=stage.keys[YOU], **manner).context.new_page()
    page.clock.set_fixed_time(NOW)
    return page


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_its_pictures(visit: Visit, stage: Stage, folder: Path, chromium: Browser, name: str) -> None:
    for scheme in SCHEMES:
        for width, size in WIDTHS:
            page = open_at(visit, stage, size=size, scheme=scheme)
            show(page, stage, name)
            assert too_wide(page) == 0
            shoot(chromium, page, folder / f"{name}-{width}-{scheme}.png")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_who_is_not_signed_in_is_asked_for_a_key(
    visit: Visit, stage: Stage, folder: Path, chromium: Browser, scheme: str
) -> None:
    for width, size in WIDTHS:
        page = open_at(visit, stage, size=size, scheme=scheme, expected=REFUSAL)  # of what was asked for just before
        page.goto("/")
        page.get_by_role("button", name="Account of").locator("visible=true").click()
        page.get_by_role("menuitem", name="Sign out").click()
        expect(page.get_by_role("heading", name="Sign in to Dragoman")).to_be_visible()
        shoot(chromium, page, folder / f"sign-in-{width}-{scheme}.png")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_readme_begins_with_the_console(
    visit: Visit, stage: Stage, folder: Path, chromium: Browser, scheme: str
) -> None:
    page = open_at(visit, stage, size=FIRST, scheme=scheme, sharpness=2)
    show(page, stage, "chat")
    shoot(chromium, page, folder / f"first-{scheme}.png")
