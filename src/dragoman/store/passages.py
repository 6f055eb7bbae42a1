"""The table `passages`: stretches of documents, and the search for words in them. Reads and writes beside each other.

Functions of a connection, as in `reads` and `writes`. Triggers keep the index of words (FTS5) as the rows are. What
is searched for is any text: only its words reach the index, each as a string, so that nothing in it is syntax. Where
a question has a vector, what is near it (`vectors`) and what has its words are found together.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from dataclasses import replace

from dragoman.core.errors import StaleWrite
from dragoman.core.ports import Near, Passage
from dragoman.core.writes import DropPassages, PutPassages
from dragoman.store.columns import plain
from dragoman.store.vectors import nearest, packed, space_of

MOST_WORDS = 48
"""Different words of a query that are searched for: the first ones."""

COMMON = 4000
"""Passages of a source from which on a word is common: it is searched for only where the others give too few."""

MOST_SCORED = 20_000
"""Passages of a source that the words may be found in, all in all: each is read and given a score."""

_MOST_COMMON = 3
"""Common words that are searched for then."""

_WIDE = 24
"""Passages of each of two lists that are put together, at least."""

_CALM = 10
"""The larger, the less the first places of a list outweigh the others."""

_MEANING, _WORDS = 1.5, 1.0
"""How much a place counts in the list of what is near, and in that of what has the words: the best of the first list
comes before one that has a word and is not near, and the best of the second is among the first six."""

_LONGEST_WORD = 64
_WORD = re.compile(r"[^\W_]+")
_FIELDS = "source, blob, n, name, text"
_PLACE = 0.0, 2.0, 1.0
"""Weights of the index's columns: the place is a condition, and a document's name says more than its text."""

_ALIVE = "SELECT 1 FROM blobs WHERE id = ? AND tenant = ? AND state <> 'gone'"
_PUT = (
    "INSERT INTO passages (tenant, source, blob, n, name, text, space, vector, signature, metadata)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, '{}')"
)
_DROP = "DELETE FROM passages WHERE tenant = ? AND source = ? AND blob = ?"
_DROP_ALL = "DELETE FROM passages WHERE blob = ?"
_BEGINNINGS = f"SELECT {_FIELDS} FROM passages WHERE tenant = ? AND source = ? AND n = 1 ORDER BY number DESC LIMIT ?"
_HOW_OFTEN = "SELECT count(*) FROM (SELECT 1 FROM passages_words WHERE passages_words MATCH ? LIMIT ?)"
_MATCHING = (
    "SELECT p.source, p.blob, p.n, p.name, p.text, hits.score FROM"
    f" (SELECT rowid, -bm25(passages_words, {', '.join(map(str, _PLACE))}) AS score"
    " FROM passages_words WHERE passages_words MATCH ? ORDER BY score DESC, rowid LIMIT ?) AS hits"
    " JOIN passages AS p ON p.number = hits.rowid ORDER BY hits.score DESC, p.number"
)


# --------------------------------------------------------------------------- writes


def put(db: sqlite3.Connection, write: PutPassages) -> None:
    if not db.execute(_ALIVE, (write.blob, write.tenant)).fetchall():
        raise StaleWrite(f"there is no file {write.blob!r}", what="blob")
    document = (write.tenant, write.source, write.blob)
    db.execute(f"{_DROP} AND n >= ?", (*document, write.first))
    name = plain(write.name)
    vectors = write.vectors or (None,) * len(write.texts)
    db.executemany(
        _PUT,
        (
            (*document, n, name, plain(text), *_meaning(write.space, vector))
            for n, (text, vector) in enumerate(zip(write.texts, vectors, strict=True), write.first)
        ),
    )


def _meaning(space: str | None, vector: Sequence[float] | None) -> tuple[str | None, bytes | None, bytes | None]:
    """Space, vector and signature of a passage."""
    kept = packed(vector) if space is not None and vector else None
    return (space_of(space, vector), *kept) if space is not None and vector and kept is not None else (None, None, None)


def drop(db: sqlite3.Connection, write: DropPassages) -> None:
    db.execute(_DROP, (write.tenant, write.source, write.blob))


def drop_all(db: sqlite3.Connection, blob: str) -> None:
    """Those of a file that goes."""
    db.execute(_DROP_ALL, (blob,))


# --------------------------------------------------------------------------- search


def search(
    db: sqlite3.Connection, tenant: str, sources: Sequence[str], query: str, limit: int, near: Near | None = None
) -> Sequence[Passage]:
    """The passages that fit best; all where there are few, and the beginnings of a source where nothing of it fits."""
    names = tuple(dict.fromkeys(sources))
    if not names or limit < 1:
        return ()
    whole = _whole(db, tenant, names, limit)
    if whole is not None:
        return whole
    if near is None:
        found = _matching(db, tenant, names, query, limit)
    else:
        wide = max(limit, _WIDE)
        together = _together(_nearest(db, tenant, names, near, wide), _matching(db, tenant, names, query, wide))
        found = _thinned(together, limit)
    met = {one.source for one in found}
    missing = [name for name in names if name not in met]
    each = max(1, (limit - len(found)) // len(missing)) if missing else 0
    beginnings = [one for name in missing for one in _beginnings(db, tenant, name, each)][: limit - len(met)]
    return _thinned(found, limit - len(beginnings)) + beginnings


def _nearest(db: sqlite3.Connection, tenant: str, sources: Sequence[str], near: Near, limit: int) -> list[Passage]:
    found = [one for source in sources for one in nearest(db, tenant, source, near, limit)]
    return sorted(found, key=lambda one: -one.score)


def _together(near: Sequence[Passage], with_words: Sequence[Passage]) -> list[Passage]:
    """Two lists as one, by the places in both, since their own scores cannot be compared."""
    places: dict[tuple[str, str, int], float] = {}
    known: dict[tuple[str, str, int], Passage] = {}
    for found, weight in ((near, _MEANING), (with_words, _WORDS)):
        for place, one in enumerate(found):
            key = (one.source, one.blob, one.number)
            known.setdefault(key, one)
            places[key] = places.get(key, 0.0) + weight / (_CALM + place)
    ordered = sorted(places, key=lambda key: -places[key])
    return [replace(known[key], score=places[key]) for key in ordered]


def _thinned(found: list[Passage], most: int) -> list[Passage]:
    """The best of them, though at least one of each source as long as there is room."""
    if len(found) <= most:
        return found
    firsts = {one.source: one for one in reversed(found)}
    kept = sorted(firsts.values(), key=found.index)[:most]
    rest = [one for one in found if one not in kept]
    return sorted(kept + rest[: most - len(kept)], key=found.index)


def _whole(db: sqlite3.Connection, tenant: str, sources: Sequence[str], limit: int) -> list[Passage] | None:
    among = ", ".join("?" * len(sources))
    select = f"SELECT {_FIELDS} FROM passages WHERE tenant = ? AND source IN ({among}) ORDER BY number LIMIT ?"
    # counted first: sorting a large source to find that it is large would read all of it
    count = f"SELECT count(*) FROM (SELECT 1 FROM passages WHERE tenant = ? AND source IN ({among}) LIMIT ?)"
    given = (tenant, *sources, limit + 1)
    if db.execute(count, given).fetchone()[0] > limit:
        return None
    found = [Passage(*row) for row in db.execute(select, given).fetchall()]
    return sorted(found, key=lambda one: sources.index(one.source))


def _matching(db: sqlite3.Connection, tenant: str, sources: Sequence[str], query: str, limit: int) -> list[Passage]:
    words = words_of(query)
    if not words:
        return []
    # the best of each source, so that a large one leaves room for a small one
    found = [one for source in sources for one in _best(db, tenant, source, words, limit)]
    return _thinned(sorted(found, key=lambda one: -one.score), limit)


def _best(db: sqlite3.Connection, tenant: str, source: str, words: Sequence[str], limit: int) -> list[Passage]:
    """The best of one source: those with its rarer words, and then, if there is room, with the common ones.

    The score makes next to nothing of a word that stands everywhere, but such words would make a search of a large
    source read all of it.
    """
    found: dict[tuple[str, int], Passage] = {}
    for some in _by_rarity(db, tenant, source, words):
        if some and len(found) < limit:
            for row in db.execute(_MATCHING, (_condition(tenant, source, some), limit)).fetchall():
                one = Passage(*row)
                found.setdefault((one.blob, one.number), one)
    return list(found.values())[:limit]


def _by_rarity(
    db: sqlite3.Connection, tenant: str, source: str, words: Sequence[str]
) -> tuple[Sequence[str], Sequence[str]]:
    """The words of a source, the rarest first, as many as can be afforded; and some that are common in it."""
    counted: list[tuple[int, str]] = []
    for word in words:
        (times,) = db.execute(_HOW_OFTEN, (_condition(tenant, source, [word]), COMMON)).fetchone()
        counted.append((times, word))
    rare: list[str] = []
    room = MOST_SCORED
    for times, word in sorted(one for one in counted if 0 < one[0] < COMMON):
        room -= times
        if room < 0:
            break
        rare.append(word)
    # how common is not known, but long words are less so
    common = sorted((word for times, word in counted if times >= COMMON), key=len, reverse=True)
    return rare, common[:_MOST_COMMON]


def words_of(query: str) -> list[str]:
    """The different words of a text, as many as are searched for."""
    words: dict[str, None] = {}
    for match in _WORD.finditer(query):
        words[match[0][:_LONGEST_WORD].lower()] = None
        if len(words) == MOST_WORDS:
            break
    return list(words)


def _condition(tenant: str, source: str, words: Sequence[str]) -> str:
    any_word = " OR ".join(f'"{word}"' for word in words)
    return f'place : "{_place(tenant, source)}" AND {{name text}} : ({any_word})'


def _place(tenant: str, source: str) -> str:
    """As the table's column of this name."""
    return f"x{tenant.encode().hex()}x{source.encode().hex()}"


def _beginnings(db: sqlite3.Connection, tenant: str, source: str, most: int) -> list[Passage]:
    return [Passage(*row) for row in db.execute(_BEGINNINGS, (tenant, source, most)).fetchall()]
