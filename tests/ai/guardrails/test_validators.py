"""Sets of rules, and that what they do by default makes sense."""

from __future__ import annotations

import pytest

from dragoman.ai.guardrails import (
    ComplianceValidator,
    ContentValidator,
    GuardrailSeverity,
    KeywordFilter,
    SafetyValidator,
)

pytestmark = pytest.mark.requirement("AIP-95")


def rules(validator: ContentValidator, text: str) -> list[str]:
    return [violation.rule_id for violation in validator.check(text).violations]


def test_an_input_is_neither_empty_nor_endless() -> None:
    validator = ContentValidator.create_input_validator()
    assert rules(validator, "") == ["input-length"]
    assert rules(validator, "x" * 10_001) == ["input-length"]
    assert rules(validator, "what the hell") == ["input-profanity"]


def test_an_empty_list_of_domains_allows_all() -> None:
    text = "http://anywhere.org and me@anywhere.org"
    assert rules(ContentValidator.create_input_validator(), text) == []
    listed = ContentValidator.create_input_validator(allowed_domains=["ours.org"])
    assert rules(listed, text) == ["input-urls", "input-emails"]
    assert rules(ContentValidator.create_code_validator(), text) == []
    assert rules(ContentValidator.create_code_validator(allowed_domains=["ours.org"]), text) == [
        "code-urls",
        "code-emails",
    ]


def test_an_output_has_no_bad_addresses_cards_and_numbers() -> None:
    validator = ContentValidator.create_output_validator(blocked_domains=["evil.org"])
    text = "http://ok.org http://a.evil.org 4111-1111-1111-1111 123-45-6789 hell"
    assert rules(validator, text) == ["output-urls", "output-credit-card", "output-ssn", "output-profanity"]
    assert validator.filter(text) == "http://ok.org [REDACTED] [CARD REDACTED] [SSN REDACTED] [REDACTED]"
    assert validator.check(text).severity is GuardrailSeverity.CRITICAL


@pytest.mark.parametrize(
    ("text", "filtered"),
    [
        ("to ana@example.org.", "to [EMAIL REDACTED]."),
        ("card 4111 1111 1111 1111 12 left", "card [CARD REDACTED] 12 left"),
        ("card 4111111111111111", "card [CARD REDACTED]"),
        ("card 4111\n1111\n1111\n1111", "card [CARD REDACTED]"),
        ("amex 3782-822463-10005", "amex [CARD REDACTED]"),
        ("no card 4111 1111 1111 1112", "no card 4111 1111 1111 1112"),
        ("order 4111111111111111000000", "order 4111111111111111000000"),
        ("ssn 123-45-6789", "ssn [SSN REDACTED]"),
        ("no ssn 000-45-6789 666-45-6789 123-00-6789", "no ssn 000-45-6789 666-45-6789 123-00-6789"),
        ("call (555) 123-4567", "call [PHONE REDACTED]"),
        ("call +1 555.123.4567", "call [PHONE REDACTED]"),
        ("call +44 20 7946 0958 now", "call [PHONE REDACTED] now"),
        ("call 5551234567", "call [PHONE REDACTED]"),
        ("at 10.0.0.1:80", "at [IP REDACTED]:80"),
        ("at 2001:db8::8a2e:370:7334", "at [IP REDACTED]"),
        ("v1.2.3.4 and 1.2.3.4.5 and 300.1.1.1", "v1.2.3.4 and 1.2.3.4.5 and 300.1.1.1"),
        ("std::string at 12:30:45, a::b, cafe", "std::string at 12:30:45, a::b, cafe"),
        ("in 2024-01-31 we sold 1,234,567.89", "in 2024-01-31 we sold 1,234,567.89"),
    ],
)
def test_what_tells_who_somebody_is(text: str, filtered: str) -> None:
    assert ContentValidator.create_pii_validator().filter(text) == filtered
    assert ComplianceValidator().filter(text) == filtered


def test_compliance_by_its_modes() -> None:
    text = "ana@example.org has MRN: 1234567 and MRA123456"
    assert rules(ComplianceValidator(), text) == ["gdpr-email"]
    assert rules(ComplianceValidator(gdpr_mode=False, hipaa_mode=True), text) == ["hipaa-medical-record"] * 2
    assert ComplianceValidator(hipaa_mode=True).filter(text) == "[EMAIL REDACTED] has [MRN REDACTED] and [MRN REDACTED]"
    assert rules(ComplianceValidator(gdpr_mode=False), text) == []


@pytest.mark.parametrize(
    "text",
    [
        *(
            "How do I kill the process?",
            "A growth hack",
            "Drug interactions of aspirin",
            "Hello, shell",
            "illegal argument",
        ),
        *("Weapons of the Middle Ages", "steal the show", "a bath bomb recipe"),
    ],
)
def test_ordinary_words_are_no_harm(text: str) -> None:
    assert SafetyValidator().check(text).is_safe


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("I want to kill myself", "safety-self-harm"),
        ("I don’t want to live any more", "safety-self-harm"),
        ("how to make a bomb at home", "safety-harmful"),
        ("damn", "safety-profanity"),
    ],
)
def test_harm_is_found_and_each_kind_may_be_left_out(text: str, rule: str) -> None:
    assert rules(SafetyValidator(), text) == [rule]
    assert rules(SafetyValidator(block_self_harm=False, block_harmful=False, block_profane=False), text) == []


def test_a_set_of_ones_own() -> None:
    validator = ContentValidator.create_custom_validator(["bad"], ["ours.org"], 40)
    assert rules(validator, "a bad http://x.org and http://ours.org/" + "y" * 40) == [
        "custom-length",
        "custom-keywords",
        "custom-urls",
    ]
    assert ContentValidator.create_custom_validator().check("").is_safe
    validator = ContentValidator([KeywordFilter("k", ["bad"])])
    validator.add_guardrail(KeywordFilter("w", ["worse"]))
    assert (rules(validator, "bad worse"), validator.remove_guardrail("k")) == (["k", "w"], True)
    assert [rule.rule_id for rule in validator.guardrails] == ["w"]
    assert repr(validator) == "ContentValidator(w)"
