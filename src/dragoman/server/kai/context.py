"""What the handlers of the Kai face share: who may see a chat, and how a reader wants its stream."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Literal, TypeAlias

from dragoman.core.errors import Forbidden, NotFound
from dragoman.core.records import Thread
from dragoman.kai.translate import Profile
from dragoman.server.http import Call
from dragoman.server.services import Services

HOLD_MOUNT = "/agent"
"""The second mount, for interactive users of `submit_approval`."""

Mode: TypeAlias = Literal["close", "hold", "hybrid", "off"]


@dataclass(frozen=True, slots=True)
class Manner:
    """How one reader wants its stream. `hold`: seconds a pause is held open; None: until it is over."""

    profile: Profile
    hold: float | None
    expose: bool
    approvals: bool


class Context:
    """The services, and what belongs to the face as a whole."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.settings = services.settings.kai
        self.began = services.clock()
        self.changing_settings = asyncio.Lock()

    def mode(self, call: Call) -> Mode:
        """The approval mode of the mount."""
        if call.prefix == HOLD_MOUNT and self.settings.approval.mode != "off":
            return "hold"
        return self.settings.approval.mode

    def manner(self, call: Call, *, browser_form: bool = False) -> Manner:
        """The profile of a request and how long it holds (3.8, 3.9)."""
        mode = self.mode(call)
        profile: Profile = "ui" if call.is_browser or browser_form else "kai"
        hold: float | None = 0.0
        if profile == "kai" and mode == "hold":
            hold = None
        elif profile == "kai" and mode == "hybrid":
            hold = self.settings.approval.hold_seconds
        return Manner(profile, hold, self.services.settings.errors.expose, mode != "off")

    async def chat(self, call: Call, chat_id: str, *, to: Literal["read", "write"], surface: str = "chat") -> Thread:
        """The chat, if the caller may read or write it.

        Raises NotFound for one that the caller's project does not have, Forbidden for another user's.
        """
        who = call.principal
        thread = await self.services.store.thread(who.tenant, chat_id, owner=who.user)
        if thread is not None:
            return thread
        thread = await self.services.store.thread(who.tenant, chat_id)
        if thread is None:
            raise NotFound("No chat has this id.", code=f"not_found:{surface}")
        if to == "read" and (thread.visibility == "public" or who.is_admin):
            return thread
        raise Forbidden("This chat belongs to another user.", code=f"forbidden:{surface}")
