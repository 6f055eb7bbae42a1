"""Access tokens: what the token endpoint gives and every other endpoint of this wire asks for.

A token is signed and not stored, with a secret of the store's: it opens every process of this data directory, and
after a restart, until it expires. It names a key, so that a key that is revoked closes its tokens too.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Literal, TypeAlias

from dragoman.core.errors import Forbidden, Unauthorized
from dragoman.core.principal import Principal
from dragoman.core.records import Key
from dragoman.server import signed
from dragoman.server.addresses import is_loopback
from dragoman.server.auth import (
    DEMO_TENANT,
    Authentication,
    Authenticator,
    UserCallable,
    bearer_of,
    demo_user,
    principal_of,
)
from dragoman.server.auth import demo_principal as demo_user_principal
from dragoman.server.http import Call
from dragoman.server.keys import is_open
from dragoman.server.stackspot.context import Context

PREFIX = "sst_"
DEMO_CLIENT = "demo"
DEMO_REALM = DEMO_TENANT
DEMO_SECRET = "demo-secret"  # public, as DEMO.md says

Kind: TypeAlias = Literal["key", "demo"]

_PURPOSE = "access tokens"


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token says: a stored key or a client of the demo, its realm, and up to when."""

    kind: Kind
    client: str
    realm: str
    expires: float


def encode_token(grant: Grant, key: bytes) -> str:
    """The token; no two are alike."""
    told = [grant.kind, grant.client, grant.realm, int(grant.expires), secrets.token_hex(6)]
    return signed.encode(told, key, prefix=PREFIX)


def decode_token(token: str, key: bytes, *, now: float) -> Grant | None:
    """What the token says; None unless it is ours and not over."""
    told = signed.decode(token, key, prefix=PREFIX)
    if told is None:
        return None
    kind, client, realm, expires, _ = told
    return Grant(kind, client, realm, expires) if expires > now else None


def demo_principal(client: str) -> Principal | None:
    """Who a client of the demo stands for; None if it is none."""
    if client == DEMO_CLIENT:
        return Principal(tenant=DEMO_TENANT, user=demo_user(DEMO_CLIENT))
    return demo_user_principal(client)


def check_demo_peer(call: Call, *, remote: bool) -> None:
    """Raises Forbidden for a caller from elsewhere: the demo's credentials are public."""
    if not remote and call.peer is not None and not is_loopback(call.peer):
        raise Forbidden("The demo answers this machine only; the setting 'demo.remote' opens it.")


class AccessTokens:
    """The authenticator of this wire."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._services = context.services

    async def __call__(self, call: Call, token: str | None) -> Principal | None:
        if token is None or not token.startswith(PREFIX):
            return None
        now = self._context.now()
        grant = decode_token(token, await self._context.key(_PURPOSE), now=now)
        if grant is None:
            raise Unauthorized("This token is not valid, or not any more; ask for another.")
        if grant.kind == "demo":
            principal = demo_principal(grant.client) if self._services.demo else None
            if principal is None:
                raise Unauthorized("This token is not valid here.")
            check_demo_peer(call, remote=self._services.settings.demo.remote)
            return principal
        return self._of_key(await self._services.store.key(grant.client), grant, now)

    def _of_key(self, key: Key | None, grant: Grant, now: float) -> Principal:
        if key is None or key.tenant != grant.realm or not is_open(key, now):
            raise Unauthorized("The client of this token is not valid any more.")
        if key.rate_limit is not None:
            self._services.rates.take(key.id, key.rate_limit, now)
        return principal_of(key)


async def issue(context: Context, kind: Kind, client: str, realm: str) -> tuple[str, int]:
    """A new token, and for how many seconds it is valid."""
    seconds = context.settings.token_seconds
    grant = Grant(kind, client, realm, context.now() + seconds)
    return encode_token(grant, await context.key(_PURPOSE)), seconds


def authentication(context: Context) -> Authentication:
    """The ways of this wire: its own tokens, then the application's callable."""
    ways: list[Authenticator] = [AccessTokens(context)]
    own = context.services.app.authenticate
    if own is not None:
        ways.append(UserCallable(own))
    return Authentication(*ways, token=bearer_of)
