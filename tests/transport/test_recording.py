"""What passes through is kept without secrets, and can be played again."""

from __future__ import annotations

import json
import re
from base64 import b64encode, urlsafe_b64encode
from itertools import pairwise
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.core import redact
from dragoman.core.errors import ConnectionLost
from dragoman.core.redact import REDACTED, redact_text
from dragoman.transport.cleaning import clean_reads, known_secrets
from dragoman.transport.io import Tee, run_blocking
from dragoman.transport.recording import Read, RecordingIO
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
    reads = [body[a:b] for a, b in pairwise(edges)]
    clean = clean_reads(reads, [])
    expected = redact_text(body.decode("latin-1")).encode("latin-1")
    assert b"".join(clean) == expected
    assert len(clean) == len(reads)
    if expected == body:
        assert clean == reads


def test_reads_without_secrets_keep_their_borders() -> None:
    reads = [b"a", b"token=" + S.encode()[:4], S.encode()[4:6], S.encode()[6:] + b" b", b"c"]
    assert clean_reads(reads, []) == [b"a", b"token=[redacted]", b"", b" b", b"c"]


@pytest.mark.parametrize(
    ("body", "clean"),
    [
        ('data: {"credentials": {"a": "zQ7-x"}, "n": 1}\n\ndata: {"n": 2}\n\n', 'data: {"credentials":"[redacted]","n":1}\n\ndata: {"n": 2}\n\n'),
        ('{"n": 1}\n{"secret": [1, 2]}\n', '{"n": 1}\n{"secret":"[redacted]"}\n'),
        ("Cookie \t  \t : a=b; c=d\n", "Cookie \t  \t : [redacted]\n"),
        ('{"pin_secret": 1234, "n": 5}', '{"pin_secret":"[redacted]","n":5}'),
        ('{"secret": {"a": "zQ7-x"}, "b": "Bearer abcdef12"}', '{"secret":"[redacted]","b":"Bearer [redacted]"}'),
    ],
)  # fmt: skip
def test_what_stands_under_a_secret_name_is_taken_out_of_every_document(body: str, clean: str) -> None:
    for size in (1, 7, len(body)):
        reads = [body[place : place + size].encode() for place in range(0, len(body), size)]
        assert b"".join(clean_reads(reads, [])).decode() == clean


def test_a_known_secret_is_found_as_json_urls_and_base64_spell_it() -> None:
    secret = 'x"y\\z/é-1+>>>'
    known = known_secrets(Request("GET", "http://h"), [secret])
    plain, ascii, url = json.dumps(secret, ensure_ascii=False), json.dumps(secret), quote(secret, safe="")
    with_slash = quote(secret)
    low = re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), url)
    packed = [pack(secret.encode()).decode().rstrip("=") for pack in (b64encode, urlsafe_b64encode)]
    in_json = [plain, ascii, plain.replace("/", "\\/"), ascii.replace("/", "\\/")]
    for form in (secret, *in_json, url, with_slash, low, *packed):
        assert clean_reads([b"a " + form.strip('"').encode() + b" b"], known) == [b"a [redacted] b"]


@pytest.mark.timeout(30)
def test_a_secret_in_every_read_takes_time_in_proportion() -> None:
    reads = clean_reads([S.encode(), b"; "] * 200_000, known_secrets(Request("GET", "http://h"), [S]))
    assert reads == [b"[redacted]", b"; "] * 200_000


@pytest.mark.parametrize(
    "text", ["password", "prompt_tokens: 3", "basic knowledge, risk-management", "http://h/a@b", "Ünï"]
)
def test_what_is_no_secret_is_not_looked_at_twice(text: str) -> None:
    reads = [text.encode(), b""]
    assert clean_reads(reads, ["credential-of-no-form"]) is reads


def test_bytes_that_are_no_text_are_looked_at_closely() -> None:
    assert clean_reads([b"\xff\xfe token=", S.encode()], []) == [b"\xff\xfe token=", b"[redacted]"]


@given(st.data())
def test_the_sieve_lets_nothing_through_that_is_found(data: Any) -> None:
    pattern = data.draw(st.sampled_from([redact._LINES, *(pattern for _, pattern in redact._PATTERNS)]))
    text = data.draw(st.text(max_size=5)) + data.draw(st.from_regex(pattern)) + data.draw(st.text(max_size=5))
    body = text.encode("utf-8", "replace")
    if redact.secret_spans(body.decode("latin-1")):
        assert clean_reads([body], []) != [body]


async def test_a_stream_that_tells_by_itself_is_kept_as_any_other() -> None:
    class Telling:
        status, headers = 200, Headers()

        def __init__(self, *reads: bytes | Exception) -> None:
            self._reads = iter(reads)

        def tell(self, tee: Tee) -> None:
            self.tee = tee

        def __aiter__(self) -> Any:
            return self

        async def __anext__(self) -> bytes:
            for read in self._reads:
                if isinstance(read, Exception):
                    self.tee.end(error=read)
                    raise read
                self.tee.read(read)
                return read
            self.tee.end(complete=True)
            raise StopAsyncIteration

        async def aclose(self) -> None:
            self.tee.end()

    lost = ConnectionLost("gone")
    inner: Any = ScriptedIO([])
    streams = [Telling(b"a", b"b"), Telling(b"a", lost), Telling(b"a", b"b")]

    async def stream(request: Request) -> Any:
        return streams.pop(0)

    inner.stream = stream
    io = RecordingIO(inner)
    assert await read_all(await io.stream(ASK)) == [b"a", b"b"]
    with pytest.raises(ConnectionLost):
        await read_all(await io.stream(ASK))
    left = await io.stream(ASK)
    await anext(aiter(left))
    await left.aclose()
    assert [(one.body, one.complete, one.error) for one in io.exchanges] == [
        (b"ab", True, None),
        (b"a", False, lost),
        (b"a", False, None),
    ]
