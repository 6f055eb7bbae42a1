"""The scenarios of this run, played by every client that a chosen test names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.interop.playing import Client, Theatre


@pytest.fixture(scope="session")
def theatre(
    request: pytest.FixtureRequest, demo_server: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Theatre]:
    """Plays each (client, scenario) of the tests that were chosen."""
    chosen: dict[Client, list[str]] = {}
    for item in request.session.items:
        arguments = getattr(getattr(item, "callspec", None), "params", {})
        if isinstance(client := arguments.get("client"), Client):
            chosen.setdefault(client, []).append(arguments["scenario"])
    scratch: Path = tmp_path_factory.mktemp("interop")
    theatre = Theatre(chosen, demo_server.url, scratch)
    yield theatre
    theatre.close()
