"""Plays scenarios with one client package against a demo server.

    python -m tests.interop.stackspot MODULE[:async] URL [NAME…]

Prints one JSON line per scenario as it ends: {"name", "seconds", "fault": null or a text}. Each has
a thread of its own that nobody waits for in the end: a published client may hang where ours does not.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import traceback
import uuid

from tests.interop.stackspot.registry import Scenario
from tests.interop.stackspot.scenarios import SCENARIOS
from tests.interop.stackspot.stage import Stage

SECONDS = 45.0
"""How long one scenario may take, on a machine that does much else."""

AT_ONCE = 6


def play(each: Scenario, stage: Stage) -> str | None:
    """What was wrong with it."""
    told: list[str | None] = []

    def run() -> None:
        try:
            with stage.visit() as visit:
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


def main(module: str, url: str, *names: str) -> None:
    os.environ |= {
        "STKAI_AUTH_CLIENT_ID": f"demo-{uuid.uuid4().hex}",
        "STKAI_AUTH_CLIENT_SECRET": "demo-secret",
        "STKAI_AUTH_TOKEN_URL": f"{url}/demo/oidc/oauth/token",
        "STKAI_AGENT_BASE_URL": url,
        "STKAI_FILE_UPLOAD_BASE_URL": url,
        "STKAI_RQC_BASE_URL": url,
    }
    name, _, shell = module.partition(":")
    stage = Stage(name, url, awaiting=shell == "async")  # imports the package, which reads the environment
    left, printing = [SCENARIOS[name] for name in names or SCENARIOS], threading.Lock()
    threads = [threading.Thread(target=work, args=(left, stage, printing)) for _ in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.stdout.flush()
    os._exit(0)  # a thread of a published pool may never end


if __name__ == "__main__":
    for variable in [name for name in os.environ if name.startswith("STKAI_") or name.lower().endswith("_proxy")]:
        del os.environ[variable]
    main(*sys.argv[1:])
