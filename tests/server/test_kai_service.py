"""The Kai face as a service: ping, discovery, credentials, errors, limits, CORS, secrets."""

import json
import logging
import re

import pytest
from tests.server.kai_app import Kai, fresh, kai_app, message_body

from dragoman.core.errors import ConnectionFailed, Unauthorized, UsageError
from dragoman.server.http import Call
from dragoman.server.kai import face
from dragoman.testing import FakeClock, ScriptedIO
from dragoman.wire.http import Headers, Request, Response

ROUTES = [
    ("POST", "/api/chat", "chat"),
    ("DELETE", "/api/chat", "chat"),
    ("GET", "/api/chat/x", "chat"),
    ("GET", "/api/chat/x/stream", "chat"),
    ("POST", "/api/chat/x/approval", "chat"),
    ("POST", "/api/chat/x/stop", "chat"),
    ("GET", "/api/history", "history"),
    ("DELETE", "/api/history", "history"),
    ("GET", "/api/vote", "vote"),
    ("PATCH", "/api/vote", "vote"),
    ("GET", "/api/usage", "api"),
    ("GET", "/api/settings", "api"),
    ("PATCH", "/api/settings", "api"),
    ("GET", "/api/settings/user", "api"),
    ("PATCH", "/api/settings/user", "api"),
    ("GET", "/api/settings/tools", "api"),
    ("POST", "/api/suggestions", "suggestions"),
]


@pytest.fixture
async def kai():
    async with kai_app() as started:
        yield started


@pytest.mark.requirement("KAI-30")
async def test_ping_and_info_need_no_credentials(kai: Kai):
    ping = await kai.nobody().get("/ping")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", ping.json["timestamp"])
    info = (await kai.nobody().get("/api")).json
    assert set(info) == {"timestamp", "uptime", "appName", "appVersion", "serverVersion", "connectedMcp"}
    assert isinstance(info["uptime"], float)
    assert info["appVersion"]
    assert info["serverVersion"]


@pytest.mark.requirement("KAI-30", "KAI-33")
@pytest.mark.parametrize("path", ["/ping/", "/api/", "/api/history/"])
async def test_a_trailing_slash_is_no_reason_to_redirect(kai: Kai, path):
    assert (await kai.user().get(path)).status == 200


@pytest.mark.requirement("KAI-31")
async def test_discovery_names_this_mount_and_checks_a_token_that_was_sent(kai: Kai):
    listed = (await kai.nobody().get("/v2/storage")).json["services"]
    assert {"id": "kai-assistant", "url": "http://kai.test"} in listed
    listed = (await kai.user().get("/agent/v2/storage")).json["services"]
    assert listed == [{"id": "kai-assistant", "url": "http://kai.test/agent"}]
    refused = await kai.nobody(**{"x-storageapi-token": "nope"}).get("/v2/storage")
    assert (refused.status, refused.json["code"]) == (401, "unauthorized:api")


@pytest.mark.requirement("KAI-31")
async def test_discovery_uses_the_public_url():
    async with kai_app(public_url="https://chat.example/kai/") as kai:
        listed = (await kai.user().get("/v2/storage")).json["services"]
        assert listed[0]["url"] == "https://chat.example/kai"


@pytest.mark.requirement("KAI-32")
@pytest.mark.parametrize(("method", "path", "surface"), ROUTES)
@pytest.mark.parametrize("headers", [{}, {"x-storageapi-token": ""}, {"x-storageapi-token": "nope"}])
async def test_every_route_asks_for_credentials_before_it_looks_at_the_body(kai: Kai, method, path, surface, headers):
    answer = await kai.nobody(**headers).call(method, path, b"{not json")
    assert (answer.status, answer.json["code"]) == (401, f"unauthorized:{surface}")


@pytest.mark.requirement("KAI-32")
async def test_a_bearer_token_is_as_good(kai: Kai):
    assert (await kai.nobody(authorization="Bearer demo-alice").get("/api/history")).status == 200


@pytest.mark.requirement("KAI-33")
async def test_every_error_has_the_same_shape(kai: Kai):
    alice = kai.user()
    answers = {
        404: await alice.get("/api/no-such-route"),
        405: await alice.call("PUT", "/api/history"),
        400: await alice.post("/api/chat", b"{"),
        401: await kai.nobody().get("/api/usage"),
    }
    for status, answer in answers.items():
        assert answer.status == status
        assert answer.headers["content-type"] == "application/json"
        assert re.fullmatch(r"[a-z_]+:[a-z_]+", answer.json["code"])
        assert answer.json["message"]
    assert answers[404].json["code"] == "not_found:api"
    assert answers[405].json["code"] == "bad_request:api"


@pytest.mark.requirement("KAI-33")
async def test_a_fault_of_ours_shows_nothing_but_an_id(kai: Kai, monkeypatch):
    async def broken(*_, **__):
        raise OSError("/secret/path is full")

    monkeypatch.setattr(kai.services.engine, "delete_threads", broken)
    answer = await kai.user().call("DELETE", "/api/history")
    assert (answer.status, answer.json["code"]) == (500, "internal:api")
    assert "secret" not in answer.body.decode()
    assert answer.json["cause"]


@pytest.mark.requirement("KAI-34")
async def test_what_is_refused_leaves_nothing_behind(kai: Kai):
    alice, chat = kai.user(), fresh()
    for body in (b"{", b'{"id": "\xff"}', message_body(chat, ""), message_body(chat, "x", selectedChatModel="nope")):
        answer = await alice.post("/api/chat", body)
        assert (answer.status, answer.json["code"]) == (400, "bad_request:api")
    assert (await alice.get(f"/api/chat/{chat}")).status == 404
    assert (await alice.get("/api/usage")).json["messagesUsed"] == 0
    assert (await alice.get("/api/history")).json == {"chats": [], "hasMore": False}


@pytest.mark.requirement("KAI-34")
async def test_limits_are_settings():
    async with kai_app(kai={"limits": {"text": 10, "parts": 1, "body": 600}}) as kai:
        alice = kai.user()
        assert (await alice.post("/api/chat", message_body(fresh(), "x" * 11))).status == 400
        assert (await alice.say(fresh(), "echo: 123")).status == 200
        two = message_body(fresh(), "x")
        two["message"]["parts"] *= 2
        assert (await alice.post("/api/chat", two)).status == 400
        large = await alice.post("/api/chat", message_body(fresh(), "x" * 600))
        assert (large.status, large.json["code"]) == (413, "bad_request:api")


@pytest.mark.requirement("KAI-71")
async def test_cross_origin_is_off_by_default_and_lists_what_it_allows():
    asked = {"origin": "https://page.example", "access-control-request-method": "POST"}
    async with kai_app() as kai:
        answer = await kai.nobody(**asked).call("OPTIONS", "/api/chat")
        assert "access-control-allow-origin" not in answer.headers
    async with kai_app(cors={"origins": ["https://page.example"]}) as kai:
        answer = await kai.nobody(**asked).call("OPTIONS", "/api/chat")
        assert answer.headers["access-control-allow-origin"] == "https://page.example"
        assert set(answer.headers["access-control-allow-methods"].split(", ")) == {"GET", "POST", "PATCH", "DELETE"}
        assert set(answer.headers["access-control-allow-headers"].split(", ")) == {
            "content-type",
            "authorization",
            "x-storageapi-token",
            "x-storageapi-url",
        }
        page = kai.user(origin="https://page.example")
        answer = await page.say(fresh(), "echo: hi")
        exposed = answer.headers["access-control-expose-headers"].split(", ")
        assert {"retry-after", "x-vercel-ai-ui-message-stream"} <= set(exposed)
        refused = await kai.user(origin="https://evil.example").get("/api/history")
        assert (refused.status, refused.json["code"].partition(":")[0]) == (403, "forbidden")


class Storage:
    """A Storage API that knows one token."""

    def __init__(self) -> None:
        self.io = ScriptedIO(self.answer)
        self.known = {"sapi-1": {"id": "1", "owner": {"id": 77}}, "sapi-2": {"id": "2"}}
        self.down = False

    def answer(self, request: Request) -> Response:
        if "\x01" in request.headers["x-storageapi-token"]:
            raise UsageError("nothing HTTP allows")
        if self.down:
            raise ConnectionFailed("no route")
        found = self.known.get(request.headers["x-storageapi-token"])
        return Response(200, body=json.dumps(found).encode()) if found else Response(401)


@pytest.mark.requirement("KAI-72")
async def test_a_listed_storage_api_verifies_its_tokens_and_others_are_refused():
    clock, storage = FakeClock(), Storage()
    async with kai_app(demo=False, clock=clock, kai={"storage_urls": ["https://sapi.example"]}) as kai:
        made = face(kai.services, io=storage.io)
        assert made.authenticate is not None

        async def signs_in(token, url):
            call = _call({"x-storageapi-token": token, "x-storageapi-url": url})
            return await made.authenticate(call)

        alice = await signs_in("sapi-1", "https://SAPI.example/")
        assert alice.tenant == "sapi.example:77"
        assert "sapi-1" not in alice.user
        await signs_in("sapi-1", "https://sapi.example")
        assert [request.url for request in storage.io.requests] == ["https://sapi.example/v2/storage/tokens/verify"]
        stranger = await signs_in("sapi-2", "https://sapi.example")
        assert stranger.tenant not in ("sapi.example:77", "sapi.example:2")
        bad = [("nope", "https://sapi.example"), ("\x01", "https://sapi.example"), ("sapi-1", "https://evil.example")]
        for token, url in bad:
            with pytest.raises(Exception, match="Storage API") as refused:
                await signs_in(token, url)
            assert refused.value.status == 401
        assert "evil" not in str([request.url for request in storage.io.requests])
        asked = len(storage.io.requests)
        clock.advance(301)
        await signs_in("sapi-1", "https://sapi.example")
        assert len(storage.io.requests) == asked + 1
        storage.down = True
        clock.advance(301)
        with pytest.raises(Exception, match="could not be asked") as offline:
            await signs_in("sapi-1", "https://sapi.example")
        assert offline.value.status == 503


@pytest.mark.requirement("KAI-72")
@pytest.mark.parametrize("url", ["http://[", "http://\u2100.example", "//", "x" * 5000, "https://sapi.example:x"])
async def test_a_storage_url_that_is_none_is_refused_like_an_unlisted_one(url):
    storage = Storage()
    async with kai_app(demo=False, kai={"storage_urls": ["https://sapi.example"]}) as kai:
        made = face(kai.services, io=storage.io)
        assert made.authenticate is not None
        with pytest.raises(Unauthorized):
            await made.authenticate(_call({"x-storageapi-token": "sapi-1", "x-storageapi-url": url}))
        assert not storage.io.requests


def _call(headers):
    return Call("GET", "/api/history", headers=Headers(headers))


@pytest.mark.requirement("KAI-72")
async def test_without_a_list_the_storage_url_is_only_data(kai: Kai):
    user = kai.user(**{"x-storageapi-url": "https://evil.example"})
    assert (await user.get("/api/history")).status == 200


@pytest.mark.requirement("KAI-72")
async def test_no_token_and_no_text_is_in_log_or_answer(kai: Kai, caplog):
    token, words = "demo-very-secret-token", "my private words"
    with caplog.at_level(logging.DEBUG, logger="dragoman"):
        user, chat = kai.user("very-secret-token"), fresh()
        streamed = await user.say(chat, f"echo: {words}")
        told = await user.get(f"/api/chat/{chat}")
        failed = await user.say(chat, "fail: bang")
    logged = "\n".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records)
    assert token not in logged
    assert words not in logged
    for answer in (streamed, told, failed):
        assert token not in answer.body.decode()
        assert token not in str(answer.headers)
    assert told.json["userId"]
