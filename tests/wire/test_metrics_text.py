"""Metrics as text: whatever a label says, the published parser reads back what was written."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from dragoman.wire.metrics_text import Family, Histogram, encode_families, labels_text, number

pytestmark = pytest.mark.requirement("AIP-76")


@given(value=st.text(st.characters(exclude_categories=["Cs"]), max_size=40), amount=st.floats(allow_nan=False))
def test_every_label_and_number_is_read_back_by_the_published_parser(value: str, amount: float) -> None:
    text = encode_families([Family("things_total", "counter", "All\nthings \\ of it.", [((("name", value),), amount)])])
    (family,) = text_string_to_metric_families(text)
    (sample,) = family.samples
    assert (sample.name, sample.labels, sample.value) == ("things_total", {"name": value}, amount)
    assert family.documentation == "All\nthings \\ of it."


def test_a_histogram_has_rising_buckets_a_sum_and_a_count() -> None:
    histogram = Histogram((1, 2.5))
    for value in (0.5, 1, 2, 99):
        histogram.observe(value)
    text = encode_families([Family("took_seconds", "histogram", None, [((("who", "a"),), histogram)])])
    (family,) = text_string_to_metric_families(text)
    found = {(sample.name, sample.labels.get("le")): sample.value for sample in family.samples}
    assert found == {
        ("took_seconds_bucket", "1"): 2,
        ("took_seconds_bucket", "2.5"): 3,
        ("took_seconds_bucket", "+Inf"): 4,
        ("took_seconds_sum", None): 102.5,
        ("took_seconds_count", None): 4,
    }


@pytest.mark.parametrize(
    ("value", "spelled"), [(3.0, "3"), (0.5, "0.5"), (math.inf, "+Inf"), (-math.inf, "-Inf"), (math.nan, "NaN")]
)
def test_numbers_are_spelled_as_the_format_wants_them(value: float, spelled: str) -> None:
    assert number(value) == spelled


def test_nothing_is_an_empty_text_and_no_labels_are_no_braces() -> None:
    assert encode_families([]) == ""
    assert labels_text(()) == ""
    assert encode_families([Family("up", "gauge", None, [((), 1)])]) == "# TYPE up gauge\nup 1\n"
