"""Who called, and by which URL."""

from __future__ import annotations

from typing import Any

import pytest

from dragoman.core.errors import UsageError
from dragoman.server.addresses import Addresses, is_loopback, networks

FORWARDED = {
    "host": "inner:8080",
    "x-forwarded-proto": "https",
    "x-forwarded-host": "chat.example",
    "x-forwarded-for": "203.0.113.9, 10.0.0.7",
}


def scope(client: str = "10.0.0.8", **more: Any) -> dict[str, Any]:
    return {"scheme": "http", "client": (client, 1), "server": ("127.0.0.1", 8080), "root_path": "", **more}


def test_the_url_is_scheme_and_host_of_the_request() -> None:
    assert Addresses(None, ()).origin(scope(), {"host": "chat.example"}).url == "http://chat.example"
    assert Addresses(None, ()).origin(scope(root_path="/x/"), {"host": "h"}).url == "http://h/x"


def test_a_configured_url_wins() -> None:
    addresses = Addresses("https://chat.example/kai/", ())
    assert addresses.origin(scope(), {"host": "evil.example"}).url == "https://chat.example/kai"


def test_forwarded_headers_of_strangers_do_not_count() -> None:
    origin = Addresses(None, networks(["192.168.0.0/16"])).origin(scope(), FORWARDED)
    assert (origin.url, origin.peer) == ("http://inner:8080", "10.0.0.8")


def test_forwarded_headers_of_trusted_proxies_count() -> None:
    origin = Addresses(None, networks(["10.0.0.0/8"])).origin(scope(), FORWARDED)
    assert (origin.url, origin.peer) == ("https://chat.example", "203.0.113.9")


@pytest.mark.parametrize("host", ["", "a b", "x/../y", "user@host", 'h"', "[abc]", "[1.2]:80", "[:]"])
def test_a_host_that_is_none_is_replaced_by_the_servers_address(host: str) -> None:
    assert Addresses(None, ()).origin(scope(), {"host": host}).url == "http://127.0.0.1:8080"
    six = Addresses(None, ()).origin(scope(server=("::1", 80)), {"host": host})
    assert six.url == "http://[::1]:80"


def test_an_unknown_client_has_no_address() -> None:
    assert Addresses(None, networks(["10.0.0.0/8"])).origin({"client": None}, {}).peer is None


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost", "[::1]", "::ffff:127.0.0.1"])
def test_loopback_addresses(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.com", "", "127.0.0.1.example.com"])
def test_other_addresses(host: str) -> None:
    assert not is_loopback(host)


def test_a_proxy_that_is_no_address_is_refused() -> None:
    with pytest.raises(UsageError, match="trusted_proxies"):
        networks(["proxy.example"])
