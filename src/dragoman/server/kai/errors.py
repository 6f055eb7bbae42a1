"""Any error of ours, as this wire spells it: `{code, message, cause?}` with `type:surface` codes.

kai-client maps by the word before the colon alone, so the table is closed: a word it knows is
used for what it means and for nothing else (kai.md 1.8, 3.2).
"""

from __future__ import annotations

from dragoman.core.errors import DragomanError
from dragoman.server.http import Answer

_BY_CODE: dict[str, str] = {
    "not_found:thread": "not_found:chat",
    "not_found:message": "not_found:chat",
    "not_found:run": "not_found:chat",
    "not_found:call": "not_found:tool",
    "not_found:approval": "not_found:approval",
    "conflict:busy": "conflict:chat",
    "conflict:thread": "conflict:chat",
    "conflict:message": "conflict:message",
    "conflict:approval": "conflict:approval",
}
"""Codes of the engine → codes of the wire, where the surface of the route does not decide."""

_BY_STATUS: dict[int, str] = {
    400: "bad_request:api",
    401: "unauthorized:{surface}",
    403: "forbidden:{surface}",
    404: "not_found:{surface}",
    405: "bad_request:api",
    409: "conflict:{surface}",
    413: "bad_request:api",
    422: "bad_request:api",
    429: "rate_limit:chat",
    503: "offline:chat",
    504: "timeout:chat",
}


def encode_error(error: DragomanError, surface: str) -> Answer:
    """The answer for an error of a route on `surface`; what is not the caller's doing shows only an id."""
    status = error.status if error.status is not None and 400 <= error.status <= 599 else 500
    if status == 422:
        status = 400
    template = _BY_STATUS.get(status, "internal:api" if status >= 500 else "bad_request:api")
    code = template.format(surface=surface)
    own = _BY_CODE.get(error.code or "")
    # the surface of a vote or a list says where something was missing; the engine's words do not know it
    if own is not None and status in (404, 409) and surface == "chat":
        code = own
    body = {"code": code, "message": error.message or "The request failed."}
    if status >= 500 and error.request_id:
        body["cause"] = f"request={error.request_id}"
    headers: dict[str, str] = {}
    if error.retry_after is not None:
        headers["retry-after"] = str(max(1, int(error.retry_after + 0.999)))
    return Answer.json(body, status, headers=headers, run_id=error.run_id)
