"""Any error of ours, as this wire spells it (stackspot.md 2.7), and as its token endpoint and its form target do.

Three spellings, told apart by the route's surface: `{"type", "code", "details"}`; RFC 6749's for `token`; S3's XML
for `upload`. Statuses that make clients repeat a request are kept for conditions that pass.
"""

from __future__ import annotations

from xml.sax.saxutils import escape

from dragoman.core.errors import DragomanError, LimitExceeded, RemoteError, class_for_status
from dragoman.server.http import Answer

TOKEN = "token"
TARGET = "upload"
COMMANDS = "commands"

CHAT_RATE = "INFERENCE_3008_CHAT_RATE_LIMIT_EXCEEDED"
COMMAND_RATE = "CODEBUDDY_1044_QUICK_COMMAND_RATE_LIMIT_EXCEEDED"
MODEL_BAD_REQUEST = "INFERENCE_6001_LLM_MODEL_BAD_REQUEST"
MODEL_ERROR = "MODEL_ERROR"
MODEL_TIMEOUT = "MODEL_TIMEOUT"

LONGEST_WAIT = 60
"""The largest `Retry-After` that clients of this wire heed, in seconds."""

_BY_CODE: dict[str, str] = {
    "conflict:repeat": "IDEMPOTENCY_CONFLICT",
    "not_found:agent": "AGENT_NOT_FOUND",
    "not_found:flow": "QUICK_COMMAND_NOT_FOUND",
    "not_found:run": "EXECUTION_NOT_FOUND",
    "bad_request:file": "FILE_NOT_SUPPORTED",
}
"""Codes of the engine → codes of the wire."""

_BY_STATUS: dict[int, str] = {
    400: "VALIDATION_ERROR",
    401: "UNAUTHORIZED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    408: "REQUEST_TIMEOUT",
    409: "CONFLICT",
    410: "GONE",
    413: "PAYLOAD_TOO_LARGE",
    422: "VALIDATION_ERROR",
    429: CHAT_RATE,
    500: "INTERNAL_ERROR",
    502: MODEL_ERROR,
    503: "SERVICE_UNAVAILABLE",
    504: MODEL_TIMEOUT,
}

_TYPES: dict[int, str] = {
    400: "BAD_REQUEST",
    401: "UNAUTHORIZED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    408: "REQUEST_TIMEOUT",
    409: "CONFLICT",
    410: "GONE",
    413: "PAYLOAD_TOO_LARGE",
    422: "UNPROCESSABLE_ENTITY",
    429: "TOO_MANY_REQUESTS",
    500: "INTERNAL_SERVER_ERROR",
    502: "BAD_GATEWAY",
    503: "SERVICE_UNAVAILABLE",
    504: "GATEWAY_TIMEOUT",
}

_GRANT_ERRORS: dict[int, str] = {401: "invalid_client", 429: "temporarily_unavailable", 503: "temporarily_unavailable"}

_S3_CODES: dict[int, str] = {
    400: "MalformedPOSTRequest",
    403: "AccessDenied",
    404: "NoSuchKey",
    405: "MethodNotAllowed",
    408: "RequestTimeout",
    411: "MissingContentLength",
    413: "EntityTooLarge",
    429: "SlowDown",
    503: "SlowDown",
}


def refuse(status: int, code: str, details: str, *, retry_after: float | None = None) -> RemoteError:
    """An error with a code of this wire, to be raised. Not for 500 and 502, which the dispatcher hides: see `told`."""
    return class_for_status(status)(details, code=code, status=status, retry_after=retry_after)


def invalid(details: str) -> RemoteError:
    """A body or field that is not as the wire has it."""
    return refuse(422, "VALIDATION_ERROR", details)


def told(status: int, code: str, details: str, *, run_id: str | None = None) -> Answer:
    """An error as an answer: what became of a run."""
    kind = _TYPES.get(status, "ERROR")
    return Answer.json({"type": kind, "code": code, "details": details}, status, run_id=run_id)


def encode_error(error: DragomanError, surface: str) -> Answer:
    """The answer for an error of a route on `surface`."""
    status, code = status_and_code(error, surface)
    details = error.message or "The request failed."
    headers: dict[str, str] = {}
    if error.retry_after is not None and status in (408, 429, 503):
        headers["retry-after"] = str(min(LONGEST_WAIT, max(1, int(error.retry_after + 0.999))))
    elif status == 429:
        headers["retry-after"] = "1"
    if surface == TARGET:
        return _as_xml(status, error.code or "", details, headers)
    if surface == TOKEN:
        return _as_grant_error(status, error.code or "", details, headers)
    if status == 401:
        headers["www-authenticate"] = 'Bearer error="invalid_token"'
    answer = told(status, code, details, run_id=error.run_id)
    return Answer(answer.status, answer.body, {**answer.headers, **headers}, answer.run_id)


def status_and_code(error: DragomanError, surface: str = "") -> tuple[int, str]:
    """How this wire tells an error of ours."""
    if isinstance(error, LimitExceeded):  # a quota of the day: asking again within a minute does not help
        return 403, "QUOTA_EXCEEDED"
    status = error.status if error.status is not None and 400 <= error.status <= 599 else 500
    code = error.code or ""
    if not code.isupper():
        code = _BY_CODE.get(code) or _BY_STATUS.get(status) or ("INTERNAL_ERROR" if status >= 500 else "BAD_REQUEST")
    if status == 429 and surface == COMMANDS and code == CHAT_RATE:
        code = COMMAND_RATE
    return status, code


def _as_grant_error(status: int, code: str, details: str, headers: dict[str, str]) -> Answer:
    word = code if code in ("unsupported_grant_type", "invalid_client", "invalid_request") else ""
    word = word or _GRANT_ERRORS.get(status) or ("invalid_request" if status < 500 else "server_error")
    if status == 401:
        headers["www-authenticate"] = 'Basic realm="token"'
    return Answer.json({"error": word, "error_description": details}, status, headers=headers)


def _as_xml(status: int, code: str, details: str, headers: dict[str, str]) -> Answer:
    """S3's way. A code of its own is in camel case; other codes are those of the status."""
    own = code[:1].isupper() and not code.isupper()
    word = code if own else _S3_CODES.get(status, "InternalError" if status >= 500 else "InvalidRequest")
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{word}</Code><Message>{escape(details)}</Message></Error>'
    body = text.encode("utf-8", "replace")
    return Answer(status, body, {"content-type": "application/xml; charset=utf-8", **headers})
