"""What a caller of the OpenAI face may still spend, and the counting of what an answer has cost.

Messages of a day, a tenant's balance and a key's budget are looked at before a model is asked and counted after it has
answered; where none of them is set the store is not asked. Answers that are runs are counted by the engine's commits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any

from pydantic_core import to_json

from dragoman.ai.backwards.request import Asked
from dragoman.ai.backwards.said import Said
from dragoman.ai.backwards.vectors import AskedVectors
from dragoman.ai.tokens.counter import CharacterEstimator, TokenCounter, get_token_counter
from dragoman.ai.translate import believed_count
from dragoman.core.errors import LimitExceeded
from dragoman.core.principal import Principal
from dragoman.core.turns import Quota
from dragoman.core.writes import Count
from dragoman.server.credits import BUDGET_OF, StoredLedger, charge
from dragoman.server.kai.quota import COUNTER, window_end
from dragoman.server.metric_table import TOKENS
from dragoman.server.services import Services

PROMPT, COMPLETION = "prompt_tokens", "completion_tokens"
ESTIMATED = "_estimated"
"""Behind the kind of tokens that nobody has counted."""
MOST_COUNTED = 100_000
"""Tokens of a prompt that a vocabulary is asked about: more take it seconds, and leaving costs a caller nothing."""


class Spending:
    """Looks before, counts after."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._ledger = StoredLedger(services.store, services.settings.credits.balances, services.clock)
        self._counting: set[asyncio.Task[None]] = set()

    def quota(self, who: Principal) -> Quota:
        """The messages of the day, counted over all wires."""
        return Quota(COUNTER, self._messages(who), window_end(self._services.clock()))

    def _messages(self, who: Principal) -> int | None:
        own = who.message_limit
        return own if own is not None else self._services.settings.kai.limits.messages_per_day

    async def look(self, who: Principal) -> None:
        """Raises LimitExceeded where the balance or the budget is used up."""
        if not self._is_charged(who):
            return
        left = await self._ledger.left(who)
        if left is not None and left <= 0:
            raise LimitExceeded("You exceeded your current quota: the credits are used up.", code="insufficient_quota")

    async def take(self, who: Principal) -> None:
        """Count a message that no run counts. Raises LimitExceeded."""
        if self._messages(who) is None:
            return
        quota = self.quota(who)
        now = self._services.clock()
        await self._services.store.commit(Count(who.tenant, who.user, quota.name, now, quota.resets, 1, quota.limit))

    def payer(self, who: Principal) -> dict[str, Any]:
        """What a run's metadata says of who pays for it."""
        return {} if who.budget is None else {BUDGET_OF: {"key": who.key_id or "", "budget": who.budget}}

    def count(self, who: Principal, model: str, usage: Mapping[str, Any] | None) -> None:
        """Count what an answer has used; in the background where the store must know."""
        if not usage:
            return
        self._tell(usage)
        if self._is_charged(who):
            self._later(self._charge(who, model, usage))

    def settle(
        self,
        who: Principal,
        name: str,
        asked: Asked,
        usage: Mapping[str, Any] | None,
        *,
        model: str | None = None,
        said: Said | None = None,
        is_whole: bool = True,
    ) -> None:
        """Count a chat answer of `model`, by default the one that was asked for by `name`.

        Where it was left or cut before its counts came, or has none, what is missing is estimated and called so.
        """
        has_counts = usage is not None and any(_tokens(usage, one) for one in (PROMPT, COMPLETION))
        if usage is not None and not all(map(_is_believed, map(usage.get, (PROMPT, COMPLETION)))):
            has_counts, usage = False, {one: usage[one] for one in usage if one not in (PROMPT, COMPLETION)}
        if is_whole and (has_counts or said is None or not said.has_begun):
            self.count(who, model or name, usage)
        else:
            tokens = said.tokens() if said is not None else 0
            self._later(self._settle_cut(who, model or name, asked, usage or {}, tokens))

    def settle_vectors(self, who: Principal, model: str, asked: AskedVectors, reported: int | None) -> None:
        """Count what vectors have cost; estimated where the provider has told nothing, or what cannot be."""
        tokens, suffix = believed_count(reported) or 0, ""
        if not tokens:
            tokens, suffix = _input_tokens(asked), ESTIMATED
        usage = {PROMPT: tokens, COMPLETION: 0, "total_tokens": tokens}
        self._tell(usage, suffix)
        if self._is_charged(who):
            self._later(self._charge(who, model, usage))

    async def _settle_cut(self, who: Principal, model: str, asked: Asked, usage: Mapping[str, Any], said: int) -> None:
        reported = {one: _tokens(usage, one) for one in (PROMPT, COMPLETION)}
        whole = {PROMPT: reported[PROMPT] or await asyncio.to_thread(_prompt_tokens, asked, model)}
        whole[COMPLETION] = max(reported[COMPLETION], said)
        self._tell(reported)
        self._tell({one: whole[one] - reported[one] for one in whole}, ESTIMATED)
        told = {"model": model, "tenant": who.tenant, "reported": reported, "counted": whole}
        self._services.log.info("an answer without its counts was estimated", **told)
        if self._is_charged(who):
            await self._charge(who, model, {**usage, **whole})

    def _tell(self, usage: Mapping[str, Any], suffix: str = "") -> None:
        for kind, one in (("prompt", PROMPT), ("completion", COMPLETION)):
            self._services.metrics.count(TOKENS, (("kind", kind + suffix),), _tokens(usage, one))

    def _is_charged(self, who: Principal) -> bool:
        return who.budget is not None or who.tenant in self._services.settings.credits.balances

    async def _charge(self, who: Principal, model: str, usage: Mapping[str, Any]) -> None:
        services, key = self._services, None if who.budget is None else who.key_id or ""
        await charge(services.store, services.clock, who.tenant, key, model, usage)

    def _later(self, counting: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(counting, name="what an answer has cost")
        self._counting.add(task)
        task.add_done_callback(self._counting.discard)

    async def close(self) -> None:
        """Finish counting."""
        if self._counting:
            await asyncio.wait(list(self._counting))


def _prompt_tokens(asked: Asked, model: str) -> int:
    given = asked.body.get("tools")
    tools = to_json(given).decode() if given else ""

    def counted(counter: TokenCounter) -> int:
        return counter.count_messages(asked.messages) + counter.count(tools)

    rough = counted(CharacterEstimator())
    return rough if rough > MOST_COUNTED else counted(get_token_counter(model))


def _input_tokens(asked: AskedVectors) -> int:
    if asked.tokens is not None:
        return sum(map(len, asked.tokens))
    return sum(map(CharacterEstimator().count, asked.texts))


def _tokens(usage: Mapping[str, Any], name: str) -> int:
    return believed_count(usage.get(name)) or 0


def _is_believed(value: Any) -> bool:
    return value is None or believed_count(value) is not None
