"""Labels of metrics, and the bounds that keep what callers and providers say from filling the memory.

A value is cut, and loses whatever looks like a secret; more than so many different label sets become
one that is called "other".
"""

from __future__ import annotations

from dataclasses import dataclass

from dragoman.core.redact import redact_text
from dragoman.wire.json_text import sound

__all__ = ["MERGED", "OTHER", "MetricLabels", "clean"]

MOST_CHARACTERS = 120
"""What is kept of a label's value."""

OTHER = "other"

_NAMES = ("provider", "model", "endpoint", "status", "error_class", "operation")


@dataclass(frozen=True, slots=True)
class MetricLabels:
    """Whom something was measured of; None is a label that is not set. `operation` is set of all but chats."""

    provider: str | None = None
    model: str | None = None
    endpoint: str | None = None
    status: str | None = None
    error_class: str | None = None
    operation: str | None = None

    def to_dict(self) -> dict[str, str]:
        """The labels that are set."""
        return {name: str(value) for name in _NAMES if (value := getattr(self, name)) is not None}

    def to_key(self) -> str:
        """`name=value` pairs, sorted and joined by commas."""
        return ",".join(f"{name}={value}" for name, value in sorted(self.to_dict().items()))

    def includes(self, other: MetricLabels) -> bool:
        """Whether `other` has every label that is set here."""
        return all(getattr(other, name) == value for name, value in self.to_dict().items())


def clean(labels: MetricLabels) -> MetricLabels:
    """The same without secrets, short, and without half characters, for which no text format has bytes."""
    return MetricLabels(
        **{name: redact_text(sound(value))[:MOST_CHARACTERS] for name, value in labels.to_dict().items()}
    )


MERGED = MetricLabels(provider=OTHER, model=OTHER)
"""The one series that takes what there is no room for."""
