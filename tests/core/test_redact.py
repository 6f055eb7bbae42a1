"""No secret gets through, and what is none stays."""

from __future__ import annotations

import json
import time
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.core.redact import REDACTED, is_secret_name, redact, redact_headers, redact_text, secret_spans

S = "s3cr3t-Value"


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Bearer {S}",
        f"authorization=Bearer {S}",
        f"Bearer {S}",
        f"bearer   {S}",
        f'Proxy-Authorization: Digest username="x", nonce="{S}"',
        "Authorization: Basic dXNlcjpzM2NyM3QtVmFsdWU=",
        "got Basic dXNlcjpwYXNz there",
        f"Cookie: a=b; session={S}\r\nHost: x",
        f"set-cookie: a={S}; Path=/",
        f"x-storageapi-token: {S}",
        f"X-StorageApi-Token={S}&y=1",
        f"password={S}",
        f"password: {S}, user: x",
        f'{{"password": "{S} and more", "user": "x"}}',
        f'{{"apiKey":"a\\"{S}"}}',
        f"{{'client_secret': '{S} x', 'b': 2}}",
        '{"body": "{\\"token\\": \\"' + S + '\\"}"}',
        f"https://user:{S}@host/path",
        f"https://{S}@host/path",
        f"https://host/path?token={S}&page=2",
        f"https://host/path?page=2&key={S}#top",
        f"https://host/path?access_token={S}",
        f"https://host/blob?sv=1&sig={S}",
        "sk-proj-abcdefgh12345678",
        "dk_0123456789_abcdefghij",
        "nk_abcdefghij",
        "ghp_abcdefghijklmnop1234",
        "xoxb-1234567890-abc",
        "AKIAABCDEFGHIJKLMNOP",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
        f"DRAGOMAN_KEY token:{S}",
        f"OPENAI_API_KEY={S}",
    ],
)
@pytest.mark.requirement("KAI-72")
def test_a_secret_in_a_text_is_taken_out(text: str) -> None:
    clean = redact_text(text)
    assert REDACTED in clean
    assert not any(word in clean for word in (S, "dXNlcjpw", "dXNlcjpz", "abcdefgh", "ABCDEFGH", "eyJ", "1234567890"))
    assert redact_text(clean) == clean, "once is enough"


@pytest.mark.parametrize(
    "text",
    [
        "the secret of good tea is patience",
        "basic understanding of things",
        "risk-management, task-force_one, disk-utilities",
        '"completion_tokens": 12, "prompt_tokens": 3',
        "max_tokens=5",
        '{"token": null, "password": false}',
        '{"token": ""}',
        "mail me@host.org or see http://host/a@b?c=d",
        "http://host:8080/path",
        "tokens: many",
        "",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact_text(text) == text


def test_the_text_around_a_secret_stays() -> None:
    assert redact_text(f"GET https://u:{S}@h/p?token={S}&b=1 gave 401") == (
        f"GET https://{REDACTED}@h/p?token={REDACTED}&b=1 gave 401"
    )


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "proxy-authorization",
        "X-StorageApi-Token",
        "api_key",
        "x-api-key",
        "openaiApiKey",
        "password",
        "db.password",
        "client_secret",
        "Cookie",
        "set-cookie",
        "refreshToken",
        "private_key",
        "credentials",
        "token",
    ],
)
def test_names_of_secrets_are_known_however_they_are_spelt(name: str) -> None:
    assert is_secret_name(name)
    assert is_secret_name(name.upper())


@pytest.mark.parametrize("name", ["tokens", "prompt_tokens", "keyboard", "author", "x-storageapi-url", "key", 7, None])
def test_other_names_are_not(name: object) -> None:
    assert not is_secret_name(name)


def test_values_are_copied_without_their_secrets() -> None:
    value = {
        "user": "x",
        "password": S,
        "nested": [{"api_key": {"id": 1, "value": S}}, ("a", f"Bearer {S}"), 1, None, True],
        "token": 17,
        "secret": None,
        "credentials": [],
        "pin_secret": 1234,
        "raw": f"token={S}".encode(),
        "usage": {"tokens": {"prompt": 3}},
    }
    before = repr(value)
    assert redact(value) == {
        "user": "x",
        "password": REDACTED,
        "nested": [{"api_key": REDACTED}, ("a", f"Bearer {REDACTED}"), 1, None, True],
        "token": 17,
        "secret": None,
        "credentials": [],
        "pin_secret": REDACTED,
        "raw": b"token=[redacted]",
        "usage": {"tokens": {"prompt": 3}},
    }
    assert repr(value) == before


def test_nesting_without_end_is_cut() -> None:
    loop: list[Any] = [f"Bearer {S}"]
    loop.append(loop)
    assert S not in repr(redact(loop))


def test_headers_lose_the_values_of_secret_names_and_secrets_elsewhere() -> None:
    headers = {"X-StorageApi-Token": S, "Referer": f"http://h/?token={S}", "accept": "*/*"}
    assert redact_headers(headers) == {
        "X-StorageApi-Token": REDACTED,
        "Referer": f"http://h/?token={REDACTED}",
        "accept": "*/*",
    }


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(JSON, st.sampled_from(["password", "x-api-key", "accessToken", "Cookie"]))
def test_a_secret_anywhere_in_a_value_is_gone_as_value_and_as_json_text(around: Any, name: str) -> None:
    value = {"a": [around, {"b": {name: "Zq7Zq7Zq7Zq7"}}]}
    assert "Zq7Zq7Zq7Zq7" not in repr(redact(value))
    assert "Zq7Zq7Zq7Zq7" not in redact_text(json.dumps(value))
    assert "Zq7Zq7Zq7Zq7" not in redact_text(json.dumps({"inner": json.dumps({name: "Zq7Zq7Zq7Zq7"})}))


@given(st.text(max_size=60))
def test_spans_are_in_order_apart_and_within_the_text(text: str) -> None:
    spans = secret_spans(text)
    assert all(one[1] <= next_one[0] for one, next_one in pairwise(spans))
    assert all(0 <= start < end <= len(text) for start, end in spans)


@pytest.mark.parametrize(
    "piece",
    ["a", "token", "token:", "://", "bearer ", "eyJ", "sk-", '"', "token=\\", " ", "basic a", "\n cookie", "://a"],
)
def test_no_text_makes_it_slow(piece: str) -> None:
    text = piece * (100_000 // len(piece))
    start = time.process_time()
    redact_text(text)
    assert time.process_time() - start < 2.0
