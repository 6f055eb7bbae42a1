"""What a provider of any family says, told anew in OpenAI's dialect and read again: the same events, however it is cut."""

from __future__ import annotations

import itertools
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.ai.wires.test_transcripts import NORMAL, cut, manifest_of
from tests.ai.wires.transcripts import TRANSCRIPTS, Transcript

from dragoman.ai.backwards import ChunkEncoder, Tap
from dragoman.ai.backwards.answers import FINISH
from dragoman.ai.pipeline import Pipeline
from dragoman.ai.types import StreamingEvent

SAID = [each for each in TRANSCRIPTS if each.name not in ("error", "failed")]
EVERY = pytest.mark.parametrize("golden", [pytest.param(each, id=str(each)) for each in SAID])
READ_AGAIN = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}


@cache
def openai() -> Pipeline:
    return Pipeline.from_manifest(manifest_of("openai_chat"))


def events_of(golden: Transcript, chunks: list[bytes]) -> list[StreamingEvent]:
    numbers = itertools.count(1)
    run = Pipeline.from_manifest(manifest_of(golden.family)).start(tool_call_ids=lambda: f"call_{next(numbers)}")
    events = [event for chunk in chunks for event in run.feed(chunk)] + run.close()
    assert run.error is None
    return events


def told_anew(events: list[StreamingEvent]) -> bytes:
    encoder = ChunkEncoder(id="chatcmpl-1", created=1, model="a/b", include_usage=True)
    return b"".join(encoder.event(event) for event in events) + encoder.end()


def read_again(chunks: list[bytes]) -> list[StreamingEvent]:
    run = openai().start()
    events = [event for chunk in chunks for event in run.feed(chunk)] + run.close()
    assert run.error is None
    assert run.done
    return events


def core(events: list[StreamingEvent]) -> dict[str, Any]:
    """All that both ways of telling must agree in."""
    said: list[Any] = []
    told: dict[str, Any] = {"said": said, "ended": set(), "stops": {}, "usage": None}
    silent: dict[str, int] = {}
    for event in events:
        data: Any = event.data
        match event.event_type:
            case "PartialContentDelta":
                said.append(("text", data.candidate_index, data.content))
            case "ThinkingDelta" if data.thinking:
                said.append(("thought", data.candidate_index, data.thinking))
            case "ToolCallStarted":
                silent[data.tool_call_id] = len(said) + 1
                said.append(("call", data.candidate_index, data.tool_call_id, data.tool_name))
            case "PartialToolCall":
                silent.pop(data.tool_call_id, None)
                said.append(("arguments", data.candidate_index, data.tool_call_id, data.arguments))
            case "ToolCallEnded":
                if data.tool_call_id in silent:  # a call without arguments is given those of an empty object
                    said.append(("arguments", data.candidate_index, data.tool_call_id, "{}"))
                    del silent[data.tool_call_id]
                told["ended"].add(data.tool_call_id)
            case "FinalCandidate" | "StreamEnd":
                if data.stop_reason is not None:
                    told["stops"][data.candidate_index] = READ_AGAIN[FINISH.get(data.stop_reason, "stop")]
                told["usage"] = getattr(data, "usage", None) or told["usage"]
            case "Metadata":
                told["usage"] = data.usage or told["usage"]
    usage = told["usage"]
    told["usage"] = {name: usage.get(name) or 0 for name in NORMAL} if usage else None
    return told


@pytest.mark.requirement("AIP-111")
@EVERY
def test_an_answer_told_anew_says_the_same(golden: Transcript) -> None:
    events = events_of(golden, [golden.data])
    assert core(read_again([told_anew(events)])) == core(events)


@pytest.mark.requirement("AIP-111")
@EVERY
def test_an_answer_told_anew_byte_by_byte_says_the_same(golden: Transcript) -> None:
    events = events_of(golden, [bytes([byte]) for byte in golden.data])
    anew = told_anew(events)
    assert core(read_again([bytes([byte]) for byte in anew])) == core(events)


@pytest.mark.requirement("AIP-111")
@EVERY
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_wherever_it_is_cut_it_says_the_same(golden: Transcript, data: st.DataObject) -> None:
    places = st.lists(st.integers(0, len(golden.data)), max_size=8)
    events = events_of(golden, cut(golden.data, data.draw(places)))
    anew = told_anew(events)
    again = read_again(cut(anew, data.draw(st.lists(st.integers(0, len(anew)), max_size=8))))
    assert core(again) == core(events_of(golden, [golden.data]))


@pytest.mark.requirement("AIP-105", "AIP-111")
@pytest.mark.parametrize("golden", [pytest.param(each, id=str(each)) for each in SAID if each.family == "openai_chat"])
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_forwarded_stream_says_the_same_wherever_it_is_cut(golden: Transcript, data: st.DataObject) -> None:
    tap = Tap(strip_usage=False)
    pieces = cut(golden.data, data.draw(st.lists(st.integers(0, len(golden.data)), max_size=8)))
    forwarded = b"".join(tap.feed(piece) for piece in pieces) + tap.close()
    assert tap.error is None
    assert core(read_again([forwarded])) == core(events_of(golden, [golden.data]))
    expected = core(events_of(golden, [golden.data]))["usage"]
    assert (tap.usage is None) == (expected is None)
