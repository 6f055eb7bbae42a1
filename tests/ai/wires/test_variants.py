"""OpenAI's chat wire as others speak it: what differs must be survived, with the speaker's own manifest.

The bytes are in `transcripts/openai_variants`; what each must become stands here, since it is short.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.ai.wires.transcripts import FOLDER

from dragoman.ai.pipeline import Pipeline
from dragoman.ai.protocol import ProtocolLoader

pytestmark = pytest.mark.requirement("AIP-105", "AIP-29", "AIP-30")

WEATHER: tuple[str, dict[str, Any]] = ("get_weather", {"city": "Genève"})
ROOMS: tuple[str, dict[str, Any]] = ("list_rooms", {})


@dataclass(frozen=True)
class Variant:
    """A transcript, the manifest that reads it, and what comes out."""

    file: str
    provider: str
    text: str = "Hello"
    thinking: str = ""
    calls: tuple[Any, ...] = ()
    ids: tuple[str | None, ...] = ()
    stop_reason: str | None = "end_turn"
    tokens: tuple[int, int] | None = (7, 3)
    more_usage: dict[str, int] = field(default_factory=dict)
    error: str | None = None


VARIANTS = [
    Variant("azure", "azure", tokens=None),
    Variant("groq", "groq", thinking="I think."),
    Variant(
        "mistral",
        "mistral",
        thinking="I think.",
        calls=(WEATHER, ROOMS),
        ids=("D681PevKs", "E792QfwLt"),
        stop_reason="tool_use",
    ),
    Variant("deepseek", "deepseek", thinking="I think.", more_usage={"cache_read_tokens": 4, "reasoning_tokens": 2}),
    Variant(
        "google_surface",
        "openai",
        text="",
        calls=(WEATHER, ROOMS),
        ids=("function-call-1", "function-call-2"),
        stop_reason="tool_use",
    ),
    Variant("openrouter", "openrouter", text="Hel", stop_reason=None, tokens=None, error="Provider disconnected"),
    Variant(
        "vllm",
        "vllm",
        text="",
        thinking="I think.",
        calls=(WEATHER, ROOMS),
        ids=("chatcmpl-tool-a", "chatcmpl-tool-b"),
        stop_reason="tool_use",
    ),
    Variant("llama_cpp", "lmstudio", calls=(WEATHER,), ids=("made",), stop_reason="tool_use", tokens=None),
    Variant("whole_in_one_frame", "openai", calls=(WEATHER,), ids=("call_1",), stop_reason="tool_use"),
    Variant("crowded_frame", "openai", thinking="I think."),
    Variant("two_candidates", "openai"),
]


@pytest.mark.parametrize("size", [1, 7, 1 << 20], ids=["byte-by-byte", "by-seven", "whole"])
@pytest.mark.parametrize("variant", [pytest.param(each, id=each.file) for each in VARIANTS])
def test_a_variant_of_the_chat_wire_is_read(variant: Variant, size: int) -> None:
    data = (FOLDER / "openai_variants" / f"{variant.file}.sse").read_bytes()
    pipeline = Pipeline.from_manifest(ProtocolLoader().load_provider_sync(variant.provider))
    run = pipeline.start(tool_call_ids=lambda: "made")
    events = [event for at in range(0, len(data), size) for event in run.feed(data[at : at + size])] + run.close()
    answer = run.answer()
    assert run.error is None
    assert (answer.content, answer.thinking or "") == (variant.text, variant.thinking)
    assert tuple((call.function_name, call.arguments) for call in answer.tool_calls) == variant.calls
    assert tuple(call.id for call in answer.tool_calls) == variant.ids
    assert answer.stop_reason == variant.stop_reason or variant.error
    usage = answer.usage or {}
    assert (usage.get("prompt_tokens"), usage.get("completion_tokens")) == (variant.tokens or (None, None))
    assert variant.more_usage.items() <= usage.items()
    errors = [event.as_stream_error.error for event in events if event.is_stream_error]
    assert [error["message"] for error in errors] == ([variant.error] if variant.error else [])
    assert [event.is_stream_end for event in events].count(True) == 1
    assert events[-1].is_stream_end


def test_every_variant_has_its_bytes_and_the_other_way_round() -> None:
    files = {file.stem for file in (FOLDER / "openai_variants").glob("*.sse")}
    assert files == {variant.file for variant in VARIANTS}


def test_the_second_of_two_candidates_has_its_own_text_and_end() -> None:
    data = (FOLDER / "openai_variants" / "two_candidates.sse").read_bytes()
    run = Pipeline.from_manifest(ProtocolLoader().load_provider_sync("openai")).start()
    run.feed(data)
    run.close()
    found = [(one.index, one.content, one.finish_reason, one.stop_reason) for one in run.answer().candidates]
    assert found == [(0, "Hello", "stop", "end_turn"), (1, "Good day", "length", "max_tokens")]
