"""Plays scenarios with the published client against the demo and the gateway.

    python -m tests.interop.openai sync|async DEMO GATEWAY PROVIDER [NAME…]

Prints one JSON line per scenario as it ends: {"name", "seconds", "fault": null or a text}. Each has a thread of its
own that nobody waits for in the end.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import traceback

from tests.interop.openai.registry import Scenario
from tests.interop.openai.scenarios import SCENARIOS
from tests.interop.openai.stage import Stage

SECONDS = 60.0
"""How long one scenario may take, on a machine that does much else."""

AT_ONCE = 4


def play(each: Scenario, stage: Stage) -> str | None:
    """What was wrong with it."""
    told: list[str | None] = []

    def run() -> None:
        try:
            with stage.visit(each.place) as visit:
                each.play(visit)
            told.append(None)
        except BaseException:
            told.append(traceback.format_exc())

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(SECONDS)
    return told[0] if told else f"it took more than {SECONDS:.0f} s"


def work(left: list[Scenario], stage: Stage, printing: threading.Lock) -> None:
    while True:
        try:
            each = left.pop(0)
        except IndexError:
            return
        began = time.monotonic()
        report = {"name": each.name, "fault": play(each, stage), "seconds": round(time.monotonic() - began, 3)}
        with printing:
            print(json.dumps(report), flush=True)


def main(shell: str, demo: str, gateway: str, provider: str, *names: str) -> None:
    stage = Stage(demo, gateway, provider, awaiting=shell == "async")
    left, printing = [SCENARIOS[name] for name in names or SCENARIOS], threading.Lock()
    threads = [threading.Thread(target=work, args=(left, stage, printing)) for _ in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.stdout.flush()
    os._exit(0)  # a thread whose scenario took too long may never end


if __name__ == "__main__":
    for variable in [name for name in os.environ if name.startswith("OPENAI_") or name.lower().endswith("_proxy")]:
        del os.environ[variable]
    main(*sys.argv[1:])
