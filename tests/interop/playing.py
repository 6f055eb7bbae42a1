"""Runs the scenarios of a client in a process of its own, and hands out each result as it comes.

Processes start when the first test asks for a result, so many at a time and in the order of the
tests, and play only the scenarios that were chosen; the tests then read along.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.interop.environments import ROOT, client_python

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
        return f"kai-client-{self.release}" if self.release else self.module

    def python(self) -> str:
        return str(client_python(self.release)) if self.release else sys.executable


@dataclass(slots=True)
class Play:
    """One process: the results of its scenarios, and what ended it."""

    client: Client
    results: dict[str, Future[dict[str, Any]]] = field(default_factory=dict)

    def run(self, url: str, scratch: Path) -> None:
        """Play all scenarios; afterwards every one has a result or the reason why not."""
        try:
            log = scratch / f"{self.client.name.replace(':', '-')}.log"
            self._run(url, scratch, log)
            missing: BaseException = AssertionError(f"the process ended:\n{log.read_text('utf-8', 'replace')[-4000:]}")
        except (Exception, pytest.skip.Exception) as fault:
            missing = fault
        for result in self.results.values():
            if not result.done():
                result.set_exception(missing)

    def _run(self, url: str, scratch: Path, log: Path) -> None:
        command = [self.client.python(), "-W", "error", "-m", "tests.interop.scenarios", self.client.module]
        with (
            log.open("wb") as sink,
            subprocess.Popen(
                [*command, url, str(scratch), *self.results], cwd=ROOT, stdout=subprocess.PIPE, stderr=sink
            ) as process,
        ):
            guard = threading.Timer(SECONDS, process.kill)
            guard.start()
            assert process.stdout is not None
            for line in process.stdout:
                told = json.loads(line)
                self.results[told["name"]].set_result(told)
            guard.cancel()


class Theatre:
    """All plays of a test run."""

    def __init__(self, chosen: Mapping[Client, Sequence[str]], url: str, scratch: Path) -> None:
        self._plays = {client: Play(client, {name: Future() for name in names}) for client, names in chosen.items()}
        self._pool = ThreadPoolExecutor(AT_ONCE)
        for play in self._plays.values():
            self._pool.submit(play.run, url, scratch)

    def fault(self, client: Client, scenario: str) -> str | None:
        """What was wrong with a scenario, None if nothing; waits for its end."""
        told = self._plays[client].results[scenario].result(SECONDS)
        return told["fault"]

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)
