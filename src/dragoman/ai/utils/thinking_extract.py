"""Finds a model's reasoning in an OpenAI-like message or delta.

Compatible servers agree on the shape and not on the name; the first name with a text wins.
Reasoning never stands in for an empty answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["THINKING_FIELDS", "extract_thinking"]

THINKING_FIELDS = ("reasoning_content", "reasoning", "thinking", "thought", "reasoning_text", "analysis")
"""Names under which reasoning comes, in the order they are tried."""


def extract_thinking(message: Any) -> str | None:
    """The reasoning of a message or delta as text; None when there is none, or only empty text."""
    if not isinstance(message, Mapping):
        return None
    for name in THINKING_FIELDS:
        value = message.get(name)
        if isinstance(value, str) and value:
            return value
    return None
