import email.utils

import pytest
import requests
from tests.stackspot.peer import Keys, Peer, Visit, answer

from dragoman.core.errors import ConnectionFailed, ConnectionLost, ProtocolError, TimedOut
from dragoman.stackspot import (
    Agent,
    AgentOptions,
    ChatRequest,
    ChatStatus,
    MaxRetriesExceededError,
    RetryableError,
    Retrying,
    StandaloneHttpClient,
)
from dragoman.stackspot.failures import RETRY_STATUSES, is_timeout, status_error
from dragoman.stackspot.retrying import RetryPolicy, with_retries
from dragoman.transport.io import run_blocking
from dragoman.wire.http import Headers

EPOCH = 1_800_000_000.0


class Waits:
    """The outside of retries: nothing random, and waits are only noted."""

    def __init__(self) -> None:
        self.sleeps: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)

    def random(self) -> float:
        return 0.5

    def epoch(self) -> float:
        return EPOCH


def http_error(status: int, body: str = "", **headers: str) -> Exception:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return status_error(status, Headers(named), body, epoch=EPOCH)


def play(*errors: BaseException, loop: str = "operation", **options) -> tuple[object, list[float]]:
    """What comes of attempts that fail with these errors and then succeed: the result or error, and the waits."""
    waits = Waits()
    rest = list(errors)
    numbers: list[int] = []

    def attempt(number: int) -> str:
        numbers.append(number)
        if rest:
            raise rest.pop(0)
        return "done"

    async def awaited(number: int) -> str:
        return attempt(number)

    try:
        if loop == "operation":
            names = {
                "retry_on_status_codes": "statuses",
                "retry_on_exceptions": "exceptions",
                "skip_retry_on_exceptions": "skip",
            }
            policy = RetryPolicy(**{names.get(name, name): value for name, value in options.items()})
            result: object = run_blocking(with_retries(waits, policy, awaited))
        else:
            result = None
            for one in Retrying(sleep=waits.sleeps.append, random=lambda: 0.5, epoch=lambda: EPOCH, **options):
                with one:
                    result = attempt(one.attempt_number)
    except BaseException as error:
        result = error
    assert numbers == list(range(1, len(numbers) + 1))
    return result, waits.sleeps


@pytest.fixture(params=["operation", "block"])
def loop(request) -> str:
    return request.param


# ------------------------------------------------------------------------------------ what is repeated


@pytest.mark.requirement("STK-85")
@pytest.mark.parametrize("status", RETRY_STATUSES)
def test_statuses_that_pass_are_waited_over(loop: str, status: int) -> None:
    result, sleeps = play(http_error(status), http_error(status), loop=loop)
    assert result == "done"
    assert sleeps == [0.5, 1.0]


@pytest.mark.requirement("STK-87")
@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 409, 410, 413, 422, 501, 505])
def test_statuses_that_stay_are_raised_at_once(loop: str, status: int) -> None:
    error = http_error(status, "why")
    result, sleeps = play(error, loop=loop)
    assert result is error
    assert sleeps == []
    assert str(error) == f"HTTP error {status}: why"


@pytest.mark.requirement("STK-88")
@pytest.mark.parametrize(
    "error",
    [
        ConnectionFailed("x"),
        ConnectionLost("x"),
        TimedOut("x"),
        ConnectionResetError("x"),
        TimeoutError("x"),
        requests.ConnectionError("x"),
        requests.Timeout("x"),
        requests.exceptions.ChunkedEncodingError("x"),
        RetryableError("x"),
    ],
    ids=lambda error: type(error).__module__.split(".")[0] + type(error).__name__,
)
def test_faults_of_the_network_are_waited_over(loop: str, error: Exception) -> None:
    assert play(error, loop=loop) == ("done", [0.5])


@pytest.mark.requirement("STK-87")
@pytest.mark.parametrize(
    "error",
    [ValueError("x"), ProtocolError("x"), NotImplementedError("x"), KeyboardInterrupt(), requests.URLRequired("x")],
)
def test_everything_else_is_raised_at_once(loop: str, error: BaseException) -> None:
    assert play(error, loop=loop) == (error, [])


@pytest.mark.requirement("STK-85")
def test_lists_of_ones_own(loop: str) -> None:
    listed, skipped = KeyError("x"), ConnectionFailed("x")
    assert play(listed, loop=loop, retry_on_exceptions=(KeyError,))[0] == "done"
    assert play(skipped, loop=loop, retry_on_exceptions=(KeyError,))[0] is skipped
    assert play(skipped, loop=loop, skip_retry_on_exceptions=(ConnectionFailed,))[0] is skipped
    assert play(http_error(418), loop=loop, retry_on_status_codes=(418,))[0] == "done"
    refused = http_error(503)
    assert play(refused, loop=loop, retry_on_status_codes=(418,))[0] is refused


@pytest.mark.requirement("STK-85")
def test_errors_of_users_may_say_that_they_pass(loop: str) -> None:
    class Busy(RetryableError):
        pass

    assert play(Busy("x"), loop=loop)[0] == "done"
    assert play(Busy("x"), loop=loop, skip_retry_on_exceptions=(RetryableError,))[1] == []


def test_an_answer_of_requests_decides_by_its_status(loop: str) -> None:
    response = requests.Response()
    response.status_code = 503
    response.headers["Retry-After"] = "7"
    assert play(requests.HTTPError("x", response=response), loop=loop) == ("done", [7.0])
    response.status_code = 404
    assert play(requests.HTTPError("x", response=response), loop=loop)[1] == []


# ------------------------------------------------------------------------------------ how long


@pytest.mark.requirement("STK-85")
def test_waits_double_up_to_half_a_minute_and_are_spread_by_a_tenth() -> None:
    errors = [http_error(503) for _ in range(9)]
    assert play(*errors, max_retries=9)[1] == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    policy = RetryPolicy()
    waits = [policy.wait_after(1, errors[0], random=drawn, epoch=0) for drawn in (lambda: 0.0, lambda: 1.0)]
    assert waits == [pytest.approx(0.45), pytest.approx(0.55)]


@pytest.mark.requirement("STK-86")
@pytest.mark.parametrize(
    ("told", "waited"), [("5", 5.0), ("0", 0.5), ("60", 60.0), ("61", 0.5), ("soon", 0.5), ("-3", 0.5)]
)
def test_retry_after_counts_up_to_a_minute(loop: str, told: str, waited: float) -> None:
    assert play(http_error(429, retry_after=told), loop=loop)[1] == [waited]


@pytest.mark.requirement("STK-S19")
def test_retry_after_counts_on_503_and_as_a_date(loop: str) -> None:
    date = email.utils.formatdate(EPOCH + 9, usegmt=True)
    assert play(http_error(503, retry_after="4"), loop=loop)[1] == [4.0]
    assert play(http_error(429, retry_after=date), loop=loop)[1] == [9.0]
    assert play(http_error(503, retry_after=date), loop=loop)[1] == [9.0]
    assert play(http_error(500, retry_after="4"), loop=loop)[1] == [0.5]


# ------------------------------------------------------------------------------------ when it ends


@pytest.mark.requirement("STK-89")
def test_retries_used_up(loop: str) -> None:
    errors = [http_error(503, f"body {number}") for number in range(4)]
    result, sleeps = play(*errors, loop=loop)
    assert isinstance(result, MaxRetriesExceededError)
    assert result.last_exception is errors[-1]
    assert result.__cause__ is errors[-1]
    assert "Max retries exceeded" in str(result)
    assert "body 3" in str(result)
    assert len(sleeps) == 3


@pytest.mark.requirement("STK-89")
def test_without_retries_the_error_is_the_original_one(loop: str) -> None:
    error = http_error(503)
    assert play(error, loop=loop, max_retries=0) == (error, [])


@pytest.mark.requirement("STK-89")
@pytest.mark.parametrize(
    ("error", "slow"),
    [
        (http_error(504), True),
        (http_error(408), True),
        (TimedOut("x"), True),
        (http_error(500), False),
        (ConnectionLost("x"), False),
    ],
)
def test_the_last_failure_decides_between_error_and_timeout(loop: str, error: Exception, slow: bool) -> None:
    assert is_timeout(error) is slow
    assert is_timeout(play(error, error, loop=loop, max_retries=1)[0]) is slow


def test_attempts_count_themselves() -> None:
    seen = []
    for attempt in Retrying(max_retries=1, sleep=lambda seconds: None):
        with attempt:
            seen.append((attempt.attempt_number, attempt.max_attempts, attempt.is_last_attempt))
            if len(seen) == 1:
                raise TimedOut("x")
    assert seen == [(1, 2, False), (2, 2, True)]


def test_a_loop_can_be_used_again() -> None:
    loop = Retrying(max_retries=2, sleep=lambda seconds: None)
    for _ in range(2):
        failures = [TimedOut("x")]
        for attempt in loop:
            with attempt:
                if failures:
                    raise failures.pop()


@pytest.mark.parametrize("options", [{"max_retries": -1}, {"initial_delay": 0}])
def test_impossible_settings(options: dict[str, float]) -> None:
    with pytest.raises(AssertionError):
        Retrying(**options)
    with pytest.raises(ValueError, match=next(iter(options))):
        RetryPolicy(**options)


# ------------------------------------------------------------------------------------ over sockets


def agent(peer: Peer, **options) -> Agent:
    return Agent(
        "demo", peer.url, AgentOptions(**{"retry_initial_delay": 0.001, **options}), StandaloneHttpClient(Keys())
    )


def hang_up(visit: Visit) -> None:
    pass


def cut_short(visit: Visit) -> None:
    visit.send_head(200, "content-type: application/json", "content-length: 100")
    visit.send(b'{"message": "ha')


@pytest.mark.requirement("STK-88")
@pytest.mark.parametrize("fault", [hang_up, Visit.reset, cut_short])
def test_a_broken_connection_is_tried_again_with_the_same_identity(fault) -> None:
    with Peer([fault, fault, answer(body={"message": "hi"})]) as peer:
        request = ChatRequest("x")
        assert agent(peer).chat(request).result == "hi"
    assert len(peer.visits) == 3
    assert {visit.headers["idempotency-key"] for visit in peer.visits} == {request.id}
    assert {visit.headers["x-request-id"] for visit in peer.visits} == {request.id}


@pytest.mark.requirement("STK-85", "STK-86")
def test_a_busy_service_is_asked_until_it_answers() -> None:
    with Peer([answer(503, retry_after="0"), answer(429), answer(body={"message": "hi"})]) as peer:
        assert agent(peer).chat(ChatRequest("x")).result == "hi"
    assert len(peer.visits) == 3


@pytest.mark.requirement("STK-89", "STK-S13")
@pytest.mark.parametrize(
    ("status", "outcome"), [(503, ChatStatus.ERROR), (504, ChatStatus.TIMEOUT), (408, ChatStatus.TIMEOUT)]
)
def test_a_service_that_stays_busy_is_told_with_its_last_words(status: int, outcome: ChatStatus) -> None:
    with Peer(answer(status, {"details": "model asleep"})) as peer:
        response = agent(peer).chat(ChatRequest("x"))
    assert response.status is outcome
    assert "Max retries exceeded" in response.error
    assert "model asleep" in response.error
    assert len(peer.visits) == 4


@pytest.mark.requirement("STK-90", "STK-S13")
def test_the_opening_of_a_stream_is_tried_again_and_failed_answers_are_closed() -> None:
    def refuse(visit: Visit) -> None:
        visit.send_head(503, "content-type: application/json", "transfer-encoding: chunked", "connection: close")
        visit.send_chunk(b'{"details": "busy"}')
        visit.send_chunk(b"")

    def stream(visit: Visit) -> None:
        visit.send_head(200, "content-type: text/event-stream", "transfer-encoding: chunked", "connection: close")
        visit.send_chunk(b'data: {"message": "hi"}\n\ndata: [DONE]\n\n')
        visit.send_chunk(b"")

    with Peer([refuse, stream]) as peer, agent(peer).chat_stream(ChatRequest("x")) as told:
        assert list(told.text_stream) == ["hi"]
    with Peer(refuse) as peer:
        with pytest.raises(MaxRetriesExceededError, match="busy") as caught:
            agent(peer, retry_max_retries=1).chat_stream(ChatRequest("x"))
        assert caught.value.last_exception.response.json() == {"details": "busy"}
        assert isinstance(caught.value.last_exception, requests.HTTPError)
        assert len(peer.visits) == 2
