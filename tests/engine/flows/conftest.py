"""The stage that flows play on: see `tests.engine.flows.stage`."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.engine.flows.stage import Stage

from dragoman.store.sqlite import open_store


@pytest.fixture
async def stage(tmp_path: Any) -> AsyncIterator[Stage]:
    store = await open_store(tmp_path / "data")
    made = Stage(store)
    yield made
    await made.close()
    await store.close()
