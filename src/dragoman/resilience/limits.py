"""What a peer's headers say about its limits, and when it wants to be asked again.

Values only: header names come from the caller (a manifest names them), the time is given as
seconds since the epoch. Knows no provider; what to do about a limit is for `bucket` and the
rate limiters above to say.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from dragoman.resilience.retry import parse_retry_after

_PIECES = re.compile(r"(?:\d{1,12}(?:\.\d{1,9})?(?:ms|us|µs|ns|[dhms]))+", re.ASCII)
_PIECE = re.compile(r"(\d+(?:\.\d+)?)(ms|us|µs|ns|[dhms])", re.ASCII)
_NUMBER = re.compile(r"\d{1,16}(?:\.\d{1,9})?", re.ASCII)
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}

EPOCH_SECONDS_FROM = 3e8
"""A plain number from here on is a moment, below it a delay (of up to nine years)."""
EPOCH_MS_FROM = 1e11
"""A moment from here on is in milliseconds."""

USUAL_NAMES: Mapping[str, str] = {
    "requests_limit": "x-ratelimit-limit-requests",
    "requests_remaining": "x-ratelimit-remaining-requests",
    "requests_reset": "x-ratelimit-reset-requests",
    "tokens_limit": "x-ratelimit-limit-tokens",
    "tokens_remaining": "x-ratelimit-remaining-tokens",
    "tokens_reset": "x-ratelimit-reset-tokens",
    "retry_after": "retry-after",
}
"""Role → header, where a manifest names none."""


def parse_duration(text: str) -> float | None:
    """Seconds of `20ms`, `1s`, `6m0s`, `1m30s`, `2h`; None for anything else. Units may not be left out."""
    text = text.strip().lower()
    if not _PIECES.fullmatch(text):
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in _PIECE.findall(text))


def parse_reset(value: str | None, now_epoch: float) -> float | None:
    """Seconds until a limit is reset, at least 0; None when the value says nothing understandable.

    Reads durations with units, plain seconds, seconds or milliseconds since the epoch, and RFC 3339
    times (without a zone they are UTC).
    """
    text = (value or "").strip()
    if _NUMBER.fullmatch(text):
        number = float(text)
        if number >= EPOCH_MS_FROM:
            return max(0.0, number / 1000 - now_epoch)
        return max(0.0, number - now_epoch) if number >= EPOCH_SECONDS_FROM else number
    duration = parse_duration(text)
    return duration if duration is not None else _until(text, now_epoch)


def _until(text: str, now_epoch: float) -> float | None:
    try:
        when = datetime.fromisoformat(text)
        seconds = (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() - now_epoch
    except (ValueError, OverflowError, OSError):
        return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


def find_retry_after(headers: Mapping[str, str], now_epoch: float | None, *, name: str | None = None) -> float | None:
    """Seconds that the peer asks to wait: header `name`, else `retry-after-ms`, else `retry-after`.

    Header names are compared case-blind. A value is anything that `parse_reset` reads, or an HTTP
    date; under a name that ends in `-ms` a plain number is milliseconds. Without `now_epoch` moments
    cannot be read.
    """
    found = lower_names(headers)
    for header in (name or "", "retry-after-ms", "retry-after"):
        text = found.get(header.lower())
        seconds = None if text is None else _wait(text, now_epoch, in_ms=header.lower().endswith("-ms"))
        if seconds is not None:
            return seconds
    return None


def _wait(text: str, now_epoch: float | None, *, in_ms: bool) -> float | None:
    if in_ms and _NUMBER.fullmatch(text.strip()):
        return float(text) / 1000
    if now_epoch is None:
        seconds = parse_reset(text, 0.0)
        return seconds if seconds is not None and seconds < EPOCH_SECONDS_FROM else None
    seconds = parse_reset(text, now_epoch)
    return seconds if seconds is not None else parse_retry_after(text, now_epoch)


def lower_names(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers with lower-case names; bytes are read as Latin-1."""
    return {_text(name).lower(): _text(value) for name, value in headers.items()}


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


@dataclass(frozen=True, slots=True)
class Window:
    """One limit as the peer counts it; None where its headers are silent. `reset` is seconds from now."""

    limit: int | None = None
    remaining: int | None = None
    reset: float | None = None

    def __bool__(self) -> bool:
        return self.limit is not None or self.remaining is not None or self.reset is not None


@dataclass(frozen=True, slots=True)
class LimitState:
    """All that one answer's headers said about limits."""

    requests: Window = field(default_factory=Window)
    tokens: Window = field(default_factory=Window)
    retry_after: float | None = None

    def __bool__(self) -> bool:
        return bool(self.requests) or bool(self.tokens) or self.retry_after is not None

    def to_dict(self) -> dict[str, float | int]:
        """Flat, by role (`requests_limit`, …, `retry_after`); what is not known is left out."""
        known: dict[str, float | int] = {}
        for kind, window in (("requests", self.requests), ("tokens", self.tokens)):
            for part in ("limit", "remaining", "reset"):
                value = getattr(window, part)
                if value is not None:
                    known[f"{kind}_{part}"] = value
        if self.retry_after is not None:
            known["retry_after"] = self.retry_after
        return known


def parse_limit_headers(
    headers: Mapping[str, str], now_epoch: float, *, names: Mapping[str, str | None] | None = None
) -> LimitState:
    """Read limit headers; `names` maps roles (`requests_limit`, …) to header names.

    Without `names` the usual `x-ratelimit-…` ones are read; roles that `names` leaves out, or maps
    to None, are not read, but for Retry-After in its standard forms.
    """
    found = lower_names(headers)
    wanted = USUAL_NAMES if names is None else names

    def header(role: str) -> str | None:
        name = wanted.get(role)
        return found.get(name.lower()) if name else None

    def window(kind: str) -> Window:
        return Window(
            _count(header(f"{kind}_limit")),
            _count(header(f"{kind}_remaining")),
            parse_reset(header(f"{kind}_reset"), now_epoch),
        )

    retry_after = find_retry_after(found, now_epoch, name=wanted.get("retry_after"))
    return LimitState(window("requests"), window("tokens"), retry_after)


def _count(text: str | None) -> int | None:
    """A whole number; some peers write `10, 10;w=60` (the limit first, its window after)."""
    first = re.split(r"[,;]", text or "", maxsplit=1)[0].strip()
    return int(float(first)) if _NUMBER.fullmatch(first) else None
