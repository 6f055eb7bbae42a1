"""Which limits and which proxy a request gets: arguments first, then the environment, then the manifest.

Reads the environment and nothing else; `dragoman.ai.transport.http` asks when it makes a request
or its connections.
"""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING

from dragoman.ai.errors import ValidationError
from dragoman.transport.options import ClientOptions
from dragoman.wire.http import Timeouts

if TYPE_CHECKING:
    from dragoman.ai.protocol.manifest import ProtocolManifest

CONNECT_SECONDS = 10.0
DEFAULT_SECONDS = 30.0
PLAIN_FLOOR_SECONDS = 60.0
"""A whole answer may come minutes after the request; manifests, which say 10 s, mean streams."""

ANSWER_BYTES = 64 * 1024 * 1024
"""The longest answer that is read whole; images and sounds are in some."""

TIMEOUT_VARIABLES = ("AI_HTTP_TIMEOUT_SECS", "AI_TIMEOUT_SECS")


def resolve_timeout(explicit: float | None, manifest: ProtocolManifest | None, *, streaming: bool = False) -> float:
    """Seconds that the peer may stay silent: argument, environment, manifest, 30.

    A manifest's value counts as at least 60 for plain calls. Raises ValidationError for a value
    that is no positive number.
    """
    if explicit is not None:
        return _positive(explicit, "timeout")
    for name in TIMEOUT_VARIABLES:
        if text := os.environ.get(name, "").strip():
            return _positive(text, name)
    if manifest is None or "timeout_ms" not in manifest.endpoint.model_fields_set:
        return DEFAULT_SECONDS
    milliseconds = manifest.endpoint.timeout_ms
    return milliseconds / 1000 if streaming else max(milliseconds / 1000, PLAIN_FLOOR_SECONDS)


def _positive(value: float | str, name: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = math.nan
    if not (seconds > 0 and math.isfinite(seconds)):
        raise ValidationError(
            f"{name} is a time in seconds above 0, got {value!r}", field=name, expected="seconds above 0", actual=value
        )
    return seconds


def timeouts(seconds: float) -> Timeouts:
    """The limits of one exchange; connecting never takes longer than 10 s."""
    return Timeouts(connect=min(seconds, CONNECT_SECONDS), read=seconds, write=seconds, pool=seconds)


def trusts_environment() -> bool:
    return os.environ.get("AI_HTTP_TRUST_ENV", "").strip().lower() in ("1", "true", "yes")


def connection_options(proxy: str | None = None, *, http2: bool = False) -> ClientOptions:
    """How connections are made: `proxy`, else `AI_PROXY_URL`, else the standard variables if they are trusted."""
    trusted = trusts_environment()
    chosen = (proxy or os.environ.get("AI_PROXY_URL", "")).strip() or None
    exceptions = [os.environ.get("AI_PROXY_NO_PROXY", "")] if trusted else []
    if trusted and chosen:  # the driver reads these only when it takes its proxy from there too
        exceptions += [os.environ.get("NO_PROXY", ""), os.environ.get("no_proxy", "")]
    hosts = [host.strip() for text in exceptions for host in text.split(",")]
    return ClientOptions(
        answer_bytes=ANSWER_BYTES,
        trust_env=trusted,
        trust_certificates=True,
        http2=http2,
        proxy=chosen,
        no_proxy=tuple(dict.fromkeys(filter(None, hosts))),
        quiet_urls=True,
    )
