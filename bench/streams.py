"""The streams that everybody decodes: one answer in six dialects, from a fixed seed.

The answer is 2,000 small pieces of text with accents, CJK, quotes and escapes, then two tool calls
in parallel whose arguments come in 200 pieces, then finish, usage and the end. `Stream` also holds
what a right decoder must find, so that a wrong one has no speed.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

SEED = 20_261
PIECES = 2_000
ARGUMENT_PIECES = 200
READ = 16 * 1024

_SYLLABLES = (
    *("al", "ber", "con", "der", "ent", "fo", "gra", "hin", "in", "jo", "kel", "lo", "mer", "nis", "or"),
    *("pra", "que", "ris", "sta", "tion", "ur", "ver", "wen", "yx", "zu", "é", "ñ", "ü", "ö", "ß", "ç"),
    *("中", "文", "日本", "語", "한국", "ж", "Ω", "—", "“", "”", "€", "🙂", '"', "\\", "\n", "\t", "</", "&"),
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said, whatever the dialect."""

    pieces: tuple[str, ...]
    arguments: tuple[tuple[str, str], ...]
    """(call, piece), the two calls in turn."""

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    def arguments_of(self, call: str) -> str:
        return "".join(piece for owner, piece in self.arguments if owner == call)


@dataclass(frozen=True, slots=True)
class Stream:
    """One dialect's bytes: a frame per event. `events` is how many a decoder of that dialect must give."""

    dialect: str
    frames: tuple[bytes, ...]
    events: int
    answer: Answer

    @property
    def size(self) -> int:
        return sum(map(len, self.frames))

    def reads(self, how: str) -> list[bytes]:
        """The bytes as reads: `each` event its own, `16k`, or `one`."""
        if how == "each":
            return list(self.frames)
        whole = b"".join(self.frames)
        if how == "one":
            return [whole]
        return [whole[place : place + READ] for place in range(0, len(whole), READ)]


@cache
def answer() -> Answer:
    chance = random.Random(SEED)
    pieces = tuple(
        (" " if chance.random() < 0.6 else "") + "".join(chance.choices(_SYLLABLES, k=chance.randint(1, 3)))
        for _ in range(PIECES)
    )
    arguments: list[tuple[str, str]] = []
    texts = {call: json.dumps({"query": "".join(chance.choices(_SYLLABLES, k=150))}) for call in ("call_a", "call_b")}
    for number in range(ARGUMENT_PIECES // 2):
        for call, text in texts.items():
            size = -(-len(text) // (ARGUMENT_PIECES // 2))
            arguments.append((call, text[number * size : (number + 1) * size]))
    return Answer(pieces, tuple(arguments))


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _data(value: Any) -> bytes:
    return b"data: " + _json(value) + b"\n\n"


def _named(name: str, value: Any) -> bytes:
    return b"event: " + name.encode() + b"\n" + _data(value)


DONE = b"data: [DONE]\n\n"
_USAGE = {"prompt_tokens": 21, "completion_tokens": 2200, "total_tokens": 2221}
_ID = "chatcmpl-9fXk2LmQ7"


def openai(said: Answer) -> Stream:
    def chunk(delta: dict[str, Any], finish: str | None = None, **rest: Any) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        head = {"id": _ID, "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "gpt-4o-mini"}
        return _data({**head, "system_fingerprint": "fp_1", "choices": [choice], "usage": None, **rest})

    frames = [chunk({"role": "assistant", "content": ""})]
    frames += [chunk({"content": piece}) for piece in said.pieces]
    seen: list[str] = []
    for call, piece in said.arguments:
        head = {} if call in seen else {"id": call, "type": "function"}
        name = {} if call in seen else {"name": "search"}
        seen += [] if call in seen else [call]
        delta = {"index": seen.index(call), **head, "function": {**name, "arguments": piece}}
        frames.append(chunk({"tool_calls": [delta]}))
    frames += [chunk({}, "tool_calls"), chunk({}, choices=[], usage=_USAGE)]
    return Stream("openai", (*frames, DONE), len(frames), said)


def anthropic(said: Answer) -> Stream:
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "content": []}
    usage = {"input_tokens": 21, "output_tokens": 1}
    begin = {**message, "stop_reason": None, "stop_sequence": None, "usage": usage}
    frames = [_named("message_start", {"type": "message_start", "message": begin})]

    def block(index: int, opened: dict[str, Any], deltas: Sequence[dict[str, Any]]) -> None:
        kind = "content_block"
        start = {"type": f"{kind}_start", "index": index, "content_block": opened}
        frames.append(_named(f"{kind}_start", start))
        frames.extend(
            _named(f"{kind}_delta", {"type": f"{kind}_delta", "index": index, "delta": delta}) for delta in deltas
        )
        frames.append(_named(f"{kind}_stop", {"type": f"{kind}_stop", "index": index}))

    block(0, {"type": "text", "text": ""}, [{"type": "text_delta", "text": piece} for piece in said.pieces])
    for place, call in enumerate(("call_a", "call_b"), start=1):
        pieces = [piece for owner, piece in said.arguments if owner == call]
        opened = {"type": "tool_use", "id": call, "name": "search", "input": {}}
        block(place, opened, [{"type": "input_json_delta", "partial_json": piece} for piece in pieces])
    ended = {"stop_reason": "tool_use", "stop_sequence": None}
    frames.append(_named("message_delta", {"type": "message_delta", "delta": ended, "usage": {"output_tokens": 2200}}))
    frames.append(_named("message_stop", {"type": "message_stop"}))
    return Stream("anthropic", tuple(frames), len(frames), said)


def ai_sdk(said: Answer) -> Stream:
    """The UI message stream, which Kai speaks."""
    frames = [_data({"type": "start", "messageId": "msg-1"}), _data({"type": "start-step"})]
    frames.append(_data({"type": "text-start", "id": "0"}))
    frames += [_data({"type": "text-delta", "id": "0", "delta": piece}) for piece in said.pieces]
    frames.append(_data({"type": "text-end", "id": "0"}))
    for call in ("call_a", "call_b"):
        frames.append(_data({"type": "tool-input-start", "toolCallId": call, "toolName": "search"}))
    for call, piece in said.arguments:
        frames.append(_data({"type": "tool-input-delta", "toolCallId": call, "inputTextDelta": piece}))
    for call in ("call_a", "call_b"):
        given = {"toolCallId": call, "toolName": "search", "input": json.loads(said.arguments_of(call))}
        frames.append(_data({"type": "tool-input-available", **given}))
    frames.append(_data({"type": "finish-step"}))
    frames.append(_data({"type": "data-usage", "data": {"promptTokens": 21, "completionTokens": 2200}}))
    frames.append(_data({"type": "finish", "finishReason": "tool-calls"}))
    return Stream("ai_sdk", (*frames, DONE), len(frames), said)


def own(said: Answer) -> Stream:
    """Events of the journal as the own face sends them: id, then the whole event."""
    bodies: list[tuple[str, dict[str, Any]]] = [
        ("run.created", {"kind": "chat", "name": "demo", "version": "1", "answer": "a1", "thread": "t1"}),
        ("run.started", {"executor": "host-1"}),
        ("step.started", {"kind": "model", "name": "scripted"}),
        ("block.started", {"block": "b1", "kind": "text"}),
    ]
    bodies += [("block.delta", {"block": "b1", "delta": piece}) for piece in said.pieces]
    bodies.append(("block.ended", {"block": "b1"}))
    bodies += [("tool.started", {"call": call, "name": "search"}) for call in ("call_a", "call_b")]
    bodies += [("tool.input_delta", {"call": call, "delta": piece}) for call, piece in said.arguments]
    for call in ("call_a", "call_b"):
        given = json.loads(said.arguments_of(call))
        bodies.append(("tool.input", {"call": call, "name": "search", "input": given}))
    bodies += [
        ("usage", {"prompt_tokens": 21, "completion_tokens": 2200}),
        ("step.completed", {"finish": "tool-calls"}),
        ("run.completed", {}),
    ]
    frames = []
    for seq, (kind, payload) in enumerate(bodies, start=1):
        event = {"run": "01JBENCH0000000000000000", "seq": seq, "time": 1_700_000_000.25 + seq / 128, "type": kind}
        step = {} if kind.startswith("run.") else {"step": "model-1"}
        frames.append(b"id: %d\n" % seq + _data({**event, **step, "payload": payload}))
    return Stream("own", tuple(frames), len(frames), said)


def noukai(said: Answer) -> Stream:
    """Step events; the pieces are outputs of one step."""
    frames = [_named("run_started", {"eventType": "run_started", "executionId": "run-1", "eventId": "e0"})]
    for number, piece in enumerate(said.pieces):
        body = {"eventType": "step_output", "executionId": "run-1", "eventId": f"e{number}", "stepId": "s-1"}
        frames.append(_named("step_output", {**body, "outputData": piece}))
    done = {"eventType": "flow_completed", "executionId": "run-1", "eventId": "e9", "result": "done"}
    frames.append(_named("flow_completed", done))
    return Stream("noukai", tuple(frames), len(frames), said)


def stackspot(said: Answer) -> Stream:
    """Native chunks: the piece, and what the last of them tells."""
    frames = [_data({"message": piece}) for piece in said.pieces]
    tokens = {"user": 21, "enrichment": 0, "output": 2200}
    last = {"message": "", "conversation_id": "c-1", "knowledge_source_id": [], "tokens": tokens, "stop_reason": "stop"}
    return Stream("stackspot", (*frames, _data(last), DONE), len(frames) + 1, said)


_MAKERS: dict[str, Callable[[Answer], Stream]] = {
    "openai": openai,
    "anthropic": anthropic,
    "ai_sdk": ai_sdk,
    "own": own,
    "noukai": noukai,
    "stackspot": stackspot,
}
DIALECTS = tuple(_MAKERS)


@cache
def stream(dialect: str) -> Stream:
    """The stream in one of `DIALECTS`; the same bytes in every process."""
    return _MAKERS[dialect](answer())
