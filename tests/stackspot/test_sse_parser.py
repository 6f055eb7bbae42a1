"""Lines and frames → events, in both dialects of frames, and the hooks that users override."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from dragoman.stackspot.agents import ChatResponseStreamEvent, ChatResponseStreamEventType, SseEventParser

NATIVE = [
    'data: {"message": "Doing it", "conversation_id": "C"}',
    "",
    'data: {"message": " twice"}',
    "",
    'data: {"message": "", "stop_reason": "stop", "tokens": {"user": 4, "enrichment": 0, "output": 6},'
    ' "knowledge_source_id": ["ks"], "conversation_id": "C"}',
    "",
    "data: [DONE]",
    "",
]


def parsed(*lines: str | bytes, parser: SseEventParser | None = None) -> list[ChatResponseStreamEvent]:
    return list((parser or SseEventParser()).parse(lines))


def said(*lines: str | bytes) -> str:
    return "".join(event.text for event in parsed(*lines))


def frames(*objects: Any) -> list[str]:
    return [line for one in objects for line in (f"data: {json.dumps(one)}", "")]


def metadata(*objects: Any) -> dict[str, Any] | None:
    parser = SseEventParser()
    parsed(*frames(*objects), "data: [DONE]", parser=parser)
    return parser.metadata


@pytest.mark.requirement("STK-30", "STK-35")
def test_native_frames_give_deltas_then_the_end() -> None:
    parser = SseEventParser()
    events = parsed(*NATIVE, parser=parser)
    assert [event.type for event in events] == ["delta", "delta", "delta", "done"]
    assert "".join(event.text for event in events) == "Doing it twice"
    assert parser.metadata == {
        "conversation_id": "C",
        "stop_reason": "stop",
        "tokens": {"user": 4, "enrichment": 0, "output": 6},
        "knowledge_source_id": ["ks"],
    }
    assert events[-1].raw_data == parser.metadata
    assert (events[0].is_delta, events[-1].is_done, events[-1].is_error) == (True, True, False)
    assert events[1].raw_data == {"message": " twice"}


@pytest.mark.requirement("STK-45")
def test_openai_frames_give_the_same() -> None:
    parser = SseEventParser()
    head = {"object": "chat.completion.chunk", "usage": None}
    lines = frames(
        {**head, "choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": None}], "conversation_id": "C"},
        {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        {**head, "choices": [], "usage": {"prompt_tokens": 4, "completion_tokens": 1, "total_tokens": 5}},
    )
    events = parsed(*lines, "data: [DONE]", "", parser=parser)
    assert [event.text for event in events] == ["Hi", "", "", ""]
    assert parser.metadata == {
        "conversation_id": "C",
        "stop_reason": "stop",
        "tokens": {"user": 4, "enrichment": 0, "output": 1},
    }


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        ({"message": "a", "content": "b"}, "a"),
        ({"message": None, "content": "b"}, "b"),
        ({"choices": [{"delta": {"content": "c"}}], "content": "b"}, "c"),
        ({"choices": [{"delta": {"content": None}}], "text": "d"}, "d"),
        ({"delta": "e"}, "e"),
        ({"delta": {"content": "no"}}, ""),
        ({"choices": "odd"}, ""),
        ({"choices": [None]}, ""),
        ({"message": 7}, ""),
        ({}, ""),
    ],
)
def test_the_text_of_a_frame_is_where_some_service_puts_it(frame: dict[str, Any], text: str) -> None:
    (event,) = parsed(*frames(frame))
    assert (event.is_delta, event.text, event.raw_data) == (True, text, frame)


def test_lines_may_be_bytes_and_the_last_event_needs_no_blank_line() -> None:
    assert (
        said('data: {"message": "Å\u2028"}'.encode(), b"", b": note", b"id: 7", b"retry: 1", b"data: b") == "Å\u2028b"
    )


def test_several_data_lines_are_one_text() -> None:
    assert said("data: a", "data: b", "", 'data: {"message":', 'data: "c"}', "") == "a\nbc"


@pytest.mark.requirement("STK-S08")
def test_only_one_leading_blank_is_removed() -> None:
    assert said("data: a", "", "data:  b ", "", "data:c", "") == "a b c"


@pytest.mark.parametrize(
    ("data", "text"), [('"hi \\u00e9"', "hi é"), ("42", "42"), ("null", "null"), ("[1]", "[1]"), ("{broken", "{broken")]
)
def test_data_that_is_no_object_is_text_itself(data: str, text: str) -> None:
    (event,) = parsed(f"data: {data}", "")
    assert (event.text, event.raw_data) == (text, {"raw": data})


def test_half_a_surrogate_pair_does_not_put_json_into_the_answer() -> None:
    assert said('data: {"message": "a\\ud83d"}', "") == "a\ufffd"


@pytest.mark.requirement("STK-37", "STK-S03")
@pytest.mark.parametrize(
    ("lines", "error"),
    [
        (["event: error", 'data: {"type": "error", "message": "quota", "code": "X"}'], "quota"),
        (['data: {"type": "error", "message": "quota"}'], "quota"),
        (['data: {"type": "error", "error": "quota"}'], "quota"),
        (["event: error", "data: plain words"], "plain words"),
        (["event: error", 'data: "quoted"'], "quoted"),
        (["event: error", 'data: {"code": 7}'], '{"code": 7}'),
        (['data: {"type": "error", "error": {"message": "quota", "code": 1}}'], "quota"),
        (['data: {"type": "error", "message": null, "error": {"code": 1}}'], '{"code":1}'),
    ],
)
def test_errors_give_their_message(lines: list[str], error: str) -> None:
    (event,) = parsed(*lines, "")
    assert (event.is_error, event.error, event.text) == (True, error, "")


@pytest.mark.requirement("STK-S04")
@pytest.mark.parametrize("frame", [{"error": {"message": "quota", "type": "insufficient_quota"}}, {"error": "quota"}])
def test_an_error_object_without_a_type_is_an_error(frame: dict[str, Any]) -> None:
    (event,) = parsed(*frames(frame))
    assert (event.is_error, event.error, event.raw_data) == (True, "quota", frame)


@pytest.mark.parametrize("error", [None, {}, "", "a word"])
def test_a_delta_with_an_unset_error_is_a_delta(error: Any) -> None:
    (event,) = parsed(*frames({"message": "a", "error": error}))
    assert (event.is_delta, event.text) == (True, "a")


@pytest.mark.requirement("STK-S06")
def test_an_event_name_ends_with_its_frame() -> None:
    events = parsed("event: error", "", 'data: {"message": "a"}', "")
    assert [(event.type, event.text) for event in events] == [("delta", "a")]


@pytest.mark.requirement("STK-S09")
def test_events_of_other_names_give_no_text() -> None:
    assert said("event: ping", "data: tick", "", "event: ping", 'data: {"message": "tick"}', "", "data: a", "") == "a"
    assert said("event: message", "data: a", "") == "a"


@pytest.mark.requirement("STK-S09")
@pytest.mark.parametrize("first", ["\ufeffdata: a", "\ufeffdata: a".encode()])
def test_a_byte_order_mark_is_dropped(first: str | bytes) -> None:
    assert said(first, "", "data: \ufeffb", "") == "a\ufeffb"


@pytest.mark.requirement("STK-S11")
@pytest.mark.parametrize("named", [True, False])
def test_a_done_object_is_merged_into_what_is_known(named: bool) -> None:
    parser = SseEventParser()
    end = {"conversation_id": None, "stop_reason": "length", "usage": {"prompt_tokens": 3, "completion_tokens": 2}}
    head = ["event: done", f"data: {json.dumps(end)}"] if named else [f"data: {json.dumps({**end, 'type': 'done'})}"]
    events = parsed(*frames({"message": "a", "conversation_id": "C"}), *head, "", parser=parser)
    assert events[-1].is_done
    known = parser.metadata or {}
    assert (known["conversation_id"], known["stop_reason"]) == ("C", "length")
    assert known["tokens"] == {"user": 3, "enrichment": 0, "output": 2}


@pytest.mark.requirement("STK-S11")
def test_of_several_usages_the_last_holds_and_native_counts_hold_more() -> None:
    usages = [{"message": "a", "usage": {"prompt_tokens": 1, "completion_tokens": n}} for n in (1, 2)]
    assert (metadata(*usages) or {})["tokens"] == {"user": 1, "enrichment": 0, "output": 2}
    native = {"tokens": {"user": 9, "enrichment": 9, "output": 9}}
    assert (metadata(usages[0], native, usages[1]) or {})["tokens"] == native["tokens"]
    assert (metadata(native, usages[1]) or {})["tokens"] == native["tokens"]
    assert (metadata({"tokens": None}, usages[1]) or {})["tokens"] == {"user": 1, "enrichment": 0, "output": 2}


def test_a_null_takes_nothing_away() -> None:
    assert metadata({"conversation_id": "C"}, {"conversation_id": None, "stop_reason": None}) == {
        "conversation_id": "C",
        "stop_reason": None,
    }


def test_without_particulars_there_is_no_metadata() -> None:
    assert metadata({"message": "a"}) is None


@pytest.mark.requirement("STK-S10")
@pytest.mark.parametrize("end", ["data: [DONE]", 'data: {"type": "done"}'])
def test_nothing_is_read_after_the_end(end: str) -> None:
    def lines() -> Any:
        yield from ("data: a", "", end, "")
        raise ConnectionError("nobody should have asked")

    assert [event.type for event in SseEventParser().parse(lines())] == ["delta", "done"]


@pytest.mark.requirement("STK-41")
def test_a_parser_serves_one_stream_after_the_other() -> None:
    parser = SseEventParser()
    parsed(*NATIVE, parser=parser)
    assert [event.text for event in parsed("data: b", "", parser=parser)] == ["b"]
    assert parser.metadata is None


@pytest.mark.requirement("STK-41")
def test_both_hooks_are_asked() -> None:
    class Mine(SseEventParser):
        def __init__(self) -> None:
            self.seen: list[dict[str, Any]] = []

        @staticmethod
        def _extract_delta_text(data: dict[str, Any]) -> str:
            return str(data.get("response_text", ""))

        def _track_chunk_metadata(self, data: dict[str, Any]) -> None:
            self.seen.append(data)
            super()._track_chunk_metadata({"conversation_id": data.get("thread")})

    parser = Mine()
    events = parsed(*frames({"response_text": "a", "thread": "C"}, {"message": "x"}), parser=parser)
    assert [event.text for event in events] == ["a", ""]
    assert len(parser.seen) == 2
    assert parser.metadata == {"conversation_id": "C"}


@pytest.mark.requirement("STK-41")
def test_the_text_hook_may_be_a_method_and_say_nothing() -> None:
    class Mine(SseEventParser):
        count = 0

        def _extract_delta_text(self, data: dict[str, Any]) -> Any:  # type: ignore[override]
            self.count += 1
            return None if self.count == 1 else self.count

    assert [event.text for event in parsed(*frames({}, {}), parser=Mine())] == ["", "2"]


@pytest.mark.requirement("STK-41")
def test_frames_and_lines_give_the_same() -> None:
    parser = SseEventParser()
    by_frame = [parser.read_frame(line[6:].encode()) for line in NATIVE if line]
    assert by_frame == parsed(*NATIVE)


def test_frames_are_logged_for_those_who_debug_and_without_secrets(caplog: pytest.LogCaptureFixture) -> None:
    parsed("data: a", "")
    assert not caplog.records
    with caplog.at_level(logging.DEBUG, "dragoman.stackspot"):
        parsed("data: Bearer abcdefghijklmnop", "")
    assert "abcdefghijklmnop" not in caplog.text
    assert "Bearer" in caplog.text


def test_event_types_are_words() -> None:
    assert [str(one) for one in ChatResponseStreamEventType] == ["delta", "done", "error"]
