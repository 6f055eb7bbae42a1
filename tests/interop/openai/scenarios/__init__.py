"""All scenarios, by name."""

from __future__ import annotations

from tests.interop.openai.registry import scenario
from tests.interop.openai.scenarios import answering, failing, keeping, shaping, tools, touring, vectors

MODULES = (answering, tools, shaping, vectors, failing, keeping, touring)
SCENARIOS = scenario.all
