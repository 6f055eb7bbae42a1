"""Texts cut to a number of tokens."""

from __future__ import annotations

import pytest
import tiktoken
from hypothesis import given
from hypothesis import strategies as st

from dragoman.ai.tokens import AnthropicEstimator, CharacterEstimator, TiktokenCounter, TokenCounter

pytestmark = pytest.mark.requirement("AIP-86")

BYTES = tiktoken.Encoding(
    "bytes", pat_str=r"[\s\S]", mergeable_ranks={bytes([n]): n for n in range(256)}, special_tokens={"<|end|>": 256}
)
"""A real vocabulary in which each byte is a token."""


@pytest.mark.parametrize("counter", [CharacterEstimator(3), AnthropicEstimator(), TiktokenCounter(vocabulary=BYTES)])
@given(text=st.text(max_size=200), limit=st.integers(-1, 60), suffix=st.sampled_from(["...", "", " [cut off here]"]))
def test_a_text_cut_to_a_limit_never_exceeds_it(counter: TokenCounter, text: str, limit: int, suffix: str) -> None:
    cut = counter.truncate_to_limit(text, limit, suffix)
    assert counter.count(cut) <= max(limit, 0)
    assert cut == text or not suffix or cut.endswith(suffix) or text.startswith(cut)


def test_as_much_is_kept_as_fits() -> None:
    counter = TiktokenCounter(vocabulary=BYTES)
    assert counter.truncate_to_limit("0123456789", 10) == "0123456789"
    assert counter.truncate_to_limit("0123456789", 9) == "012345..."
    assert counter.truncate_to_limit("0123456789", 2) == "01"
    assert counter.truncate_to_limit("0123456789", 0) == ""
