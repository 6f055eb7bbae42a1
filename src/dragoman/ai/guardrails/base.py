"""The class that all filters are made of.

A filter either knows where its matches are (`_find`), then it also works on streams, match by match;
or it only judges whole texts (`_check_impl`, `_filter_impl`), then streams are given to it by windows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from dragoman.ai.errors import ValidationError
from dragoman.ai.guardrails.scanning import judged, redacted
from dragoman.ai.guardrails.words import (
    DEFAULT_REACH,
    GuardrailResult,
    GuardrailSeverity,
    GuardrailViolation,
    Meter,
    Rule,
    Span,
)

__all__ = ["Guardrail", "GuardrailResult", "GuardrailSeverity", "GuardrailViolation"]

_ABOVE = ("CompositeGuardrail", "ConditionalGuardrail")


def __getattr__(name: str) -> Any:
    # What stands above this module, for code that looks for it here.
    if name in _ABOVE:
        from dragoman.ai.guardrails import combined

        return getattr(combined, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_ABOVE})


class Guardrail:
    """A rule about texts. `check` judges, `filter` gives the text with all matches replaced.

    A filter of one's own overrides `_check_impl` and `_filter_impl`; or `_find` alone, with `reach`,
    and streams are exact. Filters keep no state of texts and may be shared.
    """

    reach: int = DEFAULT_REACH
    """No match is longer, what has to stand before and after it included; longer ones may be missed in streams."""

    default_message: ClassVar[str] = "the text is not allowed"

    def __init__(
        self, rule_id: str, severity: GuardrailSeverity = GuardrailSeverity.WARNING, enabled: bool = True
    ) -> None:
        self._rule_id = rule_id
        self._severity = GuardrailSeverity(severity)
        self._enabled = enabled

    @property
    def rule_id(self) -> str:
        return self._rule_id

    @property
    def severity(self) -> GuardrailSeverity:
        return self._severity

    @property
    def enabled(self) -> bool:
        return self._enabled

    def enable(self) -> None:
        self._enabled = True

    def disable(self) -> None:
        """Let everything through from now on."""
        self._enabled = False

    def check(self, content: str) -> GuardrailResult:
        """Judge a text. Raises ValidationError for what is no text."""
        if not isinstance(content, str):
            raise ValidationError(
                f"a guardrail looks at a text, got {type(content).__name__}", field="content", expected="str"
            )
        return self._check_impl(content) if self._enabled else GuardrailResult.safe(content)

    def filter(self, content: str) -> str:
        """The text with all matches replaced."""
        return self._filter_impl(content) if self._enabled else content

    # --------------------------------------------------------------------------------- to override

    def _check_impl(self, content: str) -> GuardrailResult:
        if not self._is_opaque:
            return judged(self, content)
        filtered = self._filter_impl(content)
        if filtered == content:
            return GuardrailResult.safe(content)
        return GuardrailResult.violated([self._create_violation(self.default_message)], filtered)

    def _filter_impl(self, content: str) -> str:
        return content if self._is_opaque else redacted(self, content)

    def _create_violation(self, message: str, matched_text: str | None = None, **metadata: Any) -> GuardrailViolation:
        return GuardrailViolation(self._rule_id, message, self._severity, matched_text, metadata)

    def _find(self, text: str, start: int) -> Iterator[Span]:
        """The matches that begin at `start` or later, in order, none within another; what stands before may be read."""
        raise AttributeError("this guardrail judges whole texts")  # never asked of one that does

    def _held(self, text: str, start: int) -> int:
        """How many of the last characters may belong to a match that is not whole yet; `start` is where new text begins."""
        return min(len(text) - start, self.reach)

    def _meter(self) -> Meter | None:
        """A counter for one text, of a rule about its length."""
        return None

    def _rules(self) -> Sequence[Rule]:
        """The single rules that count now, in order."""
        return [self] if self._enabled else []

    @property
    def _is_opaque(self) -> bool:
        """Whether it only judges whole texts."""
        kind = type(self)
        own = kind._check_impl is not Guardrail._check_impl or kind._filter_impl is not Guardrail._filter_impl
        return own or not (self._finds or kind._meter is not Guardrail._meter)

    @property
    def _finds(self) -> bool:
        """Whether it knows where its matches are."""
        return type(self)._find is not Guardrail._find

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._rule_id!r})"
