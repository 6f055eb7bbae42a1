"""Takes a known secret out of what a peer sent back: some echo it in their error messages."""

from __future__ import annotations

from urllib.parse import quote

from dragoman.core.redact import REDACTED

SHORTEST = 6
"""Shorter secrets are left: their letters stand in ordinary words."""


def scrubbed(data: bytes, secret: str | None) -> bytes:
    """The bytes without the secret, written plainly or percent-encoded."""
    if secret is None or len(secret) < SHORTEST:
        return data
    for form in {secret, quote(secret, safe="")}:
        data = data.replace(form.encode(), REDACTED.encode())
    return data
