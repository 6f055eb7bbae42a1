"""What the handlers of the OpenAI face share: settings, what can be asked, limits, and who pays."""

from __future__ import annotations

from dragoman.server.closing import LAST_WORDS
from dragoman.server.openai.catalogue import Catalogue
from dragoman.server.openai.limits import Limits
from dragoman.server.openai.outgoing import LastCall
from dragoman.server.openai.spending import Spending
from dragoman.server.services import Services


class Context:
    """The services, and what belongs to the face as a whole."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.settings = services.settings.openai
        self.expose = services.settings.errors.expose
        self.limits = Limits(services, self.settings.limits)
        self.catalogue = Catalogue(services)
        self.spending = Spending(services)

    def now(self) -> float:
        """Seconds since the epoch."""
        return self.services.clock()

    def last_call(self) -> LastCall:
        """For one answer that passes through: when the server closes, it gets the time that is left."""
        seconds = self.services.settings.limits.shutdown_seconds - LAST_WORDS
        return LastCall(self.services.closing, seconds)

    async def close(self) -> None:
        """Let go of what watches runs whose clients have gone, and of what still counts."""
        await self.limits.close()
        await self.spending.close()
