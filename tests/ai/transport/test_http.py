"""Requests to a provider, over a scripted port: addresses, credentials, limits, error answers."""

from __future__ import annotations

import logging
import threading
import time
import types
from typing import Any

import anyio
import pytest

from dragoman.ai.errors import PipelineError, ProtocolError, RemoteError, TransportError, ValidationError
from dragoman.ai.transport.http import HttpTransport
from dragoman.core import errors as core
from dragoman.core.errors import ConnectionFailed, ConnectionLost, TimedOut
from dragoman.testing import ScriptedIO
from dragoman.wire.http import Headers, Request, Response

SECRET = "acme-secret-0123456789"


def answering(body: bytes = b'{"ok":true}', status: int = 200, **headers: str) -> ScriptedIO:
    return ScriptedIO(lambda request: Response(status, Headers({"content-type": "application/json", **headers}), body))


@pytest.mark.requirement("AIP-63")
async def test_a_request_carries_method_address_body_and_credential(make_manifest) -> None:
    io = answering()
    transport = HttpTransport(make_manifest(), io=io)
    response = await transport.post("/things", json={"a": "ü"}, headers={"X-More": "1"}, params={"q": "2"})
    assert (response.status_code, response.json(), response.text) == (200, {"ok": True}, '{"ok":true}')
    [request] = io.requests
    assert (request.method, request.url) == ("POST", "https://acme.test/v1/things?q=2")
    assert request.body == '{"a":"ü"}'.encode()
    assert request.headers["authorization"] == f"Bearer {SECRET}"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["x-more"] == "1"
    assert request.headers["user-agent"].startswith("dragoman/")


@pytest.mark.requirement("AIP-15", "AIP-63")
async def test_headers_of_the_manifest_and_of_the_caller_win_in_that_order(make_manifest) -> None:
    io = answering()
    auth = {"type": "bearer", "token_env": "ACME_TOKEN", "extra_headers": [{"name": "X-Ver", "value": "1"}]}
    transport = HttpTransport(make_manifest(auth=auth), io=io, headers={"x-mine": "a"})
    await transport.get("/a")
    await transport.get("/a", headers={"x-ver": "2", "Authorization": "Other"})
    first, second = io.requests
    assert (first.headers["x-ver"], first.headers["x-mine"]) == ("1", "a")
    assert (second.headers["x-ver"], second.headers["authorization"]) == ("2", "Other")


@pytest.mark.requirement("AIP-15")
async def test_a_secret_in_the_query_is_sent_and_not_shown(make_manifest) -> None:
    io = answering(status=500, body=b"{}")
    auth = {"type": "query_param", "param_name": "key", "token_env": "ACME_TOKEN"}
    transport = HttpTransport(make_manifest(auth=auth), io=io)
    with pytest.raises(RemoteError) as caught:
        await transport.get("/a")
    assert io.requests[0].url == f"https://acme.test/v1/a?key={SECRET}"
    assert SECRET not in str(caught.value) + repr(caught.value) + repr(io.requests[0]) + repr(transport)


@pytest.mark.requirement("AIP-16")
async def test_a_missing_credential_fails_before_anything_is_sent_and_names_the_variables(
    make_manifest, monkeypatch
) -> None:
    monkeypatch.delenv("ACME_TOKEN")
    io = answering()
    transport = HttpTransport(make_manifest(), io=io, allow_keyring=False)
    with pytest.raises(ProtocolError) as caught:
        await transport.post("/a", json={})
    assert io.requests == []
    assert (caught.value.error_class, caught.value.standard_code.code) == ("authentication", "E1002")
    assert "ACME_TOKEN" in str(caught.value)
    assert "ACME_API_KEY" in str(caught.value)


@pytest.mark.requirement("AIP-16")
async def test_without_declared_auth_nothing_is_needed_and_what_there_is_goes_along(make_manifest, monkeypatch) -> None:
    io = answering()
    open_server = make_manifest(auth=None)
    await HttpTransport(open_server, io=io, allow_keyring=False).get("/a")
    monkeypatch.setenv("ACME_API_KEY", "k")
    await HttpTransport(open_server, io=io, allow_keyring=False).get("/a")
    assert [request.headers.get("authorization") for request in io.requests] == [None, "Bearer k"]


@pytest.mark.requirement("AIP-16")
async def test_a_credential_header_of_the_callers_own_is_enough(make_manifest, monkeypatch) -> None:
    monkeypatch.delenv("ACME_TOKEN")
    io = answering()
    await HttpTransport(make_manifest(), io=io, allow_keyring=False).get("/a", headers={"authorization": "Mine"})
    assert io.requests[0].headers["authorization"] == "Mine"


@pytest.mark.requirement("AIP-14")
async def test_the_keyring_is_asked_in_another_thread_and_once(make_manifest, monkeypatch) -> None:
    monkeypatch.delenv("ACME_TOKEN")
    threads: list[int] = []
    module = types.ModuleType("keyring")

    def get_password(service: str, account: str) -> str:
        threads.append(threading.get_ident())
        return "from-keyring"

    module.get_password = get_password
    monkeypatch.setitem(__import__("sys").modules, "keyring", module)
    io = answering()
    transport = HttpTransport(make_manifest(), io=io)
    await transport.get("/a")
    await transport.get("/b")
    assert [request.headers["authorization"] for request in io.requests] == ["Bearer from-keyring"] * 2
    assert len(threads) == 1
    assert threads[0] != threading.get_ident()


@pytest.mark.requirement("AIP-14", "AIP-57")
async def test_a_keyring_that_waits_for_its_owner_holds_up_no_cancellation(make_manifest, monkeypatch) -> None:
    monkeypatch.delenv("ACME_TOKEN")
    answered = threading.Event()
    module = types.ModuleType("keyring")
    module.get_password = lambda service, account: answered.wait(20)
    monkeypatch.setitem(__import__("sys").modules, "keyring", module)
    began = time.monotonic()
    try:
        with anyio.move_on_after(0.05) as scope:
            await HttpTransport(make_manifest(), io=answering()).get("/a")
        assert scope.cancelled_caught
        assert time.monotonic() - began < 10
    finally:
        answered.set()


@pytest.mark.requirement("AIP-63")
async def test_an_override_replaces_the_base_alone_and_a_variable_that_is_missing_is_named(
    make_manifest, monkeypatch
) -> None:
    io = answering()
    await HttpTransport(make_manifest(), io=io, base_url_override="http://[::1]:9/x/").get("/a")
    await HttpTransport(make_manifest("https://${ACME_HOST}/v1"), io=io, connection_vars={"ACME_HOST": "h"}).get("/a")
    assert [request.url for request in io.requests] == ["http://[::1]:9/x/a", "https://h/v1/a"]
    monkeypatch.delenv("ACME_HOST", raising=False)
    with pytest.raises(ProtocolError, match="ACME_HOST"):
        await HttpTransport(make_manifest("https://${ACME_HOST}/v1"), io=io).get("/a")


@pytest.mark.requirement("AIP-63")
async def test_a_transport_without_a_manifest_has_an_address_and_a_bearer() -> None:
    io = answering()
    transport = HttpTransport(None, api_key="k", base_url_override="https://h/v1", io=io)
    await transport.get("/a")
    assert io.requests[0].headers["authorization"] == "Bearer k"
    assert HttpTransport.with_explicit_bearer(base_url="https://h", api_key="k", model_id="m").model_id == "m"
    with pytest.raises(ValidationError):
        HttpTransport(None)


@pytest.mark.requirement("AIP-63", "AIP-39")
async def test_error_statuses_are_remote_errors_with_class_wait_and_request_id(make_manifest) -> None:
    body = b'{"error":{"message":"slow down","code":"x"}}'
    io = answering(body, 429, **{"retry-after": "7", "x-request-id": "r1"})
    with pytest.raises(RemoteError) as caught:
        await HttpTransport(make_manifest(), io=io).post("/a", json={})
    error = caught.value
    assert (error.status_code, error.error_class, error.retry_after) == (429, "rate_limited", 7)
    assert (error.request_id, error.message) == ("r1", "slow down")
    assert isinstance(error, core.RateLimited)


@pytest.mark.requirement("AIP-39")
async def test_a_date_of_retry_after_counts_from_the_time_of_day(make_manifest) -> None:
    io = answering(b"{}", 503, **{"retry-after": "Fri, 20 Nov 2026 22:00:30 GMT"})
    transport = HttpTransport(make_manifest(), io=io, wall=lambda: 1795212010.0)
    with pytest.raises(RemoteError) as caught:
        await transport.get("/a")
    assert caught.value.retry_after == 20


@pytest.mark.requirement("AIP-63", "AIP-115")
async def test_a_redirect_is_an_error_and_is_not_followed(make_manifest) -> None:
    io = answering(b"", 307, location="https://elsewhere.test/")
    with pytest.raises(RemoteError) as caught:
        await HttpTransport(make_manifest(), io=io).post("/a", json={})
    assert caught.value.status_code == 307
    assert len(io.requests) == 1


@pytest.mark.requirement("AIP-113")
async def test_a_provider_that_echoes_the_secret_does_not_put_it_into_our_error(make_manifest) -> None:
    body = f'{{"error":{{"message":"bad key {SECRET}"}}}}'.encode()
    with pytest.raises(RemoteError) as caught:
        await HttpTransport(make_manifest(), io=answering(body, 401)).get("/a")
    error = caught.value
    assert SECRET not in str(error) + repr(error) + str(error.raw_error) + str(error.body)


@pytest.mark.requirement("AIP-63")
@pytest.mark.parametrize(
    ("fault", "kind", "error_class"),
    [
        (ConnectionFailed("no"), "connect", "server_error"),
        (ConnectionLost("gone"), "closed", "server_error"),
        (TimedOut("late"), "timeout_read", "timeout"),
    ],
)
async def test_faults_of_the_network_are_transport_errors_of_a_kind(make_manifest, fault, kind, error_class) -> None:
    io = ScriptedIO([fault])
    with pytest.raises(TransportError) as caught:
        await HttpTransport(make_manifest(), io=io).get("/a")
    error = caught.value
    assert (error.kind, error.error_class, error.retryable) == (kind, error_class, True)
    assert (error.url, error.cause) == ("https://acme.test/v1/a", fault)


@pytest.mark.requirement("AIP-63")
async def test_what_is_no_json_raises_with_status_type_and_beginning(make_manifest) -> None:
    io = ScriptedIO(lambda request: Response(200, Headers({"content-type": "text/html"}), b"<html>" * 100))
    response = await HttpTransport(make_manifest(), io=io).get("/a")
    with pytest.raises(PipelineError) as caught:
        response.json()
    assert "200" in str(caught.value)
    assert "text/html" in str(caught.value)
    assert "<html>" in str(caught.value)


@pytest.mark.requirement("AIP-63")
async def test_values_that_json_does_not_have_are_refused_before_sending(make_manifest) -> None:
    io = answering()
    transport = HttpTransport(make_manifest(), io=io)
    for value in (float("nan"), "\ud800", object()):
        with pytest.raises(ValidationError):
            await transport.post("/a", json={"x": value})
    assert io.requests == []


@pytest.mark.requirement("AIP-63")
async def test_streams_are_context_managers_that_close_their_answer(make_manifest) -> None:
    io = ScriptedIO([[b"one", b"two"]])
    transport = HttpTransport(make_manifest(), io=io)
    async with transport.stream_post("/a", json={}) as response:
        assert response.status_code == 200
        assert await anext(response.aiter_bytes()) == b"one"
        assert len(io.open_streams) == 1
    assert io.open_streams == []


@pytest.mark.requirement("AIP-63")
async def test_a_streamed_answer_can_be_read_whole_and_once_more(make_manifest) -> None:
    transport = HttpTransport(make_manifest(), io=ScriptedIO([[b'{"a":', b"1}"]]))
    async with transport.stream_request("GET", "/a") as response:
        with pytest.raises(PipelineError, match="not read"):
            response.json()
        assert await response.aread() == b'{"a":1}'
        assert response.json() == {"a": 1}
        assert [piece async for piece in response.aiter_bytes()] == [b'{"a":1}']


@pytest.mark.requirement("AIP-63")
async def test_forms_and_files_go_out_in_their_own_encodings(make_manifest) -> None:
    io = answering()
    transport = HttpTransport(make_manifest(), io=io)
    await transport.post("/a", data={"a": "ü b", "many": [1, 2], "none": None, "yes": True})
    await transport.post("/b", data={"model": "m"}, files={"file": ("a.wav", b"RIFF", "audio/wav")})
    form, multipart = io.requests
    assert form.body == b"a=%C3%BC+b&many=1&many=2&yes=true"
    assert form.headers["content-type"] == "application/x-www-form-urlencoded"
    boundary = multipart.headers["content-type"].partition("boundary=")[2].encode()
    assert multipart.body == (
        b"--" + boundary + b'\r\ncontent-disposition: form-data; name="model"\r\n\r\nm\r\n'
        b"--" + boundary + b'\r\ncontent-disposition: form-data; name="file"; filename="a.wav"\r\n'
        b"content-type: audio/wav\r\n\r\nRIFF\r\n--" + boundary + b"--\r\n"
    )
    with pytest.raises(ValidationError):
        await transport.post("/c", json={}, files={"f": b"x"})


@pytest.mark.requirement("AIP-63")
async def test_a_closed_transport_sends_nothing_and_closing_twice_is_fine(make_manifest) -> None:
    io = answering()
    async with HttpTransport.from_manifest(make_manifest(), "m", io=io) as transport:
        await transport.get("/a")
    await transport.close()
    with pytest.raises(TransportError, match="closed"):
        await transport.get("/a")
    assert len(io.requests) == 1


# ------------------------------------------------------------------------------- limits in time


async def limits(transport: HttpTransport, **settings: Any) -> tuple[float | None, ...]:
    request: Request = (await transport.prepare("GET", "/a", **settings))[0]
    return (request.timeouts.connect, request.timeouts.read)


@pytest.mark.requirement("AIP-63")
async def test_the_limit_is_the_argument_then_the_environment_then_the_manifest_then_thirty(
    make_manifest, monkeypatch
) -> None:
    long = make_manifest(endpoint={"base_url": "https://h", "timeout_ms": 90_000})
    assert await limits(HttpTransport(make_manifest())) == (10, 30)
    assert await limits(HttpTransport(long)) == (10, 90)
    monkeypatch.setenv("AI_TIMEOUT_SECS", "40")
    assert await limits(HttpTransport(long)) == (10, 40)
    monkeypatch.setenv("AI_HTTP_TIMEOUT_SECS", "50")
    assert await limits(HttpTransport(long)) == (10, 50)
    assert await limits(HttpTransport(long, timeout=5)) == (5, 5)
    assert await limits(HttpTransport(long, timeout=5), timeout=0.5) == (0.5, 0.5)


@pytest.mark.requirement("AIP-63")
async def test_a_manifests_ten_seconds_hold_between_the_bytes_of_streams_and_plain_calls_get_sixty(
    make_manifest,
) -> None:
    short = HttpTransport(make_manifest(endpoint={"base_url": "https://h", "timeout_ms": 10_000}))
    assert await limits(short) == (10, 60)
    assert await limits(short, streaming=True) == (10, 10)


@pytest.mark.requirement("AIP-63")
@pytest.mark.parametrize("text", ["abc", "-1", "0", "nan", "inf"])
async def test_a_limit_that_is_no_time_is_refused_by_its_name(make_manifest, monkeypatch, text) -> None:
    monkeypatch.setenv("AI_TIMEOUT_SECS", text)
    with pytest.raises(ValidationError, match="AI_TIMEOUT_SECS"):
        await HttpTransport(make_manifest(), io=answering()).get("/a")


@pytest.mark.requirement("AIP-113")
async def test_the_library_writes_no_secret_to_any_log(make_manifest, caplog) -> None:
    caplog.set_level(logging.DEBUG)
    await HttpTransport(make_manifest(), io=answering()).get("/a")
    assert SECRET not in caplog.text
