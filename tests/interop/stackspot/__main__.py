"""Plays scenarios with one client package against a demo server; see `tests.interop.threads`.

python -m tests.interop.stackspot MODULE[:async] URL [NAME…]
"""

from __future__ import annotations

import os
import sys
import uuid
from functools import partial

from tests.interop.stackspot.registry import Scenario
from tests.interop.stackspot.scenarios import SCENARIOS
from tests.interop.stackspot.stage import Stage
from tests.interop.threads import forget, play_all

SECONDS = 45.0
"""How long one scenario may take, on a machine that does much else."""

AT_ONCE = 6


def play(each: Scenario, stage: Stage) -> None:
    with stage.visit() as visit:
        each.play(visit)


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
    chosen = {name: partial(play, SCENARIOS[name], stage) for name in names or SCENARIOS}
    play_all(chosen, at_once=AT_ONCE, seconds=SECONDS)


if __name__ == "__main__":
    forget(["STKAI_"])
    main(*sys.argv[1:])
