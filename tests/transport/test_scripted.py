"""The scripted port answers, keeps what was asked, and moves only its own clock."""

from __future__ import annotations

from typing import Any

import pytest

from dragoman.core.errors import ConnectionLost, TimedOut, UsageError
from dragoman.transport.io import IO, run_blocking
from dragoman.transport.scripted import Reply, ScriptedIO
from dragoman.wire.http import Headers, Request, Response, Timeouts

ASK = Request("GET", "http://host/a?b=c")


async def read_all(stream: Any) -> list[bytes]:
    return [piece async for piece in stream]


def test_answers_come_in_the_order_of_the_script() -> None:
    io: IO = ScriptedIO([Response(200, body=b"one"), lambda request: Response(404, body=request.url.encode())])
    assert run_blocking(io.send(ASK)).body == b"one"
    assert run_blocking(io.send(ASK)) == Response(404, body=b"http://host/a?b=c")


def test_one_function_can_answer_everything() -> None:
    io = ScriptedIO(lambda request: Response(200 if request.method == "GET" else 405))
    assert [run_blocking(io.send(Request(m, "http://h"))).status for m in ("GET", "PUT", "GET")] == [200, 405, 200]
    assert [request.method for request in io.requests] == ["GET", "PUT", "GET"]


def test_a_list_of_reads_is_an_event_stream_with_these_borders() -> None:
    io = ScriptedIO([[b"da", b"", b"ta: 1\n\n"]])
    stream = run_blocking(io.stream(ASK))
    assert (stream.status, stream.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    assert run_blocking(read_all(stream)) == [b"da", b"ta: 1\n\n"]
    assert stream.closed


def test_send_joins_a_streamed_answer_and_stream_gives_a_plain_one() -> None:
    io = ScriptedIO([[b"a", b"b"], Response(204, Headers({"x": "y"}))])
    assert run_blocking(io.send(ASK)).body == b"ab"
    stream = run_blocking(io.stream(ASK))
    assert (stream.status, stream.headers["x"], run_blocking(read_all(stream))) == (204, "y", [])


def test_faults_come_instead_of_an_answer_or_in_the_body() -> None:
    io = ScriptedIO([ConnectionLost("before"), [b"a", ConnectionLost("within"), b"never"]])
    with pytest.raises(ConnectionLost, match="before"):
        run_blocking(io.stream(ASK))
    stream = run_blocking(io.stream(ASK))
    assert run_blocking(anext(aiter(stream))) == b"a"  # type: ignore[arg-type]  # a coroutine in fact
    with pytest.raises(ConnectionLost, match="within"):
        run_blocking(read_all(stream))
    assert run_blocking(read_all(stream)) == []


def test_a_script_that_is_over_says_so() -> None:
    io = ScriptedIO([Response(200)])
    assert io.unused == 1
    run_blocking(io.send(ASK))
    assert io.unused == 0
    with pytest.raises(UsageError, match=r"no answer left for Request\(GET http://host/a\), request number 2"):
        run_blocking(io.send(ASK))


def test_streams_that_nobody_closed_can_be_found() -> None:
    io = ScriptedIO([[b"a", b"b"], [b"c"]])
    one, other = run_blocking(io.stream(ASK)), run_blocking(io.stream(ASK))
    run_blocking(read_all(other))
    assert io.open_streams == [one]
    run_blocking(one.aclose())
    assert io.open_streams == []
    assert run_blocking(read_all(one)) == []


def test_time_passes_by_sleeps_and_pauses_alone() -> None:
    io = ScriptedIO([Reply([b"a", 2.5, b"b"], delay=1.0)], start=100.0)
    stream = run_blocking(io.stream(ASK))
    assert io.now() == 101
    run_blocking(read_all(stream))
    assert io.now() == 103.5
    run_blocking(io.sleep(4))
    run_blocking(io.sleep(-1))
    assert (io.now(), io.sleeps) == (107.5, [4, -1])


@pytest.mark.parametrize("reply", [Reply([b"a"], delay=9.0), Reply([9.0, b"a"])])
def test_silence_beyond_the_read_limit_times_out(reply: Reply) -> None:
    io = ScriptedIO([reply])
    with pytest.raises(TimedOut, match="within 5 s"):
        run_blocking(io.send(Request("GET", "http://host", timeouts=Timeouts.all(5.0))))
    assert io.now() == 5


async def test_it_serves_an_event_loop_as_well() -> None:
    assert (await ScriptedIO([Response(201)]).send(ASK)).status == 201
