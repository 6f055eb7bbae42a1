"""API keys: how one is made, spelt, and checked against what is stored.

A key is an id and a secret; the store has only a hash of the secret, which is random enough to
need no salt. Each wire spells the pair its own way (DESIGN.md, *Keys*); here it is `dk_ID_SECRET`,
and on the Noukai wire, whose clients refuse any other, `nk_ID_SECRET`.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence

from dragoman.core.errors import UsageError
from dragoman.core.ids import is_id
from dragoman.core.records import Key

PREFIX = "dk_"
NOUKAI_PREFIX = "nk_"
SCOPES = ("use", "admin")

_NO_HASH = "0" * 64


def create_key(
    *,
    tenant: str,
    user: str,
    now: float,
    scopes: Sequence[str] = ("use",),
    name: str = "",
    projects: Sequence[str] | None = None,
    rate_limit: tuple[int, float] | None = None,
    budget: float | None = None,
    expires: float | None = None,
) -> tuple[Key, str]:
    """A new key, to be stored, and its text, to be shown once and then forgotten.

    `rate_limit` is (requests, seconds), `expires` seconds since the epoch. Raises UsageError for
    an unknown scope, a bad tenant or user, or an expiry in the past.
    """
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown or not scopes:
        raise UsageError(f"expected scopes out of {', '.join(SCOPES)}, got {', '.join(unknown) or 'none'}")
    if not is_id(tenant) or (user and not is_id(user)):
        raise UsageError(f"tenant and user must match [A-Za-z0-9._~:-]{{1,128}}, got {tenant!r} and {user!r}")
    if expires is not None and expires <= now:
        raise UsageError("the key would have expired already")
    key_id, secret = secrets.token_hex(8), secrets.token_hex(32)
    key = Key(
        id=key_id,
        hash=hash_secret(secret),
        tenant=tenant,
        user=user,
        scopes=tuple(dict.fromkeys(("use", *scopes))),
        created=now,
        name=name,
        projects=tuple(projects) if projects is not None else None,
        rate_limit=rate_limit,
        budget=budget,
        expires=expires,
    )
    return key, f"{PREFIX}{key_id}_{secret}"


def hash_secret(secret: str) -> str:
    """What the store keeps of a secret."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def parse_key(text: str, prefix: str = PREFIX) -> tuple[str, str] | None:
    """(id, secret) of `dk_ID_SECRET`, or of what has `prefix` instead; None if it is spelt otherwise."""
    if not text.startswith(prefix):
        return None
    key_id, mark, secret = text[len(prefix) :].partition("_")
    return (key_id, secret) if mark and is_id(key_id) and secret else None


def is_valid(key: Key | None, secret: str, now: float) -> bool:
    """Whether `secret` opens the key now; takes as long for a key that does not exist."""
    same = hmac.compare_digest(key.hash if key is not None else _NO_HASH, hash_secret(secret))
    return key is not None and same and is_open(key, now)


def is_open(key: Key, now: float) -> bool:
    """Whether the key has neither been revoked nor expired."""
    return key.revoked is None and (key.expires is None or key.expires > now)
