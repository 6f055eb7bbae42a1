"""Runs the scenarios of a client in a process of its own, and hands out each result as it comes.

A client is a release of kai-client, our own package, or a page in Node.

Processes start when the first test asks for a result, so many at a time and in the order of the
tests, and play only the scenarios that were chosen; the tests then read along.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.interop.environments import HERE, ROOT, client_python, node_packages

AT_ONCE = 3
SECONDS = 110.0
"""How long a test waits for its result, processes before its own included."""


@dataclass(frozen=True, slots=True)
class Client:
    """A client package, in the words of `python -m tests.interop.scenarios`; `release` "" is our own."""

    module: str
    release: str = ""

    @property
    def name(self) -> str:
        return f"kai-client-{self.release}" if self.release else self.module.replace(":", "-")

    def command(self, url: str, scratch: Path) -> list[str]:
        python = str(client_python(self.release)) if self.release else sys.executable
        return [python, "-W", "error", "-m", "tests.interop.scenarios", self.module, url, str(scratch)]


@dataclass(frozen=True, slots=True)
class Page:
    """A page with the packages that `node/NAME` pins."""

    name: str

    def command(self, url: str, environment: dict[str, str]) -> list[str]:
        node = shutil.which("node", path=environment["PATH"])
        assert node is not None
        return [node, str(HERE / "node" / "pages.mjs"), str(node_packages(self.name, environment)), url]


class Play:
    """One process: the results of its scenarios, and what ended it."""

    def __init__(self, scenarios: Sequence[str], log: Path) -> None:
        self.results: dict[str, Future[dict[str, Any]]] = {name: Future() for name in scenarios}
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, command: Callable[[], list[str]]) -> None:
        """Play all scenarios; afterwards every one has a result or the reason why not."""
        try:
            self._run(command())
            told = self._log.read_text("utf-8", "replace")[-4000:]
            missing: BaseException = AssertionError(f"the process ended:\n{told}")
        except (Exception, pytest.skip.Exception) as fault:
            missing = fault
        for result in self.results.values():
            if not result.done():
                result.set_exception(missing)

    def _run(self, command: list[str]) -> None:
        with (
            self._log.open("wb") as sink,
            subprocess.Popen([*command, *self.results], cwd=ROOT, stdout=subprocess.PIPE, stderr=sink) as process,
        ):
            self._process = process
            guard = threading.Timer(SECONDS, process.kill)
            guard.start()
            try:
                assert process.stdout is not None
                for line in process.stdout:
                    told = json.loads(line)
                    self.results[told["name"]].set_result(told)
            finally:
                guard.cancel()

    def end(self) -> None:
        """End the process, if it still runs."""
        if self._process is not None:
            self._process.kill()


class Theatre:
    """The plays of all clients of one kind; see `performed`."""

    def __init__(self, plays: Mapping[Any, Play], command: Callable[[Any], list[str]]) -> None:
        self._plays = plays
        self._pool = ThreadPoolExecutor(AT_ONCE)
        for client, play in plays.items():
            self._pool.submit(play.run, partial(command, client))

    def fault(self, client: Client | Page, scenario: str) -> str | None:
        """What was wrong with a scenario, None if nothing; waits for its end."""
        told = self._plays[client].results[scenario].result(SECONDS)
        return told["fault"]

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
        for play in self._plays.values():
            play.end()
        self._pool.shutdown()


@contextmanager
def performed(
    kind: type, items: Sequence[pytest.Item], scratch: Path, command: Callable[[Any], list[str]]
) -> Iterator[Theatre]:
    """Plays the (client, scenario) of those chosen tests whose client is of this kind."""
    chosen: dict[Any, list[str]] = {}
    for item in items:
        arguments = getattr(getattr(item, "callspec", None), "params", {})
        if isinstance(client := arguments.get("client"), kind):
            chosen.setdefault(client, []).append(arguments["scenario"])
    plays = {client: Play(names, scratch / f"{client.name}.log") for client, names in chosen.items()}
    theatre = Theatre(plays, command)
    try:
        yield theatre
    finally:
        theatre.close()
