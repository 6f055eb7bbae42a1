"""Where a provider's secret comes from, and how it goes out with a request.

    explicit argument → the manifest's variables → <ID>_API_KEY → the system's keyring

`resolve_credential` only looks and never raises: that nothing was found is a result, and
`diagnostic_text` says what to do about it. `build_auth_metadata` turns a secret into headers and
query values as the manifest says. Secrets stay out of every `repr` and text. Knows nothing of
requests; `dragoman.ai.transport.http` calls this before each one.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dragoman.ai.protocol.config import AuthConfig
    from dragoman.ai.protocol.manifest import ProtocolManifest

REDACTED = "<redacted>"
KEYRING_SERVICES = ("ai-protocol", "ai-lib")
OAUTH_PREFIX = "sk-ant-oat"
"""Begins the OAuth tokens of the messages wire, which go out as bearer; its keys do not."""


class CredentialSourceKind(StrEnum):
    """Where a secret was found."""

    EXPLICIT = "explicit"
    MANIFEST_ENV = "manifest_env"
    CONVENTIONAL_ENV = "conventional_env"
    KEYRING = "keyring"
    NONE = "none"


@dataclass(frozen=True, slots=True, repr=False)
class ResolvedCredential:
    """What was found, and where it was looked for; the secret is in no text made of this.

    `source_name` is `"explicit"` or `"host_supplied"`, the variable's name, `"ai-protocol/<id>"`, or None.
    """

    secret: str | None = None
    source_kind: CredentialSourceKind = CredentialSourceKind.NONE
    source_name: str | None = None
    required_envs: list[str] = field(default_factory=list)
    conventional_envs: list[str] = field(default_factory=list)

    @property
    def is_available(self) -> bool:
        return self.secret is not None

    def __repr__(self) -> str:
        secret = REDACTED if self.is_available else None
        return f"ResolvedCredential(secret={secret}, source={self.source_kind.value}, name={self.source_name!r})"


def primary_auth(manifest: ProtocolManifest | None) -> AuthConfig | None:
    """The manifest's one source of credentials; `endpoint.auth` wins over `auth`."""
    return manifest.auth if manifest is not None else None


def shadowed_auth(manifest: ProtocolManifest | None) -> AuthConfig | None:
    """The top-level `auth` that differs from `endpoint.auth` and therefore is never used."""
    return manifest.shadowed_auth if manifest is not None else None


def credential_name(manifest: ProtocolManifest | None, provider: str) -> str:
    """The id that names a provider's secrets: `provider_id`, else `id`, else what the caller said."""
    if manifest is None:
        return provider
    return getattr(manifest, "provider_id", None) or manifest.id or provider


def required_envs(auth: AuthConfig | None) -> tuple[str, ...]:
    """The variables that a manifest's auth names, the preferred one first."""
    if auth is None:
        return ()
    return tuple(dict.fromkeys(name for name in (auth.token_env, auth.key_env) if name))


def conventional_envs(name: str) -> tuple[str, ...]:
    return (f"{name.upper().replace('-', '_')}_API_KEY",)


def resolve_credential(
    provider: str,
    manifest: ProtocolManifest | None = None,
    explicit_credential: str | None = None,
    *,
    allow_keyring: bool = True,
    allow_env: bool = True,
) -> ResolvedCredential:
    """Look for the secret of a provider in the order of this module. Never raises.

    Values are stripped, a blank one counts as absent. `allow_keyring=False` leaves out the last
    place, which may block for as long as the system's keyring takes. With neither environment nor
    keyring only the caller can hand a secret in, and the source's name is `host_supplied`.
    """
    name = credential_name(manifest, provider)
    required, conventional = list(required_envs(primary_auth(manifest))), list(conventional_envs(name))

    def found(secret: str, kind: CredentialSourceKind, source: str) -> ResolvedCredential:
        return ResolvedCredential(secret, kind, source, required, conventional)

    if secret := _stripped(explicit_credential):
        return found(
            secret, CredentialSourceKind.EXPLICIT, "explicit" if allow_env or allow_keyring else "host_supplied"
        )
    for variable in required if allow_env else ():
        if secret := _stripped(os.environ.get(variable)):
            return found(secret, CredentialSourceKind.MANIFEST_ENV, variable)
    for variable in conventional if allow_env else ():
        if secret := _stripped(os.environ.get(variable)):
            return found(secret, CredentialSourceKind.CONVENTIONAL_ENV, variable)
    for service in KEYRING_SERVICES if allow_keyring else ():
        if secret := _from_keyring(service, name):
            return found(secret, CredentialSourceKind.KEYRING, f"{service}/{name}")
    return ResolvedCredential(None, CredentialSourceKind.NONE, None, required, conventional)


def _stripped(value: str | None) -> str | None:
    return (value or "").strip() or None


def _from_keyring(service: str, account: str) -> str | None:
    try:
        import keyring
    except ImportError:  # the extra is not installed: there is no such place to look
        return None
    try:
        return _stripped(keyring.get_password(service, account))
    except Exception:  # no backend, a locked one, a broken one: many classes, all meaning "not here"
        return None


def diagnostic_text(credential: ResolvedCredential, manifest: ProtocolManifest | None = None) -> str:
    """What a person may read: where the secret came from, or where to put it. Never a value."""
    if credential.is_available:
        text = f"credential found: {credential.source_kind.value} ({credential.source_name})"
    elif credential.required_envs:
        text = f"no credential found; set {' or '.join(credential.required_envs)}"
        others = [name for name in credential.conventional_envs if name not in credential.required_envs]
        text += f" (or {', '.join(others)})" if others else ""
    else:
        text = f"no credential found; set {' or '.join(credential.conventional_envs)}"
    ignored = [name for name in required_envs(shadowed_auth(manifest)) if name not in credential.required_envs]
    if ignored:
        text += f"; {', '.join(ignored)} of the top-level auth is ignored, endpoint.auth is used"
    return text


def build_auth_metadata(
    manifest: ProtocolManifest | None, credential: ResolvedCredential, *, redacted: bool = False
) -> tuple[dict[str, str], dict[str, str]]:
    """(headers, query values) that carry a secret; both empty when none was found.

    With `redacted` the places are the same and every value reads `<redacted>`.
    """
    if credential.secret is None:
        return {}, {}
    headers, query = _placed(manifest, credential.secret)
    if redacted:
        return dict.fromkeys(headers, REDACTED), dict.fromkeys(query, REDACTED)
    return headers, query


def _placed(manifest: ProtocolManifest | None, secret: str) -> tuple[dict[str, str], dict[str, str]]:
    auth = primary_auth(manifest)
    if auth is None:
        return {"Authorization": f"Bearer {secret}"}, {}
    header = getattr(auth, "header_name", None) or getattr(auth, "header", None)
    prefix = getattr(auth, "prefix", None)
    kind = (auth.type or "bearer").lower()
    if kind == "query_param":
        name = auth.param_name or "api_key"
        if manifest is not None and manifest.adapter == "gemini" and name == "key":
            return {"x-goog-api-key": secret}, {}  # the same to that wire, and no secret in URLs
        return {}, {name: secret}
    if kind in ("api_key", "custom_header", "header"):
        return {header or "X-API-Key": _prefixed(prefix, secret)}, {}
    if (
        header is None
        and manifest is not None
        and manifest.adapter == "anthropic"
        and not secret.startswith(OAUTH_PREFIX)
    ):
        return {"x-api-key": secret}, {}  # the wire takes bearer for OAuth tokens only
    return {header or "Authorization": _prefixed("Bearer" if prefix is None else prefix, secret)}, {}


def _prefixed(prefix: str | None, secret: str) -> str:
    prefix = (prefix or "").strip()
    return f"{prefix} {secret}" if prefix else secret


def resolve_api_key(
    provider_id: str, manifest: ProtocolManifest | None = None, explicit_key: str | None = None
) -> str | None:
    """The secret alone; see `resolve_credential`."""
    return resolve_credential(provider_id, manifest, explicit_key).secret


def get_auth_header(
    provider_id: str, manifest: ProtocolManifest | None = None, api_key: str | None = None
) -> dict[str, str]:
    """The headers that carry the secret; empty when there is none, or when it goes into the query."""
    return build_auth_metadata(manifest, resolve_credential(provider_id, manifest, api_key))[0]
