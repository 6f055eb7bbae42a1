"""What the server says about itself: ping, info, discovery (kai.md 3.3, 3.12)."""

from __future__ import annotations

import time

from dragoman._version import __version__
from dragoman.kai.history import timestamp
from dragoman.server.http import Answer, Call
from dragoman.server.kai.context import HOLD_MOUNT, Context

SERVICE = "kai-assistant"
"""The id by which kai-client finds this service."""


class Info:
    """Handlers that need no chat."""

    def __init__(self, context: Context) -> None:
        self._services = context.services

    async def ping(self, call: Call) -> Answer:
        """The time."""
        return Answer.json({"timestamp": timestamp(self._services.clock())})

    async def describe(self, call: Call) -> Answer:
        """Application and versions."""
        services = self._services
        return Answer.json(
            {
                "timestamp": timestamp(services.clock()),
                "uptime": round(time.monotonic() - services.started, 3),
                "appName": services.app.name,
                "appVersion": services.app.version or "0",
                "serverVersion": __version__,
                "connectedMcp": [],
            }
        )

    async def discover(self, call: Call) -> Answer:
        """Where the service is: the mount that was asked; from the root also the one that holds streams."""
        listed = [{"id": SERVICE, "url": call.base_url}]
        if call.prefix != HOLD_MOUNT:
            listed.append({"id": f"{SERVICE}-hold", "url": call.base_url + HOLD_MOUNT})
        return Answer.json({"services": listed})
