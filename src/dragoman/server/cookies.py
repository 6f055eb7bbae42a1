"""The cookie that a browser signs in with: made from an API key once, so that no page has to keep the key.

The cookie is a signed token that names a key; it is HttpOnly and SameSite=Strict, holds for twelve hours, and closes
with its key. Where the application's own callable knows the key, nobody here can tell when it closes: then the token
holds whom the callable has let in, and for an hour only. A browser sends cookies whoever asks it to, other pages of
this machine included. So one counts only on a request that the browser itself says comes from here, and anything else
than reading needs that word. A credential in a header always wins.
"""

from __future__ import annotations

import math
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeAlias
from urllib.parse import urlsplit

from dragoman.core.errors import Forbidden, Unauthorized
from dragoman.core.principal import Principal
from dragoman.server import signed
from dragoman.server.addresses import is_host, is_loopback
from dragoman.server.auth import (
    DEMO_ADMIN,
    Authentication,
    DemoTokens,
    UserCallable,
    as_principal,
    demo_principal,
    principal_of,
)
from dragoman.server.http import Call, is_https
from dragoman.server.keys import is_open, is_valid, parse_key
from dragoman.server.services import Services
from dragoman.wire.http import Headers

NAME = "dragoman_session"
SECONDS = 12 * 3600
APP_SECONDS = 3600
"""For how long whom the application has let in stays signed in: it is not asked again until then."""
PREFIX = "dss_"

Kind: TypeAlias = Literal["key", "demo", "app"]

_SECRET = "browser sessions"
_HEADERS = ("authorization", "x-storageapi-token")
_READS = frozenset({"GET", "HEAD"})
_PORTS = {"http": 80, "https": 443}
_BEARER = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True)
class Grant:
    """What a cookie says: a stored key's id, a token of the demo or whom the application let in, and up to when."""

    kind: Kind
    name: str | Principal
    expires: float


def encode_grant(grant: Grant, key: bytes) -> str:
    """The cookie's value; no two are alike."""
    name = _told(grant.name) if isinstance(grant.name, Principal) else grant.name
    return signed.encode([grant.kind, name, int(grant.expires), secrets.token_hex(6)], key, prefix=PREFIX)


def decode_grant(text: str, key: bytes, *, now: float) -> Grant | None:
    """What the cookie says; None unless it is ours and not over."""
    told = signed.decode(text, key, prefix=PREFIX)
    if told is None:
        return None
    kind, name, expires, _ = told
    holder = as_principal(name) if kind == "app" else name
    return Grant(kind, holder, expires) if holder is not None and expires > now else None


def _told(who: Principal) -> dict[str, Any]:
    """A principal as `as_principal` reads it, without what is as always."""
    usual = Principal("", "")
    told = {one.name: getattr(who, one.name) for one in fields(Principal)}
    told = {name: value for name, value in told.items() if value != getattr(usual, name)}
    return {**told, "tenant": who.tenant, "user": who.user, "scopes": sorted(who.scopes)}


def cookie_of(headers: Mapping[str, str]) -> str | None:
    """The value of our cookie, None if there is none."""
    for part in headers.get("cookie", "").split(";"):
        name, _, value = part.strip().partition("=")
        if name == NAME:
            return value.strip('"') or None
    return None


class BrowserSessions:
    """Signs browsers in, and knows them again: the way to sign in of faces that a console speaks to.

    `before` are the other ways, the application's own if it is not given; they decide wherever a header carries a
    credential or there is no cookie.
    """

    def __init__(self, services: Services, before: Callable[[Call], Awaitable[Principal]] | None = None) -> None:
        self._services = services
        self._before = before

    async def __call__(self, call: Call) -> Principal:
        """Who calls. Raises Unauthorized, Forbidden or RateLimited."""
        cookie = cookie_of(call.headers)
        if cookie is None or any(name in call.headers for name in _HEADERS):
            return await (self._before or self._services.authenticate)(call)
        check_origin(call, surely=call.method not in _READS)
        now = self._services.clock()
        grant = decode_grant(cookie, await self._key(), now=now)
        if grant is None:
            raise Unauthorized("The browser's session is over; sign in again.")
        if isinstance(grant.name, Principal):
            if self._services.app.authenticate is None:
                raise Unauthorized("This browser's session is not valid here; sign in again.")
            return grant.name
        if grant.kind == "demo":
            return await self._of_demo(call, grant.name)
        key = await self._services.store.key(grant.name)
        if key is None or not is_open(key, now):
            raise Unauthorized("The key of this browser's session is not valid any more; sign in with another.")
        if key.rate_limit is not None:
            self._services.rates.take(key.id, key.rate_limit, now)
        return principal_of(key)

    async def sign_in(self, call: Call, text: str | None) -> tuple[Principal, float | None, dict[str, str]]:
        """Who the key stands for, when the browser must sign in again, and the header that sets the cookie.

        A key that neither this server nor the demo has made is shown to the application's own callable. Without a
        key the demo's own user signs in, on this machine alone; or whom that callable knows by the request itself, as
        behind a proxy that says who asks: there nothing is kept, as it will be said each time. Raises Unauthorized for
        a key that is none, Forbidden for a page of another origin.
        """
        check_origin(call)
        if text is None and self._services.app.authenticate is not None and not self._services.demo:
            return await self._services.authenticate(call), None, _header(call, "", 0)
        now = self._services.clock()
        who, grant = await self._grant(call, text, now)
        cookie = encode_grant(grant, await self._key())
        if len(cookie) > signed.LONGEST:
            raise Forbidden("Who this key stands for is more than a cookie holds; send it in a header.")
        return who, grant.expires, _header(call, cookie, math.ceil(grant.expires - now))

    async def _grant(self, call: Call, text: str | None, now: float) -> tuple[Principal, Grant]:
        begun = float(math.ceil(now))
        if text is None:
            if not self._services.demo:
                raise Unauthorized("Sign in with a key, such as dk_….")
            check_is_here(call)
            return await self._of_demo(call, DEMO_ADMIN), Grant("demo", DEMO_ADMIN, begun + SECONDS)
        pair = parse_key(text)
        if pair is not None:
            key = await self._services.store.key(pair[0])
            if key is None or not is_valid(key, pair[1], now):
                raise Unauthorized("This key is not valid.")
            return principal_of(key), Grant("key", key.id, min(begun + SECONDS, key.expires or math.inf))
        if self._services.demo and demo_principal(text) is not None:
            return await self._of_demo(call, text), Grant("demo", text, begun + SECONDS)
        who = await self._of_app(call, text)
        return who, Grant("app", who, begun + APP_SECONDS)

    def sign_out(self, call: Call) -> dict[str, str]:
        """The header that takes the cookie away. Raises Forbidden for a page of another origin."""
        check_origin(call)
        return _header(call, "", 0)

    async def _of_demo(self, call: Call, token: str) -> Principal:
        allowed = DemoTokens(self._services.settings.demo.remote) if self._services.demo else None
        who = await allowed(call, token) if allowed is not None else None
        if who is None:
            raise Unauthorized("This browser's session is not valid here; sign in again.")
        return who

    async def _of_app(self, call: Call, text: str) -> Principal:
        """Whom the application's own callable knows by this key, as a bearer token and nothing else beside it.

        What else this request carries must not decide: the cookie would keep it for requests that carry it no more.
        """
        own = self._services.app.authenticate
        if own is None or not _BEARER.fullmatch(text):
            raise Unauthorized("This key is not valid.")
        shown = Headers({"authorization": f"Bearer {text}"})
        return await Authentication(UserCallable(own))(Call(call.method, call.path, headers=shown, peer=call.peer))

    async def _key(self) -> bytes:
        return await self._services.store.secret(_SECRET)


def check_origin(call: Call, *, surely: bool = False) -> None:
    """Raises Forbidden for a request that a page of another origin has made the browser send.

    `surely`: also for one that does not say where it comes from. Browsers leave that out only where a page reads over
    plain http from another machine, and clients that are no browsers.
    """
    site, origin = call.headers.get("sec-fetch-site"), call.headers.get("origin")
    if site is not None:
        is_ours = site in ("same-origin", "none")
    elif origin is not None:
        is_ours = _place(origin) is not None and _place(origin) == _place(call.base_url)
    else:
        is_ours = not surely
    if not is_ours:
        raise Forbidden("Only pages of this server may ask this with its cookie.", code="forbidden:origin")


def check_is_here(call: Call) -> None:
    """Raises Forbidden unless browser and server are on one machine, by its own name: any name may be made to lead here."""
    name, asked = urlsplit(call.base_url).hostname or "", call.headers.get("host", "")
    is_named = not asked or is_host(asked)  # in place of a host that is none stands the server's own address
    if not is_named or not is_loopback(name) or (call.peer is not None and not is_loopback(call.peer)):
        text = "The demo signs in by itself on this machine only, as localhost or 127.0.0.1."
        raise Forbidden(text, code="forbidden:demo")


def _place(url: str) -> tuple[str, str | None, int | None] | None:
    """Scheme, host and port; None for what is no URL, such as the origin `null`."""
    try:
        parts = urlsplit(url)
        return (parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)) if parts.hostname else None
    except ValueError:
        return None


def _header(call: Call, value: str, seconds: int) -> dict[str, str]:
    path = urlsplit(call.base_url).path or "/"
    parts = [f"{NAME}={value}", f"Path={path}", f"Max-Age={min(seconds, SECONDS)}", "HttpOnly", "SameSite=Strict"]
    return {"set-cookie": "; ".join([*parts, "Secure"] if is_https(call.base_url) else parts)}
