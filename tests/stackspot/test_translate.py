"""A run's events as text, documents and frames; requests as the wire has them. Pure, and for any text."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.core import events as ev
from dragoman.core.errors import Unprocessable
from dragoman.core.ids import as_ulid
from dragoman.stackspot.translate import (
    AnswerFold,
    Told,
    cancelled,
    chat_document,
    failure_of,
    frame_style,
    text_frames,
)
from dragoman.stackspot.wire import MOST_BYTES, ChatBody, error_frame, names_that_fit, text_pieces
from dragoman.wire.sse import SSEDecoder

RUN = "01890000-0000-7000-8000-000000000001"
ABOUT = Told("demo", "01JZ8Q4P3D2M9S6K1V5B8N7T0A", "01JZ8Q4N5V7X3W1T9R2P6M0KHC", 12, True, 1_700_000_000)


def folded(*bodies: Any, step: str = "model:1") -> AnswerFold:
    fold = AnswerFold()
    for number, given_body in enumerate(bodies, 1):
        body, of = given_body if isinstance(given_body, tuple) else (given_body, step)
        fold.feed(ev.Event(RUN, number, 0.0, body, of))
    return fold


def said(text: str, block: str = "b1", kind: Any = "text") -> list[Any]:
    return [ev.BlockStarted(block, kind), ev.BlockDelta(block, text), ev.BlockEnded(block)]


def source(name: str, text: str = "x" * 40) -> ev.ItemAdded:
    body = {"source": name, "blob": RUN, "title": "handbook.md", "text": text}
    return ev.ItemAdded("i1", "source", body)


@pytest.mark.requirement("STK-11")
def test_text_is_what_the_model_said_without_its_thoughts() -> None:
    fold = folded(*said("thinking", "r", "reasoning"), *said("Doing it"), ev.RunCompleted())
    assert (fold.text, fold.state) == ("Doing it", "completed")


def test_texts_around_a_tool_call_are_told_apart() -> None:
    later = [(body, "model:2") for body in said("The sum is 5.", "b2")]
    assert folded(*said("Let me add."), *later).text == "Let me add.\n\nThe sum is 5."


def test_what_a_broken_attempt_said_is_void() -> None:
    fold = folded(*said("half"), ev.StepRestarted(2), *said("whole", "b2"), ev.RunCompleted())
    assert fold.text == "whole"
    assert fold.spoilt
    events = [ev.Event(RUN, n, 0.0, body, "model:1") for n, body in enumerate([*said("half"), ev.StepRestarted(2)])]
    late = AnswerFold()
    assert late.feed_all(events) == ""
    assert not late.spoilt, "nothing of it has been given out"


@pytest.mark.requirement("STK-12")
def test_tokens_count_what_knowledge_added_apart() -> None:
    fold = folded(source("handbook"), *said("x"), ev.UsageCounted(100, 7), ev.RunCompleted())
    assert fold.tokens(12).as_json() == {"user": 90, "enrichment": 10, "input": 100, "output": 7}


@pytest.mark.requirement("STK-12")
@given(st.integers(0, 10**6), st.integers(0, 5000), st.integers(0, 5000), st.integers(1, 10**6))
def test_tokens_are_never_0_for_a_prompt_and_an_answer(prompt: int, given_: int, passage: int, size: int) -> None:
    usage = ev.UsageCounted(given_, 0)
    tokens = folded(source("s", "x" * passage), usage, *said("y" * min(size, 50))).tokens(prompt)
    assert tokens.user > 0
    assert tokens.output > 0
    assert tokens.enrichment >= 0


@pytest.mark.requirement("STK-13", "STK-70")
def test_sources_are_named_if_they_are_asked_for() -> None:
    fold = folded(source("one"), source("two"), source("one"), *said("x"), ev.RunCompleted())
    document = chat_document(fold, ABOUT)
    assert document["knowledge_source_id"] == ["one", "two"]
    assert document["source"][0] == {
        "type": "knowledge_source",
        "name": "handbook.md",
        "slug": "one",
        "document_id": as_ulid(RUN),
    }
    quiet = chat_document(fold, Told("demo", "m", None, 1, False, 0))
    assert quiet["knowledge_source_id"] == quiet["source"] == []
    assert quiet["conversation_id"] is None


def test_sources_that_a_model_cites_are_none_of_ours() -> None:
    cited = ev.ItemAdded("i2", "source", {"url": "https://example.org", "title": "x"})
    assert folded(cited, *said("x")).source_names() == []


@pytest.mark.requirement("STK-10")
def test_a_refusal_is_the_answer_and_says_so() -> None:
    fold = folded(*said("I will not.", kind="refusal"), ev.RunCompleted("stop"))
    assert (fold.text, fold.stop_reason) == ("I will not.", "content_filter")


@pytest.mark.requirement("STK-17")
def test_failures_get_a_status_by_what_they_are() -> None:
    assert failure_of(ev.RunFailed("model_error", "oops", ref="r"), expose=True).message == "oops"
    hidden = failure_of(ev.RunFailed("model_error", "oops", ref="r"), expose=False)
    assert (hidden.status, hidden.code) == (502, "MODEL_ERROR")
    assert "oops" not in hidden.message
    file = failure_of(ev.RunFailed("bad_request:file", "a.png is not taken", ref="r"), expose=False)
    assert (file.status, file.message) == (400, "a.png is not taken")
    assert cancelled("CREDITS_EXHAUSTED").status == 402
    assert cancelled("stopped").status == 409


# --------------------------------------------------------------------------- frames


@pytest.mark.requirement("STK-34", "STK-44")
@pytest.mark.parametrize("name", ["native", "openai"])
@given(text=st.text(max_size=6000))
def test_frames_carry_any_text_in_small_ascii_pieces(name: Any, text: str) -> None:
    style = frame_style(name, ABOUT)
    frames = text_frames(style, text, first=True)
    told = [json.loads(event.data) for event in SSEDecoder().feed(b"".join(frames))]
    pieces = [v["message"] if name == "native" else v["choices"][0]["delta"]["content"] for v in told]
    assert "".join(pieces) == text
    assert all(pieces)
    assert all(frame.isascii() and len(frame) <= MOST_BYTES for frame in frames)
    assert [("conversation_id" in v) for v in told] == [n == 0 for n in range(len(told))]


@given(st.text(max_size=3000), st.integers(12, 400))
def test_pieces_join_to_the_text_and_keep_to_their_room(text: str, room: int) -> None:
    pieces = list(text_pieces(text, room))
    assert "".join(pieces) == text
    assert all(piece and len(json.dumps(piece)) - 2 <= room for piece in pieces)


@pytest.mark.requirement("STK-44")
@pytest.mark.parametrize("name", ["native", "openai"])
def test_the_last_frame_is_small_too(name: Any) -> None:
    fold = folded(*[source(f"{n}-" + "é" * 120) for n in range(300)], *said("x"), ev.RunCompleted())
    frame = frame_style(name, ABOUT).last(fold)
    assert frame.isascii()
    assert len(frame) <= MOST_BYTES
    value = json.loads(SSEDecoder().feed(frame)[0].data)
    assert value["knowledge_source_id"][0].startswith("0-")


@pytest.mark.requirement("STK-37")
@given(st.text(max_size=5000))
def test_an_error_frame_is_small_whatever_went_wrong(text: str) -> None:
    frame = error_frame("MODEL_ERROR", text)
    event = SSEDecoder().feed(frame)[0]
    assert event.event == "error"
    assert frame.isascii()
    assert len(frame) <= MOST_BYTES
    told = json.loads(event.data)
    assert told["type"] == "error"
    assert text.startswith(told["message"])


def test_names_that_do_not_fit_are_left_out() -> None:
    assert names_that_fit(["a" * 10, "b" * 10, "c"], room=27) == ["a" * 10, "b" * 10]


# --------------------------------------------------------------------------- the request


@pytest.mark.requirement("STK-16")
def test_defaults_of_a_body_are_the_wires() -> None:
    assert ChatBody.of({"user_prompt": "x", "unknown": 1}) == ChatBody("x")
    full = {
        "user_prompt": "x",
        "streaming": True,
        "use_conversation": True,
        "conversation_id": "c",
        "stackspot_knowledge": "true",
        "return_ks_in_response": True,
        "upload_ids": ["b", "a"],
    }
    assert ChatBody.of(full) == ChatBody("x", True, True, "c", True, True, ("b", "a"))


@pytest.mark.requirement("STK-16")
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_any_json_is_a_body_or_is_refused(value: Any) -> None:
    for body in (value, {"user_prompt": value}, {"user_prompt": "x", "streaming": value, "upload_ids": value}):
        assert _outcome(body) in ("body", "VALIDATION_ERROR")


def _outcome(body: Any) -> str | None:
    try:
        return "body" if ChatBody.of(body).user_prompt else "nothing"
    except Unprocessable as refused:
        return refused.code
