"""Streams of every family as bytes, and what has to come of them, whatever manifest reads them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from dragoman.ai.pipeline import Pipeline
from dragoman.ai.pipeline.run import StreamRun
from dragoman.ai.protocol import ProtocolLoader, ProtocolManifest
from dragoman.ai.types.events import StreamingEvent

TREE = Path(__file__).parent.parent / "data" / "manifests"


@cache
def manifest(place: str) -> ProtocolManifest:
    """The manifest in a file of the tree, such as `v1/openai`."""
    generation, _, name = place.partition("/")
    folder = TREE / "own" / "v1" if generation == "own" else TREE / generation
    return ProtocolLoader(base_path=folder / "providers" / f"{name}.yaml").load_provider_sync(name)


def pipeline(place: str) -> Pipeline:
    return Pipeline.from_manifest(manifest(place))


def custom(event_map: Sequence[dict[str, Any]] | None = None, **streaming: Any) -> Pipeline:
    """The pipeline of a wire of its own, by rules and settings."""
    document = {
        "id": "odd-wire",
        "protocol_version": "1.5",
        "endpoint": {"base_url": "http://127.0.0.1/odd"},
        "payload_format": "custom",
        "availability": {"required": False, "regions": ["global"]},
        "capabilities": {"streaming": True},
        "termination": streaming.pop("termination", {"source_field": "why", "mapping": {"fin": "end_turn"}}),
        "streaming": {"decoder": {"format": "sse"}, **streaming},
    }
    if event_map is not None:
        document["streaming"]["event_map"] = list(event_map)
    return Pipeline.from_manifest(ProtocolManifest(**document))


def read(run: StreamRun, reads: Iterable[bytes]) -> list[StreamingEvent]:
    """All events of a stream whose connection ends in an orderly way."""
    events: list[StreamingEvent] = []
    for data in reads:
        events += run.feed(data)
    return events + run.close()


def kinds(events: Iterable[StreamingEvent]) -> list[str]:
    return [event.event_type for event in events]


def text(events: Iterable[StreamingEvent], candidate: int = 0) -> str:
    return "".join(
        event.data.content for event in events if event.is_content_delta and event.data.candidate_index == candidate
    )


def sse(*values: Any, end: str = "\n\n") -> bytes:
    """Values as data-only events; text stands for itself."""
    return b"".join(
        f"data: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}{end}".encode()
        for value in values
    )


def named(*values: dict[str, Any]) -> bytes:
    """Values as events named by their type."""
    return b"".join(b"event: " + value["type"].encode() + b"\n" + sse(value) for value in values)


def lines(*values: Any) -> bytes:
    return b"".join(json.dumps(value, ensure_ascii=False).encode() + b"\n" for value in values)


@dataclass(frozen=True)
class Transcript:
    """A stream and the answer in it."""

    family: str
    data: bytes
    manifests: tuple[str, ...]
    text: str = "Grüße, 世界 🙂"
    thinking: str = "hmm, let me see"
    calls: tuple[tuple[str, dict[str, Any]], ...] = (("weather", {"city": "Köln"}), ("clock", {}))
    finish: str = ""
    stop: str = "tool_use"
    usage: dict[str, int] = field(default_factory=lambda: {"prompt_tokens": 9, "completion_tokens": 5})


def choice(delta: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    return {"id": "c1", "model": "m1", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more}


def tool(index: int, name: str | None = None, arguments: str = "", id: str | None = None) -> dict[str, Any]:
    function = {"arguments": arguments, **({"name": name} if name else {})}
    return {"index": index, **({"id": id, "type": "function"} if id else {}), "function": function}


OPENAI = Transcript(
    "openai_chat",
    sse(
        choice({"role": "assistant", "content": ""}),
        choice({"reasoning_content": "hmm, "}),
        choice({"reasoning_content": "let me see"}),
        choice({"content": "Grüße, "}),
        choice({"content": "世界 🙂"}),
        choice({"tool_calls": [tool(0, "weather", "", "a")]}),
        choice({"tool_calls": [tool(0, None, '{"city"')]}),
        choice({"tool_calls": [tool(1, "clock", "", "b")]}),
        choice({"tool_calls": [tool(0, None, ':"Köln"}')]}),
        choice({"tool_calls": [tool(1, None, "{}")]}),
        choice({}, "tool_calls"),
        {"id": "c1", "model": "m1", "choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 5}},
        "[DONE]",
    ),
    (
        *("v1/openai", "v2/openai", "v1/deepseek", "v2/deepseek", "v1/groq", "v2/groq", "v1/mistral", "v2/mistral"),
        *("v1/azure", "own/openrouter", "own/vllm", "own/xai"),
    ),
    finish="tool_calls",
)

RESPONSES = Transcript(
    "openai_responses",
    named(
        {"type": "response.created", "response": {"id": "r1", "model": "m1", "status": "in_progress"}},
        {"type": "response.reasoning_summary_text.delta", "output_index": 0, "delta": "hmm, let me see"},
        {
            "type": "response.output_item.done",
            "output_index": 0,
            "item": {"type": "reasoning", "id": "rs", "summary": []},
        },
        {"type": "response.output_text.delta", "output_index": 1, "content_index": 0, "delta": "Grüße, "},
        {"type": "response.output_text.delta", "output_index": 1, "content_index": 0, "delta": "世界 🙂"},
        {
            "type": "response.output_item.added",
            "output_index": 2,
            "item": {"type": "function_call", "id": "f1", "call_id": "a", "name": "weather", "arguments": ""},
        },
        {"type": "response.function_call_arguments.delta", "output_index": 2, "item_id": "f1", "delta": '{"city"'},
        {
            "type": "response.output_item.added",
            "output_index": 3,
            "item": {"type": "function_call", "id": "f2", "call_id": "b", "name": "clock", "arguments": ""},
        },
        {"type": "response.function_call_arguments.delta", "output_index": 3, "item_id": "f2", "delta": "{}"},
        {"type": "response.function_call_arguments.delta", "output_index": 2, "item_id": "f1", "delta": ':"Köln"}'},
        {
            "type": "response.output_item.done",
            "output_index": 2,
            "item": {
                "type": "function_call",
                "id": "f1",
                "call_id": "a",
                "name": "weather",
                "arguments": '{"city":"Köln"}',
            },
        },
        {
            "type": "response.output_item.done",
            "output_index": 3,
            "item": {"type": "function_call", "id": "f2", "call_id": "b", "name": "clock", "arguments": "{}"},
        },
        {
            "type": "response.completed",
            "response": {
                "id": "r1",
                "model": "m1",
                "status": "completed",
                "usage": {"input_tokens": 9, "output_tokens": 5},
            },
        },
    ),
    ("own/openai-responses",),
    finish="completed",
)


def block(index: int, begun: dict[str, Any], *deltas: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"type": "content_block_start", "index": index, "content_block": begun},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


ANTHROPIC = Transcript(
    "anthropic",
    named(
        {
            "type": "message_start",
            "message": {"id": "m", "model": "m1", "usage": {"input_tokens": 9, "output_tokens": 1}},
        },
        {"type": "ping"},
        *block(
            0,
            {"type": "thinking", "thinking": "", "signature": ""},
            {"type": "thinking_delta", "thinking": "hmm, let me see"},
            {"type": "signature_delta", "signature": "sig=="},
        ),
        *block(
            1,
            {"type": "text", "text": ""},
            {"type": "text_delta", "text": "Grüße, "},
            {"type": "text_delta", "text": "世界 🙂"},
        ),
        *block(
            2,
            {"type": "tool_use", "id": "a", "name": "weather", "input": {}},
            {"type": "input_json_delta", "partial_json": ""},
            {"type": "input_json_delta", "partial_json": '{"city"'},
            {"type": "input_json_delta", "partial_json": ':"Köln"}'},
        ),
        *block(3, {"type": "tool_use", "id": "b", "name": "clock", "input": {}}),
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 5}},
        {"type": "message_stop"},
    ),
    ("v1/anthropic", "v2/anthropic"),
    finish="tool_use",
)


def part(*parts: dict[str, Any], finish: str | None = None, usage: dict[str, int] | None = None) -> dict[str, Any]:
    candidate = {"content": {"role": "model", "parts": list(parts)}, "index": 0}
    return {
        "candidates": [{**candidate, **({"finishReason": finish} if finish else {})}],
        **({"usageMetadata": usage} if usage else {}),
        "modelVersion": "m1",
    }


GEMINI = Transcript(
    "gemini",
    sse(
        part({"text": "hmm, ", "thought": True}, usage={"promptTokenCount": 9}),
        part({"text": "let me see", "thought": True}, {"text": "Grüße, "}),
        part({"text": "世界 "}, {"text": "🙂"}),
        part(
            {"functionCall": {"name": "weather", "args": {"city": "Köln"}}, "thoughtSignature": "sig=="},
            {"functionCall": {"name": "clock", "args": {}}},
        ),
        part(
            {"text": ""},
            finish="STOP",
            usage={"promptTokenCount": 9, "candidatesTokenCount": 3, "thoughtsTokenCount": 2},
        ),
        end="\r\n\r\n",
    ),
    ("v1/gemini", "v2/gemini"),
    finish="STOP",
)


def cohere(kind: str, message: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {"type": kind, **({"delta": {"message": message}} if message is not None else {}), **more}


COHERE = Transcript(
    "cohere_v2",
    named(
        {"type": "message-start", "id": "x", "delta": {"message": {"role": "assistant"}}},
        cohere("tool-plan-delta", {"tool_plan": "hmm, let me see"}),
        cohere("content-start", {"content": {"type": "text", "text": ""}}, index=0),
        cohere("content-delta", {"content": {"text": "Grüße, "}}, index=0),
        cohere("content-delta", {"content": {"text": "世界 🙂"}}, index=0),
        cohere("content-end", index=0),
        cohere(
            "tool-call-start",
            {"tool_calls": {"id": "a", "type": "function", "function": {"name": "weather", "arguments": ""}}},
            index=0,
        ),
        cohere("tool-call-delta", {"tool_calls": {"function": {"arguments": '{"city"'}}}, index=0),
        cohere("tool-call-delta", {"tool_calls": {"function": {"arguments": ':"Köln"}'}}}, index=0),
        cohere("tool-call-end", index=0),
        cohere(
            "tool-call-start",
            {"tool_calls": {"id": "b", "type": "function", "function": {"name": "clock", "arguments": "{}"}}},
            index=1,
        ),
        cohere("tool-call-end", index=1),
        {
            "type": "message-end",
            "delta": {"finish_reason": "TOOL_CALL", "usage": {"tokens": {"input_tokens": 9, "output_tokens": 5}}},
        },
    ),
    ("v1/cohere", "v2/cohere"),
    finish="TOOL_CALL",
)


def line(message: dict[str, Any], done: bool = False, **more: Any) -> dict[str, Any]:
    return {"model": "m1", "message": {"role": "assistant", **message}, "done": done, **more}


OLLAMA = Transcript(
    "ollama",
    lines(
        line({"content": "", "thinking": "hmm, "}),
        line({"content": "", "thinking": "let me see"}),
        line({"content": "Grüße, "}),
        line({"content": "世界 🙂"}),
        line({"content": "", "tool_calls": [{"function": {"name": "weather", "arguments": {"city": "Köln"}}}]}),
        line({"content": "", "tool_calls": [{"function": {"name": "clock", "arguments": {}}}]}),
        line({"content": ""}, True, done_reason="stop", prompt_eval_count=9, eval_count=5, total_duration=12),
    ),
    ("own/ollama",),
    finish="stop",
)

TRANSCRIPTS = (OPENAI, RESPONSES, ANTHROPIC, GEMINI, COHERE, OLLAMA)
PAIRS = [(one, place) for one in TRANSCRIPTS for place in one.manifests]
PAIR_IDS = [f"{one.family}-{place}" for one, place in PAIRS]
