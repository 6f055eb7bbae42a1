"""Arithmetic of vectors, plain and without dependencies: for some thousands of vectors, not for millions.

A vector is a sequence of numbers; results are lists. Unequal lengths raise ValueError.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Sequence
from operator import mul, sub
from typing import TypeAlias

from dragoman.ai.embeddings.types import Embedding

__all__ = [
    "Vector",
    "average_vectors",
    "cosine_similarity",
    "dot_product",
    "euclidean_distance",
    "find_most_similar",
    "find_most_similar_embeddings",
    "magnitude",
    "manhattan_distance",
    "normalize_vector",
    "weighted_average_vectors",
]

Vector: TypeAlias = Sequence[float]

_SMALL = 1e-100


def dot_product(a: Vector, b: Vector) -> float:
    """The sum of the products, place by place."""
    _check(a, b)
    return float(sum(map(mul, a, b)))


def magnitude(v: Vector) -> float:
    """The vector's length in space."""
    return math.hypot(*v)


def normalize_vector(v: Vector) -> list[float]:
    """The same direction with magnitude 1; a zero vector stays what it is."""
    size = magnitude(v)
    return [part / size for part in v] if size else list(v)


def cosine_similarity(a: Vector, b: Vector) -> float:
    """From -1 to 1; 0 when one of them is zero, NaN when one has a number that is not finite."""
    _check(a, b)
    sizes = magnitude(a) * magnitude(b)
    if _SMALL < sizes < math.inf:
        cosine = dot_product(a, b) / sizes
    else:  # a product of very small or large numbers says nothing
        cosine = dot_product(normalize_vector(a), normalize_vector(b))
    return cosine if math.isnan(cosine) else max(-1.0, min(1.0, cosine))


def euclidean_distance(a: Vector, b: Vector) -> float:
    """How far apart the two are in space."""
    _check(a, b)
    return math.dist(a, b)


def manhattan_distance(a: Vector, b: Vector) -> float:
    """The sum of the differences, place by place."""
    _check(a, b)
    return float(sum(map(abs, map(sub, a, b))))


_METRICS: dict[str, tuple[Callable[[Vector, Vector], float], bool]] = {
    "cosine": (cosine_similarity, True),
    "dot": (dot_product, True),
    "euclidean": (euclidean_distance, False),
}
"""Metric → its function, and whether more of it is better."""


def find_most_similar(
    query: Vector, candidates: Sequence[Vector], top_k: int = 5, metric: str = "cosine"
) -> list[tuple[int, float]]:
    """(place among the candidates, value), the best first: `cosine` and `dot` high, `euclidean` low.

    Of equal ones the earlier is the better; NaN is the worst. Raises ValueError for another metric.
    """
    if metric not in _METRICS:
        raise ValueError(f"unknown metric {metric!r}, expected one of {', '.join(_METRICS)}")
    measure, more = _METRICS[metric]
    measured = [(place, measure(query, one)) for place, one in enumerate(candidates)]
    sign = -1 if more else 1
    return heapq.nsmallest(max(top_k, 0), measured, key=lambda found: (math.isnan(found[1]), sign * found[1], found[0]))


def find_most_similar_embeddings(
    query: Embedding, candidates: Sequence[Embedding], top_k: int = 5, metric: str = "cosine"
) -> list[tuple[Embedding, float]]:
    """(embedding, value), the best first."""
    found = find_most_similar(query.vector, [one.vector for one in candidates], top_k, metric)
    return [(candidates[place], value) for place, value in found]


def average_vectors(vectors: Sequence[Vector]) -> list[float]:
    """The mean; empty for no vectors."""
    return weighted_average_vectors(vectors, [1.0] * len(vectors)) if vectors else []


def weighted_average_vectors(vectors: Sequence[Vector], weights: Sequence[float]) -> list[float]:
    """The mean by weights, of which one must not be 0; empty for no vectors. Raises ValueError."""
    if len(vectors) != len(weights):
        raise ValueError(f"as many weights as vectors are needed, got {len(weights)} for {len(vectors)}")
    if not vectors:
        return []
    for one in vectors[1:]:
        _check(vectors[0], one)
    whole = math.fsum(weights)
    if whole == 0:
        raise ValueError("the weights add up to 0")
    return [math.fsum(map(mul, parts, weights)) / whole for parts in zip(*vectors, strict=True)]


def _check(a: Vector, b: Vector) -> None:
    if len(a) != len(b):
        raise ValueError(f"vectors of {len(a)} and {len(b)} dimensions do not go together")
