import copy
import pickle
import subprocess
import sys
import threading

import pytest
import requests
import urllib3

from dragoman.core.errors import (
    BadRequest,
    ConnectionLost,
    DragomanError,
    GatewayTimeout,
    RateLimited,
    RemoteError,
    ServerError,
    TimedOut,
    UsageError,
)
from dragoman.stackspot import ConfigEnvVarError, ConfigValidationError, TokenAcquisitionTimeoutError
from dragoman.stackspot.failures import (
    LONGEST_TEXT,
    HTTPStatusError,
    MaxRetriesExceededError,
    RetryableError,
    as_requests_error,
    is_retryable,
    is_timeout,
    let_go,
    retry_after_of,
    status_error,
    status_of,
)
from dragoman.stackspot.validation import InvalidArgument, require
from dragoman.wire.http import Headers


def error(status: int, text: str = "", **headers: str) -> HTTPStatusError:
    return status_error(status, Headers({name.replace("_", "-"): value for name, value in headers.items()}), text)


@pytest.mark.requirement("STK-39")
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, BadRequest),
        (418, BadRequest),
        (429, RateLimited),
        (500, ServerError),
        (504, GatewayTimeout),
        (302, RemoteError),
    ],
)
def test_a_status_has_its_class_of_our_tree_and_that_of_requests(status: int, kind: type[Exception]) -> None:
    found = error(status, "why")
    assert isinstance(found, kind)
    assert isinstance(found, requests.HTTPError)
    assert isinstance(found, HTTPStatusError)
    assert isinstance(found, DragomanError)
    assert (found.status, found.body, str(found)) == (status, "why", f"HTTP error {status}: why")
    assert str(error(status)) == f"HTTP error {status}"
    assert type(found) is type(error(status))


@pytest.mark.requirement("STK-39")
def test_the_response_is_the_one_that_was_given() -> None:
    response = requests.Response()
    response.status_code = 404
    found = status_error(404, Headers(), "x", response=response)
    assert found.response is response


def test_a_long_body_is_cut_in_the_message_only() -> None:
    found = error(500, "x" * (LONGEST_TEXT + 5))
    assert len(str(found)) < LONGEST_TEXT + 50
    assert len(found.body) == LONGEST_TEXT + 5


def test_requests_is_loaded_when_an_error_needs_it_and_not_needed_at_all() -> None:
    code = (
        "import sys; {0}\n"
        "from dragoman.stackspot.failures import *; from dragoman.stackspot.failures import status_error, is_timeout\n"
        "from dragoman.wire.http import Headers\n"
        "print('requests' in sys.modules)\n"
        "error = status_error(404, Headers(), 'x')\n"
        "print([base.__name__ for base in type(error).__mro__ if base.__module__.startswith('requests')], error)\n"
        "print(is_timeout(error))"
    )
    told = []
    for first in ("pass", "sys.modules['requests'] = None"):
        done = subprocess.run([sys.executable, "-c", code.format(first)], capture_output=True, text=True, timeout=60)
        told.append(done.stdout.splitlines())
    assert told[0] == ["False", "['HTTPError', 'RequestException'] HTTP error 404: x", "False"]
    assert told[1][1:] == ["[] HTTP error 404: x", "False"]


# ------------------------------------------------------------------------------------ what an error means


def caused(outer: Exception, inner: BaseException) -> Exception:
    outer.__cause__ = inner
    return outer


def silent_stream() -> Exception:
    """How requests tells that a stream fell silent."""
    return requests.ConnectionError(urllib3.exceptions.ReadTimeoutError(None, "u", "Read timed out."))


@pytest.mark.requirement("STK-89")
@pytest.mark.parametrize(
    "one",
    [
        TimedOut("x"),
        TimeoutError("x"),
        requests.Timeout("x"),
        requests.ConnectTimeout("x"),
        requests.ReadTimeout("x"),
        silent_stream(),
        error(408),
        error(504),
        MaxRetriesExceededError("x", TimedOut("x")),
        MaxRetriesExceededError("x", error(504)),
        caused(RuntimeError("x"), TimedOut("x")),
    ],
    ids=lambda one: type(one).__name__,
)
def test_what_is_a_timeout(one: Exception) -> None:
    assert is_timeout(one)


@pytest.mark.requirement("STK-89")
@pytest.mark.parametrize(
    "one",
    [
        ValueError("x"),
        ConnectionLost("x"),
        requests.ConnectionError("x"),
        requests.ConnectionError(urllib3.exceptions.NewConnectionError(None, "refused")),
        error(500),
        error(429),
        caused(error(500), TimedOut("x")),
        MaxRetriesExceededError("x"),
        MaxRetriesExceededError("x", error(503)),
        RetryableError("x"),
    ],
    ids=lambda one: type(one).__name__,
)
def test_what_is_none(one: Exception) -> None:
    assert not is_timeout(one)


def test_a_circle_of_causes_ends() -> None:
    first, second = ValueError("1"), ValueError("2")
    first.__cause__, second.__cause__ = second, first
    assert not is_timeout(first)


def test_the_status_of_an_error() -> None:
    response = requests.Response()
    response.status_code = 418
    assert status_of(requests.HTTPError("x", response=response)) == 418
    assert status_of(error(404)) == 404
    assert status_of(UsageError("x")) is None
    assert status_of(ValueError("x")) is None


def test_errors_of_users_are_made_as_they_like() -> None:
    assert str(RetryableError()) == ""
    assert RetryableError("x", 5).args == ("x", 5)


def test_skipping_wins_and_no_exception_is_repeated_that_is_none() -> None:
    assert is_retryable(RetryableError("x"))
    assert not is_retryable(RetryableError("x"), skip=(RetryableError,))
    assert not is_retryable(KeyboardInterrupt(), kinds=(BaseException,))
    assert is_retryable(KeyError("x"), kinds=(KeyError,))


@pytest.mark.requirement("STK-S19")
def test_retry_after_of_any_origin() -> None:
    response = requests.Response()
    response.status_code = 503
    response.headers["retry-after"] = "3"
    assert retry_after_of(requests.HTTPError("x", response=response), 0) == 3
    assert retry_after_of(error(429, retry_after="4"), 0) == 4
    assert retry_after_of(error(500, retry_after="4"), 0) is None
    assert retry_after_of(error(429), 0) is None
    assert retry_after_of(ValueError("x"), 0) is None


def test_letting_go_never_fails() -> None:
    class Broken:
        def close(self) -> None:
            raise OSError("x")

    one = ValueError("x")
    one.response = Broken()  # type: ignore[attr-defined]
    let_go(one)
    let_go(ValueError("x"))


def test_a_network_error_becomes_one_of_requests_once() -> None:
    lost = ConnectionLost("x")
    lost.__cause__ = OSError("y")
    both = as_requests_error(lost)
    assert isinstance(both, requests.ConnectionError)
    assert isinstance(both, ConnectionLost)
    assert both.__cause__ is lost.__cause__
    assert as_requests_error(both) is both
    assert str(both) == "x"


# ------------------------------------------------------------------------------------ arguments


@pytest.mark.requirement("STK-82")
def test_a_bad_argument_is_an_assertion_and_a_value_error_even_without_asserts() -> None:
    with pytest.raises(InvalidArgument, match="why") as caught:
        require("", "why")
    assert isinstance(caught.value, AssertionError)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, UsageError)
    code = (
        "from dragoman.stackspot import ChatRequest\n"
        "try: ChatRequest('')\n"
        "except (AssertionError) as error: print(type(error).__name__)"
    )
    done = subprocess.run([sys.executable, "-O", "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "InvalidArgument"


def test_errors_survive_copy_and_pickle() -> None:
    for error in (
        status_error(404, Headers({"x": "y"}), "nobody", response=threading.Lock()),
        MaxRetriesExceededError("spent", TimedOut("slow")),
        TokenAcquisitionTimeoutError(1.0, 2.0),
        ConfigEnvVarError("STKAI_X", "y", "a number"),
        ConfigValidationError("base_url", "x", "bad", "agent"),
    ):
        for twin in (copy.copy(error), pickle.loads(pickle.dumps(error))):
            assert (type(twin), str(twin)) == (type(error), str(error))
            assert vars(twin).keys() == vars(error).keys() - {"response"}


def test_a_network_error_that_is_also_of_requests_is_pickled_as_ours() -> None:
    error = as_requests_error(TimedOut("slow"))
    assert isinstance(error, requests.Timeout)
    twin = pickle.loads(pickle.dumps(error))
    assert (type(twin), str(twin)) == (TimedOut, "slow")
