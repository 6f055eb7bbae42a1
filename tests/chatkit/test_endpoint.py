"""The endpoint without a network: answers, the status of every error, limits, options."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.chatkit.asking import ask, document, endpoint, items, new_thread, refused, rest, say
from tests.chatkit.scripted import NOON, Scripted, delta, envelope, message, nothing, said

from dragoman.chatkit.endpoint import Endpoint, EndpointOptions, error_reply
from dragoman.chatkit.errors import CustomStreamError, ErrorCode, StreamError
from dragoman.chatkit.memory import MemoryStore
from dragoman.chatkit.server import ChatKitServer
from dragoman.chatkit.store import Store
from dragoman.chatkit.types import (
    Action,
    AudioInput,
    ClientToolCallItem,
    ClosedStatus,
    LockedStatus,
    StreamOptionsEvent,
    SyncCustomActionResponse,
    ThreadItemAddedEvent,
    ThreadItemDoneEvent,
    ThreadMetadata,
    ThreadStreamEvent,
    TranscriptionResult,
)
from dragoman.core.errors import RateLimited, Unavailable


def answering(text: str = "hi") -> Scripted:
    async def respond(thread: ThreadMetadata, asked: Any, context: Any) -> AsyncIterator[ThreadStreamEvent]:
        item_id = server.store.generate_item_id("message", thread, context)
        yield ThreadItemDoneEvent(item=message(thread, text, item_id))

    server = Scripted(respond)
    return server


# ------------------------------------------------------------------------------------- answers


@pytest.mark.requirement("CHK-31", "CHK-35")
async def test_a_stream_has_the_headers_that_keep_it_from_being_buffered() -> None:
    reply = await ask(endpoint(answering()), "threads.create", input=said("hello"))
    assert reply.status == 200
    assert reply.headers == {
        "content-type": "text/event-stream; charset=utf-8",
        "cache-control": "no-cache, no-transform",
        "x-accel-buffering": "no",
    }
    types = [event["type"] for event in await rest(reply)]
    assert types == ["thread.created", "thread.item.done", "stream_options", "thread.item.done"]


@pytest.mark.requirement("CHK-35")
async def test_every_operation_without_a_stream_answers_a_document() -> None:
    served = endpoint(answering())
    thread = await new_thread(served)
    item = (await items(served, thread))[-1]["id"]
    for operation, params in [
        ("threads.get_by_id", {"thread_id": thread}),
        ("threads.list", {}),
        ("threads.update", {"thread_id": thread, "title": "New"}),
        ("items.list", {"thread_id": thread}),
        ("items.feedback", {"thread_id": thread, "item_ids": [item], "kind": "positive"}),
        ("threads.delete", {"thread_id": thread}),
    ]:
        reply = await ask(served, operation, **params)
        assert (reply.status, reply.headers) == (200, {"content-type": "application/json"}), operation
        assert document(reply) is not None


@pytest.mark.requirement("CHK-11")
async def test_feedback_that_was_given_can_be_read() -> None:
    served = endpoint(answering())
    thread = await new_thread(served)
    ids = [item["id"] for item in await items(served, thread)]
    await ask(served, "items.feedback", thread_id=thread, item_ids=ids, kind="negative")
    kept = document(await served.feedback("ann"))["data"]
    assert [(one["item_id"], one["kind"], one["thread_id"]) for one in kept] == [
        (item_id, "negative", thread) for item_id in ids
    ]
    assert document(await served.feedback("ann", "thr_other")) == {"data": []}


class _Forgetful(MemoryStore[Any]):
    """Keeps no feedback, as a store of one's own need not."""

    load_feedback = None  # type: ignore[assignment]  # as if it were not there


@pytest.mark.requirement("CHK-11", "CHK-29")
async def test_a_store_without_feedback_says_so() -> None:
    assert (await endpoint(Scripted(store=_Forgetful())).feedback("ann")).status == 501


# -------------------------------------------------------------------------------------- errors


@pytest.mark.requirement("CHK-29")
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[]",
        b'"text"',
        b"\xff\xfe",
        b'{"type": "threads.list"',
        b'{"params": {}}',
        b'{"type": "threads.create"}',
        b'{"type": "threads.create", "params": {"input": {}}}',
        b'{"type": "threads.from_the_future", "params": {}}',
        b'{"type": "threads.get_by_id", "params": {"thread_id": 7}}',
        b'{"type": "threads.list", "params": {"order": "sideways"}}',
        b'{"type": "items.feedback", "params": {"thread_id": "t", "item_ids": [], "kind": "lukewarm"}}',
        b"[" * 100_000,
    ],
)
async def test_what_is_no_envelope_is_unprocessable(body: bytes) -> None:
    reply = await endpoint(answering()).post(body, "ann")
    assert refused(reply) == (422, "invalid_request")


@pytest.mark.requirement("CHK-29")
async def test_fields_of_the_future_are_ignored() -> None:
    told = {"type": "threads.list", "params": {"limit": 5, "shape": "round"}, "version": 9, "metadata": {"a": 1}}
    assert (await endpoint(answering()).post(json.dumps(told).encode(), "ann")).status == 200


@pytest.mark.requirement("CHK-29", "CHK-30")
async def test_what_is_anothers_is_answered_byte_for_byte_as_what_is_not_there() -> None:
    served = endpoint(answering())
    thread = await new_thread(served)
    (first, answer) = await items(served, thread)
    asked: list[tuple[str, dict[str, Any]]] = [
        ("threads.get_by_id", {}),
        ("threads.update", {"title": "mine"}),
        ("threads.delete", {}),
        ("items.list", {}),
        ("items.feedback", {"item_ids": [answer["id"]], "kind": "positive"}),
        ("threads.add_user_message", {"input": said("x")}),
        ("threads.add_client_tool_output", {"result": 1}),
        ("threads.add_structured_input", {"item_id": first["id"], "input": {"status": "skipped", "answers": {}}}),
        ("threads.retry_after_item", {"item_id": first["id"]}),
    ]
    for operation, params in asked:
        foreign = await ask(served, operation, "ben", thread_id=thread, **params)
        unknown = await ask(served, operation, "ben", thread_id="thr_" + "0" * 32, **params)
        assert refused(foreign) == (404, "not_found"), operation
        assert (foreign.status, foreign.headers, foreign.body) == (unknown.status, unknown.headers, unknown.body)
    assert len(await items(served, thread)) == 2


@pytest.mark.requirement("CHK-10", "CHK-29")
async def test_items_and_cursors_that_are_not_there_are_not_found() -> None:
    served = endpoint(answering())
    thread = await new_thread(served)
    for operation, params in [
        ("items.list", {"thread_id": thread, "after": "msg_nowhere"}),
        ("threads.list", {"after": "thr_nowhere"}),
        ("threads.retry_after_item", {"thread_id": thread, "item_id": "msg_nowhere"}),
    ]:
        assert refused(await ask(served, operation, **params)) == (404, "not_found"), operation


@pytest.mark.requirement("CHK-08", "CHK-29")
async def test_a_retry_after_what_is_no_message_of_the_user_is_a_bad_target() -> None:
    served = endpoint(answering())
    thread = await new_thread(served)
    answer = (await items(served, thread))[-1]
    reply = await ask(served, "threads.retry_after_item", thread_id=thread, item_id=answer["id"])
    assert refused(reply) == (400, "bad_target")
    assert len(await items(served, thread)) == 2


@pytest.mark.requirement("CHK-13", "CHK-29")
async def test_an_output_that_nobody_waits_for_is_a_conflict() -> None:
    served = endpoint(answering())
    thread = await new_thread(served)
    reply = await ask(served, "threads.add_client_tool_output", thread_id=thread, result={"a": 1})
    assert refused(reply) == (409, "nothing_pending")


@pytest.mark.requirement("CHK-29")
async def test_hooks_that_are_not_there_are_not_implemented() -> None:
    served = endpoint(Silent(MemoryStore()))
    thread = await new_thread(served)
    action = {"type": "buy", "payload": {}}
    for operation, params in [
        ("threads.custom_action", {"thread_id": thread, "action": action}),
        ("threads.sync_custom_action", {"thread_id": thread, "action": action}),
        ("input.transcribe", {"audio_base64": "aGk=", "mime_type": "audio/webm"}),
        ("attachments.create", {"name": "a", "size": 1, "mime_type": "text/plain"}),
        ("attachments.delete", {"attachment_id": "atc_1"}),
    ]:
        assert refused(await ask(served, operation, **params)) == (501, "not_implemented"), operation
    assert (await served.upload("atc_1", "t", _no_bytes())).status == 501
    assert (await served.download("atc_1", "t")).status == 501
    assert (await served.direct_upload(_no_bytes(), "multipart/form-data; boundary=x", "ann")).status == 501


class Silent(ChatKitServer[Any]):
    """Implements what it must and no more."""

    def respond(self, thread: ThreadMetadata, input_user_message: Any, context: Any) -> Any:
        return nothing(thread, input_user_message, context)


async def _no_bytes() -> AsyncIterator[bytes]:
    for piece in ():
        yield piece


class _Refusing(MemoryStore[Any]):
    """A store whose every read fails in one way."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    async def load_threads(self, limit: int, after: str | None, order: str, context: Any) -> Any:
        raise self.error

    async def load_thread(self, thread_id: str, context: Any) -> ThreadMetadata:
        raise self.error


@pytest.mark.requirement("CHK-29")
@pytest.mark.parametrize(
    ("error", "status", "code", "wait"),
    [
        (RateLimited("Slow down.", retry_after=2.2), 429, "rate_limited", "3"),
        (RateLimited("Slow down."), 429, "rate_limited", "1"),
        (Unavailable("the disk is full", retry_after=5), 503, "unavailable", "5"),
        (ZeroDivisionError("secret"), 500, "internal", None),
        (CustomStreamError("Sold out."), 500, "custom", None),
        (StreamError(ErrorCode.STREAM_ERROR), 500, "stream.error", None),
    ],
)
async def test_errors_before_the_first_event_have_their_status(
    error: Exception, status: int, code: str, wait: str | None
) -> None:
    served = endpoint(Scripted(nothing, store=_Refusing(error)))
    for reply in (
        await ask(served, "threads.list"),
        await ask(served, "threads.get_by_id", thread_id="thr_1"),
        await say(served, "thr_1"),
    ):
        assert refused(reply) == (status, code)
        assert reply.headers.get("retry-after") == wait
        assert b"secret" not in (reply.body or b"")
        assert b"disk" not in (reply.body or b"")
    assert served.is_idle


@pytest.mark.requirement("CHK-29")
def test_an_error_tells_no_secret_and_names_its_run() -> None:
    error = RateLimited("Bearer abcdefghijklmnop1234 is over its limit", run_id="run_1")
    reply = error_reply(error)
    assert b"abcdefghijklmnop1234" not in (reply.body or b"")
    assert (reply.run_id, reply.headers["x-dragoman-run"]) == ("run_1", "run_1")


@pytest.mark.requirement("CHK-20", "CHK-29")
async def test_an_error_after_the_first_event_is_one_event_and_a_normal_end() -> None:
    async def failing(thread: ThreadMetadata, asked: Any, context: Any) -> AsyncIterator[ThreadStreamEvent]:
        yield ThreadItemAddedEvent(item=message(thread))
        yield delta("par")
        raise ZeroDivisionError("secret")

    served = endpoint(Scripted(failing))
    reply = await ask(served, "threads.create", input=said("hello"))
    found = await rest(reply)
    assert [event["type"] for event in found].count("error") == 1
    assert found[-1]["type"] == "error"
    assert found[-1]["code"] == "stream.error"
    assert "secret" not in json.dumps(found)
    thread = found[0]["thread"]["id"]
    assert (await say(served, thread)).status == 200


@pytest.mark.requirement("CHK-20")
async def test_the_partial_text_of_a_failed_answer_is_stored_where_asked_for() -> None:
    async def failing(thread: ThreadMetadata, asked: Any, context: Any) -> AsyncIterator[ThreadStreamEvent]:
        yield ThreadItemAddedEvent(item=message(thread))
        yield delta("par")
        raise ZeroDivisionError

    for wanted in (True, False):
        served = endpoint(Scripted(failing), persist_on_error=wanted)
        thread = await new_thread(served)
        texts = [item["content"][0]["text"] for item in await items(served, thread)]
        assert texts == (["hello", "par"] if wanted else ["hello"])


# -------------------------------------------------------------------------------------- limits


class _Hearing(Scripted):
    async def transcribe(self, audio_input: AudioInput, context: Any) -> TranscriptionResult:
        return TranscriptionResult(text=str(len(audio_input.data)))


@pytest.mark.requirement("CHK-16", "CHK-29")
async def test_a_body_is_limited_and_dictation_may_be_larger() -> None:
    served = endpoint(_Hearing(), max_body=1000, max_transcribe_body=4000)
    audio = base64.b64encode(b"a" * 1500).decode()
    heard = await ask(served, "input.transcribe", audio_base64=audio, mime_type="audio/webm")
    assert document(heard) == {"text": "1500"}
    assert refused(await ask(served, "threads.create", input=said("x" * 1500))) == (413, "too_large")
    assert (await ask(served, "threads.create", input=said("x" * 500))).status == 200
    longer = base64.b64encode(b"a" * 4000).decode()
    large = await ask(served, "input.transcribe", audio_base64=longer, mime_type="audio/webm")
    assert refused(large) == (413, "too_large")
    assert refused(await served.post(b"x" * 5000, "ann")) == (413, "too_large")
    await served.aclose()


@pytest.mark.requirement("CHK-10", "CHK-29")
async def test_pages_have_at_least_one_row_and_at_most_the_limit() -> None:
    served = endpoint(answering(), max_items_limit=3)
    thread = ""
    for _ in range(5):
        thread = await new_thread(served)
    for _ in range(2):
        await rest(await say(served, thread))
    for limit, rows in [(None, 3), (0, 3), (-4, 1), (1, 1), (2, 2), (10**9, 3)]:
        asked = {} if limit is None else {"limit": limit}
        for operation, params in (("threads.list", {}), ("items.list", {"thread_id": thread})):
            page = document(await ask(served, operation, **params, **asked))
            assert (len(page["data"]), page["has_more"]) == (rows, True), (operation, limit)


@pytest.mark.requirement("CHK-09", "CHK-29")
async def test_a_title_has_a_limited_length_and_a_longer_one_changes_nothing() -> None:
    served = endpoint(answering(), max_title=5)
    thread = await new_thread(served)
    assert document(await ask(served, "threads.update", thread_id=thread, title="short"))["title"] == "short"
    assert refused(await ask(served, "threads.update", thread_id=thread, title="longer")) == (422, "title_too_long")
    assert document(await ask(served, "threads.get_by_id", thread_id=thread))["title"] == "short"


@pytest.mark.requirement("CHK-15", "CHK-29")
async def test_a_message_has_a_limited_number_of_attachments() -> None:
    served = endpoint(answering(), max_attachments=2)
    reply = await ask(served, "threads.create", input=said("x", attachments=["atc_1", "atc_2", "atc_3"]))
    assert refused(reply) == (422, "too_many_attachments")
    fits = await ask(served, "threads.create", input=said("x", attachments=["atc_1", "atc_2"]))
    assert refused(fits) == (404, "not_found")
    assert document(await ask(served, "threads.list"))["data"] == []


# ------------------------------------------------------------------------------------- options


@pytest.mark.requirement("CHK-29")
@pytest.mark.parametrize("status", [LockedStatus(reason="paid up?"), ClosedStatus()])
async def test_locked_and_closed_threads_take_nothing_where_that_is_enforced(status: Any) -> None:
    server = answering()
    enforcing, lenient = endpoint(server, enforce_status=True), endpoint(server)
    thread = await new_thread(lenient)
    stored = await server.store.load_thread(thread, "ann")
    await server.store.save_thread(stored.model_copy(update={"status": status}), "ann")
    first = (await items(lenient, thread))[0]
    for reply in (
        await say(enforcing, thread),
        await ask(enforcing, "threads.retry_after_item", thread_id=thread, item_id=first["id"]),
        await ask(enforcing, "threads.sync_custom_action", thread_id=thread, action={"type": "x"}),
    ):
        assert refused(reply) == (409, f"thread_{status.type}")
    assert (await ask(enforcing, "threads.get_by_id", thread_id=thread)).status == 200
    assert len(await items(enforcing, thread)) == 2
    assert len(await rest(await say(lenient, thread))) > 1
    stored = await server.store.load_thread(thread, "ann")
    await server.store.save_thread(stored.model_copy(update={"status": {"type": "active"}}), "ann")


@pytest.mark.requirement("CHK-29")
async def test_the_envelopes_metadata_can_become_part_of_the_context() -> None:
    served: Endpoint[Any] = Endpoint(
        answering(), EndpointOptions(), context_metadata=lambda context, metadata: metadata.get("user", context)
    )
    body = json.dumps({"type": "threads.create", "params": {"input": said("x")}, "metadata": {"user": "ben"}})
    thread = (await rest(await served.post(body.encode(), "ann")))[0]["thread"]["id"]
    assert (await ask(served, "threads.get_by_id", "ann", thread_id=thread)).status == 404
    assert (await ask(served, "threads.get_by_id", "ben", thread_id=thread)).status == 200


@pytest.mark.requirement("CHK-13")
async def test_a_client_tool_call_that_nobody_answered_goes_with_the_next_message() -> None:
    async def calling(thread: ThreadMetadata, asked: Any, context: Any) -> AsyncIterator[ThreadStreamEvent]:
        if asked.content[0].text == "hello":
            call = ClientToolCallItem(
                id="tc_1", thread_id=thread.id, created_at=NOON, call_id="call_1", name="look", arguments={}
            )
            yield ThreadItemDoneEvent(item=call)

    served = endpoint(Scripted(calling))
    thread = await new_thread(served)
    assert [item["type"] for item in await items(served, thread)] == ["user_message", "client_tool_call"]
    await rest(await say(served, thread))
    assert [item["type"] for item in await items(served, thread)] == ["user_message", "user_message"]


class _Own(Scripted):
    """Overrides `process`, as users do to look at requests."""

    def __init__(self, store: Store[Any] | None = None) -> None:
        super().__init__(nothing, store=store)
        self.seen: list[str] = []

    async def process(self, request: str | bytes | bytearray, context: Any) -> Any:
        self.seen.append(json.loads(request)["type"])
        return await super().process(request, context)

    async def sync_action(
        self, thread: ThreadMetadata, action: Action[str, Any], sender: Any, context: Any
    ) -> SyncCustomActionResponse:
        return SyncCustomActionResponse()


@pytest.mark.requirement("CHK-35")
async def test_a_process_of_ones_own_is_called() -> None:
    server = _Own()
    served = endpoint(server)
    thread = await new_thread(served)
    reply = await ask(served, "threads.sync_custom_action", thread_id=thread, action={"type": "x"})
    assert document(reply) == {}
    assert server.seen == ["threads.create", "threads.sync_custom_action"]


def test_stream_options_are_an_event_that_the_endpoint_reads() -> None:
    """The name by which the outgoing stream finds them is that of the type."""
    assert StreamOptionsEvent.model_fields["type"].default == "stream_options"
    assert envelope("threads.list") == b'{"type": "threads.list", "params": {}}'
