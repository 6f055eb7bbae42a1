"""What the rules of a manifest mean, shown on wires of their own and on known ones."""

from __future__ import annotations

from typing import Any

import pytest
from tests.ai.pipeline.transcripts import choice, custom, kinds, pipeline, read, sse, text

from dragoman.ai.errors import ProtocolError
from dragoman.ai.pipeline.rules import compile_rules
from dragoman.ai.types.events import StreamingEvent


def events_of(rules: list[dict[str, Any]], *frames: dict[str, Any], **streaming: Any) -> list[StreamingEvent]:
    run = custom(rules, **streaming).start()
    return [event for frame in frames for event in run.feed(sse(frame))]


@pytest.mark.requirement("AIP-27")
def test_every_rule_that_matches_fires_in_the_order_of_kinds() -> None:
    frame = {
        "t": "hi",
        "why": "fin",
        "use": {"prompt_tokens": 1},
        "mull": "hm",
        "call": {"name": "f", "args": {"a": 1}},
    }
    rules = [
        {"match": "exists($.why)", "emit": "FinalCandidate", "fields": {"finish_reason": "$.why"}},
        {"match": "exists($.use)", "emit": "Metadata", "fields": {"usage": "$.use"}},
        {"match": "exists($.call)", "emit": "PartialToolCall", "fields": {"tool_call": "$.call"}},
        {"match": "exists($.t)", "emit": "PartialContentDelta", "fields": {"content": "$.t"}},
        {"match": "exists($.mull)", "emit": "ThinkingDelta", "fields": {"thinking": "$.mull"}},
    ]
    assert kinds(events_of(rules, frame)) == [
        "ThinkingDelta",
        "PartialContentDelta",
        "ToolCallStarted",
        "PartialToolCall",
        "ToolCallEnded",
        "Metadata",
        "FinalCandidate",
    ]


@pytest.mark.requirement("AIP-27")
def test_one_openai_frame_may_hold_everything() -> None:
    frame = choice(
        {
            "content": "x",
            "reasoning": "r",
            "tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}],
        },
        "tool_calls",
        usage={"prompt_tokens": 1, "completion_tokens": 2},
    )
    for place in ("v1/openai", "v2/openai"):
        events = read(pipeline(place).start(), [sse(frame, "[DONE]")])
        assert kinds(events) == [
            "ThinkingDelta",
            "PartialContentDelta",
            "ToolCallStarted",
            "PartialToolCall",
            "ToolCallEnded",
            "Metadata",
            *(["FinalCandidate"] if place == "v1/openai" else []),
            "StreamEnd",
        ]


@pytest.mark.requirement("AIP-27")
def test_empty_text_and_arguments_give_no_event() -> None:
    rules = [
        {"match": "exists($.t)", "emit": "PartialContentDelta", "fields": {"content": "$.t"}},
        {"match": "exists($.a)", "emit": "PartialToolCall", "fields": {"arguments": "$.a"}},
    ]
    assert events_of(rules, {"t": ""}, {"t": None}, {"a": ""}, {"t": []}) == []


@pytest.mark.requirement("AIP-28")
@pytest.mark.parametrize("word", ["fields", "extract"])
def test_fields_and_extract_mean_the_same(word: str) -> None:
    rules = [
        {
            "match": "exists($.t)",
            "emit": "PartialContentDelta",
            word: {"content": "$.t", "sequence_id": "$.n", "odd": "$.odd"},
        }
    ]
    (event,) = events_of(rules, {"t": "x", "n": 7, "odd": "kept"})
    assert (event.data.content, event.data.sequence_id, event.data.odd) == ("x", 7, "kept")


@pytest.mark.requirement("AIP-28")
def test_usage_report_means_metadata() -> None:
    rules = [{"match": "exists($.u)", "emit": "UsageReport", "extract": {"usage": "$.u"}}]
    (event,) = events_of(rules, {"u": {"input_tokens": 3, "output_tokens": 4}})
    assert event.event_type == "Metadata"
    assert event.as_metadata.usage is not None
    assert event.as_metadata.usage["total_tokens"] == 7


@pytest.mark.requirement("AIP-28")
def test_text_that_is_no_path_stands_for_itself() -> None:
    rules = [{"match": "$.kind == 'tick'", "emit": "PartialContentDelta", "fields": {"content": "tick"}}]
    assert text(events_of(rules, {"kind": "tick"})) == "tick"
    odd = [{"match": "$.kind == 'tick'", "emit": "PartialContentDelta", "fields": {"content": "three dots ... here"}}]
    assert text(events_of(odd, {"kind": "tick"})) == "three dots ... here"


@pytest.mark.requirement("AIP-28")
def test_a_bare_name_is_a_path_in_v2_if_the_frame_has_it() -> None:
    (rule,) = compile_rules(
        [{"match": "exists($.t)", "emit": "PartialContentDelta", "extract": {"content": "t"}}], bare_names=True
    )
    from dragoman.ai.pipeline.reading import Reading

    for frame, wanted in (({"t": "x"}, "x"),):
        reading = Reading()
        rule.read(frame, reading)
        assert reading.texts[0].content == wanted
    (literal,) = compile_rules(
        [{"match": "true", "emit": "PartialContentDelta", "extract": {"content": "t"}}], bare_names=True
    )
    reading = Reading()
    literal.read({"other": 1}, reading)
    assert reading.texts[0].content == "t"


@pytest.mark.requirement("AIP-28", "AIP-30")
def test_a_generated_id_is_made_once_per_call() -> None:
    rules = [
        {
            "match": "exists($.calls[*].name)",
            "emit": "ToolCallStarted",
            "fields": {"tool_name": "$.calls[*].name", "tool_call_id": "_generate_uuid", "index": "$.calls[*].at"},
        },
        {
            "match": "exists($.calls[*].more)",
            "emit": "PartialToolCall",
            "fields": {"arguments": "$.calls[*].more", "tool_call_id": "_generate_uuid", "index": "$.calls[*].at"},
        },
    ]
    events = events_of(
        rules,
        {"calls": [{"at": 0, "name": "f", "more": "{"}, {"at": 1, "name": "g"}]},
        {"calls": [{"at": 1, "more": "{}"}, {"at": 0, "more": "}"}]},
    )
    starts = {event.data.tool_name: event.data.tool_call_id for event in events if event.is_tool_call_started}
    assert len(set(starts.values())) == 2
    pieces = [(event.data.tool_call_id, event.data.arguments) for event in events if event.is_partial_tool_call]
    assert pieces == [(starts["f"], "{"), (starts["g"], "{}"), (starts["f"], "}")]


@pytest.mark.requirement("AIP-13")
def test_id_name_and_index_come_from_one_element() -> None:
    frame = choice(
        {
            "tool_calls": [
                {"index": 3, "id": "a", "function": {"name": "f", "arguments": "{}"}},
                {"index": 1, "function": {"arguments": ""}},
                {"index": 2, "id": "c", "function": {"name": "h"}},
            ]
        }
    )
    events = pipeline("v1/openai").start().feed(sse(frame))
    found = [(e.data.tool_call_id, e.data.tool_name, e.data.index) for e in events if e.is_tool_call_started]
    assert found == [("a", "f", 3), ("c", "h", 2)]


@pytest.mark.requirement("AIP-12", "AIP-61")
@pytest.mark.parametrize(
    "streaming",
    [
        {"event_map": [{"match": "exists($.a", "emit": "StreamEnd"}]},
        {"event_map": [{"match": "true", "emit": "PartialContentDelta", "fields": {"content": "$.a["}}]},
        {"frame_selector": "$.a =="},
        {"stop_condition": "$$"},
        {"decoder": {"format": "morse"}},
    ],
)
def test_mistakes_are_found_before_any_frame(streaming: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError):
        custom(streaming.pop("event_map", []), **streaming)


@pytest.mark.requirement("AIP-27")
def test_a_rule_of_an_unknown_kind_is_left_out() -> None:
    assert events_of([{"match": "true", "emit": "HologramDelta", "fields": {"hologram": "$.h"}}], {"h": 1}) == []


@pytest.mark.requirement("AIP-29")
def test_a_wire_of_its_own_has_its_rules_only() -> None:
    rules = [{"match": "exists($.t)", "emit": "PartialContentDelta", "fields": {"content": "$.t"}}]
    assert events_of(rules, choice({"content": "no rule speaks of this"})) == []


@pytest.mark.requirement("AIP-29")
def test_paths_stand_in_for_rules() -> None:
    run = custom(
        content_path="say.words", tool_call_path="say.calls", usage_path="$.cost", decoder={"format": "json_lines"}
    ).start()
    events = run.feed(
        b'{"say": {"words": "hi"}}\n{"say": {"calls": [{"index": 0, "name": "f", "arguments": "{}"}]}}\n'
        b'{"cost": {"prompt_tokens": 1}}\n'
    )
    assert kinds(events) == ["PartialContentDelta", "ToolCallStarted", "PartialToolCall", "Metadata"]


@pytest.mark.requirement("AIP-30")
def test_the_accumulators_words_are_rules_where_a_wire_has_no_others() -> None:
    rules = [{"match": "exists($.tool)", "emit": "ToolCallStarted", "fields": {"tool_name": "$.tool"}}]
    run = custom(
        rules, accumulator={"stateful_tool_parsing": True, "key_path": "$.piece", "flush_on": "$.over == true"}
    ).start()
    events = run.feed(sse({"tool": "f"}, {"piece": '{"a"'}, {"piece": ":1}"}, {"over": True}))
    assert kinds(events) == ["ToolCallStarted", "PartialToolCall", "PartialToolCall", "ToolCallEnded"]
    assert run.answer().tool_calls[0].arguments == {"a": 1}


@pytest.mark.requirement("AIP-29")
@pytest.mark.parametrize(
    "name", ["reasoning_content", "reasoning", "thinking", "thought", "reasoning_text", "analysis"]
)
@pytest.mark.parametrize("place", ["v1/openai", "v2/mistral", "v2/deepseek", "own/vllm"])
def test_reasoning_is_found_under_all_its_names(name: str, place: str) -> None:
    run = pipeline(place).start()
    events = run.feed(sse(choice({"content": "", name: "hm"}), choice({"content": "yes", name: ""})))
    assert kinds(events) == ["ThinkingDelta", "PartialContentDelta"]
    assert events[0].data.thinking == "hm"


@pytest.mark.requirement("AIP-29")
@pytest.mark.parametrize("place", ["v1/mistral", "v2/mistral"])
def test_content_that_is_a_list_of_blocks(place: str) -> None:
    blocks = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
        {"type": "text", "text": "yes"},
        {"type": "reference", "reference_ids": [1]},
    ]
    events = pipeline(place).start().feed(sse(choice({"content": blocks})))
    assert kinds(events) == ["ThinkingDelta", "PartialContentDelta"]
    assert (events[0].data.thinking, events[1].data.content) == ("hm", "yes")


@pytest.mark.requirement("AIP-29")
@pytest.mark.parametrize("place", ["v1/openai", "v2/openai"])
def test_a_refusal_counts_as_content_and_its_reason_says_so(place: str) -> None:
    run = pipeline(place).start()
    events = read(run, [sse(choice({"content": None, "refusal": "I won't"}), choice({}, "stop"), "[DONE]")])
    assert text(events) == "I won't"
    assert (run.answer().finish_reason, run.answer().stop_reason) == ("stop", "refusal")


@pytest.mark.requirement("AIP-29")
def test_a_rule_whose_path_is_outdated_is_helped_by_the_family() -> None:
    frames = [
        {
            "type": "tool-call-start",
            "index": 0,
            "delta": {"message": {"tool_calls": {"id": "a", "function": {"name": "f"}}}},
        },
        {
            "type": "tool-call-delta",
            "index": 0,
            "delta": {"message": {"tool_calls": {"function": {"arguments": "{}"}}}},
        },
    ]
    events = pipeline("v1/cohere").start().feed(sse(*frames))
    assert [(event.event_type, event.data.index) for event in events] == [
        ("ToolCallStarted", 0),
        ("PartialToolCall", 0),
    ]
