"""A provider that says the worst its wire can say: nothing but our errors, and work that grows with the bytes only.

Each frame and each plain answer of each family is taken apart; every place in it gets every odd value
in turn. No assertion is about time: what is quadratic here does not end within the test's limit.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic_core import from_json
from tests.ai.wires.speak import SPEAKERS, Speaker
from tests.ai.wires.wording import Call

from dragoman.ai.adapters import build_chat, parse_answer
from dragoman.ai.adapters.call import ChatCall
from dragoman.ai.client.response import ChatResponse
from dragoman.ai.errors import AiLibError, PipelineError, RemoteError
from dragoman.ai.pipeline import Pipeline
from dragoman.ai.pipeline.assembler import MOST_CALLS
from dragoman.ai.pipeline.engine import MOST_CANDIDATES
from dragoman.ai.pipeline.families.family import MOST_PIECES
from dragoman.ai.protocol import ProtocolLoader, ProtocolManifest
from dragoman.ai.transport.http import encode_json
from dragoman.ai.types.message import Message, ToolCall

pytestmark = pytest.mark.requirement("AIP-24", "AIP-115")

EVERY = pytest.mark.parametrize("speaker", [pytest.param(each, id=each.name) for each in SPEAKERS])

ODD = [
    *(b"null", b"true", b"0", b"-1", b"1.5", b"1000000000000000000", b"-1e308", b"1e400", b"NaN", b"-Infinity"),
    *(b'""', b'"0"', b'"' + b"9" * 5000 + b'"', '"²"'.encode(), b'"\\u0000\\u001b[31m"', b'"\\ud800"', b'"\xff"'),
    *(b"9" * 4200, b"9" * 10_000, b'"' + b"a" * 100_000 + b'"', b'{"a":1,"a":2}'),
    *(b"[]", b"{}", b"[[]]", b"[{}]", b"[null]", b'["x"]', b'[{"type":{},"text":"x"}]', b'{"text":null}'),
    *(b"[" * 150 + b"]" * 150, b"[" * 5000 + b"]" * 5000, b'{"a":' * 5000 + b"1" + b"}" * 5000),
]


def manifest_of(speaker: Speaker) -> ProtocolManifest:
    return ProtocolLoader().load_provider_sync(speaker.model.partition("/")[0])


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield at
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield from places(one, (*at, key))


def with_odd(value: Any, at: tuple[Any, ...], odd: bytes) -> bytes:
    """The JSON text of a value with the odd text at one place."""
    if not at:
        return odd
    value = copy.deepcopy(value)
    holder = value
    for key in at[:-1]:
        holder = holder[key]
    holder[at[-1]] = "@odd@"
    return json.dumps(value).encode().replace(b'"@odd@"', odd)


def frames_of(speaker: Speaker) -> list[tuple[bytes, Any, bytes]]:
    """(what stands before it, the frame, what stands behind it) for each frame the family knows."""
    calls = [Call("find", {"a": 1}, "c1"), Call("look", {"b": "x"}, "c2")]
    found = []
    for written in [*speaker.text(["Hel", "lo"]), *speaker.calls(calls), *speaker.error()]:
        for part in written.splitlines(keepends=True):
            head, mark, tail = part.partition(b"{")
            if mark:
                body, end = tail.rsplit(b"}", 1)
                found.append((head, json.loads(b"{" + body + b"}"), end + b"\n\n"))
    return found


@EVERY
def test_whatever_stands_anywhere_in_a_frame_the_stream_is_read_or_refused(speaker: Speaker) -> None:
    manifest = manifest_of(speaker)
    whole = b"".join(speaker.text(["Hello"]))
    for before, frame, after in frames_of(speaker):
        for at in places(frame):
            for odd in ODD:
                run = Pipeline.from_manifest(manifest).start()
                events = run.feed(before + with_odd(frame, at, odd) + after + whole) + run.close()
                assert all(event.to_dict() for event in events)
                for call in run.answer().tool_calls:
                    json.dumps(call.arguments, allow_nan=False).encode()


@EVERY
def test_whatever_stands_anywhere_in_a_plain_answer_it_is_read_or_refused(speaker: Speaker) -> None:
    manifest = manifest_of(speaker)
    answer = speaker.plain("Hello", [Call("find", {"a": 1}, "c1")])
    for at in places(answer):
        for odd in ODD:
            body = with_odd(answer, at, odd)
            try:
                read = ChatResponse.from_answer(parse_answer(manifest, body))
            except AiLibError:
                continue
            assert read.prompt_tokens is None or isinstance(read.prompt_tokens, int)


@EVERY
def test_a_whole_answer_in_the_place_of_a_stream_may_be_as_odd(speaker: Speaker) -> None:
    manifest = manifest_of(speaker)
    answer = speaker.plain("Hello", [Call("find", {"a": 1}, "c1")])
    for at in places(answer):
        for odd in ODD:
            try:
                value = from_json(with_odd(answer, at, odd))
            except ValueError:
                continue
            run = Pipeline.from_manifest(manifest).start()
            run.feed_json(value)
            run.close()
            run.answer()


@EVERY
def test_whatever_stands_anywhere_in_an_error_it_is_one_that_can_be_written(speaker: Speaker) -> None:
    manifest = manifest_of(speaker)
    body = {**speaker.refused(429), "details": [{"retryDelay": "3s"}], "request_id": "r", "errors": [{"reason": "x"}]}
    for at in places(body):
        for odd in ODD:
            error = RemoteError.from_response(
                429, with_odd(body, at, odd), {}, manifest.error_classification, limit_headers=None
            )
            assert len(str(error).encode()) < 20_000
            assert error.retry_after is None or 0 <= error.retry_after < float("inf")


# --------------------------------------------------------------------------- bombs


def choices(*given: Any, **beside: Any) -> bytes:
    return b"data: " + json.dumps({"id": "c", **beside, "choices": list(given)}).encode() + b"\n\n"


def call(index: int | None, **fields: Any) -> Any:
    piece = {**({} if index is None else {"index": index}), **fields}
    return {"index": 0, "delta": {"tool_calls": [piece]}, "finish_reason": "tool_calls"}


def refused(name: str, *chunks: bytes) -> str:
    run = Pipeline.from_manifest(ProtocolLoader().load_provider_sync(name)).start()
    for chunk in chunks:
        run.feed(chunk)
    run.close()
    assert isinstance(run.error, PipelineError)
    return str(run.error)


@pytest.mark.parametrize("name", ["openai", "mistral"])
@pytest.mark.requirement("AIP-26", "AIP-30")
def test_an_answer_of_too_many_candidates_pieces_or_calls_is_refused(name: str) -> None:
    many = [choices({"index": n, "delta": {"content": "x"}}) for n in range(MOST_CANDIDATES + 1)]
    assert "candidates" in refused(name, *many)
    beside = {f"key{n}": "x" for n in range(2000)}
    assert "candidates" in refused(name, choices(*[{"delta": {"content": "x"}}] * (MOST_PIECES + 1), **beside))
    function = {"name": "f", "arguments": "{}"}
    called = [choices(call(n, id=f"c{n}", function=function)) for n in range(MOST_CALLS + 1)]
    assert "tool calls" in refused(name, *called)
    unnamed = [choices(call(None, id=f"c{n}", function={"arguments": "{"})) for n in range(MOST_CALLS + 1)]
    assert "tool calls" in refused(name, *unnamed)


@pytest.mark.requirement("AIP-26")
def test_parts_without_end_are_refused() -> None:
    parts = {"parts": [{"text": "x"}] * (MOST_PIECES + 1)}
    frame = b"data: " + json.dumps({"candidates": [{"content": parts}]}).encode() + b"\n\n"
    assert "parts" in refused("gemini", frame)


@pytest.mark.requirement("AIP-30")
def test_a_hundred_thousand_pieces_of_one_call_in_one_frame_cost_no_more_than_they_weigh() -> None:
    """Each used to be compared with all before it."""
    pieces = [
        {"index": 0, "id": "c", "function": {"name": "f"}},
        *[{"index": 0, "function": {"arguments": " "}}] * 100_000,
    ]
    run = Pipeline.from_manifest(ProtocolLoader().load_provider_sync("openai")).start()
    run.feed(choices({"index": 0, "delta": {"tool_calls": pieces}, "finish_reason": "tool_calls"}))
    (call,) = run.answer().tool_calls
    assert call.arguments_raw is not None
    assert len(call.arguments_raw) == 100_000


@pytest.mark.requirement("AIP-30", "AIP-31")
def test_an_end_with_every_call_costs_no_look_at_all_calls_before() -> None:
    run = Pipeline.from_manifest(ProtocolLoader().load_provider_sync("openai")).start()
    function = {"name": "f", "arguments": "{}"}
    for n in range(MOST_CALLS):
        run.feed(choices(call(n, id=f"c{n}", function=function)))
    for _ in range(40_000):
        run.feed(choices({"index": 0, "delta": {}, "finish_reason": "tool_calls"}))
    assert len(run.answer().tool_calls) == MOST_CALLS


@pytest.mark.requirement("AIP-30")
def test_two_calls_of_one_id_are_told_apart() -> None:
    """Else the arguments of one would reach the tool of the other."""
    run = Pipeline.from_manifest(ProtocolLoader().load_provider_sync("openai")).start()
    begun = [
        {"index": 0, "id": "x", "function": {"name": "read", "arguments": '{"a":'}},
        {"index": 1, "id": "x", "function": {"name": "drop", "arguments": '{"b":'}},
    ]
    rest = [{"index": 1, "function": {"arguments": "2}"}}, {"index": 0, "function": {"arguments": "1}"}}]
    events = run.feed(choices({"index": 0, "delta": {"tool_calls": begun}}))
    events += run.feed(choices({"index": 0, "delta": {"tool_calls": rest}, "finish_reason": "tool_calls"}))
    made = {call.function_name: (call.id, call.arguments) for call in run.answer().tool_calls}
    assert made["read"] == ("x", {"a": 1})
    assert made["drop"][1] == {"b": 2}
    assert made["drop"][0] != "x"
    told: dict[str, str] = {}
    for event in events:
        if event.is_partial_tool_call:
            piece = event.as_partial_tool_call
            told[piece.tool_call_id] = told.get(piece.tool_call_id, "") + piece.arguments
    assert told == {"x": '{"a":1}', made["drop"][0]: '{"b":2}'}


@pytest.mark.parametrize("text", ["NaN", "1e400", "-Infinity", "9" * 5000, "[" * 100_000])
@pytest.mark.requirement("AIP-30")
def test_arguments_that_cannot_be_written_again_are_none(text: str) -> None:
    run = Pipeline.from_manifest(ProtocolLoader().load_provider_sync("openai")).start()
    function = {"name": "f", "arguments": f'{{"a": {text}}}'}
    run.feed(choices(call(0, id="c", function=function)))
    (made,) = run.answer().tool_calls
    assert (made.arguments, made.parse_error is not None) == ({}, True)


@pytest.mark.requirement("AIP-37")
def test_of_an_endless_message_the_beginning_is_told() -> None:
    for body in ({"error": {"message": "token: " * 200_000}}, {"error": "<script " * 200_000}, "<" * 1_000_000):
        assert len(RemoteError.from_response(500, body).message) < 10_000
    assert RemoteError.from_response(500, {"error": {"message": "m", "code": "c" * 100_000}}, {}).message == "m"


@pytest.mark.requirement("AIP-39")
@pytest.mark.parametrize(
    "value", ["-1", "NaN", "inf", "1e400", "9" * 5000, "1m" * 5000, "²", "", "Wed, 21 Oct 99999999999 07:28:00 GMT"]
)
def test_no_retry_after_is_endless_or_an_exception(value: str) -> None:
    for headers in ({"retry-after": value}, {"retry-after-ms": value}, {"retry-after": value, "date": value}):
        for now in (None, 1.7e9):
            wait = RemoteError.from_response(429, {}, headers, now=now).retry_after
            assert wait is None or 0 <= wait < 1e12
    details = {"error": {"message": "m", "details": [{"retryDelay": "9" * 400 + "s"}]}}
    assert RemoteError.from_response(429, details).retry_after is None


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a":' * 600 + "1" + "}" * 600, '{"a": NaN}', '{"a": "\\ud800"}', "9" * 5000]
)
@pytest.mark.requirement("AIP-20")
@EVERY
def test_whatever_a_tool_has_found_the_next_request_can_be_made(speaker: Speaker, text: str) -> None:
    """A page that a tool has read must not end the conversation about it."""
    made = ToolCall.from_openai_format("c1", "find", "{}")
    messages = [
        Message.user("Hello"),
        Message(role="assistant", content="", tool_calls=[made]),
        Message.tool("c1", text),
    ]
    request = build_chat(manifest_of(speaker), ChatCall("m", messages))
    assert encode_json(request.body)
