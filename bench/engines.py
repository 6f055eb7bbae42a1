"""Durable engines for `bench.flows`, each in a process of its own: ours and DBOS, both on SQLite.

    python -m bench.engines NAME     ready, then a line of JSON figures for each line `WORK` on standard input

The same work for all: trivial steps that add one, each result committed before the next step begins,
and a queue with four workers. A process that is not asked does next to nothing, so that the
contenders can take turns. `dbos` has the journal mode and the durability of ours (WAL, `NORMAL`);
`dbos-stock` is what its SQLite gets without a word, a rollback journal that is flushed at each commit.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.measure import Figures, expect, peer, pin, timed

STEPS, RUNS = 10, 20
"""A measurement of steps: so many runs, one after the other, of so many steps each."""

JOBS, JOB_STEPS, WORKERS = 60, 3, 4
POLL_SECONDS = 0.01
"""How often DBOS looks into its queue; the fastest of those tried, its own default is a second."""

ABSENT = "absent"

TUNING = ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=NORMAL")

Works = dict[str, tuple[Callable[[], object], int]]
"""What is measured → (the work, how many units it holds)."""


@contextmanager
def dragoman(folder: Path, synchronous: Any = "NORMAL") -> Iterator[Works]:
    """Our embedded engine: a declared list of steps, and one function that calls `ctx.step`."""
    from dragoman import App, Flow, FlowContext, flow, step  # only here: the process of a peer has no use for it
    from dragoman.core.flows import FlowCall
    from dragoman.engine.embedded import EmbeddedEngine
    from dragoman.store.sqlite import open_store

    def adding(number: int) -> Any:
        @step(name=f"add-{number}")
        def add(ctx: FlowContext) -> int:
            return int(ctx.output) + 1

        return add

    def plain(n: int) -> int:
        return n + 1

    @flow("bench/function")
    async def function(ctx: FlowContext) -> int:
        n = 0
        for _ in range(STEPS):
            n = await ctx.step("add", plain, n)
        return n

    flows = [
        Flow("bench/steps", [adding(number) for number in range(STEPS)]),
        Flow("bench/job", [adding(number) for number in range(JOB_STEPS)]),
        function,
    ]
    loop = asyncio.new_event_loop()
    store = loop.run_until_complete(open_store(folder, synchronous=synchronous))
    engine = EmbeddedEngine(App("bench", flows=flows), store, workers=WORKERS)
    loop.run_until_complete(engine.open())

    async def ended(run: str, wanted: int) -> None:
        tail = engine.tail(run)
        last: Any = None
        while events := await tail.next():
            last = events[-1]
        expect("the result", last.body.result, wanted)

    async def runs(name: str) -> None:
        for _ in range(RUNS):
            started = await engine.start_flow(FlowCall("t", name, message="0"))
            await ended(started.run.id, STEPS)

    async def jobs() -> None:
        put = [await engine.start_flow(FlowCall("t", "bench/job", kind="job", message="0")) for _ in range(JOBS)]
        for started in put:
            await ended(started.run.id, JOB_STEPS)

    yield {
        "steps": (lambda: loop.run_until_complete(runs("bench/steps")), STEPS * RUNS),
        "function": (lambda: loop.run_until_complete(runs("bench/function")), STEPS * RUNS),
        "jobs": (lambda: loop.run_until_complete(jobs()), JOBS),
    }
    loop.run_until_complete(engine.close())
    loop.run_until_complete(store.close())
    loop.close()


@contextmanager
def dbos(folder: Path, tuning: tuple[str, ...] = TUNING) -> Iterator[Works]:
    """DBOS: synchronous workflows, which are its faster ones."""
    package, alchemy = peer("dbos"), peer("sqlalchemy")
    # its timestamps want a newer SQLite than some builds of Python bring
    is_too_old = sys.version_info >= (3, 12) and sqlite3.sqlite_version_info < (3, 42)
    if package is None or alchemy is None or is_too_old:
        print(ABSENT, flush=True)
        raise SystemExit(0)

    @alchemy.event.listens_for(alchemy.engine.Engine, "connect")
    def tune(connection: Any, record: Any) -> None:
        for pragma in tuning:
            connection.execute(pragma)

    engine: Any = package.DBOS

    @engine.step()
    def add(n: int) -> int:
        return n + 1

    @engine.workflow()
    def work(n: int, times: int) -> int:
        for _ in range(times):
            n = add(n)
        return n

    engine(config={"name": "bench", "system_database_url": f"sqlite:///{folder}/dbos.db", "log_level": "ERROR"})
    engine.launch()
    engine.register_queue("jobs", worker_concurrency=WORKERS, polling_interval_sec=POLL_SECONDS)

    def steps() -> None:
        for _ in range(RUNS):
            handle = engine.start_workflow(work, 0, STEPS)
            expect("the result", handle.get_result(), STEPS)

    def jobs() -> None:
        handles = [engine.enqueue_workflow("jobs", work, 0, JOB_STEPS) for _ in range(JOBS)]
        for handle in handles:
            expect("the result", handle.get_result(polling_interval_sec=POLL_SECONDS), JOB_STEPS)

    yield {"steps": (steps, STEPS * RUNS), "jobs": (jobs, JOBS)}
    engine.destroy()


ENGINES: dict[str, Callable[[Path], Any]] = {
    "dragoman": dragoman,
    "dragoman-full": lambda folder: dragoman(folder, "FULL"),
    "dbos": dbos,
    "dbos-stock": lambda folder: dbos(folder, ()),
}


def serve(name: str) -> None:
    """Measure what standard input asks for, until it ends."""
    place = tempfile.TemporaryDirectory(prefix="dragoman-bench-", ignore_cleanup_errors=True)
    with place as folder, ENGINES[name](Path(folder)) as works:
        print("ready", flush=True)
        for line in sys.stdin:
            work, units = works[line.strip()]
            figures = timed(work, units=units)
            print(json.dumps({"cpu": figures.cpu, "wall": figures.wall}), flush=True)


class Contender:
    """One of the engines, in its process."""

    def __init__(self, name: str) -> None:
        command = [sys.executable, "-m", "bench.engines", name]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        said = self._line()
        self.is_absent = said == ABSENT
        if said not in ("ready", ABSENT):
            self.close()
            raise RuntimeError(f"{name} did not start; what it said is above")

    def _line(self) -> str:
        assert self._process.stdout is not None, "made with pipes"
        return self._process.stdout.readline().strip()

    def measure(self, work: str) -> Figures:
        assert self._process.stdin is not None, "made with pipes"
        self._process.stdin.write(f"{work}\n")
        self._process.stdin.flush()
        return Figures(**json.loads(self._line()))

    def close(self) -> None:
        with self._process:
            assert self._process.stdin is not None, "made with pipes"
            self._process.stdin.close()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()


if __name__ == "__main__":
    pin(0)
    serve(sys.argv[1])
