"""Answers with an error status as exceptions: by code, by status, and always with a text."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from tests.kai.shells import Shell, answer, scripted

import dragoman.kai.exceptions as ex
from dragoman.core import errors as core
from dragoman.kai import (
    KaiAuthenticationError,
    KaiBadRequestError,
    KaiConnectionError,
    KaiError,
    KaiForbiddenError,
    KaiNotFoundError,
    KaiRateLimitError,
    KaiStreamError,
    KaiTimeoutError,
)
from dragoman.kai.exceptions import ERROR_CODE_MAP, error_for_response, raise_for_error_response
from dragoman.transport.scripted import Reply
from dragoman.wire.http import Headers

BRANCHES: list[tuple[type[KaiError], type[core.DragomanError]]] = [
    (KaiAuthenticationError, core.Unauthorized),
    (KaiForbiddenError, core.Forbidden),
    (KaiNotFoundError, core.NotFound),
    (KaiRateLimitError, core.RateLimited),
    (KaiBadRequestError, core.BadRequest),
    (KaiStreamError, core.ProtocolError),
    (KaiConnectionError, core.TransportError),
    (KaiTimeoutError, core.TimedOut),
]


@pytest.mark.parametrize(("cls", "branch"), BRANCHES)
def test_each_error_has_two_parents(cls: type[KaiError], branch: type[core.DragomanError]) -> None:
    error = cls("m")
    assert isinstance(error, KaiError)
    assert isinstance(error, branch)
    assert (error.code, error.cause, error.response_data, error.status_code) == (None, None, None, None)
    assert error.status == branch.default_status
    assert error.retryable == branch.default_retryable


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    drawn = [line.split() for line in (ex.__doc__ or "").splitlines() if line.strip().startswith(("├", "└"))]
    assert [(words[1], words[2]) for words in drawn] == [(cls.__name__, branch.__name__) for cls, branch in BRANCHES]


@pytest.mark.requirement("KAI-16")
def test_the_text_of_an_error() -> None:
    assert str(KaiError("m")) == "m"
    assert str(KaiError("m", "c")) == "[c] m"
    assert str(KaiError(message="m", code="c", cause="x")) == "[c] m (cause: x)"
    assert repr(KaiNotFoundError("m", "c")) == "KaiNotFoundError(message='m', code='c')"
    assert KaiError("m", None, None, {"a": 1}).response_data == {"a": 1}
    assert str(KaiError(None)) == "None"  # type: ignore[arg-type]  # what odd callers pass


def test_an_error_survives_pickling() -> None:
    error = pickle.loads(pickle.dumps(KaiRateLimitError("m", "rate_limit:chat", retry_after=3.0, status_code=429)))
    assert (type(error), error.message, error.code, error.retry_after) == (
        KaiRateLimitError,
        "m",
        "rate_limit:chat",
        3.0,
    )


@pytest.mark.requirement("KAI-16")
@pytest.mark.parametrize(
    ("code", "cls"),
    [
        *ERROR_CODE_MAP.items(),
        ("unauthorized:history", KaiAuthenticationError),
        ("forbidden:vote", KaiForbiddenError),
        ("not_found:approval", KaiNotFoundError),
        ("rate_limit:api", KaiRateLimitError),
        ("bad_request:chat", KaiBadRequestError),
        ("conflict:approval", KaiError),
        ("internal:api", KaiError),
    ],
)
def test_the_code_of_the_body_decides(code: str, cls: type[KaiError]) -> None:
    with pytest.raises(KaiError) as caught:
        raise_for_error_response({"code": code, "message": "m", "cause": "x"})
    assert type(caught.value) is cls
    assert (caught.value.code, caught.value.message, caught.value.cause) == (code, "m", "x")


@pytest.mark.requirement("KAI-16")
@pytest.mark.parametrize(
    ("status", "cls"),
    [
        (400, KaiBadRequestError),
        (401, KaiAuthenticationError),
        (403, KaiForbiddenError),
        (404, KaiNotFoundError),
        (413, KaiBadRequestError),
        (422, KaiBadRequestError),
        (429, KaiRateLimitError),
        (409, KaiError),
        (500, KaiError),
        (503, KaiError),
    ],
)
@pytest.mark.parametrize(
    "body", [{"detail": "why"}, ["x"], {"code": None}, {"code": 5}, {"code": ""}, "plain", b"\xff"]
)
async def test_without_a_usable_code_the_status_decides(
    shell: Shell, status: int, cls: type[KaiError], body: Any
) -> None:
    client = shell.client(scripted(answer(body, status)))
    with pytest.raises(KaiError) as caught:
        await shell.call(client.get_chat, "c")
    error = caught.value
    assert type(error) is cls
    assert (error.code, error.status_code) == (f"http:{status}", status)
    assert error.message
    assert str(error).startswith(f"[http:{status}] ")


@pytest.mark.requirement("KAI-16")
def test_a_status_says_whether_trying_again_makes_sense() -> None:
    assert [error_for_response({}, status).retryable for status in (400, 404, 409, 429, 500, 503)] == [
        False,
        False,
        False,
        True,
        True,
        True,
    ]


@pytest.mark.requirement("KAI-16")
@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"message": "m", "detail": "d"}, "m"),
        ({"detail": "d"}, "d"),
        ({"error": "e"}, "e"),
        ({"error": {"message": "inner", "type": "x"}}, "inner"),
        ({"title": "t"}, "t"),
        ({"detail": [{"loc": ["body"]}]}, '[{"loc":["body"]}]'),
        ({"message": None, "code": "some:error"}, "Unknown error"),
        ({"code": "some:error"}, "Unknown error"),
        ({"message": 5}, "5"),
    ],
)
def test_the_message_is_the_first_text_there_is(body: dict[str, Any], message: str) -> None:
    assert error_for_response(body, 400).message == message


@pytest.mark.requirement("KAI-16")
def test_a_cause_that_is_no_text_becomes_one() -> None:
    error = error_for_response({"code": "bad_request:api", "message": None, "cause": {"a": [1]}}, 400)
    assert str(error) == '[bad_request:api] Unknown error (cause: {"a":[1]})'


@pytest.mark.requirement("KAI-16")
async def test_a_page_of_html_is_not_shown(shell: Shell) -> None:
    client = shell.client(scripted(answer("<html>secret stack</html>", 502, content_type="text/html; charset=utf-8")))
    with pytest.raises(KaiError) as caught:
        await shell.call(client.get_chat, "c")
    assert str(caught.value) == "[http:502] the server answered with HTTP status 502"


@pytest.mark.requirement("KAI-16")
async def test_headers_of_an_error_are_kept(shell: Shell) -> None:
    body = {"code": "rate_limit:chat", "message": "m"}
    response = answer(body, 429, retry_after="17", x_request_id="r1", x_dragoman_run="run1")
    with pytest.raises(KaiRateLimitError) as caught:
        await shell.call(shell.client(scripted(response)).get_chat, "c")
    error = caught.value
    assert (error.retry_after, error.request_id, error.run_id) == (17.0, "r1", "run1")
    assert error.response_data == error.body == body


@pytest.mark.requirement("KAI-16")
@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after": "Fri, 02 Jan 2026 00:00:30 GMT", "date": "Fri, 02 Jan 2026 00:00:00 GMT"}, 30.0),
        ({"retry_after": "Fri, 02 Jan 2026 00:00:30 GMT"}, None),
        ({"retry_after": "soon"}, None),
        ({}, None),
    ],
)
async def test_a_date_to_come_back_counts_from_the_servers_clock(
    shell: Shell, headers: dict[str, str], seconds: float | None
) -> None:
    with pytest.raises(KaiRateLimitError) as caught:
        await shell.call(shell.client(scripted(answer({}, 429, **headers))).get_chat, "c")
    assert caught.value.retry_after == seconds


@pytest.mark.requirement("KAI-16")
async def test_a_stream_call_maps_errors_as_a_plain_call_does(shell: Shell) -> None:
    body = b'{"code":"forbidden:chat","message":"not yours"}'
    io = scripted(Reply([body[:5], body[5:]], 403, Headers({"content-type": "application/json"})))
    with pytest.raises(KaiForbiddenError, match="not yours") as caught:
        await shell.events(shell.client(io).send_message, "c", "x")
    assert (caught.value.code, caught.value.status_code) == ("forbidden:chat", 403)
    assert io.open_streams == []


@pytest.mark.requirement("KAI-16")
async def test_a_broken_error_body_leaves_the_status(shell: Shell) -> None:
    io = scripted(Reply([b'{"code":', core.ConnectionLost("gone")], 404))
    with pytest.raises(KaiNotFoundError) as caught:
        await shell.events(shell.client(io).send_message, "c", "x")
    assert caught.value.code == "http:404"


@pytest.mark.requirement("KAI-16")
async def test_an_endless_error_body_is_not_read_to_its_end(shell: Shell) -> None:
    io = scripted(Reply([b"x" * 1024 * 1024] * 50, 500))
    with pytest.raises(KaiError):
        await shell.events(shell.client(io).send_message, "c", "x")
    assert io.open_streams == []
