"""Answers by request: kept, found, shared between equal calls, and never mixed up."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from dragoman.ai.cache import (
    CacheConfig,
    CacheKey,
    CacheManager,
    DiskCache,
    MemoryCache,
    NullCache,
    cache_scope,
    get_cache_manager,
    set_cache_manager,
)
from dragoman.ai.errors import RemoteError, ValidationError

pytestmark = pytest.mark.requirement("AIP-85")

HELLO = [{"role": "user", "content": "Hello"}]
ANSWER = {"content": "Hi", "tool_calls": []}


@pytest.fixture(params=["memory", "disk"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> CacheManager:
    return CacheManager(backend=DiskCache(tmp_path) if request.param == "disk" else None)


async def test_an_answer_is_found_by_an_equal_request(manager: CacheManager) -> None:
    assert await manager.get_response("m", HELLO, temperature=0) is None
    key = await manager.cache_response("m", HELLO, ANSWER, temperature=0)
    assert str(key).startswith("ai:m:")
    assert await manager.get_response("m", HELLO, temperature=0) == ANSWER
    assert await manager.get_response("m", HELLO, temperature=1) is None
    assert await manager.invalidate("m", HELLO, temperature=0)
    assert not await manager.invalidate("m", HELLO, temperature=0)
    assert await manager.get_response("m", HELLO, temperature=0) is None


async def test_what_is_done_is_counted(manager: CacheManager) -> None:
    await manager.get_response("m", HELLO)
    await manager.cache_response("m", HELLO, ANSWER)
    await manager.get_response("m", HELLO)
    stats = manager.stats
    assert (stats.hits, stats.misses, stats.sets, stats.total_requests, stats.hit_rate) == (1, 1, 1, 2, 0.5)
    assert stats() is stats
    assert (stats.hit_ratio, stats.to_dict()["hits"]) == (0.5, 1)
    await manager.clear()
    assert (manager.stats.total_requests, await manager.get_response("m", HELLO)) == (0, None)


async def test_evictions_are_counted() -> None:
    manager = CacheManager(CacheConfig(max_entries=1))
    for text in ("a", "b"):
        await manager.cache_response("m", [{"role": "user", "content": text}], ANSWER)
    assert manager.stats.evictions == 1


async def test_whoever_changes_an_answer_changes_it_for_nobody_else(manager: CacheManager) -> None:
    answer = {"content": "Hi", "list": [1]}
    await manager.cache_response("m", HELLO, answer)
    answer["list"] = []
    first = await manager.get_response("m", HELLO)
    assert first == {"content": "Hi", "list": [1]}
    first["list"].append(2)
    assert await manager.get_response("m", HELLO) == {"content": "Hi", "list": [1]}


async def test_vectors_are_kept(manager: CacheManager) -> None:
    await manager.cache_embedding("e", ["a", "b"], [[0.1], [0.2]], 1)
    assert await manager.get_embedding("e", ["a", "b"], 1) == [[0.1], [0.2]]
    assert await manager.get_embedding("e", ["b", "a"], 1) is None
    assert await manager.get_embedding("e", ["a", "b"]) is None


def change(folder: Path, changed: bytes) -> None:
    """Put something else in the place of what was kept."""
    for file in folder.glob("*/*.json"):
        file.write_bytes(file.read_bytes().replace(b'{\\"content\\":[[0.1]]}', changed).replace(b"[[0.1]]", changed))


@pytest.mark.parametrize(
    "changed", [b"[[0.1", b"5", b"[5]", b"[[true]]", b"[" * 5000, b"NaN"], ids=lambda one: repr(one[:9])
)
async def test_a_file_that_somebody_has_changed_is_no_answer(tmp_path: Path, changed: bytes) -> None:
    manager = CacheManager(backend=DiskCache(tmp_path))
    await manager.cache_embedding("e", "a", [[0.1]])
    await manager.cache_response("m", HELLO, {"content": [[0.1]]})
    change(tmp_path, changed)
    assert await manager.get_embedding("e", "a") is None
    assert await manager.get_response("m", HELLO) is None


@pytest.mark.parametrize("part", ["tenant", "credential", "base_url", "provider"])
async def test_nobody_gets_the_answer_of_another_scope(manager: CacheManager, part: str) -> None:
    ana, ben = cache_scope(**{part: "a"}), cache_scope(**{part: "b"})
    await manager.cache_response("m", HELLO, ANSWER, scope=ana)
    assert await manager.get_response("m", HELLO, scope=ben) is None
    assert await manager.get_response("m", HELLO) is None
    assert await manager.get_response("m", HELLO, scope=ana) == ANSWER


async def test_requests_whose_short_hashes_collide_never_share(manager: CacheManager) -> None:
    one = CacheKey("ai:m:0:0", digest="1" * 64)
    other = CacheKey("ai:m:0:0", digest="2" * 64)
    await manager.set(one, "of one")
    assert (await manager.get(other), await manager.get(one)) == (None, "of one")
    shared = await manager.shared(other, returning("of the other"))
    assert (shared.value, shared.source) == ("of the other", "call")


async def test_times_to_live() -> None:
    now = [0.0]
    manager = CacheManager(CacheConfig.short_ttl(), MemoryCache(clock=lambda: now[0]))
    await manager.cache_response("m", HELLO, ANSWER)
    await manager.cache_response("n", HELLO, ANSWER, ttl=1000)
    now[0] = 300.0
    assert await manager.get_response("m", HELLO) is None
    assert await manager.get_response("n", HELLO) == ANSWER


def test_configurations() -> None:
    assert (CacheConfig().enabled, CacheConfig().default_ttl, CacheConfig().max_size) == (True, 3600, 1000)
    assert not CacheConfig.disabled().enabled
    assert (CacheConfig.short_ttl().default_ttl, CacheConfig.long_ttl().default_ttl) == (300, 86400)
    other = CacheConfig(default_ttl_seconds=60, max_entries=5)
    assert (other.default_ttl, other.max_size, CacheConfig().max_entries) == (60, 5, 1000)


async def test_a_cache_that_is_off_keeps_nothing() -> None:
    manager = CacheManager(CacheConfig.disabled())
    await manager.cache_response("m", HELLO, ANSWER)
    await manager.cache_embedding("e", "a", [[1.0]])
    assert (await manager.get_response("m", HELLO), await manager.get_embedding("e", "a")) == (None, None)
    assert (manager.enabled, manager.key("m", HELLO), manager.stats.total_requests) == (False, None, 0)
    assert (await manager.shared(CacheKey("k"), returning(1))).source == "call"


async def test_an_error_is_no_answer_to_keep(manager: CacheManager, caplog: pytest.LogCaptureFixture) -> None:
    await manager.cache_response("m", HELLO, {"error": {"message": "no"}})
    assert await manager.get_response("m", HELLO) is None
    with caplog.at_level(logging.WARNING):
        told = CacheManager(CacheConfig(cache_errors=True))
    await told.cache_response("m", HELLO, {"error": "no"})
    assert await told.get_response("m", HELLO) is None
    assert "errors are never kept" in caplog.text


async def test_a_request_without_a_key_is_passed_by(manager: CacheManager) -> None:
    assert manager.key("m", HELLO, tool=print) is None
    assert await manager.get_response("m", HELLO, tool=print) is None
    assert (await manager.shared(None, returning(1))).value == 1
    with pytest.raises(ValidationError, match="no key"):
        await manager.cache_response("m", HELLO, ANSWER, tool=print)


async def test_values_by_ones_own_key(manager: CacheManager) -> None:
    await manager.set("mine", [1, 2])
    assert (await manager.get("mine"), await manager.get("other")) == ([1, 2], None)
    key = manager.generate_key("m", HELLO)
    assert key is not None
    await manager.set(key, ANSWER)
    assert await manager.get_response("m", HELLO) == ANSWER


def test_there_is_one_for_the_process() -> None:
    set_cache_manager(None)
    mine = CacheManager(backend=NullCache())
    assert get_cache_manager() is get_cache_manager()
    set_cache_manager(mine)
    assert get_cache_manager() is mine
    set_cache_manager(None)


# ------------------------------------------------------------------------------------ single flight


def returning(value: Any) -> Callable[[], Any]:
    async def call() -> Any:
        return value

    return call


class Call:
    """A call that waits until it is let go, and counts."""

    def __init__(self, value: Any = "made", error: Exception | None = None) -> None:
        self.made = 0
        self.began = anyio.Event()
        self.go = anyio.Event()
        self.value, self.error = value, error

    async def __call__(self) -> Any:
        self.made += 1
        self.began.set()
        await self.go.wait()
        if self.error is not None:
            raise self.error
        return self.value


async def many(manager: CacheManager, key: CacheKey, call: Call, count: int) -> list[asyncio.Task[Any]]:
    """So many callers that wait, the first of whom has made the call."""
    first = asyncio.create_task(manager.shared(key, call))
    with anyio.fail_after(5):
        await call.began.wait()
    rest = [asyncio.create_task(manager.shared(key, call)) for _ in range(count - 1)]
    for _ in range(5):
        await anyio.lowlevel.checkpoint()
    return [first, *rest]


KEY = CacheKey("ai:m:x:y", digest="d" * 64)


async def test_a_kept_answer_needs_no_call(manager: CacheManager) -> None:
    assert (await manager.shared(KEY, returning("first"))).source == "call"
    again = await manager.shared(KEY, returning("second"))
    assert (again.value, again.source, again.hit) == ("first", "cache", True)


async def test_equal_calls_under_way_are_made_once(manager: CacheManager) -> None:
    call = Call({"n": [1]})
    tasks = await many(manager, KEY, call, 20)
    call.go.set()
    with anyio.fail_after(5):
        found = await asyncio.gather(*tasks)
    assert call.made == 1
    assert [one.source for one in found] == ["call"] + ["flight"] * 19
    assert all(one.value == {"n": [1]} for one in found)
    assert len({id(one.value) for one in found}) == 20
    assert (manager.stats.shared, manager.stats.misses, manager.stats.sets) == (19, 20, 1)
    assert len(manager._flights) == 0


async def test_calls_of_other_keys_do_not_wait(manager: CacheManager) -> None:
    call = Call()
    tasks = await many(manager, KEY, call, 1)
    other = CacheKey(KEY.key, digest="e" * 64)
    with anyio.fail_after(5):
        assert (await manager.shared(other, returning("other"))).value == "other"
    call.go.set()
    assert (await tasks[0]).value == "made"


async def test_an_error_is_told_to_all_who_wait_and_never_kept(manager: CacheManager) -> None:
    refused = RemoteError("no", status_code=500, error_class="server_error")
    call = Call(error=refused)
    tasks = await many(manager, KEY, call, 5)
    call.go.set()
    with anyio.fail_after(5):
        found = await asyncio.gather(*tasks, return_exceptions=True)
    assert (found, call.made, manager.stats.sets) == ([refused] * 5, 1, 0)
    assert (await manager.shared(KEY, returning("now"))).source == "call"


async def test_an_answer_that_is_there_is_not_lost_with_the_caller_that_was_to_keep_it() -> None:
    class Slow(MemoryCache):
        async def set(self, key: str, value: Any, ttl: float | None = None) -> None:
            keeping.set()
            await asyncio.Event().wait()

    async def call() -> int:
        calls.append(1)
        return len(calls)

    keeping, calls = asyncio.Event(), list[int]()
    manager = CacheManager(backend=Slow())
    key = manager.key("m", [{"role": "user", "content": "x"}])
    async with asyncio.timeout(5):
        first = asyncio.create_task(manager.shared(key, call))
        await keeping.wait()
        second = asyncio.create_task(manager.shared(key, call))
        await asyncio.sleep(0)
        first.cancel()
        assert (await second).value == 1
    assert calls == [1]


async def test_when_the_caller_is_cancelled_the_next_one_calls(manager: CacheManager) -> None:
    call = Call()
    tasks = await many(manager, KEY, call, 3)
    tasks[0].cancel()
    with anyio.fail_after(5):
        await asyncio.wait([tasks[0]])
        while call.made < 2:
            await anyio.lowlevel.checkpoint()
        call.go.set()
        rest = await asyncio.gather(*tasks[1:])
    assert tasks[0].cancelled()
    assert sorted(one.source for one in rest) == ["call", "flight"]
    assert call.made == 2


async def test_a_waiting_caller_can_be_cancelled(manager: CacheManager) -> None:
    call = Call()
    tasks = await many(manager, KEY, call, 2)
    tasks[1].cancel()
    with anyio.fail_after(5):
        await asyncio.wait([tasks[1]])
        call.go.set()
        assert (await tasks[0]).value == "made"
    assert (tasks[1].cancelled(), call.made) == (True, 1)


async def test_an_answer_that_is_not_to_be_kept_is_shared_all_the_same(manager: CacheManager) -> None:
    await manager.shared(KEY, returning("cut"), keep=lambda value: value != "cut")
    assert (await manager.shared(KEY, returning("whole"), keep=lambda value: value != "cut")).value == "whole"
    assert (await manager.shared(KEY, returning("x"))).value == "whole"


async def test_values_of_ones_own_are_encoded(manager: CacheManager) -> None:
    made = await manager.shared(KEY, returning({1, 2}), encode=sorted, decode=set)
    again = await manager.shared(KEY, returning(set()), encode=sorted, decode=set)
    assert (made.value, again.value, again.source) == ({1, 2}, {1, 2}, "cache")


async def test_what_has_no_json_is_called_for_each(manager: CacheManager) -> None:
    call = Call(object())
    tasks = await many(manager, KEY, call, 3)
    call.go.set()
    with anyio.fail_after(5):
        found = await asyncio.gather(*tasks)
    assert ([one.source for one in found], call.made) == (["call"] * 3, 3)


async def test_what_cannot_be_read_any_more_is_asked_for_anew(manager: CacheManager) -> None:
    await manager.set(KEY, "old form")
    found = await manager.shared(KEY, returning({"a": 1}), decode=lambda value: value["a"] and value)
    assert (found.value, found.source) == ({"a": 1}, "call")


class Broken(NullCache):
    """A backend that is out of order."""

    async def find(self, key: str) -> tuple[bool, Any]:
        raise OSError("gone")

    async def set(self, key: str, value: Any, ttl: float | None = None) -> None:
        raise OSError("gone")


async def test_a_broken_backend_fails_no_call(caplog: pytest.LogCaptureFixture) -> None:
    manager = CacheManager(backend=Broken())
    assert (await manager.shared(KEY, returning(1))).value == 1
    assert await manager.get_response("m", HELLO) is None
    await manager.cache_response("m", HELLO, ANSWER)
    assert manager.stats.sets == 0
    assert "could not be kept" in caplog.text


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_flights_need_no_asyncio() -> None:
    manager, call, found = CacheManager(), Call(), []

    async def ask() -> None:
        found.append((await manager.shared(KEY, call)).source)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(ask)
            await call.began.wait()
            call.go.set()
    assert (sorted(found), call.made) == (["call", "flight", "flight"], 1)


def test_two_event_loops_do_not_wait_for_each_other() -> None:
    manager = CacheManager(backend=NullCache())
    for _ in range(2):
        assert asyncio.run(manager.shared(KEY, returning(1))).source == "call"
