"""P11 and P12: the SQLite store against one raw connection in WAL mode.

P11: add an item and have it acknowledged, alone and from 50 writers at once; wall time per item, since
what counts is the wait. P12: a page of 20 items (newest, middle, oldest), a page of 20 threads and a
walk over a whole thread, of 1,000, 10,000 and 100,000 items; CPU time. The same as ChatKit reads them: `chatkit_pages`.
"""

from __future__ import annotations

import asyncio
import gc
import random
import tempfile
import time
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from bench import chatkit_pages
from bench.limits import RawStore
from bench.measure import Figures, Report, Row, expect, interleave, main, median, quiet, ratio
from bench.shapes import StoredItem, StoredThread
from bench.streams import SEED
from dragoman.core.records import Item, Thread
from dragoman.core.writes import PutItem, PutThread
from dragoman.store.sqlite import SQLiteStore, open_store

SIZES = (1_000, 10_000, 100_000)
THREADS = 500
PAGE = 20
WALK = 1_000
WALKS = 5
ADD_TARGET, WRITERS_TARGET, READ_TARGET, GROWTH_TARGET = 6.0, 1.5, 4.0, 1.5
WRITERS = 50
OWNER = "user-1"


def texts(number: int) -> list[str]:
    chance = random.Random(SEED)
    words = ["lorem", "ipsum", "dolor", "sit", "amet", "él", "日本", '"quoted"', "naïve"]
    return [f"{place}: " + " ".join(chance.choices(words, k=chance.randint(4, 30))) for place in range(1, number + 1)]


def item(place: int, text: str) -> Item:
    return Item(
        f"item-{place:06d}", "message", "assistant", 1.7e9 + place, {"text": text}, answer="a-1", run="r-1", step=1
    )


def raw_item(place: int, text: str) -> StoredItem:
    return StoredItem(
        f"item-{place:06d}", "message", "assistant", 1.7e9 + place, {"text": text}, answer="a-1", run="r-1", step=1
    )


class Both:
    """The same rows in our store and in the raw one."""

    def __init__(self, loop: asyncio.AbstractEventLoop, folder: Path, number: int) -> None:
        self.loop = loop
        self.number = number
        self.ours: SQLiteStore = loop.run_until_complete(open_store(folder / "ours"))
        self.raw = RawStore(folder / "raw.db")
        self.texts = texts(number)
        loop.run_until_complete(self._fill())
        raw_threads = [
            StoredThread(f"thread-{place}", "t", OWNER, f"Thread {place}", 1.7e9, 1.7e9, {}) for place in range(THREADS)
        ]
        rows = [raw_item(place, text) for place, text in enumerate(self.texts, start=1)]
        self.raw.fill(1, rows, raw_threads)
        self.added = count(number + 1)

    async def _fill(self) -> None:
        for place in range(THREADS):
            await self.ours.commit(
                PutThread(Thread(f"thread-{place}", "t", OWNER, 1.7e9, 1.7e9, title=f"Thread {place}"))
            )
        writes = [PutItem(1, item(place, text)) for place, text in enumerate(self.texts, start=1)]
        for begin in range(0, len(writes), 2_000):
            await self.ours.commit(*writes[begin : begin + 2_000])

    def close(self) -> None:
        self.loop.run_until_complete(self.ours.close())
        self.raw.close()


def time_it(loop: asyncio.AbstractEventLoop, work: Callable[[], Coroutine[Any, Any, None]], units: int) -> Figures:
    async def timed() -> Figures:
        with quiet():
            wall, cpu = time.perf_counter(), time.process_time()
            await work()
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        return Figures(cpu / units, wall / units)

    return loop.run_until_complete(timed())


# ------------------------------------------------------------------------------------- writing


def adding(report: Report, both: Both) -> None:
    """P11."""
    alone, each = 300, 40
    text = both.texts[0]

    async def raw() -> None:
        for _ in range(alone):
            place = next(both.added)
            both.raw.add(1, place, raw_item(place, text))

    async def lone() -> None:
        await writer(alone)

    async def writer(times: int) -> None:
        for _ in range(times):
            await both.ours.commit(PutItem(1, item(next(both.added), text)))

    async def many() -> None:
        await asyncio.gather(*(writer(each) for _ in range(WRITERS)))

    before = both.loop.run_until_complete(last_place(both))
    units = {"limit": alone, "one writer": alone, f"{WRITERS} writers": WRITERS * each}
    works = {"limit": raw, "one writer": lone, f"{WRITERS} writers": many}
    rounds = 9
    contenders = {name: partial(time_it, both.loop, work, units[name]) for name, work in works.items()}
    found = interleave(contenders, rounds)
    targets = {"one writer": ADD_TARGET, f"{WRITERS} writers": WRITERS_TARGET}
    report.compare("P11", "add an acknowledged item", found, limit="limit", targets=targets, by="wall")
    after = both.loop.run_until_complete(last_place(both))
    expect("P11: items added", after - before, (rounds + 1) * (alone + WRITERS * each))


async def last_place(both: Both) -> int:
    newest = await both.ours.items(1, limit=1, newest=True)
    return newest.rows[0].pos


# ------------------------------------------------------------------------------------- reading


def pages(both: Both) -> dict[str, tuple[Callable[[], Awaitable[list[Any]]], Callable[[], list[Any]], int]]:
    """What is read → (ours, the limit's, how often per measurement)."""
    number, ours, raw = both.number, both.ours, both.raw
    middle = number // 2

    async def newest() -> list[Any]:
        return list((await ours.items(1, limit=PAGE, newest=True)).rows)

    async def middle_page() -> list[Any]:
        return list((await ours.items(1, before=middle, limit=PAGE, newest=True)).rows)

    async def oldest() -> list[Any]:
        return list((await ours.items(1, before=PAGE + 1, limit=PAGE, newest=True)).rows)

    async def threads() -> list[Any]:
        return list((await ours.threads("t", OWNER, limit=PAGE)).rows)

    async def walk() -> list[Any]:
        found: list[Any] = []
        more = True
        while more:
            page = await ours.items(1, after=found[-1].pos if found else 0, limit=WALK)
            found += page.rows
            more = page.more
        return found

    def raw_walk() -> list[Any]:
        found: list[Any] = []
        while page := raw.after(1, len(found), WALK):
            found += page
        return found

    return {
        "newest page": (newest, lambda: raw.newest(1, 1 << 62, PAGE), 60),
        "middle page": (middle_page, lambda: raw.newest(1, middle, PAGE), 60),
        "oldest page": (oldest, lambda: raw.newest(1, PAGE + 1, PAGE), 60),
        "thread list": (threads, lambda: raw.threads(OWNER, PAGE), 60),
        "whole walk": (walk, raw_walk, 1),
    }


def reading(report: Report, all_sizes: dict[int, Both], loop: asyncio.AbstractEventLoop, rounds: int) -> None:
    """P12."""
    contenders: dict[str, Callable[[], Figures]] = {}
    walks: dict[str, Callable[[], Figures]] = {}
    for number, both in all_sizes.items():
        for what, (ours, raw, times) in pages(both).items():
            mine, theirs = loop.run_until_complete(collect(ours)), raw()
            expect(f"{what} of {number}: ids", [row.id for row in mine], [row.id for row in theirs])
            if what != "thread list":
                expect(f"{what}: texts", [row.body for row in mine], [row.body for row in theirs])
            place, units = (walks, number // WALK) if what == "whole walk" else (contenders, times)
            place[f"{number:,}: {what}|limit"] = partial(time_it, loop, partial(repeat_raw, raw, times), units)
            place[f"{number:,}: {what}|store"] = partial(time_it, loop, partial(repeat, ours, times), units)
    del mine, theirs
    gc.collect()
    gc.freeze()  # or each collection before a measurement would go through all of this
    found = {**interleave(contenders, rounds), **interleave(walks, WALKS)}
    for number, both in all_sizes.items():
        for what in pages(both):
            work = f"{number:,}: {what}" + (f", per {WALK:,} items" if what == "whole walk" else "")
            pair = {name: found[f"{number:,}: {what}|{name}"] for name in ("limit", "store")}
            report.compare("P12", work, pair, limit="limit", targets={"store": READ_TARGET})
    small, large = (
        [one.cpu for one in found[f"{number:,}: middle page|store"]] for number in (min(all_sizes), max(all_sizes))
    )
    grown = f"middle page, {max(all_sizes):,} against {min(all_sizes):,}"
    report.add(Row("P12", grown, "store", median(large) * 1e6, "us", ratio(large, small), GROWTH_TARGET))


async def collect(read: Callable[[], Awaitable[list[Any]]]) -> list[Any]:
    return await read()


async def repeat(read: Callable[[], Awaitable[list[Any]]], times: int) -> None:
    for _ in range(times):
        await read()


async def repeat_raw(read: Callable[[], list[Any]], times: int) -> None:
    for _ in range(times):
        read()


def measure(check_only: bool) -> Report:
    report = Report("store", "P11 writes, wall time; P12 reads, CPU time")
    loop = asyncio.new_event_loop()
    with tempfile.TemporaryDirectory(prefix="dragoman-bench-", ignore_cleanup_errors=True) as folder:
        all_sizes: dict[int, Both] = {}
        for size in SIZES:
            place = Path(folder) / str(size)
            place.mkdir()
            all_sizes[size] = Both(loop, place, size)
        rounds = 11 if check_only else 21
        reading(report, all_sizes, loop, rounds)
        stores = {size: (both.ours, both.raw) for size, both in all_sizes.items() if size != SIZES[1]}
        chatkit_pages.measure(report, stores, loop, Path(folder), rounds, time_it)
        if not check_only:
            adding(report, all_sizes[SIZES[0]])
        for both in all_sizes.values():
            both.close()
    loop.close()
    return report


if __name__ == "__main__":
    main(measure)
