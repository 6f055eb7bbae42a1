"""Connections that all users in one event loop share, host by host.

Whoever needs connections holds a `Connections`; those with equal options in one loop get one
driver, which closes with its last holder. A loop that has ended takes its drivers with it: a
holder that is used again elsewhere gets a new one. Knows nothing of requests.
"""

from __future__ import annotations

from anyio.lowlevel import RunVar

from dragoman.transport.drivers import AsyncDriver
from dragoman.transport.options import ClientOptions


class _Shared:
    """A driver of one loop and how many hold it."""

    __slots__ = ("driver", "holders")

    def __init__(self, options: ClientOptions) -> None:
        self.driver = AsyncDriver(options=options)
        self.holders = 0


_of_this_loop: RunVar[dict[ClientOptions, _Shared]] = RunVar("dragoman.ai connections")


def _drivers() -> dict[ClientOptions, _Shared]:
    found = _of_this_loop.get(None)
    if found is None:
        found = {}
        _of_this_loop.set(found)
    return found


class Connections:
    """One holder's share; `driver()` is to be called where a loop runs."""

    def __init__(self, options: ClientOptions) -> None:
        self.options = options
        self._held: set[_Shared] = set()

    def driver(self) -> AsyncDriver:
        drivers = _drivers()
        shared = drivers.get(self.options)
        if shared is None:
            shared = drivers[self.options] = _Shared(self.options)
        if shared not in self._held:
            shared.holders += 1
            self._held.add(shared)
        return shared.driver

    async def aclose(self) -> None:
        """Give the share back; the last holder of this loop closes the connections. Idempotent."""
        held, self._held = self._held, set()
        for shared in held:
            shared.holders -= 1
        drivers = _drivers()
        mine = drivers.get(self.options)
        if mine in held and mine is not None and mine.holders == 0:
            del drivers[self.options]
            await mine.driver.aclose()
