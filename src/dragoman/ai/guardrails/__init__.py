"""What may be asked and what may be answered: filters, validators made of them, and a guard for streams.

    validator = ContentValidator.create_pii_validator()
    validator.filter("write to ana@example.org")      # "write to [EMAIL REDACTED]"

    client = await AiClient.builder().model("openai/gpt-4o").with_guardrails(output=validator, action="redact").build()

Filters look at texts and know nothing of models. Names load when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dragoman.core.lazy import lazily

if TYPE_CHECKING:
    from dragoman.ai.guardrails.base import Guardrail, GuardrailResult, GuardrailSeverity, GuardrailViolation
    from dragoman.ai.guardrails.blocked import GuardrailBlocked as GuardrailBlocked
    from dragoman.ai.guardrails.combined import CompositeGuardrail, ConditionalGuardrail
    from dragoman.ai.guardrails.filters import KeywordFilter, LengthFilter, ProfanityFilter, RegexFilter
    from dragoman.ai.guardrails.links import EmailFilter, UrlFilter
    from dragoman.ai.guardrails.scanning import TextScanner as TextScanner
    from dragoman.ai.guardrails.stream import GuardedStream as GuardedStream
    from dragoman.ai.guardrails.validators import ComplianceValidator, ContentValidator, SafetyValidator

_NAMES = {
    "base": "Guardrail GuardrailResult GuardrailSeverity GuardrailViolation",
    "blocked": "GuardrailBlocked",
    "combined": "CompositeGuardrail ConditionalGuardrail",
    "filters": "KeywordFilter LengthFilter ProfanityFilter RegexFilter",
    "links": "EmailFilter UrlFilter",
    "scanning": "TextScanner",
    "stream": "GuardedStream",
    "validators": "ComplianceValidator ContentValidator SafetyValidator",
}
_MODULES = (
    "base",
    "blocked",
    "combined",
    "filters",
    "links",
    "personal",
    "scanning",
    "stream",
    "validators",
    "values",
    "window",
    "words",
)

__all__ = [
    "ComplianceValidator",
    "CompositeGuardrail",
    "ConditionalGuardrail",
    "ContentValidator",
    "EmailFilter",
    "Guardrail",
    "GuardrailResult",
    "GuardrailSeverity",
    "GuardrailViolation",
    "KeywordFilter",
    "LengthFilter",
    "ProfanityFilter",
    "RegexFilter",
    "SafetyValidator",
    "UrlFilter",
]

__getattr__, __dir__ = lazily(__name__, _NAMES, _MODULES)
