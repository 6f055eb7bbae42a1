"""`python -m faults [WORD …]`: plant each fault (or those whose name holds a word), and see that it is caught.

Exit code 0: every fault was caught by the test that it names. A fault whose text is not found
exactly once in its file makes the run fail, so that the table stays current.
"""

from __future__ import annotations

import os
import queue
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from faults.fault import Fault
from faults.planted import FAULTS

ROOT = Path(__file__).resolve().parent.parent
COPIED = ("src", "tests", "prove", "tools", "pyproject.toml")
WORKERS = 2
TEST_SECONDS = 60
FAILED = 1
"""pytest's exit code for failed tests; any other says that there was no verdict."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """`code` is pytest's; `text` what it printed."""

    code: int
    text: str
    seconds: float


class Tree:
    """A copy of the project in which faults may be planted."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ticks = time.time()
        ignored = shutil.ignore_patterns("__pycache__", ".hypothesis", "node_modules")
        for name in COPIED:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, folder / name, ignore=ignored)
            else:
                shutil.copy(ROOT / name, folder / name)

    @contextmanager
    def planted(self, fault: Fault) -> Iterator[None]:
        place = self._folder / "src" / "dragoman" / fault.file
        sound = place.read_text("utf-8")
        self._write(place, sound.replace(fault.old, fault.new))
        try:
            yield
        finally:
            self._write(place, sound)

    def _write(self, place: Path, text: str) -> None:
        # a time of its own for each version, or compiled code of the one before would be taken for this one's
        self._ticks += 2
        place.write_text(text, encoding="utf-8")
        os.utime(place, (self._ticks, self._ticks))

    def run(self, tests: Sequence[str]) -> Outcome:
        """Run these tests on the copy."""
        environment = os.environ | {"PYTHONPATH": str(self._folder / "src"), "CI": "true"}
        command = [sys.executable, "-m", "pytest", "-q", "-x", "--timeout", str(TEST_SECONDS)]
        command += [f"-pno:{plugin}" for plugin in ("cacheprovider", "xdist", "cov")]  # they take time to load
        command += tests
        began = time.monotonic()
        done = subprocess.run(
            command, cwd=self._folder, env=environment, capture_output=True, text=True, errors="replace", check=False
        )
        return Outcome(done.returncode, done.stdout + done.stderr, time.monotonic() - began)

    def uses_its_own_code(self) -> bool:
        """Whether the tests see the copy and not the project."""
        code = "import dragoman; print(dragoman.__file__)"
        environment = os.environ | {"PYTHONPATH": str(self._folder / "src")}
        told = subprocess.run(
            [sys.executable, "-c", code], cwd=self._folder, env=environment, capture_output=True, text=True, check=True
        )
        return told.stdout.startswith(str(self._folder))


def stale(faults: Sequence[Fault]) -> list[str]:
    """Faults that cannot be planted as they are written."""
    found = []
    for fault in faults:
        place = ROOT / "src" / "dragoman" / fault.file
        count = place.read_text("utf-8").count(fault.old) if place.is_file() else 0
        if count != 1:
            found.append(f"{fault.name}: expected its text once in {fault.file}, found it {count} times")
    return found


def look(faults: Sequence[Fault], folder: Path) -> int:
    """Plant them all; the number of those that nobody caught."""
    trees: queue.SimpleQueue[Tree] = queue.SimpleQueue()
    for number in range(WORKERS):
        (folder / str(number)).mkdir()
        trees.put(Tree(folder / str(number)))
    first = trees.get()
    if not first.uses_its_own_code():
        print("faults: the tests would not see the copy")
        return len(faults)
    unharmed = first.run(sorted({fault.test for fault in faults}))
    trees.put(first)
    if unharmed.code != 0:
        print(unharmed.text[-4000:])
        print("faults: the named tests do not pass on the code as it is")
        return len(faults)
    print(f"the named tests pass on the code as it is ({unharmed.seconds:.0f} s)", flush=True)

    def catch(fault: Fault) -> bool:
        tree = trees.get()
        try:
            with tree.planted(fault):
                outcome = tree.run([fault.test])
        finally:
            trees.put(tree)
        is_caught = outcome.code == FAILED
        verdict = "caught" if is_caught else "MISSED" if outcome.code == 0 else f"pytest ended with {outcome.code}"
        print(f"{verdict:<8} {outcome.seconds:5.1f} s  {fault.name:<52} {fault.test}", flush=True)
        if outcome.code not in (0, FAILED):
            print(outcome.text[-2000:])
        return is_caught

    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(catch, faults)).count(False)


def main(words: Sequence[str]) -> int:
    chosen = [fault for fault in FAULTS if not words or any(word in fault.name for word in words)]
    began = time.monotonic()
    if old := stale(chosen):
        print(*old, "faults: the table is not current; mend its entry in faults/", sep="\n")
        return 1
    with tempfile.TemporaryDirectory(prefix="dragoman-faults-") as folder:
        missed = look(chosen, Path(folder))
    print(f"faults: {len(chosen) - missed} of {len(chosen)} caught ({time.monotonic() - began:.0f} s)")
    return 1 if missed or not chosen else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
