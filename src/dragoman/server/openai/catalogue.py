"""What can be asked by name: the app's agents and models, and models of providers that this server can use.

A name is `agent/NAME`, a name of `App(models=…)`, or `provider/model`. One of a provider that cannot be used, for
whatever reason, is the same as one that there is not; one that the app promises is a fault of this server.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, TypeAlias

from dragoman.ai.listing import list_providers
from dragoman.ai.model import ProviderModel
from dragoman.ai.protocol import ProtocolLoader
from dragoman.core.errors import DragomanError, NotFound, Unavailable
from dragoman.core.ports import Embedder, Model
from dragoman.core.turns import AgentInfo
from dragoman.engine.agents import as_model
from dragoman.server.providers import place_of_manifests
from dragoman.server.services import Services

logger = logging.getLogger("dragoman.server")

AGENT = "agent/"
LONGEST_NAME = 256
SECONDS_KEPT = 30.0
_SHOWN = 100


@dataclass(frozen=True, slots=True)
class OneAgent:
    """An agent of the app: instructions and tools are its own."""

    name: str
    info: AgentInfo


@dataclass(frozen=True, slots=True)
class OwnModel:
    """A model that the app defines, which is no provider's."""

    name: str
    model: Model


@dataclass(frozen=True, slots=True)
class Provided:
    """A model of a provider, ready to be asked."""

    name: str
    model: ProviderModel


Found: TypeAlias = OneAgent | OwnModel | Provided


def most_of(found: Found) -> int | None:
    """How many answers of it may be under way; None for any number, and where another model steps in."""
    if not isinstance(found, Provided) or found.model.fallbacks:
        return None
    return found.model.max_inflight


class Catalogue:
    """Looks names up; what a provider's manifest says is read in a thread, once per name."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._agents = {agent.name: agent for agent in services.engine.agents()}
        self._found: dict[str, OwnModel | Provided] = {}
        self._looking = asyncio.Lock()
        self._kept: tuple[float, list[dict[str, Any]]] | None = None
        self._began = services.clock()

    async def find(self, name: str) -> Found:
        """What this name asks. Raises NotFound (`model_not_found`)."""
        if name.startswith(AGENT):
            agent = self._agents.get(name.removeprefix(AGENT))
            if agent is None:
                raise unknown(name)
            return OneAgent(name, agent)
        own = self._services.app.models
        if name in own:
            found = self._found.get(name)
            if found is None:
                model = as_model(own[name], own, self._services.providers.resolve)
                if not isinstance(model, ProviderModel):
                    found = OwnModel(name, model)
                else:
                    found = Provided(name, await self._prepared(name, model))
                self._found[name] = found
            return found
        is_offered = "/" in name and len(name) <= LONGEST_NAME and self._is_allowed(name)
        if not is_offered:
            raise unknown(name)
        return Provided(name, await self._prepared(name, self._services.providers.offered(name)))

    def embedder(self, name: str) -> Embedder | None:
        """The app's own embedding model of this name."""
        return self._services.app.embedders.get(name)

    async def _prepared(self, name: str, model: ProviderModel) -> ProviderModel:
        """The model, if it can be used. Why not is for the log; what only a client has named, for who looks closely."""
        if model.is_prepared:
            return model
        try:
            await asyncio.to_thread(model.prepare)
        except DragomanError as error:
            is_own = name in self._services.app.models
            level = logging.WARNING if is_own else logging.DEBUG
            logger.log(level, "model cannot be used", extra={"model": model.name, "error": error.message})
            raise (_unconfigured(name) if is_own else unknown(name)) from error
        return model

    def _is_allowed(self, name: str) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in self._services.settings.openai.models)

    # ------------------------------------------------------------------ listing

    async def listed(self) -> Sequence[dict[str, Any]]:
        """All that can be asked, as `GET /v1/models` tells it."""
        async with self._looking:
            now = self._services.clock()
            if self._kept is None or not 0 <= now - self._kept[0] < SECONDS_KEPT:
                self._kept = now, await asyncio.to_thread(self._look)
        return self._kept[1]

    async def one(self, name: str) -> dict[str, Any]:
        """One of them, or one that a provider may have. Raises NotFound."""
        if name not in self._services.app.embedders:
            found = await self.find(name)
            if isinstance(found, Provided) and found.name not in self._services.app.models:
                return self._entry(name, name.partition("/")[0])
        return self._entry(name, self._services.app.name)

    def _look(self) -> list[dict[str, Any]]:
        app = self._services.app
        usable = [name for name in app.models if name not in self._services.providers.unusable]
        names = [*usable, *app.embedders, *(AGENT + name for name in self._agents)]
        made = [self._entry(name, app.name) for name in names]
        loader = ProtocolLoader(place_of_manifests(self._services.settings.models))
        for row in list_providers(loader, loader.models()):
            if row.usable:
                made += [self._entry(name, row.provider) for name in row.models if self._is_allowed(name)]
        return made

    def _entry(self, name: str, owner: str) -> dict[str, Any]:
        return {"id": name, "object": "model", "created": int(self._began), "owned_by": owner}


def _unconfigured(name: str) -> Unavailable:
    """The error for a name that the app gives a model which cannot be used here; why not is for the log."""
    return Unavailable(
        f"The model `{name[:_SHOWN]}` is not configured on this server; its operator can mend that.",
        code="model_not_configured",
    )


def unknown(name: str) -> NotFound:
    """The error for a name that nobody answers to."""
    error = NotFound(
        f"The model `{name[:_SHOWN]}` does not exist or you do not have access to it.", code="model_not_found"
    )
    error.__dict__["field"] = "model"
    return error
