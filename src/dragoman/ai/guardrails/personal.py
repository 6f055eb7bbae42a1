"""Filters for what tells who somebody is: cards, social security numbers, phones, addresses of machines.

All patterns are bounded, so that they are linear in the text. They find the usual ways of writing,
not every way.
"""

from __future__ import annotations

import ipaddress
import re

from dragoman.ai.guardrails.filters import RegexFilter
from dragoman.ai.guardrails.words import GuardrailSeverity

__all__ = ["card_filter", "ip_filter", "medical_record_filter", "phone_filter", "ssn_filter"]

_DIGITS = "0123456789"
_GAPS = " \t\r\n\u00a0\u2007\u2009\u202f-"
_G = "[ \t\r\n\u00a0\u2007\u2009\u202f-]?"

_CARD = (
    rf"(?<!\d)(?:[2-6]\d{{3}}{_G}\d{{4}}{_G}\d{{4}}{_G}\d{{4}}(?:{_G}\d{{1,3}})?"
    rf"|3[47]\d{{2}}{_G}\d{{6}}{_G}\d{{5}}|3[0689]\d{{2}}{_G}\d{{6}}{_G}\d{{4}}|[2-6]\d{{12,18}})(?!\d)"
)
_SSN = r"(?<!\d)(?!000|666|9\d\d)\d{3}([ -])(?!00)\d{2}\1(?!0000)\d{4}(?!\d)"
_PHONE = (
    r"(?<![\w.+])(?:(?:\+?1[ .-]?)?(?:\(\d{3}\) ?|\d{3}[ .-]?)\d{3}[ .-]?\d{4}"
    r"|\+[1-9]\d{0,2}(?:[ .-]?\(?\d{1,4}\)?){2,5})(?!\d)"
)
_OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_IP = rf"(?<![\w.:])(?:(?:{_OCTET}\.){{3}}{_OCTET}(?!\d|\.\d)|[0-9A-Fa-f:]{{3,39}}(?![\w:]))"
_RECORD = r"(?<!\w)(?:MR[A-Z]?|MRN[:# ]{1,2})\d{6,12}(?!\d)"


def card_filter(
    rule_id: str, severity: GuardrailSeverity, replacement: str = "[CARD REDACTED]", message: str | None = None
) -> RegexFilter:
    """Numbers of payment cards that pass the Luhn check."""
    return RegexFilter(
        rule_id,
        _CARD,
        severity,
        replacement=replacement,
        message=message or "a card number",
        reach=48,
        accept=_card_end,
        held_by=_DIGITS + _GAPS,
        begun_by=_DIGITS,
    )


def _card_end(match: re.Match[str]) -> int:
    """Where the number ends, which may be before the last group; the match's begin when it is none."""
    text = match[0]
    ends = [place for place in range(len(text), 0, -1) if place == len(text) or not text[place].isdigit()]
    for end in ends:
        digits = [int(letter) for letter in text[:end] if letter in _DIGITS]
        if 13 <= len(digits) <= 19 and text[end - 1].isdigit() and _luhn(digits):
            return match.start() + end
    return match.start()


def _luhn(digits: list[int]) -> bool:
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[-2::-2])
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def ssn_filter(
    rule_id: str, severity: GuardrailSeverity, replacement: str = "[SSN REDACTED]", message: str | None = None
) -> RegexFilter:
    """Social security numbers of the United States, in their three groups."""
    told = message or "a social security number"
    held = _DIGITS + " -"
    return RegexFilter(
        rule_id, _SSN, severity, replacement=replacement, message=told, reach=16, held_by=held, begun_by=_DIGITS
    )


def phone_filter(
    rule_id: str, severity: GuardrailSeverity, replacement: str = "[PHONE REDACTED]", message: str | None = None
) -> RegexFilter:
    """Phone numbers: ten digits in groups, with or without +1, and others with their country's +."""
    told = message or "a phone number"
    held = _DIGITS + " .-+()"
    return RegexFilter(
        rule_id,
        _PHONE,
        severity,
        replacement=replacement,
        message=told,
        reach=48,
        accept=_phone_end,
        held_by=held,
        begun_by=_DIGITS + "+(",
    )


def _phone_end(match: re.Match[str]) -> bool:
    """An international number has eight digits and more, and no more than fifteen."""
    return 8 <= sum(letter.isdigit() for letter in match[0]) <= 15


def ip_filter(
    rule_id: str, severity: GuardrailSeverity, replacement: str = "[IP REDACTED]", message: str | None = None
) -> RegexFilter:
    """Addresses of the Internet protocol, of both versions."""
    held = _DIGITS + "abcdefABCDEF.:"
    return RegexFilter(
        rule_id,
        _IP,
        severity,
        replacement=replacement,
        message=message or "an IP address",
        reach=48,
        accept=_is_address,
        held_by=held,
    )


def _is_address(match: re.Match[str]) -> bool:
    text = match[0]
    if ":" not in text:
        return "." in text
    try:
        return any(letter.isdigit() for letter in text) and bool(ipaddress.IPv6Address(text))
    except ValueError:
        return False


def medical_record_filter(
    rule_id: str, severity: GuardrailSeverity, replacement: str = "[MRN REDACTED]", message: str | None = None
) -> RegexFilter:
    """Numbers of medical records: MR, perhaps a letter, and six digits or more."""
    return RegexFilter(
        rule_id, _RECORD, severity, replacement=replacement, message=message or "a medical record number", reach=24
    )
