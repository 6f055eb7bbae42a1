"""Which of the thirteen classes an error belongs to, by status, body and manifest.

First hit wins: the manifest's codes, status words and message texts; then two special cases that
every provider reports under a plain status (a used-up quota as 429, too long a context as 400);
then the manifest's statuses; then the table of `standard_codes`. Pure: no error is raised here.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from dragoman.ai.errors.bodies import ErrorFacts, read_error
from dragoman.ai.errors.standard_codes import STANDARD_ERROR_CODES, ErrorClass, class_of, from_http_status

_log = logging.getLogger("dragoman.ai")

_URL = re.compile(r"\b(?:https?://|www\.)\S+")
_QUOTA = re.compile(r"(?<![a-z])(?:quotas?|billing|credits?|plans?)(?![a-z])", re.IGNORECASE)
_CONTEXT = re.compile(r"context[_ ]length[_ ]exceeded|maximum context", re.IGNORECASE)

_WORDS: dict[str, ErrorClass] = {
    word: error_class
    for error_class, words in {
        ErrorClass.INVALID_REQUEST: (
            "invalid_request_error invalid_argument failed_precondition out_of_range bad_request validation_error"
            " unprocessable_entity content_filter content_policy_violation"
        ),
        ErrorClass.AUTHENTICATION: "authentication_error invalid_api_key unauthenticated unauthorized invalid_authentication",
        ErrorClass.PERMISSION_DENIED: "permission_error forbidden access_denied",
        ErrorClass.NOT_FOUND: "not_found_error model_not_found resource_not_found",
        ErrorClass.REQUEST_TOO_LARGE: "context_length_exceeded string_above_max_length payload_too_large",
        ErrorClass.RATE_LIMITED: (
            "rate_limit_error rate_limit_exceeded rate_limit too_many_requests resource_exhausted tokens requests"
        ),
        ErrorClass.QUOTA_EXHAUSTED: (
            "insufficient_quota quota_exceeded billing_error billing_hard_limit_reached insufficient_balance"
            " insufficient_credits payment_required"
        ),
        ErrorClass.SERVER_ERROR: "api_error internal_error internal_server_error internal unknown data_loss bad_gateway",
        ErrorClass.OVERLOADED: "overloaded_error engine_overloaded service_unavailable unavailable",
        ErrorClass.TIMEOUT: "timeout_error deadline_exceeded request_timeout gateway_timeout",
        ErrorClass.CONFLICT: "conflict_error aborted already_exists",
        ErrorClass.CANCELLED: "canceled",
    }.items()
    for word in words.split()
}
"""Words that providers use for a class, lower case; for errors without a status and for odd manifests."""


def classify_error(
    status: int | None,
    body: Any = None,
    *,
    classification: Any = None,
    error_paths: Mapping[str, Any] | None = None,
) -> ErrorClass:
    """The class of an error answer (`status` 400 or above) or of an error frame (`status` None or 200).

    `body` is decoded JSON, text or bytes; `classification` the manifest's `error_classification`,
    an object or a mapping; `error_paths` its `features.response_mapping.error`.
    """
    return class_of_facts(status, read_error(body, error_paths), classification)


def classify_http_error(status_code: int, body: Any = None, provider_classification: Any = None) -> ErrorClass:
    """The class of an answer with an error status; `provider_classification` as in a manifest."""
    return classify_error(status_code, body, classification=provider_classification)


def class_of_facts(status: int | None, facts: ErrorFacts, classification: Any = None) -> ErrorClass:
    """The class of an error whose body was read already."""
    if status is None or status < 400:
        status = facts.number
    by_words = None if status is not None else _class_by_words(facts)
    return (
        _class_by_manifest(facts, classification)
        or _special_case(status, by_words, facts)
        or by_words
        or _named(_table(classification, "by_http_status").get(str(status)))
        or (ErrorClass.OTHER if status is None else class_of(from_http_status(status)))
    )


def class_named(name: Any) -> ErrorClass | None:
    """The class a manifest means by `name`: a class, a standard code or a provider's own error code."""
    if not isinstance(name, str):
        return None
    word = name.strip().lower()
    if word in ErrorClass._value2member_map_:
        return ErrorClass(word)
    row = STANDARD_ERROR_CODES.get(word.upper())
    return class_of(row) if row is not None else _WORDS.get(word)


def _class_by_manifest(facts: ErrorFacts, classification: Any) -> ErrorClass | None:
    by_code = _table(classification, "by_error_code")
    found = _named(by_code.get(facts.code)) or _named(by_code.get(facts.type))
    found = found or _named(_table(classification, "by_error_status").get(facts.status))
    if found is not None or not facts.message:
        return found
    message = facts.message.lower()
    for text, name in _table(classification, "by_message_contains").items():
        if str(text).lower() in message and (found := _named(name)) is not None:
            return found
    return None


def _special_case(status: int | None, by_words: ErrorClass | None, facts: ErrorFacts) -> ErrorClass | None:
    said = " ".join(filter(None, (facts.code, facts.type, _URL.sub(" ", facts.message or ""))))
    if (status == 429 or by_words is ErrorClass.RATE_LIMITED) and _QUOTA.search(said):
        return ErrorClass.QUOTA_EXHAUSTED
    bad_request = status == 400 or (status is None and by_words in (None, ErrorClass.INVALID_REQUEST))
    return ErrorClass.REQUEST_TOO_LARGE if bad_request and _CONTEXT.search(said) else None


def _class_by_words(facts: ErrorFacts) -> ErrorClass | None:
    for word in (facts.code, facts.status, facts.type):
        found = class_named(word)
        if found is not None:
            return found
    return None


def _table(classification: Any, name: str) -> Mapping[Any, Any]:
    value = classification.get(name) if isinstance(classification, Mapping) else getattr(classification, name, None)
    if not isinstance(value, Mapping):
        return {}
    return {str(key): item for key, item in value.items()} if name == "by_http_status" else value


def _named(name: Any) -> ErrorClass | None:
    found = class_named(name)
    if found is None and isinstance(name, str):
        _warn_of(name)
    return found


@lru_cache(maxsize=256)
def _warn_of(name: str) -> None:
    _log.warning("manifest names an unknown error class %r; the entry is skipped", name)
