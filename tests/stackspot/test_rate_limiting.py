import dataclasses
import threading
from typing import ClassVar

import pytest

from dragoman.core.errors import ConnectionLost
from dragoman.stackspot import (
    AdaptiveRateLimitedHttpClient,
    Agent,
    AgentOptions,
    ChatRequest,
    ChatStatus,
    ClientSideRateLimitError,
    HttpClient,
    RateLimitConfig,
    RetryableError,
    ServerSideRateLimitError,
    STKAIConfig,
    TokenAcquisitionTimeoutError,
    TokenBucketRateLimitedHttpClient,
)
from dragoman.stackspot.failures import is_timeout, retry_after_of
from dragoman.stackspot.http_interface import AsyncHttpClient
from dragoman.stackspot.pools import WorkPool, WorkStopped
from dragoman.stackspot.rate_limiting import AdaptiveLimiter, AsyncLimitedHttpClient, FixedLimiter, limiter_of
from dragoman.stackspot.responses import AsyncClientResponse, ClientResponse
from dragoman.wire.http import Headers, Response


class Scripted(HttpClient):
    """Answers with these statuses, then with 200."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.calls: list[str] = []
        self.closed = False

    def _answer(self, name: str) -> ClientResponse:
        self.calls.append(name)
        status = self.statuses.pop(0) if self.statuses else 200
        headers = Headers({"Retry-After": "7"}) if status == 429 else Headers()
        return ClientResponse("u", Response(status, headers, b'{"message": "hi"}'))

    def get(self, url, headers=None, timeout=30):
        return self._answer("get")

    def post(self, url, data=None, headers=None, timeout=30):
        return self._answer("post")

    def post_stream(self, url, data=None, headers=None, timeout=30):
        return self._answer("post_stream")

    def close(self) -> None:
        self.closed = True


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 50.0
        self.sleeps: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(round(seconds, 6))
        self.now += seconds


def bucket(*arguments, **options) -> tuple[TokenBucketRateLimitedHttpClient, Scripted, Clock]:
    clock, delegate = Clock(), Scripted()
    options = {"now": clock, "sleep": clock.sleep, **options}
    return TokenBucketRateLimitedHttpClient(delegate, *arguments, **options), delegate, clock


def adaptive(*statuses: int, max_requests: int = 10, time_window: float = 10, **options):
    clock, delegate = Clock(), Scripted(*statuses)
    options = {"now": clock, "sleep": clock.sleep, "random": lambda: 0.5, **options}
    client = AdaptiveRateLimitedHttpClient(delegate, max_requests, time_window, **options)
    return client, delegate, clock


def refused(client: HttpClient) -> ServerSideRateLimitError:
    with pytest.raises(ServerSideRateLimitError) as caught:
        client.post("u")
    return caught.value


# ------------------------------------------------------------------------------------ the token bucket


@pytest.mark.requirement("STK-92")
def test_a_full_bucket_then_one_token_at_a_time() -> None:
    client, delegate, clock = bucket(4, 2.0)
    for _ in range(7):
        client.post("u")
    assert clock.sleeps == [0.5, 0.5, 0.5]
    clock.now += 1.0
    client.post_stream("u")
    client.post("u")
    assert len(clock.sleeps) == 3
    assert len(delegate.calls) == 9


@pytest.mark.requirement("STK-92")
def test_reading_is_free() -> None:
    client, delegate, clock = bucket(1, 60.0)
    for _ in range(5):
        client.get("u")
    client.post("u")
    assert clock.sleeps == []
    assert delegate.calls == ["get"] * 5 + ["post"]


@pytest.mark.requirement("STK-92")
def test_a_wait_beyond_the_limit_is_refused_at_once_and_takes_no_token() -> None:
    client, delegate, clock = bucket(1, 10.0, 9.0)
    client.post("u")
    with pytest.raises(TokenAcquisitionTimeoutError) as caught:
        client.post("u")
    error = caught.value
    assert (error.waited, error.max_wait_time) == (0.0, 9.0)
    assert isinstance(error, ClientSideRateLimitError)
    assert isinstance(error, RetryableError)
    assert is_timeout(error)
    assert ChatStatus.from_exception(error) is ChatStatus.TIMEOUT
    assert clock.sleeps == []
    clock.now += 2.0
    client.post("u")
    assert clock.sleeps == [8.0]
    assert delegate.calls == ["post"] * 2


@pytest.mark.requirement("STK-92")
def test_no_wait_is_too_long_without_a_limit() -> None:
    client, _, clock = bucket(1, 3600.0, None)
    client.post("u")
    client.post("u")
    assert clock.sleeps == [3600.0]


@pytest.mark.requirement("STK-92")
def test_threads_get_their_tokens_one_after_the_other() -> None:
    clock, delegate = Clock(), Scripted()
    waits: list[float] = []
    client = TokenBucketRateLimitedHttpClient(delegate, 2, 2.0, None, now=clock, sleep=waits.append)
    with WorkPool(8, "test") as pool:
        pool.map_in_order(lambda _: client.post("u"), range(10))
    assert sorted(map(round, waits)) == list(range(1, 9))


@pytest.mark.requirement("STK-92")
def test_one_who_is_stopped_gives_its_token_back() -> None:
    def stopped(seconds: float) -> None:
        raise WorkStopped

    client, _, clock = bucket(1, 10.0, sleep=stopped)
    client.post("u")
    with pytest.raises(WorkStopped):
        client.post("u")
    assert client.limiter.tokens == 0
    clock.now += 10
    client.post("u")


@pytest.mark.requirement("STK-92")
def test_a_limited_chat_that_waits_too_long_is_a_timeout() -> None:
    client, _, _ = bucket(1, 3600.0, 1.0)
    agent = Agent("demo", options=AgentOptions(retry_max_retries=0), http_client=client)
    assert agent.chat(ChatRequest("x")).status is ChatStatus.SUCCESS
    assert agent.chat(ChatRequest("x")).status is ChatStatus.TIMEOUT


@pytest.mark.parametrize("arguments", [(0, 1), (1, 0), (1, 1, 0)])
def test_impossible_buckets(arguments) -> None:
    with pytest.raises(AssertionError):
        TokenBucketRateLimitedHttpClient(Scripted(), *arguments)


def test_closing_reaches_the_delegate() -> None:
    client, delegate, _ = bucket(1, 1)
    client.close()
    assert delegate.closed
    assert (client.max_requests, client.time_window, client.max_wait_time) == (1, 1, 45.0)


# ------------------------------------------------------------------------------------ the adaptive one


@pytest.mark.requirement("STK-93")
def test_a_refusal_makes_it_smaller_and_answers_let_it_grow() -> None:
    client, _, _ = adaptive(429, 200, 404, 429)
    error = refused(client)
    assert error.response.status_code == 429
    assert retry_after_of(error, 0.0) == 7.0
    assert isinstance(error, RetryableError)
    assert not is_timeout(error)
    assert client.limiter.size == pytest.approx(7.0)
    client.post("u")
    client.post_stream("u")
    assert client.limiter.size == pytest.approx(8.0)
    refused(client)
    assert client.limiter.size == pytest.approx(5.6)


@pytest.mark.requirement("STK-93")
def test_it_never_grows_beyond_what_was_asked_for() -> None:
    client, _, _ = adaptive()
    client.post("u")
    assert client.limiter.size == 10


@pytest.mark.requirement("STK-93")
def test_it_stops_at_its_floor_and_its_tokens_are_clamped() -> None:
    client, _, _ = adaptive(*[429] * 30, max_requests=100, time_window=1, min_rate_floor=0.2)
    for _ in range(30):
        refused(client)
    assert client.limiter.size == pytest.approx(20)
    assert client.limiter.tokens <= 20


@pytest.mark.requirement("STK-93")
def test_the_smallest_limit_recovers_after_a_refusal() -> None:
    client, delegate, clock = adaptive(429, max_requests=1, time_window=10)
    refused(client)
    assert client.limiter.size == 1
    client.post("u")
    assert clock.sleeps == [10.0]
    assert delegate.calls == ["post"] * 2


@pytest.mark.requirement("STK-93")
@pytest.mark.parametrize("status", [500, 502, 503, 504, 408])
def test_failures_of_the_service_are_no_success(status: int) -> None:
    client, _, _ = adaptive(429, status)
    refused(client)
    assert client.post("u").status_code == status
    assert client.limiter.size == pytest.approx(7.0)


@pytest.mark.requirement("STK-93")
@pytest.mark.parametrize(("drawn", "size"), [(0.0, 7.6), (1.0, 6.4)])
def test_its_steps_are_spread(drawn: float, size: float) -> None:
    client, _, _ = adaptive(429, random=lambda: drawn)
    refused(client)
    assert client.limiter.size == pytest.approx(size)


@pytest.mark.requirement("STK-93")
@pytest.mark.parametrize(("drawn", "waited"), [(0.0, 0.8), (0.5, 1.0), (1.0, 1.2)])
def test_its_waits_are_spread(drawn: float, waited: float) -> None:
    client, _, clock = adaptive(max_requests=1, time_window=1, random=lambda: drawn)
    client.post("u")
    client.post("u")
    assert clock.sleeps == [waited]


@pytest.mark.requirement("STK-93")
def test_a_chat_waits_as_long_as_the_service_asks_and_goes_on() -> None:
    client, delegate, _ = adaptive(429)
    agent = Agent("demo", options=AgentOptions(retry_max_retries=0), http_client=client)
    response = agent.chat(ChatRequest("x"))
    assert response.status is ChatStatus.ERROR
    assert "HTTP error 429" in response.error
    assert "hi" in response.error
    assert agent.chat(ChatRequest("x")).is_success()
    assert len(delegate.calls) == 2


@pytest.mark.parametrize(
    "options", [{"min_rate_floor": 0}, {"min_rate_floor": 2}, {"penalty_factor": 1}, {"recovery_factor": 0}]
)
def test_impossible_factors(options) -> None:
    with pytest.raises(AssertionError):
        adaptive(**options)


# ------------------------------------------------------------------------------------ the configuration's


@pytest.mark.requirement("STK-92", "STK-93")
def test_the_limiter_that_a_configuration_asks_for() -> None:
    def limiter(limit: RateLimitConfig):
        return limiter_of(dataclasses.replace(STKAIConfig(), rate_limit=limit))

    assert limiter(RateLimitConfig()) is None
    assert isinstance(limiter(RateLimitConfig(enabled=True)), FixedLimiter)
    found = limiter(RateLimitConfig.conservative_preset())
    assert isinstance(found, AdaptiveLimiter)
    assert (found.max_requests, found.time_window, found.max_wait_time) == (20, 60.0, 120.0)
    assert (found.min_rate_floor, found.penalty_factor, found.recovery_factor) == (0.05, 0.5, 0.02)


class AsyncScripted(AsyncHttpClient):
    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)

    async def get(self, url, headers=None, timeout=30):
        return AsyncClientResponse("u", Response(self.statuses.pop(0)))

    async def post(self, url, data=None, headers=None, timeout=30):
        return await self.get(url)

    async def post_stream(self, url, data=None, headers=None, timeout=30):
        return await self.get(url)


@pytest.mark.requirement("STK-93")
async def test_the_awaiting_client_obeys_the_same_limiter() -> None:
    limiter = AdaptiveLimiter(2, 0.02, None, random=lambda: 0.5)
    client = AsyncLimitedHttpClient(AsyncScripted(200, 200, 200, 429, 429), limiter)
    await client.get("u")
    await client.post("u")
    await client.post("u")
    for call in (client.post, client.post_stream):
        with pytest.raises(ServerSideRateLimitError):
            await call("u")
    assert limiter.size < 2
    await client.aclose()


@pytest.mark.requirement("STK-93")
async def test_a_refused_stream_of_any_kind_is_let_go_when_it_is_awaited() -> None:
    class Stream:
        status_code = 429
        headers: ClassVar[dict[str, str]] = {}
        closed = False

        async def aread(self) -> bytes:
            raise ConnectionLost("gone")

        async def aclose(self) -> None:
            self.closed = True

    answer = Stream()

    class Others(AsyncScripted):
        async def post_stream(self, url, data=None, headers=None, timeout=30):
            return answer

    with pytest.raises(ServerSideRateLimitError):
        await AsyncLimitedHttpClient(Others(), AdaptiveLimiter(2, 0.02, None)).post_stream("u")
    assert answer.closed


def test_a_limiter_is_safe_between_threads() -> None:
    limiter = FixedLimiter(1000, 1e9, None)
    threads = [threading.Thread(target=lambda: [limiter.claim(0.0) for _ in range(50)]) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert limiter.tokens == pytest.approx(0, abs=1e-6)
