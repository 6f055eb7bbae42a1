"""The list of scenarios.

Both sides read it: pytest makes a test of each entry, and the process inside a client's environment
runs them. Importing it, or any scenario, must work without any client installed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Play = Callable[[Any], None]


@dataclass(frozen=True, slots=True)
class Scenario:
    """One thing that a user does; `play` fails if it does not come out right.

    `symptom`: the published client must fail it, and this is part of how. `blocking`: no client that awaits has it.
    """

    name: str
    ids: tuple[str, ...]
    symptom: str
    blocking: bool
    play: Play


class Registry:
    """Scenarios by name, in the order in which they were written."""

    def __init__(self) -> None:
        self.all: dict[str, Scenario] = {}

    def requirement(self, *ids: str, symptom: str = "", blocking: bool = False) -> Callable[[Play], Play]:
        """Add a scenario that shows these rows."""

        def add(play: Play) -> Play:
            name = getattr(play, "__name__", "")
            assert name not in self.all, name
            self.all[name] = Scenario(name, ids, symptom, blocking, play)
            return play

        return add


scenario = Registry()
