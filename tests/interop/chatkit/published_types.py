"""Runs where the published package is installed: says of each line whether its types take a document and give it back.

A line is `{"kind", "text"}`; the answer is a line with what is wrong, empty if nothing is. Nulls do not count.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from pydantic import TypeAdapter, ValidationError

from chatkit import types

KINDS: dict[str, Any] = {
    "request": types.ChatKitReq,
    "event": types.ThreadStreamEvent,
    "thread": types.Thread,
    "threads": types.Page[types.Thread],
    "items": types.Page[types.ThreadItem],
    "attachment": types.Attachment,
    "sync": types.SyncCustomActionResponse,
    "transcription": types.TranscriptionResult,
}
ADAPTERS: dict[str, TypeAdapter[Any]] = {kind: TypeAdapter(type) for kind, type in KINDS.items()}


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_nulls(one) for name, one in value.items() if one is not None}
    return [without_nulls(one) for one in value] if isinstance(value, list) else value


def wrong_with(kind: str, text: str) -> str:
    adapter = ADAPTERS[kind]
    try:
        value = adapter.validate_json(text)
    except ValidationError as error:
        return f"{error} in {text}"
    given, again = (without_nulls(json.loads(one)) for one in (text, adapter.dump_json(value, by_alias=True)))
    if kind == "request" or given == again:  # a client may leave out what has a default
        return ""
    return f"{json.dumps(again)} instead of {json.dumps(given)}"


def main() -> None:
    for line in sys.stdin:
        told = json.loads(line)
        print(json.dumps(wrong_with(told["kind"], told["text"])), flush=True)


if __name__ == "__main__":
    main()
