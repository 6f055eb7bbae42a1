"""What the writers of all families share: a tool call, and the ways to put JSON on a wire."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

TOKENS = (19, 10)
"""Of every answer made here: input and output."""


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call; `id` is None where the wire has none."""

    name: str
    arguments: dict[str, Any]
    id: str | None = None


def as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def as_data(value: Any) -> bytes:
    return f"data: {as_json(value)}\n\n".encode()


def as_event(value: dict[str, Any]) -> bytes:
    return f"event: {value['type']}\ndata: {as_json(value)}\n\n".encode()


def text_of(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def halves(arguments: dict[str, Any]) -> tuple[str, str]:
    text = as_json(arguments)
    return text[: len(text) // 2], text[len(text) // 2 :]
