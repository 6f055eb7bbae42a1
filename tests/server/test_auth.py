"""Credentials become principals."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from dragoman.core.errors import Forbidden, UsageError
from dragoman.core.principal import Principal
from dragoman.core.writes import PutKey, RevokeKey
from dragoman.demo.app import demo_app
from dragoman.server.auth import as_principal, demo_principal, demo_user, token_of
from dragoman.server.keys import create_key
from dragoman.testing.clock import FakeClock

Start = Callable[..., Awaitable[Any]]
ME = "/dragoman/v1/me"


def test_a_demo_token_is_a_user_of_tenant_demo() -> None:
    ann, bob = demo_principal("demo-ann"), demo_principal("demo-bob")
    assert ann is not None
    assert bob is not None
    assert (ann.tenant, ann.scopes, ann.message_limit) == ("demo", frozenset({"use"}), None)
    assert ann.user == demo_user("demo-ann") != bob.user
    assert "ann" not in ann.user


def test_some_demo_tokens_are_special() -> None:
    you, limited = demo_principal("demo-you"), demo_principal("demo-limit3-x")
    assert you is not None
    assert you.is_admin
    assert limited is not None
    assert limited.message_limit == 3
    assert demo_principal("demo-limitless") == Principal("demo", demo_user("demo-limitless"))


@pytest.mark.parametrize("token", ["", "demo", "Demo-x", "xdemo-", "demo-é", "demo-a b", "demo-" + "x" * 300])
def test_other_tokens_are_not_the_demos(token: str) -> None:
    assert demo_principal(token) is None


@pytest.mark.requirement("KAI-32")
def test_where_the_token_is_read_from() -> None:
    assert token_of({"x-storageapi-token": "a"}) == "a"
    assert token_of({"authorization": "bearer  b"}) == "b"
    assert token_of({"x-storageapi-token": "a", "authorization": "Bearer b"}) == "a"
    assert token_of({"x-storageapi-token": " ", "authorization": "Bearer b"}) == "b"
    assert token_of({"authorization": "Basic b"}) is None
    assert token_of({"authorization": "Bearer"}) is None
    assert token_of({}) is None


async def test_the_demo_lets_its_tokens_in_and_no_others(start_inside: Start) -> None:
    inside = await start_inside()
    assert (await inside.ask("GET", ME, token="demo-x")).json()["user"] == demo_user("demo-x")
    for token in (None, "", "x", "dk_0000_1111"):
        assert (await inside.ask("GET", ME, token=token)).status == 401


async def test_the_demo_is_for_this_machine_unless_told_otherwise(start_inside: Start) -> None:
    inside = await start_inside()
    remote = await start_inside(settings={"demo.remote": True})
    for peer in ("192.0.2.1", "2001:db8::1"):
        assert (await inside.ask("GET", ME, client=(peer, 1))).status == 403
        assert (await remote.ask("GET", ME, client=(peer, 1))).status == 200
    assert (await inside.ask("GET", ME, client=("::1", 1))).status == 200


async def test_outside_the_demo_its_tokens_open_nothing(start_inside: Start) -> None:
    inside = await start_inside(demo=False, announce=lambda text: None)
    assert (await inside.ask("GET", ME)).status == 401


async def test_a_stored_key_opens_until_it_expires_or_is_revoked(start_inside: Start) -> None:
    clock = FakeClock()
    inside = await start_inside(demo=False, clock=clock, announce=lambda text: None)
    key, text = create_key(tenant="acme", user="ann", now=clock(), scopes=["admin"], expires=clock() + 60)
    other, other_text = create_key(tenant="acme", user="bob", now=clock())
    await inside.services.store.commit(PutKey(key), PutKey(other))
    me = (await inside.ask("GET", ME, token=text)).json()
    assert me == {"tenant": "acme", "user": "ann", "scopes": ["admin", "use"], "key": key.id, "message_limit": None}
    assert (await inside.ask("GET", ME, token=text + "0")).status == 401
    clock.advance(60)
    assert (await inside.ask("GET", ME, token=text)).status == 401
    assert (await inside.ask("GET", ME, token=other_text)).status == 200
    await inside.services.store.commit(RevokeKey(other.id, clock()))
    assert (await inside.ask("GET", ME, token=other_text)).status == 401


async def test_a_keys_rate_is_limited_and_refusals_do_not_count(start_inside: Start) -> None:
    clock = FakeClock()
    inside = await start_inside(demo=False, clock=clock, announce=lambda text: None)
    key, text = create_key(tenant="acme", user="ann", now=clock(), rate_limit=(3, 10.0))
    await inside.services.store.commit(PutKey(key))
    answers = [await inside.ask("GET", ME, token=text) for _ in range(5)]
    assert [answer.status for answer in answers] == [200, 200, 200, 429, 429]
    assert answers[3].headers["retry-after"] == "10"
    assert answers[3].json()["error"]["code"] == "rate_limited"
    clock.advance(10)
    assert (await inside.ask("GET", ME, token=text)).status == 200


def app_with(authenticate: Callable[[Mapping[str, str]], Any]) -> Any:
    app = demo_app()
    app.authenticate = authenticate
    return app


async def test_the_users_callable_decides(start_inside: Start) -> None:
    async def awaited(headers: Mapping[str, str]) -> Principal | None:
        return Principal("acme", headers["x-user"]) if "X-User" in headers else None

    def plain(headers: Mapping[str, str]) -> dict[str, Any]:
        return {"tenant": "acme", "user": "bob", "scopes": ["use", "admin"], "message_limit": 5}

    quiet = {"demo": False, "announce": lambda text: None}
    first = await start_inside(app_with(awaited), **quiet)
    second = await start_inside(app_with(plain), **quiet)
    assert (await first.ask("GET", ME, token=None, headers={"X-User": "ann"})).json()["user"] == "ann"
    assert (await first.ask("GET", ME, token="whatever")).status == 401
    assert (await second.ask("GET", ME, token=None)).json()["message_limit"] == 5


async def test_a_callable_that_gives_nonsense_is_our_fault_not_the_callers(start_inside: Start) -> None:
    def broken(headers: Mapping[str, str]) -> Any:
        return "ann"

    inside = await start_inside(app_with(broken), demo=False, announce=lambda text: None)
    assert (await inside.ask("GET", ME, token=None)).status == 500


async def test_a_callable_may_refuse_by_raising(start_inside: Start) -> None:
    def refuses(headers: Mapping[str, str]) -> Any:
        raise Forbidden("Not today.")

    inside = await start_inside(app_with(refuses), demo=False, announce=lambda text: None)
    assert (await inside.ask("GET", ME, token=None)).status == 403


@pytest.mark.parametrize(
    "value", [{"tenant": "a"}, {"tenant": "a", "user": "b", "role": "x"}, {"tenant": "a b", "user": "c"}, 7, True]
)
def test_what_cannot_be_a_principal_is_refused(value: object) -> None:
    with pytest.raises(UsageError):
        as_principal(value)


def test_nobody_is_a_principal_too() -> None:
    assert as_principal({"tenant": "org", "user": ""}) == Principal("org", "")
    assert as_principal(None) is None


async def test_without_the_scope_use_nothing_opens(start_inside: Start) -> None:
    inside = await start_inside(
        app_with(lambda headers: replace(Principal("a", "b"), scopes=frozenset())),
        demo=False,
        announce=lambda text: None,
    )
    assert (await inside.ask("GET", ME, token=None)).status == 403
