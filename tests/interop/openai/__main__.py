"""Plays scenarios with the published client against the demo and the gateway; see `tests.interop.threads`.

python -m tests.interop.openai sync|async DEMO GATEWAY PROVIDER [NAME…]
"""

from __future__ import annotations

import sys
from functools import partial

from tests.interop.openai.registry import Scenario
from tests.interop.openai.scenarios import SCENARIOS
from tests.interop.openai.stage import Stage
from tests.interop.threads import forget, play_all

SECONDS = 60.0
"""How long one scenario may take, on a machine that does much else."""

AT_ONCE = 4


def play(each: Scenario, stage: Stage) -> None:
    with stage.visit(each.place) as visit:
        each.play(visit)


def main(shell: str, demo: str, gateway: str, provider: str, *names: str) -> None:
    stage = Stage(demo, gateway, provider, awaiting=shell == "async")
    chosen = {name: partial(play, SCENARIOS[name], stage) for name in names or SCENARIOS}
    play_all(chosen, at_once=AT_ONCE, seconds=SECONDS)


if __name__ == "__main__":
    forget(["OPENAI_"])
    main(*sys.argv[1:])
