"""How quick the console is: what it loads, how soon it can be used, and that nothing in it keeps the page from moving.

What else the machine does can only add to a time. So what is bounded is the work: of a task, how long the page's main
thread was at it; of opening a page, that and what the server did for it. Where nothing else runs this is the time that
goes by, and with `DRAGOMAN_QUIET=1` that time is bounded instead. What is over its bound is measured again, up to five
times, and the least counts. All figures are printed: `DRAGOMAN_QUIET=1 make browser ARGS="tests/console/test_console_speed.py -s"`.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect
from tests.console import seeding
from tests.console.driving import Visitor, answer, send, settled

from dragoman.testing import serve

pytestmark = pytest.mark.xdist_group("console-speed")
Visit = Callable[..., Visitor]

FIRST_LOAD_BYTES = 200_000
INTERACTIVE_MS = 1_000.0
OPEN_MS = 2_000.0
TASK_MS = 100.0
SHIFT = 0.01
"""Of the page, in which half of it moving by its whole height would be 0.5."""
MOST_NODES = 6_000
TRIES = 5
IS_QUIET = bool(os.environ.get("DRAGOMAN_QUIET"))
SCROLLS = 60

ARTICLE = "article[aria-label=Answer] .dgm:not(.dgm-plain)"

APPEARED = """selector => new Promise(resolve => {
  const look = () => document.querySelector(selector) ? resolve(performance.now()) : requestAnimationFrame(look);
  look();
})"""
"""When what the selector means came to be in the page, in milliseconds after it was asked for."""

WATCH = """() => {
  window.shifts = [];
  const told = list => list.getEntries().forEach(entry => entry.hadRecentInput || shifts.push(entry.value));
  new PerformanceObserver(told).observe({ type: 'layout-shift', buffered: true });
}"""

QUIET = """() => new Promise(resolve => {
  let timer;
  const again = () => { clearTimeout(timer); timer = setTimeout(resolve, 500); };
  new PerformanceObserver(again).observe({ type: 'resource', buffered: true });
  again();
})"""
"""Comes back when nothing has been loaded for half a second."""

SCROLL = """async ([selector, step, times]) => {
  const list = document.querySelector(selector);
  const frame = () => new Promise(requestAnimationFrame);
  const began = performance.now();
  for (let count = 0; count < times; count++) {
    list.scrollTop += step;
    await frame();
  }
  return performance.now() - began;
}"""


class Task(NamedTuple):
    """How long the main thread worked on it, and how long it took altogether, in milliseconds."""

    worked: float
    took: float


@contextmanager
def traced(page: Page) -> Iterator[list[Task]]:
    """The tasks of the page's main thread while the block runs, there when it has ended."""
    browser = page.context.browser
    assert browser is not None
    tasks: list[Task] = []
    browser.start_tracing(page=page, categories=["toplevel"])
    try:
        yield tasks
    finally:
        events = json.loads(browser.stop_tracing())["traceEvents"]
    named = [one for one in events if one["name"] == "thread_name" and one["args"]["name"] == "CrRendererMain"]
    threads = {(one["pid"], one["tid"]) for one in named}
    tasks += [
        Task(one["tdur"] / 1_000, one["dur"] / 1_000)
        for one in events
        if one["name"] == "ThreadControllerImpl::RunTask" and (one["pid"], one["tid"]) in threads and "tdur" in one
    ]
    assert tasks


def shifted(page: Page) -> float:
    return float(page.evaluate("() => shifts.reduce((all, one) => all + one, 0)"))


def nodes(page: Page) -> int:
    return int(page.evaluate("() => document.querySelectorAll('*').length"))


def least(name: str, bound: float, measure: Callable[[], float]) -> None:
    """The least of several measurements is within the bound."""
    taken: list[float] = []
    while not taken or (min(taken) > bound and len(taken) < TRIES):
        taken.append(measure())
    print(f"\n  {name}: {', '.join(f'{one:,.1f}' for one in taken)} (at most {bound:,.0f})", end="")
    assert min(taken) <= bound, f"{name}: {taken}"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server with the large journal."""
    data = tmp_path_factory.mktemp("archive") / "data"
    # in a thread: the driver of the browser looks like an event loop to this one
    writer = threading.Thread(target=lambda: asyncio.run(seeding.seed(data)))
    writer.start()
    writer.join()
    with serve(seeding.app(), data=data, demo=True) as server:
        yield server.url


@pytest.fixture
def archivist(visit: Visit, archive: str) -> Visitor:
    return visit(archive, token=seeding.TOKEN)


def opened(visitor: Visitor, path: str, selector: str) -> tuple[Page, float]:
    """A new tab, and how many milliseconds of work, or of time, it took until it showed what the selector means.

    The server is in this process, so that its work is this process's.
    """
    page = visitor.context.new_page()
    with traced(page) as tasks:
        begun = time.process_time()
        page.goto(path, wait_until="domcontentloaded")
        page.evaluate(WATCH)
        took = float(page.evaluate(APPEARED, selector))
        served = (time.process_time() - begun) * 1_000
    worked = sum(task.worked for task in tasks)
    print(f"\n  {path}: {took:.0f} ms; {worked:.0f} ms of work in the page, {served:.0f} in the server", end="")
    return page, took if IS_QUIET else worked + served


def smoothly(name: str, visitor: Visitor, path: str, selector: str, work: Callable[[Page], object]) -> None:
    """Neither opening the page nor what is done on it makes a long task, and the page never holds more than it shows."""

    def measure() -> float:
        page = visitor.context.new_page()
        with traced(page) as tasks:
            page.goto(path, wait_until="domcontentloaded")
            page.evaluate(WATCH)
            page.evaluate(APPEARED, selector)
            work(page)
        assert nodes(page) < MOST_NODES
        page.close()
        longest = Task(max(task.worked for task in tasks), max(task.took for task in tasks))
        print(f"\n  {name}: longest task {longest.worked:.0f} ms of work, {longest.took:.0f} ms", end="")
        return longest.took if IS_QUIET else longest.worked

    least(f"{name}: longest task, ms", TASK_MS, measure)


# --------------------------------------------------------------------------- the first load

ENTRIES = (
    "/",
    "thread",
    "/console/runs",
    "run",
    "/console/flows",
    "flow",
    "/console/sessions",
    "/console/overview",
    "/console/models",
)


@pytest.mark.parametrize("entry", ENTRIES)
def test_whatever_is_opened_first_loads_little(visit: Visit, built: Path, entry: str) -> None:
    """Counted as gzip, although this browser takes what is smaller still, until nothing more is asked for."""
    visitor = visit()
    run = visitor.ask("echo: **hello**")
    path = {
        "thread": f"/console/chat/{run['thread']}",
        "run": f"/console/runs/{run['id']}",
        "flow": "/console/flows/basics/two-step",
    }
    page = visitor.context.new_page()
    files: set[str] = set()
    page.on("response", lambda response: files.add(urlsplit(response.url).path))
    page.goto(path.get(entry, entry), wait_until="domcontentloaded")
    expect(page.locator("main")).to_be_visible()
    page.evaluate(QUIET)
    if entry == "thread":
        expect(answer(page).locator("strong")).to_have_text("hello")
    if entry == "flow":
        expect(page.locator(".react-flow__node").first).to_be_visible()
    if entry == "/console/overview":
        expect(page.locator("canvas").first).to_be_visible()
    loaded = [built / "index.html", *(built / file.lstrip("/") for file in files if "/console/assets/" in file)]
    size = sum(len(gzip.compress(file.read_bytes(), 9)) for file in loaded)
    print(f"\n  {entry}: {size:,} bytes in {len(loaded)} files", end="")
    assert len(loaded) > 4
    assert size < FIRST_LOAD_BYTES


@pytest.mark.parametrize("entry", ["/", "thread"])
def test_it_can_be_used_at_once(visit: Visit, archive: str, entry: str) -> None:
    def measure() -> float:
        visitor = visit(archive, token=seeding.TOKEN)  # each with an empty cache
        path = f"/console/chat/{seeding.THREAD}" if entry == "thread" else entry
        page, there = opened(visitor, path, "textarea:enabled")
        page.keyboard.type("x")  # where the caret is by itself
        expect(page.get_by_role("textbox", name="Message", exact=True)).to_have_value("x")
        return there

    least(f"{entry}: interactive, ms", INTERACTIVE_MS, measure)


def test_a_thread_that_is_opened_first_does_not_move(visit: Visit, archive: str) -> None:
    """With an empty cache: the words wait for what reads their markdown, and are never seen as they are written."""
    page, _ = opened(visit(archive, token=seeding.TOKEN), f"/console/chat/{seeding.THREAD}", ARTICLE)
    page.evaluate(QUIET)
    moved = shifted(page)
    print(f"\n  thread: shift {moved:.4f}", end="")
    assert moved < SHIFT


# --------------------------------------------------------------------------- long things


def test_a_thread_of_10000_messages_opens_at_once(archivist: Visitor) -> None:
    def measure() -> float:
        page, there = opened(archivist, f"/console/chat/{seeding.THREAD}", ARTICLE)
        expect(answer(page)).to_contain_text(f"Answer {seeding.MESSAGES // 2}")
        assert nodes(page) < MOST_NODES
        page.close()
        return there

    least("10,000 messages: open, ms", OPEN_MS, measure)


def test_a_thread_of_10000_messages_scrolls_smoothly(archivist: Visitor) -> None:
    def work(page: Page) -> None:
        for step in (-700, 500):
            page.evaluate(SCROLL, ["[aria-label=Messages]", step, SCROLLS])

    smoothly("10,000 messages, scrolled", archivist, f"/console/chat/{seeding.THREAD}", ARTICLE, work)


def test_the_beginning_of_a_thread_of_10000_messages_is_reached(archivist: Visitor) -> None:
    """All its pages are read, one after the other, and held when the first message is there."""
    walk = """async () => {
      const list = document.querySelector('[aria-label=Messages]');
      while (!list.textContent.includes('Question 1: ')) {
        list.scrollTop = 0;
        await new Promise(requestAnimationFrame);
      }
    }"""
    smoothly(
        "10,000 messages, to the first",
        archivist,
        f"/console/chat/{seeding.THREAD}",
        ARTICLE,
        lambda page: page.evaluate(walk),
    )


RUN = f"/console/runs/{seeding.RUN}"


VIEWS = [("waterfall", "Steps of the run", "[data-row]"), ("events", "Events", "[data-row] .font-mono")]


@pytest.mark.parametrize(("view", "label", "row"), VIEWS)
def test_a_run_of_100000_events_opens_at_once(archivist: Visitor, view: str, label: str, row: str) -> None:
    def measure() -> float:
        page, there = opened(archivist, f"{RUN}?tab={view}", row)
        expect(page.get_by_role("list", name=label)).to_be_visible()
        assert nodes(page) < MOST_NODES
        page.close()
        return there

    least(f"100,000 events, {view}: open, ms", OPEN_MS, measure)


@pytest.mark.parametrize(("view", "label", "row"), VIEWS)
def test_a_run_of_100000_events_scrolls_smoothly(archivist: Visitor, view: str, label: str, row: str) -> None:
    def work(page: Page) -> None:
        for step in (3_000, 500, -900):
            page.evaluate(SCROLL, [f"[role=region][aria-label='{label}']", step, SCROLLS])

    smoothly(f"100,000 events, {view}, scrolled", archivist, f"{RUN}?tab={view}", row, work)


# --------------------------------------------------------------------------- streaming


def test_an_answer_of_100_deltas_a_second_stops_nothing_and_moves_nothing(archivist: Visitor) -> None:
    def work(page: Page) -> None:
        send(page, "4")
        expect(answer(page)).to_contain_text("How a journal is read")
        settled(page)
        moved = shifted(page)
        print(f"\n  100 deltas a second: shift {moved:.4f}", end="")
        assert moved < SHIFT

    smoothly("100 deltas a second", archivist, "/", "textarea:enabled", work)
