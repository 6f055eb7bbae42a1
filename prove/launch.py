"""The nursery of a proof's servers: a process that has everything imported, and a fresh server per line of its stdin.

    python -m prove.launch GUARD serve …

For each line it starts `dragoman serve …` in a process of its own, prints that process's id, waits
for its end and prints its exit code. A fork takes no time to import, which makes many kills
cheap; where there is no fork the server is started anew. GUARD names what is taken out (see
`guards`); `-` leaves all whole.
"""

from __future__ import annotations

import os
import subprocess
import sys

from dragoman.__main__ import main as dragoman_main
from dragoman.server.serve import run as serve
from prove.app import app
from prove.guards import take_out

PRELOADED = (serve, app)
"""Imported here, so that no server has to."""

NOW = "--now"
"""Serve in this very process."""


def main(*arguments: str) -> int:
    now = arguments[0] == NOW
    guard, *command = arguments[1:] if now else arguments
    if guard != "-":
        take_out(guard)
    sys.argv = ["dragoman", *command]
    if now:
        return dragoman_main()
    return _nursery() if hasattr(os, "fork") else _nursery_without_fork(guard, *command)


def _nursery() -> int:
    while sys.stdin.readline():
        child = os.fork()
        if child == 0:
            os.dup2(2, 1)  # what a server prints belongs to the log
            return dragoman_main()
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)
    return 0


def _nursery_without_fork(*arguments: str) -> int:
    while sys.stdin.readline():
        child = subprocess.Popen([sys.executable, "-m", "prove.launch", NOW, *arguments], stdout=sys.stderr)
        print(child.pid, flush=True)
        print(child.wait(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
