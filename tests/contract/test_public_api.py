"""Public names and signatures change only on purpose."""

from __future__ import annotations

import difflib
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.requirement("CORE-09")
def test_public_names_and_signatures_are_those_of_the_snapshot() -> None:
    frozen = (Path(__file__).parent / "public_api.txt").read_text("utf-8")
    found: str = runpy.run_path(str(ROOT / "tools" / "public_api.py"))["snapshot"]()
    changes = "\n".join(
        difflib.unified_diff(frozen.split("\n"), found.split("\n"), "frozen", "found", lineterm="", n=0)
    )
    assert changes == "", f"run `python tools/public_api.py` if this is on purpose:\n{changes}"
