"""Serving for real: sockets, ports, signals, slow clients, the end."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dragoman.core.errors import UsageError
from dragoman.demo.app import demo_app
from dragoman.server.serve import bind, check_reach, run, url_of
from dragoman.server.settings import Settings

LONG = 10.0
START = 60.0
"""Until a process has begun to serve, on a busy machine."""
V1 = "/dragoman/v1"


def close(sockets: list[socket.socket]) -> None:
    for one in sockets:
        one.close()


def has_ipv6() -> bool:
    try:
        close(bind(["::1"], 0))
    except UsageError:
        return False
    return True


def test_both_loopback_addresses_share_one_port() -> None:
    sockets = bind(["127.0.0.1", "::1"], 0)
    try:
        assert len({one.getsockname()[1] for one in sockets}) == 1
        assert len(sockets) == (2 if has_ipv6() else 1)
        assert url_of(sockets) == f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
    finally:
        close(sockets)


def test_a_busy_port_is_one_clear_line() -> None:
    first = bind(["127.0.0.1"], 0)
    port = first[0].getsockname()[1]
    try:
        with pytest.raises(UsageError, match=rf"port {port} on 127\.0\.0\.1 is in use.*--port"):
            bind(["127.0.0.1", "::1"], port)
        with pytest.raises(UsageError, match="in use"):
            run(demo_app(), "127.0.0.1", port, demo=True, data=":memory:")
    finally:
        close(first)


def test_an_address_that_is_not_here_is_left_out_if_another_is() -> None:
    sockets = bind(["127.0.0.1", "192.0.2.1"], 0)
    assert len(sockets) == 1
    close(sockets)
    with pytest.raises(UsageError, match="none of the addresses"):
        bind(["192.0.2.1"], 0)
    with pytest.raises(UsageError, match="host"):
        bind([], 0)
    with pytest.raises(UsageError, match="no address"):
        bind(["not a host"], 0)


def test_the_demo_stays_on_this_machine() -> None:
    check_reach(Settings(host=["0.0.0.0"]), demo=False)
    check_reach(Settings(host=["127.0.0.1", "localhost"]), demo=True)
    with pytest.raises(UsageError, match="anybody"):
        check_reach(Settings(host=["127.0.0.1", "0.0.0.0"]), demo=True)


def test_what_keeps_the_server_from_starting_is_raised() -> None:
    app = demo_app()
    app.agents[0].model = "nobody/nothing"
    with pytest.raises(UsageError, match="nobody/nothing"):
        run(app, "127.0.0.1", 0, demo=True, data=":memory:")


def test_a_request_crosses_the_network(serve_live: Callable[..., Any]) -> None:
    live = serve_live()
    assert live.client.get("/health/live").json() == {"status": "ok"}
    answer = live.client.post(
        V1 + "/runs", json={"message": {"text": "echo: ahoj"}}, headers={"accept": "text/event-stream"}
    )
    assert "ahoj" in answer.text
    assert "server" not in answer.headers


def test_streams_end_with_a_frame_when_the_server_stops(serve_live: Callable[..., Any]) -> None:
    live = serve_live()
    run_id = live.client.post(V1 + "/runs", json={"message": {"text": "approve: create_bucket x"}}).json()["id"]
    with live.client.stream("GET", f"{V1}/runs/{run_id}/events") as answer:
        lines = answer.iter_lines()
        assert next(line for line in lines if "run.paused" in line)
        began = time.monotonic()
        live.server.should_exit = True
        assert list(lines)[-3:] == ["event: closing", 'data: {"type":"closing"}', ""]
    assert time.monotonic() - began < 5.0


def test_a_client_that_vanishes_does_not_end_the_run(serve_live: Callable[..., Any]) -> None:
    live = serve_live()
    body = b'{"message":{"text":"slow: 5 20"}}'
    head = (
        f"POST {V1}/runs HTTP/1.1\r\nhost: t\r\nauthorization: Bearer demo-you\r\naccept: text/event-stream\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    with live.connect() as connection:
        connection.sendall(head.encode() + body)
        assert b"200 OK" in connection.recv(4096)
    [started] = live.client.get(V1 + "/runs").json()["runs"]
    answer = live.client.get(f"{V1}/runs/{started['id']}/events")
    assert '"type":"run.completed"' in answer.text


def test_a_head_that_does_not_come_closes_the_connection(serve_live: Callable[..., Any]) -> None:
    live = serve_live(settings={"limits.header_seconds": 0.2})
    with live.connect() as silent, live.connect() as dawdling:
        dawdling.sendall(b"GET / HTTP/1.1\r\nhost: t\r\n")
        assert silent.recv(100) == b""
        assert dawdling.recv(100) == b""


def test_a_head_that_is_too_large_is_refused(serve_live: Callable[..., Any]) -> None:
    live = serve_live()
    with live.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nhost: t\r\nx-big: " + b"x" * 70_000 + b"\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 431")
    assert live.client.get("/health/live").status_code == 200


def test_a_body_that_does_not_come_is_given_up(serve_live: Callable[..., Any]) -> None:
    live = serve_live(settings={"limits.body_seconds": 0.2})
    head = (
        b"POST /dragoman/v1/runs HTTP/1.1\r\nhost: t\r\nauthorization: Bearer demo-you\r\ncontent-length: 50\r\n\r\n{"
    )
    with live.connect() as connection:
        connection.sendall(head)
        assert connection.recv(100).startswith(b"HTTP/1.1 408")


def test_a_body_that_is_too_large_is_refused_and_the_connection_stays(serve_live: Callable[..., Any]) -> None:
    live = serve_live(settings={"limits.body": 1000})
    refused = live.client.post(V1 + "/runs", content=b"x" * 300_000)
    chunked = live.client.post(V1 + "/runs", content=iter([b"x" * 800] * 3))
    assert [(r.status_code, r.json()["error"]["code"]) for r in (refused, chunked)] == [(413, "too_large")] * 2
    assert live.client.get("/health/live").status_code == 200


SERVE = """
import sys
from dragoman.demo.app import demo_app
from dragoman.server.serve import run
run(demo_app(), "127.0.0.1", 0, demo=True, data=sys.argv[1], on_start=lambda url: print(url, flush=True))
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM that a process can handle")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_process_cleanly_with_a_stream_open(tmp_path: Path, number: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", SERVE, str(tmp_path / "data")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        assert select.select([process.stdout], [], [], START)[0]
        port = int(process.stdout.readline().rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=LONG) as connection:
            body = b'{"message":{"text":"slow: 1000 1000"}}'
            connection.sendall(
                f"POST {V1}/runs HTTP/1.1\r\nhost: t\r\nauthorization: Bearer demo-x\r\naccept: text/event-stream\r\n"
                f"content-length: {len(body)}\r\n\r\n".encode()
                + body
            )
            seen = b""
            while b"block.delta" not in seen:
                seen += connection.recv(4096)
            process.send_signal(number)
            while piece := connection.recv(4096):
                seen += piece
        assert seen.endswith(b"\r\n0\r\n\r\n")
        assert b"event: closing\n" in seen
        _, errors = process.communicate(timeout=LONG)
        assert (process.returncode, "Traceback" in errors) == (0, False), errors
    finally:
        process.kill()
        process.wait()
