"""Arithmetic of vectors."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.ai.embeddings import (
    Embedding,
    average_vectors,
    cosine_similarity,
    dot_product,
    euclidean_distance,
    find_most_similar,
    find_most_similar_embeddings,
    magnitude,
    manhattan_distance,
    normalize_vector,
    weighted_average_vectors,
)

pytestmark = pytest.mark.requirement("AIP-83")

numbers = st.floats(-1e6, 1e6, allow_nan=False)
pairs = st.integers(1, 8).flatmap(lambda n: st.tuples(*[st.lists(numbers, min_size=n, max_size=n)] * 2))


def test_products_and_distances() -> None:
    assert dot_product([1, 2, 3], [4, 5, 6]) == 32
    assert magnitude([3, 4]) == 5
    assert euclidean_distance([0, 0], [3, 4]) == 5
    assert manhattan_distance([0, 0], [3, -4]) == 7
    assert cosine_similarity([1, 0], [0, 1]) == 0
    assert cosine_similarity([1, 1], [2, 2]) == pytest.approx(1)
    assert cosine_similarity([1, 0], [-1, 0]) == -1


def test_zero_stays_zero() -> None:
    assert normalize_vector([0, 0]) == [0, 0]
    assert cosine_similarity([0, 0], [1, 1]) == 0
    assert normalize_vector([3, 4]) == [0.6, 0.8]


@given(pairs)
def test_a_cosine_is_between_minus_one_and_one(pair: tuple[list[float], list[float]]) -> None:
    assert -1 <= cosine_similarity(*pair) <= 1
    assert cosine_similarity(*pair) == pytest.approx(cosine_similarity(*reversed(pair)))


@given(st.lists(numbers, min_size=1, max_size=8).filter(lambda v: magnitude(v) > 1e-100))
def test_a_normalised_vector_has_magnitude_one(vector: list[float]) -> None:
    assert magnitude(normalize_vector(vector)) == pytest.approx(1)


@pytest.mark.parametrize("function", [dot_product, cosine_similarity, euclidean_distance, manhattan_distance])
def test_unequal_lengths_are_refused(function: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match="2 and 3 dimensions"):
        function([1, 2], [1, 2, 3])


CANDIDATES = [[1.0, 0.0], [10.0, 10.0], [0.0, 1.0], [1.0, 0.1]]


@pytest.mark.parametrize(
    ("metric", "places"), [("cosine", [0, 3, 1, 2]), ("dot", [1, 0, 3, 2]), ("euclidean", [0, 3, 2, 1])]
)
def test_the_most_similar_come_first(metric: str, places: list[int]) -> None:
    assert [place for place, _ in find_most_similar([1, 0], CANDIDATES, metric=metric)] == places
    assert [place for place, _ in find_most_similar([1, 0], CANDIDATES, top_k=2, metric=metric)] == places[:2]


def test_of_equals_the_earlier_comes_first() -> None:
    assert find_most_similar([1, 0], [[2, 0], [1, 0], [3, 0]]) == [(0, 1.0), (1, 1.0), (2, 1.0)]


NAN = math.nan


def test_what_is_no_number_is_never_similar() -> None:
    assert math.isnan(cosine_similarity([NAN, 1], [1, 0]))
    assert math.isnan(cosine_similarity([math.inf, 1], [1, 0]))
    for metric in ("cosine", "dot", "euclidean"):
        found = find_most_similar([1, 0], [[NAN, 0], [-1, 0], [1, 0]], metric=metric)
        assert [place for place, _ in found] == [2, 1, 0]


@pytest.mark.parametrize("size", [1e-200, 1e-60, 1.0, 1e60, 1e200])
def test_a_direction_does_not_depend_on_the_size(size: float) -> None:
    assert cosine_similarity([size, size], [size, size]) == pytest.approx(1)
    assert cosine_similarity([size, 0], [-size, 0]) == -1
    assert cosine_similarity([size, 0], [0, size]) == 0


def test_bounds_of_a_search() -> None:
    assert find_most_similar([1], [], top_k=3) == []
    assert find_most_similar([1], [[1]], top_k=0) == []
    with pytest.raises(ValueError, match="cosine, dot, euclidean"):
        find_most_similar([1], [[1]], metric="manhattan")


def test_embeddings_can_be_searched() -> None:
    made = [Embedding(place, vector) for place, vector in enumerate(CANDIDATES)]
    (best, value), *_ = find_most_similar_embeddings(Embedding(9, [0.0, 2.0]), made, top_k=1)
    assert (best, value) == (made[2], 1.0)


def test_means() -> None:
    assert average_vectors([[1, 2], [3, 4]]) == [2, 3]
    assert weighted_average_vectors([[1, 2], [3, 4]], [3, 1]) == [1.5, 2.5]
    assert (average_vectors([]), weighted_average_vectors([], [])) == ([], [])
    assert math.isclose(average_vectors([[0.1]] * 10)[0], 0.1)


@pytest.mark.parametrize(("vectors", "weights"), [([[1], [2]], [1]), ([[1], [2, 3]], [1, 1]), ([[1], [2]], [1, -1])])
def test_means_of_what_does_not_go_together_are_refused(vectors: list[list[float]], weights: list[float]) -> None:
    with pytest.raises(ValueError, match=r"weights|dimensions"):
        weighted_average_vectors(vectors, weights)
