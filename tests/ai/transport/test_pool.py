"""The documented pool: one client per provider and address, numbers, presets, an end."""

from __future__ import annotations

import anyio
import pytest

from dragoman.ai.errors import TransportError, ValidationError
from dragoman.ai.transport.pool import (
    ConnectionPool,
    PoolConfig,
    PooledTransport,
    close_global_pool,
    get_connection_pool,
    set_connection_pool,
)
from dragoman.core.errors import ConnectionFailed
from dragoman.testing import ScriptedIO
from dragoman.wire.http import Headers, Response

OK = Response(200, Headers({"content-type": "application/json"}), b'{"a":1}')


@pytest.mark.requirement("AIP-64")
def test_presets_have_the_documented_numbers() -> None:
    assert PoolConfig.default() == PoolConfig(100, 20, 30.0, 10.0, 60.0, 60.0, 30.0)
    assert PoolConfig.high_throughput() == PoolConfig(200, 50, 60.0, pool_timeout=60.0)
    assert PoolConfig.low_latency() == PoolConfig(50, 30, 120.0, 5.0)
    with pytest.raises(ValidationError):
        PoolConfig(max_connections=0)


@pytest.mark.requirement("AIP-64")
async def test_a_provider_and_an_address_have_one_client() -> None:
    async with ConnectionPool() as pool:
        first = await pool.get_client("acme", "https://h/v1", {"x-a": "1"})
        assert await pool.get_client("acme", "https://h/v1/") is first
        assert await pool.get_client("other", "https://h/v1") is not first
        assert pool.get_active_providers() == ["acme", "other"]
        assert pool.config == PoolConfig()
        await pool.close_client("acme", "https://h/v1")
        assert pool.get_active_providers() == ["other"]
        with pytest.raises(TransportError):
            await first.get("/a")
        with pytest.raises(ValidationError):
            await pool.get_client("acme", "nowhere")


@pytest.mark.requirement("AIP-64")
async def test_requests_are_sent_and_counted_by_provider() -> None:
    io = ScriptedIO([OK, Response(500), ConnectionFailed("no")])
    times = iter([0.0, 0.1, 1.0, 1.3, 2.0])
    async with ConnectionPool(io=io, clock=lambda: next(times)) as pool:
        transport = PooledTransport(pool)
        assert (await transport.post("acme", "https://h/v1", "/a", json={"q": 1})).json() == {"a": 1}
        assert (await transport.get("acme", "https://h/v1", "/a", params={"p": "1"})).status_code == 500
        with pytest.raises(TransportError):
            await transport.request("acme", "https://h/v1", "PUT", "/a", content=b"x", headers={"x-b": "2"})
        stats = pool.get_stats("acme")["acme"]
        assert stats["requests_total"] == 3
        assert (stats["requests_successful"], stats["requests_failed"]) == (1, 2)
        assert (stats["total_connections_created"], stats["active_connections"]) == (1, 0)
        assert stats["avg_connection_time_ms"] == pytest.approx(200)
        assert pool.get_stats() == {"acme": stats}
        assert pool.get_stats("nobody")["nobody"]["requests_total"] == 0
        pool.record_request("acme", success=False)
        assert pool.get_stats("acme")["acme"]["requests_failed"] == 3
    assert [request.url for request in io.requests] == ["https://h/v1/a", "https://h/v1/a?p=1", "https://h/v1/a"]
    assert (io.requests[2].body, io.requests[2].headers["x-b"]) == (b"x", "2")
    assert io.requests[0].timeouts.pool == 30.0


@pytest.mark.requirement("AIP-64")
async def test_a_closed_pool_gives_no_clients() -> None:
    pool = ConnectionPool()
    await pool.get_client("acme", "https://h")
    await pool.close()
    await pool.close()
    assert pool.is_closed
    assert pool.get_stats("acme")["acme"]["total_connections_closed"] == 1
    with pytest.raises(TransportError) as caught:
        await pool.get_client("acme", "https://h")
    assert isinstance(caught.value, RuntimeError)


@pytest.mark.requirement("AIP-64")
def test_a_pool_of_a_loop_that_has_ended_opens_new_connections(server) -> None:
    pool = ConnectionPool()

    async def ask(closing: bool) -> int:
        status = (await PooledTransport(pool).get("acme", server.url, "/a")).status_code
        await pool._connections.aclose()
        if closing:
            await pool.close()
        return status

    assert [anyio.run(ask, closing) for closing in (False, True)] == [200, 200]
    assert server.connections == 2


@pytest.mark.requirement("AIP-64")
async def test_the_process_has_a_pool_that_can_be_replaced_and_closed() -> None:
    first = get_connection_pool()
    assert get_connection_pool() is first
    mine = ConnectionPool()
    set_connection_pool(mine)
    assert get_connection_pool() is mine
    await close_global_pool()
    await close_global_pool()
    assert mine.is_closed
    assert get_connection_pool() not in (mine, first)
    await close_global_pool()
    await first.close()
