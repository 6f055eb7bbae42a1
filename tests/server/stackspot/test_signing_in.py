"""The token endpoint: fields, ways to give the secret, refusals, too many wrong secrets (stackspot.md 2.1)."""

from __future__ import annotations

import base64
from urllib.parse import quote_plus

import pytest
from tests.server.stackspot.spot_app import FORM, Reply, Spot, spot_app

from dragoman.core.redact import redact_text
from dragoman.core.writes import PutKey
from dragoman.server.auth import demo_user
from dragoman.server.keys import create_key, parse_key
from dragoman.server.stackspot.signing_in import FAILURES, FAILURES_OF_PEER

TOKEN = "/demo/oidc/oauth/token"
GOOD = "grant_type=client_credentials&client_id=demo&client_secret=demo-secret"


async def ask(spot: Spot, body: str | bytes, path: str = TOKEN, **headers: str) -> Reply:
    content = body.encode() if isinstance(body, str) else body
    return await spot.bare().post(path, content, **{"content_type": FORM, **headers})


def basic(client: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{quote_plus(client)}:{quote_plus(secret)}".encode()).decode()


@pytest.mark.requirement("STK-01", "STK-02")
async def test_the_answer_has_the_fields_of_the_wire() -> None:
    async with spot_app() as spot:
        reply = await ask(spot, GOOD)
        assert reply.status == 200
        assert reply.json["token_type"] == "Bearer"
        assert reply.json["expires_in"] == 1200
        assert isinstance(reply.json["access_token"], str)
        assert reply.headers["cache-control"] == "no-store"
        assert reply.headers["content-type"] == "application/json"
        assert "set-cookie" not in reply.headers


@pytest.mark.requirement("STK-01")
async def test_a_client_of_the_demo_is_the_user_of_that_name() -> None:
    async with spot_app() as spot:
        for client in ("demo", "demo-alice"):
            await (await spot.caller(client)).chat("echo: hi")
            runs = await spot.runs(demo_user(client))
            assert [run.owner for run in runs] == [demo_user(client)]


@pytest.mark.requirement("STK-01")
async def test_the_secret_may_come_as_basic_credentials() -> None:
    async with spot_app() as spot:
        reply = await ask(spot, "grant_type=client_credentials", authorization=basic("demo", "demo-secret"))
        assert reply.status == 200
        for bad in (basic("demo", "wrong"), "Basic ???", "Basic " + base64.b64encode(b"demo").decode()):
            refused = await ask(spot, "grant_type=client_credentials", authorization=bad)
            assert refused.status == 401
            assert refused.json["error"] == "invalid_client"


@pytest.mark.requirement("STK-03", "STK-04")
@pytest.mark.parametrize(
    ("body", "path", "status", "error"),
    [
        (GOOD.replace("demo-secret", "wrong"), TOKEN, 401, "invalid_client"),
        (GOOD.replace("demo-secret", "wrong%C3%A9"), TOKEN, 401, "invalid_client"),
        (GOOD.replace("client_id=demo", "client_id=stranger"), TOKEN, 401, "invalid_client"),
        (GOOD.replace("client_id=demo", "client_id=a/b"), TOKEN, 401, "invalid_client"),
        (GOOD.replace("client_credentials", "password"), TOKEN, 400, "unsupported_grant_type"),
        (GOOD.replace("grant_type", "grant"), TOKEN, 400, "invalid_request"),
        ("grant_type=client_credentials", TOKEN, 400, "invalid_request"),
        ("grant_type=client_credentials&client_id=demo", TOKEN, 400, "invalid_request"),
        (GOOD + "&client_id=demo", TOKEN, 400, "invalid_request"),
        ("", TOKEN, 400, "invalid_request"),
        (b"\xff\xfe=%ff", TOKEN, 400, "invalid_request"),
        ("&".join(f"a{n}=1" for n in range(100)), TOKEN, 400, "invalid_request"),
        (GOOD, "/elsewhere/oidc/oauth/token", 404, "invalid_request"),
        (GOOD, "/a%2Fb/oidc/oauth/token", 404, "invalid_request"),
    ],
)
async def test_what_is_not_as_it_should_be_is_refused(body: str | bytes, path: str, status: int, error: str) -> None:
    async with spot_app() as spot:
        reply = await ask(spot, body, path)
        assert (reply.status, reply.json["error"]) == (status, error)
        told = reply.json["error_description"]
        assert told
        assert ("demo-you, with the secret demo-secret" in told) is (error == "invalid_client")
        assert reply.headers["content-type"] == "application/json"


@pytest.mark.requirement("STK-04")
async def test_a_body_of_another_type_is_refused() -> None:
    async with spot_app() as spot:
        reply = await spot.bare().post(TOKEN, {"grant_type": "client_credentials"})
        assert (reply.status, reply.json["error"]) == (400, "invalid_request")
        assert (await ask(spot, GOOD + "&x=" + "y" * 20_000)).status == 413


@pytest.mark.requirement("STK-01", "STK-04")
async def test_a_stored_key_is_a_client_of_its_own_realm_only() -> None:
    async with spot_app(demo=False) as spot:
        made = [create_key(tenant=tenant, user="ann", now=1.0) for tenant in ("acme", "other")]
        await spot.services.store.commit(*(PutKey(key) for key, _ in made))
        id, secret = parse_key(made[0][1]) or ("", "")
        assert (await spot.sign_in(id, secret, "acme")).status == 200
        refused = await spot.sign_in(id, secret, "other")
        assert refused.status == 401
        told = refused.json["error_description"]
        assert "a client is a key of this realm" in told
        assert redact_text(told) == told
        assert (await spot.sign_in(id, secret + "0", "acme")).status == 401
        assert (await spot.sign_in(realm="demo")).status == 401, "the demo's client is for the demo"
        unknown = await spot.sign_in(realm="nowhere")
        assert unknown.status == 404
        assert "the tenant of the key" in unknown.json["error_description"]


async def test_after_too_many_wrong_secrets_none_is_looked_at_for_a_while() -> None:
    now = [1_700_000_000.0]
    async with spot_app(demo=False, clock=lambda: now[0]) as spot:
        key, text = create_key(tenant="acme", user="ann", now=now[0])
        await spot.services.store.commit(PutKey(key))
        id, secret = parse_key(text) or ("", "")
        for _ in range(FAILURES[0]):
            assert (await spot.sign_in(id, "wrong", "acme")).status == 401
        for tried in ("wrong", secret):
            refused = await spot.sign_in(id, tried, "acme")
            assert refused.status == 429
            assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert (await spot.sign_in(id, secret, "acme", peer="198.51.100.2")).status == 200, "others are not kept out"
        now[0] += FAILURES[1]
        assert (await spot.sign_in(id, secret, "acme")).status == 200


async def test_guesses_at_many_clients_keep_no_neighbour_out() -> None:
    async with spot_app(demo=False, clock=lambda: 1_700_000_000.0) as spot:
        key, text = create_key(tenant="acme", user="ann", now=1.0)
        await spot.services.store.commit(PutKey(key))
        id, secret = parse_key(text) or ("", "")
        statuses = [(await spot.sign_in(f"guess-{n}", "wrong", "acme")).status for n in range(FAILURES_OF_PEER[0] + 3)]
        assert statuses == [401] * FAILURES_OF_PEER[0] + [429] * 3
        assert (await spot.sign_in(id, secret, "acme")).status == 200


async def test_the_right_secret_is_never_counted() -> None:
    async with spot_app(demo=False, clock=lambda: 1_700_000_000.0) as spot:
        key, text = create_key(tenant="acme", user="ann", now=1.0)
        await spot.services.store.commit(PutKey(key))
        id, secret = parse_key(text) or ("", "")
        assert {(await spot.sign_in(id, secret, "acme")).status for _ in range(2 * FAILURES[0])} == {200}


async def test_a_client_of_the_demo_is_not_kept_out_for_wrong_guesses() -> None:
    async with spot_app(clock=lambda: 1_700_000_000.0) as spot:
        statuses = {(await spot.sign_in(secret="wrong")).status for _ in range(FAILURES[0] + 1)}
        assert statuses == {401, 429}
        assert (await spot.sign_in()).status == 200
