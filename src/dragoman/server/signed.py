"""Tokens that are signed and not stored: a JSON value, and a signature that only this store's secret can make.

They open every process of a data directory, and after a restart. What a token says, whom it lets in and when it is
over is the business of whoever makes it; nothing here knows a wire.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from typing import Any

LONGEST = 2048


def encode(told: Any, key: bytes, *, prefix: str) -> str:
    """The token."""
    body = _encode(json.dumps(told, separators=(",", ":")).encode())
    return f"{prefix}{body}.{_signature(body, key)}"


def decode(token: str, key: bytes, *, prefix: str) -> Any:
    """What the token says; None unless it was made with this key and prefix."""
    if not token.startswith(prefix) or len(token) > LONGEST:
        return None
    body, _, signature = token.removeprefix(prefix).partition(".")
    if not hmac.compare_digest(signature.encode(errors="replace"), _signature(body, key).encode()):
        return None
    try:
        return json.loads(_decode(body))
    except (ValueError, binascii.Error):
        return None


def derive(secret: bytes, purpose: str) -> bytes:
    """32 bytes to sign with, for one purpose."""
    return hmac.digest(secret, purpose.encode(), hashlib.sha256)


def _signature(body: str, key: bytes) -> str:
    return _encode(hmac.digest(key, body.encode(errors="replace"), hashlib.sha256))


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
