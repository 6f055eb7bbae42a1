"""Every family, by every manifest of it: the same stream gives the same answer."""

from __future__ import annotations

from itertools import count, pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ai.pipeline.transcripts import PAIR_IDS, PAIRS, TRANSCRIPTS, Transcript, kinds, pipeline, read, text

from dragoman.ai.errors import TransportError
from dragoman.ai.pipeline.run import StreamRun


def start(place: str) -> StreamRun:
    numbers = count()
    return pipeline(place).start(tool_call_ids=lambda: f"made_{next(numbers)}")


@pytest.mark.requirement(
    "AIP-27", "AIP-28", "AIP-29", "AIP-61", "AIP-105", "AIP-106", "AIP-107", "AIP-108", "AIP-109", "AIP-110"
)
@pytest.mark.parametrize(("transcript", "place"), PAIRS, ids=PAIR_IDS)
def test_a_stream_gives_text_thinking_calls_usage_and_reasons(transcript: Transcript, place: str) -> None:
    run = start(place)
    events = read(run, [transcript.data])
    answer = run.answer()
    assert run.error is None
    assert run.remote_error is None
    assert text(events) == answer.content == transcript.text
    assert answer.thinking == transcript.thinking
    assert [(call.function_name, call.arguments) for call in answer.tool_calls] == list(transcript.calls)
    assert all(call.parse_error is None for call in answer.tool_calls)
    assert answer.usage is not None
    assert {name: answer.usage[name] for name in transcript.usage} == transcript.usage
    assert (answer.finish_reason, answer.stop_reason) == (transcript.finish, transcript.stop)
    assert answer.model == "m1" or transcript.family == "cohere_v2"


@pytest.mark.requirement("AIP-31", "AIP-32")
@pytest.mark.parametrize(("transcript", "place"), PAIRS, ids=PAIR_IDS)
def test_calls_start_and_end_once_and_the_stream_ends_once_and_last(transcript: Transcript, place: str) -> None:
    events = read(start(place), [transcript.data])
    names = kinds(events)
    assert names.count("StreamEnd") == 1
    assert names[-1] == "StreamEnd"
    assert names.count("ToolCallStarted") == names.count("ToolCallEnded") == len(transcript.calls)
    end: Any = events[-1].data
    assert (end.finish_reason, end.stop_reason) == (transcript.finish, transcript.stop)
    assert end.usage["prompt_tokens"] == 9
    started: dict[str, str] = {}
    for event in events:
        data = event.data
        if event.is_tool_call_started:
            assert data.tool_call_id not in started
            started[data.tool_call_id] = ""
        elif event.is_partial_tool_call:
            started[data.tool_call_id] += data.arguments
        elif event.is_tool_call_ended:
            assert data.tool_call_id in started
    finishing = [at for at, event in enumerate(events) if event.is_final_candidate or event.is_stream_end]
    assert max(at for at, event in enumerate(events) if event.is_tool_call_ended) < finishing[0]


@pytest.mark.requirement("AIP-22", "AIP-23", "AIP-61")
@pytest.mark.parametrize(("transcript", "place"), PAIRS, ids=PAIR_IDS)
def test_one_byte_at_a_time_gives_the_same_events(transcript: Transcript, place: str) -> None:
    whole = read(start(place), [transcript.data])
    single = read(start(place), [transcript.data[at : at + 1] for at in range(len(transcript.data))])
    assert single == whole


@pytest.mark.requirement("AIP-22", "AIP-23", "AIP-61")
@given(st.data())
def test_any_split_gives_the_same_events(data: st.DataObject) -> None:
    transcript, place = data.draw(st.sampled_from(PAIRS))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(transcript.data) - 1), max_size=12)))
    edges = [0, *cuts, len(transcript.data)]
    parts = [transcript.data[begin:end] for begin, end in pairwise(edges)]
    assert read(start(place), parts) == read(start(place), [transcript.data])


@pytest.mark.requirement("AIP-33")
@given(st.data())
def test_a_stream_cut_anywhere_is_an_error_or_whole_and_never_something_else(data: st.DataObject) -> None:
    transcript, place = data.draw(st.sampled_from(PAIRS))
    place_of_cut = data.draw(st.integers(0, len(transcript.data)))
    run = start(place)
    events = read(run, [transcript.data[:place_of_cut]])
    ends = kinds(events).count("StreamEnd")
    assert "StreamError" not in kinds(events)
    if run.error is None:
        assert ends == 1
    else:
        assert ends == 0
        assert isinstance(run.error, TransportError)
        assert run.error.kind == "stream_truncated"
        assert transcript.text.startswith(run.error.partial.content)


@pytest.mark.requirement("AIP-34")
def test_streams_of_one_pipeline_do_not_see_each_other() -> None:
    for transcript in TRANSCRIPTS:
        place = transcript.manifests[0]
        alone = read(start(place), [transcript.data])
        first, second = start(place), start(place)
        half = len(transcript.data) // 2
        events = [[*first.feed(transcript.data[:half])], [*second.feed(transcript.data[:half])]]
        for run, mine in ((second, events[1]), (first, events[0])):
            mine += run.feed(transcript.data[half:])
            mine += run.close()
        assert events[0] == events[1] == alone


@pytest.mark.requirement("AIP-29")
def test_signatures_and_data_of_thinking_are_kept_in_blocks() -> None:
    from tests.ai.pipeline.transcripts import ANTHROPIC, GEMINI

    run = start("v2/anthropic")
    read(run, [ANTHROPIC.data])
    (kept,) = run.answer().thinking_blocks
    assert (kept.text, kept.signature) == ("hmm, let me see", "sig==")
    run = start("v1/gemini")
    read(run, [GEMINI.data])
    assert [call.signature for call in run.answer().tool_calls] == ["sig==", None]
