"""Reasoning under any of the names that compatible servers use."""

from __future__ import annotations

from typing import Any

import pytest

from dragoman.ai.utils.thinking_extract import THINKING_FIELDS, extract_thinking

pytestmark = pytest.mark.requirement("AIP-29")


@pytest.mark.parametrize("name", THINKING_FIELDS)
def test_each_name_is_known(name: str) -> None:
    assert extract_thinking({"content": "answer", name: "because"}) == "because"


def test_the_first_name_with_a_text_wins() -> None:
    delta = {"analysis": "last", "reasoning": "second", "reasoning_content": ""}
    assert extract_thinking(delta) == "second"


@pytest.mark.parametrize(
    "message", [None, "text", [], {}, {"reasoning": None}, {"reasoning": {"effort": "low"}}, {"thinking": ""}]
)
def test_nothing_is_made_up(message: Any) -> None:
    assert extract_thinking(message) is None
