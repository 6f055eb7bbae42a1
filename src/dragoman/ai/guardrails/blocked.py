"""The error of a text that was not let through."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dragoman.ai.errors import AiLibError, ErrorClass
from dragoman.core.errors import PolicyError

__all__ = ["GuardrailBlocked"]


class GuardrailBlocked(AiLibError, PolicyError):
    """A text was not let through; `violations` says why, `side` whether it was asked (`input`) or answered (`output`).

    The message names the rules alone; what they matched is in the violations.
    """

    default_class = ErrorClass.INVALID_REQUEST
    default_source = "guardrails"

    def __init__(self, side: str, violations: Sequence[Any]) -> None:
        rules = ", ".join(dict.fromkeys(str(getattr(one, "rule_id", one)) for one in violations))
        super().__init__(f"the {side} was not let through by: {rules or 'a guardrail'}")
        self.side = side
        self.violations = list(violations)
