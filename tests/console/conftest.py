"""The system's Chromium, a server out of the installed wheel, and people who look at its console."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect
from tests.conftest import RunningServer, start_server
from tests.console.driving import WIDE, Visitor, someone
from tests.packaging.installing import build_wheel, console_of, install, interpreter_of

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "console"
PAGE = ROOT / "src" / "dragoman" / "server" / "console" / "dist" / "index.html"

expect.set_options(timeout=15_000)


@pytest.fixture(scope="session")
def built() -> Path:
    """The console as `make console` has left it, which `make test` does before the tests begin."""
    if not PAGE.is_file():
        pytest.skip("needs the console: make console")
    return PAGE.parent


@pytest.fixture(scope="session")
def server_python(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter with the wheel installed, away from the checkout, and of this environment all that the wheel needs.

    Made once for all workers: the first that has a whole one moves it to its place.
    """
    shared = tmp_path_factory.getbasetemp()
    shared = shared.parent if "PYTEST_XDIST_WORKER" in os.environ else shared
    place = shared / "installed"
    if not place.exists():
        draft = Path(tempfile.mkdtemp(prefix="installing.", dir=shared))
        install(build_wheel(ROOT, draft), draft)
        try:
            draft.rename(place)
        except OSError:
            if not place.exists():  # else another worker was faster, and its folder is as good
                raise
    python = interpreter_of(place)
    assert (console_of(python, place) / "dist" / "index.html").is_file()
    return python


@pytest.fixture(scope="session")
def demo_server(server_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """One demo for all tests of this worker, out of the wheel."""
    server = start_server("--demo", data=tmp_path_factory.mktemp("demo") / "data", python=server_python)
    yield server
    server.stop()


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
        sharpness: int = 1,
        expected: str | None = None,
    ) -> Visitor:
        who = someone() if token == "new" else token
        visitors.append(Visitor(chromium, url or demo_server.url, who, size=size, scheme=scheme, sharpness=sharpness))
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
