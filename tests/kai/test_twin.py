"""The blocking client has what the awaiting one has: names, arguments, texts."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from tests.kai.shells import FINISH, Blocking, answer, scripted, streamed

from dragoman.kai import EventStream, KaiClient, KaiClientSync, TextEvent
from dragoman.transport.io import IO

OWN = {"__aenter__": "__enter__", "__aexit__": "__exit__"}


def members(cls: type) -> dict[str, Any]:
    return {
        name: value for name, value in vars(cls).items() if callable(inspect.unwrap(getattr(value, "__func__", value)))
    }


def plain(annotation: str) -> str:
    """A return annotation as the blocking shell would spell it."""
    if annotation.startswith("AsyncGenerator["):
        return "EventStream[" + annotation.removeprefix("AsyncGenerator[").removesuffix(", None]") + "]"
    return annotation


def test_names_signatures_and_texts_are_the_same() -> None:
    awaiting, blocking = members(KaiClient), members(KaiClientSync)
    assert [OWN.get(name, name) for name in awaiting] == list(blocking)
    for name in awaiting:
        if name == "_new_driver":
            continue
        ours, theirs = getattr(KaiClient, name), getattr(KaiClientSync, OWN.get(name, name))
        ours_signature, theirs_signature = inspect.signature(ours), inspect.signature(theirs)
        assert list(ours_signature.parameters.values()) == list(theirs_signature.parameters.values()), name
        assert plain(ours_signature.return_annotation) == theirs_signature.return_annotation, name
        assert ours.__doc__ == theirs.__doc__, name
        assert name.startswith("__aexit") or ours.__doc__, name


def test_both_are_made_alike() -> None:
    assert inspect.signature(KaiClient) == inspect.signature(KaiClientSync)


def test_a_stream_is_iterated_closed_and_entered() -> None:
    hi = {"type": "text", "text": "hi"}
    io = scripted(*[streamed(hi, hi, FINISH)] * 3)
    client = Blocking().client(io)
    assert [event.type for event in client.send_message("c", "x")] == ["text", "text", "finish"]
    with client.send_message("c", "x") as stream:
        assert next(iter(stream)) == TextEvent(text="hi")
    assert list(stream) == []
    stream.close()
    again = client.send_message("c", "x")
    next(again)
    assert len(io.open_streams) == 1
    del again
    assert io.open_streams == []


async def test_the_blocking_client_works_within_a_running_loop() -> None:
    client = Blocking().client(scripted(streamed(FINISH), answer({"chats": [], "hasMore": False})))
    assert [event.type for event in client.send_message("c", "x")] == ["finish"]
    assert list(client.get_all_history()) == []


async def test_a_suspending_port_is_refused_by_the_blocking_client() -> None:
    class Suspends:
        async def send(self, request: Any) -> Any:
            await asyncio.sleep(0)

    port: IO = Suspends()  # type: ignore[assignment]  # only the one method is called
    with pytest.raises(RuntimeError, match="suspended"):
        KaiClientSync("t", "u", io=port).ping()


def test_an_error_within_a_stream_ends_it() -> None:
    async def failing() -> AsyncGenerator[int, None]:
        yield 1
        raise ValueError("no more")

    stream = EventStream(failing())
    assert next(stream) == 1
    with pytest.raises(ValueError, match="no more"):
        next(stream)
    assert list(stream) == []
