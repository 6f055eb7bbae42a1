"""Credentials become a principal here and nowhere else.

Three ways, tried in this order: the demo's public tokens (in demo mode), stored keys, the user's
own callable. Credentials are compared in constant time, never stored, never logged.
"""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Protocol

from dragoman.core.errors import Forbidden, Unauthorized, UsageError
from dragoman.core.ids import is_id
from dragoman.core.ports import Clock, Store
from dragoman.core.principal import Principal
from dragoman.core.records import Key
from dragoman.server.addresses import is_loopback
from dragoman.server.http import Call
from dragoman.server.keys import NOUKAI_PREFIX, PREFIX, is_valid, parse_key
from dragoman.server.rates import SlidingWindows

DEMO_TENANT = "demo"
DEMO_ADMIN = "demo-you"

_LIMITED = re.compile(r"demo-limit(\d{1,9})-")
_DEMO_TOKEN = re.compile(r"demo-[\x21-\x7e]{0,250}")
_DEMO_NOUKAI = {
    "nk_demo": Principal(tenant=DEMO_TENANT, user="", key_id="nk_demo"),
    "nk_other": Principal(tenant="other", user="", key_id="nk_other"),
    "nk_poor": Principal(tenant=DEMO_TENANT, user="", key_id="nk_poor", budget=0.0),
    "nk_limited": Principal(tenant=DEMO_TENANT, user="", key_id="nk_limited", rate_limit=(3, 10.0)),
}


class Authenticator(Protocol):
    """One way to sign in: None means "not my kind of credential"."""

    async def __call__(self, call: Call, token: str | None) -> Principal | None: ...


def token_of(headers: Mapping[str, str]) -> str | None:
    """The credential a request carries: `x-storageapi-token`, else `Authorization: Bearer`."""
    token = headers.get("x-storageapi-token", "").strip()
    if token:
        return token
    return bearer_of(headers)


def bearer_of(headers: Mapping[str, str]) -> str | None:
    """The token of `Authorization: Bearer`."""
    scheme, _, rest = headers.get("authorization", "").strip().partition(" ")
    return rest.strip() or None if scheme.lower() == "bearer" else None


def demo_user(name: str) -> str:
    """The opaque user id of a demo token (or of the StackSpot client of that name)."""
    return hashlib.sha256(b"dragoman demo user\0" + name.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def demo_principal(token: str) -> Principal | None:
    """Who a demo token stands for, as DEMO.md says; None for any other token."""
    if not _DEMO_TOKEN.fullmatch(token):
        return None
    limited = _LIMITED.match(token)
    return Principal(
        tenant=DEMO_TENANT,
        user=demo_user(token),
        scopes=frozenset({"use", "admin"}) if token == DEMO_ADMIN else frozenset({"use"}),
        message_limit=int(limited[1]) if limited else None,
    )


@dataclass(frozen=True, slots=True)
class DemoTokens:
    """Any token that begins with `demo-`; only from this machine unless `remote`."""

    remote: bool = False

    async def __call__(self, call: Call, token: str | None) -> Principal | None:
        principal = demo_principal(token) if token is not None else None
        if principal is not None and not self.remote and call.peer is not None and not is_loopback(call.peer):
            raise Forbidden("The demo answers this machine only; the setting 'demo.remote' opens it.")
        return principal


@dataclass(frozen=True, slots=True)
class DemoNoukaiKeys:
    """The demo's keys for flows (DEMO.md): `nk_demo`, `nk_other`, `nk_poor`, `nk_limited`, `nk_demo-<name>`."""

    rates: SlidingWindows
    clock: Clock
    remote: bool = False

    async def __call__(self, call: Call, token: str | None) -> Principal | None:
        principal = demo_noukai_principal(token) if token is not None else None
        if principal is None:
            return None
        if not self.remote and call.peer is not None and not is_loopback(call.peer):
            raise Forbidden("The demo answers this machine only; the setting 'demo.remote' opens it.")
        if principal.rate_limit is not None:
            self.rates.take(f"demo {principal.key_id}", principal.rate_limit, self.clock())
        return principal


def demo_noukai_principal(token: str) -> Principal | None:
    """Who a demo key of the Noukai wire stands for; None for any other token."""
    if token in _DEMO_NOUKAI:
        return _DEMO_NOUKAI[token]
    user = demo_principal(token.removeprefix(NOUKAI_PREFIX)) if token.startswith(NOUKAI_PREFIX) else None
    if user is None:
        return None
    return Principal(tenant=DEMO_TENANT, user=user.user, key_id="nk_demo")


@dataclass(frozen=True, slots=True)
class StoredKeys:
    """Keys `dk_ID_SECRET`, or with another `prefix`. A key's rate limit counts here; refused requests do not count."""

    store: Store
    clock: Clock
    rates: SlidingWindows
    prefix: str = PREFIX

    async def __call__(self, call: Call, token: str | None) -> Principal | None:
        pair = parse_key(token, self.prefix) if token is not None else None
        if pair is None:
            return None
        key_id, secret = pair
        key, now = await self.store.key(key_id), self.clock()
        if not is_valid(key, secret, now) or key is None:
            raise Unauthorized("This key is not valid.")
        if key.rate_limit is not None:
            self.rates.take(key.id, key.rate_limit, now)
        return principal_of(key)


def principal_of(key: Key) -> Principal:
    """Who a stored key stands for."""
    return Principal(
        tenant=key.tenant,
        user=key.user,
        scopes=frozenset(key.scopes),
        key_id=key.id,
        rate_limit=key.rate_limit,
        budget=key.budget,
        projects=key.projects,
    )


@dataclass(frozen=True, slots=True)
class UserCallable:
    """`App(authenticate=…)`: request headers → Principal, a dict of its fields, or None to refuse."""

    function: Callable[[Mapping[str, str]], Any]

    async def __call__(self, call: Call, token: str | None) -> Principal | None:
        found = self.function(call.headers)
        if inspect.isawaitable(found):
            found = await found
        return as_principal(found)


def as_principal(found: object) -> Principal | None:
    """What a user's callable gave, as a principal. Raises UsageError for a value that cannot be one."""
    if found is None:
        return None
    if isinstance(found, Principal):
        principal = found
    elif isinstance(found, Mapping):
        known = {field.name for field in fields(Principal)}
        unknown = sorted(str(name) for name in found if name not in known)
        if unknown or "tenant" not in found or "user" not in found:
            raise UsageError(
                "authenticate= must give a Principal, None, or a dict with 'tenant' and 'user' and perhaps "
                f"{', '.join(sorted(known - {'tenant', 'user'}))}; it gave the keys {sorted(map(str, found))}"
            )
        values = dict(found)
        for name, make in (("scopes", frozenset), ("projects", tuple), ("rate_limit", tuple)):
            if values.get(name) is not None:
                values[name] = make(values[name])
        principal = Principal(**values)
    else:
        raise UsageError(f"authenticate= must give a Principal, a dict or None, not {type(found).__name__}")
    if not is_id(principal.tenant) or (principal.user != "" and not is_id(principal.user)):
        raise UsageError("authenticate= gave a tenant or user that does not match [A-Za-z0-9._~:-]{1,128}")
    return principal


class Authentication:
    """All the ways of one application; the first that knows the credential decides."""

    def __init__(self, *ways: Authenticator, token: Callable[[Mapping[str, str]], str | None] = token_of) -> None:
        self._ways = ways
        self._token = token

    async def __call__(self, call: Call) -> Principal:
        """Who calls. Raises Unauthorized, Forbidden or RateLimited."""
        token = self._token(call.headers)
        for way in self._ways:
            try:
                principal = await way(call, token)
            except UsageError as error:  # the app's fault, not the caller's: it must end as a 500
                raise RuntimeError(error.message) from error
            if principal is not None:
                if "use" not in principal.scopes and not principal.is_admin:
                    raise Forbidden("These credentials lack the scope 'use'.")
                return principal
        raise Unauthorized("Credentials are missing." if token is None else "These credentials are not valid.")


def authentication(
    store: Store,
    clock: Clock,
    *,
    demo: bool = False,
    demo_remote: bool = False,
    own: Callable[[Mapping[str, str]], Awaitable[Any] | Any] | None = None,
    rates: SlidingWindows | None = None,
) -> Authentication:
    """The ways that an application offers."""
    ways: list[Authenticator] = [DemoTokens(demo_remote)] if demo else []
    ways.append(StoredKeys(store, clock, rates if rates is not None else SlidingWindows()))
    if own is not None:
        ways.append(UserCallable(own))
    return Authentication(*ways)


def noukai_authentication(
    store: Store,
    clock: Clock,
    *,
    rates: SlidingWindows,
    demo: bool = False,
    demo_remote: bool = False,
    own: Callable[[Mapping[str, str]], Awaitable[Any] | Any] | None = None,
) -> Authentication:
    """The ways of the Noukai wire: the same keys, spelt `nk_ID_SECRET`, as a bearer token alone."""
    ways: list[Authenticator] = [DemoNoukaiKeys(rates, clock, demo_remote)] if demo else []
    ways.append(StoredKeys(store, clock, rates, NOUKAI_PREFIX))
    if own is not None:
        ways.append(UserCallable(own))
    return Authentication(*ways, token=bearer_of)
