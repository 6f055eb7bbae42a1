"""Streams as callers hold them: what they hand out, how they end, what they let go of."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
import requests
from tests.stackspot.streams import DONE, REQUEST, SSE, Connection, async_stream, data, stream

from dragoman.core.errors import ConnectionLost, TimedOut
from dragoman.stackspot.agents import (
    JSON_RESULT_HANDLER,
    ChatResponse,
    ChatResponseStream,
    ChatResponseStreamEvent,
    ChatResponseStreamEventType,
    ChatResultContext,
    ChatResultHandler,
    ConversationContext,
    SseEventParser,
)
from dragoman.stackspot.lines import LineCutter

TEXT = "Å\u0085B\u2028C\x0bD\x0cE\x1cF\r\nG 日本"
END = {
    "message": "",
    "stop_reason": "stop",
    "tokens": {"user": 1, "enrichment": 0, "output": 2},
    "conversation_id": "C",
}


class Upper(ChatResultHandler):
    def __init__(self) -> None:
        self.calls: list[str] = []

    def handle_result(self, context: ChatResultContext) -> Any:
        self.calls.append(context.raw_result)
        return context.raw_result.upper()


class Failing(ChatResultHandler):
    def handle_result(self, context: ChatResultContext) -> Any:
        raise KeyError("nope")


# ------------------------------------------------------------------------------------ events and text


@pytest.mark.requirement("STK-30", "STK-33")
def test_each_event_is_handed_out_before_the_next_is_read() -> None:
    connection = Connection()
    events = iter(stream(data({"message": "a"}), data({"message": "b"}), DONE, connection=connection))
    assert (next(events).text, connection.read) == ("a", 1)
    assert (next(events).text, connection.read) == ("b", 2)
    assert next(events).is_done
    assert next(events, None) is None


@pytest.mark.requirement("STK-30", "STK-31")
def test_text_is_gathered_before_an_event_is_handed_out() -> None:
    got = stream(data({"message": "a"}), data({"message": "b"}), data(END), DONE)
    seen = [(event.text, got.accumulated_text) for event in got]
    assert seen == [("a", "a"), ("b", "ab"), ("", "ab"), ("", "ab")]
    assert got.request is REQUEST


@pytest.mark.requirement("STK-30")
def test_a_stream_is_iterated_once() -> None:
    got = stream(data({"message": "a"}), DONE)
    got.until_done()
    again = iter(got)
    with pytest.raises(RuntimeError, match="once"):
        next(again)
    with pytest.raises(RuntimeError, match="once"):
        next(got.text_stream)
    with pytest.raises(RuntimeError, match="once"):
        got.until_done()
    assert got.response.result == "a"


@pytest.mark.requirement("STK-31")
def test_the_text_stream_has_only_text() -> None:
    got = stream(data({"message": "a"}), data({"message": ""}), data({"message": "b"}), data(END), DONE)
    assert list(got.text_stream) == ["a", "b"]
    assert got.accumulated_text == "ab"


@pytest.mark.requirement("STK-32", "STK-35", "STK-12")
def test_the_final_response_has_text_and_particulars() -> None:
    response = stream(data({"message": "a"}), data(END), DONE).get_final_response()
    assert response.is_success()
    assert response.request is REQUEST
    assert (response.result, response.raw_result, response.stop_reason) == ("a", "a", "stop")
    assert response.conversation_id == "C"
    assert response.raw_response == {"message": "a", **{name: END[name] for name in END if name != "message"}}


@pytest.mark.requirement("STK-32")
def test_the_response_is_not_there_before_the_end() -> None:
    got = stream(data({"message": "a"}), DONE)
    with pytest.raises(RuntimeError, match="iterate"):
        _ = got.response
    next(iter(got))
    with pytest.raises(RuntimeError, match="iterate"):
        _ = got.response


@pytest.mark.requirement("STK-34", "STK-S01", "STK-S02")
@pytest.mark.parametrize("content_type", [SSE, "text/event-stream", "", "application/octet-stream"])
def test_text_is_utf8_and_lines_end_where_the_standard_says(content_type: str) -> None:
    frames = data({"message": TEXT}) + data({"message": TEXT}) + DONE
    pieces = [frames[place : place + 1] for place in range(len(frames))]
    assert stream(*pieces, content_type=content_type).get_final_response().result == TEXT * 2


@pytest.mark.requirement("STK-S09")
@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_crlf_may_be_cut_anywhere(size: int) -> None:
    body = b'\xef\xbb\xbfdata: {"message":\r\ndata: "a"}\r\n\r\n: note\r\n\r\nevent: ping\r\ndata: x\r\n\r\ndata: b\r\n\r\n'
    pieces = [body[place : place + size] for place in range(0, len(body), size)]
    assert list(stream(*pieces).text_stream) == ["a", "b"]


@pytest.mark.requirement("STK-S10")
def test_reading_stops_at_the_end_and_the_connection_is_closed() -> None:
    connection = Connection()
    got = stream(data({"message": "a"}), DONE, data({"message": "late"}), connection=connection)
    response = got.get_final_response()
    assert (response.status, response.result) == ("SUCCESS", "a")
    assert connection.read == 2
    assert connection.closed


# ------------------------------------------------------------------------------------ handlers, callbacks


@pytest.mark.requirement("STK-36")
def test_the_handler_runs_once_over_the_whole_text() -> None:
    handler = Upper()
    response = stream(data({"message": "a"}), data({"message": "b"}), DONE, result_handler=handler).get_final_response()
    assert (response.result, handler.calls, response.raw_result) == ("AB", ["ab"], "ab")


@pytest.mark.requirement("STK-36")
def test_json_may_come_in_pieces() -> None:
    got = stream(data({"message": '{"a"'}), data({"message": ": 1}"}), DONE, result_handler=JSON_RESULT_HANDLER)
    assert got.get_final_response().result == {"a": 1}


@pytest.mark.requirement("STK-36")
def test_a_handlers_failure_leaves_the_text() -> None:
    seen: list[ChatResponse] = []
    got = stream(data({"message": "a"}), data(END), DONE, result_handler=Failing(), on_response=seen.append)
    response = got.get_final_response()
    assert (response.status, response.result, response.raw_result) == ("ERROR", "a", "a")
    assert "Failing" in (response.error or "")
    assert response.conversation_id == "C"
    assert seen == [response]


def test_on_response_is_called_after_a_complete_stream_only() -> None:
    seen: list[ChatResponse] = []
    response = stream(data({"message": "a"}), DONE, on_response=seen.append).get_final_response()
    assert seen == [response]
    for broken in (ConnectionLost("cut"), TimedOut("slow")):
        stream(data({"message": "a"}), broken, on_response=seen.append).until_done()
    stream(data({"error": {"message": "x"}}), on_response=seen.append).until_done()
    assert seen == [response]


def test_what_on_response_raises_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def fail(response: ChatResponse) -> None:
        raise KeyError("mine")

    assert stream(data({"message": "a"}), DONE, on_response=fail).get_final_response().is_success()
    assert "mine" in caplog.text


# ------------------------------------------------------------------------------------ how streams fail


@pytest.mark.requirement("STK-37", "STK-S03")
def test_an_error_event_makes_the_response_an_error() -> None:
    got = stream(data({"message": "a"}), b'event: error\ndata: {"type": "error", "message": "quota exhausted"}\n\n')
    types = [event.type for event in got]
    assert types == ["delta", "error"]
    assert (got.response.status, got.response.result) == ("ERROR", "a")
    assert got.response.error == "Streaming failed: quota exhausted"


@pytest.mark.requirement("STK-38", "STK-S03", "STK-S04")
@pytest.mark.parametrize("after", [(), (DONE,), (ConnectionLost("cut"),), (TimedOut("slow"),), (data({"error": "2"}),)])
def test_what_the_service_said_counts_more_than_how_the_body_ended(after: tuple[Any, ...]) -> None:
    got = stream(data({"message": "a"}), data({"error": {"message": "quota"}}), *after, result_handler=Upper())
    response = got.get_final_response()
    assert (response.status, response.result, response.error) == ("ERROR", "a", "Streaming failed: quota")


@pytest.mark.requirement("STK-91")
@pytest.mark.parametrize("error", [ConnectionLost("reset"), requests.ConnectionError("reset"), ValueError("reset")])
def test_a_broken_connection_leaves_the_partial_text(error: Exception) -> None:
    handler = Upper()
    got = stream(data({"message": "a", "conversation_id": "C"}), b"data: {", error, result_handler=handler)
    response = got.get_final_response()
    assert (response.status, response.result, response.raw_result) == ("ERROR", "a", "a")
    assert response.error == "Streaming failed: reset"
    assert response.conversation_id == "C"
    assert not handler.calls


@pytest.mark.requirement("STK-S05")
@pytest.mark.parametrize("error", [TimedOut("silence"), requests.ReadTimeout("silence"), TimeoutError("silence")])
def test_silence_in_the_middle_is_a_timeout(error: Exception) -> None:
    response = stream(data({"message": "a"}), error).get_final_response()
    assert (response.status, response.result) == ("TIMEOUT", "a")
    assert "Streaming failed" in (response.error or "")


@pytest.mark.requirement("STK-S05")
def test_silence_as_requests_tells_it_is_a_timeout() -> None:
    from urllib3.exceptions import ReadTimeoutError

    error = requests.ConnectionError(ReadTimeoutError(None, "/", "Read timed out."))  # type: ignore[arg-type]
    assert stream(data({"message": "a"}), error).get_final_response().is_timeout()


def test_a_hook_that_raises_ends_the_stream_after_what_came_before() -> None:
    class Picky(SseEventParser):
        @staticmethod
        def _extract_delta_text(data: dict[str, Any]) -> str:
            return str(data["message"])

    got = stream(data({"message": "a"}) + data({"other": "b"}), event_parser=Picky())
    assert [event.text for event in got] == ["a"]
    assert (got.response.status, got.response.result) == ("ERROR", "a")


def test_an_endless_frame_is_an_error() -> None:
    pieces = [b"data: " + b"x" * 1024 * 1024] * 20
    assert stream(data({"message": "a"}), *pieces).get_final_response().is_error()


def test_an_end_without_a_mark_is_a_success_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    got = stream(data({"message": "a"}))
    assert got.get_final_response().is_success()
    assert not got.terminated
    assert "cut short" in caplog.text


@pytest.mark.parametrize("mark", [DONE, data({"type": "done"}), data({"message": "", "stop_reason": "stop"})])
def test_a_mark_of_the_end_is_noted(mark: bytes, caplog: pytest.LogCaptureFixture) -> None:
    got = stream(data({"message": "a"}), mark)
    got.until_done()
    assert got.terminated
    assert not caplog.records


# ------------------------------------------------------------------------------------ what is no stream


@pytest.mark.requirement("STK-S07")
@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8", "text/plain", SSE])
@pytest.mark.parametrize("pieces", [1, 5])
def test_a_whole_json_answer_is_an_answer(content_type: str, pieces: int) -> None:
    body = data({**END, "message": "a\nb"})[6:-2]
    step = len(body) // pieces
    cut = [body[place : place + step] for place in range(0, len(body), step)]
    got = stream(*cut, content_type=content_type)
    assert [event.text for event in got] == ["a\nb"]
    assert (got.response.status, got.response.result, got.response.conversation_id) == ("SUCCESS", "a\nb", "C")


@pytest.mark.requirement("STK-S07")
@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"<html><body>Sign in</body></html>", "text/html"),
        (b"Bad gateway", SSE),
        (b"[1]", "application/json"),
        (b'{"details": "no"}', "application/json"),
        (b'{"message": "cut', "application/json"),
        (b"", "text/html"),
        (b"", ""),
        (b"\x1f\x8b\x00\x01", ""),
    ],
)
def test_any_other_body_is_an_error_and_not_silence(body: bytes, content_type: str) -> None:
    response = stream(body, content_type=content_type).get_final_response()
    assert (response.status, response.result) == ("ERROR", "")
    assert "expected server-sent events" in (response.error or "")


@pytest.mark.requirement("STK-S07")
def test_a_json_error_instead_of_a_stream_is_told() -> None:
    response = stream(b'{"error": {"message": "quota"}}', content_type="application/json").get_final_response()
    assert (response.status, response.error) == ("ERROR", "Streaming failed: quota")


@pytest.mark.parametrize("body", [b"", b": keep-alive\n\n: keep-alive\n\n", b"retry: 10\n\n", b"\n\n"])
def test_a_stream_of_no_events_is_an_empty_answer(body: bytes) -> None:
    got = stream(body)
    assert got.get_final_response().is_success()
    assert (got.response.result, got.terminated) == ("", False)


# ------------------------------------------------------------------------------------ leaving early


@pytest.mark.requirement("STK-40", "STK-S12")
def test_leaving_early_closes_and_keeps_text_and_conversation() -> None:
    connection, conversation = Connection(), ConversationContext()
    pieces = (data({"message": "a", "conversation_id": "C"}), data({"message": "b"}), DONE)
    with stream(*pieces, connection=connection, conversation=conversation) as got:
        for _ in got:
            break
    assert connection.closed == 1
    assert (got.accumulated_text, got.conversation_id, conversation.conversation_id) == ("a", "C", "C")
    with pytest.raises(RuntimeError):
        _ = got.response


@pytest.mark.requirement("STK-40")
def test_leaving_the_loop_closes_without_a_with_block_too() -> None:
    connection = Connection()
    for _ in stream(data({"message": "a"}), DONE, connection=connection).text_stream:
        break
    gc.collect()
    assert connection.closed == 1


def test_close_is_idempotent_and_possible_before_reading() -> None:
    connection = Connection()
    got = stream(data({"message": "a"}), connection=connection)
    got.close()
    got.close()
    with got:
        pass
    assert connection.closed == 1
    assert connection.read == 0


def test_what_the_caller_raises_in_the_loop_goes_on_to_the_caller() -> None:
    connection = Connection()

    def fail(event: object) -> None:
        raise KeyError

    with pytest.raises(KeyError), stream(data({"message": "a"}), DONE, connection=connection) as got:
        list(map(fail, got))
    assert connection.closed == 1


@pytest.mark.requirement("STK-54")
def test_a_complete_stream_gives_its_conversation() -> None:
    conversation = ConversationContext()
    stream(data({"message": "a"}), data(END), DONE, conversation=conversation).until_done()
    assert conversation.conversation_id == "C"


# ------------------------------------------------------------------------------------ parsers of the user's own


class Shouting(SseEventParser):
    """Reads lines of a protocol of its own."""

    def parse(self, lines: Iterable[str | bytes]) -> Iterator[ChatResponseStreamEvent]:
        self.lines: list[Any] = []
        for line in lines:
            self.lines.append(line)
            if line == "end":
                yield ChatResponseStreamEvent(ChatResponseStreamEventType.DONE)
            elif line:
                yield ChatResponseStreamEvent(ChatResponseStreamEventType.DELTA, str(line).upper())

    @property
    def metadata(self) -> dict[str, Any] | None:
        return {"conversation_id": "mine", "other": 1}


@pytest.mark.requirement("STK-41")
def test_a_parser_that_reads_lines_is_given_lines() -> None:
    parser = Shouting()
    got = stream(b"\xef\xbb\xbfone\r", b"\ntw", b"o\n", b"\rend", event_parser=parser)
    got.until_done()
    assert parser.lines == ["one", "two", "", "end"]
    assert got.response.raw_response == {"message": "ONETWO", "conversation_id": "mine"}


@pytest.mark.requirement("STK-41")
async def test_a_parser_that_reads_lines_serves_the_async_twin_too() -> None:
    connection = Connection()
    async with async_stream(b"one\n", b"two\nend\n", b"late\n", event_parser=Shouting(), connection=connection) as got:
        response = await got.get_final_response()
    assert (response.status, response.result) == ("SUCCESS", "ONETWO")
    assert connection.read == 2
    assert connection.closed == 1


@pytest.mark.requirement("STK-41")
async def test_a_line_parser_that_breaks_off_is_told_why_it_ended() -> None:
    got = async_stream(b"one\n", ConnectionLost("reset"), event_parser=Shouting())
    response = await got.get_final_response()
    assert (response.status, response.result, response.error) == ("ERROR", "ONE", "Streaming failed: reset")


@pytest.mark.requirement("STK-41")
def test_a_shared_parser_mixes_up_no_streams() -> None:
    parser, conversation = SseEventParser(), ConversationContext()
    first = stream(data({"message": "a"}), data(END), DONE, event_parser=parser)
    first.until_done()
    stream(data({"message": "b"}), event_parser=parser, conversation=conversation).close()
    second = stream(data({"message": "b"}), event_parser=parser)
    assert (second.conversation_id, second.terminated) == (None, False)
    second.until_done()
    assert (second.response.conversation_id, second.terminated) == (None, False)
    assert (first.conversation_id, first.terminated, conversation.conversation_id) == ("C", True, None)


@pytest.mark.requirement("STK-41")
def test_anything_with_parse_and_metadata_is_a_parser() -> None:
    class Plain:
        metadata = None

        def parse(self, lines: Iterable[str]) -> list[ChatResponseStreamEvent]:
            return [ChatResponseStreamEvent(ChatResponseStreamEventType.DELTA, line) for line in lines]

    assert stream(b"a\nb", event_parser=Plain()).get_final_response().result == "ab"


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_lines_are_cut_at_line_ends_only(size: int) -> None:
    body = "\ufeffa\r\nb\rc\n\nd\u0085\u2028e\x0c日\r\n\r\nf".encode()
    cutter = LineCutter()
    lines = [line for place in range(0, len(body), size) for line in cutter.feed(body[place : place + size])]
    assert lines + cutter.end() == ["a", "b", "c", "", "d\u0085\u2028e\x0c日", "", "f"]


# ------------------------------------------------------------------------------------ answers of a user's client


@pytest.mark.requirement("STK-S01")
def test_a_stream_may_be_made_of_a_requests_response() -> None:
    import io

    from urllib3 import HTTPResponse

    response = requests.Response()
    response.status_code = 200
    response.headers["content-type"] = "text/event-stream"
    response.raw = HTTPResponse(io.BytesIO(data({"message": TEXT}) + DONE), preload_content=False)
    assert ChatResponseStream(REQUEST, response).get_final_response().result == TEXT


# ------------------------------------------------------------------------------------ the async twin


@pytest.mark.requirement("STK-30", "STK-31", "STK-35")
async def test_the_twin_hands_out_the_same_events() -> None:
    pieces = (data({"message": "a"}), data({"message": "b"}), data(END), DONE, data({"message": "late"}))
    twin = async_stream(*pieces)
    assert [event async for event in twin] == list(stream(*pieces))
    assert twin.response == stream(*pieces).get_final_response()
    assert [text async for text in async_stream(*pieces).text_stream] == ["a", "b"]
    with pytest.raises(RuntimeError, match="once"):
        await twin.until_done()


@pytest.mark.requirement("STK-91", "STK-S05")
async def test_the_twin_ends_as_badly() -> None:
    for error, status in ((ConnectionLost("reset"), "ERROR"), (TimedOut("slow"), "TIMEOUT")):
        response = await async_stream(data({"message": "a"}), error).get_final_response()
        assert (response.status, response.result) == (status, "a")


@pytest.mark.requirement("STK-40", "STK-S12")
async def test_the_twin_may_be_left_early() -> None:
    connection, conversation = Connection(), ConversationContext()
    pieces = (data({"message": "a", "conversation_id": "C"}), DONE)
    async with async_stream(*pieces, connection=connection, conversation=conversation) as got:
        async for _ in got:
            break
    assert connection.closed == 1
    assert conversation.conversation_id == "C"
    with pytest.raises(RuntimeError):
        _ = got.response


# ------------------------------------------------------------------------------------ logs


@pytest.mark.requirement("STK-P10")
def test_logs_show_little_of_the_content(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "dragoman.stackspot"):
        stream(data({"message": "word " * 500}), data({"error": {"message": "no " * 500}})).until_done()
    assert "word" not in caplog.text
    assert "Streaming failed" in caplog.text
    assert caplog.text.count("no ") <= 100


def test_a_parser_whose_metadata_fail_does_not_spoil_the_answer() -> None:
    class Poor(SseEventParser):
        @property
        def metadata(self) -> dict[str, Any] | None:
            raise KeyError("conversation")

    told = stream(data({"message": "hi"}), DONE, event_parser=Poor())
    told.until_done()
    assert (told.response.status, told.response.result) == ("SUCCESS", "hi")
