"""`serve --reload`: a server in a process of its own, started anew when the code changes.

The watching process imports nothing of the app, so that no old code survives.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click

LOOK_SECONDS = 0.4
STOP_SECONDS = 15.0

_SKIPPED = frozenset({"__pycache__", "node_modules", "venv"})


def keep_serving(arguments: Sequence[str], folder: Path | None = None) -> None:
    """Run `dragoman` with `arguments`, and again at every change below `folder`, until Ctrl-C.

    A server that ended by itself (a syntax error, say) is started again at the next change.
    """
    folder = folder or Path.cwd()
    before = signal.signal(signal.SIGTERM, _interrupt)
    seen = dict(sources(folder))
    process = _start(arguments)
    try:
        while True:
            time.sleep(LOOK_SECONDS)
            now = dict(sources(folder))
            changed = sorted(path for path in seen.keys() | now.keys() if seen.get(path) != now.get(path))
            if changed:
                click.echo(f"{changed[0]} changed; starting anew", err=True)
                _stop(process)
                seen, process = now, _start(arguments)
    except KeyboardInterrupt:
        return
    finally:
        _stop(process)
        signal.signal(signal.SIGTERM, before)


def sources(folder: Path) -> Iterator[tuple[str, float]]:
    """Python files and settings below a folder with the time of their last change; hidden folders are left out."""
    for root, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in _SKIPPED]
        for name in files:
            if name.endswith(".py") or name == "dragoman.toml":
                path = os.path.join(root, name)
                try:
                    yield path, os.stat(path).st_mtime
                except FileNotFoundError:  # editors replace files
                    continue


def _start(arguments: Sequence[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "dragoman", *arguments])


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
