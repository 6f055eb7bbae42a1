"""Absolute URLs from a base, a path and query values; what of them may be shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit, urlunsplit

from dragoman.ai.errors import ValidationError
from dragoman.ai.transport.credentials import REDACTED


def join_url(base: str, path: str, query: Mapping[str, Any] | None = None) -> str:
    """`base` + `path`, with the queries of both and `query` behind; an absolute path replaces the base.

    A base may have a path, a query and a trailing slash. Values of `query` win over equal names;
    None leaves a name out. Raises ValidationError for what is no URL.
    """
    if "://" in path.partition("?")[0]:
        base, path = path, ""
    whole = _split(base if "://" in base else f"https://{base}")
    below, _, tail = path.partition("?")
    joined = whole.path.rstrip("/") + (f"/{below.lstrip('/')}" if below else "") or "/"
    if not below and whole.path:
        joined = whole.path
    given = {name: _text(value) for name, value in (query or {}).items() if value is not None}
    pairs = [pair for text in (whole.query, tail) for pair in parse_qsl(text, keep_blank_values=True)]
    kept = [pair for pair in pairs if pair[0] not in given] + list(given.items())
    return urlunsplit((whole.scheme, whole.netloc, joined, urlencode(kept, quote_via=quote), ""))


def leads_away(base: str, path: str) -> bool:
    """Whether a path is absolute and names another origin than the base."""
    if "://" not in path.partition("?")[0]:
        return False
    here, there = _split(base), _split(path)
    return (here.scheme.lower(), here.netloc.lower()) != (there.scheme.lower(), there.netloc.lower())


def shown_url(url: str) -> str:
    """The URL without user name, password and query values."""
    whole = _split(url)
    names = [name for name, _ in parse_qsl(whole.query, keep_blank_values=True)]
    query = "&".join(f"{name}={REDACTED}" for name in names)
    return urlunsplit((whole.scheme, whole.netloc.rpartition("@")[2], whole.path, query, ""))


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError as error:
        raise ValidationError(f"this is no URL: {error}", field="base_url", expected="a URL") from error


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
