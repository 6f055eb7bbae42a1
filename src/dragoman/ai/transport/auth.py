"""Where code written for ai_lib_python finds credentials; ours are in `transport.credentials`."""

from __future__ import annotations

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

__all__ = [
    "CredentialSourceKind",
    "ResolvedCredential",
    "build_auth_metadata",
    "diagnostic_text",
    "get_auth_header",
    "primary_auth",
    "resolve_api_key",
    "resolve_credential",
    "shadowed_auth",
]
