"""What of an answer is under way while it is read: blocks, items and tool calls, as far as they have come."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from dragoman.chatkit.types import ThreadItem
from dragoman.core.records import ItemKind


@dataclass(slots=True)
class Entry:
    """A block or an item of the model call that is under way. `told` is what its reader has of a thought."""

    id: str
    kind: ItemKind
    wire: str
    created: float
    body: dict[str, Any] = field(default_factory=dict)
    pieces: list[str] = field(default_factory=list)
    head: bytes | None = None
    length: int = 0
    told: int = 0
    shown: bool = True

    def row_body(self) -> dict[str, Any]:
        return {"text": "".join(self.pieces)} if self.kind in ("message", "reasoning") else self.body


@dataclass(slots=True)
class Call:
    """A tool call: the body of its row as far as it is known, and what its reader has of it."""

    body: dict[str, Any]
    created: float
    step: str | None
    state: str = "unknown"
    last: ThreadItem | None = None

    @property
    def is_form(self) -> bool:
        return bool(self.body.get("client") and self.body.get("widget"))

    @property
    def is_open(self) -> bool:
        return self.body.get("state") == "input-available"
