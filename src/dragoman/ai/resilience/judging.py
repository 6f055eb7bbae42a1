"""What an error means to the policies: try again, ask another provider, blame this one.

All three ask the error's class and branch, never who the provider is.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from dragoman.ai.errors import AiLibError, ErrorClass, RemoteError
from dragoman.ai.errors.bodies import read_error
from dragoman.core import errors as core

NEVER_RETRIED = frozenset({ErrorClass.QUOTA_EXHAUSTED, ErrorClass.AUTHENTICATION, ErrorClass.CANCELLED})

CALLERS_FAULT = frozenset(
    {
        ErrorClass.INVALID_REQUEST,
        ErrorClass.AUTHENTICATION,
        ErrorClass.PERMISSION_DENIED,
        ErrorClass.NOT_FOUND,
        ErrorClass.REQUEST_TOO_LARGE,
        ErrorClass.QUOTA_EXHAUSTED,
        ErrorClass.CANCELLED,
    }
)
"""Classes that say nothing about the provider's health."""


def class_of(error: BaseException) -> ErrorClass | None:
    """The error's class, if it is one of ours."""
    return error.error_class if isinstance(error, AiLibError) else None


def worth_retrying(
    error: BaseException,
    *,
    statuses: AbstractSet[int],
    classes: AbstractSet[ErrorClass],
    error_statuses: AbstractSet[str] = frozenset(),
    error_codes: AbstractSet[str] = frozenset(),
) -> bool:
    """Whether the same request may succeed a little later, by the lists of a retry policy.

    Of the provider's answers those with a listed status, status word, code or class; of the rest
    what the network did. Never a used-up quota, a wrong key, a cancelled request, or a refusal of
    our own policies.
    """
    if isinstance(error, core.UsageError | core.PolicyError) or class_of(error) in NEVER_RETRIED:
        return False
    if isinstance(error, RemoteError):
        status = error.status_code if error.status_code is not None else error.status
        if status in statuses or error.error_class in classes:
            return True
        if error.error_class is ErrorClass.OTHER:
            return error.retryable
        return _is_listed(error, error_statuses, error_codes)
    if isinstance(error, core.DragomanError):
        return error.retryable
    return isinstance(error, ConnectionError | TimeoutError)


def _is_listed(error: RemoteError, statuses: AbstractSet[str], codes: AbstractSet[str]) -> bool:
    """Lists of codes hold the provider's words, the protocol's class names or its codes."""
    if not statuses and not codes:
        return False
    facts = read_error(error.raw_error)
    said = {facts.code, facts.type, error.error_class.value, error.standard_code.code}
    return facts.status in statuses or not said.isdisjoint(codes)


def may_fall_back(error: BaseException) -> bool:
    """Whether another provider may answer what this one did not: fallbackable classes and the network."""
    if isinstance(error, AiLibError):
        return error.fallbackable
    return isinstance(error, core.TransportError | ConnectionError | TimeoutError)


def blames_the_provider(error: BaseException) -> bool:
    """Whether an error counts against the provider: every one but cancellation and the caller's own mistakes."""
    if not isinstance(error, Exception) or isinstance(error, core.UsageError | core.PolicyError):
        return False
    return class_of(error) not in CALLERS_FAULT
