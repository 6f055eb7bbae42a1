"""What every store promises about settings, counters, keys, repeats and secrets."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from dragoman.core.errors import LimitExceeded, StaleWrite, UsageError
from dragoman.core.ports import Store
from dragoman.core.records import Counter
from dragoman.core.writes import Count, PutKey, PutRepeat, PutSetting, RevokeKey


async def test_a_setting_keeps_its_birth_when_it_is_replaced(store: Store, make: Any) -> None:
    await store.commit(PutSetting(make.setting({"a": [1]})), PutSetting(make.setting("tenant's", owner="")))
    await store.commit(PutSetting(make.setting(None, created=5.0, updated=6.0)))
    assert await store.setting("acme", "ann", "tone") == make.setting(None, created=1.0, updated=6.0)
    assert await store.setting("acme", "", "tone") == make.setting("tenant's", owner="")
    assert await store.setting("acme", "ann", "other") is None
    assert await store.setting("other", "ann", "tone") is None


def count(now: float, resets: float, **more: Any) -> Count:
    return Count("acme", "ann", "messages", now, resets, **more)


async def test_a_counter_counts_within_its_window(store: Store) -> None:
    await store.commit(count(10.0, 20.0), count(11.0, 99.0, amount=3))
    assert await store.counter("acme", "ann", "messages", now=12.0) == Counter(4, 20.0)
    assert await store.counter("acme", "ann", "messages", now=20.0) is None
    assert await store.counter("acme", "bob", "messages", now=12.0) is None
    assert await store.counter("other", "ann", "messages", now=12.0) is None


async def test_a_window_that_is_over_starts_anew(store: Store) -> None:
    await store.commit(count(10.0, 20.0, amount=5))
    await store.commit(count(20.0, 30.0, limit=1))
    assert await store.counter("acme", "ann", "messages", now=20.0) == Counter(1, 30.0)


async def test_passing_a_limit_counts_nothing_and_says_when_to_come_back(store: Store, make: Any) -> None:
    await store.commit(count(10.0, 20.0, amount=2, limit=2))
    with pytest.raises(LimitExceeded) as raised:
        await store.commit(PutSetting(make.setting(1)), count(14.0, 99.0, limit=2))
    assert raised.value.retry_after == 6.0
    assert await store.counter("acme", "ann", "messages", now=14.0) == Counter(2, 20.0)
    assert await store.setting("acme", "ann", "tone") is None
    await store.commit(count(15.0, 99.0, amount=-1, limit=0))
    assert await store.counter("acme", "ann", "messages", now=15.0) == Counter(1, 20.0)
    with pytest.raises(LimitExceeded):
        await store.commit(Count("acme", "ann", "first", 10.0, 20.0, amount=3, limit=2))


async def test_a_limit_holds_against_many_at_once(store: Store) -> None:
    outcomes = await asyncio.gather(
        *(store.commit(count(10.0, 20.0, limit=7)) for _ in range(30)), return_exceptions=True
    )
    assert outcomes.count(None) == 7
    assert await store.counter("acme", "ann", "messages", now=11.0) == Counter(7, 20.0)


async def test_a_key_is_read_back_as_it_was_put(store: Store, make: Any) -> None:
    full = make.key(
        "full",
        name="Ann's",
        scopes=("use", "admin"),
        projects=("p1", "p2"),
        rate_limit=(5, 60.0),
        budget=9.5,
        expires=99.0,
        revoked=50.0,
    )
    await store.commit(PutKey(full), PutKey(make.key()), PutKey(make.key("x", tenant="other")))
    assert await store.key("full") == full
    assert await store.key("none") is None
    assert await store.keys() == (full, make.key(), make.key("x", tenant="other"))
    assert await store.keys("acme") == (full, make.key())
    with pytest.raises(StaleWrite):
        await store.commit(PutKey(make.key("full")))
    assert await store.key("full") == full


async def test_a_key_stays_revoked_from_the_first_time_on(store: Store, make: Any) -> None:
    await store.commit(PutKey(make.key()))
    await store.commit(RevokeKey("k", 5.0))
    await store.commit(RevokeKey("k", 6.0))
    assert await store.key("k") == replace(make.key(), revoked=5.0)
    with pytest.raises(StaleWrite):
        await store.commit(RevokeKey("none", 6.0))


async def test_a_repeat_holds_its_key_until_it_expires(store: Store, make: Any) -> None:
    first = make.repeat(run="r", answer=[None, {"a": 1}])
    await store.commit(PutRepeat(first), PutRepeat(make.repeat(owner="bob")), PutRepeat(make.repeat(tenant="other")))
    assert await store.repeat("acme", "ann", "once", now=19.0) == first
    assert await store.repeat("acme", "ann", "once", now=20.0) is None
    with pytest.raises(StaleWrite) as raised:
        await store.commit(PutRepeat(make.repeat(created=19.9, answer="second")))
    assert raised.value.what == "repeat"
    assert await store.repeat("acme", "ann", "once", now=19.0) == first
    second = make.repeat(created=20.0, expires=30.0, digest="e", answer="second")
    await store.commit(PutRepeat(second))
    assert await store.repeat("acme", "ann", "once", now=21.0) == second


async def test_a_secret_is_made_once(store: Store) -> None:
    first, same, other = await asyncio.gather(store.secret("signing"), store.secret("signing"), store.secret("hashing"))
    assert first == same == await store.secret("signing")
    assert len(first) == 32
    assert other != first


async def test_what_json_cannot_hold_is_refused_and_undone(store: Store, make: Any) -> None:
    for wrong in (object(), {1, object()}):
        with pytest.raises(UsageError, match="cannot be stored"):
            await store.commit(PutSetting(make.setting("kept?", name="before")), PutSetting(make.setting(wrong)))
    with pytest.raises(UsageError, match="cannot be stored"):
        await store.commit(PutSetting(make.setting("kept?", name="before", created="yesterday")))
    assert await store.setting("acme", "ann", "before") is None
