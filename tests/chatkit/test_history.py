"""What was said in a thread, newest first to be kept, in the shape that each model's API takes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.chatkit.agents.runs import CALLER, WHEN

from dragoman.chatkit import history, texts
from dragoman.chatkit.memory import MemoryStore
from dragoman.chatkit.store import NotFoundError
from dragoman.chatkit.types import (
    AssistantMessageContent,
    AssistantMessageItem,
    ClientToolCallItem,
    FileAttachment,
    GeneratedImage,
    GeneratedImageItem,
    HiddenContextItem,
    Page,
    ThreadItem,
    ThreadMetadata,
    UserMessageItem,
    UserMessageTagContent,
    UserMessageTextContent,
)
from dragoman.core.messages import FilePart, Message, TextPart, ToolCallPart, ToolResultPart

pytestmark = pytest.mark.requirement("CHK-06")

COMMON: dict[str, Any] = {"thread_id": "thr_1", "created_at": WHEN}
THREAD = ThreadMetadata(id="thr_1", created_at=WHEN)


def asked(text: str, id: str = "m", **fields: Any) -> UserMessageItem:
    return UserMessageItem(id=id, content=[UserMessageTextContent(text=text)], **COMMON, **fields)


def answered(*parts: str) -> AssistantMessageItem:
    return AssistantMessageItem(id="a", content=[AssistantMessageContent(text=part) for part in parts], **COMMON)


async def a_store(count: int) -> MemoryStore[str]:
    """A thread of messages `0`, `1`, … , all of the same time."""
    store: MemoryStore[str] = MemoryStore()
    await store.save_thread(THREAD, context=CALLER)
    for number in range(count):
        await store.add_thread_item("thr_1", asked(str(number), f"m_{number}"), context=CALLER)
    return store


def numbers(items: list[ThreadItem]) -> list[int]:
    return [int(item.id.removeprefix("m_")) for item in items]


@pytest.mark.parametrize(
    ("limit", "first"), [(3, 247), (100, 150), (101, 149), (250, 0), (1000, 0), (None, 0), (0, 250)]
)
async def test_the_newest_items_come_in_the_order_of_the_thread(limit: int | None, first: int) -> None:
    store = await a_store(250)
    assert numbers(await history.load(store, THREAD, CALLER, limit=limit)) == list(range(first, 250))


async def test_the_thread_may_be_named_by_its_id() -> None:
    assert numbers(await history.load(await a_store(3), "thr_1", CALLER)) == [0, 1, 2]


async def test_a_thread_of_somebody_else_has_no_history() -> None:
    assert await history.load(await a_store(3), THREAD, "somebody else") == []


async def test_an_error_of_the_store_is_the_callers() -> None:
    class Missing(MemoryStore[str]):
        async def load_thread_items(self, *_: Any, **__: Any) -> Page[ThreadItem]:
            raise NotFoundError("no such thread")

    with pytest.raises(NotFoundError):
        await history.load(Missing(), THREAD, CALLER)


async def test_no_more_is_taken_than_the_model_can_read() -> None:
    store = await a_store(10)
    counted = await history.load(store, THREAD, CALLER, max_tokens=30, count_tokens=lambda _: 10)
    assert numbers(counted) == [7, 8, 9]
    assert numbers(await history.load(store, THREAD, CALLER, max_tokens=1)) == [9]
    assert len(await history.load(store, THREAD, CALLER, max_tokens=1_000_000)) == 10


def test_tokens_are_estimated_by_what_a_model_reads() -> None:
    short, long = (history.estimated_tokens(asked(text)) for text in ("a", "a" * 4000))
    assert long - short == pytest.approx(1000, abs=2)
    image = GeneratedImage(id="i", url="data:image/png;base64," + "A" * 100_000)
    assert history.estimated_tokens(GeneratedImageItem(id="g", image=image, **COMMON)) < 50


async def test_a_store_that_gives_no_cursor_is_read_to_its_end() -> None:
    class Forgetful(MemoryStore[str]):
        async def load_thread_items(self, *args: Any, **named: Any) -> Page[ThreadItem]:
            page = await super().load_thread_items(*args, **named)
            return page.model_copy(update={"after": None})

    store = await a_store(0)
    forgetful: Forgetful = Forgetful()
    forgetful._accounts = store._accounts
    for number in range(150):
        await store.add_thread_item("thr_1", asked(str(number), f"m_{number}"), context=CALLER)
    assert numbers(await history.load(forgetful, THREAD, CALLER, limit=None)) == list(range(150))


# ---------------------------------------------------------------------- shapes

CALL = ClientToolCallItem(
    id="tc_1", call_id="c_1", name="pick", arguments={"a": 1}, status="completed", output={"ok": True}, **COMMON
)
IMAGE = GeneratedImageItem(id="g", image=GeneratedImage(id="i", url="data:image/webp;base64,AAA"), **COMMON)
CONVERSATION: list[ThreadItem] = [asked("hi"), answered("hel", "lo"), CALL, IMAGE, answered("")]


async def test_input_of_the_responses_api() -> None:
    found = await history.to_responses_input(CONVERSATION)
    assert [each.get("role", each["type"]) for each in found] == [
        "user",
        "assistant",
        "function_call",
        "function_call_output",
        "user",
    ]


async def test_messages_of_chat_completions() -> None:
    function = {"name": "pick", "arguments": json.dumps({"a": 1})}
    picture = {"type": "image_url", "image_url": {"url": "data:image/webp;base64,AAA", "detail": "auto"}}
    assert await history.to_chat_completions(CONVERSATION) == [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "hello"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c_1", "type": "function", "function": function}],
        },
        {"role": "tool", "tool_call_id": "c_1", "content": json.dumps({"ok": True})},
        {"role": "user", "content": [{"type": "text", "text": texts.GENERATED_IMAGE}, picture]},
    ]


async def test_messages_of_our_own() -> None:
    assert await history.to_messages(CONVERSATION) == [
        Message("user", (TextPart("hi"),)),
        Message.of("assistant", "hello"),
        Message("assistant", (ToolCallPart("c_1", "pick", {"a": 1}),)),
        Message("tool", (ToolResultPart("c_1", "pick", {"ok": True}),)),
        Message("user", (TextPart(texts.GENERATED_IMAGE), FilePart("data:image/webp;base64,AAA", "image/webp"))),
    ]


@pytest.mark.requirement("CHK-13")
async def test_a_call_that_was_left_behind_never_reaches_a_model() -> None:
    pending = CALL.model_copy(update={"status": "pending", "output": None})
    for convert in (history.to_responses_input, history.to_chat_completions, history.to_messages):
        assert len(await convert([asked("hi"), pending, asked("anyway")])) == 2


async def test_what_a_user_mentions_or_attaches_is_always_told() -> None:
    tag = UserMessageTagContent(id="t1", text="Anna", data={"age": 7})
    file = FileAttachment(id="a_1", name='a"b.txt', mime_type="text/plain")
    item = UserMessageItem(id="m", content=[tag], attachments=[file], **COMMON)
    message, about = await history.to_chat_completions([item])
    told = [part["text"] for part in message["content"]]
    assert told == ["@Anna", texts.fill(texts.ATTACHMENT, name="a'b.txt", mime_type="text/plain")]
    assert '{"id": "t1", "age": 7}' in about["content"][1]["text"]


async def test_an_attachment_store_says_what_a_model_gets() -> None:
    class Files:
        async def as_message_content(self, attachment: Any) -> dict[str, Any]:
            return {"type": "input_file", "filename": attachment.name, "file_data": "data:application/pdf;base64,AAA"}

    file = FileAttachment(id="a_1", name="a.pdf", mime_type="application/pdf")
    converter = history.HistoryConverter(attachments=Files())
    items = [asked("see", attachments=[file])]
    [chat] = await history.to_chat_completions(items, converter=converter)
    [ours] = await history.to_messages(items, converter=converter)
    data = "data:application/pdf;base64,AAA"
    assert chat["content"][1] == {"type": "file", "file": {"file_data": data, "filename": "a.pdf"}}
    assert ours.parts[1] == FilePart(data, "application/pdf", "a.pdf")


async def test_hidden_context_of_any_kind_is_told() -> None:
    item = HiddenContextItem(id="h", content={"pressed": ["red"]}, **COMMON)
    [found] = await history.to_messages([item])
    assert '{"pressed": ["red"]}' in found.text


async def test_a_converter_of_ones_own_may_speak_for_the_system() -> None:
    class Mine(history.HistoryConverter):
        async def hidden_context_to_input(self, item: HiddenContextItem) -> Any:
            return [
                {"role": "developer", "content": "be brief"},
                {"role": "user", "content": [{"type": "input_file", "file_url": "https://example.com/a"}, {"x": 1}]},
            ]

    items = [HiddenContextItem(id="h", content="x", **COMMON)]
    assert await history.to_messages(items, converter=Mine()) == [
        Message.of("system", "be brief"),
        Message("user", (FilePart("https://example.com/a", "application/octet-stream"), TextPart('{"x": 1}'))),
    ]
    assert (await history.to_chat_completions(items, converter=Mine()))[0] == {
        "role": "developer",
        "content": "be brief",
    }
