"""The models that agents and flows name, and the providers: which can be used, and why the others cannot.

Looking means reading manifests and asking the keyring, so it is done in a thread, and what was found holds for a while.
"""

from __future__ import annotations

import asyncio
from typing import Any

from dragoman.ai.listing import ProviderRow, list_providers
from dragoman.ai.protocol import ProtocolLoader
from dragoman.server.http import Answer, Call
from dragoman.server.providers import place_of_manifests
from dragoman.server.services import Services

SECONDS_KEPT = 30.0


class OwnModels:
    """The handler."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._looking = asyncio.Lock()
        self._kept: tuple[float, dict[str, Any]] | None = None

    async def list(self, call: Call) -> Answer:
        async with self._looking:
            now = self._services.clock()
            if self._kept is None or not 0 <= now - self._kept[0] < SECONDS_KEPT:
                self._kept = now, await asyncio.to_thread(self._look)
        return Answer.json(self._kept[1])

    def _look(self) -> dict[str, Any]:
        """`ModelsOut`."""
        loader = ProtocolLoader(place_of_manifests(self._services.settings.models))
        rows = sorted(list_providers(loader, loader.models()), key=lambda row: (not row.usable, row.provider))
        providers = {row.provider: row for row in rows}
        used: dict[str, dict[str, Any]] = {}
        for kind, name, model in self._services.app.named_models():
            told = model if isinstance(model, str) else _name_of(model)
            row = used.setdefault(told, {**self._one(told, model, providers), "agents": [], "flows": []})
            named = row["agents" if kind == "agent" else "flows"]
            if name not in named:
                named.append(name)
        return {
            "models": list(used.values()),
            "providers": [
                {
                    "name": row.provider,
                    "usable": row.usable,
                    "keyless": row.keyless,
                    "why": row.why,
                    "models": row.models,
                }
                for row in rows
            ],
        }

    def _one(self, told: str, model: object, providers: dict[str, ProviderRow]) -> dict[str, Any]:
        if not isinstance(model, str) or model in self._services.app.models:
            return {"name": told, "usable": True, "keyless": False, "why": "the app's own"}
        row = providers.get(model.partition("/")[0])
        if row is None:
            return {"name": told, "usable": False, "keyless": False, "why": "there is no such provider"}
        return {"name": told, "usable": row.usable, "keyless": row.keyless, "why": row.why}


def _name_of(model: object) -> str:
    """How to call a model that the app gives itself."""
    name = getattr(model, "name", None) or getattr(model, "__name__", None)
    return name if isinstance(name, str) else type(model).__name__
