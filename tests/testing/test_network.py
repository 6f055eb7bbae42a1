"""The network of a block is cut: whatever connects is refused and named, and only there."""

import asyncio
import socket
import threading
from collections.abc import Callable

import httpx2
import pytest

from dragoman.testing.replaying.network import NetworkCut, cut_network, watched


def listening() -> socket.socket:
    made = socket.socket()
    made.bind(("127.0.0.1", 0))
    made.listen()
    return made


def plainly(port: int) -> None:
    socket.create_connection(("127.0.0.1", port), 5).close()


def by_name(port: int) -> None:
    socket.create_connection(("localhost", port), 5).close()


def by_datagram(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.sendto(b"x", ("127.0.0.1", port))


def by_http(port: int) -> None:
    httpx2.get(f"http://127.0.0.1:{port}/", timeout=5, trust_env=False)


def by_asyncio(port: int) -> None:
    asyncio.run(asyncio.wait_for(asyncio.open_connection("127.0.0.1", port), 5))


def in_a_thread(port: int) -> None:
    errors: list[BaseException] = []

    def work() -> None:
        try:
            plainly(port)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(10)
    raise errors[0]


@pytest.mark.requirement("CORE-18")
@pytest.mark.parametrize("connect", [plainly, by_name, by_datagram, by_http, by_asyncio, in_a_thread])
def test_nothing_gets_out_and_what_wanted_to_is_named(connect: Callable[[int], None]) -> None:
    with listening() as server:
        server.settimeout(0.0)
        port = server.getsockname()[1]
        with cut_network() as wanted, pytest.raises((NetworkCut, httpx2.ConnectError)):
            connect(port)
        assert wanted in ([f"127.0.0.1:{port}"], [f"localhost:{port}"])
        with pytest.raises(BlockingIOError):
            server.accept()


def test_behind_the_block_the_network_is_there_again() -> None:
    with listening() as server:
        with cut_network():
            pass
        plainly(server.getsockname()[1])


def test_a_block_inside_another_does_not_open_it() -> None:
    with listening() as server, cut_network() as outer:
        with cut_network() as inner:
            pass
        with pytest.raises(NetworkCut):
            plainly(server.getsockname()[1])
        assert (len(outer), inner) == (1, [])


async def test_who_wanted_what_is_told_apart() -> None:
    async def want(port: int) -> list[str]:
        with watched() as mine:
            with pytest.raises(NetworkCut):
                await asyncio.to_thread(plainly, port)
            return mine

    with cut_network() as wanted:
        assert await asyncio.gather(want(1), want(2)) == [["127.0.0.1:1"], ["127.0.0.1:2"]]
    assert sorted(wanted) == ["127.0.0.1:1", "127.0.0.1:2"]
