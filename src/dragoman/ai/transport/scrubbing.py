"""Takes a known secret out of what a peer sent back: some echo it in their error messages.

What tells of a failure is cleaned, and an answer only where others than the key's owner see it as it came, and the
key is too long to be an ordinary word.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from dragoman.ai.errors import ErrorContext
from dragoman.core.redact import REDACTED

SHORTEST = 6
"""Shorter secrets are left: their letters stand in ordinary words."""
NO_WORD = 16
"""Of so many characters a secret is no ordinary word."""


def scrubbed(data: bytes, secret: str | None) -> bytes:
    """The bytes without the secret, written plainly or percent-encoded."""
    for form in _forms(secret):
        data = data.replace(form.encode(), REDACTED.encode())
    return data


def conceal(value: Any, secret: str | None) -> Any:
    """A JSON-like value without the secret in any of its texts."""
    forms = _forms(secret)
    return _conceal(value, forms) if forms else value


def conceal_error(error: BaseException, secret: str | None) -> None:
    """Take the secret out of the texts of an error and of all that led to it."""
    forms = _forms(secret)
    waiting: list[BaseException | None] = [error] if forms else []
    seen: set[int] = set()
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        one.args = _conceal(one.args, forms)
        for name, value in list(getattr(one, "__dict__", {}).items()):
            if isinstance(value, ErrorContext):
                vars(value).update(_conceal(vars(value), forms))
            elif isinstance(value, str | bytes | Mapping | list | tuple):
                one.__dict__[name] = _conceal(value, forms)
        waiting += [one.__cause__, one.__context__]


def _forms(secret: str | None) -> tuple[str, ...]:
    if secret is None or len(secret) < SHORTEST:
        return ()
    packed = base64.b64encode(secret.encode("utf-8", "surrogatepass")).decode().rstrip("=")
    return tuple({secret, quote(secret, safe="", errors="replace"), packed})


def _conceal(value: Any, forms: tuple[str, ...]) -> Any:
    if type(value) is str:  # words of an enumeration are ours and stay what they are
        for form in forms:
            value = value.replace(form, REDACTED)
    elif type(value) is bytes:
        for form in forms:
            value = value.replace(form.encode(), REDACTED.encode())
    elif isinstance(value, Mapping):
        return {_conceal(name, forms): _conceal(inner, forms) for name, inner in value.items()}
    elif type(value) is list or type(value) is tuple:
        return type(value)(_conceal(inner, forms) for inner in value)
    return value
