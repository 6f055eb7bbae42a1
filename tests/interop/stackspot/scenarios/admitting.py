"""Tokens: who gets one, how long it holds, and what happens without one."""

from __future__ import annotations

import base64
import json
import time

from tests.interop.stackspot.registry import scenario
from tests.interop.stackspot.service import forward, service
from tests.interop.stackspot.stage import Visit, body_of
from tests.interop.wire import Wire


@scenario.requirement("STK-01")
def credentials_in_the_environment_are_enough(visit: Visit) -> None:
    response = visit.by_the_environment().chat(visit.request("echo: hello"))
    assert response.is_success(), response.error
    assert response.result == "hello"


@scenario.requirement("STK-02")
def a_token_has_its_fields_and_is_kept(visit: Visit) -> None:
    told = visit.grant()
    assert told.status == 200, told
    assert told.json["token_type"].lower() == "bearer"
    assert type(told.json["expires_in"]) is int
    assert told.json["expires_in"] >= 120
    assert told.json["access_token"]
    assert told.headers["content-type"].startswith("application/json")
    provider = visit.provider()
    assert provider.get_access_token() == provider.get_access_token()


@scenario.requirement("STK-02")
def a_token_is_renewed_and_the_old_one_stays_valid(visit: Visit) -> None:
    def expired(body: bytes) -> bytes:
        return json.dumps(json.loads(body) | {"expires_in": 0.001}).encode()

    with service(forward(visit.url), tokens=(forward(visit.url, expired),)) as proxy:
        http = visit.http(proxy.url)
        agent = visit.agent(url=proxy.url, http=http)
        assert [visit.said(f"echo: {n}", agent) for n in range(3)] == ["0", "1", "2"]
        assert len(proxy.tokens) == 3
    used = [asked.headers["authorization"] for asked in proxy.asked]
    for authorization in used:
        old = visit.agent(http=visit.with_headers({"Authorization": authorization}))
        assert visit.said("echo: again", old) == "again"


@scenario.requirement("STK-02")
def basic_authentication_is_taken_as_well(visit: Visit) -> None:
    known = base64.b64encode(f"{visit.client}:demo-secret".encode()).decode()
    told = {"content-type": "application/x-www-form-urlencoded", "authorization": f"Basic {known}"}
    answer = Wire(visit.url).send("POST", "/demo/oidc/oauth/token", b"grant_type=client_credentials", headers=told)
    assert answer.status == 200, answer
    assert answer.json["access_token"]


@scenario.requirement("STK-03")
def a_wrong_secret_is_an_error_at_once(visit: Visit) -> None:
    with service(forward(visit.url), tokens=(forward(visit.url),)) as proxy:
        agent = visit.agent(url=proxy.url, http=visit.http(proxy.url, secret="wrong"), retry_initial_delay=5.0)
        began = time.monotonic()
        response = visit.chat("echo: hello", agent)
        assert time.monotonic() - began < 5.0
    assert response.is_error()
    assert "HTTP 401" in response.error
    assert (len(proxy.tokens), len(proxy.asked)) == (1, 0)


@scenario.requirement("STK-04")
def unknown_clients_realms_and_grants_are_refused(visit: Visit) -> None:
    assert (visit.grant(client_id="nobody").status, visit.grant(client_id="nobody").json["error"]) == (
        401,
        "invalid_client",
    )
    assert visit.grant(realm="nowhere").status == 404
    wrong = visit.grant(grant_type="password")
    assert (wrong.status, wrong.json["error"]) == (400, "unsupported_grant_type")
    for about in ({"client": "nobody"}, {"realm": "nowhere"}):
        response = visit.chat("echo: hello", visit.agent(http=visit.http(**about)))
        assert response.is_error()
        assert f"HTTP {404 if 'realm' in about else 401}" in response.error


@scenario.requirement("STK-05")
def without_a_token_nothing_is_given(visit: Visit) -> None:
    for headers in ({"Authorization": "Bearer bogus"}, {}, {"Authorization": "Bearer"}):
        nobody = visit.with_headers(headers)
        response = visit.chat("echo: hello", visit.agent(http=nobody))
        assert response.is_error()
        assert "HTTP error 401" in response.error
        assert body_of(response.error)["code"] == "UNAUTHORIZED"
        upload = visit.uploader(http=nobody).upload(visit.to_upload())
        assert upload.is_error()
        assert "401" in upload.error
    bogus = visit.wire("bogus")
    for path in ("/v1/agent/demo/chat", "/v1/agent/nobody/chat", "/v2/file-upload/form"):
        refused = bogus.send("POST", path, b"{")
        assert (refused.status, refused.json["code"]) == (401, "UNAUTHORIZED")
        assert refused.headers["www-authenticate"].startswith("Bearer")


@scenario.requirement("STK-73")
def an_upload_with_a_wrong_secret_is_an_error(visit: Visit) -> None:
    response = visit.uploader(http=visit.http(secret="wrong")).upload(visit.to_upload())
    assert response.is_error()
    assert "HTTP 401" in response.error
    assert response.upload_id is None
