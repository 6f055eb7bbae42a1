"""Both drivers against a real socket: one suite, two shells."""

from __future__ import annotations

import gzip
import socket
import subprocess
import sys
from typing import Any

import anyio
import httpx2
import pytest

from dragoman.core.errors import (
    ConnectionFailed,
    ConnectionLost,
    DragomanError,
    MissingExtra,
    ProtocolError,
    TimedOut,
    TransportError,
    UsageError,
)
from dragoman.transport.clients import shared_ssl_context
from dragoman.transport.drivers import AsyncDriver, BlockingDriver
from dragoman.transport.io import iterate_blocking, run_blocking
from dragoman.transport.options import ClientOptions
from dragoman.wire.http import Headers, Request, Response, Timeouts

SHORT = Timeouts(connect=5.0, read=0.1, write=5.0, pool=0.1)


def get(url: str, **changes: Any) -> Request:
    return Request("GET", url, **{"timeouts": Timeouts.all(15.0)} | changes)


async def read_all(stream: Any) -> list[bytes]:
    return [piece async for piece in stream]


# ------------------------------------------------------------------------------- plain exchanges


def test_an_exchange_carries_method_path_headers_and_body_both_ways(shell, server) -> None:
    server.handler = lambda visitor: visitor.answer(b'{"ok":true}', "X-A: 1", "x-a: 2", status="201 Created")
    request = Request("PATCH", server.url + "/p?q=1", Headers({"x-b": "grüß"}), b"body")
    answer = shell.run(lambda io: io.send(request))
    assert (answer.status, answer.headers["x-a"], answer.json()) == (201, "1, 2", {"ok": True})
    [(method, path, headers, body)] = server.requests
    assert (method, path, headers["x-b"], body) == ("PATCH", "/p?q=1", "grüß", b"body")
    assert headers["user-agent"].startswith("dragoman/")


def test_error_statuses_are_answers_not_exceptions(shell, server) -> None:
    server.handler = lambda visitor: visitor.answer(b"no", status="503 Unavailable")
    assert shell.run(lambda io: io.send(get(server.url))).status == 503


def test_an_answer_without_content_has_an_empty_body(shell, server) -> None:
    server.handler = lambda visitor: visitor.send(b"HTTP/1.1 204 No Content\r\n\r\n")

    async def operation(io: Any) -> tuple[Response, list[bytes]]:
        return await io.send(get(server.url)), await read_all(await io.stream(get(server.url)))

    answer, pieces = shell.run(operation)
    assert (answer.status, answer.body, pieces) == (204, b"", [])


def test_head_gives_headers_without_a_body(shell, server) -> None:
    answer = shell.run(lambda io: io.send(Request("HEAD", server.url)))
    assert (answer.status, answer.headers["content-length"], answer.body) == (200, "5", b"")


def test_big_bodies_pass_both_ways(shell, server) -> None:
    big = bytes(range(256)) * 20_000
    server.handler = lambda visitor: visitor.answer(visitor.body)
    assert shell.run(lambda io: io.send(Request("POST", server.url, body=big))).body == big


def test_a_body_that_ends_with_the_connection_is_whole(shell, server) -> None:
    def handler(visitor: Any) -> None:
        visitor.send(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nall of it")
        visitor.connection.shutdown(socket.SHUT_RDWR)

    server.handler = handler
    assert shell.run(lambda io: io.send(get(server.url))).body == b"all of it"


def test_redirects_are_never_followed(shell, server) -> None:
    server.handler = lambda visitor: visitor.answer(b"", "location: /elsewhere", status="302 Found")
    assert shell.run(lambda io: io.send(get(server.url))).headers["location"] == "/elsewhere"
    assert len(server.requests) == 1


def test_cookies_are_not_kept(shell, server) -> None:
    server.handler = lambda visitor: visitor.answer(b"", "set-cookie: session=1; Path=/")

    async def twice(io: Any) -> None:
        await io.send(get(server.url))
        await io.send(get(server.url))

    shell.run(twice)
    assert "cookie" not in server.requests[1][2]


def test_compressed_answers_are_decoded_and_streams_ask_for_none(shell, server) -> None:
    server.handler = lambda visitor: visitor.answer(gzip.compress(b"hello" * 100), "content-encoding: gzip")

    async def operation(io: Any) -> tuple[bytes, bytes]:
        stream = await io.stream(get(server.url))
        return (await io.send(get(server.url))).body, b"".join(await read_all(stream))

    assert shell.run(operation) == (b"hello" * 100, b"hello" * 100)
    assert [headers["accept-encoding"].startswith("gzip") for _, _, headers, _ in server.requests] == [False, True]


# -------------------------------------------------------------------------------------- streams


def test_pieces_arrive_as_they_are_sent(shell, server) -> None:
    def handler(visitor: Any) -> None:
        visitor.begin_chunks(b"data: 1\n\n")
        visitor.wait_for_go()
        visitor.chunk(b"data: 2\n\n")
        visitor.chunk(b"")

    server.handler = handler

    async def operation(io: Any) -> list[bytes]:
        stream = await io.stream(get(server.url))
        assert (stream.status, stream.headers["Content-Type"]) == (200, "text/event-stream")
        first = await anext(aiter(stream))
        server.go.set()
        return [first, *await read_all(stream)]

    assert shell.run(operation) == [b"data: 1\n\n", b"data: 2\n\n"]


def test_a_read_stream_gives_its_connection_back_and_ends_for_good(shell, server) -> None:
    async def operation(io: Any) -> list[bytes]:
        for _ in range(3):
            stream = await io.stream(get(server.url))
            assert await read_all(stream) == [b"hello"]
        await stream.aclose()
        return await read_all(stream)

    assert shell.run(operation) == []
    assert len(server.connections) == 1


@pytest.mark.requirement("KAI-19")
def test_leaving_a_stream_early_closes_its_connection(shell, server) -> None:
    def handler(visitor: Any) -> None:
        visitor.begin_chunks(b"data: 1\n\n")
        visitor.wait_for_hangup()

    server.handler = handler

    async def operation(io: Any) -> list[bytes]:
        stream = await io.stream(get(server.url))
        async for _ in stream:
            break
        await stream.aclose()
        await stream.aclose()
        assert server.hung_up.wait(15)
        return await read_all(stream)

    assert shell.run(operation) == []


def test_a_stream_can_be_closed_before_it_was_read(shell, server) -> None:
    def handler(visitor: Any) -> None:
        visitor.begin_chunks()
        visitor.wait_for_hangup()

    server.handler = handler

    async def operation(io: Any) -> bool:
        await (await io.stream(get(server.url))).aclose()
        return server.hung_up.wait(15)

    assert shell.run(operation)


@pytest.mark.requirement("KAI-19")
@pytest.mark.parametrize("begin", [[], [b"data: 1\n\n"]], ids=["before the answer", "in the body"])
async def test_cancelling_a_reader_closes_its_connection(server, begin) -> None:
    def handler(visitor: Any) -> None:
        if begin:
            visitor.begin_chunks(*begin)
        visitor.wait_for_hangup()

    server.handler = handler
    driver = AsyncDriver()
    with anyio.move_on_after(0.1) as scope:
        stream = await driver.stream(get(server.url))
        try:
            await read_all(stream)
        finally:
            await stream.aclose()
    assert scope.cancelled_caught
    assert await anyio.to_thread.run_sync(server.hung_up.wait, 15)
    await driver.aclose()


def test_closing_the_driver_ends_its_streams(shell, server) -> None:
    def handler(visitor: Any) -> None:
        visitor.begin_chunks(b"x")
        visitor.wait_for_hangup()

    server.handler = handler

    async def operation(io: Any) -> bool:
        stream = await io.stream(get(server.url))
        await anext(aiter(stream))
        await io.aclose()
        try:
            return server.hung_up.wait(15)
        finally:
            await stream.aclose()

    assert shell.run(operation)


def test_a_blocking_stream_can_be_stepped_by_a_plain_loop(server) -> None:
    def handler(visitor: Any) -> None:
        visitor.begin_chunks(b"1")
        visitor.wait_for_hangup()

    server.handler = handler
    driver = BlockingDriver()
    pieces = iterate_blocking(run_blocking(driver.stream(get(server.url))))
    assert next(pieces) == b"1"
    pieces.close()
    assert server.hung_up.wait(15)
    driver.close()


# --------------------------------------------------------------------------------------- faults


@pytest.mark.requirement("KAI-17")
def test_a_refused_connection_is_named_with_its_cause(shell) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with pytest.raises(ConnectionFailed, match="no connection") as caught:
        shell.run(lambda io: io.send(get(f"http://127.0.0.1:{port}/")))
    assert isinstance(caught.value.__cause__, httpx2.ConnectError)
    assert caught.value.retryable


@pytest.mark.requirement("KAI-17")
@pytest.mark.parametrize(
    "handler",
    [
        pytest.param(lambda visitor: visitor.reset(), id="reset"),
        pytest.param(lambda visitor: visitor.connection.shutdown(socket.SHUT_RDWR), id="hang-up"),
        pytest.param(lambda visitor: visitor.send(b"what is HTTP?\r\n\r\n"), id="no HTTP"),
    ],
)
def test_a_connection_that_breaks_before_the_answer_is_lost(shell, server, handler) -> None:
    server.handler = handler
    with pytest.raises(ConnectionLost) as caught:
        shell.run(lambda io: io.send(get(server.url)))
    assert isinstance(caught.value.__cause__, httpx2.TransportError)


def reset_in_a_chunked_body(visitor: Any) -> None:
    visitor.begin_chunks(b"data: 1\n\n")
    visitor.wait_for_go()
    visitor.reset()


def hang_up_in_a_chunked_body(visitor: Any) -> None:
    visitor.begin_chunks(b"data: 1\n\n")
    visitor.wait_for_go()
    visitor.connection.shutdown(socket.SHUT_RDWR)


def hang_up_in_a_body_with_length(visitor: Any) -> None:
    visitor.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\ndata: 1\n\n")
    visitor.wait_for_go()
    visitor.connection.shutdown(socket.SHUT_RDWR)


@pytest.mark.requirement("KAI-17")
@pytest.mark.parametrize("handler", [reset_in_a_chunked_body, hang_up_in_a_chunked_body, hang_up_in_a_body_with_length])
def test_a_connection_that_breaks_in_the_body_is_lost_after_what_came(shell, server, handler) -> None:
    server.handler = handler
    seen: list[bytes] = []

    async def operation(io: Any) -> None:
        stream = await io.stream(get(server.url))
        async for piece in stream:
            seen.append(piece)
            server.go.set()

    with pytest.raises(ConnectionLost) as caught:
        shell.run(operation)
    assert seen == [b"data: 1\n\n"]
    assert isinstance(caught.value.__cause__, httpx2.TransportError)


@pytest.mark.requirement("KAI-17")
def test_silence_before_the_answer_times_out(shell, server) -> None:
    server.handler = lambda visitor: visitor.wait_for_hangup()
    with pytest.raises(TimedOut, match="no answer came in time") as caught:
        shell.run(lambda io: io.send(get(server.url, timeouts=SHORT)))
    assert isinstance(caught.value.__cause__, httpx2.ReadTimeout)
    assert server.hung_up.wait(15)


@pytest.mark.requirement("KAI-17")
def test_silence_in_the_body_times_out_and_closes_the_connection(shell, server) -> None:
    def handler(visitor: Any) -> None:
        visitor.begin_chunks(b"data: 1\n\n")
        visitor.wait_for_hangup()

    server.handler = handler

    async def operation(io: Any) -> None:
        await read_all(await io.stream(get(server.url, timeouts=SHORT)))

    with pytest.raises(TimedOut):
        shell.run(operation)
    assert server.hung_up.wait(15)


def test_a_full_pool_is_an_error_not_an_endless_wait(shell, server) -> None:
    server.handler = lambda visitor: (visitor.begin_chunks(b"x"), visitor.wait_for_hangup())

    async def operation(io: Any) -> None:
        stream = await io.stream(get(server.url))
        try:
            await io.send(get(server.url, timeouts=SHORT))
        finally:
            await stream.aclose()

    with pytest.raises(TimedOut, match="all connections stayed in use"):
        shell.run(operation, options=ClientOptions(connections=1))


def test_a_body_that_does_not_decode_breaks_the_protocol(shell, server) -> None:
    server.handler = lambda visitor: visitor.answer(b"this is no gzip", "content-encoding: gzip")
    with pytest.raises(ProtocolError, match="content-encoding"):
        shell.run(lambda io: io.send(get(server.url)))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (httpx2.ConnectTimeout, TimedOut),
        (httpx2.ReadTimeout, TimedOut),
        (httpx2.WriteTimeout, TimedOut),
        (httpx2.PoolTimeout, TimedOut),
        (httpx2.ConnectError, ConnectionFailed),
        (httpx2.ProxyError, ConnectionFailed),
        (httpx2.ReadError, ConnectionLost),
        (httpx2.WriteError, ConnectionLost),
        (httpx2.CloseError, ConnectionLost),
        (httpx2.RemoteProtocolError, ConnectionLost),
        (httpx2.LocalProtocolError, UsageError),
        (httpx2.UnsupportedProtocol, UsageError),
        (httpx2.DecodingError, ProtocolError),
        (httpx2.TooManyRedirects, TransportError),
    ],
)
def test_each_fault_has_its_class_and_no_message_shows_a_secret(shell, error, expected) -> None:
    def fail(request: httpx2.Request) -> httpx2.Response:
        raise error("password=hunter22")

    client_class = httpx2.AsyncClient if shell.is_async else httpx2.Client
    client = client_class(transport=httpx2.MockTransport(fail))
    with pytest.raises(DragomanError) as caught:
        shell.run(lambda io: io.send(get("http://user:hunter22@host/p?token=hunter22")), client=client)
    assert type(caught.value) is expected
    assert isinstance(caught.value.__cause__, error)
    assert "hunter22" not in str(caught.value)
    assert "host/p" in str(caught.value)


def test_errors_that_are_not_the_networks_pass_unchanged(shell) -> None:
    def fail(request: httpx2.Request) -> httpx2.Response:
        raise ZeroDivisionError

    client_class = httpx2.AsyncClient if shell.is_async else httpx2.Client
    with pytest.raises(ZeroDivisionError):
        shell.run(lambda io: io.send(get("http://host/")), client=client_class(transport=httpx2.MockTransport(fail)))


@pytest.mark.parametrize("url", ["ftp://host/", "nonsense", "", "http://", "http://host:port/", "/path"])
def test_a_url_that_can_not_be_asked_for_is_the_callers_mistake(shell, url) -> None:
    with pytest.raises(UsageError):
        shell.run(lambda io: io.send(get(url)))


@pytest.mark.parametrize(
    "headers", [{"x-token": "s3cret\n"}, {"x-token": " s3cret"}, {"x-token": "s3cret☃"}, {"a b": "s3cret"}]
)
def test_a_header_that_can_not_be_sent_is_refused_without_its_value(shell, server, headers) -> None:
    with pytest.raises(UsageError, match="header") as caught:
        shell.run(lambda io: io.send(get(server.url, headers=Headers(headers))))
    assert "s3cret" not in str(caught.value)
    assert server.requests == []


class OddBody(httpx2.AsyncByteStream, httpx2.SyncByteStream):
    """A body of a user's own transport: an empty read, a piece, an error; and it does not close well."""

    def __iter__(self):
        yield from (b"", b"piece")
        raise ZeroDivisionError

    async def __aiter__(self):
        for piece in (b"", b"piece"):
            yield piece
        raise ZeroDivisionError

    def close(self) -> None:
        raise httpx2.CloseError("late")

    async def aclose(self) -> None:
        raise httpx2.CloseError("late")


def test_a_users_transport_may_be_odd(shell) -> None:
    seen: list[bytes] = []

    async def operation(io: Any) -> None:
        async for piece in await io.stream(get("http://host/")):
            seen.append(piece)

    client_class = httpx2.AsyncClient if shell.is_async else httpx2.Client
    transport = httpx2.MockTransport(lambda request: httpx2.Response(200, stream=OddBody()))
    with pytest.raises(ZeroDivisionError):
        shell.run(operation, client=client_class(transport=transport))
    assert seen == [b"piece"]


def test_http2_without_its_extra_says_what_to_install(shell, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "h2", None)
    with pytest.raises(MissingExtra, match=r"dragoman\[http2\]"):
        shell.run(lambda io: io.send(get("http://127.0.0.1:9/")), options=ClientOptions(http2=True))


# ------------------------------------------------------------------------------------ life cycle


@pytest.mark.requirement("KAI-02")
def test_a_closed_driver_opens_again_when_it_is_used(shell, server) -> None:
    async def operation(io: Any) -> None:
        await io.aclose()
        await io.send(get(server.url))
        await io.aclose()
        await io.aclose()
        await io.send(get(server.url))

    shell.run(operation)
    assert len(server.connections) == 2


def test_a_users_client_keeps_its_settings_and_stays_open(shell, server) -> None:
    async def operation(io: Any) -> None:
        await io.send(get(server.url + "/a"))
        await io.aclose()
        await io.send(get(server.url + "/b"))
        assert not client.is_closed
        await client.aclose() if shell.is_async else client.close()

    client_class = httpx2.AsyncClient if shell.is_async else httpx2.Client
    client = client_class(headers={"x-mine": "1"}, follow_redirects=True)
    server.handler = lambda visitor: visitor.answer(b"", "location: /c", status="302 Found")
    shell.run(operation, client=client)
    assert [(path, headers["x-mine"]) for _, path, headers, _ in server.requests] == [("/a", "1"), ("/b", "1")]


def test_a_users_client_that_is_closed_is_the_callers_mistake(shell, server) -> None:
    async def close_first(io: Any) -> None:
        await client.aclose() if shell.is_async else client.close()
        await io.send(get(server.url))

    client = httpx2.AsyncClient() if shell.is_async else httpx2.Client()
    with pytest.raises(UsageError, match="is closed"):
        shell.run(close_first, client=client)


def test_a_hook_of_the_users_client_may_have_read_the_answer(server) -> None:
    client = httpx2.Client(event_hooks={"response": [lambda response: response.read()]})
    driver = BlockingDriver(client=client)
    assert list(iterate_blocking(run_blocking(driver.stream(get(server.url))))) == [b"hello"]
    client.close()


def test_one_async_driver_serves_one_event_loop_after_another(server) -> None:
    driver = AsyncDriver()

    async def once() -> int:
        answer = await driver.send(get(server.url, headers=Headers({"connection": "close"})))
        return answer.status

    assert [anyio.run(once), anyio.run(once)] == [200, 200]
    anyio.run(driver.aclose)


def test_the_process_has_one_tls_context() -> None:
    assert shared_ssl_context() is shared_ssl_context()


def test_time_passes_when_a_driver_sleeps_and_never_goes_back(shell) -> None:
    async def operation(io: Any) -> float:
        before = io.now()
        await io.sleep(0.01)
        await io.sleep(-1)
        return io.now() - before

    assert 0.009 < shell.run(operation) < 10


def test_importing_the_drivers_loads_no_http_library() -> None:
    code = "import sys, dragoman.transport.drivers, dragoman.transport.recording; print('httpx2' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "False"


# ------------------------------------------------------------------------- reading without awaiting


def test_a_blocking_stream_can_be_iterated_without_awaiting(server) -> None:
    server.handler = lambda visitor: (visitor.begin_chunks(b"one", b"two"), visitor.chunk(b""))
    driver = BlockingDriver()
    stream = run_blocking(driver.stream(get(server.url)))
    assert b"".join(iterate_blocking(stream)) == b"onetwo"
    assert list(stream) == []
    driver.close()


def test_leaving_such_an_iteration_early_closes_the_connection(server) -> None:
    server.handler = lambda visitor: (visitor.begin_chunks(b"one"), visitor.wait_for_hangup())
    driver = BlockingDriver()
    pieces = iterate_blocking(run_blocking(driver.stream(get(server.url))))
    assert next(pieces) == b"one"
    pieces.close()  # type: ignore[attr-defined]  # a generator, as its docstring says
    assert server.hung_up.wait(15)
    driver.close()


def test_such_an_iteration_raises_our_errors(server) -> None:
    server.handler = lambda visitor: (visitor.begin_chunks(b"one"), visitor.reset())
    driver = BlockingDriver()
    with pytest.raises(ConnectionLost):
        list(iterate_blocking(run_blocking(driver.stream(get(server.url)))))
    driver.close()


def test_a_stream_that_was_closed_before_it_was_read_gives_nothing(shell, server) -> None:
    async def closed_first(io: Any) -> list[bytes]:
        stream = await io.stream(get(server.url))
        await stream.aclose()
        return await read_all(stream)

    assert shell.run(closed_first) == []
