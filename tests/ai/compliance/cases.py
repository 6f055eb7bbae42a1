"""The published compliance cases, as data: what stands in the files, nothing added."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent / "data" / "manifests"
HOME = ROOT / "tests" / "compliance"


@dataclass(frozen=True, slots=True)
class Case:
    """One case; `id` alone is not unique, `str()` is."""

    id: str
    name: str
    setup: dict[str, Any]
    input: dict[str, Any]
    expected: dict[str, Any]
    file: Path

    @property
    def type(self) -> str:
        return str(self.input["type"])

    def __str__(self) -> str:
        return f"{self.file.stem}-{self.id}"

    def place(self, name: str) -> Path:
        """A file that the case names: from its own folder, the fixtures' or the root of the manifests."""
        places = [base / name for base in (self.file.parent, HOME, ROOT)]
        return next((place for place in places if place.exists()), places[0])

    @property
    def manifest_file(self) -> Path:
        """The manifest that the case is about."""
        return self.place(self.input.get("manifest_path") or self.setup["manifest_path"])


def _read() -> Iterator[Case]:
    for file in sorted((HOME / "cases").glob("*/*.yaml")):
        for document in yaml.safe_load_all(file.read_text("utf-8")):
            if document:
                setup = document.get("setup") or {}
                yield Case(document["id"], document["name"], setup, document["input"], document["expected"], file)


CASES = list(_read())
