"""Runs a test once for each of the two clients."""

from __future__ import annotations

import pytest
from tests.kai.shells import Awaiting, Blocking, Shell


@pytest.fixture(params=[Awaiting, Blocking], ids=lambda shell: shell.name)
def shell(request: pytest.FixtureRequest) -> Shell:
    made: Shell = request.param()
    return made
