"""Sets of rules for what is asked, what is answered, and what must not be in either."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from dragoman.ai.guardrails.base import Guardrail
from dragoman.ai.guardrails.combined import CompositeGuardrail
from dragoman.ai.guardrails.filters import KeywordFilter, LengthFilter, ProfanityFilter
from dragoman.ai.guardrails.links import EmailFilter, UrlFilter
from dragoman.ai.guardrails.personal import card_filter, ip_filter, medical_record_filter, phone_filter, ssn_filter
from dragoman.ai.guardrails.words import GuardrailResult, GuardrailSeverity, Rule

__all__ = ["HARMFUL", "SELF_HARM", "ComplianceValidator", "ContentValidator", "SafetyValidator"]

WARNING, CRITICAL = GuardrailSeverity.WARNING, GuardrailSeverity.CRITICAL

SELF_HARM = (
    "kill myself",
    "commit suicide",
    "end my life",
    "end it all",
    "want to die",
    "don't want to live",
    "don’t want to live",
)
HARMFUL = (
    "build a bomb",
    "make a bomb",
    "build a weapon",
    "kill him",
    "kill her",
    "kill them",
    "kill someone",
    "kill people",
    "buy drugs",
    "sell drugs",
    "hack into",
    "steal a credit card",
    "steal credit cards",
)
"""Phrases, not words: "kill the process" and "a growth hack" are not meant. No more than a first net."""


class ContentValidator:
    """Several rules as one: a text is safe when all of them find it so."""

    def __init__(self, guardrails: Iterable[Guardrail] = ()) -> None:
        self._all = CompositeGuardrail("content", guardrails)

    def check(self, content: str) -> GuardrailResult:
        """Judge a text; all violations are told."""
        return self._all.check(content)

    def filter(self, content: str) -> str:
        """The text with all matches replaced; of several that overlap by what the first stands for."""
        return self._all.filter(content)

    @property
    def guardrails(self) -> list[Guardrail]:
        return self._all.guardrails

    def add_guardrail(self, guardrail: Guardrail) -> None:
        self._all.add_guardrail(guardrail)

    def remove_guardrail(self, rule_id: str) -> bool:
        """Take all rules of this id out; whether there was one."""
        return self._all.remove_guardrail(rule_id)

    def _rules(self) -> Sequence[Rule]:
        return self._all._rules()

    # ------------------------------------------------------------------------------------ ready made

    @classmethod
    def create_input_validator(
        cls, severity: GuardrailSeverity = WARNING, *, allowed_domains: Iterable[str] = ()
    ) -> ContentValidator:
        """1 to 10,000 characters, no profanity, addresses of the allowed domains only; without any, all are."""
        allowed = list(allowed_domains)
        return ContentValidator(
            [
                LengthFilter("input-length", 1, 10_000, severity),
                ProfanityFilter("input-profanity", severity),
                UrlFilter("input-urls", "allow", severity, allowed),
                EmailFilter("input-emails", "allow", severity, allowed),
            ]
        )

    @classmethod
    def create_output_validator(
        cls, severity: GuardrailSeverity = WARNING, *, blocked_domains: Iterable[str] = ()
    ) -> ContentValidator:
        """1 to 50,000 characters, no profanity, no addresses of the blocked domains, no card and no SSN."""
        return ContentValidator(
            [
                LengthFilter("output-length", 1, 50_000, severity),
                ProfanityFilter("output-profanity", severity),
                UrlFilter("output-urls", "deny", severity, blocked_domains=blocked_domains),
                card_filter("output-credit-card", CRITICAL),
                ssn_filter("output-ssn", CRITICAL),
            ]
        )

    @classmethod
    def create_pii_validator(cls, severity: GuardrailSeverity = CRITICAL) -> ContentValidator:
        """No mail addresses, phone numbers, cards (by the Luhn check), social security numbers, IP addresses."""
        return ContentValidator(_personal("pii", severity))

    @classmethod
    def create_custom_validator(
        cls,
        forbidden_keywords: Iterable[str] | None = None,
        allowed_domains: Iterable[str] | None = None,
        max_length: int | None = None,
        severity: GuardrailSeverity = WARNING,
    ) -> ContentValidator:
        """What is given: words that must not come, domains outside of which no address may be, a length."""
        rules: list[Guardrail] = []
        if forbidden_keywords is not None:
            rules.append(KeywordFilter("custom-keywords", forbidden_keywords, severity))
        if allowed_domains is not None:
            allowed = list(allowed_domains)
            rules += [
                UrlFilter("custom-urls", "allow", severity, allowed),
                EmailFilter("custom-emails", "allow", severity, allowed),
            ]
        if max_length is not None:
            rules.append(LengthFilter("custom-length", max_length=max_length, severity=severity))
        return ContentValidator(rules)

    @classmethod
    def create_code_validator(
        cls, severity: GuardrailSeverity = GuardrailSeverity.INFO, *, allowed_domains: Iterable[str] = ()
    ) -> ContentValidator:
        """For program text: 1 to 100,000 characters, addresses of the allowed domains only; without any, all are."""
        allowed = list(allowed_domains)
        return ContentValidator(
            [
                LengthFilter("code-length", 1, 100_000, severity),
                UrlFilter("code-urls", "allow", severity, allowed),
                EmailFilter("code-emails", "allow", severity, allowed),
            ]
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(rule.rule_id for rule in self.guardrails)})"


class SafetyValidator(ContentValidator):
    """Phrases of self-harm and of harm, profane words; each as whole words, and each may be left out."""

    def __init__(
        self,
        severity: GuardrailSeverity = CRITICAL,
        block_self_harm: bool = True,
        block_harmful: bool = True,
        block_profane: bool = True,
    ) -> None:
        rules: list[Guardrail] = []
        if block_self_harm:
            rules.append(KeywordFilter("safety-self-harm", SELF_HARM, severity, match_substring=False))
        if block_harmful:
            rules.append(KeywordFilter("safety-harmful", HARMFUL, severity, match_substring=False))
        if block_profane:
            rules.append(ProfanityFilter("safety-profanity", severity))
        super().__init__(rules)


class ComplianceValidator(ContentValidator):
    """What tells who somebody is; with `hipaa_mode` numbers of medical records too."""

    def __init__(
        self, gdpr_mode: bool = True, hipaa_mode: bool = False, severity: GuardrailSeverity = CRITICAL
    ) -> None:
        rules: list[Guardrail] = _personal("gdpr", severity) if gdpr_mode else []
        if hipaa_mode:
            rules.append(medical_record_filter("hipaa-medical-record", severity))
        super().__init__(rules)


def _personal(prefix: str, severity: GuardrailSeverity) -> list[Any]:
    return [
        EmailFilter(f"{prefix}-email", "block", severity, replacement="[EMAIL REDACTED]"),
        card_filter(f"{prefix}-credit-card", severity),
        ssn_filter(f"{prefix}-ssn", severity),
        phone_filter(f"{prefix}-phone", severity),
        ip_filter(f"{prefix}-ip", severity),
    ]
