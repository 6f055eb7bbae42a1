"""Where the service is, as the Storage API tells it."""

from __future__ import annotations

from typing import Any

import pytest
from tests.kai.faults import serving
from tests.kai.shells import Shell, answer, scripted

from dragoman.core.errors import ConnectionFailed, TimedOut
from dragoman.kai import KaiClient, KaiConnectionError, KaiError
from dragoman.wire.http import Timeouts

pytestmark = pytest.mark.requirement("KAI-03")

KAI = {"id": "kai-assistant", "url": "https://kai.example/x/"}


async def discover(shell: Shell, *exchanges: Any, url: str = "https://storage.example/", **options: Any) -> Any:
    return await shell.call(shell.cls.from_storage_api, "tok", url, io=scripted(*exchanges), **options)


async def test_the_service_is_found_in_the_list(shell: Shell) -> None:
    io = scripted(answer({"services": [{"id": "other", "url": "u"}, KAI]}))
    client = await shell.call(
        shell.cls.from_storage_api, "tok", "https://storage.example/", 7.0, 8.0, strict_end=False, io=io
    )
    [request] = io.requests
    assert request.url == "https://storage.example/v2/storage"
    assert dict(request.headers) == {"x-storageapi-token": "tok"}
    assert request.timeouts == Timeouts.all(30.0)
    assert (client.base_url, client.storage_api_url) == ("https://kai.example/x", "https://storage.example/")
    assert (client.timeout, client.stream_timeout, client.strict_end) == (7.0, 8.0, False)


@pytest.mark.parametrize("status", [302, 401, 404, 500])
async def test_another_status_is_named(shell: Shell, status: int) -> None:
    with pytest.raises(KaiError, match=f"HTTP {status}") as caught:
        await discover(shell, answer({"message": "no"}, status))
    assert (type(caught.value), caught.value.code, caught.value.status_code) == (
        KaiError,
        "discovery:http_error",
        status,
    )


@pytest.mark.parametrize("fault", [ConnectionFailed("refused"), TimedOut("late")])
async def test_a_fault_of_the_network_is_a_connection_error_without_code(shell: Shell, fault: Exception) -> None:
    with pytest.raises(KaiConnectionError) as caught:
        await discover(shell, fault)
    assert (caught.value.code, caught.value.cause) == (None, str(fault))
    assert caught.value.__cause__ is fault


@pytest.mark.parametrize(
    ("body", "code", "text"),
    [
        ({"services": [{"id": "a"}, {"id": "b"}]}, "discovery:service_not_found", "lists: a, b"),
        ({"services": []}, "discovery:service_not_found", "lists: none"),
        ({"services": None}, "discovery:service_not_found", "not found"),
        ({}, "discovery:service_not_found", "kai-assistant service not found"),
        ({"services": [{"id": "kai-assistant"}]}, "discovery:no_url", "no URL"),
        ({"services": [{"id": "kai-assistant", "url": ""}]}, "discovery:no_url", "no URL"),
        ({"services": [{"id": "kai-assistant", "url": 5}]}, "discovery:no_url", "no URL"),
        ("<html>", "discovery:bad_response", "JSON"),
        ([], "discovery:bad_response", "JSON"),
        ({"services": "x"}, "discovery:bad_response", "JSON"),
    ],
)
async def test_each_fault_has_its_code(shell: Shell, body: Any, code: str, text: str) -> None:
    with pytest.raises(KaiError, match=text) as caught:
        await discover(shell, answer(body))
    assert caught.value.code == code


async def test_entries_that_are_no_objects_are_skipped(shell: Shell) -> None:
    client = await discover(shell, answer({"services": [None, "x", 5, ["kai-assistant"], KAI]}))
    assert client.base_url == "https://kai.example/x"


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("/kai", "https://storage.example/kai"),
        ("kai/v1/", "https://storage.example/base/kai/v1"),
        ("//other.example/kai", "https://other.example/kai"),
        ("http://kai.example:8080", "http://kai.example:8080"),
    ],
)
async def test_a_relative_url_counts_from_the_storage_api(shell: Shell, url: str, base: str) -> None:
    body = {"services": [{"id": "kai-assistant", "url": url}]}
    client = await discover(shell, answer(body), url="https://storage.example/base")
    assert client.base_url == base


async def test_discovery_over_a_socket_leaves_no_connection_open() -> None:
    async with serving(lambda exchange: exchange.json({"services": [KAI]})) as server:
        client = await KaiClient.from_storage_api("t", server.url)
        assert (client.base_url, client._client) == ("https://kai.example/x", None)
        assert server.paths == ["/v2/storage"]
