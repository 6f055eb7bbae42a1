"""The list of scenarios, and which releases of kai-client have the API that each needs.

Both sides read it: pytest makes a test of each entry, and the process inside a client's
environment runs them. Importing it, or any scenario, must work without any client installed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

Version = tuple[int, ...]
Play = Callable[[Any], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Scenario:
    """One thing that a user does; `play` fails with AssertionError if it does not come out right."""

    name: str
    ids: tuple[str, ...]
    since: Version
    until: Version
    play: Play

    def suits(self, release: Version) -> bool:
        """Whether this release of kai-client has what the scenario uses."""
        return self.since <= release < self.until


class Registry:
    """Scenarios by name, in the order in which they were written."""

    def __init__(self) -> None:
        self.all: dict[str, Scenario] = {}

    def requirement(self, *ids: str, since: str = "0.2", until: str = "99") -> Callable[[Play], Play]:
        """Add a scenario that shows these rows; `until` is the first release that lacks the API again."""

        def add(play: Play) -> Play:
            name = getattr(play, "__name__", "")
            assert name not in self.all, name
            self.all[name] = Scenario(name, ids, version(since), version(until), play)
            return play

        return add


def version(text: str) -> Version:
    return tuple(int(word) for word in text.split("."))


scenario = Registry()
