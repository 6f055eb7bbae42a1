"""The rules of `capability_profile`: what a profile of each phase must and must not hold.

The texts are those that the protocol's compliance cases look for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_INNER = ("inputs", "outcomes", "systems")
_OUTER = ("process", "contract")


def profile_problems(profile: Any) -> list[str]:
    """What is wrong with a profile; empty when nothing is."""
    if not isinstance(profile, Mapping):
        return [f"capability_profile must be object, got {type(profile).__name__}"]
    phase = profile.get("phase")
    inner = [name for name in _INNER if profile.get(name) is not None]
    outer = [name for name in _OUTER if profile.get(name) is not None]
    if phase == "ios_v1":
        problems = [f"capability_profile must NOT have additional properties: {name!r} in ios_v1" for name in outer]
        if not inner:
            problems.append(f"capability_profile must match at least one schema in anyOf: one of {', '.join(_INNER)}")
        return problems
    if phase == "iospc_v1":
        problems = [] if inner else ["capability_profile: iospc_v1 requires inputs or outcomes or systems"]
        return problems if outer else [*problems, "capability_profile: iospc_v1 requires process or contract"]
    return [f"capability_profile: phase must be ios_v1 or iospc_v1, got {phase!r}"]
