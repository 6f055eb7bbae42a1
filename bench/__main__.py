"""Run the suite: `python -m bench`, `--check` for continuous integration, `--runs 3` for a release.

Each file runs in a process of its own. A target is met when the median ratio of three runs meets it:
`--runs` takes the medians; the check measures a file that fails twice more, and the medians decide.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.measure import MARGIN, RESULTS, Report, Row, median

FILES = (
    "imports",
    "decode",
    "arguments",
    "client",
    "server",
    "gateway",
    "store",
    "flows",
    "widgets",
    "chatkit",
    "stackspot",
    "record",
)
IN_CHECK = ("imports", "decode", "arguments", "store", "widgets")
TIMES = 3


def run(name: str, *, check: bool) -> None:
    """One file, once; it prints and saves its own results. Raises if it did not get that far."""
    result = RESULTS / f"{name}.json"
    result.unlink(missing_ok=True)
    command = [sys.executable, "-m", f"bench.{name}", *(["--check"] if check else [])]
    code = subprocess.call(command, cwd=Path(__file__).parent.parent)
    if not result.exists():
        raise SystemExit(f"bench: {name} ended with {code} and without a result")


def rows_of(name: str) -> list[Row]:
    facts: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text("utf-8"))
    return [Row(**row) for row in facts["rows"]]


def middle(runs: list[list[Row]]) -> list[Row]:
    """Each row with the medians of its figures."""

    def of(values: list[float | None]) -> float | None:
        there = [value for value in values if value is not None]
        return median(there) if there else None

    return [
        replace(
            same[0],
            value=of([row.value for row in same]),
            ratio=of([row.ratio for row in same]),
            wall=of([row.wall for row in same]),
        )
        for same in zip(*runs, strict=True)
    ]


def suite(names: tuple[str, ...], *, check: bool, runs: int) -> list[Row]:
    """All rows of these files, as medians where there was more than one run."""
    found: list[Row] = []
    for name in names:
        taken = []
        for _ in range(runs):
            run(name, check=check)
            taken.append(rows_of(name))
        if check and any(_fails(row) for row in taken[0]):
            print(f"bench: {name} is above a target; it is measured twice more")
            for _ in range(TIMES - 1):
                run(name, check=True)
                taken.append(rows_of(name))
        found += middle(taken)
    return found


def markdown(rows: list[Row]) -> str:
    """The rows as a table for `docs/performance.md`; `summary.md` holds it after each run."""
    lines = ["| row | work | who | value | ratio | target | |", "|---|---|---|---|---|---|---|"]
    for row in rows:
        value = "absent" if row.value is None else f"{row.value:.3g} {row.unit}"
        if row.value is not None and row.value >= 1000:
            value = f"{row.value:,.0f} {row.unit}"
        relation = "" if row.ratio is None else f"{row.ratio:.2f}"
        target = "" if row.target is None else f"{row.target:g}"
        verdict = {None: "", True: "met", False: "**missed**"}[row.met]
        lines.append(f"| {row.id} | {row.work} | {row.contender} | {value} | {relation} | {target} | {verdict} |")
    return "\n".join(lines) + "\n"


def _fails(row: Row) -> bool:
    return row.target is not None and row.ratio is not None and row.ratio > MARGIN * row.target


def main() -> int:
    options = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    options.add_argument("--check", action="store_true", help=f"only what belongs in CI; fail above {MARGIN} x target")
    options.add_argument("--runs", type=int, default=1, help="how often to measure each file; medians are told")
    options.add_argument("files", nargs="*", metavar="FILE", help=f"some of {', '.join(FILES)}; all by default")
    given = options.parse_args()
    unknown = [name for name in given.files if name not in FILES]
    if unknown:
        options.error(f"there is no {unknown[0]!r}; expected some of {', '.join(FILES)}")
    names = tuple(given.files) or (IN_CHECK if given.check else FILES)
    rows = suite(names, check=given.check, runs=given.runs)
    summary = Report("summary", f"Medians of {given.runs} runs" if given.runs > 1 else "Targets")
    summary.rows = rows if given.runs > 1 else [row for row in rows if row.target is not None]
    summary.show()
    summary.save()
    (RESULTS / "summary.md").write_text(markdown(summary.rows), encoding="utf-8")
    failed = [row for row in rows if _fails(row)] if given.check else []
    for row in failed:
        print(f"bench: {row.id} {row.work}, {row.contender}: {row.ratio:.2f}, far above {row.target}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
