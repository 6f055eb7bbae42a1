"""What a user of noukai-sdk does, as plain coroutines: each takes a `Stage` and claims what must come of it.

They import neither pytest nor a client, so that `__main__` can run them inside the environment of
any client, and the tests can list them.
"""

from __future__ import annotations

from tests.interop.noukai.registry import Scenario, scenario
from tests.interop.noukai.scenarios import (
    apps,
    defects,
    jobs,
    lifts,
    newer,
    recording,
    refusals,
    relaying,
    running,
    setting_up,
    stepping,
    tools,
    traces,
)

__all__ = [
    "SCENARIOS",
    "Scenario",
    "apps",
    "defects",
    "jobs",
    "lifts",
    "newer",
    "recording",
    "refusals",
    "relaying",
    "running",
    "setting_up",
    "stepping",
    "tools",
    "traces",
]

SCENARIOS = scenario.all
