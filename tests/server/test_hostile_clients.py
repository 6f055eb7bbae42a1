"""What clients do that mean harm or are broken: framing, heads, bodies, connections that are never let go."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from dragoman.server.http import Call, EventStream, Route

LONG = 10.0
RUNS = "/dragoman/v1/runs"
HEAD = b"host: t\r\nauthorization: Bearer demo-x\r\n"

Start = Callable[..., Awaitable[Any]]
ServeLive = Callable[..., Any]


def everything(connection: socket.socket) -> bytes:
    """What comes until the server closes; TimeoutError if it does not."""
    got = bytearray()
    while piece := connection.recv(65536):
        got += piece
    return bytes(got)


@pytest.mark.parametrize(
    ("status", "sent"),
    [
        (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
        (400, b"BREW /ping HTTP/1.1\r\nhost: t\r\n\r\n"),
        (400, b"GET /ping HTTP/1.1\r\nhost: t\r\nx-a: a\x00b\r\n\r\n"),
        (400, b"POST /api/chat HTTP/1.1\r\n" + HEAD + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n{}"),
        (400, b"POST /api/chat HTTP/1.1\r\n" + HEAD + b"transfer-encoding: chunked\r\n\r\nzz\r\n"),
        (431, b"GET /ping HTTP/1.1\r\nhost: t\r\nx-big: " + b"x" * 70_000 + b"\r\n\r\n"),
        (431, b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\nhost: t\r\n\r\n"),
    ],
)
@pytest.mark.requirement("KAI-33")
def test_what_is_not_http_is_refused_in_a_shape_that_every_client_reads(
    serve_live: ServeLive, status: int, sent: bytes
) -> None:
    with serve_live().connect() as connection:
        connection.sendall(sent)
        head, _, body = everything(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"\r\ncontent-type: application/json" in head
    told = json.loads(body)
    assert told["code"] == "bad_request:api"
    assert told["message"]
    assert told["error"]["code"]
    assert told["error"]["message"] == told["message"]


def test_garbage_behind_a_request_does_not_break_into_its_answer(serve_live: ServeLive) -> None:
    body = b'{"message":{"text":"slow: 1000 1000"}}'
    with serve_live().connect() as connection:
        connection.sendall(
            b"POST " + RUNS.encode() + b" HTTP/1.1\r\n" + HEAD + b"accept: text/event-stream\r\n"
            b"content-length: %d\r\n\r\n" % len(body) + body
        )
        seen = b""
        while b"run.created" not in seen:
            seen += connection.recv(65536)
        connection.sendall(b"\x00\r\n\r\n")
        seen += everything(connection)
    assert seen.count(b"HTTP/1.1") == 1


H2C = b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAEAAEAAAAIAAAAB\r\n"
OFFERS = [
    H2C,
    b"connection: upgrade\r\nupgrade: websocket\r\n",
    b"upgrade: a\r\nconnection: x\r\nconnection: upgrade\r\n",
]


@pytest.mark.parametrize("offer", OFFERS)
@pytest.mark.parametrize("framing", [b"content-length: 31\r\n", b"transfer-encoding: chunked\r\n"])
def test_an_offer_of_another_protocol_is_passed_over_and_the_body_kept(
    serve_live: ServeLive, offer: bytes, framing: bytes
) -> None:
    body = b'{"message":{"text":"echo: hi"}}'
    sent = body if b"length" in framing else b"1f\r\n" + body + b"\r\n0\r\n\r\n"
    head = b"POST " + RUNS.encode() + b" HTTP/1.1\r\n" + HEAD + offer + framing + b"\r\n"
    with serve_live().connect() as connection:
        for pieces in ([head + sent], [head, sent], [head[:90], head[90:] + sent[:5], sent[5:]]):  # one connection
            for piece in pieces:
                connection.sendall(piece)
            assert connection.recv(65536).startswith(b"HTTP/1.1 201")


def test_requests_behind_an_offer_are_answered_in_order(serve_live: ServeLive) -> None:
    plain = b"GET /ping HTTP/1.1\r\nhost: t\r\n"
    with serve_live().connect() as connection:
        connection.sendall(plain + H2C + b"\r\n" + plain + H2C + b"\r\n" + plain + b"connection: close\r\n\r\n")
        assert everything(connection).count(b"HTTP/1.1 200") == 3


def test_a_tunnel_is_refused(serve_live: ServeLive) -> None:
    with serve_live().connect() as connection:
        connection.sendall(b"CONNECT example.com:443 HTTP/1.1\r\nhost: example.com:443\r\n\r\n")
        assert connection.recv(65536)[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 404", b"HTTP/1.1 405")


@pytest.mark.parametrize("stray", [b"\r\n", b"a"])
def test_bytes_that_begin_no_request_do_not_keep_a_connection(serve_live: ServeLive, stray: bytes) -> None:
    live = serve_live(settings={"limits.keep_alive_seconds": 1})
    more = b"content-length: 100\r\n" if stray == b"a" else b""
    with live.connect() as connection:
        connection.sendall(b"GET /ping HTTP/1.1\r\nhost: t\r\n" + more + b"\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        connection.sendall(stray)
        assert everything(connection) == b""


def test_a_request_behind_an_idle_time_is_answered(serve_live: ServeLive) -> None:
    live = serve_live(settings={"limits.keep_alive_seconds": 1})
    with live.connect() as connection:
        for begin, rest in (
            (b"GET", b" /ping HTTP/1.1\r\nhost: t\r\n\r\n"),
            (b"\r\nGET ", b"/ping HTTP/1.1\r\nhost: t\r\n\r\n"),
        ):
            connection.sendall(begin)
            connection.sendall(rest)
            assert connection.recv(65536).startswith(b"HTTP/1.1 200")


class Flood:
    """A stream without end."""

    def __init__(self) -> None:
        self.closed = threading.Event()

    async def __call__(self, call: Call) -> EventStream:
        return EventStream(self.source())

    async def source(self) -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"data: " + b"x" * 65_536 + b"\n\n"
        finally:
            self.closed.set()


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="this system cannot bound unread answers")
def test_a_connection_whose_client_stopped_reading_is_let_go_for_good(
    serve_live: ServeLive, probe: Callable[..., str]
) -> None:
    flood = Flood()
    bounds = {"limits.stall_seconds": 0.3, "limits.heartbeat_seconds": 0.1}
    live = serve_live(settings={"faces": [probe(Route("GET", "/flood", flood))], **bounds})
    with live.get("/flood", receive_buffer=4096):
        assert flood.closed.wait(LONG)
        left, until = live.server.server_state.connections, time.monotonic() + LONG
        while left and time.monotonic() < until:
            live.client.get("/health/live", headers={"connection": "close"})
        assert not left


@pytest.mark.parametrize("digits", [b"0" * 5000 + b"2", b"9" * 18])
def test_a_content_length_with_thousands_of_digits_is_no_fault_of_ours(serve_live: ServeLive, digits: bytes) -> None:
    with serve_live().connect() as connection:
        connection.sendall(
            b"POST /api/chat HTTP/1.1\r\n" + HEAD + b"connection: close\r\ncontent-length: " + digits + b"\r\n\r\n{}"
        )
        head = connection.recv(65536)
    assert head.split()[1] in (b"400", b"413")


def test_a_body_that_does_not_come_does_not_hold_up_the_end(serve_live: ServeLive) -> None:
    live = serve_live()
    with live.connect() as connection:
        connection.sendall(
            b"POST /api/chat HTTP/1.1\r\n" + HEAD + b"content-length: 50\r\nexpect: 100-continue\r\n\r\n"
        )
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"  # it waits for the body
        live.server.should_exit = True
        head, _, body = everything(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ")
    assert json.loads(body)["code"] == "offline:chat"


DEEP = [b"[" * 100_000 + b"]" * 100_000, b"[" * 1000 + b"]" * 1000, b'{"a":' * 400 + b"1" + b"}" * 400]
WITH_BODIES = [
    ("POST", "/api/chat"),
    ("POST", "/api/chat/x/approval"),
    ("PATCH", "/api/vote"),
    ("PATCH", "/api/settings"),
    ("PATCH", "/api/settings/user"),
    ("POST", "/api/suggestions"),
    ("POST", RUNS),
]


@pytest.mark.parametrize("body", DEEP, ids=len)
@pytest.mark.requirement("KAI-34")
async def test_json_that_is_nested_without_end_is_refused_everywhere(start_inside: Start, body: bytes) -> None:
    inside = await start_inside()
    for method, path in WITH_BODIES:
        answer = await inside.ask(method, path, content=body)
        assert (path, answer.status) == (path, 400)
        assert "nested" in answer.text


async def test_a_deep_answer_to_a_waiting_call_changes_nothing(start_inside: Start) -> None:
    inside = await start_inside(settings={"kai.approval.mode": "close"})
    message = {"id": "m", "role": "user", "parts": [{"type": "text", "text": "approve: create_bucket x"}]}
    stream = await inside.ask("POST", "/api/chat", {"id": "c", "message": message})
    asked = next(line for line in stream.text.splitlines() if "tool-approval-request" in line)
    call = json.loads(asked.removeprefix("data: "))["toolCallId"]
    deep = b'{"a":' * 900 + b"1" + b"}" * 900
    answer = await inside.ask(
        "POST",
        "/api/chat/c/approval",
        content=b'{"toolUseId":"%s","approved":true,"answers":%s}' % (call.encode(), deep),
    )
    assert answer.status == 400
    chat = (await inside.ask("GET", "/api/chat/c")).json()
    assert chat["messages"][-1]["parts"][-1]["state"] == "approval-requested"


async def test_braces_in_a_text_are_not_taken_for_nesting(start_inside: Start) -> None:
    inside = await start_inside()
    answer = await inside.ask("POST", RUNS, {"message": {"text": "echo: " + "[{" * 5000}})
    assert answer.status == 201
    nested: Any = 1
    for _ in range(190):
        nested = [nested]
    assert (await inside.ask("POST", RUNS, {"message": {"text": "hi"}, "metadata": {"a": nested}})).status == 201


@pytest.mark.requirement("KAI-56")
async def test_tool_permissions_do_not_grow_without_end(start_inside: Start) -> None:
    inside = await start_inside()
    for begin, status in ((0, 200), (500, 200), (1000, 400)):
        names = {f"tool{begin + n}": "always_ask" for n in range(500)}
        answer = await inside.ask("PATCH", "/api/settings/user", {"toolPermissions": names})
        assert (begin, answer.status) == (begin, status)
    assert len((await inside.ask("GET", "/api/settings/user")).json()["toolPermissions"]) == 1000
    for name in ("", "x" * 201):
        answer = await inside.ask("PATCH", "/api/settings/user", {"toolPermissions": {name: "blocked"}})
        assert (answer.status, answer.json()["code"]) == (400, "bad_request:api")


@pytest.mark.requirement("KAI-45")
async def test_a_message_decides_a_hundred_times_at_most(start_inside: Start) -> None:
    inside = await start_inside()
    part = {
        "type": "tool-x",
        "toolCallId": "c",
        "state": "approval-responded",
        "approval": {"id": "a", "approved": True},
    }
    body = {"id": "c", "message": {"id": "m", "role": "assistant", "parts": [part] * 101}}
    answer = await inside.ask("POST", "/api/chat", body)
    assert answer.status == 400
    assert "100 decisions" in answer.text


@pytest.mark.requirement("KAI-48")
async def test_a_long_answer_is_replayed_in_slices(start_inside: Start) -> None:
    inside = await start_inside()
    message = {"id": "m", "role": "user", "parts": [{"type": "text", "text": "count: 5000"}]}
    live = await inside.ask("POST", "/api/chat", {"id": "c", "message": message})
    again = await inside.ask("POST", "/api/chat", {"id": "c", "message": message})
    assert again.text.count('"text-delta"') == live.text.count('"text-delta"') == 5000
    assert again.text.endswith("data: [DONE]\n\n")
    assert max(map(len, again.pieces)) < len(again.body) / 10


@pytest.mark.parametrize("limit", ["1_0", "%D9%A3", "+5", "%205", "5.0", "1e1", "9" * 5000])
@pytest.mark.requirement("KAI-51")
async def test_a_limit_is_written_in_digits_only(start_inside: Start, limit: str) -> None:
    inside = await start_inside()
    answer = await inside.ask("GET", f"/api/history?limit={limit}")
    assert (answer.status, answer.json().get("code")) == (400, "bad_request:api")


async def test_an_unknown_order_is_refused(start_inside: Start) -> None:
    inside = await start_inside()
    thread = (await inside.ask("POST", RUNS, {"message": {"text": "hi"}})).json()["thread"]
    answer = await inside.ask("GET", f"/dragoman/v1/threads/{thread}/items?order=latest")
    assert answer.status == 400
    assert "oldest, newest" in answer.json()["error"]["message"]


async def test_errors_show_only_the_beginning_of_what_was_sent(start_inside: Start) -> None:
    inside = await start_inside()
    message = {"id": "m", "role": "user", "parts": [{"type": "text", "text": "hi"}]}
    body = {"id": "c", "message": message, "selectedChatModel": "x" * 100_000}
    for answer in (await inside.ask("POST", "/api/chat", body), await inside.ask("GET", "/api/" + "x" * 50_000)):
        assert answer.status in (400, 404)
        assert len(answer.body) < 1000
