"""How everything here is measured: interleaved rounds, medians of ratios, one table, one JSON file.

The machine is shared and its speed drifts, so contenders take turns within a round (A B C A B C),
after one round to warm up, and each is compared with the limit of its own round. Knows no contender.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

RESULTS = Path(__file__).parent / "results"
MARGIN = 1.3
"""By how much a single run of the check may miss a target before it fails."""


class WrongAnswer(Exception):
    """A contender's result is not what was sent; a wrong answer has no speed."""


def expect(name: str, found: object, wanted: object) -> None:
    """Raises WrongAnswer unless both are equal."""
    if found != wanted:
        raise WrongAnswer(f"{name}: expected {str(wanted)[:200]!r}, got {str(found)[:200]!r}")


def peer(name: str) -> Any | None:
    """An optional package, or None if this environment does not have it."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as missing:
        if missing.name is not None and name.startswith(missing.name):
            return None
        raise


# ----------------------------------------------------------------------------------- measuring


@dataclass(frozen=True, slots=True)
class Figures:
    """What one measurement gave, in seconds per unit of work: CPU time, and the wall time beside it."""

    cpu: float
    wall: float


Run = Callable[[], Figures]
K = TypeVar("K", bound=Hashable)


@contextmanager
def quiet() -> Iterator[None]:
    """Collect the garbage of whoever was before; the collector stays on, as in real programs."""
    gc.collect()
    yield


def timed(work: Callable[[], object], *, units: int, passes: int = 1) -> Figures:
    """`work`, `passes` times, in this process."""
    with quiet():
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(passes):
            work()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return Figures(cpu / (units * passes), wall / (units * passes))


def interleave(contenders: Mapping[K, Run], rounds: int) -> dict[K, list[Figures]]:
    """Each contender once per round, in turn; the first round only warms up."""
    found: dict[K, list[Figures]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        for name, run in contenders.items():
            figures = run()
            if number:
                found[name].append(figures)
    return found


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def ratio(ours: Sequence[float], limit: Sequence[float]) -> float:
    """The median of the ratios of each round, which a slow minute of the machine does not move."""
    return median([mine / theirs for mine, theirs in zip(ours, limit, strict=True)])


# -------------------------------------------------------------------------------------- places


_CORES = "BENCH_CORES"


def _allowed() -> list[int]:
    """The cores that the suite was given; children learn it from the environment, being pinned already."""
    if not hasattr(os, "sched_getaffinity"):
        return []
    given = os.environ.setdefault(_CORES, ",".join(map(str, sorted(os.sched_getaffinity(0)))))
    return [int(core) for core in given.split(",")]


_ALLOWED = _allowed()


def cores() -> tuple[int, int] | None:
    """A core for the contender and one for everybody else; None where that cannot be had."""
    return (_ALLOWED[0], _ALLOWED[1]) if len(_ALLOWED) > 1 else None


def pin(which: int) -> None:
    """Keep this process on the contender's core (0) or on the other one (1)."""
    two = cores()
    if two is not None:
        os.sched_setaffinity(0, {two[which]})


def cpu_of(pid: int) -> float:
    """Seconds of CPU, user and system, that a process has used; /proc counts in hundredths."""
    parts = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")


def memory_of(pid: int) -> int:
    """Resident bytes of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def has_proc() -> bool:
    return Path("/proc/self/stat").exists()


# ------------------------------------------------------------------------------------- results


@dataclass(frozen=True, slots=True)
class Row:
    """One line: what a contender took, and what that is to the limit.

    `ratio` is what is compared with `target`; both are None for lines that only stand beside. The
    ratio may be another measure than the limit's (`P4` is a difference): `unit` says which.
    """

    id: str
    work: str
    contender: str
    value: float | None
    unit: str
    ratio: float | None = None
    target: float | None = None
    wall: float | None = None

    @property
    def met(self) -> bool | None:
        return None if self.target is None or self.ratio is None else self.ratio <= self.target


@dataclass(slots=True)
class Report:
    """What one file of the suite found out."""

    name: str
    title: str
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.perf_counter)

    def add(self, row: Row) -> None:
        self.rows.append(row)

    def compare(
        self,
        id: str,
        work: str,
        found: Mapping[str, Sequence[Figures]],
        *,
        limit: str,
        targets: Mapping[str, float],
        unit: str = "us",
        by: str = "cpu",
    ) -> None:
        """A row per contender, each as a ratio to the one named `limit`; those without figures are absent."""
        scale = {"s": 1.0, "ms": 1e3, "us": 1e6}[unit]
        base = [getattr(figures, by) for figures in found[limit]]
        for name, figures in found.items():
            values = [getattr(one, by) for one in figures]
            if not values:
                self.add(Row(id, work, name, None, unit))
                continue
            wall = median([one.wall for one in figures]) * scale
            self.add(Row(id, work, name, median(values) * scale, unit, ratio(values, base), targets.get(name), wall))

    def failures(self, margin: float = 1.0) -> list[Row]:
        """Rows whose ratio is above `margin` times the target."""
        return [row for row in self.rows if row.target is not None and (row.ratio or 0) > margin * row.target]

    def show(self) -> None:
        print(f"\n{self.title}  ({time.perf_counter() - self.began:.0f} s)")
        print(f"{'row':<5}{'work':<40}{'contender':<30}{'value':>10} {'unit':<7}{'wall':>9}{'ratio':>8}{'target':>8}")
        for row in self.rows:
            if row.value is None:
                print(f"{row.id:<5}{row.work:<40}{row.contender:<30}{'absent':>10}")
                continue
            verdict = {None: "", True: "  met", False: "  MISSED"}[row.met]
            cells = [_number(row.value, 10), f" {row.unit:<7}", _number(row.wall, 9)]
            cells += [_number(row.ratio, 8), _number(row.target, 8), verdict]
            print(f"{row.id:<5}{row.work:<40}{row.contender:<30}{''.join(cells)}")
        for note in self.notes:
            print(f"  {note}")
        sys.stdout.flush()

    def save(self) -> None:
        """Write `results/NAME.json`."""
        RESULTS.mkdir(exist_ok=True)
        facts = {"rows": [asdict(row) for row in self.rows], "notes": self.notes, "machine": machine()}
        (RESULTS / f"{self.name}.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def _number(value: float | None, width: int) -> str:
    if value is None:
        return " " * width
    return f"{value:{width}.{0 if abs(value) >= 1000 else 1 if abs(value) >= 100 else 2}f}"


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    model = platform.processor()
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        model = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "system": platform.system(),
        "cpu": model,
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }


def main(make: Callable[[bool], Report]) -> None:
    """The command line of one file: `--check` measures only what has a target, and fails above the margin."""
    options = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    options.add_argument("--check", action="store_true", help=f"rows with a target only; fail above {MARGIN} x target")
    check: bool = options.parse_args().check
    pin(0)
    report = make(check)
    report.show()
    report.save()
    sys.exit(1 if check and report.failures(MARGIN) else 0)
