"""One request, from ASGI message to answer: route, authenticate, limit, handle, send, count.

This is the only module that speaks both ASGI and the values of `http`. Everything that goes
wrong becomes an answer in the shape of the face that owns the path; what was not foreseen is
logged with an id, and only the id leaves the house.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Mapping
from contextlib import nullcontext

import structlog
from starlette.types import Receive, Scope, Send

from dragoman.core.errors import DragomanError, MethodNotAllowed, NotFound, ServerError
from dragoman.server.addresses import Addresses, networks
from dragoman.server.closing import ServerClosing
from dragoman.server.cors import CorsPolicy
from dragoman.server.http import Answer, Call, EventStream, Face, Reply, Route
from dragoman.server.limits import ClientGone, RequestPlaces, StreamPlaces, read_body, read_piece
from dragoman.server.metric_table import LATENCY, REFUSED, REQUESTS
from dragoman.server.presence import Presence
from dragoman.server.routing import Match, Router
from dragoman.server.services import Services
from dragoman.server.streams import STREAM_HEADERS, CutShort, send_stream
from dragoman.server.tracing import as_called
from dragoman.wire.http import Headers

_REQUEST_ID = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,126}[\x21-\x7e])?")
_WORD = re.compile(r"[A-Za-z][\w:.-]{0,63}", re.ASCII)
"""A code that may be a label; those of an app's own errors may be anything."""

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_CREDENTIALS = ("x-storageapi-token", "authorization")

_REFUSALS = (413, 429, 503)
_BUSY = ("unavailable:requests", "unavailable:streams", "unavailable:runs")
"""Codes of refusals that are counted and not logged: there would be a line for each of thousands."""

_RETRY_SECONDS = 5.0
"""What a refusal tells that knows no better."""


class Exchange:
    """One request on its way: what is known of it so far, and what went out."""

    __slots__ = (
        "allow",
        "answered",
        "began",
        "cors",
        "face",
        "receive",
        "request_id",
        "route",
        "route_path",
        "run_id",
        "send",
        "status",
    )

    def __init__(self, receive: Receive, send: Send, request_id: str, face: Face) -> None:
        self.receive = receive
        self.send = send
        self.request_id = request_id
        self.face = face
        self.route: Route | None = None
        self.route_path: str | None = None
        self.cors: list[tuple[bytes, bytes]] = []
        self.run_id: str | None = None
        self.status = 0
        self.allow = ""
        self.began = self.answered = time.perf_counter()


class Dispatcher:
    """The ASGI application below the lifespan."""

    def __init__(self, services: Services, faces: tuple[Face, ...]) -> None:
        settings = services.settings
        self._services = services
        self._router = Router(faces)
        self._addresses = Addresses(settings.public_url, networks(settings.trusted_proxies))
        self._cors = CorsPolicy(settings.cors.origins)
        self._limits = settings.limits
        self.places = StreamPlaces(settings.limits)
        self.requests = RequestPlaces(settings.limits.requests)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])
        request_id = headers.get("x-request-id", "")
        if not _REQUEST_ID.fullmatch(request_id):
            request_id = secrets.token_hex(16)
        path = _path(scope)
        match = self._router.find(path)
        exchange = Exchange(receive, send, request_id, match.face if match else self._router.owner(path))
        structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            with as_called(headers):
                reply = await self._reply(scope, headers, path, match, exchange)
                del headers, path, match
                await self._send(reply, exchange, head_only=scope["method"] == "HEAD")
        except ClientGone:
            exchange.status = 499
        finally:
            structlog.contextvars.unbind_contextvars("request_id", "run")
            self._count(scope, exchange)

    async def _reply(self, scope: Scope, headers: Headers, path: str, match: Match | None, exchange: Exchange) -> Reply:
        """The handler's reply, or the error as the face spells it."""
        try:
            return await self._handled(scope, headers, path, match, exchange)
        except ClientGone:
            raise
        except DragomanError as error:
            if error.status is not None and 400 <= error.status < 500:
                return self._error(error, exchange)
            if isinstance(error, ServerClosing):
                return self._error(error, exchange)
            if error.status in (503, 504):
                if error.code not in _BUSY:  # foreseen, but an operator must hear of a full disk
                    self._services.log.warning(
                        "request could not be served",
                        reason=error.message,
                        route=exchange.route_path,
                        request_id=exchange.request_id,
                    )
                return self._error(error, exchange)
            return self._unforeseen(error, exchange)
        except Exception as error:
            return self._unforeseen(error, exchange)

    async def _handled(
        self, scope: Scope, headers: Headers, path: str, match: Match | None, exchange: Exchange
    ) -> Reply:
        origin = self._addresses.origin(scope, headers)
        face, method = exchange.face, scope["method"]
        allowed = self._cors.check(headers.get("origin"), face.cors, origin.url)
        exchange.cors = self._cors.headers(allowed, face.cors)
        if match is None:
            raise NotFound(f"There is no {path[:200]!r} here.")
        exchange.allow = _allow(match)
        if method == "OPTIONS":
            return self._options(headers, match, allowed, exchange)
        route = match.methods.get(method) or (match.methods.get("GET") if method == "HEAD" else None)
        if route is None:
            raise MethodNotAllowed(f"{method} is not possible here; expected {exchange.allow}.")
        limit = route.body_limit if route.body_limit is not None else self._limits.body
        seconds = self._limits.body_seconds

        async def read(bound: int) -> bytes:
            declared = headers.get("content-length")
            async with self._services.closing.interrupts():  # who dawdles must not hold up the end
                return await read_body(exchange.receive, declared, limit=bound, seconds=seconds)

        async def next_piece() -> tuple[bytes, bool]:
            async with self._services.closing.interrupts():
                return await read_piece(exchange.receive, seconds=seconds)

        exchange.route, exchange.route_path = route, match.prefix + route.path
        call = Call(
            "GET" if method == "HEAD" else method,
            path[len(match.prefix) :],
            params=match.params(),
            query=scope["query_string"].decode("latin-1"),
            headers=headers,
            request_id=exchange.request_id,
            prefix=match.prefix,
            base_url=origin.url + match.prefix,
            peer=origin.peer,
            reader=read,
            next_piece=next_piece,
            body_limit=limit,
            presence=lambda: Presence(exchange.receive),
        )
        with nullcontext() if face.name == "operations" else self.requests:  # who asks how full it is must be told
            if route.auth == "required" or (route.auth == "optional" and any(name in headers for name in _CREDENTIALS)):
                call.principal = await (face.authenticate or self._services.authenticate)(call)
            return await self._place_and_handle(route, call)

    async def _place_and_handle(self, route: Route, call: Call) -> Reply:
        streams = route.streams(call) if callable(route.streams) else route.streams
        if not streams:
            return await route.handler(call)
        release = self.places.take(call.principal if call.signed_in else None)
        try:
            reply = await route.handler(call)
        except BaseException:
            release()
            raise
        if isinstance(reply, EventStream):
            reply.release = release
        else:
            release()
        return reply

    def _options(self, headers: Headers, match: Match, allowed: str | None, exchange: Exchange) -> Answer:
        if "access-control-request-method" in headers:
            wanted = headers.get("access-control-request-headers", "")
            exchange.cors = self._cors.preflight(allowed, match.face.cors, wanted)
        return Answer(204, headers={"allow": exchange.allow})

    def _error(self, error: DragomanError, exchange: Exchange) -> Answer:
        error.request_id = exchange.request_id
        if error.status in _REFUSALS:
            reason = error.code or ""
            self._services.metrics.count(REFUSED, (("reason", reason if _WORD.fullmatch(reason) else "other"),))
            if error.status == 503 and error.retry_after is None:
                error.retry_after = _RETRY_SECONDS
        answer = exchange.face.encode_error(error, exchange.route.surface if exchange.route else "api")
        extra: dict[str, str] = {}
        if error.retry_after is not None and not any(name.lower() == "retry-after" for name in answer.headers):
            extra["retry-after"] = str(max(1, int(error.retry_after + 0.999)))
        if isinstance(error, MethodNotAllowed):
            extra["allow"] = exchange.allow
        run_id = answer.run_id or error.run_id
        return Answer(answer.status, answer.body, {**answer.headers, **extra}, run_id)

    def _log_failure(self, error: Exception, exchange: Exchange) -> None:
        self._services.log.error(
            "request failed",
            face=exchange.face.name,
            route=exchange.route_path,
            request_id=exchange.request_id,
            run=exchange.run_id,
            exc_info=error,
        )

    def _unforeseen(self, error: Exception, exchange: Exchange) -> Answer:
        self._log_failure(error, exchange)
        hidden = ServerError(f"Something went wrong here; the log has it under {exchange.request_id}.")
        return self._error(hidden, exchange)

    async def _send(self, reply: Reply, exchange: Exchange, *, head_only: bool) -> None:
        exchange.run_id = reply.run_id
        exchange.status = reply.status
        exchange.answered = time.perf_counter()  # of a stream, the time to its head
        if reply.run_id is not None:
            structlog.contextvars.bind_contextvars(run=reply.run_id)
        if isinstance(reply, EventStream):
            await self._send_stream(reply, exchange, head_only=head_only)
            return
        headers = {"cache-control": "no-store", "x-content-type-options": "nosniff", **_lower(reply.headers)}
        if reply.status not in (204, 304):
            headers["content-length"] = str(len(reply.body))
        head = {"type": "http.response.start", "status": reply.status, "headers": _head(headers, exchange)}
        try:
            await exchange.send(head)
            await exchange.send({"type": "http.response.body", "body": b"" if head_only else reply.body})
        except OSError as error:  # some servers say so when the client has gone
            raise ClientGone from error

    async def _send_stream(self, stream: EventStream, exchange: Exchange, *, head_only: bool) -> None:
        try:
            # Nothing that only the head needs stays in a local: a stream may be open for days.
            head = {"type": "http.response.start", "status": stream.status, "headers": _stream_head(stream, exchange)}
            await exchange.send(head)
            del head
            if head_only:
                await exchange.send({"type": "http.response.body", "body": b""})
            else:
                await self._pump(stream, exchange)
        except OSError as error:
            if stream.on_gone is not None:
                await stream.on_gone()
            raise ClientGone from error
        except CutShort:
            pass  # the source has said why; whoever serves us cuts a body that has no end
        except Exception as error:
            self._log_failure(error, exchange)  # too late for an answer: the connection is cut
        finally:
            await stream.close()
            if stream.release is not None:
                stream.release()

    async def _pump(self, stream: EventStream, exchange: Exchange) -> None:
        if stream.release is None:  # a route that was not marked: it counts, but is not refused any more
            stream.release = self.places.take_unchecked()
        if stream.on_error is not None:
            last_words = stream.on_error

            def logged(error: Exception) -> bytes:
                self._log_failure(error, exchange)
                return last_words(error)

            stream.on_error = logged
        complete = await send_stream(
            stream,
            exchange.receive,
            exchange.send,
            heartbeat=stream.heartbeat if stream.heartbeat is not None else self._limits.heartbeat_seconds,
            stall=self._limits.stall_seconds,
        )
        if not complete:
            exchange.status = 499
            if stream.on_gone is not None:
                await stream.on_gone()

    def _count(self, scope: Scope, exchange: Exchange) -> None:
        seconds = exchange.answered - exchange.began
        method = scope["method"] if scope["method"] in _METHODS else "other"
        face = exchange.face.name
        metrics = self._services.metrics
        metrics.count(REQUESTS, (("face", face), ("method", method), ("status", str(exchange.status))))
        metrics.observe(LATENCY, seconds, (("face", face),))
        if self._services.settings.log.requests:
            log = self._services.log
            tell = log.debug if face == "operations" else log.info  # probes ask every few seconds
            tell(
                "request",
                method=method,
                route=exchange.route_path,
                face=face,
                status=exchange.status,
                ms=round((time.perf_counter() - exchange.began) * 1000, 2),
                request_id=exchange.request_id,
                run=exchange.run_id,
            )


def _path(scope: Scope) -> str:
    """The raw path below `root_path`; encoded, so that an encoded slash can be told from a slash."""
    raw = scope.get("raw_path")
    path: str = raw.decode("latin-1") if raw is not None else scope["path"]
    root = scope.get("root_path", "").rstrip("/")
    return path[len(root) :] if root and path.startswith(root + "/") else path


def _allow(match: Match) -> str:
    methods = {*match.methods, "OPTIONS"} | ({"HEAD"} if "GET" in match.methods else set())
    return ", ".join(sorted(methods))


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _stream_head(stream: EventStream, exchange: Exchange) -> list[tuple[bytes, bytes]]:
    return _head({**STREAM_HEADERS, **_lower(stream.headers)}, exchange)


def _head(headers: dict[str, str], exchange: Exchange) -> list[tuple[bytes, bytes]]:
    pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    pairs.append((b"x-request-id", exchange.request_id.encode()))
    if exchange.run_id is not None:
        pairs.append((b"x-dragoman-run", exchange.run_id.encode("latin-1")))
    pairs += exchange.cors
    return pairs
