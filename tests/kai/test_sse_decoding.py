"""Bytes of a stream → events, by the standard, at any split, through every door there is."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.kai.shells import FINISH, Shell, scripted, sse, streamed

from dragoman.kai import (
    FinishEvent,
    KaiStreamError,
    KaiTimeoutError,
    SSEEvent,
    SSEStreamParser,
    TextEvent,
    UnknownEvent,
    parse_sse_event,
    parse_sse_stream,
)
from dragoman.kai.chunks import DONE, OPENING, encode_chunk, encode_chunks
from dragoman.kai.codec import ChunkDecoder
from dragoman.kai.sse import EventDecoder
from dragoman.transport.scripted import Reply
from dragoman.wire.http import Headers

END = b'data: {"type":"finish"}\n\n'
HI = {"type": "text-delta", "id": "t", "delta": "hi"}
ODD_LINE_ENDS = "a\u0085b\u2028c\u2029d\x0be\x0cf\x1cg\x1dh\x1ei"

TABLE: list[tuple[str, bytes, list[Any]]] = [
    ("one event", b'data: {"a":1}\n\n', [{"a": 1}]),
    ("E02 no blank after the colon", b'data:{"a":1}\n\n', [{"a": 1}]),
    ("E03 lines joined by LF", b'data: {"a":\ndata: 1}\n\n', [{"a": 1}]),
    ("E03 each line an event", b'data: {"a":1}\ndata: {"b":2}\n', [{"a": 1}, {"b": 2}]),
    ("E03 with a done mark", b'data: {"a":1}\ndata: [DONE]\n', [{"a": 1}]),
    ("E04 odd line ends inside", f'data: {{"a":"{ODD_LINE_ENDS}"}}\n\n'.encode(), [{"a": ODD_LINE_ENDS}]),
    ("E05 BOM", b'\xef\xbb\xbfdata: {"a":1}\n\n', [{"a": 1}]),
    ("E06 CRLF", b'data: {"a":1}\r\n\r\ndata: {"b":2}\r\n\r\n', [{"a": 1}, {"b": 2}]),
    ("E06 CR", b'data: {"a":1}\r\rdata: {"b":2}\r\r', [{"a": 1}, {"b": 2}]),
    ("E06 no blank line at the end", b'data: {"a":1}\n\ndata: {"b":2}', [{"a": 1}, {"b": 2}]),
    ("E06 UTF-8", 'data: {"a":"é€😀"}\n\n'.encode(), [{"a": "é€😀"}]),
    ("E08 no objects", b'data: [1]\n\ndata: "x"\n\ndata: null\n\n', [[1], "x", None]),
    ("E37 heartbeats and other fields", b': hi\n\nretry: 5\nid: 1\nevent: x\ndata: {"a":1}\n\n: bye\n\n', [{"a": 1}]),
    ("empty data", b"data:\n\ndata: \n\ndata: [DONE]\n\n", []),
    ("not UTF-8", b'data: {"a":"\xff"}\n\n', [{"a": "\ufffd"}]),
    ("half of a surrogate pair", b'data: {"a\\ud83d":["\\ud83d"],"b":1}\n\n', [{"a\ufffd": ["\ufffd"], "b": 1}]),
    ("a whole surrogate pair", b'data: {"a":"\\ud83d\\ude00"}\n\n', [{"a": "😀"}]),
    ("nothing", b"", []),
]


def decoded(pieces: Iterable[bytes]) -> list[Any]:
    decoder = ChunkDecoder()
    chunks = [chunk for piece in pieces for chunk in decoder.feed(piece)] + decoder.end()
    assert decoder.error is None
    return chunks


@pytest.mark.requirement("KAI-08")
@pytest.mark.parametrize(("data", "chunks"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
class TestEveryRow:
    def test_whole(self, data: bytes, chunks: list[Any]) -> None:
        assert decoded([data]) == chunks

    def test_byte_by_byte(self, data: bytes, chunks: list[Any]) -> None:
        assert decoded(data[i : i + 1] for i in range(len(data))) == chunks

    def test_cut_at_each_place(self, data: bytes, chunks: list[Any]) -> None:
        for place in range(len(data)):
            assert decoded([data[:place], b"", data[place:]]) == chunks


WIRE_TEXT = st.text(st.characters(exclude_categories=("Cs",)))
CHUNK = st.fixed_dictionaries({"type": st.just("text-delta"), "id": WIRE_TEXT, "delta": WIRE_TEXT}) | st.dictionaries(
    WIRE_TEXT, st.integers() | WIRE_TEXT | st.none() | st.lists(st.booleans(), max_size=2), max_size=3
).map(lambda fields: {**fields, "type": "data-x"})


@pytest.mark.requirement("KAI-08")
@given(st.lists(CHUNK, max_size=5), st.data())
def test_what_our_server_encodes_our_client_decodes(chunks: list[dict[str, Any]], data: st.DataObject) -> None:
    wire = OPENING + encode_chunks(chunks) + DONE
    place = data.draw(st.integers(0, len(wire)))
    assert decoded([wire[:place], wire[place:]]) == chunks
    assert b"".join(encode_chunk(chunk) for chunk in decoded([wire])) == encode_chunks(chunks)


@pytest.mark.requirement("KAI-08")
def test_a_bad_event_ends_decoding_after_the_events_before_it() -> None:
    decoder = EventDecoder()
    data = sse(HI, {"type": "text", "text": "!"}).removesuffix(b"data: [DONE]\n\n") + b"data: {oops\n\n" + END
    events = decoder.feed(data)
    assert [event.type for event in events] == ["text", "text"]
    error = decoder.error
    assert error is not None
    assert (error.code, error.partial.events, error.partial_text) == ("stream:bad_event", 2, "hi!")
    assert "{oops" in error.message
    for call in (lambda: decoder.feed(END), decoder.end):
        with pytest.raises(KaiStreamError, match="oops"):
            call()


@pytest.mark.requirement("KAI-08")
async def test_a_bad_event_reaches_the_caller_after_the_events_before_it(shell: Shell) -> None:
    io = scripted(Reply([sse(HI)[:-14] + b"data: {oops\n\n", 1.0, END]))
    seen: list[SSEEvent] = []
    with pytest.raises(KaiStreamError) as caught:
        await shell.events(shell.client(io).send_message, "c", "x", into=seen)
    assert seen == [TextEvent(text="hi")]
    assert (caught.value.partial.events, caught.value.partial.text) == (1, "hi")
    assert isinstance(caught.value.__cause__, ValueError)
    assert io.now() == 0.0, "the fault is told before the next read"
    assert io.open_streams == []


@pytest.mark.requirement("KAI-08")
async def test_a_bad_last_event_without_blank_line_is_told_too(shell: Shell) -> None:
    with pytest.raises(KaiStreamError, match="oops"):
        await shell.events(shell.client(scripted(Reply([END + b"data: {oops"]))).send_message, "c", "x")


@pytest.mark.requirement("KAI-08")
async def test_an_event_without_end_is_refused_in_bounds(shell: Shell) -> None:
    endless = Reply([b"data: " + b"x" * (8 * 1024 * 1024)] + [b"x" * (8 * 1024 * 1024)] * 2)
    with pytest.raises(KaiStreamError, match="larger than"):
        await shell.events(shell.client(scripted(endless)).send_message, "c", "x")


@pytest.mark.requirement("KAI-08")
async def test_single_line_ends_work_to_the_end_of_a_call(shell: Shell) -> None:
    wire = b'data: {"type":"text","text":"a"}\ndata: {"type":"finish","finishReason":"stop"}\n'
    events = await shell.events(shell.client(scripted(Reply([wire]))).send_message, "c", "x")
    assert events == [TextEvent(text="a"), FinishEvent(finish_reason="stop")]


# ------------------------------------------------------------------------- foreign responses


class Bytes:
    """A response as httpx and httpx2 have it, reduced to what is asked of it."""

    def __init__(self, *pieces: bytes | Exception) -> None:
        self.pieces = pieces
        self.closed = False

    async def aiter_bytes(self) -> AsyncIterator[bytes]:
        try:
            for piece in self.pieces:
                if isinstance(piece, Exception):
                    raise piece
                yield piece
        finally:
            self.closed = True


class Lines:
    """A response that can only be read by lines."""

    def __init__(self, *lines: str) -> None:
        self.lines = lines

    async def aiter_lines(self) -> AsyncIterator[str]:
        for line in self.lines:
            yield line


class ReadTimeout(Exception):
    """Named like the class of an HTTP library."""


async def events_of(response: Any, **options: Any) -> list[SSEEvent]:
    return [event async for event in parse_sse_stream(response, **options)]


@pytest.mark.requirement("KAI-08")
async def test_parse_sse_stream_takes_bytes_or_lines() -> None:
    wanted = [TextEvent(text="hi"), FinishEvent(finish_reason="stop")]
    wire = sse(HI, FINISH)
    assert await events_of(Bytes(wire[:9], wire[9:])) == wanted
    assert await events_of(Lines(*wire.decode().split("\n"))) == wanted


@pytest.mark.requirement("KAI-08")
async def test_parse_sse_stream_takes_a_response_of_httpx2() -> None:
    import httpx2

    def handler(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, content=sse(HI, {"type": "text", "text": "\u2028"}, FINISH))

    async with (
        httpx2.AsyncClient(transport=httpx2.MockTransport(handler)) as client,
        client.stream("GET", "http://kai.example") as response,
    ):
        assert [event.type for event in await events_of(response)] == ["text", "text", "finish"]


@pytest.mark.requirement("KAI-08", "KAI-17")
async def test_faults_of_a_foreign_response_are_named() -> None:
    broken = OSError("reset")
    with pytest.raises(KaiStreamError) as caught:
        await events_of(Bytes(sse(HI), broken))
    assert caught.value.__cause__ is broken
    assert (caught.value.cause, caught.value.partial_text) == ("reset", "hi")
    with pytest.raises(KaiTimeoutError) as late:
        await events_of(Bytes(sse(HI), ReadTimeout("too late")))
    assert late.value.partial.events == 1


@pytest.mark.requirement("KAI-17")
async def test_a_foreign_response_that_just_stops_is_truncated() -> None:
    with pytest.raises(KaiStreamError) as caught:
        await events_of(Bytes(sse(HI)))
    assert (caught.value.code, caught.value.partial_text) == ("stream:truncated", "hi")
    assert await events_of(Bytes(sse(HI)), strict_end=False) == [TextEvent(text="hi")]


# ------------------------------------------------------------------------------ tool names


@pytest.mark.requirement("KAI-07")
def test_a_tool_keeps_its_name_within_a_stream() -> None:
    chunks = [
        {"type": "tool-input-start", "toolCallId": "c", "toolName": "add"},
        {"type": "tool-input-available", "toolCallId": "c", "input": {}},
        {"type": "tool-approval-request", "toolCallId": "c", "approvalId": "p"},
        {"type": "tool-output-available", "toolCallId": "c", "output": {}},
        {"type": "tool-output-error", "toolCallId": "c", "errorText": "x"},
        {"type": "tool-output-denied", "toolCallId": "c"},
        {"type": "tool-output-available", "toolCallId": "other", "output": {}},
    ]
    events = EventDecoder().feed(sse(*chunks))
    assert [getattr(event, "tool_name", None) for event in events] == ["add"] * 6 + [None]


@pytest.mark.requirement("KAI-07")
async def test_a_continuation_knows_the_name_that_was_confirmed(shell: Shell) -> None:
    output = {"type": "tool-output-available", "toolCallId": "c", "output": {}}
    client = shell.client(scripted(streamed(output, FINISH)))
    [event, _] = await shell.events(client.confirm_tool, "k", "c", "create_bucket")
    assert event.tool_name == "create_bucket"


@pytest.mark.requirement("KAI-21")
async def test_a_continuation_by_approval_knows_the_name_from_the_chat(shell: Shell) -> None:
    part = {"type": "tool-add", "toolCallId": "c", "state": "approval-requested", "approval": {"id": "p"}}
    dynamic = {"type": "dynamic-tool", "toolName": "dyn", "toolCallId": "d", "state": "output-available"}
    chat = {"id": "k", "messages": [{"id": "a", "role": "assistant", "parts": [part, dynamic]}]}
    outputs = [{"type": "tool-output-available", "toolCallId": id, "output": {}} for id in "cd"]
    io = scripted(Reply([json.dumps(chat).encode()], 200, Headers({})), streamed(*outputs, FINISH))
    events = await shell.events(shell.client(io).approve_tool, "k", "p")
    assert [event.tool_name for event in events[:2]] == ["add", "dyn"]


# ---------------------------------------------------------------------------------- parser


@pytest.mark.requirement("KAI-09")
def test_the_parser_adds_events_up() -> None:
    parser = SSEStreamParser()
    chunks: list[dict[str, Any]] = [
        {"type": "text-delta", "delta": "a"},
        {"type": "tool-input-available", "toolCallId": "c", "toolName": "n", "input": {}},
        {"type": "tool-output-available", "toolCallId": "c", "output": 1},
        {"type": "error", "message": "m"},
        {"type": "start"},
        {"type": "text", "text": "b"},
    ]
    for chunk in chunks:
        parser.process_event(parse_sse_event(chunk))
    assert (parser.text, parser.text, parser.finished, parser.finish_reason) == ("ab", "ab", False, None)
    assert parser.tool_calls["c"].state == "output-available"
    parser.tool_calls.clear()
    assert list(parser.tool_calls) == ["c"]
    parser.process_event(FinishEvent(finish_reason="tool-calls"))
    assert (parser.finished, parser.finish_reason) == (True, "tool-calls")
    parser.reset()
    assert (parser.text, parser.tool_calls, parser.finished, parser.finish_reason) == ("", {}, False, None)


@pytest.mark.requirement("KAI-09")
def test_the_end_of_a_step_is_not_the_end() -> None:
    parser = SSEStreamParser()
    parser.process_event(parse_sse_event({"type": "finish-step"}))
    assert (parser.finished, parser.finish_reason) == (False, None)


@pytest.mark.requirement("KAI-09")
async def test_consume_stream_yields_events_or_only_takes_them_in() -> None:
    parser = SSEStreamParser()
    seen = [event async for event in parser.consume_stream(Bytes(sse(HI, FINISH)))]
    assert [event.type for event in seen] == ["text", "finish"]
    assert (parser.text, parser.finished) == ("hi", True)
    quiet = [event async for event in parser.consume_stream(Bytes(sse(HI, FINISH)), yield_events=False)]
    assert (quiet, parser.text) == ([], "hihi")
    with pytest.raises(KaiStreamError, match="without a finish"):
        _ = [event async for event in parser.consume_stream(Bytes(sse(HI)))]


@pytest.mark.requirement("KAI-09")
async def test_leaving_consume_stream_lets_go_of_the_response() -> None:
    response = Bytes(sse(HI), sse(HI))
    stream = SSEStreamParser().consume_stream(response)
    assert (await anext(stream)).type == "text"
    await stream.aclose()
    assert response.closed


USAGE = {"promptTokens": 10, "completionTokens": 5}


@pytest.mark.requirement("KAI-23")
@pytest.mark.parametrize(
    "chunks",
    [
        [{"type": "data-usage", "data": USAGE}, {"type": "finish", "usage": USAGE}],
        [{"type": "finish", "usage": USAGE}, {"type": "data-usage", "data": USAGE}],
        [{"type": "finish", "usage": USAGE}],
        [{"type": "data-usage", "data": USAGE}, {"type": "finish"}],
    ],
)
def test_tokens_are_counted_once(chunks: list[dict[str, Any]]) -> None:
    parser = SSEStreamParser()
    for chunk in chunks:
        parser.process_event(parse_sse_event(chunk))
    assert (parser.prompt_tokens, parser.completion_tokens, parser.total_tokens) == (10, 5, 15)


@pytest.mark.requirement("KAI-23")
def test_tokens_of_several_answers_add_up() -> None:
    parser = SSEStreamParser()
    for _ in range(3):
        parser.process_event(parse_sse_event({"type": "data-usage", "data": USAGE}))
    assert parser.total_tokens == 45
    parser.reset()
    assert parser.total_tokens == 0


def test_an_unknown_event_counts_for_nothing() -> None:
    parser = SSEStreamParser()
    parser.process_event(UnknownEvent(type="custom"))
    assert (parser.text, parser.tool_calls, parser.finished, parser.total_tokens) == ("", {}, False, 0)
