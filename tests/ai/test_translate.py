"""What a model is told and what is heard of it, between the core's words and those of `dragoman.ai`."""

from __future__ import annotations

import base64
import re
from typing import Any

import pytest

from dragoman.ai.errors import RemoteError
from dragoman.ai.translate import Hearing, messages_of, tools_of
from dragoman.ai.types.events import StreamingEvent as E
from dragoman.core import messages as core
from dragoman.core.usage import Usage

CAT = base64.b64encode(b"a cat").decode()


def told(*messages: core.Message, origin: str = "p", **request: Any) -> list[dict[str, Any]]:
    return [message.to_dict() for message in messages_of(core.ModelRequest("p/m", messages, **request), origin)]


def heard(*events: E, origin: str = "p", family: str | None = None) -> list[Any]:
    hearing = Hearing(origin, family=family)
    return [piece for event in events for piece in hearing.take(event)]


def call(provider: dict[str, Any] | None = None, id: str = "ours-1") -> core.ToolCallPart:
    return core.ToolCallPart(id, "add", {"a": 1}, provider)


# --------------------------------------------------------------------------- what is asked


def test_instructions_come_first_and_plain_text_stays_plain() -> None:
    messages = (core.Message.of("user", "Hi"), core.Message.of("assistant", "Hello"))
    assert told(*messages, instructions="Be brief.") == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello"},
    ]


def test_tools_keep_their_schema() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "number"}}, "required": ["a"]}
    request = core.ModelRequest("p/m", (), tools=(core.ToolSpec("add", "Adds.", schema),))
    assert [tool.to_dict() for tool in tools_of(request)] == [
        {"type": "function", "function": {"name": "add", "description": "Adds.", "parameters": schema}}
    ]


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (
            core.FilePart(f"data:image/png;base64,{CAT}", "image/png"),
            {"type": "image", "source": {"source_type": "base64", "media_type": "image/png", "data": CAT}},
        ),
        (
            core.FilePart("https://example.com/cat.png", "image/png"),
            {"type": "image", "source": {"source_type": "url", "data": "https://example.com/cat.png"}},
        ),
        (
            core.FilePart(f"data:audio/wav;base64,{CAT}", "audio/wav"),
            {"type": "audio", "source": {"source_type": "base64", "media_type": "audio/wav", "data": CAT}},
        ),
        (
            core.FilePart(f"data:application/pdf;base64,{CAT}", "application/pdf", "cat.pdf"),
            {
                "type": "document",
                "source": {"source_type": "base64", "media_type": "application/pdf", "data": CAT},
                "name": "cat.pdf",
            },
        ),
    ],
)
def test_files_become_blocks_of_their_kind(part: core.FilePart, block: dict[str, Any]) -> None:
    message = core.Message("user", (core.TextPart("See"), part))
    assert told(message) == [{"role": "user", "content": [{"type": "text", "text": "See"}, block]}]


@pytest.mark.parametrize(
    "url", ["data:text/plain,a%2C%20b", f"data:text/plain;base64,{base64.b64encode(b'a, b').decode()}"]
)
def test_a_text_file_is_told_as_text(url: str) -> None:
    message = core.Message("user", (core.TextPart("See"), core.FilePart(url, "text/plain", "notes.txt")))
    assert told(message) == [{"role": "user", "content": "See\n\nnotes.txt:\na, b"}]


@pytest.mark.requirement("AIP-21")
def test_a_call_and_its_result_share_an_id_that_every_provider_takes() -> None:
    result = core.ToolResultPart("ours-1", "add", {"sum": 2})
    said, answered = told(core.Message("assistant", (call(),)), core.Message("tool", (result,)))
    (block,) = said["content"]
    assert (block["type"], block["name"], block["input"]) == ("tool_use", "add", {"a": 1})
    assert re.fullmatch(r"[A-Za-z0-9]{9}", block["id"])
    assert answered == {"role": "tool", "content": '{"sum":2}', "tool_call_id": block["id"]}


@pytest.mark.requirement("AIP-21")
def test_a_provider_sees_its_own_ids_marks_and_reasoning_again_and_in_their_order() -> None:
    thought = core.ReasoningPart("hm", {"of": "p", "signature": "s1"})
    sealed = core.ReasoningPart("", {"of": "p", "data": "opaque"})
    signed = call({"of": "p", "id": "toolu_1", "signature": "s2"})
    (said,) = told(core.Message("assistant", (thought, sealed, core.TextPart("So:"), signed)))
    assert said["content"] == [
        {"type": "thinking", "text": "hm", "signature": "s1"},
        {"type": "thinking", "text": "", "data": "opaque"},
        {"type": "text", "text": "So:"},
        {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {"a": 1}, "signature": "s2"},
    ]


def test_what_belongs_to_another_provider_is_told_to_nobody_else() -> None:
    thought = core.ReasoningPart("hm", {"of": "other", "signature": "s1"})
    signed = call({"of": "other", "id": "toolu_1", "signature": "s2"})
    (said,) = told(core.Message("assistant", (thought, core.ReasoningPart("unsigned"), signed)))
    (block,) = said["content"]
    assert block["type"] == "tool_use"
    assert block["id"] != "toolu_1"
    assert "signature" not in block


def test_an_id_that_a_provider_uses_twice_is_sent_once() -> None:
    first, second = call({"of": "p", "id": "call_0"}), call({"of": "p", "id": "call_0"}, id="ours-2")
    results = [core.Message("tool", (core.ToolResultPart(c.call_id, "add", c.call_id),)) for c in (first, second)]
    wire = told(core.Message("assistant", (first,)), results[0], core.Message("assistant", (second,)), results[1])
    ids = [message["content"][0]["id"] for message in wire if message["role"] == "assistant"]
    assert ids[0] == "call_0"
    assert len(set(ids)) == 2
    assert [message["tool_call_id"] for message in wire if message["role"] == "tool"] == ids


@pytest.mark.parametrize(
    ("outcome", "output", "text"),
    [("error", "no such city", "error: no such city"), ("denied", "denied: no", "denied: no")],
)
def test_a_result_that_is_none_says_so(outcome: Any, output: str, text: str) -> None:
    result = core.ToolResultPart("ours-1", "add", output, outcome)
    _, answered = told(core.Message("assistant", (call(),)), core.Message("tool", (result,)))
    (block,) = answered["content"]
    assert (block["type"], block["content"], block["is_error"]) == ("tool_result", text, True)
    assert block["tool_use_id"] == answered["tool_call_id"]


# --------------------------------------------------------------------------- what is answered


def test_text_and_finish_come_as_they_are() -> None:
    assert heard(E.content_delta("He"), E.content_delta("y"), E.stream_end("stop", stop_reason="end_turn")) == [
        core.ModelText("He"),
        core.ModelText("y"),
        core.ModelFinish("stop"),
    ]


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", "stop"),
        ("max_tokens", "length"),
        ("tool_use", "tool-calls"),
        ("refusal", "content-filter"),
        ("pause_turn", "other"),
        ("brand_new", "other"),
        (None, "stop"),
    ],
)
def test_every_reason_has_a_word(reason: str | None, finish: Any) -> None:
    assert heard(E.stream_end("x", stop_reason=reason)) == [core.ModelFinish(finish)]


@pytest.mark.requirement("AIP-21")
def test_a_seal_ends_its_stretch_of_reasoning() -> None:
    pieces = heard(
        E.thinking_delta("I "),
        E.thinking_delta("think"),
        E.thinking_delta("", signature="s1"),
        E.thinking_delta("", data="opaque"),
        E.content_delta("so"),
    )
    assert pieces == [
        core.ModelReasoning("I "),
        core.ModelReasoning("think"),
        core.ModelReasoning("", {"of": "p", "signature": "s1"}),
        core.ModelReasoning("", {"of": "p", "data": "opaque"}),
        core.ModelText("so"),
    ]


def test_reasoning_without_a_seal_tells_whose_it_was() -> None:
    assert heard(E.thinking_delta("hm", id="rs_1"), E.stream_end(stop_reason="end_turn")) == [
        core.ModelReasoning("hm"),
        core.ModelReasoning("", {"of": "p", "id": "rs_1"}),
        core.ModelFinish("stop"),
    ]


@pytest.mark.requirement("AIP-20", "AIP-21")
def test_calls_come_in_pieces_and_whole() -> None:
    pieces = heard(
        E.tool_call_started("c1", "add", 0),
        E.tool_call_started("c2", "now", 1),
        E.partial_tool_call("c1", '{"a":', 0),
        E.partial_tool_call("c1", "1}", 0, True),
        E.tool_call_ended("c1", 0, signature="s"),
        E.tool_call_ended("c2", 1),
        E.tool_call_ended("c2", 1),
    )
    assert pieces == [
        core.ModelToolDelta("c1", "add", '{"a":'),
        core.ModelToolDelta("c1", "add", "1}"),
        core.ModelToolCall("c1", "add", '{"a":1}', {"of": "p", "id": "c1", "signature": "s"}),
        core.ModelToolCall("c2", "now", "", {"of": "p", "id": "c2"}),
    ]


def test_a_mark_says_of_which_family_of_wires_it_is() -> None:
    pieces = heard(
        E.thinking_delta("", signature="s1"),
        E.tool_call_started("c1", "add", signature="s2"),
        E.tool_call_ended("c1"),
        family="gemini",
    )
    assert [piece.provider for piece in pieces] == [
        {"of": "p", "signature": "s1", "family": "gemini"},
        {"of": "p", "id": "c1", "signature": "s2", "family": "gemini"},
    ]


@pytest.mark.requirement("AIP-111")
def test_usage_is_told_once_as_reported() -> None:
    usage = {"prompt_tokens": 7, "completion_tokens": 0, "cache_read_tokens": 2, "cost": 0.0125, "total_tokens": 7}
    pieces = heard(E.metadata(usage={"prompt_tokens": 7}), E.stream_end(stop_reason="end_turn", usage=usage))
    assert pieces == [core.ModelUsage(Usage(7, 0, 2), 0.0125), core.ModelFinish("stop")]


@pytest.mark.parametrize("usage", [None, {}, {"queue_time": 0.1}, {"prompt_tokens": None}, {"prompt_tokens": "7"}])
def test_usage_that_says_nothing_is_not_told(usage: dict[str, Any] | None) -> None:
    assert heard(E.stream_end(stop_reason="end_turn", usage=usage)) == [core.ModelFinish("stop")]


def test_usage_of_a_stream_that_breaks_can_be_asked_for_once() -> None:
    hearing = Hearing("p")
    assert list(hearing.take(E.metadata(usage={"prompt_tokens": 7}))) == []
    assert list(hearing.usage()) == [core.ModelUsage(Usage(7))]
    assert list(hearing.usage()) == []


def test_other_candidates_are_not_told() -> None:
    assert heard(E.content_delta("a"), E.content_delta("b", candidate_index=1)) == [core.ModelText("a")]


@pytest.mark.requirement("AIP-33")
def test_an_error_of_the_provider_is_raised_and_a_frame_that_nobody_can_read_is_not() -> None:
    assert heard(E.stream_error({"type": "malformed_frame", "text": "…"}), E.content_delta("a")) == [
        core.ModelText("a")
    ]
    with pytest.raises(RemoteError, match="Overloaded") as caught:
        heard(E.stream_error({"type": "overloaded_error", "message": "Overloaded"}))
    assert caught.value.retryable
