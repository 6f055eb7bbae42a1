"""Every test of this folder runs on both event loops, under a clock that the test moves."""

from __future__ import annotations

from typing import Any

import pytest
from tests.ai.stepped import LOOPS, SteppedClock


@pytest.fixture(params=LOOPS, ids=lambda loop: loop[0])
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture(scope="session")
def new_clock() -> type[SteppedClock]:
    return SteppedClock
