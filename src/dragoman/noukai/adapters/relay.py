"""Relays: let callers without a key run one flow of yours, a browser for example.

A relay bounds what it is sent, asks `authorize`, forwards the body to the flow's `execute` with the
client's key, and answers with the upstream's status and JSON. It looks at nothing else and logs no
body. Frameworks are imported when a relay is made.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json

from dragoman.core.errors import MissingExtra
from dragoman.noukai.client import AsyncNoukai
from dragoman.noukai.exceptions import APIConnectionError
from dragoman.noukai.exchange import Answer, Call, send
from dragoman.noukai.paths import flow_path
from dragoman.noukai.sync import Noukai
from dragoman.noukai.types import Address, VersionSpec
from dragoman.transport.io import run_blocking

DEFAULT_RELAY_PATH = "/agent/execute"
DEFAULT_MAX_BODY_BYTES = 262_144
DEFAULT_MAX_MESSAGES = 40

_FORWARDED = ("traceparent", "tracestate")
_READ = 65536

__all__ = [
    "DEFAULT_MAX_BODY_BYTES",
    "DEFAULT_MAX_MESSAGES",
    "DEFAULT_RELAY_PATH",
    "RelayBounds",
    "flow_relay_blueprint",
    "mount_flow_relay",
]


@dataclass(frozen=True, slots=True)
class RelayBounds:
    """How much a relay takes: bytes of a body, and entries of each list of messages."""

    max_body_bytes: int = DEFAULT_MAX_BODY_BYTES
    max_messages: int = DEFAULT_MAX_MESSAGES


class _Refused(Exception):
    """A body that is not forwarded."""

    def __init__(self, status: int, word: str) -> None:
        super().__init__(word)
        self.status = status
        self.body = {"detail": word}


def _checked(raw: bytes, bounds: RelayBounds) -> dict[str, Any]:
    """The JSON object of a body within its bounds."""
    if len(raw) > bounds.max_body_bytes:
        raise _Refused(413, "BODY_TOO_LARGE")
    try:
        body = from_json(raw or b"{}")
    except ValueError:
        raise _Refused(400, "INVALID_JSON") from None
    if not isinstance(body, dict):
        raise _Refused(400, "INVALID_JSON")
    for name in ("messages", "toolCallMessages"):
        messages = body.get(name)
        if isinstance(messages, list) and len(messages) > bounds.max_messages:
            raise _Refused(413, "TOO_MANY_MESSAGES")
    return body


def _forwarding(path: str, body: dict[str, Any], header: Callable[[str], str | None]) -> Call:
    kept = {name: value for name in _FORWARDED if (value := header(name))}
    return Call("POST", path, body, headers=kept, verbatim=True)


def _relayed(answer: Answer) -> tuple[int, Any]:
    if isinstance(answer.body, dict | list):
        return answer.status, answer.body
    return answer.status, {"detail": "UPSTREAM_NON_JSON"}


_UNREACHABLE = (502, {"detail": "UPSTREAM_UNAVAILABLE"})


def mount_flow_relay(
    app: Any,
    *,
    client: AsyncNoukai,
    org: str,
    project: str,
    slug: str,
    path: str = DEFAULT_RELAY_PATH,
    authorize: Callable[[Any], Awaitable[object] | object],
    max_body_bytes: int = DEFAULT_MAX_BODY_BYTES,
    max_messages: int = DEFAULT_MAX_MESSAGES,
    version: VersionSpec = "production",
) -> None:
    """Add `POST path` to a FastAPI or Starlette application.

    `authorize(request)` refuses by raising; whatever it returns allows. Raises MissingExtra without
    Starlette, ValueError for a version that is none.
    """
    try:
        from starlette.requests import ClientDisconnect
        from starlette.responses import JSONResponse
    except ImportError as error:
        raise MissingExtra("mount_flow_relay", "fastapi") from error
    target = f"{flow_path(Address(org, project, slug), version)}/execute"
    bounds = RelayBounds(max_body_bytes, max_messages)

    async def read(request: Any) -> bytes:
        raw = bytearray()
        try:
            async for piece in request.stream():
                raw += piece
                if len(raw) > bounds.max_body_bytes:
                    break
        except ClientDisconnect:
            raise _Refused(400, "INVALID_JSON") from None
        return bytes(raw)

    async def relay(request: Any) -> Any:
        try:
            body = _checked(await read(request), bounds)
        except _Refused as refused:
            return JSONResponse(refused.body, refused.status)
        allowed = authorize(request)
        if inspect.isawaitable(allowed):
            await allowed
        try:
            status, answer = _relayed(await send(client._transport, _forwarding(target, body, request.headers.get)))
        except APIConnectionError:
            status, answer = _UNREACHABLE
        return JSONResponse(answer, status)

    app.router.add_route(path, relay, methods=["POST"])


def flow_relay_blueprint(
    *,
    client: Noukai,
    org: str,
    project: str,
    slug: str,
    path: str = DEFAULT_RELAY_PATH,
    authorize: Callable[[Any], object],
    bounds: RelayBounds | None = None,
    version: VersionSpec = "production",
) -> Any:
    """A Flask blueprint with `POST path`, for `app.register_blueprint`.

    `authorize(request)` refuses by raising; whatever it returns allows. Raises MissingExtra without
    Flask, ValueError for a version that is none.
    """
    try:
        from flask import Blueprint, jsonify, request
    except ImportError as error:
        raise MissingExtra("flow_relay_blueprint", "flask") from error
    target = f"{flow_path(Address(org, project, slug), version)}/execute"
    limits = bounds or RelayBounds()
    name = "".join(each if each.isalnum() else "_" for each in f"noukai_relay_{org}_{project}_{slug}_{path}")
    blueprint = Blueprint(name, __name__)

    def read() -> bytes:
        raw = bytearray()
        while len(raw) <= limits.max_body_bytes:
            piece = request.stream.read(_READ)
            if not piece:
                break
            raw += piece
        return bytes(raw)

    def relay() -> Any:
        try:
            body = _checked(read(), limits)
        except _Refused as refused:
            return jsonify(refused.body), refused.status
        authorize(request)
        call = _forwarding(target, body, request.headers.get)
        try:
            status, answer = _relayed(run_blocking(send(client._transport, call)))
        except APIConnectionError:
            status, answer = _UNREACHABLE
        return jsonify(answer), status

    blueprint.add_url_rule(path, view_func=relay, methods=["POST"])
    return blueprint
