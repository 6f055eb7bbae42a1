"""Tokens of a Storage API, verified where the caller says they belong, if that place is on a list.

`x-storageapi-url` is data until the setting `kai.storage_urls` names it: a server that called
whatever URL it is told would be an open request forger (kai.md 4.7). Tokens are kept only as
keyed hashes, for five minutes at most.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from dragoman.core.errors import ProtocolError, TransportError, Unauthorized, Unavailable, UsageError
from dragoman.core.ports import Clock, Store
from dragoman.core.principal import Principal
from dragoman.server.http import Call
from dragoman.transport.io import IO
from dragoman.wire.http import Headers, Request, Response, Timeouts

VERIFY_PATH = "/v2/storage/tokens/verify"
SECONDS_KEPT = 300.0
TIMEOUT = 10.0
_MOST_KEPT = 10_000
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


class StorageTokens:
    """A way to sign in, for `dragoman.server.auth.Authentication`.

    Requests without `x-storageapi-url` are left to the other ways; a URL that is not listed is
    Unauthorized. The tenant is the project that the Storage API names as the token's owner, and the
    token's own where it names none, so that strangers never share one.
    """

    def __init__(self, io: IO, urls: Iterable[str], store: Store, clock: Clock) -> None:
        self._io = io
        self._urls = {_normal(url) for url in urls}
        self._store = store
        self._clock = clock
        self._known: OrderedDict[str, tuple[Principal, float]] = OrderedDict()

    async def __call__(self, call: Call, token: str | None) -> Principal | None:
        given = call.headers.get("x-storageapi-url", "").strip()
        if not given or token is None:
            return None
        try:
            url = _normal(given)
        except ValueError:  # no URL at all
            url = ""
        if url not in self._urls:
            raise Unauthorized("Tokens of this Storage API are not accepted here.")
        digest = await _digest(self._store, url, token)
        kept = self._known.get(digest)
        if kept is not None and kept[1] > self._clock():
            return kept[0]
        principal = _principal(url, digest, await self._verify(url, token))
        self._known[digest] = (principal, self._clock() + SECONDS_KEPT)
        self._known.move_to_end(digest)
        while len(self._known) > _MOST_KEPT:
            self._known.popitem(last=False)
        return principal

    async def _verify(self, url: str, token: str) -> dict[str, Any]:
        """What the Storage API says about the token. Raises Unauthorized or Unavailable."""
        headers = Headers({"x-storageapi-token": token, "accept": "application/json"})
        try:
            answer: Response = await self._io.send(
                Request("GET", url + VERIFY_PATH, headers, timeouts=Timeouts.all(TIMEOUT))
            )
            if answer.status in (401, 403):
                raise Unauthorized("The Storage API does not know this token.")
            told = answer.json() if answer.ok else None
        except UsageError as error:
            raise Unauthorized(
                "This token cannot be sent to the Storage API: it holds characters that no request can carry."
            ) from error
        except (TransportError, ProtocolError) as error:
            raise Unavailable("The Storage API could not be asked about this token.", retry_after=5.0) from error
        if not isinstance(told, dict):
            raise Unavailable("The Storage API gave no usable answer about this token.", retry_after=5.0)
        return told


async def user_of(store: Store, url: str, token: str) -> str:
    """The user that this token of the Storage API at `url` stands for."""
    return (await _digest(store, _normal(url), token))[:32]


async def _digest(store: Store, url: str, token: str) -> str:
    secret = await store.secret("storage-tokens")
    return hmac.new(secret, f"{url}\0{token}".encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def _normal(url: str) -> str:
    """The URL without path end and with the host in lower case, so that spellings compare equal."""
    parts = urlsplit(url.strip())
    return f"{parts.scheme.lower()}://{parts.netloc.lower()}{parts.path.rstrip('/')}"


def _principal(url: str, digest: str, told: dict[str, Any]) -> Principal:
    owner = told.get("owner")
    project = owner.get("id") if isinstance(owner, dict) else None
    host = _UNSAFE.sub("-", urlsplit(url).netloc)[:64]
    place = _UNSAFE.sub("-", str(project))[:48] if isinstance(project, str | int) and str(project) else digest[:32]
    return Principal(f"{host}:{place}", digest[:32])
