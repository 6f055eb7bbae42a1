"""The checklist of the dialect is whole, and nothing of it is left for later."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

ROWS = tomllib.loads((Path(__file__).parent.parent / "requirements" / "noukai.toml").read_text("utf-8"))["requirement"]


@pytest.mark.requirement("NOU-90")
def test_the_checklist_is_whole_and_nothing_is_later() -> None:
    assert [row["id"] for row in ROWS] == [f"NOU-{number:02}" for number in range(1, 100)]
    assert [row["id"] for row in ROWS if "later" in row] == []
