"""A clean configuration for each test: no variables of the developer's, nothing left by the test before."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator

import pytest

from dragoman.stackspot.config import STKAI
from dragoman.stackspot.connections import connections


@pytest.fixture(autouse=True)
def clean_configuration(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in [name for name in os.environ if name.startswith("STKAI_")]:
        monkeypatch.delenv(name)
    STKAI.reset()
    if connections._held:  # a client in a cycle with an exception: it holds the pool that all share
        gc.collect()
    yield
    for name in [name for name in os.environ if name.startswith("STKAI_")]:
        monkeypatch.delenv(name)
    STKAI.reset()
