"""The world that tests of the engine play in: see `tests.engine.world`."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.engine.world import World

from dragoman.store.sqlite import open_store


@pytest.fixture
async def world(tmp_path: Any) -> AsyncIterator[World]:
    store = await open_store(tmp_path / "data")
    made = World(store)
    await made.engine.open()
    yield made
    made.gate.set()
    await made.engine.close()
    await store.close()
