"""Token counts of model calls."""

from __future__ import annotations

from dataclasses import astuple, dataclass


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one or more model calls, as providers report them; a count that nobody reported is None.

    `cache_read_tokens` and `cache_write_tokens` are part of `prompt_tokens`;
    `reasoning_tokens` are part of `completion_tokens`. A sum counts what was reported.
    """

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None

    @property
    def total_tokens(self) -> int | None:
        """Prompt and completion; None if neither was reported."""
        return _sum(self.prompt_tokens, self.completion_tokens)

    def __add__(self, other: Usage) -> Usage:
        return Usage(*map(_sum, astuple(self), astuple(other)))

    def __bool__(self) -> bool:
        return any(astuple(self))


def _sum(a: int | None, b: int | None) -> int | None:
    if a is None or b is None:
        return b if a is None else a
    return a + b
