"""Chat as a stream: framing, deltas, metadata, failures, silence, clients that leave (stackspot.md 2.3, 3.2.4 to 7)."""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.server.stackspot.spot_app import Gate, Reply, events, spot_app, text_of

from dragoman.core.errors import DragomanError
from dragoman.core.ids import is_ulid
from dragoman.core.messages import ModelRequest
from dragoman.demo.app import demo_app
from dragoman.engine.agents import Agent
from dragoman.engine.app import App
from dragoman.server.stackspot import streaming
from dragoman.testing.serving import serve

CONVERSATION = "01JZ8Q4N5V7X3W1T9R2P6M0KHC"


def values(reply: Reply) -> list[dict[str, Any]]:
    """The JSON objects of a stream."""
    return [json.loads(event.data) for event in events(reply) if event.data != "[DONE]"]


@pytest.mark.requirement("STK-44")
async def test_the_head_says_what_clients_need() -> None:
    async with spot_app() as spot:
        reply = await (await spot.caller()).stream("count: 3")
        assert reply.status == 200
        assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert reply.headers["cache-control"] == "no-cache"
        assert reply.headers["x-accel-buffering"] == "no"
        assert not {"content-length", "content-encoding", "set-cookie"} & reply.headers.keys()


@pytest.mark.requirement("STK-30", "STK-35", "STK-44")
async def test_each_delta_is_a_frame_and_one_mark_ends_the_body() -> None:
    async with spot_app() as spot:
        reply = await (await spot.caller()).stream("count: 5", use_conversation=True, conversation_id=CONVERSATION)
        frames = values(reply)
        assert [frame["message"] for frame in frames] == ["1", " 2", " 3", " 4", " 5", ""]
        assert frames[0]["conversation_id"] == frames[-1]["conversation_id"] == CONVERSATION
        assert not any("conversation_id" in frame for frame in frames[1:-1])
        last = frames[-1]
        assert last.keys() == {
            "message",
            "stop_reason",
            "tokens",
            "knowledge_source_id",
            "conversation_id",
            "message_id",
        }
        assert last["stop_reason"] == "stop"
        assert last["knowledge_source_id"] == []
        assert is_ulid(last["message_id"])
        assert last["tokens"]["output"] > 0
        assert reply.body.endswith(b"\n\ndata: [DONE]\n\n")
        assert reply.body.count(b"[DONE]") == 1
        assert b"\r" not in reply.body
        assert b"event:" not in reply.body
        assert reply.ended


@pytest.mark.requirement("STK-34", "STK-44")
async def test_frames_are_ascii_and_small_whatever_the_text() -> None:
    text = 'Å\x85\u2028\u2029\x0b\x0c\x1c\x1e é🌍\r\n\\"\t\x00' * 2000 + "plain " * 4000
    async with spot_app() as spot:
        reply = await (await spot.caller()).stream(f"echo: {text}")
        assert text_of(reply) == text
        assert reply.body.isascii()
        assert max(len(frame) for frame in reply.body.split(b"\n\n")) <= 4096


@pytest.mark.requirement("STK-33")
async def test_each_frame_is_sent_as_soon_as_it_is_known() -> None:
    gate = Gate()
    async with spot_app(gate=gate) as spot:
        reply = (await spot.caller()).begin("slow: 3 1000", streaming=True)
        for known in range(1, 4):
            gate.let()
            await reply.until(lambda known=known: len(values(reply)) >= known)
            assert len(values(reply)) == known or known == 3
        await reply.end()
        assert text_of(reply) == "1 2 3"


@pytest.mark.requirement("STK-45")
async def test_an_agent_may_stream_as_openai_does() -> None:
    async with spot_app() as spot:
        caller = await spot.caller()
        reply = await caller.stream("count: 3", agent="demo-openai", use_conversation=True)
        frames = values(reply)
        deltas = [frame["choices"][0]["delta"].get("content") for frame in frames]
        assert deltas == ["1", " 2", " 3", None]
        assert {frame["object"] for frame in frames} == {"chat.completion.chunk"}
        assert [frame["choices"][0]["finish_reason"] for frame in frames] == [None, None, None, "stop"]
        last = frames[-1]
        assert last["usage"]["total_tokens"] == last["usage"]["prompt_tokens"] + last["usage"]["completion_tokens"]
        assert last["tokens"]["input"] == last["usage"]["prompt_tokens"] > 0
        assert is_ulid(frames[0]["conversation_id"])
        assert last["conversation_id"] == frames[0]["conversation_id"]
        assert reply.body.endswith(b"data: [DONE]\n\n")
        assert len({frame["id"] for frame in frames}) == 1


@pytest.mark.requirement("STK-37", "STK-38")
async def test_a_failure_after_the_first_text_is_a_frame_and_a_cut_body() -> None:
    async with spot_app() as spot:
        reply = await (await spot.caller()).stream("fail: model quota exhausted")
        told = events(reply)
        assert reply.status == 200
        assert told[0].event == "message"
        assert json.loads(told[0].data)["message"]
        assert told[-1].event == "error"
        assert json.loads(told[-1].data) == {
            "type": "error",
            "message": "model quota exhausted",
            "code": "MODEL_ERROR",
        }
        assert b"[DONE]" not in reply.body
        assert not reply.ended, "the body has no end"


@pytest.mark.requirement("STK-38")
def test_the_server_cuts_the_body_and_the_frame_arrives_all_the_same() -> None:
    with serve(demo_app(), demo=True) as served:
        connection = http.client.HTTPConnection(urlsplit(served.url).netloc, timeout=20)
        form = "grant_type=client_credentials&client_id=demo&client_secret=demo-secret"
        kind = {"content-type": "application/x-www-form-urlencoded"}
        connection.request("POST", "/demo/oidc/oauth/token", form, kind)
        token = json.loads(connection.getresponse().read())["access_token"]
        body = json.dumps({"user_prompt": "fail: gone wrong", "streaming": True})
        connection.request("POST", "/v1/agent/demo/chat", body, {"authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        assert answer.headers["transfer-encoding"] == "chunked"
        with pytest.raises(http.client.IncompleteRead) as cut:
            answer.read()
        assert b"event: error" in cut.value.partial
        assert b"gone wrong" in cut.value.partial
        connection.close()


@pytest.mark.requirement("STK-39")
async def test_a_failure_before_the_first_text_has_a_status() -> None:
    async def model(request: ModelRequest) -> AsyncIterator[Any]:
        raise DragomanError("nothing works", code="model_error")
        yield ""

    async with spot_app(App("failing", agents=[Agent("demo", model=model)])) as spot:
        reply = await (await spot.caller()).stream("x")
        assert reply.status == 502
        assert reply.json == {"type": "BAD_GATEWAY", "code": "MODEL_ERROR", "details": "nothing works"}


@pytest.mark.requirement("STK-P03")
async def test_silence_is_filled_with_comments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "HEAD_SECONDS", 0.05)
    gate = Gate()
    async with spot_app(gate=gate, limits__heartbeat_seconds=0.05) as spot:
        reply = (await spot.caller()).begin("slow: 1 1000", streaming=True)
        await reply.until(lambda: reply.body.count(b": keep-alive\n\n") >= 2)
        gate.let()
        await reply.end()
        assert text_of(reply) == "1"
        assert reply.body.endswith(b"data: [DONE]\n\n")


@pytest.mark.requirement("STK-40")
async def test_a_client_that_leaves_ends_the_model_call_within_a_second() -> None:
    stopped = asyncio.Event()

    async def model(request: ModelRequest) -> AsyncIterator[Any]:
        try:
            yield "first"
            await asyncio.Event().wait()
        finally:
            stopped.set()

    app = App("waits", agents=[Agent("demo", model=model)])
    async with spot_app(app) as spot:
        reply = (await spot.caller()).begin("x", streaming=True, use_conversation=True, conversation_id=CONVERSATION)
        await reply.until(lambda: b"first" in reply.body)
        await asyncio.wait_for(reply.leave(), 1.0)
        await asyncio.wait_for(stopped.wait(), 1.0)
        run = await spot.run("demo", "cancelled")
        assert run.error["message"] == "disconnected"
        threads = await spot.services.store.threads("demo", run.owner, limit=10)
        assert not threads.rows, "a half answer is no part of the history"


@pytest.mark.requirement("STK-40")
async def test_a_client_that_leaves_before_the_first_text_ends_the_model_call() -> None:
    gate = Gate()
    async with spot_app(gate=gate) as spot:
        reply = (await spot.caller()).begin("slow: 3 1000", streaming=True)
        await spot.run("demo", "running")
        await reply.leave()
        assert (await spot.run()).status == "cancelled"
        assert reply.status == 0


@pytest.mark.requirement("STK-43")
async def test_several_streams_at_once_keep_to_themselves() -> None:
    async with spot_app() as spot:
        caller = await spot.caller()
        replies = await asyncio.gather(*(caller.stream(f"count: {n}") for n in range(1, 9)))
        assert [text_of(reply).split()[-1] for reply in replies] == [str(n) for n in range(1, 9)]


async def test_streams_that_run_when_the_server_closes_are_finished() -> None:
    gate = Gate()
    async with spot_app(gate=gate) as spot:
        caller = await spot.caller()
        reply = caller.begin("slow: 2 1000", streaming=True)
        gate.let()
        await reply.until(lambda: text_of(reply) == "1")
        spot.application.begin_closing()
        refused = await caller.chat("echo: x")
        assert refused.status == 503
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        gate.let()
        await reply.end()
        assert text_of(reply) == "1 2"
        assert reply.body.endswith(b"data: [DONE]\n\n")


async def test_an_answer_that_cannot_be_finished_in_time_is_given_up_with_words() -> None:
    gate = Gate()
    async with spot_app(gate=gate, limits__shutdown_seconds=1) as spot:
        caller = await spot.caller()
        reply = caller.begin("slow: 2 1000", streaming=True)
        plain = caller.begin("slow: 2 1000")
        gate.let(2)
        await reply.until(lambda: text_of(reply) == "1")
        spot.application.begin_closing()
        await reply.end()
        assert events(reply)[-1].event == "error"
        assert not reply.ended
        assert json.loads(events(reply)[-1].data)["code"] == "SERVICE_UNAVAILABLE"
        assert (await plain.end()).status == 503
