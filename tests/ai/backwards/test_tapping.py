"""What goes through a tap, what stays behind, and what is heard; whatever the cuts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ai.wires.test_transcripts import cut

from dragoman.ai.backwards import Tap
from dragoman.ai.backwards import tapping as module

pytestmark = pytest.mark.requirement("AIP-105")


NAMED = {"object": "chat.completion.chunk"}


def frame(value: Any) -> bytes:
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n"


def said(text: str, **more: Any) -> bytes:
    return frame({**NAMED, "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}], **more})


FINISH = frame({**NAMED, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
USAGE = frame({**NAMED, "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}})
DONE = b"data: [DONE]\n\n"
WHOLE = b": hello\n\n" + said("Hé") + said('"usage": {"a": 1}, "error": "x"', usage=None) + FINISH + USAGE + DONE


def through(data: bytes, places: list[int], **options: Any) -> tuple[bytes, Tap]:
    tap = Tap(**{"strip_usage": False, **options})
    return b"".join([tap.feed(piece) for piece in cut(data, places)]) + tap.close(), tap


@given(places=st.lists(st.integers(0, len(WHOLE)), max_size=12))
def test_everything_goes_on_as_it_came_and_is_heard(places: list[int]) -> None:
    passed, tap = through(WHOLE, places)
    assert passed == WHOLE
    assert tap.usage is not None
    assert (tap.usage["total_tokens"], tap.finished, tap.done, tap.error) == (3, True, True, None)


@given(places=st.lists(st.integers(0, len(WHOLE)), max_size=12))
def test_the_counts_are_taken_out_where_nobody_asked_for_them(places: list[int]) -> None:
    passed, tap = through(WHOLE, places, strip_usage=True)
    assert passed == WHOLE.replace(USAGE, b"")
    assert tap.usage is not None


@pytest.mark.parametrize("end", [b"\r\n", b"\r"])
def test_other_line_ends_are_written_anew_at_every_cut(end: bytes) -> None:
    data = WHOLE.replace(b"\n", end)
    expected = WHOLE.removeprefix(b": hello\n\n")
    for size in (1, 2, 7, len(data)):
        passed, tap = through(data, list(range(0, len(data), size)))
        assert (passed, tap.done) == (expected, True)


def test_a_mark_of_the_byte_order_is_no_part_of_the_first_frame() -> None:
    for size in (1, len(WHOLE)):
        data = b"\xef\xbb\xbf" + said("x") + DONE
        passed, _ = through(data, list(range(0, len(data), size)))
        assert passed == said("x") + DONE


@pytest.mark.parametrize(
    "error",
    [
        {"error": {"message": "no", "code": 500}},
        {"error": "no"},
        {"type": "error", "message": "no"},
        {"choices": [], "error": {"message": "no"}},
    ],
)
def test_an_error_is_heard_and_does_not_go_on(error: Any) -> None:
    for size in (1, 1 << 16):
        data = said("x") + frame(error) + said("y") + DONE
        passed, tap = through(data, list(range(0, len(data), size)))
        assert passed == said("x")
        assert tap.error is not None
        assert tap.error.message == "no"


@given(places=st.lists(st.integers(0, len(WHOLE)), max_size=12))
def test_frames_that_do_not_say_what_they_are_are_told_as_chunks(places: list[int]) -> None:
    unnamed = WHOLE.replace(b'"object": "chat.completion.chunk", ', b"")
    assert unnamed != WHOLE
    passed, tap = through(unnamed, places)
    assert passed.replace(b'"object":"chat.completion.chunk",', b'"object": "chat.completion.chunk", ') == WHOLE
    assert (tap.finished, tap.done, tap.error) == (True, True, None)


def test_what_is_no_frame_stays_behind() -> None:
    data = b"data: {not json\n\ndata: [1]\n\nevent: x\n\n<html>\n\n" + said("x") + DONE
    assert through(data, [])[0] == said("x") + DONE


def test_nothing_behind_done_goes_on() -> None:
    passed, tap = through(said("x") + DONE + said("y"), [])
    assert passed == said("x") + DONE
    assert tap.feed(said("z")) == b""


def test_a_last_frame_without_its_blank_line_counts() -> None:
    passed, tap = through(said("x") + FINISH.rstrip(), [])
    assert passed == said("x") + FINISH
    assert tap.finished


@pytest.mark.parametrize("spelling", ['"usage":{', '"usage" : {', '"usage":  {'])
def test_counts_are_heard_however_they_are_spelt(spelling: str) -> None:
    data = USAGE.replace(b'"usage": {', spelling.encode())
    assert through(data, [])[1].usage is not None


def test_counts_one_level_down_are_heard() -> None:
    counted = {"x_groq": {"usage": {"prompt_tokens": 1, "completion_tokens": 1}}}
    tap = through(said("x", **counted), [])[1]
    assert tap.usage is not None
    assert tap.usage["prompt_tokens"] == 1


@pytest.mark.parametrize(
    ("delta", "is_output"),
    [
        ({"role": "assistant", "content": ""}, False),
        ({"content": None}, False),
        ({"content": "x"}, True),
        ({"reasoning_content": "x"}, True),
        ({"reasoning": "x"}, True),
        ({"refusal": "x"}, True),
        ({"tool_calls": [{"index": 0, "id": "c"}]}, True),
        ({"tool_calls": []}, False),
        ({"content": [{"type": "text", "text": "x"}]}, True),
    ],
)
def test_output_is_what_a_model_says(delta: Any, is_output: bool) -> None:
    tap = through(frame({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}), [])[1]
    assert tap.has_output is is_output


@pytest.mark.parametrize("start", [b"data: ", b"data: \r\n"])
def test_a_frame_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch, start: bytes) -> None:
    monkeypatch.setattr(module, "MOST_FRAME_BYTES", 1000)
    tap = Tap(strip_usage=False)
    tap.feed(start)
    for _ in range(200):
        assert tap.feed(b"x" * 10) == b""
    assert tap.error is not None
