"""ChatKit behind servers that block: the same bytes from a plain iterator."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest
from tests.chatkit.asking import frames
from tests.chatkit.scripted import Scripted, delta, envelope, message, nothing, said

from dragoman.chatkit import wsgi
from dragoman.chatkit.server import NonStreamingResult, StreamingResult
from dragoman.chatkit.store import NotFoundError
from dragoman.chatkit.types import ThreadItemAddedEvent, ThreadItemDoneEvent, ThreadMetadata, ThreadStreamEvent
from dragoman.core.errors import UsageError

pytestmark = pytest.mark.requirement("CHK-35")
CREATE = envelope("threads.create", input=said("hello"))


async def answer(thread: ThreadMetadata, asked: Any, context: Any) -> AsyncIterator[ThreadStreamEvent]:
    yield ThreadItemDoneEvent(item=message(thread, "hi"))


def begun(server: Scripted, body: bytes = CREATE) -> Iterator[bytes]:
    result = wsgi.process(server, body, "ann")
    assert isinstance(result, StreamingResult)
    return wsgi.iter_events(result)


def test_a_stream_is_a_plain_iterator_of_whole_frames() -> None:
    found = [event for piece in begun(Scripted(answer)) for event in frames(piece)]
    assert [event["type"] for event in found] == [
        "thread.created", "thread.item.done", "stream_options", "thread.item.done",
    ]  # fmt: skip


def test_a_document_is_bytes() -> None:
    result = wsgi.process(Scripted(nothing), envelope("threads.list"), "ann")
    assert isinstance(result, NonStreamingResult)
    assert result.json == b'{"data":[],"has_more":false}'


def test_it_serves_a_wsgi_application() -> None:
    """As a framework would call it; the validator of the standard library watches."""
    server = Scripted(answer)

    def app(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        result = wsgi.process(server, body, "ann")
        if isinstance(result, StreamingResult):
            start("200 OK", list(wsgi.STREAM_HEADERS.items()))
            return wsgi.iter_events(result)
        start("200 OK", [("content-type", "application/json")])
        return [result.json]

    def asked(body: bytes) -> tuple[dict[str, str], bytes]:
        environ: dict[str, Any] = {
            "REQUEST_METHOD": "POST",
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": io.BytesIO(body),
            "QUERY_STRING": "",
        }
        setup_testing_defaults(environ)
        told: list[Any] = []

        def start(status: str, headers: list[tuple[str, str]], error: Any = None) -> Callable[[bytes], object]:
            told.append(headers)
            return io.BytesIO().write

        answer = validator(app)(environ, start)
        whole = b"".join(answer)
        answer.close()  # type: ignore[attr-defined]  # the validator's iterator has it
        return dict(told[0]), whole

    headers, streamed = asked(CREATE)
    assert headers["content-type"].startswith("text/event-stream")
    assert headers["x-accel-buffering"] == "no"
    assert frames(streamed)[-1]["type"] == "thread.item.done"
    headers, document = asked(envelope("threads.list"))
    assert headers == {"content-type": "application/json"}
    assert b'"has_more":false' in document


@pytest.mark.requirement("CHK-19")
def test_closing_it_cancels_the_answer_and_waits_for_its_cleanup() -> None:
    async def endless(thread: ThreadMetadata, asked: Any, context: Any) -> AsyncIterator[ThreadStreamEvent]:
        yield ThreadItemAddedEvent(item=message(thread))
        yield delta("par")
        await asyncio.Event().wait()

    server = Scripted(endless)
    pieces = begun(server)
    seen = b""
    while b"text_delta" not in seen:
        seen += next(pieces)
    pieces.close()  # type: ignore[attr-defined]  # it is a generator
    thread = frames(seen)[0]["thread"]["id"]
    stored = wsgi.run(server.store.load_thread_items(thread, None, 10, "asc", "ann")).data
    assert [item.type for item in stored] == ["user_message", "assistant_message", "sdk_hidden_context"]
    assert stored[1].content[0].text == "par"  # type: ignore[union-attr]  # by its type, see above


@pytest.mark.requirement("CHK-20", "CHK-29")
def test_errors_come_before_the_first_event_or_as_one() -> None:
    with pytest.raises(NotFoundError):
        next(begun(Scripted(answer), envelope("threads.add_user_message", thread_id="thr_1", input=said("x"))))

    async def failing(thread: ThreadMetadata, asked: Any, context: Any) -> AsyncIterator[ThreadStreamEvent]:
        raise ZeroDivisionError
        yield

    found = [event for piece in begun(Scripted(failing)) for event in frames(piece)]
    assert found[-1]["type"] == "error"


@pytest.mark.requirement("CHK-32")
def test_many_threads_share_one_loop() -> None:
    loops: set[int] = set()
    names: set[str] = set()

    async def noting(thread: ThreadMetadata, asked: Any, context: Any) -> AsyncIterator[ThreadStreamEvent]:
        loops.add(id(asyncio.get_running_loop()))
        names.add(threading.current_thread().name)
        yield ThreadItemDoneEvent(item=message(thread, "hi", f"msg_{thread.id}"))

    server = Scripted(noting)
    with ThreadPoolExecutor(8) as pool:
        bodies = list(pool.map(lambda _: b"".join(begun(server)), range(24)))
    assert all(frames(body)[-1]["type"] == "thread.item.done" for body in bodies)
    assert (len(loops), names) == (1, {"dragoman-chatkit"})


async def test_a_thread_that_runs_a_loop_is_told_to_await() -> None:
    with pytest.raises(UsageError, match="await"):
        wsgi.process(Scripted(nothing), CREATE, "ann")
