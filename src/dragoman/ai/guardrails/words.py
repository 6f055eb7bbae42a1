"""The words of guardrails: how bad something is, what was found and where, what a single rule can be asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, Protocol, TypeAlias

__all__ = [
    "DEFAULT_REACH",
    "REDACTED",
    "Action",
    "GuardrailResult",
    "GuardrailSeverity",
    "GuardrailViolation",
    "Meter",
    "Rule",
    "Span",
    "Validator",
    "worst",
]

Action: TypeAlias = Literal["block", "redact", "report"]
"""End the call with GuardrailBlocked, go on with the matches replaced, or only tell."""

REDACTED = "[REDACTED]"
DEFAULT_REACH = 256
"""Characters that a match may be long, its surroundings included, to be found whole in a stream."""


class Validator(Protocol):
    """Judges a text (`is_safe` and `violations` of what `check` gives), and takes out of it what is not to be there."""

    def check(self, text: str, /) -> Any: ...
    def filter(self, text: str, /) -> str: ...


class GuardrailSeverity(StrEnum):
    """How bad it is; compared by `worst`, not by the words."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


_ORDER = {severity: place for place, severity in enumerate(GuardrailSeverity)}


@dataclass
class GuardrailViolation:
    """One match. `matched_text` is what was found; `metadata` has `start` and `end` in the text where they are known."""

    rule_id: str
    message: str
    severity: GuardrailSeverity
    matched_text: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.severity = GuardrailSeverity(self.severity)

    def to_dict(self) -> dict[str, Any]:
        return {
            "rule_id": self.rule_id,
            "message": self.message,
            "severity": self.severity.value,
            "matched_text": self.matched_text,
            "metadata": dict(self.metadata),
        }


def worst(violations: list[Any]) -> GuardrailSeverity | None:
    """The highest severity among violations; None without any."""
    known = [one.severity for one in violations if getattr(one, "severity", None) in _ORDER]
    return max(known, key=_ORDER.__getitem__, default=None)


@dataclass
class GuardrailResult:
    """`filtered_content` is the text with the matches replaced, or as it was."""

    is_safe: bool
    violations: list[GuardrailViolation] = field(default_factory=list)
    filtered_content: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def safe(cls, content: str | None = None) -> GuardrailResult:
        return cls(True, filtered_content=content)

    @classmethod
    def violated(cls, violations: list[GuardrailViolation], filtered_content: str | None = None) -> GuardrailResult:
        return cls(False, violations, filtered_content)

    @property
    def severity(self) -> GuardrailSeverity | None:
        """The worst of the violations; None without any."""
        return worst(self.violations)

    def to_dict(self) -> dict[str, Any]:
        return {
            "is_safe": self.is_safe,
            "violations": [violation.to_dict() for violation in self.violations],
            "filtered_content": self.filtered_content,
            "metadata": dict(self.metadata),
        }


@dataclass(frozen=True, slots=True)
class Span:
    """A match: where it is in the text that was searched, and what is to stand there."""

    start: int
    end: int
    replacement: str
    message: str


class Meter(Protocol):
    """Counts one text as it comes; see `LengthFilter`."""

    def add(self, piece: str) -> int:
        """How many characters of the piece are within the limit."""
        ...

    def over(self) -> str | None:
        """What is wrong when there is too much; None while there is not."""
        ...

    def short(self) -> str | None:
        """What is wrong when this was all and it is too little."""
        ...


class Rule(Protocol):
    """A single rule, as the search asks it; see `Guardrail`, which all of them are."""

    reach: int

    @property
    def _is_opaque(self) -> bool: ...
    @property
    def _finds(self) -> bool: ...
    def check(self, content: str, /) -> GuardrailResult: ...
    def filter(self, content: str, /) -> str: ...
    def _find(self, text: str, start: int) -> Iterator[Span]: ...
    def _held(self, text: str, start: int) -> int: ...
    def _meter(self) -> Meter | None: ...
    def _create_violation(
        self, message: str, matched_text: str | None = None, **metadata: Any
    ) -> GuardrailViolation: ...
