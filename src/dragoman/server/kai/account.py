"""What belongs to a user or project rather than to a chat: usage, settings, tools, suggestions."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from dragoman.core.errors import Forbidden
from dragoman.core.ids import new_id
from dragoman.kai.history import timestamp
from dragoman.kai.preferences import decode_settings, decode_suggestions
from dragoman.server.http import Answer, Call
from dragoman.server.kai.context import Context
from dragoman.server.kai.preferences import Preferences
from dragoman.server.kai.quota import COUNTER, UNLIMITED, message_limit, window_end
from dragoman.server.preferences import PROJECT

MAX_SUGGESTIONS = 6

DEFAULT_SUGGESTIONS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "dashboard": (
        ("What can you do?", "What can you do for me?", "A first look at the assistant and its tools."),
        ("Sum up what is new", "Sum up what changed since yesterday.", "A quick overview of recent changes."),
    ),
    "job-detail": (
        ("Explain this job", "Explain what this job does and how it went.", "Makes a job's outcome clear."),
    ),
    "configuration-detail": (
        ("Check this configuration", "Check this configuration for mistakes.", "Finds mistakes before they run."),
    ),
}
"""Context → (label, prompt, reasoning), where the app offers none of its own."""


class Account:
    """Handlers of `/api/usage`, `/api/settings…` and `/api/suggestions`."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._services = context.services
        self._preferences = Preferences(context)

    async def usage(self, call: Call) -> Answer:
        """Messages of the open UTC day."""
        who, now = call.principal, self._services.clock()
        counter = await self._services.store.counter(who.tenant, who.user, COUNTER, now=now)
        limit = message_limit(self._context, who)
        return Answer.json(
            {
                "messagesUsed": counter.used if counter is not None else 0,
                "messagesLimit": limit if limit is not None else UNLIMITED,
                "resetDate": timestamp(counter.resets if counter is not None else window_end(now)),
            }
        )

    async def project_settings(self, call: Call) -> Answer:
        """Settings of the whole project."""
        tenant = call.principal.tenant
        instructions, _, created, updated = await self._preferences.read(tenant, PROJECT)
        return Answer.json(
            {
                "projectId": tenant,
                "customInstructions": instructions,
                "createdAt": timestamp(created),
                "updatedAt": timestamp(updated),
            }
        )

    async def change_project_settings(self, call: Call) -> Answer:
        """Change what is present in the body."""
        who = call.principal
        needed = self._context.settings.project_settings
        if needed == "admin" and not who.is_admin:
            raise Forbidden("Settings of the project may be changed only with the scope 'admin'.")
        longest = self._context.settings.limits.instructions
        changes = decode_settings(await call.json(), of_user=False, longest=longest)
        await self._preferences.change(who.tenant, PROJECT, changes)
        return await self.project_settings(call)

    async def user_settings(self, call: Call) -> Answer:
        """Settings of one user in the project."""
        who = call.principal
        instructions, permissions, created, updated = await self._preferences.read(who.tenant, who.user)
        return Answer.json(
            {
                "projectId": who.tenant,
                "userId": who.user or "nobody",
                "customInstructions": instructions,
                "toolPermissions": permissions,
                "createdAt": timestamp(created),
                "updatedAt": timestamp(updated),
            }
        )

    async def change_user_settings(self, call: Call) -> Answer:
        """Change what is present in the body."""
        who = call.principal
        longest = self._context.settings.limits.instructions
        changes = decode_settings(await call.json(), of_user=True, longest=longest)
        await self._preferences.change(who.tenant, who.user, changes)
        return await self.user_settings(call)

    async def tools(self, call: Call) -> Answer:
        """All tools of all agents, blocked ones included; not the forms, which this face cannot show."""
        listed: dict[str, dict[str, Any]] = {}
        for agent in self._services.engine.agents():
            for tool in agent.tools:
                if tool.name in agent.forms:
                    continue
                read_only = tool.name in agent.read_only
                told = listed.setdefault(
                    tool.name,
                    {"name": tool.name, "description": tool.description or tool.name, "readOnly": read_only},
                )
                told["readOnly"] = told["readOnly"] and read_only
        return Answer.json({"tools": list(listed.values())})

    async def suggestions(self, call: Call) -> Answer:
        """The app's suggestions, highest priority first; none if they cannot be made."""
        context, data = decode_suggestions(await call.json())
        offered: list[dict[str, str]] = []
        try:
            offered = await self._offered(call, context, data)
        except Exception:
            self._services.log.warning("suggestions failed", context=context, exc_info=True)
        session = new_id(self._services.clock())
        return Answer.json({"suggestions": offered, "suggestionSessionId": session})

    async def _offered(self, call: Call, context: str, data: dict[str, Any]) -> list[dict[str, Any]]:
        make = self._services.app.suggestions
        if make is None:
            rows: Any = [
                {"label": label, "prompt": prompt, "reasoning": why, "priority": len(listed) - place}
                for listed in [DEFAULT_SUGGESTIONS[context]]
                for place, (label, prompt, why) in enumerate(listed)
            ]
        else:
            rows = make(context, data, call.principal)
            if inspect.isawaitable(rows):
                rows = await rows
        told = [_suggestion(context, place, row) for place, row in enumerate(rows)]
        return sorted(told, key=lambda one: -int(one["priority"]))[:MAX_SUGGESTIONS]


def _suggestion(context: str, place: int, row: Mapping[str, Any] | str) -> dict[str, Any]:
    """A suggestion with all fields that the client needs; a plain text is label and prompt in one."""
    given = {"label": row, "prompt": row} if isinstance(row, str) else row
    label = str(given.get("label") or given["prompt"])
    return {
        "id": str(given.get("id") or f"{context}-{place + 1}"),
        "label": label,
        "prompt": str(given.get("prompt") or label),
        "priority": int(given.get("priority", 0)),
        "category": str(given.get("category") or context),
        "reasoning": str(given.get("reasoning") or ""),
    }
