"""Access tokens: signed, for every process and after a restart, closed with their key (stackspot.md 2.1, 3.2.1)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.server.stackspot.spot_app import spot_app

from dragoman.core.principal import Principal
from dragoman.core.writes import PutKey, RevokeKey
from dragoman.demo.app import demo_app
from dragoman.server.keys import create_key, parse_key
from dragoman.server.stackspot.tokens import Grant, decode_token, encode_token

KEY = b"k" * 32
GRANT = Grant("key", "abc", "acme", 2000.0)


@pytest.mark.requirement("STK-02")
def test_a_token_says_what_was_put_into_it() -> None:
    assert decode_token(encode_token(GRANT, KEY), KEY, now=1999.0) == GRANT


@pytest.mark.requirement("STK-02")
def test_no_two_tokens_are_alike() -> None:
    assert encode_token(GRANT, KEY) != encode_token(GRANT, KEY)


@pytest.mark.requirement("STK-05")
def test_a_token_that_is_over_or_not_ours_says_nothing() -> None:
    token = encode_token(GRANT, KEY)
    body, signature = token.removeprefix("sst_").split(".")
    other = encode_token(Grant("demo", "demo", "demo", 9e9), b"x" * 32).removeprefix("sst_").split(".")[0]
    assert decode_token(token, KEY, now=2000.0) is None
    assert decode_token(token, b"x" * 32, now=0) is None
    for bad in (
        "",
        "sst_",
        "sst_.",
        f"sst_{body}",
        f"sst_{body}.",
        f"sst_{other}.{signature}",
        f"sst_{body}.{signature}é",
        token.upper(),
        token[:-1],
        "sst_" + "a" * 5000,
    ):
        assert decode_token(bad, KEY, now=0) is None


@pytest.mark.requirement("STK-05")
async def test_a_missing_or_bogus_token_is_refused_before_the_body() -> None:
    async with spot_app() as spot:
        for token in (None, "bogus", "sst_bogus.bogus", "demo-alice"):
            for path in ("/v1/agent/demo/chat", "/v1/agent/nobody/chat", "/v2/file-upload/form"):
                reply = await spot.bare(token).post(path, b"{not json")
                assert reply.status == 401
                assert reply.headers["www-authenticate"].startswith("Bearer")
                assert reply.json["code"] == "UNAUTHORIZED"
                assert reply.json.keys() == {"type", "code", "details"}


@pytest.mark.requirement("STK-02", "STK-P01")
async def test_a_token_is_valid_after_a_restart_and_the_older_one_too(tmp_path: Path) -> None:
    async with spot_app(data=tmp_path) as spot:
        first = (await spot.sign_in()).json["access_token"]
        second = (await spot.sign_in()).json["access_token"]
    async with spot_app(data=tmp_path) as spot:
        for token in (first, second):
            assert (await spot.bare(token).chat("echo: hi")).json["message"] == "hi"


@pytest.mark.requirement("STK-02")
async def test_a_token_of_another_store_is_refused(tmp_path: Path) -> None:
    async with spot_app(data=tmp_path / "one") as spot:
        token = (await spot.sign_in()).json["access_token"]
    async with spot_app(data=tmp_path / "two") as spot:
        assert (await spot.bare(token).chat("echo: hi")).status == 401


@pytest.mark.requirement("STK-02")
async def test_a_token_ends_with_its_time() -> None:
    now = [1_700_000_000.0]
    async with spot_app(clock=lambda: now[0], stackspot__token_seconds=120) as spot:
        answer = (await spot.sign_in()).json
        caller = spot.bare(answer["access_token"])
        assert answer["expires_in"] == 120
        now[0] += 119
        assert (await caller.chat("echo: hi")).status == 200
        now[0] += 1
        assert (await caller.chat("echo: hi")).status == 401


@pytest.mark.requirement("STK-02")
async def test_tokens_of_a_revoked_or_expired_key_are_refused() -> None:
    now = [1_700_000_000.0]
    async with spot_app(clock=lambda: now[0], demo=False) as spot:
        key, text = create_key(tenant="acme", user="ann", now=now[0], expires=now[0] + 600)
        await spot.services.store.commit(PutKey(key))
        id, secret = parse_key(text) or ("", "")
        caller = await spot.caller(id, secret=secret, realm="acme")
        assert (await caller.chat("echo: hi")).status == 200
        now[0] += 600
        assert (await caller.chat("echo: hi")).status == 401
        now[0] -= 600
        await spot.services.store.commit(RevokeKey(key.id, now[0]))
        assert (await caller.chat("echo: hi")).status == 401


async def test_a_keys_own_rate_limit_holds_for_its_tokens() -> None:
    async with spot_app(demo=False, clock=lambda: 1_700_000_000.0) as spot:
        key, text = create_key(tenant="acme", user="ann", now=0, rate_limit=(2, 3600.0))
        await spot.services.store.commit(PutKey(key))
        id, secret = parse_key(text) or ("", "")
        caller = await spot.caller(id, secret=secret, realm="acme")
        statuses = [(await caller.chat("echo: hi")).status for _ in range(3)]
        last = await caller.chat("echo: hi")
        assert statuses == [200, 200, 429]
        assert last.headers["retry-after"] == "60", "clients heed no more than a minute"


async def test_tokens_of_the_demo_open_no_other_server(tmp_path: Path) -> None:
    async with spot_app(data=tmp_path) as spot:
        token = (await spot.sign_in()).json["access_token"]
    async with spot_app(data=tmp_path, demo=False) as spot:
        assert (await spot.bare(token).chat("echo: hi")).status == 401


async def test_the_applications_own_callable_may_let_callers_in() -> None:
    async def own(headers: Any) -> Principal | None:
        return Principal("acme", "ann") if headers.get("authorization") == "Bearer house" else None

    app = demo_app()
    app.authenticate = own
    async with spot_app(app) as spot:
        assert (await spot.bare("house").chat("echo: hi")).json["message"] == "hi"
        assert (await spot.bare("other").chat("echo: hi")).status == 401


async def test_the_demo_answers_this_machine_only() -> None:
    async with spot_app() as spot:
        token = (await spot.sign_in()).json["access_token"]
        assert (await spot.sign_in(peer="203.0.113.7")).status == 403
        assert (await spot.bare(token, peer="203.0.113.7").chat("echo: hi")).status == 403
