"""Which of several targets to ask, and which next when one fails.

Knows names and weights only; what a target is and how it is asked is for the caller.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar


class Weighted(Protocol):
    """What can be put in order."""

    @property
    def name(self) -> str: ...

    @property
    def weight(self) -> float: ...

    @property
    def enabled(self) -> bool: ...


W = TypeVar("W", bound=Weighted)


def in_order(targets: Iterable[W]) -> list[W]:
    """The enabled targets, heaviest first; equal ones as they came."""
    return sorted((target for target in targets if target.enabled), key=lambda target: -target.weight)


@dataclass(slots=True)
class Walk:
    """A walk along targets in their order, each asked up to `attempts` times.

    `position` is the target to ask now, `asked` how often it was; `tried` lists all that were.
    """

    names: Sequence[str]
    attempts: int = 1
    position: int = 0
    asked: int = 0
    tried: list[str] = field(default_factory=list)

    @property
    def current(self) -> str | None:
        """The target to ask now; None at the end of the walk."""
        return self.names[self.position] if self.position < len(self.names) else None

    def begin(self) -> None:
        """The current target is being asked."""
        if not self.asked:
            self.tried.append(self.names[self.position])
        self.asked += 1

    def failed(self, *, go_on: bool) -> str | None:
        """It failed: the name to ask next, which may be the same one; None when the walk is over.

        `go_on` false ends the walk: another target would fail in the same way.
        """
        if not go_on:
            self.position = len(self.names)
        elif self.asked >= max(1, self.attempts):
            self.position += 1
            self.asked = 0
        return self.current
