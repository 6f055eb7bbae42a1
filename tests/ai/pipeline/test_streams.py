"""Candidates, selectors, errors and ends of streams."""

from __future__ import annotations

from typing import Any

import pytest
from tests.ai.pipeline.transcripts import (
    ANTHROPIC,
    block,
    choice,
    custom,
    kinds,
    line,
    lines,
    manifest,
    named,
    part,
    pipeline,
    read,
    sse,
    text,
    tool,
)

from dragoman.ai.errors import PipelineError, RemoteError, TransportError
from dragoman.ai.pipeline.run import StreamRun


def run_of(place: str, data: bytes) -> tuple[StreamRun, list[Any]]:
    run = pipeline(place).start()
    return run, read(run, [data])


# ------------------------------------------------------------------------------ candidates


def two(*deltas: dict[str, Any] | None, finish: str | None = None, **more: Any) -> dict[str, Any]:
    choices = [
        {"index": index, "delta": delta, "finish_reason": finish}
        for index, delta in enumerate(deltas)
        if delta is not None
    ]
    return {"choices": choices, **more}


@pytest.mark.requirement("AIP-26")
@pytest.mark.parametrize("place", ["v1/openai", "v2/openai", "v1/deepseek", "v2/groq"])
def test_candidates_are_kept_apart(place: str) -> None:
    run, events = run_of(
        place,
        sse(
            two({"content": "a"}, {"content": "b"}),
            two(None, {"content": "B"}),
            two({"content": "A"}),
            two({"tool_calls": [tool(0, "f", "{", "x")]}, {"tool_calls": [tool(0, "g", "{}", "y")]}),
            two({"tool_calls": [tool(0, None, "}")]}),
            two({}, finish="tool_calls"),
            two(None, {}, finish="stop", usage={"prompt_tokens": 1, "completion_tokens": 2}),
            "[DONE]",
        ),
    )
    assert (text(events), text(events, 1)) == ("aA", "bB")
    first, second = run.answer().candidates
    assert (first.index, first.content, first.finish_reason, first.stop_reason) == (0, "aA", "tool_calls", "tool_use")
    assert (second.index, second.content, second.finish_reason, second.stop_reason) == (1, "bB", "stop", "tool_use")
    assert [call.function_name for call in (*first.tool_calls, *second.tool_calls)] == ["f", "g"]
    assert kinds(events).count("Metadata") == 1
    assert events[-1].data.finish_reason == "tool_calls"


@pytest.mark.requirement("AIP-26")
def test_gemini_splits_candidates_and_parts() -> None:
    frame = {
        "candidates": [
            {"index": 0, "content": {"parts": [{"functionCall": {"name": "f", "args": {}}}, {"text": "a"}]}},
            {
                "index": 1,
                "content": {"parts": [{"text": "b"}, {"text": "hm", "thought": True}]},
                "finishReason": "STOP",
            },
        ],
        "usageMetadata": {"promptTokenCount": 1, "totalTokenCount": 1},
    }
    for place in ("v1/gemini", "v2/gemini"):
        events = pipeline(place).start().feed(sse(frame))
        assert [(event.event_type, event.data.candidate_index) for event in events if not event.is_final_candidate] == [
            ("PartialContentDelta", 0),
            ("ToolCallStarted", 0),
            ("PartialToolCall", 0),
            ("ToolCallEnded", 0),
            ("ThinkingDelta", 1),
            ("PartialContentDelta", 1),
            ("Metadata", 1),
        ]


@pytest.mark.requirement("AIP-26")
def test_a_wire_of_its_own_is_split_where_its_manifest_says() -> None:
    rules = [
        {
            "match": "exists($.out.alts[0].say)",
            "emit": "PartialContentDelta",
            "fields": {"content": "$.out.alts[0].say"},
        },
        {"match": "exists($.cost)", "emit": "Metadata", "fields": {"usage": "$.cost"}},
        {
            "match": "exists($.out.alts[*].why)",
            "emit": "FinalCandidate",
            "fields": {"finish_reason": "$.out.alts[*].why"},
        },
    ]
    run = custom(rules, candidate={"candidate_id_path": "$.out.alts[*].nr", "fan_out": True}).start()
    events = run.feed(
        sse(
            {
                "kind": "x",
                "out": {"alts": [{"nr": 4, "say": "a"}, {"nr": 7, "say": "b"}]},
                "cost": {"prompt_tokens": 2},
            },
            {"out": {"alts": []}},
            {"out": {"alts": [{"nr": 7, "why": "fin"}]}},
        )
    )
    assert [(event.event_type, event.data.candidate_index) for event in events] == [
        ("PartialContentDelta", 4),
        ("PartialContentDelta", 7),
        ("Metadata", 7),
        ("FinalCandidate", 7),
    ]
    assert not run.complete
    run.feed(sse({"out": {"alts": [{"nr": 4, "why": "fin"}]}}))
    assert run.complete


# ------------------------------------------------------------------------------ selectors, errors


@pytest.mark.requirement("AIP-25")
def test_a_frame_that_is_not_selected_is_dropped() -> None:
    rules = [{"match": "exists($.t)", "emit": "PartialContentDelta", "fields": {"content": "$.t"}}]
    run = custom(rules, frame_selector="$.mine == true").start()
    assert text(run.feed(sse({"t": "no"}, {"t": "yes", "mine": True}))) == "yes"


@pytest.mark.requirement("AIP-25", "AIP-33")
@pytest.mark.parametrize(
    ("place", "frame", "kind"),
    [
        (
            "v1/anthropic",
            {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
            "overloaded",
        ),
        (
            "v2/anthropic",
            {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
            "overloaded",
        ),
        ("v1/openai", {"error": {"message": "slow down", "code": "rate_limit_exceeded"}}, "rate_limited"),
        ("v1/deepseek", {"error": {"message": "gone", "type": "server_error"}}, "server_error"),
        ("v2/openai", {"type": "error", "message": "flat", "code": "server_error"}, "server_error"),
        ("v1/gemini", {"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE"}}, "overloaded"),
        (
            "own/openai-responses",
            {"type": "response.failed", "response": {"error": {"code": "server_error"}}},
            "server_error",
        ),
        ("own/openai-responses", {"type": "error", "code": "rate_limit_exceeded", "message": "x"}, "rate_limited"),
    ],
)
def test_an_error_frame_passes_every_selector_and_ends_the_stream(place: str, frame: dict[str, Any], kind: str) -> None:
    run = pipeline(place).start()
    events = run.feed(sse(frame, {"choices": [{"index": 0, "delta": {"content": "late"}}]}))
    assert kinds(events) == ["StreamError", "StreamEnd"]
    assert events[0].data.error
    assert events[0].data.error_class == kind
    assert events[1].data.finish_reason == "error"
    assert run.done
    assert run.close() == []
    assert run.error is None
    assert isinstance(run.remote_error, RemoteError)
    assert run.remote_error.error_class == kind


@pytest.mark.requirement("AIP-33")
def test_an_error_line_after_text() -> None:
    run, events = run_of("own/ollama", lines(line({"content": "so "}), {"error": "out of memory"}))
    assert kinds(events) == ["PartialContentDelta", "StreamError", "StreamEnd"]
    assert events[1].data.error == "out of memory"
    assert run.answer().content == "so "


@pytest.mark.requirement("AIP-33")
def test_an_error_inside_a_list_as_gemini_wraps_it() -> None:
    run, events = run_of("v1/gemini", sse([{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "x"}}]))
    assert kinds(events) == ["StreamError", "StreamEnd"]
    assert run.remote_error is not None
    assert run.remote_error.retryable


@pytest.mark.requirement("AIP-33")
@pytest.mark.parametrize("error", [None, "", False])
def test_an_error_that_says_nothing_is_none(error: Any) -> None:
    for place in ("v1/openai", "v1/deepseek"):
        run, events = run_of(place, sse(choice({"content": "x"}, error=error), choice({}, "stop"), "[DONE]"))
        assert "StreamError" not in kinds(events)
        assert run.error is None


@pytest.mark.requirement("AIP-24")
def test_a_malformed_frame_is_an_event_and_the_stream_goes_on() -> None:
    run, events = run_of(
        "v1/openai", sse(choice({"content": "a"}), "{broken", choice({"content": "b"}, "stop"), "[DONE]")
    )
    assert text(events) == "ab"
    (bad,) = [event.data for event in events if event.is_stream_error]
    assert bad.error == {"type": "malformed_frame", "text": "{broken"}
    assert run.remote_error is None
    assert run.error is None


@pytest.mark.requirement("AIP-24")
def test_strict_runs_refuse_a_malformed_frame() -> None:
    run = pipeline("v1/openai").start(strict=True)
    events = run.feed(sse(choice({"content": "a"}), "{broken", choice({"content": "b"})))
    assert text(events) == "a"
    assert run.done
    assert isinstance(run.error, PipelineError)
    assert "{broken" in str(run.error)
    assert run.close() == []


@pytest.mark.requirement("AIP-24")
def test_a_frame_over_the_limit_stops_the_run_after_what_came_before() -> None:
    run = pipeline("v1/openai").start(max_frame_bytes=300)
    events = run.feed(sse(choice({"content": "a"}), choice({"content": "x" * 400})))
    events += run.feed(b"\n")
    assert text(events) == "a"
    assert isinstance(run.error, PipelineError)


# ------------------------------------------------------------------------------ ends


@pytest.mark.requirement("AIP-32")
def test_usage_behind_the_finish_comes_as_metadata_before_the_end() -> None:
    for place in ("v1/openai", "v2/openai"):
        run, events = run_of(
            place,
            sse(
                choice({"content": "a"}, usage=None),
                choice({}, "stop", usage=None),
                {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}},
                {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 3, "total_tokens": 4}},
                "[DONE]",
            ),
        )
        assert kinds(events)[-3:] == ["Metadata", "Metadata", "StreamEnd"]
        assert events[-1].data.usage == {"prompt_tokens": 1, "completion_tokens": 3, "total_tokens": 4}
        assert run.answer().usage == events[-1].data.usage


@pytest.mark.requirement("AIP-32")
def test_the_literal_of_a_manifest_never_beats_the_providers_reason() -> None:
    _, events = run_of("v1/anthropic", ANTHROPIC.data)
    assert (events[-1].data.finish_reason, events[-1].data.stop_reason) == ("tool_use", "tool_use")
    silent = named(
        *block(0, {"type": "text", "text": ""}, {"type": "text_delta", "text": "x"}), {"type": "message_stop"}
    )
    _, events = run_of("v1/anthropic", silent)
    assert events[-1].data.finish_reason == "end_turn"


@pytest.mark.requirement("AIP-32")
def test_complete_is_told_before_the_usage_and_done_after_it() -> None:
    run = pipeline("v1/openai").start()
    run.feed(sse(choice({"content": "a"})))
    assert (run.complete, run.done, run.first_output) == (False, False, True)
    run.feed(sse(choice({}, "stop")))
    assert (run.complete, run.done) == (True, False)
    run.feed(sse("[DONE]"))
    assert (run.complete, run.done) == (True, True)


@pytest.mark.requirement("AIP-32")
def test_a_finished_answer_needs_no_done_signal() -> None:
    run, events = run_of("v1/openai", sse(choice({"content": "a"}), choice({}, "stop")))
    assert run.error is None
    assert kinds(events)[-1] == "StreamEnd"


@pytest.mark.requirement("AIP-33")
@pytest.mark.parametrize("reason", [None, ""])
def test_an_answer_without_a_reason_to_stop_is_cut_unless_the_done_signal_came(reason: str | None) -> None:
    for place in ("v1/openai", "v2/openai", "v1/mistral", "own/vllm"):
        cut = sse(choice({"content": "a"}, reason), choice({"content": "b"}, reason))
        run, events = run_of(place, cut)
        assert kinds(events) == ["PartialContentDelta", "PartialContentDelta"]
        assert isinstance(run.error, TransportError)
        assert run.error.kind == "stream_truncated"
        assert run.error.retryable
        assert run.error.partial.content == "ab"
        run, events = run_of(place, cut + sse("[DONE]"))
        assert run.error is None
        assert kinds(events)[-1] == "StreamEnd"


@pytest.mark.requirement("AIP-33")
def test_a_cut_call_is_in_the_partial_answer_and_does_not_end() -> None:
    run, events = run_of("v1/openai", sse(choice({"tool_calls": [tool(0, "f", '{"a"', "x")]})))
    assert kinds(events) == ["ToolCallStarted", "PartialToolCall"]
    assert isinstance(run.error, TransportError)
    (call,) = run.error.partial.tool_calls
    assert (call.function_name, call.arguments_raw) == ("f", '{"a"')


@pytest.mark.requirement("AIP-32")
def test_rubbish_behind_a_whole_answer_hurts_nobody() -> None:
    message_end = {"type": "message-end", "delta": {"finish_reason": "COMPLETE"}}
    run, events = run_of(
        "v1/cohere",
        sse({"type": "content-delta", "delta": {"message": {"content": {"text": "x"}}}}, message_end, "[DONE]"),
    )
    assert run.error is None
    assert kinds(events) == ["PartialContentDelta", "FinalCandidate", "StreamEnd"]


@pytest.mark.requirement("AIP-32", "AIP-108")
def test_a_refused_prompt_is_a_refusal_and_no_empty_answer() -> None:
    for place in ("v1/gemini", "v2/gemini"):
        run, events = run_of(
            place, sse({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 4}})
        )
        assert run.error is None
        assert (events[-1].data.finish_reason, events[-1].data.stop_reason) == ("SAFETY", "refusal")


@pytest.mark.requirement("AIP-32", "AIP-111")
def test_anthropics_usage_is_merged_over_the_stream() -> None:
    data = named(
        {
            "type": "message_start",
            "message": {"usage": {"input_tokens": 9, "cache_read_input_tokens": 2, "output_tokens": 1}},
        },
        *block(0, {"type": "text", "text": ""}, {"type": "text_delta", "text": "x"}),
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn"},
            "usage": {"input_tokens": 0, "output_tokens": 7},
        },
        {"type": "message_stop"},
    )
    for place in ("v1/anthropic", "v2/anthropic"):
        _, events = run_of(place, data)
        usage = events[-1].data.usage
        assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (11, 7, 18)


# ------------------------------------------------------------------------------ odd servers


@pytest.mark.requirement("AIP-105")
def test_frames_without_choices_or_deltas_say_nothing() -> None:
    frames = (
        {"choices": [], "prompt_filter_results": [{"prompt_index": 0}]},
        {"choices": [{"index": 0, "delta": None}]},
        {"choices": None},
        {"choices": [None]},
        {"choices": [{"index": 0, "delta": {"content": None, "tool_calls": None, "refusal": None}}]},
    )
    for place in ("v1/azure", "v1/openai", "v2/openai"):
        assert pipeline(place).start().feed(sse(*frames)) == []


@pytest.mark.requirement("AIP-105")
def test_a_whole_message_as_one_frame_is_read_as_if_it_were_a_delta() -> None:
    message = {
        "role": "assistant",
        "content": "hi",
        "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "{}"}}],
    }
    body = {"model": "m", "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}
    for place in ("v1/openai", "v2/openai", "v1/groq"):
        run = pipeline(place).start()
        events = run.feed(sse(body, "[DONE]"))
        assert text(events) == "hi"
        assert run.answer().tool_calls[0].function_name == "f"
        as_json = pipeline(place).start()
        assert as_json.feed_json(body) + as_json.close() == events


@pytest.mark.requirement("AIP-36")
@pytest.mark.parametrize(
    ("place", "body"),
    [
        (
            "v1/anthropic",
            {
                "type": "message",
                "model": "m",
                "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "s"},
                    {"type": "text", "text": "hi"},
                    {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}},
                ],
                "stop_reason": "tool_use",
                "usage": {"input_tokens": 1, "output_tokens": 2},
            },
        ),
        (
            "own/openai-responses",
            {
                "object": "response",
                "status": "completed",
                "model": "m",
                "output": [
                    {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]},
                    {"type": "message", "content": [{"type": "output_text", "text": "hi"}]},
                    {"type": "function_call", "call_id": "a", "name": "f", "arguments": '{"x":1}'},
                ],
                "usage": {"input_tokens": 1, "output_tokens": 2},
            },
        ),
        (
            "v1/cohere",
            {
                "message": {
                    "tool_plan": "hm",
                    "content": [{"type": "text", "text": "hi"}],
                    "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": '{"x":1}'}}],
                },
                "finish_reason": "TOOL_CALL",
                "usage": {"tokens": {"input_tokens": 1, "output_tokens": 2}},
            },
        ),
        (
            "v1/gemini",
            [
                part({"text": "hm", "thought": True}, {"text": "hi"}),
                part(
                    {"functionCall": {"name": "f", "args": {"x": 1}}},
                    finish="STOP",
                    usage={"promptTokenCount": 1, "candidatesTokenCount": 2},
                ),
            ],
        ),
        (
            "own/ollama",
            line(
                {"content": "hi", "thinking": "hm", "tool_calls": [{"function": {"name": "f", "arguments": {"x": 1}}}]},
                True,
                done_reason="stop",
                prompt_eval_count=1,
                eval_count=2,
            ),
        ),
    ],
    ids=["anthropic", "responses", "cohere", "gemini", "ollama"],
)
def test_a_plain_answer_where_a_stream_was_asked_for(place: str, body: Any) -> None:
    run = pipeline(place).start()
    events = run.feed_json(body) + run.close()
    answer = run.answer()
    assert run.error is None
    assert (answer.content, answer.thinking, answer.stop_reason) == ("hi", "hm", "tool_use")
    assert [(call.function_name, call.arguments) for call in answer.tool_calls] == [("f", {"x": 1})]
    assert answer.usage is not None
    assert (answer.usage["prompt_tokens"], answer.usage["completion_tokens"]) == (1, 2)
    assert kinds(events)[-1] == "StreamEnd"


@pytest.mark.requirement("AIP-105")
def test_groqs_usage_and_an_old_function_call() -> None:
    run, events = run_of(
        "v1/groq",
        sse(
            choice({"function_call": {"name": "f", "arguments": "{"}}),
            choice({"function_call": {"arguments": "}"}}),
            choice({}, "function_call", x_groq={"usage": {"prompt_tokens": 3, "completion_tokens": 4}}),
            "[DONE]",
        ),
    )
    assert run.answer().usage is not None
    assert events[-1].data.usage["total_tokens"] == 7
    assert events[-1].data.stop_reason == "tool_use"


@pytest.mark.requirement("AIP-105")
def test_calls_without_index_with_objects_and_signatures() -> None:
    call = {
        "function": {"name": "f", "arguments": {"x": 1}},
        "extra_content": {"google": {"thought_signature": "sig"}},
    }
    for place in ("v1/openai", "v2/openai", "own/lmstudio"):
        run, events = run_of(
            place,
            sse(
                choice({"tool_calls": [call, {"function": {"name": "f", "arguments": "{}"}}]}),
                choice({}, "stop"),
                "[DONE]",
            ),
        )
        made = run.answer().tool_calls
        assert [(one.function_name, one.arguments, one.signature) for one in made] == [
            ("f", {"x": 1}, "sig"),
            ("f", {}, None),
        ]
        assert events[-1].data.stop_reason == "tool_use"


@pytest.mark.requirement("AIP-107")
def test_a_tool_that_the_provider_runs_is_no_call_of_ours() -> None:
    data = named(
        *block(
            0,
            {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
            {"type": "input_json_delta", "partial_json": '{"query": "x"}'},
        ),
        *block(1, {"type": "web_search_tool_result", "tool_use_id": "s", "content": []}),
        *block(2, {"type": "text", "text": ""}, {"type": "text_delta", "text": "found"}),
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
        {"type": "message_stop"},
    )
    for place in ("v1/anthropic", "v2/anthropic"):
        run, events = run_of(place, data)
        assert run.answer().tool_calls == []
        assert not [event for event in events if event.event_type.startswith("ToolCall") or event.is_partial_tool_call]
        assert (run.answer().content, run.answer().stop_reason) == ("found", "end_turn")


@pytest.mark.requirement("AIP-107")
def test_redacted_thinking_is_kept() -> None:
    data = named(
        *block(0, {"type": "redacted_thinking", "data": "cipher"}),
        *block(1, {"type": "text", "text": ""}, {"type": "text_delta", "text": "x"}),
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
        {"type": "message_stop"},
    )
    run, events = run_of("v2/anthropic", data)
    (kept,) = run.answer().thinking_blocks
    assert (kept.type, kept.data, kept.text) == ("thinking", "cipher", None)
    assert events[0].data.extras["data"] == "cipher"


@pytest.mark.requirement("AIP-106")
def test_encrypted_reasoning_items_are_kept_for_the_next_request() -> None:
    item = {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "hm"}],
        "encrypted_content": "ENC",
    }
    data = named(
        {"type": "response.reasoning_summary_text.delta", "output_index": 0, "delta": "hm"},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.incomplete", "response": {"incomplete_details": {"reason": "max_output_tokens"}}},
    )
    run, events = run_of("own/openai-responses", data)
    (kept,) = run.answer().thinking_blocks
    assert (kept.text, kept.data, kept.id) == ("hm", "ENC", "rs_1")
    assert (events[-1].data.finish_reason, events[-1].data.stop_reason) == ("max_output_tokens", "max_tokens")


@pytest.mark.requirement("AIP-34")
def test_a_manifest_is_compiled_once_and_its_pipeline_shared() -> None:
    assert pipeline("v1/openai") is pipeline("v1/openai")
    assert manifest("v1/openai") is manifest("v1/openai")


@pytest.mark.requirement("AIP-30")
def test_fifty_parallel_calls() -> None:
    begun = [choice({"tool_calls": [tool(at, f"f{at}", "", f"id{at}") for at in range(50)]})]
    pieces = [
        choice({"tool_calls": [tool(at, None, piece) for at in reversed(range(50))]}) for piece in ('{"n":', "1", "}")
    ]
    for place in ("v1/openai", "v2/openai"):
        run, events = run_of(place, sse(*begun, *pieces, choice({}, "tool_calls"), "[DONE]"))
        assert [(call.id, call.function_name, call.arguments) for call in run.answer().tool_calls] == [
            (f"id{at}", f"f{at}", {"n": 1}) for at in range(50)
        ]
        assert kinds(events).count("ToolCallEnded") == 50
