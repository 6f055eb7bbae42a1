"""Bodies that are made while they are sent, over both drivers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dragoman.core.errors import UsageError
from dragoman.transport.io import run_blocking
from dragoman.transport.recording import RecordingIO
from dragoman.transport.responses import SLOWEST, head_seconds
from dragoman.transport.scripted import ScriptedIO
from dragoman.wire.http import Headers, Request, Response, Timeouts


class Body:
    """`count` pieces; `begun` and `ended` count the iterations, so that none is left behind."""

    def __init__(self, piece: bytes, count: int, *, length: int | None = None, fails_at: int | None = None) -> None:
        self.piece, self.count, self.fails_at = piece, count, fails_at
        self.length = len(piece) * count if length is None else length
        self.begun = self.ended = 0

    def __iter__(self) -> Iterator[bytes]:
        self.begun += 1
        try:
            for number in range(self.count):
                if number == self.fails_at:
                    raise OSError("the disk went away")
                yield self.piece
        finally:
            self.ended += 1


def post(url: str, body: Body, **headers: str) -> Request:
    return Request("POST", url, Headers(headers), body, Timeouts.all(15.0))


def test_a_streamed_body_arrives_whole_with_its_length(shell, server) -> None:
    body = Body(b"x" * 70_000, 30)
    assert shell.run(lambda io: io.send(post(server.url, body))).body == b"hello"
    [(_, _, headers, received)] = server.requests
    assert received == b"x" * 2_100_000
    assert headers["content-length"] == "2100000"
    assert "transfer-encoding" not in headers


def test_a_request_with_a_streamed_body_can_be_sent_again(shell, server) -> None:
    body = Body(b"abc", 3)
    request = post(server.url, body)

    async def twice(io) -> None:
        await io.send(request)
        await io.send(request)

    shell.run(twice)
    assert [received for _, _, _, received in server.requests] == [b"abcabcabc"] * 2
    assert (body.begun, body.ended) == (2, 2)


def test_an_error_while_the_body_is_made_is_the_makers_own(shell, server) -> None:
    body = Body(b"x" * 1000, 5, fails_at=2)
    with pytest.raises(OSError, match="the disk went away"):
        shell.run(lambda io: io.send(post(server.url, body)))
    assert body.begun == body.ended


@pytest.mark.parametrize("length", [1, 100])
def test_a_body_that_is_not_as_long_as_it_said_is_refused_and_its_connection_not_used_again(
    shell, server, length: int
) -> None:
    async def bad_then_good(io) -> bytes:
        with pytest.raises(UsageError):
            await io.send(post(server.url, Body(b"abc", 3, length=length)))
        return (await io.send(post(server.url, Body(b"abc", 3)))).body

    assert shell.run(bad_then_good) == b"hello"
    assert server.requests[-1][3] == b"abcabcabc"


def test_an_answer_before_the_end_of_the_body_is_read_although_the_peer_hangs_up(shell, server) -> None:
    def refuse(visitor) -> None:
        visitor.answer(b"<Error/>", "connection: close", status="413 Too Large")
        visitor.connection.shutdown(1)
        visitor.wait_for_hangup()

    server.handler = refuse
    server.read_bodies = False
    answer = shell.run(lambda io: io.send(post(server.url, Body(b"x" * 100_000, 200))))
    assert (answer.status, answer.body) == (413, b"<Error/>")


def test_the_longest_wait_for_a_head_grows_with_a_streamed_body() -> None:
    body = Body(b"x" * 1000, 1000)
    assert head_seconds(post("http://h", body)) == 60.0 + 1_000_000 / SLOWEST


def test_a_scripted_peer_has_read_the_body() -> None:
    script = ScriptedIO([Response(200)])
    run_blocking(script.send(post("http://h", Body(b"ab", 2))))
    assert script.requests[0].body == b"abab"


def test_a_recording_keeps_no_streamed_body() -> None:
    recording = RecordingIO(ScriptedIO([Response(200)]))
    run_blocking(recording.send(post("http://h", Body(b"ab", 2))))
    assert recording.exchanges[0].request.body is None
