"""Bounds on what one request may bring, below the faces."""

from typing import Any

import pytest

from dragoman.core.errors import PayloadTooLarge
from dragoman.server.limits import read_body


async def test_a_body_without_end_is_refused_as_soon_as_it_is_too_large() -> None:
    taken = 0

    async def receive() -> dict[str, Any]:
        nonlocal taken
        taken += 1
        return {"type": "http.request", "body": b"xxxx", "more_body": taken < 100}

    with pytest.raises(PayloadTooLarge, match="larger than 10 bytes"):
        await read_body(receive, None, limit=10, seconds=10.0)
    assert taken == 3
