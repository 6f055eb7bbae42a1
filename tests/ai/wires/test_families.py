"""Each family's wire for real: our client against a server that speaks it over sockets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.ai.wires.server import CUT, HOLD, Provider, Received, Reply, Step, gone_soon, measured_again, pieces, serving
from tests.ai.wires.speak import SPEAKERS, TOKENS, Call, Speaker, stream

from dragoman.ai import AiClient, Message, StreamingEvent, ToolDefinition
from dragoman.ai.client import CancelToken
from dragoman.ai.errors import AiLibError, ErrorClass, RemoteError, TransportError

ROWS = {
    "openai_chat": "AIP-105",
    "openai_responses": "AIP-106",
    "anthropic": "AIP-107",
    "gemini": "AIP-108",
    "ollama": "AIP-109",
    "cohere_v2": "AIP-110",
}
EVERY = pytest.mark.parametrize(
    "speaker", [pytest.param(each, id=each.name, marks=pytest.mark.requirement(ROWS[each.name])) for each in SPEAKERS]
)
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = ToolDefinition.from_function("get_weather", "The weather of a city.", CITY)


@asynccontextmanager
async def talking(speaker: Speaker, answering: Any, **options: Any) -> AsyncIterator[tuple[Provider, AiClient]]:
    """A server that answers so, and a client of the family that talks to it."""
    async with serving(answering) as server:
        options = {"api_key": "test-key", **options}
        async with await AiClient.create(speaker.model, base_url=server.url + speaker.base, **options) as client:
            yield server, client


def text_of(events: list[StreamingEvent]) -> str:
    return "".join(event.as_content_delta.content for event in events if event.is_content_delta)


@EVERY
@pytest.mark.requirement("AIP-51", "AIP-17", "AIP-111")
async def test_a_stream_comes_out_as_it_was_said(speaker: Speaker) -> None:
    frames = speaker.text(["Grüße", ", 世界", " 🌍"])
    async with talking(speaker, [stream(speaker, frames)]) as (server, client):
        chat = client.chat().system("Be brief.").user("Hello").max_tokens(64)
        events = [event async for event in chat.stream()]
    assert text_of(events) == "Grüße, 世界 🌍"
    assert [event.is_stream_end for event in events].count(True) == 1
    end = events[-1].as_stream_end
    assert end.stop_reason == "end_turn"
    assert end.usage is not None
    assert (end.usage["prompt_tokens"], end.usage["completion_tokens"]) == TOKENS
    request = server.requests[0]
    assert (request.method, request.path) == ("POST", speaker.path)
    assert speaker.asked(request.json()) == "Hello"
    assert "test-key" not in request.target


@EVERY
@pytest.mark.requirement("AIP-36", "AIP-111")
async def test_a_plain_answer_has_text_calls_and_usage(speaker: Speaker) -> None:
    call = Call("get_weather", {"city": "Zürich"}, "call_1")
    async with talking(speaker, [Reply.json(speaker.plain("I look.", [call]))]) as (_, client):
        answer = await client.chat().user("Hello").tools([WEATHER]).execute()
    assert answer.content == "I look."
    assert [(call.function_name, call.arguments) for call in answer.tool_calls] == [("get_weather", {"city": "Zürich"})]
    assert answer.stop_reason == "tool_use"
    assert (answer.prompt_tokens, answer.completion_tokens) == TOKENS


@EVERY
@pytest.mark.requirement("AIP-20", "AIP-21", "AIP-55")
async def test_a_tool_round_trip_ends_in_an_answer(speaker: Speaker) -> None:
    calls = [Call("get_weather", {"city": city}, f"call_{n}") for n, city in enumerate(("Zürich", "Genève"))]
    replies = [stream(speaker, speaker.calls(calls)), stream(speaker, speaker.text(["Clear."]))]
    async with talking(speaker, replies) as (server, client):
        question = Message.user("And the weather?")
        first = await client.chat().messages([question]).tools([WEATHER]).collect()
        assert [call.arguments["city"] for call in first.tool_calls] == ["Zürich", "Genève"]
        results = [Message.tool(call.id, f'{{"sky": "{call.arguments["city"]}"}}') for call in first.tool_calls]
        second = await client.chat().messages([question, first.to_message(), *results]).tools([WEATHER]).collect()
    assert second.content == "Clear."
    told = speaker.results(server.requests[1].json())
    assert ["Zürich" in text and "sky" in text for _, text in told] == [True, False]
    assert ["Genève" in text and "sky" in text for _, text in told] == [False, True]
    ids = [call.id for call in calls] if speaker.has_call_ids else ["get_weather", "get_weather"]
    assert [id for id, _ in told] == ids


@EVERY
@pytest.mark.requirement("AIP-37", "AIP-39")
async def test_a_429_says_when_to_come_back(speaker: Speaker) -> None:
    async with talking(speaker, [Reply.json(speaker.refused(429), 429, retry_after="7")]) as (server, client):
        with pytest.raises(RemoteError) as caught:
            await anext(client.chat().user("Hello").stream())
    error = caught.value
    assert (error.status_code, error.error_class, error.retry_after) == (429, ErrorClass.RATE_LIMITED, 7.0)
    assert "refused with 429" in str(error)
    assert error.retryable
    assert len(server.requests) == 1, "one call is one request, unless a policy says otherwise"


@EVERY
@pytest.mark.requirement("AIP-37")
@pytest.mark.parametrize("status", [500, 503])
async def test_a_5xx_is_the_servers_fault(speaker: Speaker, status: int) -> None:
    async with talking(speaker, [Reply.json(speaker.refused(status), status)]) as (_, client):
        with pytest.raises(RemoteError) as caught:
            await client.chat().user("Hello").execute()
    assert caught.value.error_class in (ErrorClass.SERVER_ERROR, ErrorClass.OVERLOADED)
    assert (caught.value.status_code, caught.value.retryable) == (status, True)


@EVERY
@pytest.mark.requirement("AIP-37", "AIP-113")
async def test_an_html_error_page_is_told_and_not_parsed(speaker: Speaker) -> None:
    page = Reply([b"<html><h1>502 Bad Gateway</h1></html>"], 502, {"content-type": "text/html"}, "length")
    async with talking(speaker, [page, page]) as (_, client):
        for asking in (client.chat().user("Hello").execute, client.chat().user("Hello").collect):
            with pytest.raises(RemoteError) as caught:
                await asking()
            assert caught.value.error_class is ErrorClass.SERVER_ERROR
            assert "502" in str(caught.value)
            assert "test-key" not in repr(caught.value)


@EVERY
@pytest.mark.requirement("AIP-33")
@pytest.mark.parametrize("ending", ["aborted", "closed"])
async def test_a_cut_in_mid_stream_is_an_error_with_what_came_before(speaker: Speaker, ending: str) -> None:
    begun = speaker.text(["Half an ", "answer"])
    whole = begun[: 3 if speaker.name != "ollama" else 2][: len(begun) - 1]
    cut = stream(speaker, [*whole, CUT]) if ending == "aborted" else stream(speaker, whole, framing="close")
    events: list[StreamingEvent] = []
    async with talking(speaker, [cut]) as (_, client):
        with pytest.raises(TransportError) as caught:
            events += [event async for event in client.chat().user("Hello").stream()]
    assert not any(event.is_stream_end for event in events)
    assert caught.value.kind in ("stream_truncated", "closed")
    assert caught.value.partial.content.startswith("Half an") or speaker.name == "openai_responses"


@EVERY
@pytest.mark.requirement("AIP-25", "AIP-33")
async def test_an_error_frame_in_a_200_is_told(speaker: Speaker) -> None:
    async with talking(speaker, [stream(speaker, speaker.error())] * 2) as (_, client):
        events = [event async for event in client.chat().user("Hello").stream()]
        with pytest.raises(RemoteError, match="refused with 500"):
            await client.chat().user("Hello").collect()
    beside = ("Metadata", "FinalCandidate")  # what a wire says in the frame of its error
    assert [event.event_type for event in events if event.event_type not in beside] == ["StreamError", "StreamEnd"]
    assert events[-1].as_stream_end.finish_reason == "error"


@EVERY
@pytest.mark.requirement("AIP-36")
async def test_an_error_object_with_status_200_is_an_error(speaker: Speaker) -> None:
    body = speaker.refused(500)
    body = body if "error" in body else {"error": body["message"]}
    async with talking(speaker, [Reply.json(body)]) as (_, client):
        with pytest.raises(RemoteError, match="refused with 500"):
            await client.chat().user("Hello").execute()


@EVERY
@pytest.mark.requirement("AIP-63")
async def test_a_slow_first_byte_is_waited_for(speaker: Speaker) -> None:
    async with talking(speaker, [stream(speaker, speaker.text(["Late."]), hold=True)]) as (server, client):
        asking = asyncio.ensure_future(client.chat().user("Hello").collect())
        await server.arrived()
        assert not asking.done()
        server.release()
        assert (await asking).content == "Late."


@EVERY
@pytest.mark.requirement("AIP-63")
async def test_a_first_byte_slower_than_the_limit_is_a_timeout(speaker: Speaker) -> None:
    async with talking(speaker, [stream(speaker, [], hold=True)], timeout=0.05) as (_, client):
        with pytest.raises(TransportError) as caught:
            await anext(client.chat().user("Hello").stream())
    assert caught.value.kind == "timeout_read"
    assert caught.value.retryable


@EVERY
@pytest.mark.requirement("AIP-35", "AIP-57")
@pytest.mark.parametrize("place", [0, 1], ids=["before-the-first-byte", "between-two-deltas"])
@measured_again
async def test_a_cancelled_stream_closes_its_connection_within_100_ms(speaker: Speaker, place: int) -> None:
    frames = speaker.text(["One", "two"])
    begun = frames[: frames.index(next(each for each in frames if b"One" in each)) + 1]
    steps: list[Step] = [*begun, HOLD, *frames[len(begun) :]] if place else [*frames]
    token, seen = CancelToken(), asyncio.Event()

    async def read() -> list[StreamingEvent]:
        events = []
        async for event in client.chat().user("Hello").cancel(token).stream():
            events.append(event)
            if event.is_content_delta:
                seen.set()
        return events

    async with talking(speaker, [stream(speaker, steps, hold=not place)]) as (server, client):
        reading = asyncio.ensure_future(read())
        request = await server.arrived()
        if place:
            await asyncio.wait_for(seen.wait(), 10)
        started = asyncio.get_running_loop().time()
        token.cancel()
        await gone_soon(request, started)
        events = await reading
    assert [event.event_type for event in events if not event.is_metadata] == ["PartialContentDelta"] * place


@EVERY
@pytest.mark.requirement("AIP-35")
@measured_again
async def test_leaving_a_loop_early_closes_the_connection_within_100_ms(speaker: Speaker) -> None:
    frames = speaker.text(["One", "two"])
    async with talking(speaker, [stream(speaker, [*frames[:-1], HOLD, frames[-1]])]) as (server, client):
        async with client.chat().user("Hello").stream() as events:
            async for event in events:
                if event.is_content_delta:
                    break
        left = asyncio.get_running_loop().time()
        await gone_soon(server.requests[0], left)


@EVERY
@pytest.mark.requirement("AIP-34")
async def test_100_parallel_streams_of_one_client_mix_nothing(speaker: Speaker) -> None:
    """Texts and calls of many streams arrive in small pieces, in turn; each must come out whole and alone."""
    many = 100

    def answering(request: Received) -> Reply:
        mark = speaker.asked(request.json())
        frames = speaker.text([f"<{mark}", f"-{mark}", f"{mark}>"])
        if int(mark) % 2:
            frames = speaker.calls([Call("a", {"mark": mark, "n": n}, f"c{mark}{n}") for n in range(3)])
        return stream(speaker, [HOLD, *pieces(b"".join(frames), 97)])

    async with talking(speaker, answering) as (server, client):
        asked = [asyncio.ensure_future(client.chat().user(str(mark)).collect()) for mark in range(many)]
        await server.arrived(many)
        server.release()
        answers = await asyncio.gather(*asked)
    for mark, answer in enumerate(answers):
        calls = [call.arguments for call in answer.tool_calls]
        if mark % 2:
            assert calls == [{"mark": str(mark), "n": n} for n in range(3)]
        else:
            assert (answer.content, calls) == (f"<{mark}-{mark}{mark}>", [])


@EVERY
@pytest.mark.requirement("AIP-34")
async def test_one_stream_after_another_begins_anew(speaker: Speaker) -> None:
    calls = [Call("a", {"n": 1}, "c1"), Call("b", {"n": 2}, "c2")]
    async with talking(speaker, lambda _: stream(speaker, speaker.calls(calls))) as (_, client):
        for _ in range(3):
            events = [event async for event in client.chat().user("Hello").stream()]
            begun = [event.as_tool_call_started.tool_name for event in events if event.is_tool_call_started]
            assert begun == ["a", "b"]


@EVERY
@pytest.mark.requirement("AIP-16")
async def test_without_a_key_nothing_is_sent(speaker: Speaker, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI", "ANTHROPIC", "GEMINI", "GOOGLE", "COHERE", "OLLAMA"):
        monkeypatch.delenv(f"{name}_API_KEY", raising=False)
    async with talking(speaker, [stream(speaker, speaker.text(["No key."]))], api_key=None) as (server, client):
        if speaker.name == "ollama":  # declares no key, and needs none
            assert (await client.chat().user("Hello").collect()).content == "No key."
        else:
            with pytest.raises(AiLibError, match="_API_KEY"):
                await client.chat().user("Hello").execute()
            assert server.requests == []


@EVERY
async def test_the_time_to_the_first_token_is_that_of_the_first_content(speaker: Speaker) -> None:
    async with talking(speaker, [stream(speaker, speaker.text(["One", "two"]))]) as (_, client):
        started = time.monotonic()
        events, stats = await client.chat().user("Hello").stream_with_stats()
        assert text_of([event async for event in events]) == "Onetwo"
        assert stats.time_to_first_token_ms is not None
        assert stats.latency_ms is not None
        assert 0 < stats.time_to_first_token_ms <= stats.latency_ms <= (time.monotonic() - started) * 1000 + 1
        assert (stats.prompt_tokens, stats.completion_tokens) == TOKENS
