"""The process with the published types, and users of the demo whose every word it judges."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.interop.chatkit.speaking import Judge, Speaker
from tests.interop.environments import chatkit_python


@pytest.fixture(scope="session")
def judge() -> Iterator[Judge]:
    made = Judge(chatkit_python())
    yield made
    made.close()


@pytest.fixture
def speakers(demo_server: Any, judge: Judge) -> Iterator[Callable[..., Speaker]]:
    """`speakers()` is a new user of the demo; `speakers(token=…, url=…)` one of one's choice."""
    made: list[Speaker] = []

    def make(token: str | None = None, url: str | None = None) -> Speaker:
        made.append(Speaker(url or demo_server.url, token or f"demo-{uuid.uuid4().hex}", judge))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def user(speakers: Callable[..., Speaker]) -> Speaker:
    """A new user of the demo."""
    return speakers()
