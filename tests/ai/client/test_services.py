"""What a provider offers beside chat: services, models, its availability and regions."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.ai.client.acme import (
    KEY,
    building,
    manifest,
    whole,
)

from dragoman.ai.errors import PipelineError, ProtocolError, RemoteError, TransportError, ValidationError
from dragoman.ai.resilience import (
    RateLimiterConfig,
    ResilientConfig,
)
from dragoman.core.errors import ConnectionFailed, TimedOut
from dragoman.testing import ScriptedIO
from dragoman.wire.http import Headers, Response


def answering(value: Any, status: int = 200) -> Response:
    return Response(status, Headers({"content-type": "application/json"}), json.dumps(value).encode())


SERVICES = {
    "list_models": {"path": "/models", "method": "GET", "response_binding": "data"},
    "one_model": {"path": "/models/{id}", "method": "GET", "query_params": {"v": "1"}, "headers": {"x-s": "1"}},
    "start": {"path": "/jobs", "method": "POST"},
    "names": {"path": "/models", "method": "GET", "response_binding": "data[*].id"},
}


@pytest.mark.requirement("AIP-58")
async def test_services_are_asked_as_the_manifest_says_and_their_payload_is_unwrapped(client_of) -> None:
    models = {"data": [{"id": "a"}, {"id": "b"}]}
    script = [answering(models), answering({"id": "a/b"}), answering({"ok": 1}), answering(models), Response(204)]
    client, io = await client_of(script, changes={"services": SERVICES})
    assert await client.models() == models["data"]
    assert await client.service("one_model", params={"id": "a/b", "q": "2"}) == {"id": "a/b"}
    assert await client.service("start", body={"n": 1}) == {"ok": 1}
    assert await client.service("names") == ["a", "b"]
    assert await client.service("list_models") is None
    first, second, third = io.requests[:3]
    assert (first.method, first.url) == ("GET", "https://acme.test/v1/models")
    assert second.url == "https://acme.test/v1/models/a%2Fb?v=1&q=2"
    assert (second.headers["x-s"], second.headers["authorization"]) == ("1", f"Bearer {KEY}")
    assert (third.method, third.body) == ("POST", b'{"n":1}')


@pytest.mark.requirement("AIP-58", "AIP-52", "AIP-44")
async def test_services_and_checks_carry_the_clients_headers_and_tell_the_limiter(client_of) -> None:
    limits = ResilientConfig(rate_limit=RateLimiterConfig.unlimited(), limit_headers={"requests_remaining": "x-left"})
    changes = {
        "services": {"plain": {"path": "/plain", "headers": {"x-a": "manifest", "x-b": "1"}}},
        "availability": {"check": {"path": "/up"}},
    }
    heard = {"x-left": "7"}
    client, io = await client_of(
        [Response(200, Headers(heard), b"1"), whole()], changes=changes, resilience=limits, headers={"X-A": "mine"}
    )
    assert await client.service("plain") == 1
    assert await client.check_availability()
    assert [one.headers["x-a"] for one in io.requests] == ["mine", "mine"]
    assert io.requests[0].headers["x-b"] == "1"
    limiter = client._target.executor.limiter
    assert limiter.get_server_state()["remaining"] == 7


@pytest.mark.requirement("AIP-58")
async def test_services_that_are_not_there_or_answer_otherwise_say_so(client_of) -> None:
    script = [answering({"other": 1}), answering({"data": {"no": "list"}}), answering({}, 500)]
    client, io = await client_of(script, changes={"services": SERVICES})
    with pytest.raises(ProtocolError, match="list_models"):
        await client.service("nothing")
    with pytest.raises(ValidationError, match="id"):
        await client.service("one_model")
    for error_class in (PipelineError, PipelineError, RemoteError):
        with pytest.raises(error_class):
            await client.models()
    assert len(io.requests) == 3


CHECK = {"required": True, "regions": ["eu", "us"], "check": {"path": "/health", "expected_status": [200, 401]}}


@pytest.mark.requirement("AIP-44")
async def test_availability_is_checked_on_demand_and_needs_no_credential(client_of, monkeypatch) -> None:
    monkeypatch.delenv("ACME_TOKEN")
    script = [answering({}), answering({}, 401), answering({}, 503), ConnectionFailed("no"), TimedOut("late")]
    client, io = await client_of(script, changes={"availability": CHECK}, allow_keyring=False)
    assert [await client.check_availability() for _ in script] == [True, True, False, False, False]
    assert {(request.method, request.url) for request in io.requests} == {("GET", "https://acme.test/v1/health")}
    assert io.requests[0].timeouts.read == 3
    without, _ = await client_of([])
    assert await without.check_availability() is True


@pytest.mark.requirement("AIP-44")
async def test_a_provider_that_has_to_be_available_is_asked_when_the_client_is_built() -> None:
    demanding = manifest(availability=CHECK)
    io = ScriptedIO([answering({}), answering({}, 503)])
    async with await building(io, demanding).build():
        assert len(io.requests) == 1
    with pytest.raises(TransportError) as caught:
        await building(io, demanding).build()
    assert caught.value.status_code == 503


@pytest.mark.requirement("AIP-44")
async def test_a_region_has_to_be_served() -> None:
    regional = manifest(availability={"required": False, "regions": ["eu", "us"]})
    await building(ScriptedIO([]), regional).region("eu").build()
    with pytest.raises(ValidationError) as caught:
        await building(ScriptedIO([]), regional).region("mars").build()
    assert caught.value.field == "region"
    await building(ScriptedIO([]), manifest()).region("anywhere").build()
