"""Any error of ours, as this wire spells it: `{"detail": {"code", "message", "executionId"?, "stepId"?}}`.

The published client takes code and message out of `detail` whatever the status, so every error has this
form: those of routes that do not exist and of bodies that are none included (noukai.md 3.9).
"""

from __future__ import annotations

from typing import Any

from dragoman.core.errors import DragomanError, RemoteError, class_for_status
from dragoman.server.http import Answer

_BY_CODE: dict[str, str] = {
    "not_found:flow": "FLOW_NOT_FOUND",
    "not_found:version": "FLOW_VERSION_NOT_FOUND",
    "not_found:run": "RUN_NOT_FOUND",
    "not_found:session": "SESSION_NOT_FOUND",
    "bad_request:session": "INVALID_SESSION_ID",
    "bad_request:message": "MISSING_MESSAGE",
    "bad_request:overrides": "BLOCK_OVERRIDES_INVALID",
    "bad_request:step": "INVALID_STEP_INDEX",
    "bad_request:outputs": "TOOL_RESULTS_MISMATCH",
    "bad_request:input": "INVALID_REQUEST",
    "conflict:run": "RUN_CONFLICT",
    "too_large:session": "SESSION_TOO_LARGE",
    "conflict:rounds": "TOOL_ITERATION_LIMIT",
    "conflict:repeat": "IDEMPOTENCY_CONFLICT",
}
"""Codes of the engine → codes of the wire."""

_BY_STATUS: dict[int, str] = {
    400: "INVALID_JSON",
    401: "INVALID_API_KEY",
    402: "INSUFFICIENT_CREDITS",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    408: "REQUEST_TIMEOUT",
    409: "RUN_CONFLICT",
    410: "SESSION_EXPIRED",
    413: "BODY_TOO_LARGE",
    422: "INVALID_REQUEST",
    429: "RATE_LIMITED",
    503: "OVERLOADED",
    504: "STEP_TIMEOUT",
}

_BY_FAILURE: dict[str, int] = {
    "TOOLS_REQUIRE_SYNC_EXECUTE": 400,
    "TOOLS_NOT_ENABLED": 400,
    "TOOLS_IN_NON_SEQUENTIAL_STEP": 400,
    "CREDITS_EXHAUSTED": 402,
    "CANCELLED": 409,
    "STALE_TREE": 409,
    "TOOL_ITERATION_LIMIT": 409,
    "INVALID_TREE": 422,
    "NO_STEPS": 422,
    "BYOK_KEY_REJECTED": 502,
    "PROVIDER_ERROR": 502,
    "BILLING_UNAVAILABLE": 503,
    "OVERLOADED": 503,
    "STEP_TIMEOUT": 504,
}
"""Code of a failed run → status of the answer; a step's own code is a 500."""


def refuse(status: int, code: str, message: str, *, run_id: str | None = None) -> RemoteError:
    """An error with a code of this wire."""
    return class_for_status(status)(message, code=code, status=status, run_id=run_id)


def detail(code: str, message: str, *, run_id: str | None = None, step: str | None = None) -> dict[str, Any]:
    """The envelope."""
    told: dict[str, Any] = {"code": code, "message": message}
    if run_id is not None:
        told["executionId"] = run_id
    if step is not None:
        told["stepId"] = step
    return {"detail": told}


def failed_answer(run_id: str, code: str, message: str, *, step: str | None, status: int | None = None) -> Answer:
    """The answer for a run that has ended without a result; `status` is what its step asked for."""
    body = detail(code, message, run_id=run_id, step=step)
    return Answer.json(body, _BY_FAILURE.get(code) or _asked(status), run_id=run_id)


def _asked(status: int | None) -> int:
    return status if isinstance(status, int) and 400 <= status <= 599 else 500


def encode_error(error: DragomanError, surface: str) -> Answer:
    """The answer for an error of a route on `surface`, which tells a job from a run."""
    status = error.status if error.status is not None and 400 <= error.status <= 599 else 500
    code = error.code or ""
    if not code.isupper():
        code = (
            _BY_CODE.get(code) or _BY_STATUS.get(status) or ("INTERNAL_ERROR" if status >= 500 else "INVALID_REQUEST")
        )
    if code == "RUN_NOT_FOUND" and surface == "jobs":
        code = "JOB_NOT_FOUND"
    headers: dict[str, str] = {}
    if status == 401:
        headers["www-authenticate"] = 'Bearer error="invalid_token"'
    if error.retry_after is not None:
        headers["retry-after"] = str(max(1, int(error.retry_after + 0.999)))
    body = detail(code, error.message or "The request failed.", run_id=error.run_id)
    return Answer.json(body, status, headers=headers, run_id=error.run_id)
