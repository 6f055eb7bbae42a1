"""Requests to providers: credentials, addresses, limits, connections.

Names load when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dragoman.core.lazy import lazily

if TYPE_CHECKING:
    from dragoman.ai.transport import credentials as credentials
    from dragoman.ai.transport import http as http
    from dragoman.ai.transport import pool as pool
    from dragoman.ai.transport.credentials import (
        CredentialSourceKind,
        ResolvedCredential,
        build_auth_metadata,
        diagnostic_text,
        get_auth_header,
        primary_auth,
        resolve_api_key,
        resolve_credential,
        shadowed_auth,
    )
    from dragoman.ai.transport.http import HttpTransport
    from dragoman.ai.transport.pool import (
        ConnectionPool,
        PoolConfig,
        PooledTransport,
        PoolStats,
        close_global_pool,
        get_connection_pool,
        set_connection_pool,
    )
    from dragoman.ai.transport.response import HttpResponse

_MODULES = ("credentials", "http", "pool")
_NAMES = {
    "credentials": (
        "CredentialSourceKind ResolvedCredential build_auth_metadata diagnostic_text get_auth_header primary_auth"
        " resolve_api_key resolve_credential shadowed_auth"
    ),
    "http": "HttpTransport",
    "pool": (
        "ConnectionPool PoolConfig PoolStats PooledTransport close_global_pool get_connection_pool set_connection_pool"
    ),
    "response": "HttpResponse",
}

__all__ = [
    "ConnectionPool",
    "CredentialSourceKind",
    "HttpResponse",
    "HttpTransport",
    "PoolConfig",
    "PoolStats",
    "PooledTransport",
    "ResolvedCredential",
    "build_auth_metadata",
    "close_global_pool",
    "diagnostic_text",
    "get_auth_header",
    "get_connection_pool",
    "primary_auth",
    "resolve_api_key",
    "resolve_credential",
    "set_connection_pool",
    "shadowed_auth",
]

__getattr__, __dir__ = lazily(__name__, _NAMES, _MODULES)
