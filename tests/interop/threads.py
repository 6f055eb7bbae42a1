"""Plays scenarios of a client package in threads, inside the environment that has it.

Prints one JSON line per scenario as it ends: {"name", "seconds", "fault": null or a text}. Each has a thread of its own
that nobody waits for in the end: a published client may hang where ours does not.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from typing import NoReturn


def play_all(plays: Mapping[str, Callable[[], None]], *, at_once: int, seconds: float) -> NoReturn:
    """Play them, each no longer than these seconds, and end the process."""
    left, printing = list(plays.items()), threading.Lock()
    threads = [threading.Thread(target=_work, args=(left, seconds, printing)) for _ in range(at_once)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.stdout.flush()
    os._exit(0)  # a thread that took too long, or one of a published pool, may never end


def forget(prefixes: Iterable[str]) -> None:
    """Take variables of these prefixes, and those of proxies, out of the environment."""
    names = tuple(prefixes)
    for variable in [name for name in os.environ if name.startswith(names) or name.lower().endswith("_proxy")]:
        del os.environ[variable]


def _work(left: list[tuple[str, Callable[[], None]]], seconds: float, printing: threading.Lock) -> None:
    while True:
        try:
            name, play = left.pop(0)
        except IndexError:
            return
        began = time.monotonic()
        report = {"name": name, "fault": _fault(play, seconds), "seconds": round(time.monotonic() - began, 3)}
        with printing:
            print(json.dumps(report), flush=True)


def _fault(play: Callable[[], None], seconds: float) -> str | None:
    """What was wrong with it."""
    told: list[str | None] = []

    def run() -> None:
        try:
            play()
            told.append(None)
        except BaseException:
            told.append(traceback.format_exc())

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    return told[0] if told else f"it took more than {seconds:.0f} s"
