"""Where a provider's secret comes from, how it goes out, and that nobody can read it."""

from __future__ import annotations

import sys
import types
from typing import Any

import pytest

from dragoman.ai.protocol.manifest import ProtocolManifest
from dragoman.ai.transport.credentials import (
    CredentialSourceKind,
    build_auth_metadata,
    diagnostic_text,
    get_auth_header,
    primary_auth,
    resolve_api_key,
    resolve_credential,
    shadowed_auth,
)

SECRET = "plain-secret-value-1234"


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """No keyring, and no variable of the machine's."""
    monkeypatch.setitem(sys.modules, "keyring", None)
    for name in ("ACME_TOKEN", "ACME_KEY", "ACME_API_KEY", "ACME_AI_API_KEY", "OTHER_KEY"):
        monkeypatch.delenv(name, raising=False)


def manifest(auth: dict[str, Any] | None = None, **more: Any) -> ProtocolManifest:
    document = {"id": "acme", "protocol_version": "1.5", "endpoint": {"base_url": "https://acme.test/v1"}, **more}
    if auth is not None:
        document["auth"] = auth
    return ProtocolManifest(**document)


def dual() -> ProtocolManifest:
    endpoint = {"base_url": "https://acme.test", "auth": {"type": "bearer", "token_env": "ACME_TOKEN"}}
    return manifest({"type": "bearer", "token_env": "OTHER_KEY"}, endpoint=endpoint, protocol_version="2.0")


def keyring_with(monkeypatch: pytest.MonkeyPatch, entries: dict[tuple[str, str], str]) -> list[tuple[str, str]]:
    asked: list[tuple[str, str]] = []

    def get_password(service: str, account: str) -> str | None:
        asked.append((service, account))
        return entries.get((service, account))

    module = types.ModuleType("keyring")
    module.get_password = get_password
    monkeypatch.setitem(sys.modules, "keyring", module)
    return asked


@pytest.mark.requirement("AIP-14")
def test_places_are_asked_in_order_and_the_first_that_has_something_wins(monkeypatch) -> None:
    acme = manifest({"type": "bearer", "token_env": "ACME_TOKEN", "key_env": "ACME_KEY"})
    keyring_with(monkeypatch, {("ai-protocol", "acme"): "from-keyring", ("ai-lib", "acme"): "from-the-older-one"})
    found = resolve_credential("acme", acme)
    assert (found.source_kind, found.source_name, found.secret) == ("keyring", "ai-protocol/acme", "from-keyring")
    order = [("ACME_API_KEY", "conventional_env"), ("ACME_KEY", "manifest_env"), ("ACME_TOKEN", "manifest_env")]
    for variable, kind in order:
        monkeypatch.setenv(variable, f"value of {variable}")
        found = resolve_credential("acme", acme)
        assert (found.source_kind, found.source_name) == (kind, variable)
    found = resolve_credential("acme", acme, "given")
    assert (found.source_kind, found.source_name, found.secret) == ("explicit", "explicit", "given")
    assert found.required_envs == ["ACME_TOKEN", "ACME_KEY"]
    assert found.conventional_envs == ["ACME_API_KEY"]


@pytest.mark.requirement("AIP-14")
def test_values_are_stripped_and_blank_ones_count_as_absent(monkeypatch) -> None:
    monkeypatch.setenv("ACME_TOKEN", "  \n")
    monkeypatch.setenv("ACME_API_KEY", f"  {SECRET}\n")
    found = resolve_credential("acme", manifest({"token_env": "ACME_TOKEN"}), "   ")
    assert (found.source_name, found.secret) == ("ACME_API_KEY", SECRET)


@pytest.mark.requirement("AIP-14")
def test_the_older_keyring_service_is_asked_second_and_none_when_it_is_switched_off(monkeypatch) -> None:
    asked = keyring_with(monkeypatch, {("ai-lib", "acme"): SECRET})
    assert resolve_credential("acme", manifest()).source_name == "ai-lib/acme"
    assert asked == [("ai-protocol", "acme"), ("ai-lib", "acme")]
    asked.clear()
    missing = resolve_credential("acme", manifest(), allow_keyring=False)
    assert (missing.source_kind, asked) == (CredentialSourceKind.NONE, [])


@pytest.mark.requirement("AIP-14")
def test_a_keyring_that_is_broken_is_a_place_with_nothing_in_it(monkeypatch) -> None:
    def get_password(service: str, account: str) -> str:
        raise OSError("locked")

    module = types.ModuleType("keyring")
    module.get_password = get_password
    monkeypatch.setitem(sys.modules, "keyring", module)
    assert not resolve_credential("acme", manifest()).is_available


@pytest.mark.requirement("AIP-14")
def test_provider_id_names_the_credential_when_it_differs_from_the_id(monkeypatch) -> None:
    monkeypatch.setenv("ACME_AI_API_KEY", SECRET)
    assert resolve_credential("acme", manifest(provider_id="acme-ai")).source_name == "ACME_AI_API_KEY"


@pytest.mark.requirement("AIP-14")
def test_a_shadowed_auth_is_never_used_and_named_in_the_diagnosis(monkeypatch) -> None:
    both = dual()
    monkeypatch.setenv("OTHER_KEY", SECRET)
    missing = resolve_credential("acme", both)
    assert not missing.is_available
    assert missing.required_envs == ["ACME_TOKEN"]
    text = diagnostic_text(missing, both)
    assert "ACME_TOKEN" in text
    assert "OTHER_KEY" in text
    assert SECRET not in text
    primary, shadowed = primary_auth(both), shadowed_auth(both)
    assert (primary and primary.token_env, shadowed and shadowed.token_env) == ("ACME_TOKEN", "OTHER_KEY")


@pytest.mark.requirement("AIP-14", "AIP-16")
def test_the_diagnosis_names_what_to_set_or_where_it_was_found() -> None:
    acme = manifest({"token_env": "ACME_TOKEN"})
    text = diagnostic_text(resolve_credential("acme", acme), acme)
    assert "ACME_TOKEN" in text
    assert "ACME_API_KEY" in text
    found = resolve_credential("acme", acme, SECRET)
    assert diagnostic_text(found, acme) == "credential found: explicit (explicit)"
    assert "ACME_API_KEY" in diagnostic_text(resolve_credential("acme"))


@pytest.mark.requirement("AIP-15")
@pytest.mark.parametrize(
    ("auth", "headers", "query"),
    [
        (None, {"Authorization": "Bearer s"}, {}),
        ({"type": "bearer"}, {"Authorization": "Bearer s"}, {}),
        ({"type": "bearer", "prefix": "Token"}, {"Authorization": "Token s"}, {}),
        ({"type": "bearer", "prefix": "Token "}, {"Authorization": "Token s"}, {}),
        ({"type": "bearer", "prefix": ""}, {"Authorization": "s"}, {}),
        ({"type": "bearer", "header_name": "X-Auth"}, {"X-Auth": "Bearer s"}, {}),
        ({"type": "bearer", "header": "X-Auth", "prefix": ""}, {"X-Auth": "s"}, {}),
        ({"type": "api_key"}, {"X-API-Key": "s"}, {}),
        ({"type": "api_key", "header_name": "api-key"}, {"api-key": "s"}, {}),
        ({"type": "custom_header", "header": "x-key", "prefix": "Key"}, {"x-key": "Key s"}, {}),
        ({"type": "header", "header_name": "x-key"}, {"x-key": "s"}, {}),
        ({"type": "query_param"}, {}, {"api_key": "s"}),
        ({"type": "query_param", "param_name": "key"}, {}, {"key": "s"}),
    ],
)
def test_a_secret_goes_where_the_manifest_says(auth, headers, query) -> None:
    acme = manifest(auth)
    credential = resolve_credential("acme", acme, "s")
    assert build_auth_metadata(acme, credential) == (headers, query)
    redacted = build_auth_metadata(acme, credential, redacted=True)
    assert redacted == (dict.fromkeys(headers, "<redacted>"), dict.fromkeys(query, "<redacted>"))


@pytest.mark.requirement("AIP-15")
def test_the_messages_wire_takes_keys_in_their_own_header_and_oauth_tokens_as_bearer() -> None:
    acme = manifest({"type": "bearer"}, payload_format="anthropic_style")
    assert get_auth_header("acme", acme, "sk-ant-api03-x") == {"x-api-key": "sk-ant-api03-x"}
    assert get_auth_header("acme", acme, "sk-ant-oat01-x") == {"Authorization": "Bearer sk-ant-oat01-x"}


@pytest.mark.requirement("AIP-16")
def test_what_is_missing_is_a_result_and_puts_nothing_anywhere() -> None:
    acme = manifest({"token_env": "ACME_TOKEN"})
    missing = resolve_credential("acme", acme)
    assert (missing.source_kind, missing.source_name, missing.is_available) == ("none", None, False)
    assert build_auth_metadata(acme, missing) == ({}, {})
    assert resolve_api_key("acme", acme) is None
    assert resolve_api_key("acme", acme, " x ") == "x"


@pytest.mark.requirement("AIP-113")
def test_a_secret_is_in_no_text_made_of_a_credential() -> None:
    acme = manifest({"token_env": "ACME_TOKEN"})
    found = resolve_credential("acme", acme, SECRET)
    texts = (repr(found), str(found), diagnostic_text(found, acme), f"{found}")
    assert not any(SECRET in text for text in texts)
