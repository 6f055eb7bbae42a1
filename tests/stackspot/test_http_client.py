import gc
import json
import stat
import threading
import weakref

import pytest
import requests
from anyio import fail_after, move_on_after
from tests.stackspot.peer import Keys, Peer, Visit, answer

from dragoman.core.errors import ConnectionLost, NotFound, RateLimited, TimedOut
from dragoman.stackspot import (
    STKAI,
    Agent,
    AgentOptions,
    AsyncEnvironmentAwareHttpClient,
    AsyncStandaloneHttpClient,
    AuthProvider,
    ChatRequest,
    ChatStatus,
    EnvironmentAwareHttpClient,
    HttpClient,
    HTTPStatusError,
    StandaloneHttpClient,
)
from dragoman.stackspot.connections import connections
from dragoman.stackspot.exchange import BlockingExchange, FormFile
from dragoman.stackspot.failures import raise_for_status, raise_for_stream
from dragoman.stackspot.replies import reply_of, stream_reply_of
from dragoman.stackspot.responses import ClientResponse
from dragoman.transport.io import run_blocking
from dragoman.transport.scripted import Reply, ScriptedIO
from dragoman.wire.http import Headers, Response


def client(script) -> tuple[StandaloneHttpClient, ScriptedIO]:
    io = ScriptedIO(script)
    return StandaloneHttpClient(Keys(), io=io), io


def stream(*pieces: bytes, status: int = 200, **headers: str) -> Reply:
    return Reply(pieces, status, Headers(headers or {"content-type": "text/event-stream"}))


# ------------------------------------------------------------------------------------ requests and answers


@pytest.mark.requirement("STK-06")
def test_json_goes_out_and_comes_back_with_the_token() -> None:
    http, io = client([Response(200, Headers({"x-y": "z"}), '{"a": "é"}'.encode())])
    response = http.post("http://x/chat", data={"user_prompt": "é\u2028"}, headers={"X-Request-Id": "7"}, timeout=9)
    assert (response.status_code, response.ok, response.json()) == (200, True, {"a": "é"})
    assert response.headers["X-Y"] == "z"
    [request] = io.requests
    assert json.loads(request.body) == {"user_prompt": "é\u2028"}
    assert request.headers["authorization"] == "Bearer k1"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["x-request-id"] == "7"
    assert request.timeouts.read == request.timeouts.connect == 9


def test_explicit_headers_win_whatever_their_case() -> None:
    http, io = client([Response(401)])
    assert http.get("http://x/", headers={"authorization": "mine"}).status_code == 401
    assert io.requests[0].headers["authorization"] == "mine"
    assert len(io.requests) == 1


def test_timeouts_as_requests_takes_them() -> None:
    http, io = client([Response(200), Response(200)])
    http.get("http://x/", timeout=(1, 2))
    assert (io.requests[0].timeouts.connect, io.requests[0].timeouts.read) == (1, 2)
    http.get("http://x/", timeout=None)
    assert io.requests[1].timeouts.read is None
    with pytest.raises(ValueError, match="timeout"):
        http.get("http://x/", timeout=0)


@pytest.mark.parametrize("data", [{"x": float("nan")}, {"x": object()}])
def test_what_is_no_json_is_the_callers_mistake(data: object) -> None:
    http, io = client([])
    with pytest.raises(ValueError, match="JSON"):
        http.post("http://x/", data=data)
    assert not io.requests


def test_half_a_surrogate_pair_can_be_said() -> None:
    http, io = client([Response(200)])
    http.post("http://x/", data={"x": "\ud800"})
    assert io.requests[0].body == b'{"x": "\\ud800"}'


def test_an_answer_has_the_shape_of_requests() -> None:
    http, io = client([stream(b"data: 1\r", b"\n\r\nda", b"ta: \xc3", b"\xa9")])
    with http.post_stream("http://x/") as response:
        assert list(response.iter_lines(decode_unicode=True)) == ["data: 1", "", "data: é"]
    assert not io.open_streams
    assert repr(response) == "<Response [200]>"


@pytest.mark.parametrize(("size", "pieces"), [(1, [b"a", b"b", b"c"]), (2, [b"ab", b"c"]), (None, [b"abc"])])
def test_pieces_of_an_answer(size: int | None, pieces: list[bytes]) -> None:
    http, _ = client([stream(b"abc")])
    assert list(http.post_stream("http://x/").iter_content(size)) == pieces


def test_other_lines_and_texts() -> None:
    http, _ = client([stream(b"a;b;c"), stream("é".encode()[:1], "é".encode()[1:]), Response(200, body=b"xy")])
    assert list(http.post_stream("http://x/").iter_lines(delimiter=b";")) == [b"a", b"b", b"c"]
    assert "".join(http.post_stream("http://x/").iter_content(None, decode_unicode=True)) == "é"
    assert list(http.get("http://x/").iter_content(None)) == [b"xy"]


def test_text_is_utf8_unless_the_answer_names_another_charset() -> None:
    latin = ClientResponse("u", Response(200, Headers({"content-type": "text/plain; charset=ISO-8859-1"}), b"\xe9"))
    odd = ClientResponse("u", Response(200, Headers({"content-type": "text/plain; charset=klingon"}), "é".encode()))
    plain = ClientResponse("u", Response(200, Headers({"content-type": "text/plain"}), "é".encode()))
    assert [latin.text, odd.text, plain.text] == ["é"] * 3


def test_an_unread_answer_that_is_closed_lets_go() -> None:
    http, io = client([stream(b"abc")])
    response = http.post_stream("http://x/")
    assert io.open_streams
    response.close()
    response.close()
    assert not io.open_streams
    assert list(response.iter_content()) == []


@pytest.mark.requirement("STK-39")
def test_error_statuses_are_requests_errors_and_ours() -> None:
    http, _ = client([Response(404, Headers(), b'{"details": "no agent x"}')])
    response = http.post("http://x/")
    with pytest.raises(requests.HTTPError, match=r"HTTP error 404: .*no agent x") as caught:
        response.raise_for_status()
    assert isinstance(caught.value, HTTPStatusError)
    assert isinstance(caught.value, NotFound)
    assert caught.value.response.status_code == 404
    assert caught.value.response.json() == {"details": "no agent x"}


@pytest.mark.requirement("STK-39", "STK-S13")
def test_the_body_of_a_refused_stream_is_in_the_error_and_its_connection_is_let_go() -> None:
    http, io = client([stream(b'{"code": ', b'"BUSY"}', status=429)])
    reply = stream_reply_of(http.post_stream("http://x/"))
    with pytest.raises(RateLimited, match="BUSY") as caught:
        run_blocking(raise_for_stream(reply))
    assert caught.value.response.json() == {"code": "BUSY"}
    assert not io.open_streams


def test_a_client_without_streams_says_so() -> None:
    class Plain(HttpClient):
        def get(self, url, headers=None, timeout=30):
            raise AssertionError

        post = get

    with pytest.raises(NotImplementedError, match="Plain has no post_stream"):
        Plain().post_stream("http://x/")


# ------------------------------------------------------------------------------------ 401


@pytest.mark.requirement("STK-S18")
@pytest.mark.parametrize("call", ["get", "post", "post_stream"])
def test_a_refused_token_is_renewed_and_the_call_repeated_once(call: str) -> None:
    http, io = client([stream(b"no", status=401), Response(200, body=b"yes")])
    assert getattr(http, call)("http://x/").text == "yes"
    assert [request.headers["authorization"] for request in io.requests] == ["Bearer k1", "Bearer k2"]
    assert not io.open_streams


@pytest.mark.requirement("STK-S18")
def test_a_second_refusal_is_the_answer() -> None:
    http, io = client([Response(401), Response(401)])
    assert http.post("http://x/").status_code == 401
    assert len(io.requests) == 2


@pytest.mark.requirement("STK-S18")
def test_a_provider_that_has_no_other_token_is_asked_no_more() -> None:
    class Fixed(AuthProvider):
        def get_access_token(self) -> str:
            return "fixed"

    io = ScriptedIO([Response(401)])
    assert StandaloneHttpClient(Fixed(), io=io).get("http://x/").status_code == 401


@pytest.mark.requirement("STK-S18")
def test_an_agent_survives_the_end_of_its_token() -> None:
    script = [
        answer(body={"access_token": "old", "expires_in": 1200}),
        answer(401, {"code": "UNAUTHORIZED"}),
        answer(body={"access_token": "new", "expires_in": 1200}),
        answer(body={"message": "hi"}),
    ]
    with Peer(script) as peer:
        configure(peer)
        with Agent("demo") as agent:
            assert agent.chat(ChatRequest("x")).result == "hi"
    assert [visit.headers.get("authorization") for visit in peer.visits[1::2]] == ["Bearer old", "Bearer new"]


# ------------------------------------------------------------------------------------ who authorizes


def configure(peer: Peer, **sections: object) -> None:
    auth = {"client_id": "me", "client_secret": "s3cret", "token_url": f"{peer.url}/realm/oidc/oauth/token"}
    STKAI.configure(auth=auth, agent={"base_url": peer.url, "retry_initial_delay": 0.001}, **sections)


def service(visit: Visit) -> None:
    body = {"access_token": "t", "expires_in": 1200} if visit.path.endswith("/token") else {"message": "hi"}
    content = json.dumps(body).encode()
    visit.send_head(200, "content-type: application/json", f"content-length: {len(content)}", "connection: close")
    visit.send(content)


@pytest.mark.requirement("STK-80", "STK-01")
def test_credentials_in_the_environment_are_enough(monkeypatch) -> None:
    with Peer(service) as peer:
        monkeypatch.setenv("STKAI_AUTH_CLIENT_ID", "me")
        monkeypatch.setenv("STKAI_AUTH_CLIENT_SECRET", "s3cret")
        monkeypatch.setenv("STKAI_AUTH_TOKEN_URL", f"{peer.url}/realm/oidc/oauth/token")
        monkeypatch.setenv("STKAI_AGENT_BASE_URL", peer.url)
        STKAI.reset()
        with Agent("demo") as agent:
            assert agent.chat(ChatRequest("x")).result == "hi"


@pytest.mark.requirement("STK-08")
def test_without_credentials_the_answer_is_an_error() -> None:
    response = Agent("demo").chat(ChatRequest("x"))
    assert response.status is ChatStatus.ERROR
    assert "No authentication method available" in response.error
    with pytest.raises(ValueError, match="No authentication method available"):
        EnvironmentAwareHttpClient().get("http://x/")


@pytest.mark.requirement("STK-08")
@pytest.mark.parametrize(("given", "missing"), [("client_id", "client_secret"), ("client_secret", "client_id")])
def test_of_half_the_credentials_the_missing_half_is_named(given: str, missing: str) -> None:
    STKAI.configure(auth={given: "demo-you"}, allow_env_override=False)
    with pytest.raises(ValueError, match=f"only the {missing} is missing"):
        EnvironmentAwareHttpClient().get("http://x/")


@pytest.mark.requirement("STK-08")
async def test_without_credentials_the_awaiting_client_says_the_same() -> None:
    with pytest.raises(ValueError, match="No authentication method available"):
        await AsyncEnvironmentAwareHttpClient().post("http://x/")


@pytest.mark.requirement("STK-01")
def test_all_clients_of_a_configuration_share_one_token() -> None:
    with Peer(service) as peer:
        configure(peer)
        for _ in range(3):
            with EnvironmentAwareHttpClient() as http:
                assert http.post(f"{peer.url}/x").json() == {"message": "hi"}
        assert [visit.path for visit in peer.visits].count("/realm/oidc/oauth/token") == 1


@pytest.mark.requirement("STK-92")
def test_all_clients_of_a_configuration_share_one_limit() -> None:
    with Peer(service) as peer:
        configure(peer, rate_limit={"enabled": True, "max_requests": 2, "time_window": 3600, "max_wait_time": 1})
        agents = [Agent("demo", options=AgentOptions(retry_max_retries=0)) for _ in range(3)]
        statuses = [agent.chat(ChatRequest("x")).status for agent in agents]
        for agent in agents:
            agent.close()
    assert statuses == [ChatStatus.SUCCESS, ChatStatus.SUCCESS, ChatStatus.TIMEOUT]


async def test_the_awaiting_client_shares_token_and_limit() -> None:
    with Peer(service) as peer:
        configure(peer, rate_limit={"enabled": True, "max_requests": 5})
        with EnvironmentAwareHttpClient() as http:
            http.post(f"{peer.url}/x")
        async with AsyncEnvironmentAwareHttpClient() as http:
            assert (await http.post(f"{peer.url}/x")).json() == {"message": "hi"}
            answer = await http.post_stream(f"{peer.url}/x")
            assert await answer.aread() == b'{"message": "hi"}'
        assert [visit.path for visit in peer.visits].count("/realm/oidc/oauth/token") == 1


async def test_the_awaiting_client_renews_once() -> None:
    io = ScriptedIO([stream(b"no", status=401), Response(200, body=b"yes"), Response(401)])
    http = AsyncStandaloneHttpClient(Keys(), io=io)
    assert (await http.post("http://x/")).text == "yes"
    answer = await http.get("http://x/", headers={"Authorization": "mine"})
    with pytest.raises(requests.HTTPError):
        answer.raise_for_status()
    assert [one.headers["authorization"] for one in io.requests] == ["Bearer k1", "Bearer k2", "mine"]


# ------------------------------------------------------------------------------------ connections


def test_calls_share_a_connection_and_closing_ends_it() -> None:
    with Peer(answer(body={"message": "hi"})) as peer:
        http, other = StandaloneHttpClient(Keys()), StandaloneHttpClient(Keys())
        for _ in range(3):
            http.post(f"{peer.url}/a")
            other.post(f"{peer.url}/b")
        assert peer.connections == 1
        http.close()
        other.post(f"{peer.url}/b")
        assert peer.connections == 1
        other.close()
        other.close()
        http.post(f"{peer.url}/a")
        assert peer.connections == 2
        http.close()
    assert connections._held == 0


def test_a_client_that_is_dropped_lets_go_of_its_connections() -> None:
    with Peer(answer(body={})) as peer:
        http = StandaloneHttpClient(Keys())
        http.get(peer.url)
        gone = weakref.ref(http)
        del http
        gc.collect()
        assert gone() is None
        assert connections._held == 0


def test_a_stream_that_nobody_reads_or_closes_is_closed_when_the_connections_are_used_next() -> None:
    left = threading.Event()

    def endless(visit: Visit) -> None:
        visit.send_head(200, "content-type: text/event-stream", "transfer-encoding: chunked")
        visit.say_nothing()
        left.set()

    with Peer([endless, answer(body={})]) as peer:
        http = StandaloneHttpClient(Keys())
        http.post_stream(peer.url)
        gc.collect()
        http.post_stream(peer.url).close()
        assert left.wait(10)
        http.close()


async def test_a_call_that_waits_for_a_token_can_be_cancelled() -> None:
    go = threading.Event()

    class Slow(AuthProvider):
        def get_access_token(self) -> str:
            assert go.wait(10)
            return "k"

    http = AsyncStandaloneHttpClient(Slow(), io=ScriptedIO([Response(200)]))
    try:
        with move_on_after(0.05) as scope, fail_after(5):
            await http.post("http://x/")
        assert scope.cancelled_caught
        assert not go.is_set()
    finally:
        go.set()


@pytest.mark.parametrize("end", ["drop", "close"])
def test_a_stream_outlives_its_client(end: str) -> None:
    go = threading.Event()

    def slowly(visit: Visit) -> None:
        visit.send_head(200, "content-type: text/event-stream", "transfer-encoding: chunked", "connection: close")
        assert go.wait(10)
        visit.send_chunk(b"data: 1\n\n")
        visit.send_chunk(b"")

    with Peer(slowly) as peer:
        http = StandaloneHttpClient(Keys())
        response = http.post_stream(peer.url)
        if end == "close":
            http.close()
        del http
        gc.collect()
        go.set()
        assert response.content == b"data: 1\n\n"
    assert connections._held == 0


def test_redirects_are_answers() -> None:
    with Peer(answer(302, location="http://127.0.0.1:1/")) as peer, StandaloneHttpClient(Keys()) as http:
        response = http.post(peer.url, data={})
        assert response.status_code == 302
        with pytest.raises(HTTPStatusError, match="302"):
            raise_for_status(reply_of(response))
        assert len(peer.visits) == 1


def test_a_users_netrc_is_not_read(tmp_path, monkeypatch) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login me password leaked\n")
    netrc.chmod(stat.S_IRUSR | stat.S_IWUSR)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(netrc))
    file = tmp_path / "a.txt"
    file.write_bytes(b"abc")
    with Peer([answer(body={}), answer(204)]) as peer, StandaloneHttpClient(Keys()) as http:
        http.post(peer.url, data={})
        run_blocking(BlockingExchange(http).post_form(peer.url, {}, FormFile(file, "a.txt", "text/plain"), timeout=9))
    assert peer.visits[0].headers["authorization"] == "Bearer k1"
    assert "authorization" not in peer.visits[1].headers


def test_network_faults_are_those_of_requests_too() -> None:
    def silent(visit: Visit) -> None:
        visit.say_nothing()

    with Peer([Visit.reset, silent]) as peer, StandaloneHttpClient(Keys()) as http:
        with pytest.raises(requests.ConnectionError) as lost:
            http.post(peer.url)
        assert isinstance(lost.value, ConnectionLost)
        with pytest.raises(requests.Timeout) as slow:
            http.post(peer.url, timeout=0.1)
        assert isinstance(slow.value, TimedOut)
