"""Requests over a real socket: connections shared, kept, closed, refused; proxies; logs."""

from __future__ import annotations

import gzip
import logging
import socket

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread
import httpx2
import pytest

from dragoman.ai.errors import RemoteError, TransportError
from dragoman.ai.transport.http import HttpTransport
from dragoman.ai.transport.pool import ConnectionPool
from dragoman.ai.transport.ports import as_port

SECRET = "acme-secret-0123456789"


@pytest.mark.requirement("AIP-64")
async def test_transports_of_one_loop_share_their_connections_until_the_last_one_closes(server, make_manifest) -> None:
    first, second = HttpTransport(make_manifest(server.url)), HttpTransport(make_manifest(server.url))
    for transport in (first, second, first, second):
        await transport.get("/a")
    assert (server.connections, len(server.heads)) == (1, 4)
    await first.close()
    await second.get("/a")
    assert server.connections == 1
    await second.close()


@pytest.mark.requirement("AIP-64")
def test_a_transport_is_usable_in_a_new_loop_after_its_loop_has_ended(server, make_manifest) -> None:
    transport = HttpTransport(make_manifest(server.url))

    async def once(closing: bool) -> int:
        try:
            return (await transport.get("/a")).status_code
        finally:
            await transport._connections.aclose()
            if closing:
                await transport.close()

    assert [anyio.run(once, closing) for closing in (False, True)] == [200, 200]
    assert server.connections == 2


@pytest.mark.requirement("AIP-115")
async def test_a_kept_connection_that_the_server_closed_is_replaced_without_a_word(
    server, make_manifest, reply
) -> None:
    gone = anyio.Event()
    loop_token = anyio.lowlevel.current_token()

    def hang_up_after(connection: socket.socket, head: bytes) -> bool:
        reply(connection, b"{}")
        connection.shutdown(socket.SHUT_RDWR)
        connection.close()
        anyio.from_thread.run_sync(gone.set, token=loop_token)
        return False

    server.handler = hang_up_after
    async with HttpTransport(make_manifest(server.url)) as transport:
        await transport.get("/a")
        await gone.wait()
        server.handler = lambda connection, head: reply(connection, b"{}")
        assert (await transport.get("/b")).status_code == 200
    assert (server.connections, len(server.heads)) == (2, 2)


@pytest.mark.requirement("AIP-115")
async def test_a_redirect_to_another_host_is_not_followed(server, make_manifest, reply) -> None:
    server.handler = lambda connection, head: reply(connection, b"", f"location: {server.url}/b", status="302 Found")
    async with HttpTransport(make_manifest(server.url)) as transport:
        with pytest.raises(RemoteError) as caught:
            await transport.post("/a", json={})
    assert caught.value.status_code == 302
    assert len(server.heads) == 1


@pytest.mark.requirement("AIP-115")
async def test_compressed_and_chunked_answers_are_read(server, make_manifest) -> None:
    body = gzip.compress(b'{"a":1}')

    def chunked(connection: socket.socket, head: bytes) -> bool:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n")
        for byte in body:
            connection.sendall(b"1\r\n" + bytes([byte]) + b"\r\n")
        connection.sendall(b"0\r\n\r\n")
        return True

    server.handler = chunked
    async with HttpTransport(make_manifest(server.url)) as transport:
        assert (await transport.get("/a")).json() == {"a": 1}


@pytest.mark.requirement("AIP-63")
async def test_leaving_a_streamed_answer_early_closes_its_connection(server, make_manifest) -> None:
    def endless(connection: socket.socket, head: bytes) -> bool:
        connection.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n")
        server.wait_for_hangup(connection)
        return False

    server.handler = endless
    async with HttpTransport(make_manifest(server.url)) as transport:
        async with transport.stream_post("/a", json={}) as response:
            assert await anext(response.aiter_bytes()) == b"abc"
        assert await anyio.to_thread.run_sync(server.closed_by_peer.wait, 5.0)


@pytest.mark.requirement("AIP-63")
async def test_no_listener_no_name_and_no_certificate_are_told_apart(make_manifest, server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    addresses = {
        "connect": f"http://127.0.0.1:{port}",
        "dns": "http://nobody.invalid",
        "tls": server.url.replace("http:", "https:"),
    }
    server.greeting = b"this is no TLS\r\n"
    for kind, address in addresses.items():
        async with HttpTransport(make_manifest(address)) as transport:
            with pytest.raises(TransportError) as caught:
                await transport.get("/a")
        assert caught.value.kind == kind


@pytest.mark.requirement("AIP-63")
async def test_silence_is_a_read_timeout(server, make_manifest) -> None:
    server.handler = lambda connection, head: server.wait_for_hangup(connection)
    async with HttpTransport(make_manifest(server.url), timeout=0.1) as transport:
        with pytest.raises(TransportError) as caught:
            await transport.get("/a")
    assert (caught.value.kind, caught.value.error_class) == ("timeout_read", "timeout")


# ------------------------------------------------------------------------------------- proxies


@pytest.mark.requirement("AIP-63")
async def test_a_proxy_is_the_argument_or_the_variable_of_ours(server, make_manifest, monkeypatch) -> None:
    manifest = make_manifest("http://acme.invalid/v1")
    async with HttpTransport(manifest, proxy=server.url) as transport:
        await transport.get("/a")
    monkeypatch.setenv("AI_PROXY_URL", server.url)
    async with HttpTransport(manifest) as transport:
        await transport.get("/b")
    lines = [head.split(b"\r\n")[0] for head in server.heads]
    assert lines == [b"GET http://acme.invalid/v1/a HTTP/1.1", b"GET http://acme.invalid/v1/b HTTP/1.1"]


@pytest.mark.requirement("AIP-63")
async def test_the_standard_proxy_variables_count_only_when_the_environment_is_trusted(
    server, make_manifest, monkeypatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", server.url)
    manifest = make_manifest("http://acme.invalid/v1")
    async with HttpTransport(manifest) as transport:
        with pytest.raises(TransportError):
            await transport.get("/a")
    assert server.heads == []
    monkeypatch.setenv("AI_HTTP_TRUST_ENV", "1")
    async with HttpTransport(manifest) as transport:
        await transport.get("/a")
    assert len(server.heads) == 1


@pytest.mark.requirement("AIP-63")
@pytest.mark.parametrize("variable", ["AI_PROXY_NO_PROXY", "NO_PROXY"])
@pytest.mark.parametrize("proxy", ["HTTP_PROXY", "AI_PROXY_URL"])
async def test_hosts_without_a_proxy_are_asked_directly(server, make_manifest, monkeypatch, variable, proxy) -> None:
    monkeypatch.setenv("AI_HTTP_TRUST_ENV", "1")
    monkeypatch.setenv(proxy, "http://127.0.0.1:1")
    monkeypatch.setenv(variable, "other.test, 127.0.0.1")
    async with HttpTransport(make_manifest(server.url)) as transport:
        assert (await transport.get("/a")).status_code == 200


@pytest.mark.requirement("AIP-113")
async def test_the_http_librarys_log_shows_no_secret_of_a_query(server, make_manifest, caplog) -> None:
    caplog.set_level(logging.DEBUG)
    auth = {"type": "query_param", "param_name": "k", "token_env": "ACME_TOKEN"}
    async with HttpTransport(make_manifest(server.url, auth=auth)) as transport:
        await transport.get("/a")
    assert f"k={SECRET}".encode() in server.heads[0]
    assert "HTTP Request" in caplog.text
    assert SECRET not in caplog.text


# ------------------------------------------------------------------------- what is handed in


@pytest.mark.requirement("AIP-63", "AIP-64")
async def test_a_client_or_a_pool_of_the_callers_is_used_and_not_closed(server, make_manifest) -> None:
    async with httpx2.AsyncClient(headers={"x-mine": "1"}) as client, ConnectionPool() as pool:
        for given in (client, pool):
            async with HttpTransport(make_manifest(server.url), io=as_port(given)) as transport:
                await transport.get("/a")
        assert not client.is_closed
        assert not pool.is_closed
    assert b"x-mine: 1" in server.heads[0].lower()


@pytest.mark.requirement("AIP-63")
def test_certificates_of_the_environment_count_even_when_its_proxies_do_not(make_manifest) -> None:
    options = HttpTransport(make_manifest())._connections.options
    assert (options.trust_env, options.trust_certificates) == (False, True)


@pytest.mark.requirement("AIP-63")
async def test_http2_is_spoken_when_it_is_asked_for(make_manifest) -> None:
    transport = HttpTransport(make_manifest(), http2=True)
    assert transport._connections.options.http2
    assert not HttpTransport(make_manifest())._connections.options.http2
