"""What the published client gets wrong in streams, one check each: it must fail them, and ours pass."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.interop.stackspot.registry import scenario
from tests.interop.stackspot.service import SSE, Reply, answer, frames, service, stream
from tests.interop.stackspot.stage import Visit

ID = "01JZ8Q4N5V7X3W1T9R2P6M0KHC"
DONE = "[DONE]"
LAST = {"message": "", "stop_reason": "stop", "conversation_id": ID}


@contextmanager
def streaming(visit: Visit, *replies: Reply, **options: Any) -> Iterator[Any]:
    """A stream of an agent whose server replies like this."""
    with service(*replies) as server:
        agent = visit.agent(url=server.url, http=visit.with_headers({"Authorization": "Bearer t"}), **options)
        with agent.chat_stream(visit.request("hello")) as opened:
            yield opened


def read(visit: Visit, *chunks: bytes, content_type: str | None = SSE, then: str = "end") -> tuple[list[Any], Any]:
    """Events and response of a stream with this body."""
    with streaming(visit, stream(*chunks, content_type=content_type, then=then)) as opened:
        events = list(opened)
        return events, opened.response


@scenario.requirement("STK-S01", symptom="the text is mangled")
def a_stream_without_a_charset_is_utf8(visit: Visit) -> None:
    text = "Ångström Å, ação €"
    body = f'data: {{"message": "{text}"}}\n\ndata: [DONE]\n\n'.encode()
    _, response = read(visit, body, content_type="text/event-stream")
    assert response.result == text, f"the text is mangled: {response.result!r}"


@scenario.requirement("STK-S02", symptom="lines are cut")
def lines_end_at_line_feeds_and_returns_only(visit: Visit) -> None:
    for separator in "\u0085\u2028\u2029\x0b\x0c\x1c\x1d\x1e":
        text = f"one{separator}two"
        body = f'data: {{"message": "{text}"}}\n\n'.encode() if separator > "\x1f" else f"data: {text}\n\n".encode()
        _, response = read(visit, body, frames(DONE))
        assert response.result == text, f"lines are cut at {separator!r}: {response.result!r}"
    for end in ("\n", "\r\n", "\r"):
        body = f'data: {{"message": "a"}}{end}{end}data: {{"message": "b"}}{end}{end}'.encode()
        _, response = read(visit, body, frames(DONE))
        assert response.result == "ab", f"{end!r}: {response.result!r}"


@scenario.requirement("STK-S03", symptom="the status is SUCCESS")
def an_error_event_decides_the_status(visit: Visit) -> None:
    told = b'event: error\ndata: {"type": "error", "message": "quota exhausted", "code": "MODEL_ERROR"}\n\n'
    events, response = read(visit, frames({"message": "half "}, {"message": "an answer"}), told)
    assert events[-1].is_error
    assert response.is_error(), f"the status is {response.status}"
    assert "quota exhausted" in response.error
    assert response.result == "half an answer"


@scenario.requirement("STK-S04", symptom="the error is lost")
def an_error_object_without_a_type_is_an_error(visit: Visit) -> None:
    told = {"error": {"message": "context too long", "type": "invalid_request_error", "code": 400}}
    events, response = read(visit, frames({"choices": [{"delta": {"content": "a"}}]}, told))
    assert any(event.is_error and event.error == "context too long" for event in events), "the error is lost"
    assert response.is_error()
    assert "context too long" in response.error


@scenario.requirement("STK-S05", symptom="silence is ERROR")
def silence_is_a_timeout(visit: Visit) -> None:
    with streaming(visit, stream(frames({"message": "half"}), then="hold"), request_timeout=1) as opened:
        response = opened.get_final_response()
    assert response.is_timeout(), f"silence is {response.status}"
    assert response.result == "half"


@scenario.requirement("STK-S06", symptom="the name leaks")
def the_name_of_an_event_is_for_that_event(visit: Visit) -> None:
    body = b"event: error\n\n" + frames({"message": "fine"}, DONE)
    events, response = read(visit, body)
    assert not any(event.is_error for event in events), "the name leaks"
    assert (response.is_success(), response.result) == (True, "fine")


@scenario.requirement("STK-S07", symptom="nothing is read")
def a_stream_without_a_type_is_read_and_no_stream_is_no_silence(visit: Visit) -> None:
    body = frames({"message": "plain "}, {"message": "ação"}, DONE)
    for content_type in (None, "application/octet-stream"):
        _, response = read(visit, body, content_type=content_type)
        assert response.result == "plain ação", f"nothing is read of {content_type}"
    told = {"message": "whole", "stop_reason": "stop", "conversation_id": ID}
    with streaming(visit, answer(200, told)) as opened:
        response = opened.get_final_response()
        assert response.is_error() or response.result == "whole", "nothing is read of a whole answer"
    with streaming(visit, answer(200, b"<html>Sign in</html>", "text/html")) as opened:
        response = opened.get_final_response()
        assert response.is_error() or response.result, "nothing is read of a page"


@scenario.requirement("STK-S08", symptom="blanks are lost")
def one_leading_blank_is_removed(visit: Visit) -> None:
    _, response = read(visit, b"data: one\n\ndata:  two\n\ndata:three \n\n", frames(DONE))
    assert response.result == "one twothree ", f"blanks are lost: {response.result!r}"


@scenario.requirement("STK-S09", symptom="the lines of one event fall apart")
def a_line_end_in_two_chunks_is_one(visit: Visit) -> None:
    body = b'data: {"message":\r\ndata: "one"}\r\n\r\ndata: [DONE]\r\n\r\n'
    for place in [at + 1 for at, byte in enumerate(body) if byte == 13]:
        _, response = read(visit, body[:place], body[place:])
        assert response.result == "one", f"the lines of one event fall apart: {response.result!r}"


@scenario.requirement("STK-S09", symptom="unknown events give text")
def unknown_events_give_no_text(visit: Visit) -> None:
    body = b'event: ping\ndata: {"text": "beat"}\n\n' + frames({"message": "fine"}, DONE)
    _, response = read(visit, body)
    assert response.result == "fine", f"unknown events give text: {response.result!r}"


@scenario.requirement("STK-S09", symptom="the first event is lost")
def a_byte_order_mark_is_dropped(visit: Visit) -> None:
    _, response = read(visit, b"\xef\xbb\xbf" + frames({"message": "one "}, {"message": "two"}, DONE))
    assert response.result == "one two", f"the first event is lost: {response.result!r}"


@scenario.requirement("STK-S10", symptom="it goes on after the end")
def a_stream_ends_at_done(visit: Visit) -> None:
    body = frames({"message": "all"}, LAST, DONE, {"message": " and more"})
    with streaming(visit, stream(body, then="hold"), request_timeout=4) as opened:
        began = time.monotonic()
        response = opened.get_final_response()
        assert time.monotonic() - began < 3.0, "it goes on after the end"
        assert (response.is_success(), response.result) == (True, "all"), "it goes on after the end"


@scenario.requirement("STK-S11", symptom="what was known is lost")
def a_done_event_is_merged(visit: Visit) -> None:
    told = b'event: done\ndata: {"stop_reason": "stop", "usage": {"prompt_tokens": 4, "completion_tokens": 6}}\n\n'
    _, response = read(visit, frames({"message": "a", "conversation_id": ID, "knowledge_source_id": ["k"]}), told)
    assert response.conversation_id == ID, "what was known is lost"
    assert response.knowledge_sources == ["k"]
    assert response.stop_reason == "stop"
    assert (response.tokens.user, response.tokens.output) == (4, 6)


@scenario.requirement("STK-S11", symptom="the first usage stays")
def the_last_usage_counts(visit: Visit) -> None:
    grown = [
        {"choices": [{"delta": {"content": "x"}}], "usage": {"prompt_tokens": 4, "completion_tokens": number}}
        for number in (1, 2, 3)
    ]
    _, response = read(visit, frames(*grown, DONE))
    assert response.tokens.output == 3, f"the first usage stays: {response.tokens}"


@scenario.requirement("STK-S11", symptom="the input is not counted")
def tokens_with_input_only_are_counted(visit: Visit) -> None:
    tokens = {"user": None, "enrichment": 3, "input": 10, "output": 5}
    _, response = read(visit, frames({"message": "a", "tokens": tokens}, DONE))
    found = response.tokens
    assert (found.user, found.enrichment, found.output, found.total) == (7, 3, 5, 15), "the input is not counted"


@scenario.requirement("STK-S12", symptom="the conversation is lost")
def a_stream_that_is_left_keeps_what_it_has(visit: Visit) -> None:
    body = frames({"message": "seen", "conversation_id": ID})
    with visit.sdk.UseConversation() as conversation:
        with streaming(visit, stream(body, then="hold")) as opened:
            for event in opened:
                if event.text:
                    break
        assert conversation.conversation_id == ID, "the conversation is lost"
    assert opened.accumulated_text == "seen"


@scenario.requirement("STK-S13", symptom="are open")
def failed_openings_are_closed(visit: Visit) -> None:
    refused = answer(503, {"code": "BUSY", "details": "come back later"})
    replies = (refused, refused, stream(frames({"message": "at last"}, DONE)))
    with service(*replies) as server:
        agent = visit.agent(url=server.url, http=visit.with_headers({"Authorization": "Bearer t"}), retry_max_retries=2)
        with agent.chat_stream(visit.request("hello")) as opened:
            assert opened.get_final_response().result == "at last"
        open_then = [asked.open for asked in server.asked]
        assert open_then == [1, 1, 1], f"{open_then} connections are open"
