"""Keys: made, spelt, checked."""

from __future__ import annotations

import hmac
from dataclasses import replace

import pytest

from dragoman.core.errors import UsageError
from dragoman.core.redact import redact_text
from dragoman.server.keys import create_key, hash_secret, is_valid, parse_key

NOW = 1000.0


def test_a_new_key_opens_and_its_secret_is_not_kept() -> None:
    key, text = create_key(tenant="acme", user="ann", now=NOW)
    key_id, secret = parse_key(text) or ("", "")
    assert text == f"dk_{key.id}_{secret}"
    assert key_id == key.id
    assert is_valid(key, secret, NOW)
    assert secret not in repr(key)
    assert len(bytes.fromhex(secret)) == 32
    assert redact_text(f"key {text}") == "key [redacted]"


def test_a_wrong_secret_a_revoked_and_an_expired_key_do_not_open() -> None:
    key, text = create_key(tenant="acme", user="ann", now=NOW, expires=NOW + 10)
    secret = text.rpartition("_")[2]
    assert is_valid(key, secret, NOW + 9)
    assert not is_valid(key, secret, NOW + 10)
    assert not is_valid(key, secret + "0", NOW)
    assert not is_valid(replace(key, revoked=NOW), secret, NOW)
    assert not is_valid(None, secret, NOW)


@pytest.mark.requirement("KAI-72")
def test_secrets_are_compared_in_constant_time_even_without_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[int] = []
    real = hmac.compare_digest

    def compare(a: str, b: str) -> bool:
        compared.append(len(a))
        return real(a, b)

    monkeypatch.setattr("dragoman.server.keys.hmac.compare_digest", compare)
    key, _ = create_key(tenant="acme", user="ann", now=NOW)
    is_valid(key, "x", NOW)
    is_valid(None, "x", NOW)
    assert compared == [64, 64]


def test_scopes_always_hold_use() -> None:
    assert create_key(tenant="a", user="", now=NOW, scopes=["admin"])[0].scopes == ("use", "admin")


@pytest.mark.parametrize("text", ["", "dk_", "dk_a", "dk_a_", "nk_a_b", "dk__b", "dk_a/b_c", "sk-abc"])
def test_other_texts_are_no_keys(text: str) -> None:
    assert parse_key(text) is None


def test_bad_wishes_are_refused() -> None:
    with pytest.raises(UsageError, match="root"):
        create_key(tenant="a", user="b", now=NOW, scopes=["root"])
    with pytest.raises(UsageError, match="expired"):
        create_key(tenant="a", user="b", now=NOW, expires=NOW)
    with pytest.raises(UsageError, match="tenant"):
        create_key(tenant="a b", user="b", now=NOW)


def test_a_hash_is_sha_256() -> None:
    assert hash_secret("x") == "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
