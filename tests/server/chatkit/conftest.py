"""A server of one agent in a directory of its own; see `talking`."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.server.chatkit.talking import Talk


@pytest.fixture
async def talk(tmp_path: Path) -> AsyncIterator[Talk]:
    made = Talk(tmp_path / "data", expose=True)
    yield made
    await made.close()
