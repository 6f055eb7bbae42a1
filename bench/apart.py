"""Peers that ask for other versions of what everybody else uses: each has an environment of its own.

    python -m bench.apart litellm            make it, once
    python -m bench.apart litellm --measure  measure P1 in it; `bench.decode` calls this

The environment lies beside the others (`.venv-bench-litellm`) and holds the peer, the parts that the
limits are made of, and this project. A peer whose environment was not made is absent.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LIMITS = ("aiohttp>=3.12", "httptools>=0.7", "msgspec>=0.20", "orjson>=3.11")
PEERS = {"litellm": ("litellm[proxy]==1.106.2",)}
"""What is installed for each; they are not in the lock, for its versions are what they do not want."""


def interpreter(name: str) -> Path:
    folder = ROOT / f".venv-bench-{name}"
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def make(name: str) -> int:
    """Make the environment; the exit code of what was called last."""
    python = interpreter(name)
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(python.parent.parent)], check=True)
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--editable", str(ROOT)]
    return subprocess.call([*command, *LIMITS, *PEERS[name]])


def measured(name: str) -> dict[str, Any] | None:
    """The row of a peer, measured in its environment; None if there is none."""
    python = interpreter(name)
    if not python.exists():
        return None
    command = [str(python), "-m", "bench.apart", name, "--measure"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    if done.returncode:
        return None
    row: dict[str, Any] = json.loads(done.stdout.decode().splitlines()[-1])
    return row


def measure(name: str) -> int:
    """Measure it here, and print its row as the last line."""
    from bench import decode, peers  # only here: `decode` is this module's caller
    from bench.measure import Report

    report = Report(name, name)
    loop = asyncio.new_event_loop()
    decode.peer_row(report, loop, name, peers.PEERS[name]())
    (row,) = report.rows
    print(json.dumps({"work": row.work, "value": row.value, "ratio": row.ratio, "wall": row.wall}))
    return 0 if row.value is not None else 1


def main() -> int:
    options = argparse.ArgumentParser(prog="python -m bench.apart", description=__doc__)
    options.add_argument("peer", choices=sorted(PEERS))
    options.add_argument("--measure", action="store_true", help="measure it in this environment")
    given = options.parse_args()
    return measure(given.peer) if given.measure else make(given.peer)


if __name__ == "__main__":
    sys.exit(main())
