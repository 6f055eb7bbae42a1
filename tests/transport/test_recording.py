"""What passes through is kept without secrets, and can be played again."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.core.errors import ConnectionLost
from dragoman.core.redact import REDACTED, redact_text
from dragoman.transport.io import run_blocking
from dragoman.transport.recording import Read, RecordingIO, redact_reads
from dragoman.transport.scripted import Reply, ScriptedIO
from dragoman.wire.http import Headers, Request, Response

S = "s3cr3t-Value"
ASK = Request(
    "POST", f"http://u:{S}@host/a?token={S}", Headers({"Authorization": f"Bearer {S}"}), b'{"password":"%s"}' % S.encode()
)  # fmt: skip


async def read_all(stream: Any) -> list[bytes]:
    return [piece async for piece in stream]


def test_everything_passes_untouched_and_is_kept_with_times() -> None:
    inner = ScriptedIO([Reply([b"da", 0.5, b"ta: 1\n\n"], headers=Headers({"x": "1"}), delay=2.0), Response(404)])
    io = RecordingIO(inner)
    stream = run_blocking(io.stream(ASK))
    assert (stream.status, stream.headers["x"]) == (200, "1")
    assert run_blocking(read_all(stream)) == [b"da", b"ta: 1\n\n"]
    assert run_blocking(io.send(ASK)).status == 404
    assert inner.requests == [ASK, ASK]
    first, second = io.exchanges
    assert (first.status, first.head_at, first.ended_at, first.complete) == (200, 2.0, 2.5, True)
    assert first.reads == [Read(2.0, b"da"), Read(2.5, b"ta: 1\n\n")]
    assert first.body == b"data: 1\n\n"
    assert (second.status, second.reads, second.complete) == (404, [], True)


def test_secrets_are_taken_out_of_what_is_kept_and_of_nothing_else() -> None:
    answer = Response(200, Headers([("Set-Cookie", S), ("a", "b")]), b'{"access_token":"%s","n":1}' % S.encode())
    io = RecordingIO(ScriptedIO([answer]))
    assert run_blocking(io.send(ASK)) == answer
    [exchange] = io.exchanges
    assert exchange.request.url == f"http://{REDACTED}@host/a?token={REDACTED}"
    assert exchange.request.headers.pairs() == (("Authorization", REDACTED),)
    assert exchange.request.body == b'{"password":"[redacted]"}'
    assert exchange.headers.pairs() == (("Set-Cookie", REDACTED), ("a", "b"))
    assert exchange.body == b'{"access_token":"[redacted]","n":1}'


def test_a_recording_gives_back_the_same_reads_after_the_same_pauses() -> None:
    script = [Reply([b"a", 1.5, b"b", b"c", 0.25, ConnectionLost("gone")], delay=3.0), ConnectionLost("never")]
    io = RecordingIO(ScriptedIO(script))

    async def visit(port: Any) -> list[Any]:
        seen: list[Any] = []
        for _ in range(2):
            try:
                stream = await port.stream(ASK)
                async for piece in stream:
                    seen.append((port.now(), piece))
            except ConnectionLost as error:
                seen.append(str(error))
        return seen

    seen = run_blocking(visit(io))
    assert seen == [(3.0, b"a"), (4.5, b"b"), (4.5, b"c"), "gone", "never"]
    again = io.replay()
    assert run_blocking(visit(again)) == seen
    assert again.unused == 0


def test_an_answer_that_was_left_early_is_marked() -> None:
    io = RecordingIO(ScriptedIO([[b"a", b"b"]]))
    stream = run_blocking(io.stream(ASK))
    run_blocking(anext(aiter(stream)))  # type: ignore[arg-type]  # a coroutine in fact
    run_blocking(stream.aclose())
    run_blocking(stream.aclose())
    [exchange] = io.exchanges
    assert (exchange.body, exchange.complete, exchange.error) == (b"a", False, None)


def test_a_request_that_nobody_answered_replays_as_a_lost_connection() -> None:
    class Interrupted(BaseException): ...

    def interrupt(request: Request) -> Response:
        raise Interrupted

    io = RecordingIO(ScriptedIO(interrupt))
    with pytest.raises(Interrupted):
        run_blocking(io.send(ASK))
    with pytest.raises(ConnectionLost, match="no answer"):
        run_blocking(io.replay().send(ASK))


def test_waiting_passes_through() -> None:
    inner = ScriptedIO([])
    io = RecordingIO(inner)
    run_blocking(io.sleep(2))
    assert io.now() == inner.now() == 2


@given(st.lists(st.sampled_from(["data: x", f"token={S}&", f"Bearer {S} ", "\n\n", "é"]), max_size=8), st.data())
def test_redacting_reads_is_redacting_their_text_wherever_the_borders_are(words: list[str], data: Any) -> None:
    body = "".join(words).encode()
    places = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=6)))
    edges = [0, *places, len(body)]
    reads = [Read(float(n), body[a:b]) for n, (a, b) in enumerate(pairwise(edges))]
    clean = redact_reads(reads)
    expected = redact_text(body.decode("latin-1")).encode("latin-1")
    assert b"".join(read.data for read in clean) == expected
    if expected == body:
        assert clean == reads


def test_reads_without_secrets_keep_their_borders() -> None:
    reads = [Read(0.0, b"a"), Read(1.0, b"token=" + S.encode()[:4]), Read(2.0, S.encode()[4:] + b" b"), Read(3.0, b"c")]
    assert redact_reads(reads) == [
        Read(0.0, b"a"),
        Read(1.0, b"token=[redacted]"),
        Read(2.0, b" b"),
        Read(3.0, b"c"),
    ]
