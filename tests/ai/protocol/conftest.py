"""The manifests of the tests, and an environment that names no others."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.ai.protocol.documents import TREE, small


@pytest.fixture
def tree() -> Path:
    """An AI-Protocol directory: the collected set."""
    return TREE


@pytest.fixture(autouse=True)
def nothing_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith(("AI_PROTOCOL", "AI_LIB"))]:
        monkeypatch.delenv(name)
    empty = tmp_path / "one" / "two" / "three"
    empty.mkdir(parents=True)
    monkeypatch.chdir(empty)


@pytest.fixture
def write() -> Callable[..., Path]:
    """`write(path, **fields)`: a manifest on disk, as JSON; its id is the file's name unless said otherwise."""

    def write_it(path: Path, **more: Any) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({**small(path.stem), **more}), encoding="utf-8")
        return path

    return write_it
