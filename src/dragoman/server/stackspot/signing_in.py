"""The token endpoint: a client's id and secret for an access token (stackspot.md 2.1; RFC 6749, 4.4).

A client is a stored key of the realm, whose name is the tenant's, or one of the demo's. Wrong secrets are counted
by client and by address, and after too many of one client's none is looked at for a while.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote_plus

from dragoman.core.errors import RateLimited, Unauthorized
from dragoman.core.ids import is_id
from dragoman.server.http import Answer, Call, Route
from dragoman.server.keys import is_valid
from dragoman.server.stackspot.context import Context
from dragoman.server.stackspot.errors import TOKEN, refuse
from dragoman.server.stackspot.tokens import (
    DEMO_REALM,
    DEMO_SECRET,
    Kind,
    check_demo_peer,
    demo_principal,
    issue,
)

FAILURES = (30, 60.0)
"""Wrong secrets of one client from one address, and in how many seconds."""

FAILURES_OF_PEER = (300, 60.0)
"""Those of one address, whatever the client. Who has the right secret is let in all the same: many share an address."""

REFUSED = "The client is not known, or its secret is another one; "
DEMO_CLIENTS = f"those of the demo are demo-NAME, such as demo-you, with the secret {DEMO_SECRET}."
KEYS_AS_CLIENTS = "a client is a key of this realm: what is behind its dk_ is the id, then _ and the secret."

_BODY = 16 * 1024
_FIELDS = 50


def routes(context: Context) -> tuple[Route, ...]:
    """The token endpoint."""
    signing_in = SigningIn(context)
    path = "/{realm}/oidc/oauth/token"
    return (Route("POST", path, signing_in.token, auth="none", surface=TOKEN, body_limit=_BODY),)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a client gives to sign in."""

    client: str
    secret: str


class SigningIn:
    """Handler of the token endpoint."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._services = context.services

    async def token(self, call: Call) -> Answer:
        """`POST /{realm}/oidc/oauth/token`."""
        realm = call.params["realm"]
        await self._check_realm(realm)
        form = await _form(call)
        grant_type = form.get("grant_type", "")
        if not grant_type:
            raise refuse(400, "invalid_request", "grant_type is missing.")
        if grant_type != "client_credentials":
            raise refuse(400, "unsupported_grant_type", "Only the grant type client_credentials is offered.")
        given = _credentials(call, form)
        kind = await self._kind_of(call, realm, given)
        token, seconds = await issue(self._context, kind, given.client, realm)
        answer = {"access_token": token, "token_type": "Bearer", "expires_in": seconds}
        return Answer.json(answer, headers={"pragma": "no-cache"})

    async def _check_realm(self, realm: str) -> None:
        if self._services.demo and realm == DEMO_REALM:
            return
        if not is_id(realm) or not await self._services.store.keys(realm):
            raise refuse(404, "invalid_request", f"There is no realm {realm[:200]!r}; it is {self._known_realm()}.")

    def _known_realm(self) -> str:
        if self._services.demo:
            return f"{DEMO_REALM!r} in the demo"
        return "the tenant of the key, which `dragoman keys list` shows"

    async def _kind_of(self, call: Call, realm: str, given: Credentials) -> Kind:
        """What kind of client it is whose secret this is. Raises Unauthorized, RateLimited."""
        if self._services.demo and realm == DEMO_REALM and demo_principal(given.client) is not None:
            # no guess is worth anything here, so a client is never kept out for the guesses of others
            if hmac.compare_digest(given.secret.encode(errors="replace"), DEMO_SECRET.encode()):
                check_demo_peer(call, remote=self._services.settings.demo.remote)
                return "demo"
            raise self._refused(call, realm, given)
        self._check_failures(call, given)
        key = await self._services.store.key(given.client) if is_id(given.client) else None
        if not is_valid(key, given.secret, self._context.now()) or key is None or key.tenant != realm:
            raise self._refused(call, realm, given)
        return "key"

    def _windows(self, call: Call, given: Credentials) -> tuple[tuple[str, tuple[int, float]], ...]:
        peer = call.peer or ""
        return (
            (f"stackspot secrets {peer}", FAILURES_OF_PEER),
            (f"stackspot secrets {peer} {given.client[:128]}", FAILURES),
        )

    def _check_failures(self, call: Call, given: Credentials) -> None:
        _, (key, limit) = self._windows(call, given)
        try:
            self._services.rates.check(key, limit, self._context.now())
        except RateLimited as error:
            raise _too_many(error) from error

    def _refused(self, call: Call, realm: str, given: Credentials) -> Exception:
        """Count a wrong secret; what to raise for it."""
        for key, limit in self._windows(call, given):
            try:
                self._services.rates.take(key, limit, self._context.now())
            except RateLimited as error:
                return _too_many(error)
        hint = DEMO_CLIENTS if self._services.demo and realm == DEMO_REALM else KEYS_AS_CLIENTS
        return Unauthorized(REFUSED + hint, code="invalid_client")


def _too_many(error: RateLimited) -> RateLimited:
    return RateLimited("There were too many wrong secrets; wait.", code="slow_down", retry_after=error.retry_after)


async def _form(call: Call) -> dict[str, str]:
    """The fields of the body, each given once."""
    kind = call.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = await call.body()
    if kind not in ("application/x-www-form-urlencoded", ""):
        raise refuse(400, "invalid_request", "Expected a body of application/x-www-form-urlencoded.")
    try:
        fields = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=_FIELDS, errors="strict")
    except ValueError as error:
        raise refuse(400, "invalid_request", "The body is not a form in UTF-8.") from error
    twice = [name for name, values in fields.items() if len(values) > 1]
    if twice:
        raise refuse(400, "invalid_request", f"{twice[0][:100]} is given twice.")
    return {name: values[0] for name, values in fields.items()}


def _credentials(call: Call, form: dict[str, str]) -> Credentials:
    """Those of the header, else those of the form. Raises BadRequest, Unauthorized."""
    scheme, _, rest = call.headers.get("authorization", "").strip().partition(" ")
    if scheme.lower() == "basic":
        return _basic(rest.strip())
    client, secret = form.get("client_id", ""), form.get("client_secret", "")
    if not client or not secret:
        raise refuse(400, "invalid_request", f"{'client_secret' if client else 'client_id'} is missing.")
    return Credentials(client, secret)


def _basic(text: str) -> Credentials:
    try:
        client, colon, secret = base64.b64decode(text, validate=True).decode().partition(":")
    except (binascii.Error, ValueError) as error:
        raise Unauthorized("The header Authorization holds no client.", code="invalid_client") from error
    if not client or not colon:
        raise Unauthorized("The header Authorization holds no client.", code="invalid_client")
    return Credentials(unquote_plus(client), unquote_plus(secret))
