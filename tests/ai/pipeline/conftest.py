"""Ids of calls that a test can foretell."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest


@pytest.fixture
def ids() -> Callable[[], str]:
    numbers = count()
    return lambda: f"made_{next(numbers)}"
