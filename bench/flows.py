"""F1 and F2: what a durable step costs and how fast jobs go, against DBOS on SQLite.

F1: runs of ten steps that do nothing but add one, one run after the other; figures per step. F2: a
few dozen jobs of three steps, put into a queue with four workers and awaited; figures per job. In both
each step's result is committed before the next begins. DBOS, with our journal mode and durability, is
the limit: 1.0 is as fast as DBOS, less is faster. CPU and wall time each have a target.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial

from bench.engines import ENGINES, JOB_STEPS, STEPS, Contender
from bench.measure import Figures, Report, interleave, main

LIMIT = "dbos"
NOT_SLOWER = 1.0
ROUNDS = 7
NAMES = {
    "dragoman": "dragoman",
    "function": "dragoman, ctx.step",
    "dragoman-full": "dragoman, synchronous = full",
    "dbos": "DBOS, WAL as ours",
    "dbos-stock": "DBOS as it comes",
}
WORKS = {"F1": ("steps", f"a step, in flows of {STEPS}"), "F2": ("jobs", f"a queued job of {JOB_STEPS} steps")}


def measure(check_only: bool) -> Report:
    report = Report("flows", "F1 durable steps, F2 jobs; ratios to DBOS on SQLite")
    with ExitStack() as stack:
        contenders: dict[str, Contender] = {}
        for name in ENGINES:
            contender = Contender(name)
            stack.callback(contender.close)
            if not contender.is_absent:
                contenders[name] = contender
        if LIMIT not in contenders:
            report.notes.append(
                "DBOS is absent (with Python 3.12 it needs SQLite 3.42); there is nothing to compare with"
            )
            return report
        for row, (work, title) in WORKS.items():
            runs = {name: partial(one.measure, work) for name, one in contenders.items()}
            if work == "steps":
                runs["function"] = partial(contenders["dragoman"].measure, "function")
            tell(report, row, title, interleave(runs, ROUNDS))
    return report


def tell(report: Report, row: str, title: str, found: dict[str, list[Figures]]) -> None:
    """CPU time and wall time, a table each."""
    named = {NAMES[name]: found[name] for name in NAMES if name in found}
    ours = {NAMES[name]: NOT_SLOWER for name in ("dragoman", "function")}
    for by in ("cpu", "wall"):
        report.compare(row, f"{title}, {by}", named, limit=NAMES[LIMIT], targets=ours, by=by)


if __name__ == "__main__":
    main(measure)
