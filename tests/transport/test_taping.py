"""What clients exchange is written down beside them, and answers them again without a network."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman import Agent, App
from dragoman.core.errors import ConnectionFailed, ConnectionLost, TimedOut, UsageError
from dragoman.testing import Cassette, ScriptedModel, replay
from dragoman.transport import recorder as recorders
from dragoman.transport import recording
from dragoman.transport.cassettes import TAIL, Numbered, decode, encode, load
from dragoman.transport.drivers import AsyncDriver, BlockingDriver, taped
from dragoman.transport.io import iterate_blocking, run_blocking
from dragoman.transport.options import ClientOptions, Recording, Tape
from dragoman.transport.recorder import Recorder
from dragoman.transport.recording import Exchanged
from dragoman.transport.replaying import ReplayIO
from dragoman.transport.scripted import Reply, ScriptedIO
from dragoman.wire.http import Headers, Request, Response, Timeouts

S = "a9Xk-not-known-by-form"
ASK = Request("POST", "http://host/v1/chat", Headers({"x-api-key": S}), b'{"q":1}')


async def read_all(stream: Any) -> list[bytes]:
    return [piece async for piece in stream]


async def streamed(port: Any, request: Request = ASK) -> list[bytes]:
    return await read_all(await port.stream(request))


def recorded(folder: Path, script: Any, *requests: Request, most: int = 1 << 20) -> Path:
    """A file of what `script` answered to each of these, read as streams."""
    file = folder / "made.cassette.json"
    port = taped(ScriptedIO(script), record=Recording(file, most_bytes=most))
    for request in requests:
        try:
            run_blocking(streamed(port, request))
        except (ConnectionLost, TimedOut):
            pass
    recorders.flush_all()
    return file


# ------------------------------------------------------------------------------------ recording


def test_a_recording_is_a_cassette_that_answers_with_the_same_reads(tmp_path: Path) -> None:
    reads = [b"da", b"ta: \xc3", b"\xa9\n\n", b"\xff\x00"]
    file = recorded(tmp_path, [Reply([reads[0], 0.5, *reads[1:]], headers=Headers([("a", "b"), ("a", "c")]))], ASK)
    assert Cassette.load(file).document["kind"] == "exchanges"
    assert [each.body for each in Cassette.load(file).exchanges] == [b"".join(reads)]
    again = taped(ScriptedIO([]), replay=file)
    stream = run_blocking(again.stream(ASK))
    assert stream.headers.pairs() == (("a", "b"), ("a", "c"))
    assert run_blocking(read_all(stream)) == reads


def test_the_recorded_times_are_kept_when_they_are_wanted(tmp_path: Path) -> None:
    file = recorded(tmp_path, [Reply([b"a", 1.5, b"b"], delay=2.0)], ASK)
    for times, expected in ((True, 3.5), (False, 0.0)):
        clock = ScriptedIO([])
        assert run_blocking(streamed(taped(clock, replay=Recording(file, times=times)))) == [b"a", b"b"]
        assert clock.now() == expected


def test_a_pause_that_is_longer_than_a_client_waits_is_a_time_out_again(tmp_path: Path) -> None:
    file = recorded(tmp_path, [Reply([b"a", 5.0, b"b"])], ASK)
    hasty = Request("POST", ASK.url, ASK.headers, ASK.body, Timeouts.all(1.0))
    with pytest.raises(TimedOut):
        run_blocking(streamed(taped(ScriptedIO([]), replay=Recording(file, times=True)), hasty))


@pytest.mark.parametrize("error", [ConnectionLost("gone"), TimedOut("late")])
def test_a_broken_answer_breaks_again_at_the_same_place(tmp_path: Path, error: Exception) -> None:
    file = recorded(tmp_path, [Reply([b"a", error]), error], ASK, ASK)
    port = taped(ScriptedIO([]), replay=file)
    stream = run_blocking(port.stream(ASK))
    assert run_blocking(anext(aiter(stream))) == b"a"  # type: ignore[arg-type]  # a coroutine in fact
    for again in (read_all(stream), port.send(ASK)):
        with pytest.raises(type(error), match=str(error)):
            run_blocking(again)


def test_an_answer_that_was_let_go_does_not_look_whole(tmp_path: Path) -> None:
    file = tmp_path / "left.json"
    port = taped(ScriptedIO([[b"a", b"b"]]), record=file)
    stream = run_blocking(port.stream(ASK))
    run_blocking(anext(aiter(stream)))  # type: ignore[arg-type]  # a coroutine in fact
    run_blocking(stream.aclose())
    recorders.flush_all()
    with pytest.raises(ConnectionLost, match="ends here"):
        run_blocking(streamed(taped(ScriptedIO([]), replay=file)))


def test_no_secret_is_written_wherever_it_stands(tmp_path: Path) -> None:
    request = Request(
        "POST",
        f"http://host/x?k={S}",
        Headers({"Authorization": f"Bearer {S}"}),
        f'{{"secret":{{"a":"{S}"}}}}'.encode(),
    )
    hidden = "credential-of-no-form"
    told = f'{{"echo":"{S}","tokens":{{"n":1}},"credentials":["{hidden}"]}}'.encode()
    file = tmp_path / "secrets.json"
    port: Any = taped(
        ScriptedIO([Reply([told[:12], told[12:]]), Reply([b"data: " + S[:5].encode(), S[5:].encode() + b"\n\n"])]),
        record=file,
    )
    port.hide(hidden)
    for _ in range(2):
        run_blocking(streamed(port, request))
    recorders.flush_all()
    text = file.read_text("utf-8")
    assert not any(each in text for each in (S, S[5:], hidden))
    again = taped(ScriptedIO([]), replay=file)
    other = Request(
        "POST", "http://host/x?k=another-secret", Headers({"Authorization": "Bearer another-secret"}), b"{}"
    )
    assert json.loads(b"".join(run_blocking(streamed(again, other))))["tokens"] == {"n": 1}


def test_a_file_is_whole_after_every_exchange_and_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "grows.json"
    port = taped(ScriptedIO(lambda request: Response(200, body=b"x")), record=file)
    for count in range(4):
        assert len(load(file)) == count
        run_blocking(port.send(ASK))
        recorders.flush_all()
    assert file.stat().st_mode & 0o077 == 0


def test_a_file_never_outgrows_its_bound(tmp_path: Path) -> None:
    file = recorded(tmp_path, lambda request: [b"x" * 700, b"y" * 700], *[ASK] * 40, most=8_000)
    assert file.stat().st_size <= 8_000
    kept = [one.exchange for one in load(file)]
    assert 0 < len(kept) < 40
    assert all(one.complete and (one.is_cut or len(one.body) == 1400) for one in kept)
    if cut := [one for one in kept if one.is_cut]:
        with pytest.raises(ConnectionLost):
            run_blocking(streamed(ReplayIO(cut, ScriptedIO([]))))


def test_what_is_longer_than_the_bound_is_cut_while_it_comes(tmp_path: Path) -> None:
    file = recorded(tmp_path, [[b"x" * 500] * 50], ASK, most=4_000)
    [one] = load(file)
    assert one.exchange.is_cut
    assert 0 < len(one.exchange.body) < 4_000


def test_nothing_is_cleaned_or_written_while_a_stream_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[str] = []
    kept = recording.cleaned

    def watched(*given: Any) -> Exchanged:
        threads.append(threading.current_thread().name)
        return kept(*given)

    monkeypatch.setattr(recorders, "cleaned", watched)
    recorded(tmp_path, [[b"a"]], ASK)
    assert threads == ["dragoman-recorder"]


@pytest.mark.parametrize("lost", [1, 20, 200])
def test_a_file_whose_writer_was_killed_lacks_its_last_answer(tmp_path: Path, lost: int) -> None:
    file = recorded(tmp_path, [[b"a" * 99], [b"b" * 99], [b"c" * 99]], ASK, ASK, ASK)
    file.write_bytes(file.read_bytes().removesuffix(TAIL)[:-lost])
    assert [one.exchange.body[:1] for one in load(file)] == [b"a", b"b"]


def test_a_file_that_somebody_has_set_out_anew_is_read_as_well(tmp_path: Path) -> None:
    file = recorded(tmp_path, [[b"a", b"\xff"]], ASK)
    file.write_text(json.dumps(json.loads(file.read_bytes()), indent=2), "utf-8")
    assert [one.exchange.pieces for one in load(file)] == [[b"a", b"\xff"]]


def test_one_file_has_one_recorder_however_its_path_is_spelt(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for path in (tmp_path / "x.json", tmp_path / "sub" / ".." / "x.json"):
        run_blocking(taped(ScriptedIO([[b"a"]]), record=path).send(ASK))
    recorders.flush_all()
    assert len(load(tmp_path / "x.json")) == 2


def test_what_a_stream_did_not_use_of_its_room_is_there_for_others(tmp_path: Path) -> None:
    file = recorded(tmp_path, [[b"x" * 10] for _ in range(8)], *[ASK] * 8, most=20_000)
    assert [one.exchange.is_cut for one in load(file)] == [False] * 8


def test_a_file_that_was_there_is_for_its_owner_alone_as_well(tmp_path: Path) -> None:
    file = tmp_path / "made.cassette.json"
    file.touch(0o644)
    recorded(tmp_path, [[b"a"]], ASK)
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_flush_waits_for_what_was_given_before_it_and_no_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Recorder(tmp_path / "x.json", 1 << 20)
    write = kept._write

    def give() -> None:
        exchange = Exchanged(ASK, status=200)
        kept.begun(exchange)
        kept.ended(exchange)

    def busy(numbered: Numbered) -> None:
        write(numbered)
        if numbered.n < 2_000:
            give()

    monkeypatch.setattr(kept, "_write", busy)
    give()
    kept.flush()
    assert len(load(kept.path)) < 1_000
    monkeypatch.setattr(kept, "_write", write)
    kept.flush()


def test_threads_record_to_one_file(tmp_path: Path) -> None:
    file = tmp_path / "all.json"

    def talk(name: bytes) -> None:
        port = taped(ScriptedIO([[name, b"-", name]] * 20), record=file)
        for _ in range(20):
            run_blocking(streamed(port))

    threads = [threading.Thread(target=talk, args=(b"%d" % n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    recorders.flush_all()
    told = load(file)
    assert [one.n for one in told] == list(range(1, 81))
    assert sorted(one.exchange.body for one in told) == sorted(b"%d-%d" % (n, n) for n in range(4) for _ in range(20))


def test_an_error_that_names_a_secret_is_kept_without_it(tmp_path: Path) -> None:
    file = recorded(tmp_path, [ConnectionLost(f"illegal header value {S!r}")], ASK)
    [one] = load(file)
    assert str(one.exchange.error) == "illegal header value '[redacted]'"


def test_a_folder_gets_a_file_of_this_process(tmp_path: Path) -> None:
    for _ in range(2):
        run_blocking(taped(ScriptedIO([Response(200)]), record=tmp_path).send(ASK))
    recorders.flush_all()
    [file] = tmp_path.iterdir()
    assert len(load(file)) == 2


def test_a_place_where_nothing_can_be_written_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing can be recorded"):
        taped(ScriptedIO([]), record=tmp_path / "no" / "folder.json")


def test_a_file_that_is_gone_does_not_hurt_the_client(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    kept = Recorder(tmp_path / "x.json", 1 << 20)
    kept.path.unlink()
    for _ in range(3):
        exchange = Exchanged(ASK, status=200)
        kept.begun(exchange)
        kept.ended(exchange)
        kept.flush()
    assert caplog.text.count("could not be recorded") == 1


def test_what_is_under_way_when_the_process_ends_is_kept_as_far_as_it_came(tmp_path: Path) -> None:
    kept = Recorder(tmp_path / "x.json", 1 << 20)
    exchange = Exchanged(ASK, status=200, times=[0.5], pieces=[b"a"])
    kept.begun(exchange)
    kept.end()
    kept.ended(exchange)
    kept.flush()
    [one] = load(tmp_path / "x.json")
    assert (one.exchange.body, one.exchange.complete) == (b"a", False)


# ------------------------------------------------------------------------------------ replaying


def ask(path: str, body: bytes | None = None, host: str = "host") -> Request:
    return Request("POST", f"http://{host}{path}", body=body)


def answers(*pairs: tuple[Request, str]) -> list[Exchanged]:
    return [Exchanged(request, status=200, times=[0], pieces=[text.encode()], complete=True) for request, text in pairs]


def said(port: ReplayIO, request: Request) -> str:
    return run_blocking(port.send(request)).body.decode()


def test_a_request_gets_the_answer_to_its_own_words_whatever_the_order() -> None:
    port = ReplayIO(answers((ask("/a", b"1"), "one"), (ask("/a", b"2"), "two"), (ask("/b"), "three")), ScriptedIO([]))
    told = [said(port, one) for one in (ask("/b"), ask("/a", b"2"), ask("/a", b"1"))]
    assert told == ["three", "two", "one"]
    assert port.unused == []


def test_equal_requests_get_their_answers_in_order_and_new_words_the_next_one() -> None:
    port = ReplayIO(
        answers((ask("/a", b"1"), "first"), (ask("/a", b"1"), "second"), (ask("/a", b"2"), "x")), ScriptedIO([])
    )
    assert [said(port, ask("/a", b"1")) for _ in range(2)] == ["first", "second"]
    assert said(port, ask("/a", b"new", host="elsewhere:8080")) == "x"


def test_what_is_asked_otherwise_is_answered_and_told(caplog: pytest.LogCaptureFixture) -> None:
    old, new = "6f1c2d8e-0b1a-4c3d-9e8f-112233445566", "11111111-2222-4333-8444-555555555555"
    told = answers((ask("/a", f'{{"id": "{old}", "say": "x"}}'.encode()), "x"), (ask("/a?n=1", b"1"), "y"))
    port = ReplayIO(told, ScriptedIO([]))
    assert said(port, ask("/a", f'{{"id": "{new}", "say": "x"}}'.encode())) == "x"
    assert caplog.records == []
    assert said(port, ask("/a?n=2", b"2")) == "y"
    [record] = caplog.records
    assert (record.levelname, record.__dict__["other"]) == ("WARNING", "body and query")


def test_a_strict_replay_refuses_what_is_asked_otherwise_and_keeps_the_answer() -> None:
    port = ReplayIO(answers((ask("/a", b"1"), "x")), ScriptedIO([]), strict=True)
    with pytest.raises(UsageError, match="recorded with another body") as caught:
        said(port, ask("/a", b"2"))
    assert caught.value.code == "replay_miss"
    assert said(port, ask("/a", b"1", host="elsewhere:8080")) == "x"


def test_ids_in_a_path_may_be_new_ones() -> None:
    old, new = "6f1c2d8e-0b1a-4c3d-9e8f-112233445566", "11111111-2222-4333-8444-555555555555"
    port = ReplayIO(answers((ask(f"/chat/{old}/x"), "a")), ScriptedIO([]))
    assert said(port, ask(f"/chat/{new}/x")) == "a"


def test_what_nobody_asked_before_is_a_miss_and_no_provider_is_asked() -> None:
    port = ReplayIO(answers((ask("/a"), "x")), ScriptedIO([]))
    with pytest.raises(UsageError, match=r"replay miss.*POST http://host/b.*still has: POST http://host/a") as caught:
        said(port, ask("/b"))
    assert caught.value.code == "replay_miss"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no JSON"),
        ("[]", "no cassette"),
        ('{"dragoman_cassette": 99, "exchanges": []}', "version 99"),
        ('{"dragoman_cassette": 1, "executions": []}', "holds runs"),
        ('{"dragoman_cassette": 1, "exchanges": {}}', "no list"),
        ('{"dragoman_cassette": 1, "exchanges": [{}]}', "cannot be read"),
        ('{"dragoman_cassette": 1, "exchanges": [{"n": 1, "at": 0, "request": {"method": 1, "url": "", "headers": []}}]}', "cannot"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_recording_is_told(tmp_path: Path, text: str, why: str) -> None:
    file = tmp_path / "x.json"
    file.write_text(text, "utf-8")
    with pytest.raises(UsageError, match=why):
        taped(ScriptedIO([]), replay=file)
    with pytest.raises(UsageError, match="there is no recording"):
        taped(ScriptedIO([]), replay=tmp_path / "none.json")


async def test_a_recording_of_a_client_is_no_session_to_replay(tmp_path: Path) -> None:
    cassette = Cassette.load(recorded(tmp_path, [[b"a"]], ASK))
    with pytest.raises(UsageError, match="replay="):
        await replay(cassette, App("acme", agents=[Agent("helper", model=ScriptedModel())]))
    port = cassette.port()
    assert await streamed(port) == [b"a"]
    assert port.unused == []


times = st.floats(0, 1e6).map(lambda value: round(value, 6))


def exchanged(request: Request, reads: list[tuple[float, bytes]], **told: Any) -> Exchanged:
    return Exchanged(request, times=[at for at, _ in reads], pieces=[data for _, data in reads], **told)


exchanges = st.builds(
    exchanged,
    st.builds(
        Request, st.sampled_from(["GET", "POST"]), st.just("http://h/p"), body=st.none() | st.binary(max_size=40)
    ),
    status=st.integers(100, 599),
    headers=st.lists(st.tuples(st.just("x"), st.text(max_size=5))).map(Headers),
    reads=st.lists(st.tuples(times, st.binary(max_size=40))),
    head_at=times,
    ended_at=times,
    complete=st.booleans(),
    is_cut=st.booleans(),
)


@given(exchanges)
def test_an_exchange_reads_back_as_it_was_written(exchange: Exchanged) -> None:
    [back] = decode([json.loads(encode(Numbered(3, 1.5, exchange), []))])
    assert (back.n, back.at) == (3, 1.5)
    assert back.exchange.reads == exchange.reads
    assert back.exchange.request.body == exchange.request.body
    assert back.exchange.headers.pairs() == exchange.headers.pairs()
    for name in ("status", "head_at", "ended_at", "complete", "is_cut", "error"):
        assert getattr(back.exchange, name) == getattr(exchange, name)


# ------------------------------------------------------------------------------------ drivers


@pytest.fixture
async def server() -> AsyncIterator[str]:
    """A socket that answers every request with two chunks, and says how many it has answered."""
    count = 0
    talks: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        task = asyncio.current_task()
        assert task is not None
        talks.add(task)
        await reader.readuntil(b"\r\n\r\n")
        count += 1
        head = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/event-stream\r\n\r\n"
        writer.write(head + b"data: %d\n\n" % count)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    made = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with made:
        yield f"http://127.0.0.1:{made.sockets[0].getsockname()[1]}"
    await asyncio.wait(talks, timeout=10)


async def test_a_driver_records_what_it_sends_and_replays_it_without_the_server(server: str, tmp_path: Path) -> None:
    file = tmp_path / "driver.json"
    request = Request("GET", f"{server}/x")
    driver = AsyncDriver(options=ClientOptions(tape=Tape.of(record=file)))
    first = b"".join(await streamed(driver, request))
    second = (await driver.send(request)).body
    await driver.aclose()
    assert (first, second) == (b"data: 1\n\n", b"data: 2\n\n")
    again = AsyncDriver(options=ClientOptions(tape=Tape.of(replay=file)))
    assert again.is_replaying
    elsewhere = Request("GET", "http://127.0.0.1:1/x")
    assert [b"".join(await streamed(again, elsewhere)) for _ in range(2)] == [first, second]
    await again.aclose()
    blocking = BlockingDriver(options=ClientOptions(tape=Tape.of(replay=file)))
    assert run_blocking(blocking.send(elsewhere)).body == first
    blocking.close()


async def test_a_driver_records_a_stream_that_is_let_go_or_lost_as_it_was(server: str, tmp_path: Path) -> None:
    file = tmp_path / "driver.json"
    driver = AsyncDriver(options=ClientOptions(tape=Tape.of(record=file)))
    stream = await driver.stream(Request("GET", f"{server}/x"))
    await anext(aiter(stream))
    await stream.aclose()
    with pytest.raises(ConnectionFailed):
        await driver.stream(Request("GET", "http://127.0.0.1:1/x"))
    await driver.aclose()
    assert [(one.exchange.status, one.exchange.complete) for one in load(file)] == [(200, False), (None, False)]
    blocking = BlockingDriver(options=ClientOptions(tape=Tape.of(record=tmp_path / "blocking.json")))
    stream = await anyio.to_thread.run_sync(lambda: run_blocking(blocking.stream(Request("GET", f"{server}/x"))))
    said = await anyio.to_thread.run_sync(lambda: b"".join(iterate_blocking(aiter(stream))))
    blocking.close()
    [one] = load(tmp_path / "blocking.json")
    assert (one.exchange.body, one.exchange.complete) == (said, True)


async def test_a_clients_own_http_client_is_recorded_as_well(server: str, tmp_path: Path) -> None:
    file = tmp_path / "theirs.json"
    async with httpx2.AsyncClient(trust_env=False) as client:
        driver = AsyncDriver(client=client, options=ClientOptions(tape=Tape.of(record=file)))
        await driver.send(Request("GET", server))
        await driver.aclose()
    assert [one.exchange.status for one in load(file)] == [200]


async def test_the_environment_records_and_replays_every_client_of_the_process(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "all.json"
    request = Request("GET", f"{server}/x")
    monkeypatch.setenv("DRAGOMAN_RECORD", str(file))
    for _ in range(2):
        driver = AsyncDriver()
        await driver.send(request)
        await driver.aclose()
    monkeypatch.delenv("DRAGOMAN_RECORD")
    monkeypatch.setenv("DRAGOMAN_REPLAY", str(file))
    told = []
    for _ in range(2):
        told.append((await AsyncDriver().send(request)).body)
    assert told == [b"data: 1\n\n", b"data: 2\n\n"]
    with pytest.raises(UsageError, match="replay miss"):
        await AsyncDriver().send(request)


def test_the_environment_says_whether_times_are_kept() -> None:
    tape = Tape.of_environment({"DRAGOMAN_REPLAY": "x", "DRAGOMAN_REPLAY_TIMES": "true"})
    assert tape == Tape(None, Recording("x", times=True), shared=True)
    strict = Tape.of_environment({"DRAGOMAN_REPLAY": "x", "DRAGOMAN_REPLAY_STRICT": "1"})
    assert strict is not None
    assert strict.replay == Recording("x", strict=True)
    assert Tape.of_environment({"DRAGOMAN_REPLAY": ""}) is None
