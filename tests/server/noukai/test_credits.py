"""Credits: refused before a run, cut during one, told as unavailable where nobody knows (noukai.md 5.5)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from tests.server.noukai.flow_app import Noukai, events, noukai_app, with_flows
from tests.server.noukai.test_refusals import refusal

from dragoman.core.errors import Unavailable
from dragoman.core.messages import ModelUsage
from dragoman.core.principal import Principal
from dragoman.core.usage import Usage
from dragoman.core.writes import PutKey
from dragoman.engine.flows.authoring import Flow, model_step
from dragoman.server import noukai
from dragoman.server.asgi import FACES
from dragoman.server.credits import StoredLedger
from dragoman.server.keys import create_key
from dragoman.testing.model import ScriptedModel


def dear(*costs: float) -> Flow:
    """A flow whose model calls cost so much, each."""
    models = [ScriptedModel([["x", ModelUsage(Usage(1, 1), cost=cost)]] * 20) for cost in costs]
    return Flow("basics/dear", [model_step(f"call-{place}", model=model) for place, model in enumerate(models)])


def app(*costs: float) -> Any:
    return with_flows([dear(*costs)])


async def left(served: Noukai, tenant: str = "demo") -> Decimal | None:
    balances = served.services.settings.credits.balances
    return await StoredLedger(served.services.store, balances, served.services.clock).left(Principal(tenant, ""))


@pytest.mark.requirement("NOU-39", "NOU-88")
async def test_a_balance_goes_down_with_what_calls_cost_until_nothing_starts_any_more() -> None:
    async with noukai_app(app(0.1), credits={"balances": {"demo": "0.3"}}) as served:
        caller = served.caller()
        for spent in ("0.1", "0.2", "0.3"):
            assert (await caller.execute("dear", "x")).status in (200, 402)
            assert await left(served) == Decimal("0.3") - Decimal(spent)
        for reply in (await caller.execute("dear", "x"), await caller.step("dear", "x"), await caller.job("dear", "x")):
            assert refusal(reply) == (402, "INSUFFICIENT_CREDITS")
        assert await left(served, "other") is None


@pytest.mark.requirement("NOU-88")
async def test_credits_that_are_used_up_during_a_run_end_it_with_a_code() -> None:
    async with noukai_app(app(0.3, 0.3, *[0.0] * 15), credits={"balances": {"demo": "0.5"}}) as served:
        caller = served.caller()
        reply = await caller.execute("dear", "x")
        assert refusal(reply) == (402, "CREDITS_EXHAUSTED")
        assert reply.json["detail"]["executionId"]
    async with noukai_app(app(0.6, *[0.0] * 15), credits={"balances": {"demo": "0.5"}}) as served:
        told = events((await served.caller().step("dear", "x", body={"runRemaining": True})).body)
        assert (told[-2]["eventType"], told[-2]["error"]["code"]) == ("step_error", "CREDITS_EXHAUSTED")
    async with noukai_app(app(0.6, *[0.0] * 15), credits={"balances": {"demo": "0.5"}}) as served:
        run = (await served.caller().job("dear", "x")).json["executionId"]
        state = await served.caller().job_end("dear", run)
        assert state["error"].startswith("CREDITS_EXHAUSTED: ")


@pytest.mark.requirement("NOU-39")
async def test_a_keys_budget_counts_too_and_is_its_own() -> None:
    async with noukai_app(app(0.1)) as served:
        texts = []
        for _ in range(2):
            key, text = create_key(tenant="demo", user="", now=0.0, budget=0.1)
            await served.services.store.commit(PutKey(key))
            texts.append("nk" + text[2:])
        assert (await served.caller(texts[0]).execute("dear", "x")).status in (200, 402)
        assert refusal(await served.caller(texts[0]).execute("dear", "x")) == (402, "INSUFFICIENT_CREDITS")
        assert (await served.caller(texts[1]).execute("dear", "x")).status in (200, 402)
        assert (await served.caller().execute("dear", "x")).status == 200


class Broken:
    """A ledger that is down."""

    async def left(self, principal: Principal) -> Decimal | None:
        raise Unavailable("the ledger does not answer")


@pytest.mark.requirement("NOU-88")
async def test_a_ledger_that_is_down_is_told_as_such_and_costs_reads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FACES, "noukai", lambda services: noukai.face(services, ledger=Broken()))
    async with noukai_app(app(0.1)) as served:
        reply = await served.caller().execute("dear", "x")
        assert refusal(reply) == (503, "BILLING_UNAVAILABLE")
        assert int(reply.headers["retry-after"]) >= 1
        assert refusal(await served.caller().get("/api/v1/seq/sessions/none")) == (404, "SESSION_NOT_FOUND")
