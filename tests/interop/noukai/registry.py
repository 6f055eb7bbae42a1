"""The list of scenarios, and which clients can play each.

Both sides read it: pytest makes a test of each entry, and the process inside a client's environment
runs them. Importing it, or any scenario, must work without any client installed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

Version = tuple[int, ...]
Play = Callable[[Any], Awaitable[None]]
OURS: Version = (99,)


@dataclass(frozen=True, slots=True)
class Scenario:
    """One thing that a user does; `play` fails with AssertionError if it does not come out right.

    `shells` are `async` and `sync`; `alone` is played before the others, for it changes the process.
    """

    name: str
    ids: tuple[str, ...]
    since: Version
    until: Version
    shells: tuple[str, ...]
    alone: bool
    play: Play

    def suits(self, release: str, shell: str) -> bool:
        """Whether this client has what the scenario uses; release "" is ours."""
        found = version(release) if release else OURS
        return self.since <= found < self.until and shell in self.shells


class Registry:
    """Scenarios by name, in the order in which they were written."""

    def __init__(self) -> None:
        self.all: dict[str, Scenario] = {}

    def requirement(
        self,
        *ids: str,
        since: str = "0.2",
        until: str = "100",
        shells: tuple[str, ...] = ("async", "sync"),
        alone: bool = False,
    ) -> Callable[[Play], Play]:
        """Add a scenario that shows these rows; ours is release 99."""

        def add(play: Play) -> Play:
            name = getattr(play, "__name__", "")
            assert name not in self.all, name
            self.all[name] = Scenario(name, ids, version(since), version(until), shells, alone, play)
            return play

        return add


def version(text: str) -> Version:
    return tuple(int(word) for word in text.split("."))


scenario = Registry()
