"""The thirteen error classes of AI-Protocol with their codes: one table, used everywhere.

    E1… the request's fault     E2… rate and quota     E3… the provider's fault
    E4… operational             E9999 unknown

A class says what went wrong, its code whether to try again here (`retryable`) or with another
provider (`fallbackable`). Which class an answer has is decided in `classify`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = [
    "E1001",
    "E1002",
    "E1003",
    "E1004",
    "E1005",
    "E2001",
    "E2002",
    "E3001",
    "E3002",
    "E3003",
    "E4001",
    "E4002",
    "E9999",
    "STANDARD_ERROR_CODES",
    "ErrorClass",
    "StandardErrorCode",
    "from_error_class",
    "from_http_status",
    "from_name",
    "is_fallbackable",
    "is_retryable",
]


@dataclass(frozen=True, slots=True)
class StandardErrorCode:
    """One row of the table; `http_status` is the status that means it, None when there is none."""

    code: str
    name: str
    category: str
    http_status: int | None
    retryable: bool
    fallbackable: bool
    description: str


E1001 = StandardErrorCode("E1001", "invalid_request", "client", 400, False, False, "The request is malformed.")
E1002 = StandardErrorCode("E1002", "authentication", "client", 401, False, True, "Credentials are missing or wrong.")
E1003 = StandardErrorCode("E1003", "permission_denied", "client", 403, False, False, "The credentials forbid this.")
E1004 = StandardErrorCode("E1004", "not_found", "client", 404, False, False, "There is no such model or resource.")
E1005 = StandardErrorCode(
    "E1005",
    "request_too_large",
    "client",
    413,
    False,
    False,
    "The request is too large, or asks for what is not there.",
)
E2001 = StandardErrorCode("E2001", "rate_limited", "rate", 429, True, True, "Too many requests or tokens for now.")
E2002 = StandardErrorCode("E2002", "quota_exhausted", "rate", 429, False, True, "The account's quota is used up.")
E3001 = StandardErrorCode("E3001", "server_error", "server", 500, True, True, "The provider failed.")
E3002 = StandardErrorCode("E3002", "overloaded", "server", 503, True, True, "The provider has too much to do.")
E3003 = StandardErrorCode("E3003", "timeout", "server", 504, True, True, "No answer came in time.")
E4001 = StandardErrorCode("E4001", "conflict", "operational", 409, True, False, "The request contradicts another one.")
E4002 = StandardErrorCode("E4002", "cancelled", "operational", None, False, False, "The request was cancelled.")
E9999 = StandardErrorCode("E9999", "unknown", "unknown", None, False, False, "Nothing more is known.")

STANDARD_ERROR_CODES: dict[str, StandardErrorCode] = {
    row.code: row for row in (E1001, E1002, E1003, E1004, E1005, E2001, E2002, E3001, E3002, E3003, E4001, E4002, E9999)
}
"""Code → row."""


class ErrorClass(StrEnum):
    """What went wrong, in the words of the protocol; the last five are other names of some."""

    INVALID_REQUEST = "invalid_request"
    AUTHENTICATION = "authentication"
    PERMISSION_DENIED = "permission_denied"
    NOT_FOUND = "not_found"
    QUOTA_EXHAUSTED = "quota_exhausted"
    RATE_LIMITED = "rate_limited"
    REQUEST_TOO_LARGE = "request_too_large"
    TIMEOUT = "timeout"
    CONFLICT = "conflict"
    CANCELLED = "cancelled"
    SERVER_ERROR = "server_error"
    OVERLOADED = "overloaded"
    OTHER = "other"

    QUOTA_EXCEEDED = "quota_exhausted"
    CONTEXT_LENGTH = "request_too_large"
    UNAVAILABLE = "overloaded"
    MODEL_NOT_AVAILABLE = "not_found"
    CONTENT_POLICY = "invalid_request"

    @property
    def standard_code(self) -> StandardErrorCode:
        """The class's row of the table."""
        return from_name(self.value)


_BY_NAME = {row.name: row for row in STANDARD_ERROR_CODES.values()}
_BY_STATUS: dict[int, StandardErrorCode] = {
    400: E1001,
    401: E1002,
    402: E2002,
    403: E1003,
    404: E1004,
    408: E3003,
    409: E4001,
    413: E1005,
    422: E1001,
    429: E2001,
    499: E4002,
    500: E3001,
    502: E3001,
    503: E3002,
    504: E3003,
    529: E3002,
}


def from_name(name: str) -> StandardErrorCode:
    """The row of a class's name; E9999 for any other word."""
    return _BY_NAME.get(name, E9999)


def from_error_class(error_class: ErrorClass | str) -> StandardErrorCode:
    """The row of an error class."""
    return from_name(str(error_class))


def from_http_status(status_code: int) -> StandardErrorCode:
    """The row an HTTP status means by itself: the table, else by its hundred, else E9999."""
    found = _BY_STATUS.get(status_code)
    if found is not None:
        return found
    if 400 <= status_code < 500:
        return E1001
    return E3001 if 500 <= status_code < 600 else E9999


def class_of(code: StandardErrorCode) -> ErrorClass:
    """The error class of a row."""
    return ErrorClass.OTHER if code is E9999 else ErrorClass(code.name)


def is_retryable(error_class: ErrorClass | str) -> bool:
    """Whether the same request may succeed a little later."""
    return from_error_class(error_class).retryable


def is_fallbackable(error_class: ErrorClass | str) -> bool:
    """Whether another provider may answer what this one did not."""
    return from_error_class(error_class).fallbackable
