"""Where cached values lie: one suite for memory and disk, and what each has of its own."""

from __future__ import annotations

import asyncio
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dragoman.ai.cache import CacheBackend, DiskCache, MemoryCache, NullCache

pytestmark = pytest.mark.requirement("AIP-84")


class Time:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        self.now += 0.001  # so that each use has a time of its own
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture(params=["memory", "disk"])
def make(request: pytest.FixtureRequest, tmp_path: Path, time: Time) -> Callable[..., CacheBackend]:
    def made(**settings: Any) -> CacheBackend:
        if request.param == "memory":
            return MemoryCache(clock=time, **settings)
        return DiskCache(tmp_path / "cache", clock=time, **settings)

    return made


Make = Callable[..., CacheBackend]


async def test_a_value_is_kept_until_it_is_deleted(make: Make) -> None:
    cache = make()
    assert await cache.get("a") is None
    await cache.set("a", {"x": [1, "é", None]})
    assert await cache.get("a") == {"x": [1, "é", None]}
    assert await cache.exists("a")
    assert (await cache.delete("a"), await cache.delete("a"), await cache.exists("a")) == (True, False, False)


async def test_threads_do_not_meet_in_the_middle_of_memory() -> None:
    others: list[threading.Thread] = []

    def clock() -> float:
        if len(others) == 1:  # in the middle of a search: another thread forgets everything, as soon as it may
            others.append(threading.Thread(target=lambda: asyncio.run(cache.clear())))
            others[-1].start()
            others[-1].join(0.2)
        return 0.0

    cache = MemoryCache(default_ttl=60, clock=clock)
    await cache.set("a", "x" * 10)
    others.append(threading.current_thread())
    assert await cache.find("a") == (True, "x" * 10)
    others[1].join(10)
    assert (await cache.find("a"), cache.size) == ((False, None), 0)


async def test_a_value_ends_when_its_time_is_over_and_not_before(make: Make, time: Time) -> None:
    cache = make()
    await cache.set("a", 1, ttl=1)
    time.now += 0.9
    assert await cache.get("a") == 1
    time.now += 0.1
    assert await cache.get("a") is None


async def test_a_kept_none_is_found(make: Make) -> None:
    cache = make()
    assert await cache.find("a") == (False, None)
    await cache.set("a", None)
    assert (await cache.find("a"), await cache.exists("a")) == ((True, None), True)


async def test_a_value_ends_with_its_time(make: Make, time: Time) -> None:
    cache = make(default_ttl=100)
    await cache.set("default", 1)
    await cache.set("short", 2, ttl=10)
    time.now += 50
    assert [await cache.get("default"), await cache.get("short")] == [1, None]
    time.now += 51
    assert (await cache.get("default"), await cache.exists("default"), await cache.delete("default")) == (
        None,
        False,
        False,
    )


async def test_no_time_at_all_keeps_nothing_and_drops_what_was_there(make: Make) -> None:
    cache = make()
    await cache.set("a", 1)
    await cache.set("a", 2, ttl=0)
    assert await cache.find("a") == (False, None)


async def test_all_can_be_forgotten(make: Make) -> None:
    cache = make()
    for name in "abc":
        await cache.set(name, name)
    await cache.clear()
    assert [await cache.get(name) for name in "abc"] == [None] * 3
    await cache.close()


@pytest.mark.parametrize("key", ["../../outside", "/etc/passwd", "a\x00b", "\ud800", "x" * 5000, "", "a/b\\c:d*?"])
async def test_any_text_is_a_key(make: Make, key: str, tmp_path: Path) -> None:
    cache = make()
    await cache.set(key, 1)
    assert await cache.get(key) == 1
    assert set(os.listdir(tmp_path)) <= {"cache"}


async def test_nothing_is_kept_by_the_null_cache() -> None:
    cache = NullCache()
    await cache.set("a", 1)
    assert (await cache.get("a"), await cache.exists("a"), await cache.delete("a")) == (None, False, False)
    assert await cache.find("a") == (False, None)
    await cache.clear()


async def test_a_backend_of_ones_own_needs_five_methods() -> None:
    class Own(CacheBackend):
        def __init__(self) -> None:
            self.values: dict[str, Any] = {}

        async def get(self, key: str) -> Any:
            return self.values.get(key)

        async def set(self, key: str, value: Any, ttl: float | None = None) -> None:
            self.values[key] = value

        async def delete(self, key: str) -> bool:
            return self.values.pop(key, None) is not None

        async def clear(self) -> None:
            self.values.clear()

        async def exists(self, key: str) -> bool:
            return key in self.values

    cache = Own()
    await cache.set("none", None)
    await cache.set("one", 1)
    assert [await cache.find(key) for key in ("none", "one", "two")] == [(True, None), (True, 1), (False, None)]
    await cache.close()


# ----------------------------------------------------------------------------------------- memory


async def test_what_was_not_used_for_longest_goes_first() -> None:
    cache = MemoryCache(max_size=3)
    for name in "abc":
        await cache.set(name, name)
    await cache.get("a")
    await cache.set("d", "d")
    assert [await cache.get(name) for name in "abcd"] == ["a", None, "c", "d"]
    assert (cache.size, cache.evictions) == (3, 1)


async def test_what_is_over_goes_before_what_was_not_used(time: Time) -> None:
    cache = MemoryCache(max_size=2, clock=time)
    await cache.set("old", 1)
    await cache.set("over", 2, ttl=1)
    time.now += 2
    await cache.set("new", 3)
    assert [await cache.get(name) for name in ("old", "over", "new")] == [1, None, 3]
    assert cache.evictions == 0


async def test_memory_is_bounded_in_bytes_too() -> None:
    cache = MemoryCache(max_bytes=100)
    await cache.set("a", "x" * 60)
    await cache.set("b", "x" * 60)
    await cache.set("too large", "x" * 101)
    assert [await cache.exists(name) for name in ("a", "b", "too large")] == [False, True, False]


async def test_a_value_that_is_set_again_and_again_leaves_no_trace(time: Time) -> None:
    cache = MemoryCache(max_size=2, clock=time)
    for number in range(500):
        await cache.set("a", number, ttl=1000)
    assert len(cache._ends) < 30
    assert await cache.get("a") == 499


@pytest.mark.parametrize(
    "made", [lambda: MemoryCache(0), lambda: DiskCache("x", max_size_bytes=0), lambda: DiskCache()]
)
def test_a_cache_without_room_is_refused(made: Callable[[], Any]) -> None:
    with pytest.raises(ValueError, match=r"at least 1|needs a folder"):
        made()


# ------------------------------------------------------------------------------------------- disk


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


async def test_files_outlive_the_cache_and_are_the_users_alone(tmp_path: Path) -> None:
    await DiskCache(tmp_path / "deep" / "cache").set("a", {"kept": True})
    assert await DiskCache(directory=tmp_path / "deep" / "cache").get("a") == {"kept": True}
    (file,) = files(tmp_path)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "deep" / "cache").stat().st_mode) == 0o700


async def test_the_bound_of_bytes_holds(tmp_path: Path, time: Time) -> None:
    cache = DiskCache(tmp_path, max_size_bytes=20_000, clock=time)
    for number in range(60):
        await cache.set(f"k{number}", "x" * 1000)
        assert cache.cache_size_bytes <= 20_000
    assert await cache.get("k59") is not None
    assert await cache.get("k0") is None
    assert cache.evictions > 40


async def test_a_file_that_is_read_stays_longer(tmp_path: Path, time: Time) -> None:
    cache = DiskCache(tmp_path, max_size_bytes=10_000, clock=time)
    for number in range(20):
        await cache.set(f"k{number}", "x" * 1000)
        assert await cache.get("k0") is not None
    assert await cache.get("k5") is None


async def test_what_is_over_goes_first_on_disk_too(tmp_path: Path, time: Time) -> None:
    cache = DiskCache(tmp_path, max_size_bytes=10_000, clock=time)
    await cache.set("old", "x" * 2000)
    await cache.set("over", "x" * 6000, ttl=1)
    time.now += 2
    await cache.set("new", "x" * 6000)
    assert await cache.get("old") is not None
    assert cache.evictions == 0


async def test_a_value_larger_than_all_is_not_kept(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, max_size_bytes=1000)
    await cache.set("a", "small")
    await cache.set("a", "x" * 2000)
    assert await cache.find("a") == (False, None)


async def test_what_other_processes_write_counts(tmp_path: Path, time: Time) -> None:
    mine, theirs = (DiskCache(tmp_path, max_size_bytes=32_000, clock=time) for _ in range(2))
    for number in range(40):
        await mine.set(f"mine{number}", "x" * 1000)
        await theirs.set(f"theirs{number}", "x" * 1000)
        assert mine.cache_size_bytes <= 32_000 * (1 + 2 / 16)


async def test_what_is_over_can_be_cleaned_up(tmp_path: Path, time: Time) -> None:
    cache = DiskCache(tmp_path, clock=time)
    for number in range(3):
        await cache.set(f"k{number}", 1, ttl=10)
    await cache.set("stays", 1)
    time.now += 11
    assert (await cache.cleanup_expired(), await cache.cleanup_expired(), len(files(tmp_path))) == (3, 0, 1)


@pytest.mark.parametrize(
    "damage",
    [b"", b"{", b'{"key": 1}\n1', b"[]\n1", b"\xff\xfe", b"x" * 100, b'{"ends": null}\n1', b"[" * 16_000],
    ids=lambda damage: repr(damage[:20]),
)
async def test_a_damaged_file_is_no_value(tmp_path: Path, damage: bytes) -> None:
    cache = DiskCache(tmp_path)
    await cache.set("a", 1)
    (file,) = files(tmp_path)
    file.write_bytes(damage)
    assert await cache.find("a") == (False, None)
    file.write_bytes(damage)
    await cache.cleanup_expired()
    await cache.set("a", 2)
    assert await cache.get("a") == 2


async def test_a_file_of_another_key_is_no_value(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path)
    await cache.set("a", "of a")
    (file,) = files(tmp_path)
    await cache.set("b", "of b")
    (other,) = [path for path in files(tmp_path) if path != file]
    file.replace(other)
    assert await cache.find("b") == (False, None)


async def test_a_half_written_file_is_never_met_and_is_cleared_away(tmp_path: Path, time: Time) -> None:
    cache = DiskCache(tmp_path, max_size_bytes=3000, clock=time)
    await cache.set("a", 1)
    (file,) = files(tmp_path)
    part = file.with_name(f"{file.name}.{'0' * 16}.part")
    file.replace(part)
    assert await cache.find("a") == (False, None)
    os.utime(part, (time.now - 7200, time.now - 7200))
    for number in range(4):
        await cache.set(f"k{number}", "x" * 1000)
    assert not part.exists()


async def test_nobody_elses_files_are_touched(tmp_path: Path) -> None:
    other = tmp_path / "notes.txt"
    other.write_text("mine")
    cache = DiskCache(tmp_path)
    await cache.set("a", 1)
    folder = next(path.parent for path in files(tmp_path) if path != other)
    (folder / "readme").write_text("mine")
    outside = tmp_path / "outside.json"
    outside.write_text("mine")
    (folder / f"{'0' * 64}.json").symlink_to(outside)
    elsewhere = tmp_path / "elsewhere" / f"{'0' * 64}.json"
    elsewhere.parent.mkdir()
    elsewhere.write_text("mine")
    (tmp_path / "zz").symlink_to(elsewhere.parent)
    await cache.clear()
    assert (other.read_text(), (folder / "readme").read_text(), outside.read_text()) == ("mine", "mine", "mine")
    assert elsewhere.read_text() == "mine"
    assert await cache.get("a") is None


async def test_a_folder_that_cannot_be_written_keeps_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    cache = DiskCache(tmp_path / "file" / "cache")
    await cache.set("a", 1)
    assert (await cache.find("a"), cache.cache_size_bytes) == ((False, None), 0)


async def test_what_is_no_json_is_refused(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path)
    with pytest.raises((TypeError, ValueError)):
        await cache.set("a", object())
    with pytest.raises(ValueError, match="JSON"):
        await cache.set("a", float("nan"))
    assert files(tmp_path) == []
