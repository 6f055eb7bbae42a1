"""What a tenant or a key may still spend on flows, and the counting of what they have.

A balance is a setting, what was spent a counter: the cost of a model call is counted in the very commit
that journals it, so a crash loses neither. Without a balance and a budget nothing is counted or
refused. Who refuses, and in which words, is a face's business.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol, cast

from dragoman.ai.tokens.estimator import cost_of
from dragoman.ai.translate import believed_cost
from dragoman.core import events as ev
from dragoman.core.ports import Clock, Store
from dragoman.core.principal import Principal
from dragoman.core.records import Run
from dragoman.core.writes import AppendEvents, Count, PutRun, Write
from dragoman.engine.app import App

UNIT = Decimal("1e-9")
"""What the counters count, in dollars."""

EXHAUSTED = "CREDITS_EXHAUSTED"
"""Why a run was cancelled whose tenant or key ran out of credits."""

BUDGET_OF = "budget_key"
"""Word in the metadata of a run: the key whose budget it is charged to."""

NEVER = 4e9
"""When the counters start anew, in seconds since the epoch."""

_PAID = frozenset({"execute", "step", "job", "completion"})
_KNOWN_RUNS = 10_000


def dollars(usage: Mapping[str, Any], model: str) -> float | None:
    """What the provider says that an answer cost, else what the model's prices make of the counts. Reads files."""
    said = believed_cost(usage.get("cost"))
    if said is not None:
        return said
    estimate = cost_of({name: count for name, count in usage.items() if count is not None}, model)
    return estimate.total_cost if estimate is not None else None


async def charge(
    store: Store, clock: Clock, tenant: str, key: str | None, model: str, usage: Mapping[str, Any]
) -> None:
    """Count what an answer has cost that is no run: for the tenant, and for the key whose budget it is.

    The answer has been given, so what goes wrong here is logged.
    """
    try:
        cost = await asyncio.to_thread(dollars, usage, model)
        if cost:
            now, names = clock(), [""] if key is None else ["", key]
            amount = int((Decimal(repr(cost)) / UNIT).to_integral_value())
            await store.commit(
                *(Count(tenant, "", counter_name(name), now=now, resets=NEVER, amount=amount) for name in names)
            )
    except Exception:
        logging.getLogger("dragoman.server").exception("what an answer has cost could not be counted")


class Ledger(Protocol):
    """Who can spend how much."""

    async def left(self, principal: Principal) -> Decimal | None:
        """What is left of the tenant's balance and the key's budget, the smaller; None where neither is set."""
        ...


@dataclass(frozen=True, slots=True)
class StoredLedger:
    """The ledger of this server: `balances` by tenant, budgets as the keys say, spendings as the store has them."""

    store: Store
    balances: Mapping[str, Decimal]
    clock: Clock

    async def left(self, principal: Principal) -> Decimal | None:
        found: list[Decimal] = []
        balance = self.balances.get(principal.tenant)
        if balance is not None:
            found.append(balance - await self._spent(principal.tenant, ""))
        if principal.budget is not None:
            found.append(Decimal(repr(principal.budget)) - await self._spent(principal.tenant, principal.key_id or ""))
        return min(found, default=None)

    async def _spent(self, tenant: str, key: str) -> Decimal:
        counter = await self.store.counter(tenant, "", counter_name(key), now=self.clock())
        return counter.used * UNIT if counter is not None else Decimal(0)


def counter_name(key: str) -> str:
    """The counter of what a key has spent; of "", what its tenant has."""
    return f"credits:{key}" if key else "credits"


@dataclass(frozen=True, slots=True)
class _Payer:
    """Who pays for a run."""

    tenant: str
    key: str | None
    model: str | None = None
    """Whose prices count where the provider says nothing of cost."""


class ChargingStore:
    """Delegates to a store and adds what model calls of flows and completions cost to the commits that journal them.

    `on_spent(run)` is called once a run has used up what there was.
    """

    def __init__(self, app: App, store: Store, balances: Mapping[str, Decimal], clock: Clock) -> None:
        self._app = app
        self._store = store
        self._balances = balances
        self._clock = clock
        self._ledger = StoredLedger(store, balances, clock)
        self._payers: OrderedDict[str, _Payer | None] = OrderedDict()
        self._budgets: dict[str, float] = {}
        self._watching: set[asyncio.Task[None]] = set()
        self.on_spent: Callable[[str], Awaitable[Any]] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def commit(self, *writes: Write) -> None:
        charges: list[Count] = []
        spending: set[str] = set()
        for write in writes:
            if isinstance(write, PutRun):
                self._know(write.run)
            elif isinstance(write, AppendEvents):
                for event in write.events:
                    if isinstance(event.body, ev.UsageCounted):
                        made = await self._charges(event.run, event.body)
                        charges += made
                        spending |= {event.run} if made else set()
        await self._store.commit(*writes, *charges)
        for run in spending:
            task = asyncio.create_task(self._look(run), name="whether credits are left")
            self._watching.add(task)
            task.add_done_callback(self._watching.discard)

    def _know(self, run: Run) -> _Payer | None:
        payer = None
        if run.kind in _PAID or "tree" in run.options:
            said = run.options.get("metadata") or run.input.get("metadata") or {}
            named: dict[str, Any] = said.get(BUDGET_OF) or {}
            key = named.get("key")
            if key is not None:
                self._budgets[key] = named["budget"]
            if key is not None or run.tenant in self._balances:
                payer = _Payer(run.tenant, key, priced_as(self._app, run))
        self._payers[run.id] = payer
        while len(self._payers) > _KNOWN_RUNS:
            self._payers.popitem(last=False)
        return payer

    async def _payer(self, run_id: str) -> _Payer | None:
        if run_id in self._payers:
            return self._payers[run_id]
        run = await self._store.run(run_id)
        return self._know(run) if run is not None else None

    async def _charges(self, run: str, used: ev.UsageCounted) -> list[Count]:
        payer = await self._payer(run)
        cost = used.cost if payer is not None else None
        if payer is not None and cost is None and payer.model is not None:
            counts = {
                "prompt_tokens": used.prompt_tokens,
                "completion_tokens": used.completion_tokens,
                "cache_read_tokens": used.cache_read_tokens,
            }
            cost = await asyncio.to_thread(dollars, counts, payer.model)
        if payer is None or not cost:
            return []
        amount = int((Decimal(repr(cost)) / UNIT).to_integral_value())
        names = [""] if payer.key is None else ["", payer.key]
        now = self._clock()
        return [Count(payer.tenant, "", counter_name(name), now=now, resets=NEVER, amount=amount) for name in names]

    async def _look(self, run: str) -> None:
        payer = await self._payer(run)
        if payer is None or self.on_spent is None:
            return
        budget = self._budgets.get(payer.key) if payer.key is not None else None
        try:
            left = await self._ledger.left(Principal(payer.tenant, "", key_id=payer.key, budget=budget))
            if left is not None and left <= 0:
                await self.on_spent(run)
        except Exception:  # the run has been paid for; whoever looks next finds the same
            logging.getLogger("dragoman.server").exception("credits could not be looked up", extra={"run_id": run})


def priced_as(app: App, run: Run) -> str | None:
    """The name of the model that a completion asks, itself or through its agent, as price lists have it."""
    asked: Any = (run.options.get("completion") or {}).get("model")
    if asked is None and run.kind == "completion" and (agent := app.agent(run.name)) is not None:
        asked = agent.reasoning_model if run.options.get("reasoning") else agent.model
    for _ in app.models:  # a name may stand for another name
        asked = app.models.get(asked, asked) if isinstance(asked, str) else asked
    name = asked if isinstance(asked, str) else getattr(asked, "name", None)
    return name if isinstance(name, str) else None


def charging(app: App, store: Store, balances: Mapping[str, Decimal], clock: Clock) -> tuple[Store, ChargingStore]:
    """The same store, which counts what flows and completions cost; and itself, to be told whom to call."""
    made = ChargingStore(app, store, balances, clock)
    return cast(Store, made), made
