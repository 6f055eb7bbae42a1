"""The list of scenarios.

Both sides read it: pytest makes a test of each entry and of each wire that it is for, and the process inside the
client's environment runs them. Importing it, or any scenario, must work without any client installed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

DEMO = "demo"
GATEWAY = "gateway"
FAMILIES = ("openai_chat", "openai_responses", "anthropic", "gemini", "cohere_v2", "ollama")
EMBEDDING = ("openai_chat", "gemini", "cohere_v2", "ollama")
"""Families whose manifests know embeddings."""

Play = Callable[[Any], None]


@dataclass(frozen=True, slots=True)
class Scenario:
    """One thing that a user does; `play` fails if it does not come out right.

    `place`: the demo, the gateway as such, or the family of wires behind it.
    """

    place: str
    title: str
    play: Play

    @property
    def name(self) -> str:
        return f"{self.place}-{self.title}"


class Registry:
    """Scenarios by name, in the order in which they were written."""

    def __init__(self) -> None:
        self.all: dict[str, Scenario] = {}

    def at(self, *places: str) -> Callable[[Play], Play]:
        """Add a scenario that is played at each of these places."""

        def add(play: Play) -> Play:
            title = getattr(play, "__name__", "")
            for place in places:
                made = Scenario(place, title, play)
                assert made.name not in self.all, made.name
                self.all[made.name] = made
            return play

        return add

    def behind(self, families: Sequence[str] = FAMILIES) -> Callable[[Play], Play]:
        """Add a scenario that is played once with each of these wires behind the gateway."""
        return self.at(*families)


scenario = Registry()
