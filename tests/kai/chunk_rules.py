"""The grammar of a chunk stream (kai.md 3.5, 3.6), as one function that tests call on what they got."""

import json
from typing import Any

REQUIRED: dict[str, dict[str, type | tuple[type, ...]]] = {
    "start": {"messageId": str},
    "start-step": {},
    "finish-step": {},
    "text-start": {"id": str},
    "text-delta": {"id": str, "delta": str},
    "text-end": {"id": str},
    "reasoning-start": {"id": str},
    "reasoning-delta": {"id": str, "delta": str},
    "reasoning-end": {"id": str},
    "tool-input-start": {"toolCallId": str, "toolName": str},
    "tool-input-delta": {"toolCallId": str, "inputTextDelta": str},
    "tool-input-available": {"toolCallId": str, "toolName": str, "input": dict},
    "tool-input-error": {"toolCallId": str, "toolName": str, "input": object, "errorText": str},
    "tool-approval-request": {"approvalId": str, "toolCallId": str},
    "tool-output-available": {"toolCallId": str, "output": dict},
    "tool-output-error": {"toolCallId": str, "errorText": str},
    "tool-output-denied": {"toolCallId": str},
    "source-url": {"sourceId": str, "url": str},
    "source-document": {"sourceId": str, "mediaType": str, "title": str},
    "file": {"url": str, "mediaType": str},
    "error": {"errorText": str},
    "abort": {},
    "finish": {"finishReason": str},
}
OPTIONAL: dict[str, dict[str, type]] = {
    "abort": {"reason": str},
    "tool-output-available": {"preliminary": bool},
    "source-url": {"title": str},
    "source-document": {"filename": str},
}
KAI_ONLY: dict[str, dict[str, type]] = {
    "error": {"message": str, "code": str},
    "tool-output-available": {"toolName": str},
    "tool-output-error": {"toolName": str},
    "tool-output-denied": {"toolName": str},
}
REASONS = {"stop", "length", "content-filter", "tool-calls", "error", "other"}


def check_stream(chunks: list[dict[str, Any]], *, ui: bool, known_calls: tuple[str, ...] = ()) -> None:
    """Fail unless `chunks` are one complete, well-formed stream of this profile."""
    assert chunks[0]["type"] == "start"
    ends = [n for n, chunk in enumerate(chunks) if chunk["type"] in ("finish", "abort")]
    assert ends == [len(chunks) - 1], f"one finish or abort, at the end: {[c['type'] for c in chunks]}"
    open_blocks: dict[str, str] = {}
    used: set[str] = set()
    calls = set(known_calls)
    step_open = False
    for number, chunk in enumerate(chunks):
        kind = chunk["type"]
        _check_fields(chunk, ui=ui)
        word, _, verb = kind.partition("-")
        if kind == "start":
            assert number == 0
        elif kind == "start-step":
            assert not (ui and step_open), "a step within a step"
            step_open = True
        elif kind == "finish-step":
            assert ui, "kai-client takes finish-step for the end"
            assert step_open
            step_open = False
        elif word in ("text", "reasoning"):
            if verb == "start":
                assert chunk["id"] not in used, f"block id used twice: {chunk}"
                used.add(chunk["id"])
                open_blocks[chunk["id"]] = word
            elif verb == "delta":
                assert open_blocks.get(chunk["id"]) == word, f"not open: {chunk}"
            else:
                assert open_blocks.pop(chunk["id"]) == word
        elif kind.startswith("tool-input"):
            assert kind != "tool-input-delta" or chunk["toolCallId"] in calls
            calls.add(chunk["toolCallId"])
        elif word == "tool":
            assert chunk["toolCallId"] in calls, f"unknown call: {chunk}"
    assert not open_blocks
    if chunks[-1]["type"] == "finish":
        assert not (ui and step_open), "a step is still open at the end"


def _check_fields(chunk: dict[str, Any], *, ui: bool) -> None:
    kind = chunk["type"]
    if kind.startswith("data-"):
        assert "data" in chunk
        assert set(chunk) <= {"type", "id", "data", "transient"}
        return
    required = REQUIRED[kind]
    allowed = required | OPTIONAL.get(kind, {}) | ({} if ui else KAI_ONLY.get(kind, {}))
    assert set(required) <= set(chunk), f"fields are missing: {chunk}"
    assert set(chunk) - {"type"} <= set(allowed), f"unknown fields: {chunk}"
    for name, value in chunk.items():
        if name != "type":
            assert isinstance(value, allowed[name]), f"{name}: {chunk}"
    if kind == "finish":
        assert chunk["finishReason"] in REASONS


def parse(raw: bytes) -> list[dict[str, Any]]:
    """The chunks of a stream's bytes; checks the framing on the way."""
    text = raw.decode("ascii")
    assert text.endswith("\n\n")
    frames = text[:-2].split("\n\n")
    data = [frame for frame in frames if not frame.startswith(":")]
    assert all("\n" not in frame and frame.startswith("data: ") for frame in data)
    assert data[-1] == "data: [DONE]"
    chunks = [json.loads(frame[6:]) for frame in data[:-1]]
    assert all(isinstance(chunk, dict) for chunk in chunks)
    return chunks


def types(chunks: list[dict[str, Any]]) -> list[str]:
    """The types, in order."""
    return [chunk["type"] for chunk in chunks]


def text_of(chunks: list[dict[str, Any]]) -> str:
    """The text deltas, joined."""
    return "".join(chunk["delta"] for chunk in chunks if chunk["type"] == "text-delta")
