"""Vectors of passages: how they are kept, and the search for those that point the same way.

A vector is kept with length 1 as little-endian 32-bit floats, beside a signature of one bit for each number, its sign.
A search first counts by how many bits signatures differ, which is quick, and then compares the nearest for real. Both
are bounded; the bounds count for each source. Functions of a connection, as in `reads` and `writes`.
"""

from __future__ import annotations

import math
import sqlite3
import sys
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from heapq import nsmallest
from operator import mul

from dragoman.core.ports import Near, Passage

MOST_LOOKED_AT = 100_000
"""Passages of a source whose signatures are compared: the newest ones."""

MOST_MULTIPLIED = 500_000
"""Numbers of vectors that are multiplied for a source; how many vectors that are depends on their length."""

LEAST_COMPARED = 64
"""Vectors that are compared in any case."""

_SIGNATURES = (
    "SELECT number, signature FROM passages INDEXED BY passages_signatures"
    " WHERE tenant = ? AND source = ? AND space = ? AND signature IS NOT NULL ORDER BY number DESC LIMIT ?"
)
_FIELDS = "source, blob, n, name, text"
_SIGNS = b"1" * 128 + b"0" * 128
"""Byte → a digit, 1 for one whose first bit is not set."""

_AT_ONCE = 500
"""Rows that one statement asks for by number."""


def space_of(space: str, vector: Sequence[float]) -> str:
    """Which vectors this one can be compared with."""
    return f"{space} {len(vector)}"


def packed(vector: Sequence[float]) -> tuple[bytes, bytes] | None:
    """A vector as it is kept, and its signature; None for one that points nowhere."""
    unit = _unit(vector)
    if unit is None:
        return None
    numbers = array("f", unit)
    if sys.byteorder == "big":
        numbers.byteswap()
    data = numbers.tobytes()
    bits = int(data[3::4].translate(_SIGNS), 2)  # the last byte of a number begins with its sign
    return data, bits.to_bytes((len(unit) + 7) // 8, "little")


def without(db: sqlite3.Connection, space: str, dimensions: int | None) -> int:
    """Passages of all tenants that have no vector of a model, of this length where it is given."""
    (all_of_them,) = db.execute("SELECT count(*) FROM passages").fetchone()
    named, given = ("space", f"{space} {dimensions}") if dimensions else ("rtrim(space, '0123456789')", f"{space} ")
    (those,) = db.execute(
        f"SELECT count(*) FROM passages INDEXED BY passages_signatures WHERE signature IS NOT NULL AND {named} = ?",
        (given,),
    ).fetchone()
    return int(all_of_them - those)


def nearest(db: sqlite3.Connection, tenant: str, source: str, near: Near, limit: int) -> list[Passage]:
    """The passages of a source that point most nearly where `near` does, the best first; `score` is the cosine."""
    kept = packed(near.vector)
    if kept is None:
        return []
    vector = _numbers(kept[0])
    looked_at = db.execute(_SIGNATURES, (tenant, source, space_of(near.space, near.vector), MOST_LOOKED_AT)).fetchall()
    close = _closest(looked_at, kept[1], max(LEAST_COMPARED, limit, MOST_MULTIPLIED // len(vector)))
    scores: dict[int, float] = {}
    for some, among in _slices(close):
        for number, data in db.execute(f"SELECT number, vector FROM passages WHERE number IN ({among})", some):
            scores[number] = _product(vector, _numbers(data))
    best = nsmallest(limit, scores, key=lambda number: (-scores[number], number))
    told: dict[int, Passage] = {}
    for some, among in _slices(best):
        for number, *fields in db.execute(f"SELECT number, {_FIELDS} FROM passages WHERE number IN ({among})", some):
            told[number] = replace(Passage(*fields), score=scores[number])
    return [told[number] for number in best]


def _closest(rows: Sequence[tuple[int, bytes]], signature: bytes, most: int) -> list[int]:
    """The numbers of the rows whose signatures differ least."""
    if len(rows) <= most:
        return [number for number, _ in rows]
    wanted = int.from_bytes(signature, "little")
    read = int.from_bytes
    found = nsmallest(most, (((read(data, "little") ^ wanted).bit_count(), number) for number, data in rows))
    return [number for _, number in found]


def _slices(numbers: Sequence[int]) -> Iterator[tuple[Sequence[int], str]]:
    """The numbers in parts that a statement can take, and the marks for them."""
    for start in range(0, len(numbers), _AT_ONCE):
        some = numbers[start : start + _AT_ONCE]
        yield some, ", ".join("?" * len(some))


def _unit(vector: Sequence[float]) -> list[float] | None:
    size = math.hypot(*vector)
    if not vector or not size or not math.isfinite(size):
        return None
    return [number / size for number in vector]


def _numbers(data: bytes) -> array[float]:
    numbers = array("f")
    numbers.frombytes(data)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def _plain_product(a: Iterable[float], b: Iterable[float]) -> float:
    return float(sum(map(mul, a, b)))


_product: Callable[[array[float], array[float]], float] = getattr(math, "sumprod", _plain_product)  # Python 3.12
