"""Golden transcripts: the same events and the same answer, however the bytes are cut."""

from __future__ import annotations

import itertools
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ai.wires.transcripts import SCENARIOS, TRANSCRIPTS, Transcript, transcript

from dragoman.ai.pipeline import Pipeline
from dragoman.ai.protocol import ProtocolLoader, ProtocolManifest
from dragoman.ai.types import StreamingEvent

ROWS = {
    "openai_chat": "AIP-105",
    "openai_responses": "AIP-106",
    "anthropic": "AIP-107",
    "gemini": "AIP-108",
    "gemini_array": "AIP-108",
    "ollama": "AIP-109",
    "cohere_v2": "AIP-110",
}
PROVIDERS = {
    "openai_chat": "openai",
    "openai_responses": "openai-responses",
    "gemini_array": "gemini",
    "cohere_v2": "cohere",
}
OLDER = ("openai_chat", "anthropic", "gemini", "cohere_v2")
"""Families with a manifest of the older generation too."""

EVERY = pytest.mark.parametrize(
    "golden",
    [
        pytest.param(each, id=str(each), marks=pytest.mark.requirement(ROWS[each.family], "AIP-111"))
        for each in TRANSCRIPTS
    ],
)


@cache
def manifest_of(family: str, generation: str | None = None) -> ProtocolManifest:
    provider = PROVIDERS.get(family, family)
    manifest = ProtocolLoader(generation=generation).load_provider_sync(provider)
    if family != "gemini_array":
        return manifest
    document = dict(manifest.raw)
    document["streaming"] = {**document["streaming"], "decoder": {"format": "json_array"}}
    return ProtocolLoader().register_provider(document)


def played(golden: Transcript, chunks: list[bytes], generation: str | None = None) -> tuple[list[Any], Any]:
    """The events of a run over these chunks, and its answer; made ids are call_1, call_2 …"""
    numbers = itertools.count(1)
    pipeline = Pipeline.from_manifest(manifest_of(golden.family, generation))
    run = pipeline.start(tool_call_ids=lambda: f"call_{next(numbers)}")
    events = [event for chunk in chunks for event in run.feed(chunk)] + run.close()
    assert run.error is None
    return [told(event) for event in events], answered(run.answer())


def told(event: StreamingEvent) -> list[Any]:
    """Type, and every field that says something."""
    fields = event.data.model_dump(exclude_none=True)
    return [
        event.event_type,
        {name: value for name, value in fields.items() if (name, value) != ("candidate_index", 0)},
    ]


NORMAL = (
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "reasoning_tokens",
    "cache_read_tokens",
    "cache_creation_tokens",
)


def answered(answer: Any) -> dict[str, Any]:
    blocks = [
        {name: value for name in ("text", "signature", "data") if (value := getattr(block, name, None))}
        for block in answer.thinking_blocks
    ]
    usage = answer.usage and {name: answer.usage[name] for name in NORMAL if name in answer.usage}
    return {
        "content": answer.content,
        "thinking": answer.thinking or "",
        "calls": [[call.id, call.function_name, call.arguments] for call in answer.tool_calls],
        "thinking_blocks": blocks,
        "usage": usage,
        "finish_reason": answer.finish_reason,
        "stop_reason": answer.stop_reason,
    }


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(places), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


@EVERY
def test_a_transcript_becomes_the_expected_events_and_answer(golden: Transcript) -> None:
    events, answer = played(golden, [golden.data])
    assert events == golden.expected["events"]
    assert answer == golden.expected["answer"]


@EVERY
def test_byte_by_byte_gives_the_same(golden: Transcript) -> None:
    events, answer = played(golden, [bytes([byte]) for byte in golden.data])
    assert events == golden.expected["events"]
    assert answer == golden.expected["answer"]


@EVERY
def test_a_cut_at_some_place_gives_the_same(golden: Transcript) -> None:
    """Every place of a short one, some six hundred of a long one; byte by byte finds what this leaves out."""
    for place in range(1, len(golden.data), 1 + len(golden.data) // 600):
        assert played(golden, cut(golden.data, [place]))[0] == golden.expected["events"], place


@EVERY
@given(data=st.data())
def test_any_cuts_give_the_same(golden: Transcript, data: st.DataObject) -> None:
    places = data.draw(st.lists(st.integers(0, len(golden.data)), max_size=40))
    assert played(golden, cut(golden.data, places))[0] == golden.expected["events"]


@pytest.mark.requirement("AIP-22")
@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize(
    "golden", [pytest.param(each, id=str(each)) for each in TRANSCRIPTS if each.file.suffix == ".sse"]
)
def test_other_line_ends_of_an_event_stream_give_the_same(golden: Transcript, newline: bytes) -> None:
    data = golden.data.replace(b"\r\n", b"\n").replace(b"\n", newline)
    for chunks in ([data], cut(data, list(range(0, len(data), 7)))):
        assert played(golden, chunks)[0] == golden.expected["events"]


@pytest.mark.parametrize("golden", [pytest.param(each, id=str(each)) for each in TRANSCRIPTS if each.family in OLDER])
@pytest.mark.requirement("AIP-13", "AIP-29")
def test_the_manifest_of_the_older_generation_gives_the_same_answer(golden: Transcript) -> None:
    assert played(golden, [golden.data], "v1")[1] == golden.expected["answer"]


def test_every_family_has_every_scenario() -> None:
    for family in ROWS:
        for name in SCENARIOS:
            assert transcript(family, name).expected["answer"]
