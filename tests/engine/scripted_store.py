"""The real store behind a script: a test says which call fails, waits, or what comes between."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from dragoman.core.ports import Store
from dragoman.core.writes import Write


class ScriptedStore:
    """`before[NAME]` and `after[NAME]` hold what to do around the next calls of that name, in order.

    An entry that raises lets the call fail; one of `after` does so with the call's work done.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.before: dict[str, list[Callable[..., Awaitable[None]]]] = {}
        self.after: dict[str, list[Callable[..., Awaitable[None]]]] = {}
        self.commits: list[Sequence[Write]] = []

    @property
    def real(self) -> Store:
        """What the script stands before."""
        return self._store

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._store, name)

        async def scripted(*args: Any, **kwargs: Any) -> Any:
            if self.before.get(name):
                await self.before[name].pop(0)(*args)
            answer = await real(*args, **kwargs)
            if name == "commit":
                self.commits.append(args)
            if self.after.get(name):
                await self.after[name].pop(0)(*args)
            return answer

        return scripted


def fails_with(error: Exception) -> Callable[..., Awaitable[None]]:
    async def fail(*args: Any) -> None:
        raise error

    return fail
