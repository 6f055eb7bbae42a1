"""The edge cases at the end of part D of the specification, one test each, in its order."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.ai.wires.server import HOLD, Provider, Reply, pieces, serving
from tests.ai.wires.speak import speaker_of, stream

from dragoman.ai import AiClient, StreamingEvent
from dragoman.ai.errors import AiLibError, PipelineError, RemoteError, TransportError
from dragoman.ai.pipeline import Pipeline
from dragoman.ai.protocol import ProtocolLoader
from dragoman.ai.resilience import RateLimiterConfig
from dragoman.transport.scripted import Piece, ScriptedIO

pytestmark = pytest.mark.requirement("AIP-115")

OPENAI = speaker_of("openai_chat")
DONE = b"data: [DONE]\n\n"


def frame(*choices: Any, **more: Any) -> bytes:
    return b"data: " + json.dumps({"id": "c", "model": "m", "choices": list(choices), **more}).encode() + b"\n\n"


def delta(value: Any, finish: str | None = None, index: int = 0, **more: Any) -> bytes:
    return frame({"index": index, "delta": value, "finish_reason": finish}, **more)


def tool(index: int, arguments: Any, id: str | None = None, name: str | None = None) -> bytes:
    function = {"arguments": arguments} if name is None else {"name": name, "arguments": arguments}
    return delta({"tool_calls": [{"index": index, "id": id, "function": function}]})


def played(*chunks: bytes) -> tuple[list[StreamingEvent], Any]:
    """Events and answer of an OpenAI stream."""
    run = Pipeline.from_manifest(ProtocolLoader().load_provider_sync("openai")).start()
    events = [event for chunk in chunks for event in run.feed(chunk)] + run.close()
    if run.error is not None:
        raise run.error
    return events, run.answer()


def kinds(events: list[StreamingEvent]) -> list[str]:
    return [event.event_type for event in events]


@asynccontextmanager
async def talking(answering: Any, base: str = "/v1", **options: Any) -> AsyncIterator[tuple[Provider, AiClient]]:
    async with (
        serving(answering) as server,
        await AiClient.create("openai/gpt-4o", api_key="test-key", base_url=server.url + base, **options) as client,
    ):
        yield server, client


HELLO = stream(OPENAI, OPENAI.text(["Hel", "lo"]))


def test_a_frame_of_5_megabytes() -> None:
    text = "x" * 5_000_000
    data = delta({"content": text}) + delta({}, "stop") + DONE
    _, answer = played(*pieces(data, 65_536))
    assert answer.content == text


def test_ten_thousand_tiny_chunks() -> None:
    data = b"".join(delta({"content": f"{n} "}) for n in range(150)) + delta({}, "stop") + DONE
    chunks = pieces(data, max(1, len(data) // 10_000))
    assert len(chunks) >= 10_000
    _, answer = played(*chunks)
    assert answer.content == "".join(f"{n} " for n in range(150))


def test_a_byte_at_a_time() -> None:
    events, answer = played(*pieces(b"".join(OPENAI.text(["Grüße", " 🌍"])), 1))
    assert answer.content == "Grüße 🌍"
    assert kinds(events).count("PartialContentDelta") == 2


async def test_comments_for_a_minute_are_no_timeout() -> None:
    """The limit is between bytes, and comments are bytes; only the port's clock waits."""
    comments: list[Piece] = [piece for _ in range(60) for piece in (1.0, b": keep-alive\n\n")]
    io = ScriptedIO([[*comments, *OPENAI.text(["At last."])]])
    manifest = await ProtocolLoader().load_provider("openai")
    async with await AiClient.from_manifest(manifest, "gpt-4o", api_key="k", timeout=5, io=io) as client:
        answer = await client.chat().user("Hello").collect()
    assert answer.content == "At last."
    assert io.now() >= 60


def test_empty_choices() -> None:
    _, answer = played(frame(prompt_filter_results=[]), *OPENAI.text(["Hello"]))
    assert answer.content == "Hello"


def test_a_delta_that_is_null() -> None:
    _, answer = played(delta(None), *OPENAI.text(["Hello"]))
    assert answer.content == "Hello"


def test_a_content_that_is_null() -> None:
    events, answer = played(delta({"role": "assistant", "content": None}), *OPENAI.text(["Hello"]))
    assert answer.content == "Hello"
    assert kinds(events).count("PartialContentDelta") == 1


def test_a_finish_reason_that_is_empty() -> None:
    _, answer = played(delta({"content": "Hel"}, ""), delta({"content": "lo"}, ""), delta({}, "stop"), DONE)
    assert (answer.content, answer.finish_reason, answer.stop_reason) == ("Hello", "stop", "end_turn")


def test_a_usage_that_is_null_in_every_frame() -> None:
    events, answer = played(delta({"content": "Hello"}, usage=None), delta({}, "stop", usage=None), DONE)
    assert answer.usage is None
    assert not any(event.is_metadata and event.as_metadata.usage is not None for event in events)


def test_of_two_usage_frames_the_last_wins_and_nothing_is_summed() -> None:
    def usage(output: int) -> bytes:
        return frame(usage={"prompt_tokens": 5, "completion_tokens": output, "total_tokens": 5 + output})

    _, answer = played(delta({"content": "Hello"}), delta({}, "stop"), usage(3), usage(7), DONE)
    counts = [answer.usage[key] for key in ("prompt_tokens", "completion_tokens", "total_tokens")]
    assert counts == [5, 7, 12]


def test_a_tool_call_whose_name_comes_after_its_arguments() -> None:
    late = delta({"tool_calls": [{"index": 0, "function": {"name": "find"}}]})
    events, answer = played(tool(0, '{"a":', "c1"), tool(0, "1}"), late, delta({}, "tool_calls"), DONE)
    assert [(call.function_name, call.arguments) for call in answer.tool_calls] == [("find", {"a": 1})]
    assert kinds(events)[0] == "ToolCallStarted"
    assert "".join(event.as_partial_tool_call.arguments for event in events if event.is_partial_tool_call) == '{"a":1}'


@pytest.mark.parametrize(
    ("text", "arguments", "is_broken"),
    [("", {}, False), ("null", {}, False), ('{"a": ', {}, True), ("[1]", {}, True), ("{}", {}, False)],
)
def test_arguments_that_are_empty_null_or_invalid(text: str, arguments: dict[str, Any], is_broken: bool) -> None:
    _, answer = played(tool(0, "", "c1", "find"), tool(0, text), delta({}, "tool_calls"), DONE)
    (call,) = answer.tool_calls
    assert call.arguments == arguments
    assert (call.parse_error is not None) == is_broken
    assert (call.arguments_raw or "") == text


def test_50_parallel_calls() -> None:
    opened = [tool(n, "", f"c{n}", f"tool_{n}") for n in range(50)]
    parts = [tool(n, part) for half in (0, 1) for n in range(50) for part in [('{"n"', f": {n}}}")[half]]]
    events, answer = played(*opened, *parts, delta({}, "tool_calls"), DONE)
    assert [(call.id, call.function_name, call.arguments) for call in answer.tool_calls] == [
        (f"c{n}", f"tool_{n}", {"n": n}) for n in range(50)
    ]
    assert kinds(events).count("ToolCallStarted") == kinds(events).count("ToolCallEnded") == 50


def test_two_candidates_with_tool_calls() -> None:
    def both(*deltas: Any, finish: str | None = None) -> bytes:
        return frame(*({"index": n, "delta": each, "finish_reason": finish} for n, each in enumerate(deltas)))

    def call(id: str | None, name: str | None, arguments: str) -> dict[str, Any]:
        return {"tool_calls": [{"index": 0, "id": id, "function": {"name": name, "arguments": arguments}}]}

    _, answer = played(
        both(call("a", "one", '{"x"'), call("b", "two", '{"y"')),
        both(call(None, None, ": 1}"), call(None, None, ": 2}")),
        both({}, {}, finish="tool_calls"),
        DONE,
    )
    found = [[(c.id, c.function_name, c.arguments) for c in each.tool_calls] for each in answer.candidates]
    assert found == [[("a", "one", {"x": 1})], [("b", "two", {"y": 2})]]
    assert [call.id for call in answer.tool_calls] == ["a"]


async def test_an_error_as_the_first_frame_of_a_200() -> None:
    async with talking([stream(OPENAI, OPENAI.error())] * 2) as (_, client):
        events = [event async for event in client.chat().user("Hello").stream()]
        with pytest.raises(RemoteError, match="refused with 500"):
            await client.chat().user("Hello").collect()
    assert kinds(events) == ["StreamError", "StreamEnd"]


async def test_an_error_after_text() -> None:
    frames = [delta({"content": "Half"}), *OPENAI.error()]
    async with talking([stream(OPENAI, frames)] * 2) as (_, client):
        events = [event async for event in client.chat().user("Hello").stream()]
        with pytest.raises(RemoteError) as caught:
            await client.chat().user("Hello").collect()
    assert kinds(events) == ["PartialContentDelta", "StreamError", "StreamEnd"]
    assert caught.value.partial.content == "Half"


async def test_an_html_page_with_status_502() -> None:
    page = Reply([b"<html><body>Bad Gateway</body></html>"], 502, {"content-type": "text/html"}, "length")
    async with talking([page]) as (_, client):
        with pytest.raises(RemoteError) as caught:
            await client.chat().user("Hello").execute()
    assert caught.value.status_code == 502
    assert caught.value.retryable


async def test_a_204_answer() -> None:
    async with talking([Reply(status=204)] * 2) as (_, client):
        with pytest.raises(PipelineError, match="204"):
            await client.chat().user("Hello").execute()
        with pytest.raises(AiLibError):
            await client.chat().user("Hello").collect()


@pytest.mark.parametrize("framing", ["chunked", "close"])
async def test_gzip_and_chunked(framing: Any) -> None:
    packed = stream(OPENAI, OPENAI.text(["Grüße", " 🌍"]), coding="gzip", framing=framing)
    plain = Reply(
        [json.dumps(OPENAI.plain("Grüße")).encode()], 200, {"content-type": "application/json"}, coding="gzip"
    )
    async with talking([packed, plain]) as (_, client):
        assert (await client.chat().user("Hello").collect()).content == "Grüße 🌍"
        assert (await client.chat().user("Hello").execute()).content == "Grüße"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_not_followed_with_credentials_to_another_host(status: int) -> None:
    async with serving([HELLO]) as other:
        elsewhere = Reply(status=status, headers={"location": f"{other.url}/v1/chat/completions"}, framing="length")
        async with talking([elsewhere, elsewhere]) as (_, client):
            for asking in (client.chat().user("Hello").execute, client.chat().user("Hello").collect):
                with pytest.raises(AiLibError, match=str(status)):
                    await asking()
        assert other.requests == []


async def test_a_server_that_closed_an_idle_connection_is_asked_once_more_in_silence() -> None:
    async with talking([HELLO, HELLO]) as (server, client):
        assert (await client.chat().user("one").collect()).content == "Hello"
        server.close_idle()
        await server.requests[0].gone()
        assert (await client.chat().user("two").collect()).content == "Hello"
    assert [OPENAI.asked(request.json()) for request in server.requests] == ["one", "two"]
    assert [request.connection for request in server.requests] == [0, 1]


async def test_a_client_that_is_closed_during_a_stream() -> None:
    frames = OPENAI.text(["Hel", "lo"])
    async with talking([stream(OPENAI, [*frames[:2], HOLD, *frames[2:]])]) as (server, client):
        events = client.chat().user("Hello").stream()
        assert (await anext(events)).is_content_delta
        await client.close()
        await server.requests[0].gone()
        with pytest.raises((AiLibError, StopAsyncIteration)):
            await anext(events)
        with pytest.raises(AiLibError):
            await client.chat().user("again").execute()


def test_an_event_loop_that_was_closed() -> None:
    """What the pool of a closed loop held is not used in the next one."""

    async def talk() -> str:
        async with talking([HELLO]) as (_, client):
            return (await client.chat().user("Hello").collect()).content

    assert [asyncio.run(talk()) for _ in range(2)] == ["Hello", "Hello"]


def test_a_client_that_outlives_its_event_loop() -> None:
    loops = [asyncio.new_event_loop() for _ in range(2)]
    try:
        manifest = ProtocolLoader().load_provider_sync("openai")
        client = loops[0].run_until_complete(AiClient.from_manifest(manifest, "gpt-4o", api_key="k", base_url=""))
    finally:
        loops[0].close()

    async def talk() -> str:
        async with serving([HELLO]) as server:
            again = await AiClient.from_manifest(manifest, "gpt-4o", api_key="k", base_url=f"{server.url}/v1")
            async with again, client:
                return (await again.chat().user("Hello").collect()).content

    try:
        assert loops[1].run_until_complete(talk()) == "Hello"
    finally:
        loops[1].close()


async def test_a_task_that_is_cancelled_inside_anext() -> None:
    frames = OPENAI.text(["Hel", "lo"])
    async with talking([stream(OPENAI, [*frames[:2], HOLD, *frames[2:]])]) as (server, client):
        events = client.chat().user("Hello").stream()
        assert (await anext(events)).is_content_delta
        waiting = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await server.requests[0].gone()


async def test_a_deadline_while_waiting_for_the_limiter() -> None:
    manifest = await ProtocolLoader().load_provider("openai")
    async with serving([HELLO, HELLO]) as server:
        builder = AiClient.builder().model("openai/gpt-4o").api_key("k").base_url(f"{server.url}/v1")
        builder = builder.with_rate_limit(RateLimiterConfig(requests_per_second=0.01, burst_size=1))
        async with await builder.build() as client:
            assert client.manifest.id == manifest.id
            await client.chat().user("one").collect()
            started = time.monotonic()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await client.chat().user("two").collect()
            assert time.monotonic() - started < 5
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("base", "path", "query"),
    [
        ("/v1/", "/v1/chat/completions", {}),
        ("/deep/er/v1", "/deep/er/v1/chat/completions", {}),
        ("/v1?api-version=2026-01-01", "/v1/chat/completions", {"api-version": "2026-01-01"}),
        ("", "/chat/completions", {}),
    ],
)
async def test_a_base_url_with_path_query_and_trailing_slash(base: str, path: str, query: dict[str, str]) -> None:
    async with talking([HELLO], base) as (server, client):
        assert (await client.chat().user("Hello").collect()).content == "Hello"
    assert (server.requests[0].path, server.requests[0].query) == (path, query)


async def test_an_ipv6_host() -> None:
    async with (
        serving([HELLO], host="::1") as server,
        await AiClient.create("openai/gpt-4o", api_key="k", base_url=f"{server.url}/v1") as client,
    ):
        assert (await client.chat().user("Hello").collect()).content == "Hello"
    assert server.requests[0].headers["host"].startswith("[::1]:")


@pytest.mark.parametrize("model", ["tuned:model@2", "my model", "with/many/slashes", "ünï"])
async def test_model_names_with_colon_at_space_and_slash(model: str) -> None:
    """In a path they are percent-encoded, in a body they are what they are."""
    gemini = speaker_of("gemini")
    async with (
        serving([stream(gemini, gemini.text(["Hello"]))]) as server,
        await AiClient.create(f"gemini/{model}", api_key="k", base_url=f"{server.url}/v1beta") as client,
    ):
        assert (await client.chat().user("Hello").collect()).content == "Hello"
    request = server.requests[0]
    assert request.path == f"/v1beta/models/{model}:streamGenerateContent"
    assert " " not in request.raw_path
    assert "@" not in request.raw_path or "%40" not in request.raw_path
    async with (
        serving([HELLO]) as server,
        await AiClient.create(f"openai/{model}", api_key="k", base_url=f"{server.url}/v1") as client,
    ):
        await client.chat().user("Hello").collect()
    assert server.requests[0].json()["model"] == model


def test_a_body_that_ends_early_is_an_error() -> None:
    with pytest.raises(TransportError) as caught:
        played(delta({"content": "Half"}))
    assert caught.value.kind == "stream_truncated"
