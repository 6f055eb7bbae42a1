"""Answers over real sockets, read by our client, by one on `requests` and by the twin: what only a wire can do wrong."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
import requests
from anyio import to_thread
from tests.stackspot.peer import Peer, Step, Visit, answer

from dragoman.stackspot import AuthProvider, MaxRetriesExceededError
from dragoman.stackspot.agents import Agent, AgentOptions, AsyncAgent, ChatRequest, ChatResponse
from dragoman.stackspot.http_client import AsyncStandaloneHttpClient, HttpClient, StandaloneHttpClient

TEXT = "Å\u0085B\u2028C\x0bD 日本 \x1c\x1d\x1e🙂"
DONE = b"data: [DONE]\n\n"
OPTIONS = AgentOptions(request_timeout=0.6, retry_max_retries=2, retry_initial_delay=0.01)
KINDS = ["ours", "requests", "awaited"]


class Token(AuthProvider):
    def get_access_token(self) -> str:
        return "t"


class OnRequests(HttpClient):
    """As users write it."""

    def get(self, url: str, headers: dict[str, str] | None = None, timeout: Any = 30) -> requests.Response:
        return requests.get(url, headers=headers, timeout=timeout)

    def post(self, url: str, data: Any = None, headers: dict[str, str] | None = None, timeout: Any = 30) -> Any:
        return requests.post(url, json=data, headers=headers, timeout=timeout)

    def post_stream(self, url: str, data: Any = None, headers: dict[str, str] | None = None, timeout: Any = 30) -> Any:
        return requests.post(url, json=data, headers=headers, timeout=timeout, stream=True)


async def streamed(kind: str, url: str, options: AgentOptions = OPTIONS) -> ChatResponse:
    """The outcome of one stream."""
    if kind == "awaited":
        async with (
            AsyncStandaloneHttpClient(Token()) as client,
            AsyncAgent("a", url, options, client) as agent,
            await agent.chat_stream(ChatRequest("hi")) as stream,
        ):
            return await stream.get_final_response()

    def read() -> ChatResponse:
        client = StandaloneHttpClient(Token()) if kind == "ours" else OnRequests()
        with Agent("a", url, options, client) as agent, agent.chat_stream(ChatRequest("hi")) as stream:
            return stream.get_final_response()

    return await to_thread.run_sync(read)


async def chatted(kind: str, url: str, options: AgentOptions = OPTIONS) -> ChatResponse:
    if kind == "awaited":
        async with AsyncStandaloneHttpClient(Token()) as client, AsyncAgent("a", url, options, client) as agent:
            return await agent.chat(ChatRequest("hi"))
    client = StandaloneHttpClient(Token()) if kind == "ours" else OnRequests()
    with Agent("a", url, options, client) as agent:
        return await to_thread.run_sync(agent.chat, ChatRequest("hi"))


def frame(value: Any) -> bytes:
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n".encode()


def stream_of(*chunks: bytes, content_type: str = "text/event-stream", ending: str = "end") -> Step:
    """A chunked body that is ended, cut, or left open in silence."""

    def step(visit: Visit) -> None:
        lines = [f"content-type: {content_type}"] if content_type else []
        visit.send_head(200, *lines, "transfer-encoding: chunked", "connection: close")
        for chunk in chunks:
            visit.send_chunk(chunk)
        if ending == "end":
            visit.send(b"0\r\n\r\n")
        elif ending == "silence":
            visit.say_nothing()
        elif ending == "reset":
            visit.reset()

    return step


@pytest.mark.requirement("STK-34", "STK-S01", "STK-S02")
@pytest.mark.parametrize("kind", KINDS)
async def test_text_arrives_exactly_without_a_charset(kind: str) -> None:
    pieces = frame({"message": TEXT}) + frame({"message": TEXT}) + DONE
    with Peer(stream_of(*(pieces[place : place + 3] for place in range(0, len(pieces), 3)))) as peer:
        assert (await streamed(kind, peer.url)).result == TEXT * 2


@pytest.mark.requirement("STK-S07")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("content_type", ["", "text/plain", "application/octet-stream"])
async def test_a_stream_of_another_type_is_read_all_the_same(kind: str, content_type: str) -> None:
    with Peer(stream_of(frame({"message": TEXT}), DONE, content_type=content_type)) as peer:
        assert (await streamed(kind, peer.url)).result == TEXT


@pytest.mark.requirement("STK-S07")
@pytest.mark.parametrize("kind", KINDS)
async def test_an_answer_that_is_no_stream_is_an_answer_or_an_error(kind: str) -> None:
    with Peer([answer(200, {"message": TEXT}), answer(200, b"<html>", content_type="text/html")]) as peer:
        assert (await streamed(kind, peer.url)).result == TEXT
        assert (await streamed(kind, peer.url)).is_error()


@pytest.mark.requirement("STK-S05")
@pytest.mark.parametrize("kind", KINDS)
async def test_silence_in_the_middle_is_a_timeout_with_the_partial_text(kind: str) -> None:
    with Peer(stream_of(frame({"message": "a"}), ending="silence")) as peer:
        got = await streamed(kind, peer.url)
    assert (got.status, got.result) == ("TIMEOUT", "a")


@pytest.mark.requirement("STK-91", "STK-38")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ending", ["cut", "reset"])
async def test_a_connection_that_breaks_is_an_error_with_the_partial_text(kind: str, ending: str) -> None:
    with Peer(stream_of(frame({"message": "a"}), ending=ending)) as peer:
        got = await streamed(kind, peer.url)
    assert (got.status, got.result) == ("ERROR", "a") or ending == "reset"  # which takes back what was not read yet
    assert got.is_error()
    assert "Streaming failed" in (got.error or "")


@pytest.mark.requirement("STK-S03", "STK-37", "STK-38")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ending", ["end", "cut"])
async def test_a_failure_that_is_told_is_an_error_however_the_body_ends(kind: str, ending: str) -> None:
    told = b'event: error\ndata: {"type": "error", "message": "quota exhausted", "code": "MODEL_ERROR"}\n\n'
    with Peer(stream_of(frame({"message": "a"}), told, ending=ending)) as peer:
        got = await streamed(kind, peer.url)
    assert (got.status, got.result, got.error) == ("ERROR", "a", "Streaming failed: quota exhausted")


@pytest.mark.requirement("STK-S10")
@pytest.mark.parametrize("kind", KINDS)
async def test_nobody_waits_after_the_end(kind: str) -> None:
    hung_up = threading.Event()

    def linger(visit: Visit) -> None:
        visit.send_head(200, "content-type: text/event-stream", "transfer-encoding: chunked")
        visit.send_chunk(frame({"message": "a"}) + DONE + frame({"message": "late"}))
        visit.say_nothing()
        hung_up.set()

    with Peer(linger) as peer:
        got = await streamed(kind, peer.url, AgentOptions(request_timeout=8))
        assert await to_thread.run_sync(hung_up.wait, 5)
    assert (got.status, got.result) == ("SUCCESS", "a")


@pytest.mark.requirement("STK-39", "STK-S13")
@pytest.mark.parametrize("kind", KINDS)
async def test_failed_openings_leave_no_connection_and_tell_what_was_said(kind: str) -> None:
    refusals: list[Step] = [answer(503, {"details": f"the quota is gone {n}"}) for n in range(3)]
    with Peer(refusals) as peer:
        with pytest.raises(MaxRetriesExceededError, match="the quota is gone 2") as caught:
            await streamed(kind, peer.url)
        assert isinstance(caught.value.last_exception, requests.HTTPError)
        assert len(peer.visits) == 3
        if kind == "requests":  # it keeps no connection alive
            assert peer.connections == 3


@pytest.mark.requirement("STK-S13")
@pytest.mark.parametrize("kind", KINDS)
async def test_a_refused_answer_shows_its_body_after_the_last_retry(kind: str) -> None:
    with Peer(answer(502, {"details": "model quota"})) as peer:
        got = await chatted(kind, peer.url)
    assert got.is_error()
    assert "Max retries exceeded" in (got.error or "")
    assert "HTTP error 502" in (got.error or "")
    assert "model quota" in (got.error or "")


@pytest.mark.requirement("STK-88")
@pytest.mark.parametrize("kind", KINDS)
async def test_a_body_that_is_cut_is_asked_for_again(kind: str) -> None:
    def cut(visit: Visit) -> None:
        visit.send_head(200, "content-type: application/json", "content-length: 500")
        visit.send(b'{"message": "ha')

    with Peer([cut, answer(200, {"message": TEXT})]) as peer:
        assert (await chatted(kind, peer.url)).result == TEXT
        first, second = (visit.headers["idempotency-key"] for visit in peer.visits)
    assert first == second


@pytest.mark.requirement("STK-18", "STK-89")
@pytest.mark.parametrize("kind", KINDS)
async def test_a_service_that_does_not_answer_is_a_timeout(kind: str) -> None:
    with Peer(lambda visit: visit.say_nothing()) as peer:
        got = await chatted(kind, peer.url, AgentOptions(request_timeout=0.2, retry_max_retries=0))
    assert got.is_timeout()


@pytest.mark.requirement("STK-19", "STK-11")
@pytest.mark.parametrize("kind", KINDS)
async def test_large_texts_go_both_ways(kind: str) -> None:
    large = (TEXT + '\n\r\t"\\ ') * 8000
    with Peer(answer(200, {"message": large})) as peer:
        if kind == "awaited":
            async with AsyncStandaloneHttpClient(Token()) as client, AsyncAgent("a", peer.url, OPTIONS, client) as made:
                got = await made.chat(ChatRequest(large))
        else:
            with Agent("a", peer.url, OPTIONS, StandaloneHttpClient(Token())) as agent:
                got = await to_thread.run_sync(agent.chat, ChatRequest(large))
        assert peer.visits[0].json()["user_prompt"] == large
    assert got.result == large


@pytest.mark.requirement("STK-S23")
@pytest.mark.parametrize("kind", KINDS)
async def test_an_agents_id_can_not_change_the_path(kind: str) -> None:
    with Peer(answer(200, {"message": "a"})) as peer:
        if kind == "awaited":
            async with (
                AsyncStandaloneHttpClient(Token()) as client,
                AsyncAgent("../x?y#z", peer.url, OPTIONS, client) as a,
            ):
                assert (await a.chat(ChatRequest("hi"))).is_success()
        else:
            client_ = StandaloneHttpClient(Token()) if kind == "ours" else OnRequests()
            with Agent("../x?y#z", peer.url, OPTIONS, client_) as agent:
                assert (await to_thread.run_sync(agent.chat, ChatRequest("hi"))).is_success()
        assert peer.visits[0].path == "/v1/agent/..%2Fx%3Fy%23z/chat"
