"""What a proof says at its end, and how a proof is run."""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from os import environ
from pathlib import Path

from prove.guards import is_broken

MOST_SECONDS = 90.0
"""A proof that takes longer has failed; each is meant to take less than a minute."""


@dataclass(slots=True)
class Verdict:
    """`faults`: what was found that must not be; without any the promise holds."""

    faults: list[str] = field(default_factory=list)

    def expect(self, holds: bool, otherwise: str) -> None:
        if not holds:
            self.faults.append(otherwise)

    @property
    def holds(self) -> bool:
        return not self.faults


@dataclass(frozen=True, slots=True)
class Ground:
    """What a proof stands on: an empty folder, the name of the guard to take out, a seed, and a way to tell."""

    folder: Path
    guard: str | None
    seed: int
    say: Callable[[str], None]


Proof = Callable[[Ground], Awaitable[Verdict]]


def run(name: str, prove: Proof, *, guard: str | None = None, seconds: float = MOST_SECONDS) -> bool:
    """Prove, print the verdict in one line, and tell whether the promise holds. `SEED=…` repeats a run."""
    seed = int(environ.get("SEED") or random.SystemRandom().randrange(10**9))
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"  {text}", flush=True)

    without = guard if is_broken() else None
    print(f"{name}: seed {seed}{f', without its guard {without!r}' if without else ''}", flush=True)
    with tempfile.TemporaryDirectory(prefix=f"dragoman-{name}-", ignore_cleanup_errors=True) as folder:
        ground = Ground(Path(folder), without, seed, say)
        try:
            verdict = asyncio.run(asyncio.wait_for(prove(ground), seconds))
        except TimeoutError as error:
            verdict = Verdict([f"it did not end: {error or f'{seconds:g} s are over'}"])
        except AssertionError as error:
            verdict = Verdict([str(error)])
    said = "holds" if verdict.holds else f"FAILS: {'; '.join(verdict.faults)}"
    print(f"{name}: {said} ({time.monotonic() - began:.1f} s)", flush=True)
    return verdict.holds
