"""The one server that published clients can reach, and the processes in which they play their scenarios."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import start_server
from tests.interop.noukai.sdks import Sdk
from tests.interop.playing import Theatre, performed

PORT = 8080


@pytest.fixture(scope="session")
def port_8080(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The demo on port 8080, where `env="dev"` looks for it; a port that is taken fails the tests."""
    try:
        with socket.create_server(("127.0.0.1", PORT)):
            pass
    except OSError as error:
        pytest.fail(f"the published noukai-sdk reaches http://localhost:{PORT} alone, and that port is taken: {error}")
    server = start_server("--demo", data=tmp_path_factory.mktemp("noukai") / "data", port=PORT)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def sdks(request: pytest.FixtureRequest, port_8080: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Theatre]:
    """The clients of the tests that were chosen, playing their scenarios."""
    scratch: Path = tmp_path_factory.mktemp("noukai-sdks")
    with performed(Sdk, request.session.items, scratch, partial(Sdk.command, url=port_8080.url)) as theatre:
        yield theatre
