"""Answers as they are made."""

from __future__ import annotations

import itertools
import threading
import time
from typing import Any

import requests
from tests.interop.stackspot.registry import scenario
from tests.interop.stackspot.scenarios.asking import TEXTS
from tests.interop.stackspot.stage import Visit, is_ulid, numbers, raised, texts


@scenario.requirement("STK-30")
def as_many_deltas_as_were_made_and_one_done(visit: Visit) -> None:
    with visit.agent().chat_stream(visit.request("count: 20")) as stream:
        events = list(stream)
        assert texts(events) == ["1", *(f" {n}" for n in range(2, 21))]
        assert [event.is_done for event in events].count(True) == 1
        assert events[-1].is_done
        assert stream.response.result == numbers(20)
        raised(lambda: next(iter(stream)), RuntimeError)


@scenario.requirement("STK-31", "STK-32")
def a_stream_can_be_taken_in_every_way(visit: Visit) -> None:
    agent = visit.agent()
    with agent.chat_stream(visit.request("count: 5")) as stream:
        seen = []
        for text in stream.text_stream:
            seen.append(text)
            assert stream.accumulated_text == "".join(seen)
        assert seen == ["1", " 2", " 3", " 4", " 5"]
    with agent.chat_stream(visit.request("count: 5")) as stream:
        stream.until_done()
        assert stream.response.result == numbers(5)
    with agent.chat_stream(visit.request("count: 5")) as stream:
        assert stream.get_final_response().result == numbers(5)


@scenario.requirement("STK-33")
def deltas_arrive_as_they_are_made(visit: Visit) -> None:
    times = []
    with visit.agent().chat_stream(visit.request("slow: 6 200")) as stream:
        for event in stream:
            if event.is_delta and event.text:
                times.append(time.monotonic())
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert len(gaps) == 5
    assert times[-1] - times[0] > 0.6, times
    assert sum(gap > 0.1 for gap in gaps) >= 3, gaps


@scenario.requirement("STK-34")
def the_text_of_a_stream_is_exact(visit: Visit) -> None:
    agent = visit.agent()
    for text in TEXTS:
        events, response = visit.streamed(f"echo: {text}", agent)
        assert "".join(texts(events)) == response.result == text


@scenario.requirement("STK-35")
def a_stream_has_its_metadata(visit: Visit) -> None:
    _, response = visit.streamed("echo: hello", use_conversation=True)
    assert response.is_success()
    assert response.stop_reason == "stop"
    assert min(response.tokens.user, response.tokens.output) > 0
    assert is_ulid(response.conversation_id)
    assert response.knowledge_sources == []
    _, alone = visit.streamed("echo: hello")
    assert alone.conversation_id is None


@scenario.requirement("STK-37", "STK-38")
def a_model_that_fails_in_a_stream_is_told_after_the_partial_text(visit: Visit) -> None:
    events, response = visit.streamed("fail: the quota is used up")
    partial = "".join(texts(events))
    assert partial
    told = [event for event in events if event.is_error]
    assert len(told) == 1
    assert events[-1] is told[0]
    assert "the quota is used up" in told[0].error
    assert not any(event.is_done for event in events)
    assert response.is_error()
    assert response.result == partial
    assert response.error


@scenario.requirement("STK-39")
def what_fails_while_opening_raises_with_the_body(visit: Visit) -> None:
    cases: list[tuple[Any, dict[str, Any], int]] = [
        (visit.agent("nobody-here"), {}, 404),
        (visit.agent(http=visit.with_headers({"Authorization": "Bearer bogus"})), {}, 401),
        (visit.agent(), {"upload_ids": ["01JZ8Q4N5V7X3W1T9R2P6M0KHC"]}, 404),
    ]
    for agent, about, status in cases:
        error = raised(lambda: agent.chat_stream(visit.request("echo: hello", **about)), requests.HTTPError)  # noqa: B023
        assert error.response is not None
        assert error.response.status_code == status
        assert {"type", "code", "details"} <= error.response.json().keys()
        assert error.response.headers["content-type"].startswith("application/json")


@scenario.requirement("STK-43")
def eight_streams_at_once_stay_apart(visit: Visit) -> None:
    agent, told = visit.agent(), {}
    ready = threading.Barrier(8)

    def read(number: int) -> None:
        with agent.chat_stream(visit.request(f"slow: {10 + number} 50")) as stream:
            ready.wait(20)
            told[number] = stream.get_final_response().result

    threads = [threading.Thread(target=read, args=(number,), daemon=True) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert told == {number: numbers(10 + number) for number in range(8)}


@scenario.requirement("STK-44")
def a_stream_is_framed_as_the_published_reader_needs(visit: Visit) -> None:
    body = {"user_prompt": "echo: " + "x\u0085y\u2028z" * 2000, "streaming": True, "use_conversation": True}
    for agent in ("demo", "demo-openai"):
        told = visit.http().post_stream(f"{visit.url}/v1/agent/{agent}/chat", data=body, timeout=20)
        try:
            data = b"".join(told.iter_content(65536))
            headers = {name.lower(): value for name, value in told.headers.items()}
        finally:
            told.close()
        assert headers["content-type"].replace(" ", "").lower() == "text/event-stream;charset=utf-8"
        assert "no-cache" in headers["cache-control"]
        assert headers["transfer-encoding"] == "chunked"
        assert headers["x-accel-buffering"] == "no"
        assert not {"content-encoding", "content-length", "set-cookie"} & headers.keys()
        assert b"\r" not in data
        assert data.endswith(b"\n\ndata: [DONE]\n\n")
        assert data.count(b"[DONE]") == 1
        assert b"event: done" not in data
        assert max(len(frame) for frame in data.split(b"\n\n")) <= 4096
        for unsafe in ("\u0085", "\u2028", "\u2029"):
            assert unsafe.encode() not in data
        frames = [frame for frame in data.split(b"\n\n") if frame.startswith(b"data: {")]
        assert b"conversation_id" in frames[0]
        assert b"conversation_id" in frames[-1]


@scenario.requirement("STK-45")
def a_stream_may_have_the_frames_of_openai(visit: Visit) -> None:
    agent = visit.agent("demo-openai")
    events, response = visit.streamed("count: 8", agent, use_conversation=True)
    assert texts(events) == ["1", *(f" {n}" for n in range(2, 9))]
    assert events[-1].is_done
    assert [event.is_done for event in events].count(True) == 1
    assert response.result == numbers(8)
    assert response.stop_reason == "stop"
    assert min(response.tokens.user, response.tokens.output) > 0
    assert is_ulid(response.conversation_id)
    assert "choices" in events[0].raw_data
    for text in TEXTS:
        assert visit.streamed(f"echo: {text}", agent)[1].result == text
    failed, response = visit.streamed("fail: it broke", agent)
    assert any(event.is_error and "it broke" in event.error for event in failed)
    assert response.is_error()
    assert (
        visit.said(
            "recall",
            agent,
            conversation_id=visit.streamed("echo: a", agent, use_conversation=True)[1].conversation_id,
            use_conversation=True,
        )
        == "echo: a"
    )
