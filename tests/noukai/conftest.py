"""Runs a test once for each of the two clients; no variable of the environment reaches a client."""

from __future__ import annotations

import pytest
from tests.noukai.shells import Awaiting, Blocking, Shell


@pytest.fixture(params=[Awaiting, Blocking], ids=lambda shell: shell.name)
def shell(request: pytest.FixtureRequest) -> Shell:
    made: Shell = request.param()
    return made


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NOUKAI_API_KEY", "NOUKAI_ENV", "NOUKAI_BASE_URL", "NOUKAI_REPLAY_ENABLED"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def replay_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOUKAI_REPLAY_ENABLED", "Yes")
