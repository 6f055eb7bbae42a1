"""The checklist of the dialect is whole, and says honestly which half of it is built."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

ROWS = tomllib.loads((Path(__file__).parent.parent / "requirements" / "noukai.toml").read_text("utf-8"))["requirement"]


@pytest.mark.requirement("NOU-90")
def test_rows_of_the_server_are_later_and_those_of_the_client_are_not() -> None:
    assert [row["id"] for row in ROWS] == [f"NOU-{number:02}" for number in range(1, 100)]
    assert {row.get("later") for row in ROWS} == {None, "issue 5: server half"}
    client_alone = [
        1,
        3,
        4,
        18,
        20,
        *range(42, 46),
        48,
        54,
        55,
        58,
        59,
        *range(61, 69),
        *range(72, 78),
        79,
        90,
        91,
        93,
        98,
        99,
    ]
    assert [row["id"] for row in ROWS if "later" not in row] == [f"NOU-{number:02}" for number in client_alone]
