"""Clients of a scripted provider; see `acme`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.ai.client.acme import KEY, manifest

from dragoman.ai.client import AiClient
from dragoman.testing import ScriptedIO


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ACME_TOKEN", "OTHER_TOKEN"):
        monkeypatch.setenv(name, KEY)
    for name in [
        "AI_HTTP_TIMEOUT_SECS",
        "AI_TIMEOUT_SECS",
        "AI_PROXY_URL",
        "AI_HTTP_TRUST_ENV",
        "AI_PROTOCOL_DIR",
        "AI_PROTOCOL_PATH",
    ]:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def client_of() -> Callable[..., Any]:
    """`await client_of(script, **settings)` → (client, port) of the provider acme."""

    async def make(
        script: Any, *, changes: dict[str, Any] | None = None, **settings: Any
    ) -> tuple[AiClient, ScriptedIO]:
        io = ScriptedIO(script)
        client = await AiClient.from_manifest(manifest(**(changes or {})), "acme-1", io=io, **settings)
        return client, io

    return make
