import json
import threading
from collections.abc import Callable
from urllib.parse import parse_qs

import pytest
from tests.stackspot.peer import Peer, answer

from dragoman.core.errors import ConnectionFailed, TimedOut
from dragoman.stackspot import (
    STKAI,
    AuthConfig,
    AuthenticationError,
    AuthProvider,
    ChatStatus,
    ClientCredentialsAuthProvider,
    StandaloneHttpClient,
    create_standalone_auth,
)
from dragoman.stackspot.failures import is_timeout
from dragoman.stackspot.pools import WorkPool
from dragoman.transport.scripted import ScriptedIO
from dragoman.wire.http import Headers, Response

SECRET = "s3cret-s3cret"
URL = "https://idm.example/realm/oidc/oauth/token"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0
        self.sleeps: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now += seconds


def token(text: str = "t1", **fields: object) -> Response:
    return Response(200, Headers(), json.dumps({"access_token": text, "token_type": "Bearer", **fields}).encode())


def tokens(**fields: object) -> Callable[[object], Response]:
    """A peer that gives a new token each time."""
    counter = iter(range(1, 1000))
    return lambda request: token(f"t{next(counter)}", **fields)


def provider(io: ScriptedIO, clock: Clock | None = None, **options: float) -> ClientCredentialsAuthProvider:
    clock = clock or Clock()
    return ClientCredentialsAuthProvider("me", SECRET, URL, io=io, clock=clock, sleep=clock.sleep, **options)


# ------------------------------------------------------------------------------------ the grant


@pytest.mark.requirement("STK-06")
def test_the_grant_is_sent_as_a_form_and_the_token_goes_into_the_headers() -> None:
    io = ScriptedIO([token("t1", expires_in=1200)])
    assert provider(io).get_auth_headers() == {"Authorization": "Bearer t1"}
    [request] = io.requests
    assert (request.method, request.url) == ("POST", URL)
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert parse_qs(request.body.decode()) == {
        "grant_type": ["client_credentials"],
        "client_id": ["me"],
        "client_secret": [SECRET],
    }


@pytest.mark.requirement("STK-06")
def test_a_provider_of_given_credentials_and_one_of_the_configuration() -> None:
    given = create_standalone_auth(AuthConfig("me", SECRET, URL))
    assert (given.client_id, given.token_url) == ("me", URL)
    with pytest.raises(ValueError, match="STKAI_AUTH_CLIENT_ID"):
        create_standalone_auth()
    STKAI.configure(auth={"client_id": "you", "client_secret": SECRET})
    assert create_standalone_auth().client_id == "you"
    with pytest.raises(ValueError, match="missing"):
        create_standalone_auth(AuthConfig("me"))


@pytest.mark.requirement("STK-06")
@pytest.mark.parametrize(("client", "secret"), [("", SECRET), ("me", "")])
def test_empty_credentials_are_the_callers_mistake(client: str, secret: str) -> None:
    with pytest.raises(AssertionError):
        ClientCredentialsAuthProvider(client, secret)


@pytest.mark.requirement("STK-06")
def test_a_providers_of_ones_own_needs_one_method() -> None:
    class Fixed(AuthProvider):
        def get_access_token(self) -> str:
            return "fixed"

    io = ScriptedIO([Response(200)])
    StandaloneHttpClient(Fixed(), io=io).get("http://x/")
    assert io.requests[0].headers["authorization"] == "Bearer fixed"


# ------------------------------------------------------------------------------------ how long a token is used


@pytest.mark.requirement("STK-02")
def test_a_token_is_kept_until_its_margin() -> None:
    clock = Clock()
    io = ScriptedIO(tokens(expires_in=1200))
    auth = provider(io, clock)
    assert auth.get_access_token() == "t1"
    clock.now += 1139
    assert auth.get_access_token() == "t1"
    clock.now += 1
    assert auth.get_access_token() == "t2"
    assert len(io.requests) == 2


@pytest.mark.requirement("STK-S17")
@pytest.mark.parametrize(
    ("told", "kept"),
    [(30, 24.0), ("30", 24.0), (1200, 1140.0), ("1200", 1140.0), (300, 240.0), (299, 239.2)],
)
def test_the_margin_is_a_fifth_of_a_short_life(told: object, kept: float) -> None:
    clock = Clock()
    auth = provider(ScriptedIO(tokens(expires_in=told)), clock)
    auth.get_access_token()
    clock.now += kept - 0.01
    assert auth.get_access_token() == "t1"
    clock.now += 0.02
    assert auth.get_access_token() == "t2"


@pytest.mark.requirement("STK-S17")
@pytest.mark.parametrize(
    "told", [{}, {"expires_in": None}, {"expires_in": "soon"}, {"expires_in": -1}, {"expires_in": True}]
)
def test_a_life_that_nobody_tells_is_the_usual_one(told: dict[str, object]) -> None:
    clock = Clock()
    auth = provider(ScriptedIO(tokens(**told)), clock)
    auth.get_access_token()
    clock.now += 1138
    assert auth.get_access_token() == "t1"
    clock.now += 2
    assert auth.get_access_token() == "t2"


def test_a_refused_token_is_forgotten_and_a_newer_one_is_not() -> None:
    auth = provider(ScriptedIO(tokens()))
    auth.get_access_token()
    auth.forget("another")
    assert auth.cached_token() == "t1"
    auth.forget("t1")
    assert auth.cached_token() is None
    assert auth.get_access_token() == "t2"


def test_who_forgets_a_token_does_not_wait_for_who_fetches_one() -> None:
    asked, go = threading.Event(), threading.Event()

    def slowly(request: object) -> Response:
        asked.set()
        assert go.wait(10)
        return token("t1")

    auth = provider(ScriptedIO(slowly))
    fetching = threading.Thread(target=auth.get_access_token)
    fetching.start()
    assert asked.wait(10)
    forgetting = threading.Thread(target=auth.forget, args=("t0",))
    forgetting.start()
    forgetting.join(10)
    waits = forgetting.is_alive()
    go.set()
    fetching.join(10)
    forgetting.join(10)
    assert not waits
    assert auth.cached_token() == "t1"


# ------------------------------------------------------------------------------------ what goes wrong


def test_an_identity_service_that_repeats_the_secret_is_not_quoted() -> None:
    io = ScriptedIO([Response(401, Headers(), f"no such pair: me / {SECRET}".encode())])
    with pytest.raises(AuthenticationError) as caught:
        provider(io).get_access_token()
    assert "no such pair" in str(caught.value)
    assert SECRET not in str(caught.value) + str(caught.value.cause) + repr(vars(caught.value.cause))


def test_a_life_beyond_all_numbers_is_the_usual_one() -> None:
    clock = Clock()
    auth = provider(ScriptedIO(tokens(expires_in=10**400)), clock)
    auth.get_access_token()
    clock.now += 1138
    assert auth.cached_token() == "t1"


@pytest.mark.requirement("STK-03")
def test_a_refusal_is_told_at_once_with_its_status_and_without_the_secret() -> None:
    io = ScriptedIO(
        [Response(401, Headers(), b'{"error": "invalid_client", "client_secret": "' + SECRET.encode() + b'"}')]
    )
    with pytest.raises(AuthenticationError, match="HTTP 401") as caught:
        provider(io).get_access_token()
    assert "invalid_client" in str(caught.value)
    assert io.requests[0].url in str(caught.value)
    assert SECRET not in str(caught.value)
    assert caught.value.cause is caught.value.__cause__
    assert ChatStatus.from_exception(caught.value) is ChatStatus.ERROR


@pytest.mark.requirement("STK-S17")
@pytest.mark.parametrize("failure", [Response(503), Response(429), ConnectionFailed("refused"), TimedOut("slow")])
def test_a_token_request_is_tried_again(failure: object) -> None:
    clock = Clock()
    io = ScriptedIO([failure, failure, token("t9")])
    assert provider(io, clock).get_access_token() == "t9"
    assert clock.sleeps == [pytest.approx(0.5, rel=0.11), pytest.approx(1.0, rel=0.11)]


@pytest.mark.requirement("STK-S17")
@pytest.mark.parametrize(
    ("failure", "is_slow"),
    [(TimedOut("slow"), True), (Response(504), True), (Response(503), False), (ConnectionFailed("refused"), False)],
)
def test_a_token_request_that_never_works_has_the_status_of_its_last_failure(failure: object, is_slow: bool) -> None:
    with pytest.raises(AuthenticationError, match="Max retries exceeded") as caught:
        provider(ScriptedIO(lambda request: failure)).get_access_token()
    assert is_timeout(caught.value) is is_slow
    if isinstance(failure, Response):
        assert f"HTTP {failure.status}" in str(caught.value)


@pytest.mark.requirement("STK-S17")
@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b'{"access_token": ""}', b'{"access_token": 5}'])
def test_an_answer_without_a_token_is_an_error_that_says_so(body: bytes) -> None:
    with pytest.raises(AuthenticationError, match=r"access_token|JSON"):
        provider(ScriptedIO([Response(200, Headers(), body)])).get_access_token()


def test_redirects_of_the_token_endpoint_are_not_followed() -> None:
    io = ScriptedIO([Response(302, Headers({"location": "https://elsewhere/"}))])
    with pytest.raises(AuthenticationError, match="HTTP 302"):
        provider(io).get_access_token()
    assert len(io.requests) == 1


# ------------------------------------------------------------------------------------ many at once


@pytest.mark.requirement("STK-02")
def test_one_thread_fetches_and_all_use_its_token() -> None:
    with Peer(answer(body={"access_token": "t1", "expires_in": 1200})) as peer, WorkPool(8, "test") as pool:
        auth = ClientCredentialsAuthProvider("me", SECRET, f"{peer.url}/token")
        assert pool.map_in_order(lambda _: auth.get_access_token(), range(32)) == ["t1"] * 32
        assert len(peer.visits) == 1


class Door:
    """A lock that tells when six have come to it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._comers = iter(range(1, 7))
        self.all_here = threading.Event()

    def __enter__(self) -> None:
        if next(self._comers) == 6:
            self.all_here.set()
        self._lock.acquire()

    def __exit__(self, *exception: object) -> None:
        self._lock.release()


def test_those_who_waited_for_a_refusal_share_it() -> None:
    door = Door()

    def refuse(request: object) -> Response:
        assert door.all_here.wait(10)
        return Response(401)

    io = ScriptedIO(refuse)
    auth = provider(io)
    auth._fetching = door
    told: list[str] = []

    def ask() -> None:
        try:
            auth.get_access_token()
        except AuthenticationError as error:
            told.append(str(error))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(told) == 6
    assert len(set(told)) == 1
    assert len(io.requests) == 1
