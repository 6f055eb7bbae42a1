"""The cookie that a browser signs in with: what makes it, where it counts, and what ends it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from dragoman.core.principal import Principal
from dragoman.core.writes import PutKey, RevokeKey
from dragoman.engine.agents import Agent
from dragoman.engine.app import App
from dragoman.server.cookies import APP_SECONDS, NAME, SECONDS, Grant, cookie_of, decode_grant, encode_grant
from dragoman.server.keys import create_key
from dragoman.server.own import models
from dragoman.testing import ScriptedModel
from dragoman.wire.http import Headers

Start = Callable[..., Awaitable[Any]]
V1 = "/dragoman/v1"
KEY = b"k" * 32
GRANT = Grant("key", "abc", 2000.0)
HOME = {"host": "localhost:8080"}
OURS = {"sec-fetch-site": "same-origin"}
FOREIGN = [
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},  # another port of this machine
    {"sec-fetch-site": "cross-site", "origin": "http://test.example"},
    {"origin": "http://evil.example"},
    {"origin": "http://test.example:9"},
    {"origin": "https://test.example"},
    {"origin": "null"},
    {"origin": "http://[bad"},
]


def test_a_cookie_says_what_was_put_into_it_until_it_is_over() -> None:
    text = encode_grant(GRANT, KEY)
    assert decode_grant(text, KEY, now=1999.0) == GRANT
    assert text != encode_grant(GRANT, KEY)
    whole = Grant(
        "app", Principal("acme", "ann", frozenset({"use", "admin"}), "k", 3, (2, 1.5), 0.5, ("p", "q")), 2000.0
    )
    for grant in (whole, Grant("app", Principal("acme", ""), 2000.0)):
        assert decode_grant(encode_grant(grant, KEY), KEY, now=1999.0) == grant
    for bad in (text, ""):
        assert decode_grant(bad, KEY, now=2000.0) is None
    assert decode_grant(text, b"x" * 32, now=0) is None
    assert decode_grant(text[:-1], KEY, now=0) is None
    assert decode_grant(text.replace("dss_", "sst_"), KEY, now=0) is None


@pytest.mark.parametrize(
    ("header", "value"),
    [
        (f"{NAME}=a", "a"),
        (f'x=1; {NAME}="a"; y=2', "a"),
        (f"{NAME}=a; {NAME}=b", "a"),
        (f"x{NAME}=a", None),
        (f"{NAME}=", None),
        (NAME, None),
        ("", None),
    ],
)
def test_our_cookie_is_found_among_others(header: str, value: str | None) -> None:
    assert cookie_of(Headers({"cookie": header})) == value


async def signed_in(inside: Any, key: str | None = "demo-you", **headers: str) -> dict[str, str]:
    """The header that carries the cookie of a fresh session."""
    body = {} if key is None else {"key": key}
    answer = await inside.ask("POST", f"{V1}/session", body, token=None, headers={**HOME, **headers})
    assert answer.status == 200, answer.text
    return {"cookie": answer.headers["set-cookie"].partition(";")[0], "sec-fetch-site": "same-origin"}


async def stored(inside: Any, **options: Any) -> tuple[str, str]:
    """The id and the text of a key that is kept."""
    key, text = create_key(tenant="acme", user="ann", now=inside.services.clock(), **options)
    await inside.services.store.commit(PutKey(key))
    return key.id, text


async def who(inside: Any, headers: dict[str, str], path: str = f"{V1}/me", **options: Any) -> Any:
    return await inside.ask("GET", path, token=None, headers=headers, **options)


async def test_a_key_becomes_a_cookie_that_no_script_reads_and_no_other_site_sends(start_inside: Start) -> None:
    inside = await start_inside()
    _, text = await stored(inside)
    answer = await inside.ask("POST", f"{V1}/session", {"key": text}, token=None, headers=OURS)
    told = models.SignedInOut.model_validate(answer.json())
    cookie, *attributes = answer.headers["set-cookie"].split("; ")
    assert (told.tenant, told.user) == ("acme", "ann")
    assert attributes == ["Path=/", f"Max-Age={SECONDS}", "HttpOnly", "SameSite=Strict"]
    assert text not in answer.text + cookie
    me = models.MeOut.model_validate((await who(inside, {"cookie": cookie, **OURS})).json())
    assert me.user == "ann"


async def test_the_demo_signs_in_its_own_user_on_this_machine_alone(start_inside: Start) -> None:
    inside = await start_inside()
    assert (await who(inside, await signed_in(inside, None))).json()["scopes"] == ["admin", "use"]
    here = ("127.0.0.1", 1)
    others = [(host, here) for host in ("evil.example", "a~b.evil.example", "localhost@evil.example", "[abc]:80")]
    for host, client in (*others, ("localhost:8080", ("192.0.2.7", 1))):
        answer = await inside.ask("POST", f"{V1}/session", {}, token=None, headers={"host": host}, client=client)
        assert (answer.status, "set-cookie" in answer.headers) == (403, False)
    for host in ("127.0.0.1:8080", "[::1]:8080", "localhost"):
        await signed_in(inside, None, host=host)


async def test_another_user_of_the_demo_signs_in_by_name(start_inside: Start) -> None:
    inside = await start_inside()
    mine = (await who(inside, await signed_in(inside, "demo-bob"))).json()
    assert mine["scopes"] == ["use"]
    assert mine == (await inside.ask("GET", f"{V1}/me", token="demo-bob")).json()


async def test_outside_of_the_demo_nobody_signs_in_without_a_key(start_inside: Start) -> None:
    inside = await start_inside(demo=False)
    for body in ({}, {"key": "demo-you"}, {"key": "dk_x_y"}, {"key": "nk_demo"}):
        answer = await inside.ask("POST", f"{V1}/session", body, token=None, headers=HOME)
        assert (answer.status, "set-cookie" in answer.headers) == (401, False), body
    assert (await inside.ask("POST", f"{V1}/session", {"key": 7}, token=None)).status == 400


@pytest.mark.parametrize("site", FOREIGN)
async def test_a_foreign_page_changes_nothing_and_reads_nothing(start_inside: Start, site: dict[str, str]) -> None:
    inside = await start_inside()
    cookie = {"cookie": (await signed_in(inside))["cookie"]}
    asked = [
        ("POST", f"{V1}/runs", {"message": {"text": "echo: x"}}),
        ("POST", "/api/chat", {"id": "c", "message": {"id": "m", "role": "user", "parts": []}}),
        ("DELETE", "/api/history", None),
        ("GET", f"{V1}/threads", None),
        ("POST", f"{V1}/session", {}),
        ("DELETE", f"{V1}/session", None),
    ]
    for method, path, body in asked:
        answer = await inside.ask(method, path, body, token=None, headers={**cookie, **site})
        assert (answer.status, "set-cookie" in answer.headers) == (403, False), (method, path)
    assert (await inside.ask("GET", f"{V1}/threads")).json()["threads"] == []


@pytest.mark.parametrize(
    "site",
    [
        {"sec-fetch-site": "same-origin"},
        {"sec-fetch-site": "none"},
        {"origin": "http://test.example"},
        {"origin": "http://test.example:80"},
    ],
)
async def test_a_page_of_our_own_asks_and_changes(start_inside: Start, site: dict[str, str]) -> None:
    inside = await start_inside()
    headers = {"cookie": (await signed_in(inside))["cookie"], **site}
    body = {"message": {"text": "echo: x"}}
    assert (await inside.ask("POST", f"{V1}/runs", body, token=None, headers=headers)).status == 201


async def test_a_request_that_does_not_say_where_it_comes_from_may_read_and_no_more(start_inside: Start) -> None:
    inside = await start_inside()
    cookie = {"cookie": (await signed_in(inside))["cookie"]}
    assert (await who(inside, cookie)).status == 200
    for method, path in (("POST", f"{V1}/runs"), ("DELETE", "/api/history"), ("PATCH", "/api/vote")):
        assert (await inside.ask(method, path, {}, token=None, headers=cookie)).status == 403


async def test_the_cookie_counts_on_the_faces_that_the_console_speaks_alone(start_inside: Start) -> None:
    inside = await start_inside(settings={"metrics.open": False})
    cookie = await signed_in(inside)
    for path in (f"{V1}/me", "/api/history", "/agent/api/history", "/api/settings/user"):
        assert (await who(inside, cookie, path)).status == 200, path
    body = {"type": "threads.list", "params": {}}
    assert (await inside.ask("POST", "/chatkit", body, token=None, headers=cookie)).status == 200
    for site in FOREIGN:
        headers = {"cookie": cookie["cookie"], **site}
        assert (await inside.ask("POST", "/chatkit", body, token=None, headers=headers)).status == 403, site
    for path in ("/metrics", "/api/v1/seq/sessions/s"):
        assert (await who(inside, cookie, path)).status == 401, path
    prompt = {"user_prompt": "echo: x"}
    assert (await inside.ask("POST", "/v1/agent/demo/chat", prompt, token=None, headers=cookie)).status == 401


async def test_a_credential_in_a_header_wins(start_inside: Start) -> None:
    inside = await start_inside()
    cookie = await signed_in(inside)
    other = (await inside.ask("GET", f"{V1}/me", token="demo-bob", headers=cookie)).json()
    assert other["scopes"] == ["use"]
    assert (await inside.ask("GET", f"{V1}/me", token="nonsense", headers=cookie)).status == 401
    kai = {**cookie, "x-storageapi-token": "nonsense"}
    assert (await who(inside, kai, "/api/history")).status == 401


async def test_a_cookie_ends_with_its_key_and_after_twelve_hours(start_inside: Start) -> None:
    now = [1_800_000_000.0]
    inside = await start_inside(clock=lambda: now[0])
    key_id, text = await stored(inside)
    cookie = await signed_in(inside, text)
    now[0] += SECONDS - 1
    assert (await who(inside, cookie)).status == 200
    now[0] += 1
    assert (await who(inside, cookie)).status == 401
    again = await signed_in(inside, text)
    await inside.services.store.commit(RevokeKey(key_id, now[0]))
    assert (await who(inside, again)).status == 401


async def test_a_key_that_expires_sooner_takes_its_cookie_along(start_inside: Start) -> None:
    now = [1_800_000_000.0]
    inside = await start_inside(clock=lambda: now[0])
    _, text = await stored(inside, expires=now[0] + 60)
    answer = await inside.ask("POST", f"{V1}/session", {"key": text}, token=None)
    assert answer.json()["expires"] == now[0] + 60
    assert "Max-Age=60;" in answer.headers["set-cookie"]


async def test_a_keys_rate_limit_counts_by_cookie_too(start_inside: Start) -> None:
    inside = await start_inside()
    _, text = await stored(inside, rate_limit=(2, 60.0))
    cookie = await signed_in(inside, text)
    assert [(await who(inside, cookie)).status for _ in range(3)] == [200, 200, 429]


async def test_signing_out_takes_the_cookie_away(start_inside: Start) -> None:
    inside = await start_inside()
    answer = await inside.ask("DELETE", f"{V1}/session", token=None, headers=await signed_in(inside))
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["set-cookie"].startswith(f"{NAME}=; Path=/; Max-Age=0;")


async def test_behind_https_and_below_a_path_the_cookie_stays_there(start_inside: Start) -> None:
    inside = await start_inside(settings={"public_url": "https://ai.example/dragoman"})
    answer = await inside.ask("POST", f"{V1}/session", {"key": "demo-you"}, token=None)
    assert "; Path=/dragoman; " in answer.headers["set-cookie"]
    assert answer.headers["set-cookie"].endswith("; Secure")
    assert (await inside.ask("POST", f"{V1}/session", {}, token=None)).status == 403


def own_app(authenticate: Any) -> App:
    return App("acme", agents=[Agent("helper", model=ScriptedModel(["hi"]))], authenticate=authenticate)


def by_proxy(headers: Any) -> Principal | None:
    """Takes the word of a proxy for who asks."""
    return Principal("acme", headers["x-user"]) if "x-user" in headers else None


async def test_an_apps_own_way_of_signing_in_goes_on_without_a_cookie(start_inside: Start) -> None:
    inside = await start_inside(own_app(by_proxy), demo=False)
    assert (await who(inside, {"x-user": "ann"})).json()["user"] == "ann"
    assert (await who(inside, {"x-user": "ann", "cookie": f"{NAME}=nonsense", **OURS})).status == 401


async def test_who_is_known_by_each_request_needs_neither_key_nor_cookie(start_inside: Start) -> None:
    inside = await start_inside(own_app(by_proxy), demo=False)
    old = {"cookie": f"{NAME}=of-another-server", **OURS}
    answer = await inside.ask("POST", f"{V1}/session", {}, token=None, headers={"x-user": "ann", **old})
    told = models.SignedInOut.model_validate(answer.json())
    assert (answer.status, told.user, told.expires) == (200, "ann", None)
    assert answer.headers["set-cookie"].startswith(f"{NAME}=; Path=/; Max-Age=0;")
    assert (await inside.ask("POST", f"{V1}/session", {}, token=None, headers=old)).status == 401
    # what a proxy adds must not end up in a cookie, which would outlast it
    given = await inside.ask("POST", f"{V1}/session", {"key": "any"}, token=None, headers={"x-user": "ann", **OURS})
    assert (given.status, "set-cookie" in given.headers) == (401, False)


async def test_a_key_that_the_app_knows_signs_in_for_an_hour(start_inside: Start) -> None:
    asked: list[dict[str, str]] = []

    async def authenticate(headers: Any) -> dict[str, Any] | None:
        asked.append(dict(headers))
        if headers.get("authorization") != "Bearer open-sesame":
            return None
        return {"tenant": "acme", "user": "ali", "scopes": ["use"], "projects": ["basics"], "message_limit": 3}

    now = [1_800_000_000.0]
    inside = await start_inside(own_app(authenticate), demo=False, clock=lambda: now[0])
    for wrong in ("open-sesam", "open sesame", "open-sesame\r\nx: y", "höhle"):
        answer = await inside.ask("POST", f"{V1}/session", {"key": wrong}, token=None, headers=OURS)
        assert (answer.status, "set-cookie" in answer.headers) == (401, False), wrong
    answer = await inside.ask(
        "POST", f"{V1}/session", {"key": "open-sesame"}, token=None, headers={**OURS, "x-user": "eve"}
    )
    assert asked == [{"authorization": "Bearer open-sesam"}, {"authorization": "Bearer open-sesame"}]
    assert (answer.json()["user"], answer.json()["expires"]) == ("ali", now[0] + APP_SECONDS)
    cookie = {"cookie": answer.headers["set-cookie"].partition(";")[0], **OURS}
    assert "sesame" not in cookie["cookie"]
    direct = await inside.ask("GET", f"{V1}/me", token="open-sesame")
    now[0] += APP_SECONDS - 1
    del asked[:]
    assert (await who(inside, cookie)).json() == direct.json()
    assert (await who(inside, cookie, "/api/history")).status == 200
    assert (await who(inside, {"cookie": cookie["cookie"], **FOREIGN[0]})).status == 403
    assert asked == []  # whom the app stops to let in is out when the hour is over
    now[0] += 1
    assert (await who(inside, cookie)).status == 401


@pytest.mark.parametrize("found", [None, {"tenant": "acme", "user": "ali", "scopes": []}])
async def test_whom_the_app_does_not_let_in_gets_no_cookie(start_inside: Start, found: Any) -> None:
    inside = await start_inside(own_app(lambda headers: found), demo=False)
    answer = await inside.ask("POST", f"{V1}/session", {"key": "any"}, token=None, headers=OURS)
    assert (answer.status, "set-cookie" in answer.headers) == (401 if found is None else 403, False)


async def test_who_is_more_than_a_cookie_holds_is_told_so(start_inside: Start) -> None:
    found = {"tenant": "acme", "user": "ali", "projects": [f"project-{number}" for number in range(200)]}
    inside = await start_inside(own_app(lambda headers: found), demo=False)
    answer = await inside.ask("POST", f"{V1}/session", {"key": "any"}, token=None, headers=OURS)
    assert (answer.status, "set-cookie" in answer.headers) == (403, False)
    assert "more than a cookie holds" in answer.text


async def test_an_app_without_a_way_of_its_own_takes_no_cookie_of_one(start_inside: Start, tmp_path: Path) -> None:
    async def cookie_of_the_app() -> dict[str, str]:
        inside = await start_inside(own_app(lambda headers: Principal("acme", "ali")), demo=False, data=tmp_path / "d")
        cookie = await signed_in(inside, "any")
        assert (await who(inside, cookie)).status == 200
        await inside.application.stop()
        return cookie

    cookie = await cookie_of_the_app()
    other = await start_inside(own_app(None), demo=False, data=tmp_path / "d")
    assert (await who(other, cookie)).status == 401


async def test_a_cookie_of_the_demo_opens_nothing_elsewhere(start_inside: Start) -> None:
    demo = await start_inside()
    cookie = await signed_in(demo, None)
    assert (await who(demo, cookie, client=("192.0.2.7", 5))).status == 403
    other = await start_inside()
    assert (await who(other, cookie)).status == 401
