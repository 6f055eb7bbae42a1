"""An error answer of a provider as an exception, made from status, headers and body.

The class is `RemoteError`; what `from_response` gives is also below the core's class for that
status, so `except RateLimited` of the core catches it too. Nothing here retries.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

from dragoman.ai.errors.bodies import ErrorFacts, read_error
from dragoman.ai.errors.classify import class_of_facts
from dragoman.ai.errors.patterns import checked_pattern
from dragoman.ai.errors.standard_codes import ErrorClass, is_fallbackable, is_retryable
from dragoman.ai.errors.tree import AiLibError, ErrorContext
from dragoman.core import errors as core
from dragoman.core.redact import redact_text
from dragoman.resilience.limits import find_retry_after

__all__ = ["RemoteError"]

_REQUEST_ID_HEADERS = ("x-request-id", "request-id", "cf-ray")
_DELAY = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s)?\s*")
_UNITS = {
    "ms": 0.001,
    "millisecond": 0.001,
    "s": 1.0,
    "sec": 1.0,
    "second": 1.0,
    "m": 60.0,
    "min": 60.0,
    "minute": 60.0,
}


class RemoteError(AiLibError, core.RemoteError):
    """The provider answered with an error; `status_code` is None when it came inside a stream.

    `raw_error` is the body as it came, `retry_after` seconds, `partial` what a stream had given before.
    """

    default_source = "remote"

    def __init__(
        self,
        message: str,
        *,
        status_code: int | None,
        error_class: ErrorClass | str,
        retryable: bool = False,
        fallbackable: bool = False,
        raw_error: Any = None,
        retry_after: float | None = None,
        request_id: str | None = None,
        context: ErrorContext | None = None,
    ) -> None:
        kind = ErrorClass(error_class)
        super().__init__(
            message,
            context,
            error_class=kind,
            code=kind.value,
            status=status_code if status_code is not None else kind.standard_code.http_status,
            retryable=retryable,
            retry_after=retry_after,
            request_id=request_id,
            body=raw_error,
        )
        self.status_code = status_code
        self.raw_error = raw_error
        self.partial: Any = None
        self._fallbackable = fallbackable
        self._remember(status_code=status_code, error_class=kind.value, request_id=request_id)

    @property
    def fallbackable(self) -> bool:
        """Whether another provider may answer what this one did not."""
        return self._fallbackable

    @classmethod
    def from_response(
        cls,
        status_code: int,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        provider_classification: Any = None,
        *,
        error_paths: Mapping[str, Any] | None = None,
        limit_headers: Any = None,
        now: float | None = None,
    ) -> RemoteError:
        """The error that an answer means.

        `body` is decoded JSON, text or bytes. `limit_headers` (the manifest's `rate_limit_headers`)
        may name the header that says when to come back; a date in it is counted from `now`
        (seconds since the epoch), or from the answer's own Date header.
        """
        facts = read_error(body, error_paths)
        found = {name.lower(): value for name, value in (headers or {}).items()}
        return _made(
            cls,
            facts,
            class_of_facts(status_code, facts, provider_classification),
            status_code=status_code,
            raw=body,
            retry_after=retry_after(found, facts, limit_headers, provider_classification, now),
            request_id=facts.request_id or next((found[name] for name in _REQUEST_ID_HEADERS if found.get(name)), None),
        )

    @classmethod
    def from_frame(cls, error: Any, *, classification: Any = None) -> RemoteError:
        """The error that a stream reported: the frame, the `error` in it, or its text."""
        facts = read_error({"error": error} if isinstance(error, str) else error)
        return _made(
            cls,
            facts,
            class_of_facts(None, facts, classification),
            status_code=facts.number,
            raw=error,
            retry_after=retry_after({}, facts, None, classification, None),
            request_id=facts.request_id,
        )


class RemoteBadRequest(RemoteError, core.BadRequest):
    """An answer that is also the core's `BadRequest`."""


class RemoteUnauthorized(RemoteError, core.Unauthorized):
    """An answer that is also the core's `Unauthorized`."""


class RemoteForbidden(RemoteError, core.Forbidden):
    """An answer that is also the core's `Forbidden`."""


class RemoteNotFound(RemoteError, core.NotFound):
    """An answer that is also the core's `NotFound`."""


class RemoteConflict(RemoteError, core.Conflict):
    """An answer that is also the core's `Conflict`."""


class RemotePayloadTooLarge(RemoteError, core.PayloadTooLarge):
    """An answer that is also the core's `PayloadTooLarge`."""


class RemoteUnprocessable(RemoteError, core.Unprocessable):
    """An answer that is also the core's `Unprocessable`."""


class RemoteRateLimited(RemoteError, core.RateLimited):
    """An answer that is also the core's `RateLimited`."""


class RemoteServerError(RemoteError, core.ServerError):
    """An answer that is also the core's `ServerError`."""


class RemoteUnavailable(RemoteError, core.Unavailable):
    """An answer that is also the core's `Unavailable`."""


class RemoteGatewayTimeout(RemoteError, core.GatewayTimeout):
    """An answer that is also the core's `GatewayTimeout`."""


_KINDS: dict[type[core.RemoteError], type[RemoteError]] = {
    core.BadRequest: RemoteBadRequest,
    core.Unauthorized: RemoteUnauthorized,
    core.Forbidden: RemoteForbidden,
    core.NotFound: RemoteNotFound,
    core.Conflict: RemoteConflict,
    core.PayloadTooLarge: RemotePayloadTooLarge,
    core.Unprocessable: RemoteUnprocessable,
    core.RateLimited: RemoteRateLimited,
    core.ServerError: RemoteServerError,
    core.Unavailable: RemoteUnavailable,
    core.GatewayTimeout: RemoteGatewayTimeout,
}


def _made(
    cls: type[RemoteError],
    facts: ErrorFacts,
    error_class: ErrorClass,
    *,
    status_code: int | None,
    raw: Any,
    retry_after: float | None,
    request_id: str | None,
) -> RemoteError:
    status = status_code if status_code is not None else error_class.standard_code.http_status
    if cls is RemoteError and status is not None:
        cls = _KINDS.get(core.class_for_status(status), cls)
    fallback = f"HTTP {status_code}" if status_code is not None else "the provider reported an error in the stream"
    return cls(
        redact_text(facts.message) if facts.message else fallback,
        status_code=status_code,
        error_class=error_class,
        retryable=is_retryable(error_class),
        fallbackable=is_fallbackable(error_class),
        raw_error=raw,
        retry_after=retry_after,
        request_id=request_id,
    )


def retry_after(
    headers: Mapping[str, str],
    facts: ErrorFacts,
    limit_headers: Any = None,
    classification: Any = None,
    now: float | None = None,
) -> float | None:
    """Seconds after which to come back, uncapped; `headers` has lower-case names.

    The header that the manifest names, else `retry-after-ms`, `retry-after`; then what the body
    says: a delay among its details, or the manifest's `retry_after_extraction` on the message.
    """
    named = _part(limit_headers, "retry_after")
    moment = now if now is not None else _epoch(headers.get("date"))
    seconds = find_retry_after(headers, moment, name=named if isinstance(named, str) else None)
    if seconds is not None:
        return seconds
    if facts.retry_delay is not None:
        return _duration(facts.retry_delay)
    return _from_message(facts.message, _part(classification, "retry_after_extraction"))


def _epoch(date: str | None) -> float | None:
    try:
        when = parsedate_to_datetime(date or "")
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return (when if when.tzinfo is not None else when.replace(tzinfo=UTC)).timestamp()


def _duration(value: str) -> float | None:
    match = _DELAY.fullmatch(value)
    return _finite(float(match[1]) * _UNITS[match[2] or "s"]) if match else None


def _finite(seconds: float) -> float | None:
    return seconds if math.isfinite(seconds) else None


def _from_message(message: str | None, extraction: Any) -> float | None:
    pattern = _part(extraction, "pattern")
    if not message or not isinstance(pattern, str):
        return None
    try:
        compiled, window = checked_pattern(pattern)
    except ValueError:
        return None
    match = compiled.search(message[:window])
    if match is None:
        return None
    duration = _DELAY.fullmatch((match[1] or "") if compiled.groups else match[0])
    if duration is None:
        return None
    unit = duration[2] or str(_part(extraction, "unit") or "s").lower()
    return _finite(float(duration[1]) * _UNITS.get(unit, _UNITS.get(unit.rstrip("s"), 1.0)))


def _part(document: Any, name: str) -> Any:
    return document.get(name) if isinstance(document, Mapping) else getattr(document, name, None)
