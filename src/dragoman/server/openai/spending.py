"""What a caller of the OpenAI face may still spend, and the counting of what an answer has cost.

Messages of a day, a tenant's balance and a key's budget are looked at before a model is asked and counted after it has
answered; where none of them is set the store is not asked. Answers that are runs are counted by the engine's commits.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from dragoman.core.errors import LimitExceeded
from dragoman.core.principal import Principal
from dragoman.core.turns import Quota
from dragoman.core.writes import Count
from dragoman.server.credits import BUDGET_OF, NEVER, UNIT, StoredLedger, counter_name, dollars
from dragoman.server.kai.quota import COUNTER, window_end
from dragoman.server.metric_table import TOKENS
from dragoman.server.services import Services

logger = logging.getLogger("dragoman.server")


class Spending:
    """Looks before, counts after."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._ledger = StoredLedger(services.store, services.settings.credits.balances, services.clock)
        self._counting: set[asyncio.Task[None]] = set()

    def quota(self, who: Principal) -> Quota:
        """The messages of the day, counted over all wires."""
        own, all_users = who.message_limit, self._services.settings.kai.limits.messages_per_day
        return Quota(COUNTER, own if own is not None else all_users, window_end(self._services.clock()))

    async def look(self, who: Principal) -> None:
        """Raises LimitExceeded where the balance or the budget is used up."""
        left = await self._ledger.left(who)
        if left is not None and left <= 0:
            raise LimitExceeded("You exceeded your current quota: the credits are used up.", code="insufficient_quota")

    async def take(self, who: Principal) -> None:
        """Count a message that no run counts. Raises LimitExceeded."""
        quota = self.quota(who)
        if quota.limit is None:
            return
        now = self._services.clock()
        await self._services.store.commit(Count(who.tenant, who.user, quota.name, now, quota.resets, 1, quota.limit))

    def payer(self, who: Principal) -> dict[str, Any]:
        """What a run's metadata says of who pays for it."""
        return {} if who.budget is None else {BUDGET_OF: {"key": who.key_id or "", "budget": who.budget}}

    def count(self, who: Principal, model: str, usage: Mapping[str, Any] | None) -> None:
        """Count what an answer has used; in the background where the store must know."""
        if not usage:
            return
        metrics = self._services.metrics
        metrics.count(TOKENS, (("kind", "prompt"),), _tokens(usage, "prompt_tokens"))
        metrics.count(TOKENS, (("kind", "completion"),), _tokens(usage, "completion_tokens"))
        if who.budget is None and who.tenant not in self._services.settings.credits.balances:
            return
        task = asyncio.create_task(self._charge(who, model, usage), name="what an answer has cost")
        self._counting.add(task)
        task.add_done_callback(self._counting.discard)

    async def _charge(self, who: Principal, model: str, usage: Mapping[str, Any]) -> None:
        cost = await asyncio.to_thread(dollars, usage, model)
        if not cost:
            return
        amount = int((Decimal(repr(cost)) / UNIT).to_integral_value())
        names = [""] if who.budget is None else ["", who.key_id or ""]
        now = self._services.clock()
        counts = [Count(who.tenant, "", counter_name(name), now=now, resets=NEVER, amount=amount) for name in names]
        try:
            await self._services.store.commit(*counts)
        except Exception:  # the answer has been given
            logger.exception("what an answer has cost could not be counted")

    async def close(self) -> None:
        """Finish counting."""
        if self._counting:
            await asyncio.wait(list(self._counting))


def _tokens(usage: Mapping[str, Any], name: str) -> int:
    value = usage.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
