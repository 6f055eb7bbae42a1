"""Tokens in the addresses of files: who has one may do one thing with one file for some time.

An `<img>` and an upload to another origin carry no credentials, so the address does. A token is signed, not stored.
It is good for a file of the user for whom it was made and for no other's: a message may name any id, and reading the
message back must not open another user's file.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from typing import Literal, TypeAlias

Deed: TypeAlias = Literal["get", "put"]
_SIGNATURE_BYTES = 24
_OWNER_BYTES = 12


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token says: a tenant, and in `owner` whose file it must be; see `Signer.covers`."""

    tenant: str
    owner: str


class Signer:
    """Makes and checks tokens with one secret."""

    def __init__(self, secret: str | bytes) -> None:
        """Raises ValueError for an empty secret."""
        if not secret:
            raise ValueError("the secret that signs the addresses of files is empty; give it 32 random bytes")
        raw = secret.encode() if isinstance(secret, str) else secret
        self._key = hashlib.sha256(b"dragoman.files\0" + raw).digest()

    def sign(self, deed: Deed, id: str, *, tenant: str, owner: str, expires: float) -> str:
        """A token for this deed with this file, if it is this owner's, up to `expires`."""
        told = f"{int(expires):x}.{_encode(tenant.encode())}.{self._mark(owner)}"
        return f"{told}.{self._signature(deed, id, told)}"

    def grant(self, deed: Deed, id: str, token: str, *, now: float) -> Grant | None:
        """What the token says; None unless it is ours, for this, and not over."""
        told, _, signature = token.rpartition(".")
        if not hmac.compare_digest(signature.encode(errors="replace"), self._signature(deed, id, told).encode()):
            return None
        try:
            expires, tenant, owner = told.split(".")
            return Grant(_decode(tenant).decode(), owner) if int(expires, 16) > now else None
        except (ValueError, binascii.Error):
            return None

    def covers(self, grant: Grant, owner: str) -> bool:
        """Whether the grant is for files of this owner, who is not to be read from an address."""
        return hmac.compare_digest(grant.owner, self._mark(owner))

    def _mark(self, owner: str) -> str:
        return self._digest(f"owner\0{owner}", _OWNER_BYTES)

    def _signature(self, deed: Deed, id: str, told: str) -> str:
        return self._digest(f"{deed}\0{id}\0{told}", _SIGNATURE_BYTES)

    def _digest(self, text: str, size: int) -> str:
        return _encode(hmac.digest(self._key, text.encode(errors="replace"), "sha256")[:size])


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
