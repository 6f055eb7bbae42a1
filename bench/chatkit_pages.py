"""P12 as ChatKit reads: pages of 20 items of a long thread and of 10,000 threads, as the items that go on the wire.

The limit reads the same rows over one raw connection and gives them to the same pydantic adapters, which any store of
ChatKit's must do. `bench.store` runs this over the rows that it has made.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from bench.limits import RawStore
from bench.measure import Figures, Report, Row, expect, interleave, median, ratio
from bench.shapes import StoredThread
from dragoman.chatkit.rows import wire_id
from dragoman.chatkit.types import ThreadMetadata
from dragoman.chatkit.types.adapters import item_adapter
from dragoman.core.records import Thread
from dragoman.core.writes import PutThread
from dragoman.server.chatkit.rows_store import RowsStore
from dragoman.store.sqlite import SQLiteStore, open_store

PAGE = 20
TIMES = 40
MANY, FEW = 10_000, 100
TENANT, OWNER = "t", "user-1"
READ_TARGET, GROWTH_TARGET = 4.0, 1.5

Timed = Callable[[asyncio.AbstractEventLoop, Callable[[], Any], int], Figures]
Read = Callable[[], Awaitable[list[Any]]]


def over(store: SQLiteStore) -> RowsStore[None]:
    return RowsStore(store, identify=lambda _: (TENANT, OWNER))


# ------------------------------------------------------------------------------------- items


def item_pages(store: SQLiteStore, raw: RawStore, number: int) -> dict[str, tuple[Read, Callable[[], list[Any]]]]:
    """The pages of a thread of so many items: what is read → (ours, the limit's)."""
    rows = over(store)
    middle = number // 2

    async def ours(after: str | None) -> list[Any]:
        return (await rows.load_visible_items("thread-0", after, PAGE, "desc", None)).data

    def limit(place: int) -> list[Any]:
        return [
            item_adapter.validate_python(
                {
                    "id": row.id,
                    "thread_id": "thread-0",
                    "created_at": datetime.fromtimestamp(row.created, UTC),
                    "type": "assistant_message",
                    "content": [{"type": "output_text", "text": row.body["text"]}],
                }
            )
            for row in raw.newest(1, place, PAGE)
        ]

    return {
        "newest ChatKit page": (partial(ours, None), partial(limit, 1 << 62)),
        "middle ChatKit page": (partial(ours, f"item-{middle:06d}"), partial(limit, middle)),
        "oldest ChatKit page": (partial(ours, f"item-{PAGE + 1:06d}"), partial(limit, PAGE + 1)),
    }


# ------------------------------------------------------------------------------------- threads


class Threads:
    """So many threads of one user, in our store and in the raw one."""

    def __init__(self, loop: asyncio.AbstractEventLoop, folder: Path, number: int) -> None:
        self.loop = loop
        self.number = number
        self.ours = loop.run_until_complete(open_store(folder / "ours"))
        self.raw = RawStore(folder / "raw.db")
        names = [f"thread-{place:05d}" for place in range(number)]
        writes = [PutThread(Thread(name, TENANT, OWNER, 1.7e9, 1.7e9, title=name)) for name in names]
        for start in range(0, number, 1_000):
            loop.run_until_complete(self.ours.commit(*writes[start : start + 1_000]))
        self.raw.fill(1, [], [StoredThread(name, TENANT, OWNER, name, 1.7e9, 1.7e9, {}) for name in names])

    def close(self) -> None:
        self.loop.run_until_complete(self.ours.close())
        self.raw.close()

    def pages(self) -> dict[str, tuple[Read, Callable[[], list[Any]]]]:
        rows = over(self.ours)

        async def page(after: str | None, order: str) -> list[Any]:
            return (await rows.load_threads(PAGE, after, order, None)).data

        def limit() -> list[Any]:
            return [
                ThreadMetadata.model_validate(
                    {
                        "id": wire_id(row.id, "thread"),
                        "title": row.title,
                        "created_at": datetime.fromtimestamp(row.created, UTC),
                    }
                )
                for row in self.raw.threads(OWNER, PAGE)
            ]

        return {
            "newest ChatKit threads": (partial(page, None, "desc"), limit),
            "middle ChatKit threads": (partial(page, f"thread-{self.number // 2:05d}", "desc"), limit),
            "oldest ChatKit threads": (partial(page, None, "asc"), limit),
        }


# ------------------------------------------------------------------------------------- together


def measure(
    report: Report,
    sizes: dict[int, tuple[SQLiteStore, RawStore]],
    loop: asyncio.AbstractEventLoop,
    folder: Path,
    rounds: int,
    time_it: Timed,
) -> None:
    """The ChatKit rows of P12."""
    threads = {}
    for number in (FEW, MANY):
        (folder / f"threads-{number}").mkdir()
        threads[number] = Threads(loop, folder / f"threads-{number}", number)
    works: dict[str, tuple[Read, Callable[[], list[Any]]]] = {}
    for number, (store, raw) in sizes.items():
        works |= {f"{number:,}: {what}": both for what, both in item_pages(store, raw, number).items()}
    for number, some in threads.items():
        works |= {f"{number:,}: {what}": both for what, both in some.pages().items()}
    contenders: dict[str, Callable[[], Figures]] = {}
    for what, (ours, limit) in works.items():
        mine, theirs = loop.run_until_complete(_list(ours)), limit()
        expect(f"{what}: rows", len(mine), len(theirs))
        if "ChatKit page" in what or "newest" in what:
            expect(f"{what}: what was read", mine, theirs)
        contenders[f"{what}|limit"] = partial(time_it, loop, partial(_repeat_limit, limit), TIMES)
        contenders[f"{what}|store"] = partial(time_it, loop, partial(_repeat, ours), TIMES)
    found = interleave(contenders, rounds)
    for what in works:
        pair = {name: found[f"{what}|{name}"] for name in ("limit", "store")}
        report.compare("P12", what, pair, limit="limit", targets={"store": READ_TARGET})
    for what, few, many in (
        ("middle ChatKit page", min(sizes), max(sizes)),
        ("middle ChatKit threads", FEW, MANY),
    ):
        small, large = ([one.cpu for one in found[f"{number:,}: {what}|store"]] for number in (few, many))
        grown = f"{what}, {many:,} against {few:,}"
        report.add(Row("P12", grown, "store", median(large) * 1e6, "us", ratio(large, small), GROWTH_TARGET))
    for some in threads.values():
        some.close()


async def _list(read: Read) -> list[Any]:
    return await read()


async def _repeat(read: Read) -> None:
    for _ in range(TIMES):
        await read()


async def _repeat_limit(read: Callable[[], list[Any]]) -> None:
    for _ in range(TIMES):
        read()
