"""Lines in a file outside the server's data: what counts runs of tools and steps, and no restored database can undo.

`TRACE` names the file.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

_PAUSE = re.compile(r"ms([0-9]+)-")


def trace() -> Path:
    return Path(os.environ["TRACE"])


def leave_trace(word: str, *, sync: bool = True) -> None:
    """One line; with `sync` on the disk before this returns, else with the system, which survives a killed process."""
    with trace().open("a", encoding="utf-8") as file:
        file.write(f"{word}\n")
        file.flush()
        if sync:
            os.fsync(file.fileno())


def pause_of(name: str) -> float:
    """The seconds that a bucket of this name takes: `ms300-x` takes 0.3."""
    found = _PAUSE.match(name)
    return int(found[1]) / 1000 if found is not None else 0.0
