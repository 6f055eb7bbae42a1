"""Passages found by the direction of their vectors, within bounds, and never another tenant's."""

from __future__ import annotations

import math
import random
import sqlite3
from collections.abc import Sequence

import pytest
from tests.store.conftest import Backend
from tests.store.test_passages import FILLER, blob

from dragoman.core.errors import UsageError
from dragoman.core.ports import Near, Passage
from dragoman.core.writes import DropBlob, PutBlob, PutPassages
from dragoman.store import SQLiteStore, vectors
from dragoman.store.passages import search
from dragoman.store.vectors import packed

pytestmark = pytest.mark.requirement("STK-70")

SPACE = "acme/e"
CATS, DOGS, CARS = (1.0, 0.0, 0.0), (0.8, 0.6, 0.0), (0.0, 0.0, 1.0)
AWAY = (-1.0, -1.0, -1.0)


async def put(
    store: SQLiteStore,
    id: str,
    passages: Sequence[tuple[str, Sequence[float]]],
    *,
    source: str = "pets",
    tenant: str = "acme",
    space: str | None = SPACE,
) -> None:
    texts, directions = tuple(text for text, _ in passages), tuple(vector for _, vector in passages)
    write = PutPassages(tenant, source, id, f"{id}.md", texts, vectors=directions, space=space)
    await store.commit(PutBlob(blob(id, tenant=tenant)), write)


def filling(vector: Sequence[float] = AWAY) -> list[tuple[str, Sequence[float]]]:
    return [(text, vector) for text in FILLER]


async def found(
    store: SQLiteStore,
    vector: Sequence[float],
    *sources: str,
    query: str = "",
    limit: int = 2,
    tenant: str = "acme",
    space: str = SPACE,
) -> list[str]:
    near = Near(space, vector)
    told = await store.passages(tenant, sources or ("pets",), query, limit=limit, near=near)
    return [one.text for one in told]


async def test_what_points_the_same_way_is_found_without_a_word_in_common(store: SQLiteStore) -> None:
    await put(store, "b", [*filling(), ("felines sleep", CATS), ("hounds bark", DOGS), ("engines roar", CARS)])
    assert await found(store, (2.0, 0.1, 0.0)) == ["felines sleep", "hounds bark"]
    assert await found(store, CARS, query="what of it?", limit=1) == ["engines roar"]
    (one,) = await store.passages("acme", ["pets"], "", limit=1, near=Near(SPACE, CATS))
    assert (one.source, one.blob, one.number, one.name) == ("pets", "b", 21, "b.md")
    assert one.score > 0


async def test_without_a_direction_words_find_as_ever(store: SQLiteStore) -> None:
    await put(store, "b", [*filling(), ("felines sleep", CATS)])
    (one,) = await store.passages("acme", ["pets"], "felines", limit=1)
    assert one.text == "felines sleep"


async def test_words_and_meaning_find_together(store: SQLiteStore) -> None:
    await put(store, "b", [*filling(), ("felines sleep", CATS), ("form H7 is for holidays", AWAY)])
    assert set(await found(store, CATS, query="H7")) == {"felines sleep", "form H7 is for holidays"}
    assert await found(store, CATS, query="H7", limit=1) == ["felines sleep"]
    await put(store, "c", [("felines and H7", DOGS)])
    assert await found(store, CATS, query="H7", limit=1) == ["felines and H7"]  # it has both


async def test_what_has_no_vector_is_found_by_its_words(store: SQLiteStore) -> None:
    await put(store, "old", [(text, ()) for text in [*FILLER, "hounds bark"]], space=None)
    await put(store, "new", [("felines sleep", CATS)])
    assert await found(store, CATS, query="hounds") == ["felines sleep", "hounds bark"]


@pytest.mark.parametrize(("space", "vector"), [("other/e", CATS), (SPACE, (1.0, 0.0)), (f"{SPACE} 3", CATS)])
async def test_vectors_of_another_model_or_length_say_nothing(
    store: SQLiteStore, space: str, vector: Sequence[float]
) -> None:
    await put(store, "b", [*filling(), ("felines sleep", CATS)])
    assert await found(store, vector, space=space, query="number 7", limit=1) == ["filler number 7"]


async def test_passages_without_a_vector_of_a_model_are_counted(store: SQLiteStore) -> None:
    assert await store.passages_without(SPACE, None) == 0
    await put(store, "b", [("felines sleep", CATS), ("hounds bark", DOGS)])
    await put(store, "c", [("of no direction", ())], space=None, tenant="other")
    await put(store, "d", [("another length", (1.0, 0.0))])
    await put(store, "e", [("another model", CATS)] * 3, space=f"{SPACE} 3")
    assert await store.passages_without(SPACE, None) == 4
    assert await store.passages_without(SPACE, 3) == 5
    assert await store.passages_without(f"{SPACE} 3", None) == 4
    assert await store.passages_without("nobody", 3) == 7


@pytest.mark.parametrize("vector", [(0.0, 0.0, 0.0), (math.nan, 0.0, 0.0), (math.inf, 0.0, 0.0), ()])
async def test_a_vector_that_points_nowhere_finds_and_is_nothing(store: SQLiteStore, vector: Sequence[float]) -> None:
    await put(store, "b", [*filling(vector), ("felines sleep", CATS)])
    assert await found(store, CATS, limit=1) == ["felines sleep"]
    assert await found(store, vector, query="number 7", limit=1) == ["filler number 7"]


async def test_neither_tenants_nor_sources_mix(store: SQLiteStore) -> None:
    await put(store, "b", [*filling(), ("ours", DOGS)])
    await put(store, "c", [*filling(), ("evil's", CATS)], tenant="evil")
    await put(store, "d", [*filling(), ("of cars", CATS)], source="cars")
    assert await found(store, CATS, limit=1) == ["ours"]
    assert await found(store, CATS, tenant="evil", limit=1) == ["evil's"]
    assert await found(store, CATS, tenant="nobody") == []


async def test_each_source_with_a_document_is_used(store: SQLiteStore) -> None:
    await put(store, "b", [("cats", CATS)] * 30)
    await put(store, "c", filling(), source="cars")
    await put(store, "d", filling(()), source="words", space=None)
    told = await store.passages("acme", ["pets", "cars", "words"], "", limit=4, near=Near(SPACE, CATS))
    assert {one.source for one in told} == {"pets", "cars", "words"}
    assert len(told) == 4


async def test_vectors_go_with_their_file(store: SQLiteStore) -> None:
    await put(store, "b", [*filling(), ("felines sleep", CATS)])
    await put(store, "c", [*filling(), ("felines play", CATS)])
    await store.commit(DropBlob("b"))
    assert await found(store, CATS, limit=1) == ["felines play"]
    await store.commit(PutPassages("acme", "pets", "c", "c.md", tuple(FILLER)))
    assert await found(store, CATS, limit=1) == ["filler number 0"]


async def test_as_many_vectors_as_texts_are_needed(store: SQLiteStore) -> None:
    with pytest.raises(UsageError, match="cannot be stored"):
        await store.commit(
            PutBlob(blob()), PutPassages("acme", "pets", "b", "n", ("a", "b"), vectors=(CATS,), space=SPACE)
        )


# ---------------------------------------------------------------------------------------- bounds


def made(count: int, length: int, seed: int = 7) -> list[list[float]]:
    chance = random.Random(seed)
    return [[chance.gauss(0, 1) for _ in range(length)] for _ in range(count)]


async def test_signatures_find_what_comparing_all_would_find(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 2,000 vectors the 64 with the nearest signatures are compared; what is really near is among them."""
    directions = made(2000, 96)
    await put(store, "b", [(str(n), vector) for n, vector in enumerate(directions)])
    monkeypatch.setattr(vectors, "MOST_MULTIPLIED", 1)
    chance = random.Random(1)
    hits = 0
    for n in range(0, 2000, 40):
        question = [number + chance.gauss(0, 0.5) for number in directions[n]]
        hits += (await found(store, question, limit=1))[0] == str(n)
    assert hits == 50


async def test_no_more_vectors_are_read_than_the_bound_says(
    lasting_backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await lasting_backend.open()
    await put(store, "b", [(str(n), vector) for n, vector in enumerate(made(300, 8))])
    file = next(store.directory.glob("*.db"))
    await store.close()
    monkeypatch.setattr(vectors, "MOST_MULTIPLIED", 8 * 100)
    monkeypatch.setattr(vectors, "MOST_LOOKED_AT", 200)
    db = sqlite3.connect(file)
    asked: list[str] = []
    db.set_trace_callback(asked.append)
    assert len(search(db, "acme", ["pets"], "", 3, Near(SPACE, made(1, 8)[0]))) == 3
    db.set_trace_callback(None)
    (signatures,) = [sql for sql in asked if "signature FROM" in sql]
    (compared,) = [sql for sql in asked if "SELECT number, vector" in sql]
    plans = [str(row[3]) for sql in (signatures, compared) for row in db.execute(f"EXPLAIN QUERY PLAN {sql}")]
    db.close()
    assert signatures.endswith("LIMIT 200")
    assert compared.count(",") == 1 + 99
    assert "COVERING INDEX passages_signatures (tenant=? AND source=? AND space=?)" in plans[0]
    assert "INTEGER PRIMARY KEY" in plans[1]
    assert len(plans) == 2  # nothing is sorted


def test_a_vector_is_kept_with_length_one() -> None:
    kept = packed([3.0, -4.0])
    assert kept is not None
    assert (list(vectors._numbers(kept[0])), kept[1]) == (pytest.approx([0.6, -0.8]), b"\x02")
    assert len(packed([1.0] * 17)[1]) == 3  # type: ignore[index]
    assert vectors._plain_product([1.0, 2.0], [3.0, 4.0]) == 11


def test_a_score_is_the_cosine() -> None:
    db = sqlite3.connect(":memory:")
    db.executescript(
        "CREATE TABLE passages (number INTEGER PRIMARY KEY, tenant, source, blob, n, name, text, space, vector, signature);"
        "CREATE INDEX passages_signatures ON passages (tenant, source, space, number, signature)"
        " WHERE signature IS NOT NULL;"
    )
    vector, signature = packed([1.0, 1.0]) or (b"", b"")
    db.execute("INSERT INTO passages VALUES (1, 't', 's', 'b', 1, 'n', 'x', 'm 2', ?, ?)", (vector, signature))
    (one,) = vectors.nearest(db, "t", "s", Near("m", (1.0, 0.0)), 5)
    db.close()
    assert one == Passage("s", "b", 1, "n", "x", pytest.approx(math.sqrt(0.5)))
