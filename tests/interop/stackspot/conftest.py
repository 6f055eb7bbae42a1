"""The processes in which the published stkai and our client play their scenarios against the demo server."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.interop.playing import Theatre, performed
from tests.interop.stackspot.sdks import Sdk


@pytest.fixture(scope="session")
def stackspot(
    request: pytest.FixtureRequest, demo_server: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Theatre]:
    """The clients of the tests that were chosen, playing their scenarios."""
    scratch: Path = tmp_path_factory.mktemp("stackspot")
    with performed(Sdk, request.session.items, scratch, partial(Sdk.command, url=demo_server.url)) as theatre:
        yield theatre
