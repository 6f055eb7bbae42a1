"""Uses what the Kai client offers beyond plain chatting. Only checked by type checkers, never run."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing, closing
from typing import assert_type

import dragoman.kai
from dragoman.core.errors import DragomanError, ProtocolError, TimedOut, Unauthorized
from dragoman.kai import (
    UNSET,
    AgentSettings,
    ApprovalResponse,
    DataEvent,
    ErrorEvent,
    EventStream,
    FinishEvent,
    KaiAuthenticationError,
    KaiClient,
    KaiClientSync,
    KaiStreamError,
    KaiTimeoutError,
    MessageRequest,
    PendingApproval,
    ReasoningEvent,
    SSEEvent,
    SSEStreamParser,
    TextEvent,
    TextPart,
    ToolCallEvent,
    ToolResultPart,
    UnknownEvent,
    UsageResponse,
    UserAgentSettings,
    parse_sse_stream,
    pending_approvals,
)
from dragoman.kai.exceptions import ERROR_CODE_MAP, raise_for_error_response
from dragoman.kai.models import BaseSSEEvent, MessagePart, StepStartPart
from dragoman.kai.sse import BytesResponse
from dragoman.kai.types import ChatId, JobStatus, PartType
from dragoman.transport.drivers import AsyncDriver, BlockingDriver
from dragoman.transport.options import ClientOptions

assert_type(dragoman.kai.__version__, str)


async def kinds_of_events(client: KaiClient) -> None:
    async for event in client.send_message("c", "hi"):
        match event:
            case TextEvent():
                print(event.text, end="", flush=True)
            case ToolCallEvent(state="output-available"):
                print(event.tool_name, event.input, event.output)
            case FinishEvent(is_step=False):
                assert_type(event.finish_reason, str)
            case ErrorEvent():
                print(event.message, event.code)
            case _:
                assert_type(event.type, str)


async def streams_are_generators(client: KaiClient) -> None:
    stream = client.confirm_tool("c", tool_call_id="t", tool_name="n")
    assert_type(stream, AsyncGenerator[SSEEvent, None])
    seen: list[SSEEvent] = []
    async with aclosing(client.resume_stream("c", strict_end=False)) as events:
        async for event in events:
            seen.append(event)
            if isinstance(event, ReasoningEvent):
                assert_type(event.text, str)
            elif isinstance(event, DataEvent):
                print(event.name, event.value, event.data["type"])
    calls = pending_approvals(seen)
    assert_type(calls, list[PendingApproval])
    for call in calls:
        assert_type(call.approval_id, str | None)
        assert_type(await client.submit_approval("c", call.tool_call_id, True, answers={"a": 1}), ApprovalResponse)


async def settings(client: KaiClient) -> None:
    assert_type(await client.get_usage(), UsageResponse)
    assert_type(await client.update_settings(custom_instructions=None), AgentSettings)
    changed = await client.update_user_settings(custom_instructions=UNSET, tool_permissions={"add": "blocked"})
    assert_type(changed, UserAgentSettings)
    print([tool.read_only for tool in (await client.get_tools()).tools])
    print([s.prompt for s in (await client.get_suggestions("dashboard", {})).suggestions])


def blocking(client: KaiClientSync) -> None:
    stream = client.send_message("c", "hi")
    assert_type(stream, EventStream[SSEEvent])
    with closing(stream) as events:
        for event in events:
            print(event.type)
    for chat in client.get_all_history(batch_size=5):
        print(chat.created_at)


async def foreign_responses(response: BytesResponse) -> str:
    parser = SSEStreamParser()
    async for event in parser.consume_stream(response, yield_events=True):
        assert_type(event, SSEEvent)
    async for event in parse_sse_stream(response):
        if isinstance(event, UnknownEvent | BaseSSEEvent):
            print(event.type)
    return parser.text


def errors_have_two_parents(error: DragomanError) -> str | None:
    if isinstance(error, KaiAuthenticationError):
        common: Unauthorized = error
        return common.code
    if isinstance(error, KaiStreamError):
        broken: ProtocolError = error
        return broken.message + error.partial_text
    if isinstance(error, KaiTimeoutError):
        late: TimedOut = error
        return f"{late.message} after {error.partial.events} events"
    print(ERROR_CODE_MAP["unauthorized:chat"])
    raise_for_error_response({"code": "not_found:chat"})


def models(chat_id: ChatId, part: PartType) -> MessageRequest:
    kept: MessagePart = part
    print(kept.type, JobStatus.COMPLETED, StepStartPart().type)
    result = ToolResultPart(tool_call_id="t", tool_name="n", result="confirmed")
    return MessageRequest(id=chat_id, parts=[TextPart(text="hi"), result])


def ports() -> tuple[KaiClient, KaiClientSync]:
    return (
        KaiClient("t", "u", io=AsyncDriver(options=ClientOptions(connections=2)), strict_end=False),
        KaiClientSync("t", "u", io=BlockingDriver()),
    )
