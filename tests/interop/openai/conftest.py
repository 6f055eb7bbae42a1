"""The gateway with a provider of every family behind it, and the processes in which the published client plays."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import RunningServer, start_server
from tests.interop.environments import ROOT
from tests.interop.openai.client import OpenAIClient
from tests.interop.openai.provider import providers
from tests.interop.playing import Theatre, performed

SETTINGS = {
    "DRAGOMAN_OPENAI__LIMITS__PARALLEL": "3",
    "DRAGOMAN_OPENAI__LIMITS__REQUESTS_PER_MINUTE": "60",
    "DRAGOMAN_ERRORS__EXPOSE": "false",
}


@pytest.fixture(scope="session")
def provider_url() -> Iterator[str]:
    with providers() as made:
        yield made.url


@pytest.fixture(scope="session")
def gateway(provider_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A `dragoman serve` of an app whose models are those of every family."""
    data = tmp_path_factory.mktemp("gateway") / "data"
    environment = SETTINGS | {"INTEROP_PROVIDER": provider_url}
    server = start_server("tests.interop.openai.app:app", data=data, folder=ROOT, environment=environment)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def openai_clients(
    request: pytest.FixtureRequest,
    demo_server: Any,
    gateway: RunningServer,
    provider_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Theatre]:
    """The clients of the tests that were chosen, playing their scenarios."""
    scratch: Path = tmp_path_factory.mktemp("openai")
    command = partial(OpenAIClient.command, demo=demo_server.url, gateway=gateway.url, provider=provider_url)
    with performed(OpenAIClient, request.session.items, scratch, command) as theatre:
        yield theatre
