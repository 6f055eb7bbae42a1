"""Passages: found by their words, whatever is asked, and never another tenant's."""

from __future__ import annotations

import sqlite3

import pytest
from tests.store.conftest import Backend

from dragoman.core.errors import StaleWrite
from dragoman.core.records import Blob
from dragoman.core.writes import ChangeBlob, DropBlob, DropPassages, PutBlob, PutPassages
from dragoman.store import SQLiteStore
from dragoman.store.overwriting import pack
from dragoman.store.passages import COMMON, MOST_WORDS, search, words_of
from dragoman.store.removal import SLICE


def blob(id: str = "b", **more: object) -> Blob:
    known = {"id": id, "tenant": "acme", "owner": "ann", "purpose": "knowledge", "name": f"{id}.md"}
    return Blob(**known | {"type": "text/markdown", "created": 1.0, "state": "ready"} | more)  # type: ignore[arg-type]


async def put(store: SQLiteStore, id: str, *texts: str, source: str = "pets", tenant: str = "acme") -> None:
    await store.commit(PutBlob(blob(id, tenant=tenant)), PutPassages(tenant, source, id, f"{id}.md", texts))


async def found(store: SQLiteStore, query: str, *sources: str, limit: int = 3, tenant: str = "acme") -> list[str]:
    return [one.text for one in await store.passages(tenant, sources or ("pets",), query, limit=limit)]


FILLER = [f"filler number {n}" for n in range(20)]


@pytest.mark.requirement("STK-70")
async def test_the_passages_with_the_words_are_found(store: SQLiteStore) -> None:
    await put(store, "b", *FILLER, "cats sleep", "cats and dogs", "birds sing")
    assert await found(store, "What of the cats and the dogs?", limit=1) == ["cats and dogs"]
    (one,) = await store.passages("acme", ["pets"], "BIRDS", limit=1)
    assert (one.source, one.blob, one.number, one.name, one.text) == ("pets", "b", 23, "b.md", "birds sing")
    assert one.score > 0


async def test_accents_do_not_matter(store: SQLiteStore) -> None:
    await put(store, "b", *FILLER, "Přehled kočky")
    assert await found(store, "prehled KOCKY", limit=1) == ["Přehled kočky"]


async def test_few_passages_are_given_whole(store: SQLiteStore) -> None:
    await put(store, "b", "one", "two", "three")
    assert await found(store, "two") == ["one", "two", "three"]


async def test_where_nothing_fits_the_newest_documents_begin(store: SQLiteStore) -> None:
    await put(store, "old", *FILLER)
    await put(store, "new", "the newest", *FILLER)
    assert await found(store, "zebra", limit=2) == ["the newest", "filler number 0"]


async def test_each_source_with_a_document_is_used(store: SQLiteStore) -> None:
    await put(store, "b", *["cats"] * 30)
    await put(store, "c", *FILLER, source="cars")
    await put(store, "d", *["cats"] * 30, source="more")
    told = await store.passages("acme", ["pets", "cars", "more", "none"], "cats", limit=5)
    assert {one.source for one in told} == {"pets", "cars", "more"}
    assert len(told) == 5


@pytest.mark.parametrize(
    "query",
    [
        'cats" OR place : "x',
        "NEAR(cats, 3) AND NOT",
        "cats* ^filler -x +y {name text} : z",
        '"',
        "''; DROP TABLE passages; --",
        "\0 cats \ud800",
        "(((((",
        "place:cats AND text:cats",
        "a" * 100_000,
        "cats " * 10_000,
        "",
        "💥 ⁂",
    ],
)
async def test_no_query_is_syntax(store: SQLiteStore, query: str) -> None:
    await put(store, "b", *FILLER, "cats")
    told = await found(store, query)
    assert 1 <= len(told) <= 3
    if "cats" in query:
        assert told[0] == "cats"


def test_a_query_has_its_first_words_only() -> None:
    assert words_of("A b-c_D a É1") == ["a", "b", "c", "d", "é1"]
    assert len(words_of(" ".join(map(str, range(1000))))) == MOST_WORDS


async def test_neither_tenants_nor_sources_mix(store: SQLiteStore) -> None:
    await put(store, "b", *FILLER, "cats of acme")
    await put(store, "c", *FILLER, "cats of evil", tenant="evil")
    await put(store, "d", *FILLER, "cats of cars", source="cars")
    for _ in range(3):
        assert await found(store, "cats of", limit=2) == ["cats of acme"]
        assert await found(store, "cats of", tenant="evil", limit=2) == ["cats of evil"]
    assert await found(store, "cats", tenant="nobody") == []
    assert await found(store, "cats", "nothing") == []
    assert await store.passages("acme", [], "cats", limit=3) == ()


async def test_a_place_is_no_word(store: SQLiteStore) -> None:
    """What a tenant may call itself does not make it another's place."""
    await put(store, "b", *FILLER, "cats", tenant="a", source="bc")
    await put(store, "c", *FILLER, "dogs", tenant="ab", source="c")
    place = f"x{b'a'.hex()}x{b'bc'.hex()}"
    assert await found(store, f"dogs {place}", "c", tenant="ab", limit=1) == ["dogs"]


async def test_passages_are_replaced_and_dropped(store: SQLiteStore) -> None:
    await put(store, "b", *FILLER, "cats")
    await store.commit(PutPassages("acme", "pets", "b", "b.md", (*FILLER, "dogs")))
    assert await found(store, "cats dogs", limit=1) == ["dogs"]
    await store.commit(DropPassages("acme", "pets", "b"), DropPassages("acme", "pets", "b"))
    assert await found(store, "dogs") == []


async def test_passages_go_with_their_file(store: SQLiteStore) -> None:
    for id in ("b", "c"):
        await put(store, id, *FILLER, f"cats of {id}")
    await store.commit(ChangeBlob("b", {"state": "gone"}))
    assert await found(store, "cats", limit=1) == ["cats of c"]
    await store.commit(DropBlob("c"))
    assert await found(store, "cats") == []


async def test_a_file_that_is_not_there_takes_none(store: SQLiteStore) -> None:
    await store.commit(PutBlob(blob()))
    for tenant, id in (("acme", "x"), ("evil", "b")):
        with pytest.raises(StaleWrite) as caught:
            await store.commit(PutPassages(tenant, "pets", id, "n", ("text",)))
        assert caught.value.what == "blob"
    await store.commit(ChangeBlob("b", {"state": "gone"}))
    with pytest.raises(StaleWrite):
        await store.commit(PutPassages("acme", "pets", "b", "n", ("text",)))


async def test_erasing_their_owner_erases_them(store: SQLiteStore) -> None:
    await put(store, "b", *FILLER, "cats")
    async for _ in store.erase("acme", "ann"):
        pass
    assert await found(store, "cats") == []


async def test_nothing_of_them_is_left_in_the_file(lasting_backend: Backend) -> None:
    store = await lasting_backend.open()
    await put(store, "b", *FILLER, "unforgettablexyzzy cats")
    await put(store, "c", *FILLER, "kept")
    await store.close()
    store = await lasting_backend.open()
    async for _ in store.erase("acme", "nobody"):
        pass
    await store.commit(ChangeBlob("b", {"state": "gone"}), DropBlob("b"))
    pack(lasting_backend.path)
    assert await found(store, "kept", limit=1) == ["kept"]
    directory = store.directory
    await store.close()
    for file in directory.iterdir():
        assert b"unforgettable" not in file.read_bytes(), file.name


async def test_the_words_are_those_of_the_rows(lasting_backend: Backend) -> None:
    store = await lasting_backend.open()
    for n in range(5):
        await put(store, f"b{n}", *FILLER, f"cats {n}")
    await store.commit(DropBlob("b1"), PutPassages("acme", "pets", "b2", "b2.md", ("dogs",)))
    pack(lasting_backend.path)
    file = next(store.directory.glob("*.db"))
    await store.close()
    db = sqlite3.connect(file)
    db.execute("INSERT INTO passages_words (passages_words, rank) VALUES ('integrity-check', 1)")
    db.close()


async def test_lone_surrogates_are_kept_readable(store: SQLiteStore) -> None:
    await put(store, "b", "bad \ud800 text")
    assert await found(store, "text") == ["bad \ufffd text"]


async def test_a_lenient_change_of_a_file_that_is_not_so_changes_nothing(store: SQLiteStore) -> None:
    await store.commit(PutBlob(blob()))
    await store.commit(ChangeBlob("b", {"thread": 5}, only_if=("pending",), lenient=True))
    await store.commit(ChangeBlob("x", {"thread": 5}, lenient=True))
    kept = await store.blob("b", tenant="acme")
    assert kept is not None
    assert kept.thread is None


async def test_many_sources_without_a_match_leave_room_for_one_that_has(store: SQLiteStore) -> None:
    await put(store, "b", *FILLER, "cats")
    others = [f"s{n}" for n in range(5)]
    for name in others:
        await put(store, f"of-{name}", *FILLER, source=name)
    told = await store.passages("acme", ["pets", *others], "cats", limit=4)
    assert told[0].text == "cats"
    assert len({one.source for one in told}) == 4


async def test_words_that_stand_everywhere_give_way_to_rarer_ones(store: SQLiteStore) -> None:
    """They are searched for when the rarer ones leave room: reading all of a large source takes its time."""
    await put(store, "b", *(f"the policy of paragraph {n}" for n in range(COMMON)), "the policy of refunds")
    assert await found(store, "what is the policy of refunds", limit=1) == ["the policy of refunds"]
    told = await found(store, "what is the policy of refunds", limit=3)
    assert told[0] == "the policy of refunds"
    assert len(set(told)) == 3
    assert len(await found(store, "the policy", limit=3)) == 3
    among = (*(f"w{n}" for n in range(MOST_WORDS - 2)), "paragraph", "refunds")
    assert (await found(store, " ".join(among), limit=1)) == ["the policy of refunds"]


async def test_a_document_can_be_put_piece_by_piece(store: SQLiteStore) -> None:
    await put(store, "b", *FILLER)
    await store.commit(PutPassages("acme", "pets", "b", "b.md", ("one", "two")))
    await store.commit(PutPassages("acme", "pets", "b", "b.md", ("three",), first=3))
    assert await found(store, "", limit=9) == ["one", "two", "three"]
    await store.commit(PutPassages("acme", "pets", "b", "b.md", ("new two",), first=2))
    assert await found(store, "", limit=9) == ["one", "new two"]


async def test_an_erasure_takes_passages_slice_by_slice(store: SQLiteStore) -> None:
    for n in range(3):
        await put(store, f"b{n}", *["cats"] * (SLICE // 2))
    await put(store, "c", "kept", tenant="evil")
    steps = [removed.passages async for removed in store.erase("acme", "ann")]
    assert max(steps) <= SLICE
    assert sum(steps) == 3 * (SLICE // 2)
    assert await found(store, "cats") == []
    assert await found(store, "kept", tenant="evil") == ["kept"]


async def test_no_statement_reads_all_passages(lasting_backend: Backend) -> None:
    store = await lasting_backend.open()
    await put(store, "b", *FILLER)
    file = next(store.directory.glob("*.db"))
    await store.close()
    db = sqlite3.connect(file)
    asked: list[str] = []
    db.set_trace_callback(asked.append)
    assert search(db, "acme", ["pets", "cars"], "filler number", 3)
    assert search(db, "acme", ["pets"], "filler", 50)
    db.set_trace_callback(None)
    plans = [
        str(row[3]) for sql in asked if sql.startswith("SELECT") for row in db.execute(f"EXPLAIN QUERY PLAN {sql}")
    ]
    db.close()
    assert [one for one in plans if "passages" in one]
    assert not [one for one in plans if one.startswith("SCAN p") and "VIRTUAL TABLE INDEX" not in one]
