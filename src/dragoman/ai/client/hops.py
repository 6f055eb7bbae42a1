"""From one model to the next, until one answers.

Only errors that another provider may not have send a call on: a request that is wrong stays wrong
everywhere. Knows nothing of what is attempted.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from dragoman.ai.client.target import Target
from dragoman.ai.resilience.judging import may_fall_back

__all__ = ["Attempt", "Enter", "Leave", "Once", "first_answer"]

T = TypeVar("T")

Leave: TypeAlias = Callable[[], None]
"""To be called once when the request on a target is over."""

Enter: TypeAlias = Callable[[], Awaitable[tuple[Target, Leave]]]
"""Gives a target, made or chosen now, for one request."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A model that was asked and what it failed with."""

    provider: str
    model: str
    error: Exception


async def first_answer(hops: Iterable[Enter], attempt: Callable[[Target, Leave], Awaitable[T]]) -> T:
    """What the first target gives that does not fail; each is entered when its turn comes.

    `attempt` leaves a target that has answered when it is done with it; one that failed is left here.
    Raises the last error; its `attempts` is the list of all.
    """
    attempts: list[Attempt] = []
    last: Exception | None = None
    for enter in hops:
        try:
            target, leave = await enter()
        except Exception as error:  # there is no such model, or no place that serves it
            error.__dict__["attempts"] = attempts
            last = error
            if may_fall_back(error):
                continue
            raise
        try:
            return await attempt(target, leave)
        except BaseException as error:
            leave()
            if not isinstance(error, Exception):
                raise
            attempts.append(Attempt(target.manifest.id, target.model_id, error))
            error.__dict__["attempts"] = attempts
            last = error
            if not may_fall_back(error):
                raise
    assert last is not None  # there is always the client's own model
    raise last


class Once:
    """Enters one target, made when it is first needed and kept."""

    def __init__(self, make: Callable[[], Awaitable[Target]], made: Target | None = None) -> None:
        self._make = make
        self._made = made

    @classmethod
    def of(cls, target: Target) -> Once:
        """One that is there already."""

        async def make() -> Target:
            return target

        return cls(make, target)

    async def __call__(self) -> tuple[Target, Leave]:
        if self._made is None:
            made = await self._make()
            self._made = self._made or made  # two calls may have made one; neither is connected yet
        return self._made, _nothing

    async def close(self) -> None:
        if self._made is not None:
            await self._made.close()


def _nothing() -> None:
    """There is nothing to be told."""
