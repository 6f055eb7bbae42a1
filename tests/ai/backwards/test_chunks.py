"""Chunks and whole answers to the letter: what each event becomes, and what it costs."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from dragoman.ai.backwards import ChunkEncoder, completion, openai_usage
from dragoman.ai.backwards.core_words import Fold, core_messages, model_request
from dragoman.ai.backwards.messages import read_messages
from dragoman.ai.backwards.request import read_request
from dragoman.ai.pipeline.answer import Candidate
from dragoman.ai.types import StreamingEvent as S
from dragoman.ai.types.message import ContentBlock, ToolCall
from dragoman.core.message_json import decode_messages, encode_messages
from dragoman.core.messages import FilePart, Message, ReasoningPart, TextPart, ToolCallPart, ToolResultPart

pytestmark = pytest.mark.requirement("AIP-105")


def encoder(**more: Any) -> ChunkEncoder:
    return ChunkEncoder(id="chatcmpl-1", created=7, model="a/b", **more)


def told(data: bytes) -> list[Any]:
    payloads = [frame.removeprefix(b"data: ") for frame in data.split(b"\n\n") if frame]
    return ["[DONE]" if payload == b"[DONE]" else json.loads(payload) for payload in payloads]


def head(**more: Any) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 7, "model": "a/b", **more}


def choice(delta: Any, finish: str | None = None, index: int = 0) -> dict[str, Any]:
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}


ROLE = {"role": "assistant", "content": "", "refusal": None}


def test_text_comes_behind_the_role_and_before_the_reason() -> None:
    made = encoder()
    data = (
        made.event(S.content_delta("Hé\n"))
        + made.event(S.content_delta('"'))
        + made.event(S.stream_end("x", "end_turn"))
    )
    assert told(data + made.end()) == [
        head(choices=[choice(ROLE)]),
        head(choices=[choice({"content": "Hé\n"})]),
        head(choices=[choice({"content": '"'})]),
        head(choices=[choice({}, "stop")]),
        "[DONE]",
    ]
    assert made.end() == b""


def test_usage_is_the_last_chunk_and_null_before() -> None:
    made = encoder(include_usage=True)
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "cache_read_tokens": 1, "reasoning_tokens": 1, "cost": 0.5}
    chunks = told(made.event(S.content_delta("x")) + made.event(S.metadata(usage)) + made.end())
    assert [chunk["usage"] for chunk in chunks[:-2]] == [None, None, None]
    last = chunks[-2]
    assert (last["choices"], last["usage"]["total_tokens"], last["usage"]["cost"]) == ([], 5, 0.5)
    assert last["usage"]["prompt_tokens_details"]["cached_tokens"] == 1
    assert last["usage"]["completion_tokens_details"]["reasoning_tokens"] == 1


def test_counts_that_nobody_knows_are_not_made_up() -> None:
    made = encoder(include_usage=True)
    assert told(made.event(S.content_delta("x")) + made.end())[-2]["choices"][0]["finish_reason"] == "stop"
    assert openai_usage(None) is openai_usage({}) is None


def test_calls_are_numbered_and_one_without_arguments_gets_those_of_an_empty_object() -> None:
    made = encoder()
    events = [
        S.tool_call_started("a", "add", 0),
        S.tool_call_started("b", "now", 5),
        S.partial_tool_call("a", '{"x":'),
        S.partial_tool_call("a", "1}"),
        S.tool_call_ended("a"),
        S.tool_call_ended("b"),
        S.stream_end("x", "tool_use"),
    ]
    chunks = told(b"".join(made.event(event) for event in events) + made.end())
    calls = [call for chunk in chunks[1:-2] for call in chunk["choices"][0]["delta"]["tool_calls"]]
    assert calls == [
        {"index": 0, "id": "a", "type": "function", "function": {"name": "add", "arguments": ""}},
        {"index": 1, "id": "b", "type": "function", "function": {"name": "now", "arguments": ""}},
        {"index": 0, "function": {"arguments": '{"x":'}},
        {"index": 0, "function": {"arguments": "1}"}},
        {"index": 1, "function": {"arguments": "{}"}},
    ]
    assert chunks[-2]["choices"] == [choice({}, "tool_calls")]


def test_reasoning_and_its_seal_come_in_fields_of_their_own_and_go_back() -> None:
    made = encoder()
    data = made.event(S.thinking_delta("hm")) + made.event(S.thinking_delta("", signature="sig", family="anthropic"))
    chunks = told(data)
    assert chunks[1]["choices"][0]["delta"] == {"reasoning_content": "hm"}
    sealed = {"type": "thinking", "signature": "sig", "family": "anthropic"}
    assert chunks[2]["choices"][0]["delta"] == {"thinking_blocks": [sealed]}
    said = read_messages([{"role": "assistant", "content": "x", "thinking_blocks": [{**sealed, "thinking": "hm"}]}])
    block = said.messages[0].content[0]
    assert isinstance(block, ContentBlock)
    assert (block.text, block.signature, block.model_dump()["family"]) == ("hm", "sig", "anthropic")


def test_a_signature_on_a_call_comes_with_it_and_goes_back() -> None:
    call = ToolCall.from_openai_format("c", "add", "{}").model_copy(update={"signature": "sig"})
    body = completion([Candidate(tool_calls=[call])], None, id="i", created=1, model="m")
    message = body["choices"][0]["message"]
    assert message["tool_calls"][0]["extra_content"] == {"google": {"thought_signature": "sig"}}
    back = read_messages([message]).messages[0].tool_calls
    assert back is not None
    assert back[0].signature == "sig"


def test_candidates_are_told_apart() -> None:
    made = encoder()
    events = [S.content_delta("a", None, 0), S.content_delta("b", None, 1), S.final_candidate(1, "x", "max_tokens")]
    chunks = told(b"".join(made.event(event) for event in events) + made.end())
    assert [(c["choices"][0]["index"], c["choices"][0]["finish_reason"]) for c in chunks[-3:-1]] == [
        (0, "stop"),
        (1, "length"),
    ]


def test_an_answer_without_a_word_has_a_role_and_a_reason() -> None:
    made = encoder()
    made.event(S.stream_end("SAFETY", "refusal"))
    assert told(made.end()) == [head(choices=[choice(ROLE)]), head(choices=[choice({}, "content_filter")]), "[DONE]"]


def test_half_a_character_does_not_stop_a_stream() -> None:
    assert told(encoder().event(S.content_delta("a\ud83d")))[-1]["choices"][0]["delta"]["content"] == "a\ufffd"


@pytest.mark.parametrize(
    ("stop", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("pause_turn", "stop"),
        ("other", "stop"),
        (None, "stop"),
    ],
)
def test_reasons(stop: str | None, finish: str) -> None:
    made = encoder()
    made.event(S.content_delta("x"))
    made.event(S.stream_end("word", stop))
    assert told(made.end())[0]["choices"][0]["finish_reason"] == finish
    body = completion([Candidate(content="x", stop_reason=stop)], None, id="i", created=1, model="m")
    assert body["choices"][0]["finish_reason"] == finish


def test_arguments_cost_the_same_however_many_there_are() -> None:
    def cost(count: int) -> float:
        made, event = encoder(), S.partial_tool_call("a", "1")
        made.event(S.tool_call_started("a", "add", 0))
        began = time.process_time()
        for _ in range(count):
            made.event(event)
        return (time.process_time() - began) / count

    cost(2000)
    assert min(cost(20_000) for _ in range(3)) < 3 * min(cost(1000) for _ in range(5))


# --------------------------------------------------------------------------- the core's words


def test_a_request_in_the_cores_words() -> None:
    body = {
        "model": "m",
        "messages": [
            {"role": "developer", "content": "Be brief."},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "see"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                    {"type": "file", "file": {"filename": "a.pdf", "file_data": "JVBERi0="}},
                ],
            },
            {
                "role": "assistant",
                "content": None,
                "reasoning_content": "hm",
                "tool_calls": [{"id": "c", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}}],
            },
            {"role": "tool", "tool_call_id": "c", "content": '{"sum": 1}'},
        ],
        "tools": [
            {"type": "function", "function": {"name": "add", "description": "Adds.", "parameters": {"type": "object"}}}
        ],
        "temperature": 1,
        "stop": "x",
        "user": "u",
        "of_tomorrow": 1,
    }
    request = model_request(read_request(body))
    assert request.messages == (
        Message.of("system", "Be brief."),
        Message(
            "user",
            (
                TextPart("see"),
                FilePart("data:image/png;base64,AAAA", "image/png"),
                FilePart("data:application/pdf;base64,JVBERi0=", "application/pdf", "a.pdf"),
            ),
        ),
        Message("assistant", (ReasoningPart("hm"), ToolCallPart("c", "add", {"a": 1}))),
        Message("tool", (ToolResultPart("c", "add", {"sum": 1}),)),
    )
    assert [(tool.name, tool.description) for tool in request.tools] == [("add", "Adds.")]
    assert request.options == {"temperature": 1, "stop_sequences": ["x"], "user": "u", "of_tomorrow": 1}
    assert decode_messages(json.loads(json.dumps(encode_messages(request.messages)))) == request.messages


def test_messages_as_json_keep_every_kind_of_result() -> None:
    kept = (
        Message("assistant", (TextPart("x", {"of": "p"}), ReasoningPart("y", {"of": "p"}), ToolCallPart("c", "n", {}))),
        Message("tool", (ToolResultPart("c", "n", None), ToolResultPart("d", "n", [1], "error"))),
        Message("user", (FilePart("https://x", "a/b", None, "text"),)),
    )
    assert decode_messages(json.loads(json.dumps(encode_messages(kept)))) == kept


def test_results_that_are_no_json_stay_text() -> None:
    messages = read_messages([{"role": "tool", "tool_call_id": "c", "content": "[not json"}]).messages
    assert core_messages(messages) == (Message("tool", (ToolResultPart("c", "", "[not json"),)),)


def test_a_fold_of_nothing_is_an_empty_answer() -> None:
    assert [one.content for one in Fold().candidates()] == [""]
