"""Any error of ours, as OpenAI spells it: `{"error": {"message", "type", "param", "code"}}`, whole or inside a stream.

What a provider says against a request is told, for only the caller can mend that. What it says about itself, and about
the server's account with it, is for the log; `errors.expose` tells the first of these too.
"""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from dragoman.ai.errors import AiLibError, ErrorClass, RemoteError, ValidationError
from dragoman.core import errors as core
from dragoman.core.failures import told as told_text
from dragoman.core.redact import redact_text
from dragoman.server.http import Answer

__all__ = ["Told", "encode_error", "encode_told", "judge", "judge_run", "refuse"]

logger = logging.getLogger("dragoman.server")

ACCOUNT = "The provider of this model refused the server's own credentials; the server's operator can mend that."
QUOTA = "The server's account with the provider of this model is used up."
FAILED = "The model failed to answer."
LATE = "The model did not answer in time."
LONGEST_WAIT = 86_400
"""Seconds that a caller is told to wait at most, whatever a provider says."""

REPLAY_MISS = "replay_miss"
UNRECORDED = "This server answers from a recording, which has no answer to this request."
_WORD = re.compile(r"[a-z][a-z0-9_]{0,63}")
_LONGEST_PARAM = 200
BUSY = ("unavailable:requests", "unavailable:streams", "unavailable:runs")
"""Codes of limits of ours that other wires tell with 503."""

_TYPES: dict[int, str] = {429: "requests"}
_CODES: dict[int, str] = {
    401: "invalid_api_key",
    403: "permission_denied",
    404: "not_found",
    405: "method_not_allowed",
    408: "timeout",
    409: "conflict",
    413: "request_too_large",
    429: "rate_limit_exceeded",
    503: "overloaded",
    504: "timeout",
}


@dataclass(frozen=True, slots=True)
class Told:
    """What a caller gets to know. `again` is False where asking the same once more is useless."""

    status: int
    message: str
    code: str | None = None
    param: str | None = None
    type: str | None = None
    retry_after: float | None = None
    again: bool = True

    def error(self) -> dict[str, Any]:
        """The object below `error`."""
        default = "server_error" if self.status >= 500 else "invalid_request_error"
        kind = self.type or _TYPES.get(self.status, default)
        return {
            "message": self.message,
            "type": kind,
            "param": self.param,
            "code": self.code or _CODES.get(self.status),
        }


def refuse(status: int, code: str, message: str, *, param: str | None = None) -> core.RemoteError:
    """An error in OpenAI's words, to be raised; not for 500 and 502, which the dispatcher hides."""
    error = core.class_for_status(status)(message, code=code, status=status)
    if param is not None:
        error.__dict__["field"] = param
    return error


def encode_error(error: core.DragomanError, surface: str) -> Answer:
    """The answer for an error that a handler has raised."""
    return encode_told(_of_ours(error), run_id=error.run_id)


def encode_told(told: Told, *, run_id: str | None = None) -> Answer:
    """The answer that tells it."""
    headers: dict[str, str] = {}
    if told.status in (408, 429, 503) and (told.again or told.retry_after is not None):
        headers["retry-after"] = str(max(1, int(min(LONGEST_WAIT, told.retry_after or 1.0) + 0.999)))
    if told.status == 401:
        headers["www-authenticate"] = 'Bearer error="invalid_token"'
    if told.status >= 409 and not told.again:
        headers["x-should-retry"] = "false"
    return Answer.json({"error": told.error()}, told.status, headers=headers, run_id=run_id)


def _of_ours(error: core.DragomanError) -> Told:
    """An error of this server's own."""
    if isinstance(error, ValidationError):
        return _invalid(error)
    status = error.status if error.status is not None and 400 <= error.status <= 599 else 500
    code, param = error.code or "", error.__dict__.get("field")
    message = error.message or FAILED
    if code in BUSY:
        return Told(429, message, retry_after=error.retry_after)
    if isinstance(error, core.LimitExceeded):
        return Told(
            429, message, "insufficient_quota", type="insufficient_quota", retry_after=error.retry_after, again=False
        )
    is_word = bool(code) and code.replace("_", "").isalnum() and code not in _OUR_WORDS
    again = status != 409 and code != "model_not_configured"  # nor will a key of another request be free the next time
    return Told(status, message, code if is_word else None, param, retry_after=error.retry_after, again=again)


def _invalid(error: ValidationError) -> Told:
    """A request that is wrong, or asks for what its model has not."""
    if error.field == "capabilities":  # which is no field of a request
        return Told(400, error.message, "unsupported_value", again=False)
    code = error.code if error.code not in (None, "usage") else "invalid_value"
    return Told(400, error.message, code, error.field, again=False)


_OUR_WORDS = frozenset(
    (
        "bad_request",
        "conflict",
        "forbidden",
        "internal",
        "rate_limited",
        "too_large",
        "unauthorized",
        "unavailable",
        "usage",
    )
)
"""Codes that say no more than their status."""


# --------------------------------------------------------------------------- what a model has done


_BY_CLASS: dict[str, tuple[int, str | None]] = {
    "invalid_request": (400, "invalid_request"),
    "not_found": (404, "model_not_found"),
    "request_too_large": (400, "context_length_exceeded"),
    "rate_limited": (429, "rate_limit_exceeded"),
    "quota_exhausted": (429, "insufficient_quota"),
    "timeout": (504, "timeout"),
    "overloaded": (503, "overloaded"),
    "conflict": (409, "conflict"),
}
_BY_CODE: dict[str, tuple[int, str | None]] = {
    **_BY_CLASS,
    "agent_gone": (404, "model_not_found"),
    "bad_request": (400, "invalid_request"),
    "bad_request:file": (400, "invalid_file"),
    "circuit_open": (503, "overloaded"),
    "gateway_timeout": (504, "timeout"),
    "internal": (500, "internal_error"),
    REPLAY_MISS: (502, REPLAY_MISS),
    "limit_exceeded": (429, "rate_limit_exceeded"),
    "too_large": (413, "request_too_large"),
    "too_many_rounds": (500, "too_many_rounds"),
    "too_many_tokens": (500, "too_many_tokens"),
    "unavailable": (503, "overloaded"),
    "unprocessable": (400, "invalid_request"),
    "usage": (400, "invalid_value"),
    "validation": (400, "invalid_value"),
}
"""Code of an error, or of a failed run → status and OpenAI's code; any other is the model's failure, 502."""
_ACCOUNTS = ("authentication", "permission_denied", "unauthorized", "forbidden")


def judge(error: BaseException, model: str, *, expose: bool) -> Told:
    """What to tell of a model call's failure. It is logged here, with a reference that what is told names too."""
    ours = error if isinstance(error, core.DragomanError) else None
    if ours is not None and ours.code == REPLAY_MISS:
        logger.warning("replay miss", extra={"model": model, "error": redact_text(ours.message)})
        return Told(502, UNRECORDED, REPLAY_MISS, again=False)
    if isinstance(error, ValidationError):
        return _invalid(error)
    if isinstance(error, core.FileRefused):
        return Told(400, error.message, "invalid_file", "messages", again=False)
    text = redact_text(ours.message if ours is not None else str(error) or type(error).__name__)
    code = error.error_class.value if isinstance(error, AiLibError) else (ours.code if ours is not None else None)
    if isinstance(error, core.TimedOut) or code == ErrorClass.TIMEOUT:
        code = "timeout"
    ref = secrets.token_hex(6)
    known = isinstance(error, core.RemoteError | core.TransportError | core.PolicyError)
    extra = {"model": model, "ref": ref, "error": text}
    logger.warning("model call failed", exc_info=None if known else error, extra=extra)
    after = ours.retry_after if ours is not None else None
    again = ours is not None and ours.retryable
    told = judge_run(code or "model_error", text, ref, expose=expose, retry_after=after, again=again)
    return _in_its_words(told, error) if isinstance(error, RemoteError) and told.status in (400, 404) else told


def _in_its_words(told: Told, error: RemoteError) -> Told:
    """With the code and the field that the provider names, if it has OpenAI's form: programs look for these."""
    if error.status_code == 413:
        return replace(told, status=413, code="request_too_large")
    body = error.raw_error
    said = body.get("error", body) if isinstance(body, Mapping) else None
    if not isinstance(said, Mapping):
        return told
    code, param = said.get("code"), said.get("param")
    if isinstance(code, str) and _WORD.fullmatch(code):
        told = replace(told, code=code)
    if isinstance(param, str) and 0 < len(param) <= _LONGEST_PARAM:
        told = replace(told, param=redact_text(param))
    return told


def judge_run(
    code: str,
    message: str,
    ref: str | None,
    *,
    expose: bool,
    again: bool,
    retry_after: float | None = None,
) -> Told:
    """What to tell of a failure by its code; `ref` is where the log has it, None for a text of the engine's own."""
    if code in _ACCOUNTS:
        return Told(502, ACCOUNT, "provider_credentials", again=False)
    if code == "quota_exhausted":
        return Told(429, QUOTA, "insufficient_quota", type="insufficient_quota", again=False)
    found, word = _BY_CODE.get(code, (502, "model_error"))
    if 400 <= found < 500:
        return Told(found, message or FAILED, word, retry_after=retry_after, again=found == 429)
    hidden = told_text(message, ref, expose=expose)
    if found == 504 and not expose:
        hidden = LATE
    return Told(found, hidden or FAILED, word, retry_after=retry_after, again=again or found in (503, 504))
