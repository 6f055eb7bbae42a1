"""Objects while a model writes them, over the wire of a scripted provider."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from pydantic import BaseModel
from tests.ai.client.acme import body_of, delta, manifest, streamed, whole
from tests.ai.counted import steps

from dragoman.ai.client import AiClient
from dragoman.ai.errors import TransportError
from dragoman.ai.structured import StructuredOutputError
from dragoman.ai.structured.streaming import StructuredStream
from dragoman.testing import ScriptedIO
from dragoman.transport.scripted import Reply
from dragoman.wire.http import Headers

pytestmark = pytest.mark.requirement("AIP-93")


class Place(BaseModel):
    city: str
    sights: list[str] = []


async def test_what_is_there_grows_and_the_end_is_the_object(client_of: Callable[..., Any]) -> None:
    client, io = await client_of(
        [streamed("Here: ", '{"ci', 'ty": "Be', 'rn", "sights"', ': ["bears", "cl', 'ock"]}', " !")]
    )
    async with client.chat().user("x").stream_structured(Place) as stream:
        partial = [one async for one in stream]
        assert partial == [
            {},
            {"city": "Be"},
            {"city": "Bern"},
            {"city": "Bern", "sights": ["bears", "cl"]},
            {"city": "Bern", "sights": ["bears", "clock"]},
        ]
        assert await stream.result() == Place(city="Bern", sights=["bears", "clock"])
    assert body_of(io)["response_format"]["type"] == "json_schema"
    assert not io.open_streams


async def test_the_result_alone_reads_the_stream(client_of: Callable[..., Any]) -> None:
    client, _ = await client_of([streamed('{"city": ', '"Bern"}')])
    stream = client.chat().user("x").stream_structured(Place)
    assert await stream.result() == Place(city="Bern")
    assert await stream.result() == Place(city="Bern")


async def test_a_loop_that_is_left_may_be_gone_on_with(client_of: Callable[..., Any]) -> None:
    client, _ = await client_of([streamed('{"city": "B', "e", 'rn"}')])
    stream = client.chat().user("x").stream_structured(Place)
    async for partial in stream:
        assert partial == {"city": "B"}
        break
    assert await stream.result() == Place(city="Bern")


async def test_a_wrong_answer_is_mended_at_the_end(client_of: Callable[..., Any]) -> None:
    client, io = await client_of([streamed('{"town": 1}'), whole('{"city": "Bern"}')])
    stream = client.chat().user("x").stream_structured(Place)
    answer = await stream.answer()
    assert (answer.value, answer.repairs) == (Place(city="Bern"), 1)
    assert [message["role"] for message in body_of(io)["messages"]] == ["user", "assistant", "user"]


async def test_without_repairs_it_is_an_error(client_of: Callable[..., Any]) -> None:
    client, _ = await client_of([streamed('{"town": 1}')])
    with pytest.raises(StructuredOutputError, match="city"):
        await client.chat().user("x").stream_structured(Place, repairs=0).result()


async def test_whoever_looks_twice_at_a_failure_does_not_ask_again(client_of: Callable[..., Any]) -> None:
    client, io = await client_of([streamed("no"), whole("no"), whole('{"city": "Bern"}')])
    stream = client.chat().user("x").stream_structured(Place)
    for _ in range(2):
        with pytest.raises(StructuredOutputError):
            await stream.result()
    assert len(io.requests) == 2


@pytest.mark.parametrize("before", ["See [1], [Note: {x} ", "<think>[ok]", '{"sights": 1} and ', "{} [2] {"])
@pytest.mark.parametrize("size", [1, 3, 1000])
async def test_what_was_not_the_answer_is_passed_by(client_of: Callable[..., Any], before: str, size: int) -> None:
    text = before + '{"city": "Bern", "sights": ["bears"]} [3] {and so on}'
    client, _ = await client_of([streamed(*(text[at : at + size] for at in range(0, len(text), size)))])
    async with client.chat().user("x").stream_structured(Place) as stream:
        partial = [one async for one in stream]
        assert all(isinstance(one, dict) for one in partial)
        assert partial[-1] == {"city": "Bern", "sights": ["bears"]}
        assert await stream.result() == Place(city="Bern", sights=["bears"])


def test_passing_brackets_by_costs_what_they_are_long() -> None:
    async def read(size: int) -> None:
        io = ScriptedIO([streamed("{x [y " * size + '{"city": "Bern"}')])
        async with await AiClient.from_manifest(manifest(), "acme-1", io=io, api_key="k") as client:
            async for _ in client.chat().user("x").stream_structured(Place):
                pass

    def work(size: int) -> int:
        return steps(lambda: anyio.run(read, size))

    assert work(4000) < 3 * work(2000)


async def test_lists_come_out_of_their_wrapping(client_of: Callable[..., Any]) -> None:
    client, _ = await client_of([streamed('{"value": [1', ", 2", ", 3]}")])
    stream = client.chat().user("x").stream_structured(list[int])
    assert [one async for one in stream] == [[], [1], [1, 2, 3]]
    assert await stream.result() == [1, 2, 3]


async def test_a_wrapping_that_is_still_empty_is_not_shown(client_of: Callable[..., Any]) -> None:
    client, _ = await client_of([streamed("{", '"value": ', '"B', 'ern"}')])
    stream = client.chat().user("x").stream_structured(str)
    assert [one async for one in stream] == ["B", "Bern"]


async def test_what_was_given_does_not_change_any_more(client_of: Callable[..., Any]) -> None:
    client, _ = await client_of([streamed('{"city": "B', 'ern"}')])
    first, last = [one async for one in client.chat().user("x").stream_structured(Place)]
    assert (first, last) == ({"city": "B"}, {"city": "Bern"})


async def test_a_stream_that_is_cut_raises_what_streams_raise(client_of: Callable[..., Any]) -> None:
    cut = Reply([delta('{"city": "B')], 200, Headers({"content-type": "text/event-stream"}))
    client, _ = await client_of([cut])
    stream = client.chat().user("x").stream_structured(Place)
    values = aiter(stream)
    assert await anext(values) == {"city": "B"}
    with pytest.raises(TransportError):
        await anext(values)


async def test_closing_early_closes_the_connection(client_of: Callable[..., Any]) -> None:
    client, io = await client_of([streamed('{"city": "B', 'ern"}')])
    async with client.chat().user("x").stream_structured(Place) as stream:
        async for _ in stream:
            break
    assert not io.open_streams
    unread = client.chat().user("x").stream_structured(Place)
    assert isinstance(unread, StructuredStream)
    await unread.aclose()
    assert len(io.requests) == 1


def test_a_long_answer_in_small_pieces_costs_what_it_is_long() -> None:
    async def read(size: int) -> None:
        text = json.dumps({"city": "x", "sights": ["y" * 9] * size})
        io = ScriptedIO([streamed(*(text[at : at + 8] for at in range(0, len(text), 8)))])
        async with await AiClient.from_manifest(manifest(), "acme-1", io=io, api_key="k") as client:
            stream = client.chat().user("x").stream_structured(Place)
            assert len((await stream.result()).sights) == size

    def work(size: int) -> int:
        return steps(lambda: anyio.run(read, size))

    assert work(4000) < 3 * work(2000)
