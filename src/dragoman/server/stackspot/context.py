"""What the handlers of the StackSpot face share: settings, the agents by their names, limits, and the face's secret."""

from __future__ import annotations

from dragoman.core.errors import NotFound
from dragoman.core.turns import AgentInfo
from dragoman.server import signed
from dragoman.server.http import Call
from dragoman.server.services import Services
from dragoman.server.stackspot.limits import Limits

_NAME_SHOWN = 200


class Context:
    """The services, and what belongs to the face as a whole."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.settings = services.settings.stackspot
        self.expose = services.settings.errors.expose
        self.limits = Limits(services, self.settings.limits)
        self._agents = {agent.name: agent for agent in services.engine.agents()}
        self._secret: bytes | None = None

    async def close(self) -> None:
        """Let go of what watches runs whose clients have gone."""
        await self.limits.close()

    async def key(self, purpose: str) -> bytes:
        """32 bytes to sign with, for one purpose; the same in every process and after every restart of this store."""
        if self._secret is None:
            self._secret = await self.services.store.secret("stackspot")
        return signed.derive(self._secret, purpose)

    def agent(self, name: str) -> AgentInfo:
        """The agent of this id or slug. Raises NotFound."""
        found = self.find_agent(name)
        if found is None:
            known = ", ".join(sorted({*self.settings.agents, *self._agents})) or "none"
            raise NotFound(f"There is no agent {name[:_NAME_SHOWN]!r}; known: {known}.", code="AGENT_NOT_FOUND")
        return found

    def find_agent(self, name: str) -> AgentInfo | None:
        """The agent of this id or slug, if there is one."""
        return self._agents.get(self.settings.agents.get(name, name))

    def now(self) -> float:
        """Seconds since the epoch."""
        return self.services.clock()

    def take_request(self, call: Call) -> None:
        """Count a request of the caller's. Raises RateLimited."""
        self.limits.take_request(call.principal, self.now())
