"""Guardrails made of others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from dragoman.ai.guardrails.base import Guardrail
from dragoman.ai.guardrails.scanning import judged, redacted
from dragoman.ai.guardrails.words import GuardrailResult, GuardrailSeverity, Rule

__all__ = ["CompositeGuardrail", "ConditionalGuardrail"]


class CompositeGuardrail(Guardrail):
    """All of several rules. With `stop_on_first` only the first violation is told; all matches are replaced."""

    def __init__(
        self,
        rule_id: str,
        guardrails: Iterable[Guardrail],
        severity: GuardrailSeverity = GuardrailSeverity.WARNING,
        stop_on_first: bool = False,
    ) -> None:
        super().__init__(rule_id, severity)
        self._guardrails = list(guardrails)
        self._stop_on_first = stop_on_first

    @property
    def guardrails(self) -> list[Guardrail]:
        return list(self._guardrails)

    def add_guardrail(self, guardrail: Guardrail) -> None:
        self._guardrails.append(guardrail)

    def remove_guardrail(self, rule_id: str) -> bool:
        """Take all rules of this id out; whether there was one."""
        kept = [guardrail for guardrail in self._guardrails if guardrail.rule_id != rule_id]
        found = len(kept) < len(self._guardrails)
        self._guardrails = kept
        return found

    def _rules(self) -> Sequence[Rule]:
        return [rule for guardrail in self._guardrails for rule in guardrail._rules()] if self._enabled else []

    def _check_impl(self, content: str) -> GuardrailResult:
        result = judged(self, content)
        if self._stop_on_first:
            result.violations = result.violations[:1]
        if result.severity is not None:
            result.metadata["severity"] = result.severity.value
        return result

    def _filter_impl(self, content: str) -> str:
        return redacted(self, content)


class ConditionalGuardrail(Guardrail):
    """A rule that counts while `condition(context)` holds. It is asked once per text, of a stream at its begin."""

    def __init__(
        self,
        rule_id: str,
        guardrail: Guardrail,
        condition: Callable[[dict[str, Any]], bool],
        severity: GuardrailSeverity = GuardrailSeverity.WARNING,
    ) -> None:
        super().__init__(rule_id, severity)
        self._guardrail = guardrail
        self._condition = condition
        self._told: dict[str, Any] = {}

    def set_context(self, context: Mapping[str, Any]) -> None:
        """What the condition is asked with from now on."""
        self._told = dict(context)

    def _rules(self) -> Sequence[Rule]:
        return self._guardrail._rules() if self._enabled and self._condition(self._told) else []

    def _check_impl(self, content: str) -> GuardrailResult:
        return judged(self, content)

    def _filter_impl(self, content: str) -> str:
        return redacted(self, content)
