"""The golden transcripts: bytes as providers send them, and beside each family what they must become.

`transcripts/FAMILY/NAME.sse|jsonl|json` are the bytes, `transcripts/FAMILY/expected.json` has for each
name `events` (type and every field that says something) and `answer`. One expectation may serve two
families: the JSON array of Gemini says what its event stream says.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "transcripts"
CONTENT_TYPES = {
    ".sse": "text/event-stream; charset=utf-8",
    ".jsonl": "application/x-ndjson",
    ".json": "application/json; charset=utf-8",
}
VARIANTS = "openai_variants"
"""A folder of one wire as others speak it; `test_variants.py` reads it."""
SCENARIOS = ("text", "parallel_tools", "reasoning", "usage", "refusal", "error")


@dataclass(frozen=True, slots=True)
class Transcript:
    family: str
    name: str
    file: Path

    @property
    def data(self) -> bytes:
        return self.file.read_bytes()

    @property
    def content_type(self) -> str:
        return CONTENT_TYPES[self.file.suffix]

    @property
    def expected(self) -> dict[str, Any]:
        """`{"events": [[type, fields], …], "answer": {…}}`."""
        family = "gemini" if self.family == "gemini_array" else self.family
        told: dict[str, Any] = json.loads((FOLDER / family / "expected.json").read_text("utf-8"))
        return dict(told[self.name])

    def __str__(self) -> str:
        return f"{self.family}-{self.name}"


TRANSCRIPTS = [
    Transcript(file.parent.name, file.stem, file)
    for file in sorted(FOLDER.glob("*/*"))
    if file.suffix in CONTENT_TYPES and file.stem != "expected" and file.parent.name != VARIANTS
]


def transcript(family: str, name: str) -> Transcript:
    """Raises LookupError if there is none."""
    found = [each for each in TRANSCRIPTS if (each.family, each.name) == (family, name)]
    if not found:
        raise LookupError(f"no transcript {family}/{name}")
    return found[0]
