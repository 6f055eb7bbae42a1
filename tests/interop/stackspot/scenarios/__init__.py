"""What a user of stkai does: each takes a `Visit` and claims what must come of it.

They import neither pytest nor a client, so that `__main__` can run them inside the environment of
any client, and the tests can list them. Those in `strict_…` have a `symptom`: the published client fails them.
"""

from __future__ import annotations

from tests.interop.stackspot.registry import Scenario, scenario
from tests.interop.stackspot.scenarios import (
    admitting,
    asking,
    batching,
    commanding,
    conversing,
    leaving,
    refusing_files,
    streaming,
    strict_calls,
    strict_streams,
    strict_surroundings,
    uploading,
)

__all__ = [
    "SCENARIOS",
    "Scenario",
    "admitting",
    "asking",
    "batching",
    "commanding",
    "conversing",
    "leaving",
    "refusing_files",
    "streaming",
    "strict_calls",
    "strict_streams",
    "strict_surroundings",
    "uploading",
]

SCENARIOS = scenario.all
