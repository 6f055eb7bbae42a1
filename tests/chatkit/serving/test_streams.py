"""An answer on its way out: what is ready leaves together, slow readers stop it, and leaving means what the policy says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

import pytest

from dragoman.chatkit.serving.streams import HIGH_WATER, OutgoingStream
from dragoman.core.errors import Conflict

OPTIONS = b'data: {"type":"stream_options","stream_options":{"allow_cancel":%s}}\n\n'


async def turn() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


class Maker:
    """Events that the test lets out one by one; notes how it ended."""

    def __init__(self, *first: bytes) -> None:
        self.first = first
        self.go = asyncio.Event()
        self.ended = ""
        self.given = 0

    async def events(self) -> AsyncGenerator[bytes, None]:
        try:
            for event in self.first:
                self.given += 1
                yield event
            await self.go.wait()
            self.given += 1
            yield b"data: last\n\n"
            self.ended = "whole"
        except asyncio.CancelledError:
            self.ended = "cancelled"
            raise
        except GeneratorExit:
            self.ended = "closed"
            raise


@pytest.mark.requirement("CHK-31")
async def test_what_is_ready_in_one_turn_is_one_piece() -> None:
    maker = Maker(b"data: 1\n\n", b"data: 2\n\n", b"data: 3\n\n")
    stream = OutgoingStream(maker.events())
    assert await stream.begin() == b"data: 1\n\n"
    assert await anext(stream) == b"data: 1\n\ndata: 2\n\ndata: 3\n\n"
    maker.go.set()
    assert [piece async for piece in stream] == [b"data: last\n\n"]
    assert stream.is_done


@pytest.mark.requirement("CHK-29")
async def test_what_fails_before_the_first_event_is_raised() -> None:
    async def events() -> AsyncIterator[bytes]:
        raise LookupError("nothing there")
        yield b""

    with pytest.raises(LookupError):
        await OutgoingStream(events()).begin()


@pytest.mark.requirement("CHK-20")
async def test_what_fails_later_ends_the_stream_with_last_words() -> None:
    async def events() -> AsyncIterator[bytes]:
        yield b"data: 1\n\n"
        raise LookupError("the secret text of an exception")

    stream = OutgoingStream(events(), last_words=lambda error: b"data: sorry\n\n")
    await stream.begin()
    assert b"".join([piece async for piece in stream]) == b"data: 1\n\ndata: sorry\n\n"


async def test_an_answer_without_events_is_an_empty_stream() -> None:
    async def events() -> AsyncIterator[bytes]:
        return
        yield b""

    stream = OutgoingStream(events())
    assert await stream.begin() is None
    assert [piece async for piece in stream] == []


@pytest.mark.requirement("CHK-19")
async def test_a_reader_that_stalls_stops_the_maker() -> None:
    given = 0

    async def events() -> AsyncIterator[bytes]:
        nonlocal given
        while True:
            given += 1
            yield b"x" * 1024

    stream = OutgoingStream(events())
    await stream.begin()
    await turn()
    stopped = given
    assert stopped == HIGH_WATER // 1024
    await turn()
    assert given == stopped
    assert len(await anext(stream)) == HIGH_WATER
    await turn()
    assert given > stopped
    await stream.aclose()
    assert stream.is_done


@pytest.mark.requirement("CHK-19", "CHK-37")
@pytest.mark.parametrize(
    ("policy", "allows", "ended"),
    [
        ("auto", b"true", "cancelled"),
        ("auto", b"false", "whole"),
        ("cancel", b"false", "cancelled"),
        ("continue", b"true", "whole"),
    ],
)
async def test_a_client_that_leaves_means_what_the_policy_says(policy: str, allows: bytes, ended: str) -> None:
    maker = Maker(b"data: created\n\n", OPTIONS % allows)
    stream = OutgoingStream(maker.events(), on_disconnect=policy)  # type: ignore[arg-type]  # a Literal
    told: list[str] = []
    stream.when_ended(lambda: told.append("ended"))
    await stream.begin()
    await stream.aclose()
    maker.go.set()
    assert await stream.settled(5)
    await turn()
    assert maker.ended == ended
    assert told == ["ended"]
    assert [piece async for piece in stream] == []


@pytest.mark.requirement("CHK-19")
async def test_closing_waits_for_the_cleanup() -> None:
    stored = asyncio.Event()
    steps: list[str] = []

    async def events() -> AsyncIterator[bytes]:
        try:
            yield b"data: 1\n\n"
            await asyncio.Event().wait()
        finally:
            await stored.wait()
            steps.append("stored")

    stream = OutgoingStream(events())
    await stream.begin()
    closing = asyncio.ensure_future(stream.aclose())
    await turn()
    assert not closing.done()
    stored.set()
    await closing
    assert steps == ["stored"]


@pytest.mark.requirement("CHK-19")
async def test_a_cleanup_goes_on_when_whoever_waits_for_it_is_cancelled() -> None:
    stored = asyncio.Event()
    steps: list[str] = []

    async def events() -> AsyncIterator[bytes]:
        try:
            yield b"data: 1\n\n"
            await asyncio.Event().wait()
        finally:
            await stored.wait()
            steps.append("stored")

    stream = OutgoingStream(events())
    await stream.begin()
    closing = asyncio.ensure_future(stream.aclose())
    await turn()
    closing.cancel()
    await asyncio.wait((closing,))
    stored.set()
    assert await stream.settled(5)
    assert steps == ["stored"]


@pytest.mark.requirement("CHK-19")
async def test_a_maker_that_waits_for_a_stalled_reader_is_closed_when_the_client_leaves() -> None:
    ended: list[str] = []

    async def events() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x" * HIGH_WATER
        except GeneratorExit:
            ended.append("closed")
            raise

    stream = OutgoingStream(events())
    await stream.begin()
    await turn()
    await stream.aclose()
    assert ended == ["closed"]


async def test_an_answer_that_is_cancelled_before_it_begins_is_a_conflict() -> None:
    maker = Maker()
    stream = OutgoingStream(maker.events())
    told: list[str] = []
    stream.when_ended(lambda: told.append("ended"))
    beginning = asyncio.ensure_future(stream.begin())
    stream.cancel()
    with pytest.raises(Conflict):
        await beginning
    assert told == ["ended"]


@pytest.mark.requirement("CHK-32")
async def test_answers_that_never_wait_share_the_loop() -> None:
    """A maker that is always ready fills its buffer, and then others have their turn."""

    async def events() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 1024

    streams = [OutgoingStream(events()) for _ in range(5)]
    assert all(await asyncio.gather(*(stream.begin() for stream in streams)))
    for stream in streams:
        await stream.aclose()


class Client:
    """A sink whose client takes nothing until it is told to."""

    def __init__(self, *, ready: bool = True) -> None:
        self.ready = asyncio.Event()
        if ready:
            self.ready.set()
        self.taken: list[bytes] = []
        self.given_up = False

    async def take(self, piece: bytes) -> None:
        try:
            await self.ready.wait()
        except BaseException:
            self.given_up = True
            raise
        self.taken.append(piece)


@pytest.mark.requirement("CHK-31")
async def test_pouring_gives_every_piece_in_order() -> None:
    maker, client = Maker(b"data: 1\n\n", b"data: 2\n\n"), Client()
    stream = OutgoingStream(maker.events())
    await stream.begin()
    pouring = asyncio.ensure_future(stream.pour(client.take))
    await turn()
    assert client.taken == [b"data: 1\n\ndata: 2\n\n"]
    maker.go.set()
    await asyncio.wait_for(pouring, 5)
    assert b"".join(client.taken) == b"data: 1\n\ndata: 2\n\ndata: last\n\n"
    await stream.aclose()
    assert maker.ended == "whole"


@pytest.mark.requirement("CHK-19")
async def test_a_time_limit_of_the_source_ends_while_the_client_stalls_and_loses_no_piece() -> None:
    passed = asyncio.Event()

    async def events() -> AsyncIterator[bytes]:
        yield b"data: 1\n\n"
        await passed.wait()
        yield b"data: 2\n\n"
        try:
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()
        except TimeoutError:
            yield b"data: too late\n\n"

    client = Client()
    stream = OutgoingStream(events())
    await stream.begin()
    pouring = asyncio.ensure_future(stream.pour(client.take))
    await turn()
    client.ready.clear()
    passed.set()
    asyncio.get_running_loop().call_later(0.05, client.ready.set)
    await asyncio.wait_for(pouring, 5)
    assert not client.given_up
    assert b"".join(client.taken) == b"data: 1\n\ndata: 2\n\ndata: too late\n\n"


@pytest.mark.requirement("CHK-19", "CHK-37")
@pytest.mark.parametrize(("policy", "ended"), [("cancel", "cancelled"), ("continue", "whole")])
async def test_a_client_that_goes_while_it_stalls_means_what_the_policy_says(policy: str, ended: str) -> None:
    begun = asyncio.Event()
    maker, client = Maker(b"data: 2\n\n"), Client()

    async def events() -> AsyncGenerator[bytes, None]:
        yield b"data: 1\n\n"
        await begun.wait()
        async for event in maker.events():
            yield event

    stream = OutgoingStream(events(), on_disconnect=policy)  # type: ignore[arg-type]  # a Literal
    await stream.begin()
    pouring = asyncio.ensure_future(stream.pour(client.take))
    await turn()
    client.ready.clear()
    begun.set()
    await turn()
    stream.leave()
    await asyncio.wait_for(pouring, 5)
    maker.go.set()
    assert await stream.settled(5)
    assert client.given_up
    assert client.taken == [b"data: 1\n\n"]
    assert maker.ended == ended


@pytest.mark.requirement("CHK-19")
async def test_a_sink_that_fails_is_a_client_that_has_gone() -> None:
    maker = Maker(b"data: 1\n\n")

    async def broken(piece: bytes) -> None:
        if piece != b"data: 1\n\n":
            raise BrokenPipeError

    stream = OutgoingStream(maker.events(), on_disconnect="continue")
    await stream.begin()
    pouring = asyncio.ensure_future(stream.pour(broken))
    await turn()
    maker.go.set()
    await asyncio.wait_for(pouring, 5)
    assert await stream.settled(5)
    assert maker.ended == "whole"
