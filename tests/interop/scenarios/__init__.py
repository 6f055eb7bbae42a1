"""What a user of kai-client does, as plain coroutines: each takes a `Stage` and claims what must come of it.

They import neither pytest nor a client, so that `__main__` can run them inside the environment of
any client, and the tests can list them.
"""

from __future__ import annotations

from tests.interop.scenarios import accounting, asking, deciding, keeping, knowing, leaving
from tests.interop.scenarios.registry import Scenario, scenario

__all__ = ["SCENARIOS", "Scenario", "accounting", "asking", "deciding", "keeping", "knowing", "leaving"]

SCENARIOS = scenario.all
