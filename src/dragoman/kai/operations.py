"""Every call of the Kai client, once, for the awaiting and the blocking shell alike.

Coroutines and async generators over the I/O port of a session; they await nothing else, so the
blocking shell can run them without an event loop. `exchange` sends and names the faults, `codec`
makes bodies and reads answers, `sse` reads streams. What each call is for is told where users
read it, in `client`. Knows no event loop, no clock and no HTTP library.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from dragoman.core.errors import ProtocolError, TimedOut, TransportError
from dragoman.kai import codec
from dragoman.kai.exceptions import KaiConnectionError, KaiError, KaiStreamError, KaiTimeoutError, PartialStream
from dragoman.kai.exchange import fault_text, open_stream, request_for, segment, send, where
from dragoman.kai.models import (
    AgentSettings,
    AnswerRequest,
    ApprovalResponse,
    Chat,
    ChatDetail,
    ChatRequest,
    DecisionRequest,
    ErrorEvent,
    HistoryResponse,
    InfoResponse,
    MessageMetadata,
    MessageRequest,
    PingResponse,
    RequestContext,
    SSEEvent,
    SuggestionsResponse,
    TextEvent,
    TextPart,
    ToolResultPart,
    ToolsListResponse,
    UsageResponse,
    UserAgentSettings,
    Vote,
    VoteRequest,
)
from dragoman.kai.session import DISCOVERY_TIMEOUT, Session
from dragoman.kai.sse import EventDecoder, connection_lost
from dragoman.kai.types import UNSET, Unset
from dragoman.transport.io import IO
from dragoman.wire.http import Headers, Request, Timeouts

Events = AsyncGenerator[SSEEvent, None]

CONFIRMED = "confirmed"
DENIED = "denied"


@dataclass(frozen=True, slots=True)
class Opening:
    """How a stream begins: what to send, and the names of tools known before."""

    request: Request
    tool_names: dict[str, str] = field(default_factory=dict)


async def _events(session: Session, prepare: Callable[[], Awaitable[Opening]], strict_end: bool | None) -> Events:
    """A whole stream: nothing is sent before the first iteration, and leaving closes the connection.

    One generator does it all, since each further one would cost every event.
    """
    opening = await prepare()
    answer = await open_stream(session._io(), opening.request)
    if answer is None:
        return
    decoder = EventDecoder(opening.tool_names)
    try:
        async for piece in answer:
            for event in decoder.feed(piece):
                yield event
            if decoder.error is not None:
                raise decoder.error
    except TimedOut as error:
        message = f"the stream from {where(opening.request)} timed out: no data within the time limit"
        raise decoder.told(KaiTimeoutError(message, cause=fault_text(error))) from error
    except KaiError:
        raise
    except (TransportError, ProtocolError) as error:
        raise decoder.told(connection_lost(fault_text(error))) from error
    finally:
        await answer.aclose()
    for event in decoder.end():
        yield event
    if decoder.error is not None:
        raise decoder.error
    if session.strict_end if strict_end is None else strict_end:
        decoder.check_end()


# ----------------------------------------------------------------------------------- discovery


async def discover(io: IO, storage_api_token: str, storage_api_url: str) -> str:
    """The URL of the service, as the Storage API tells it."""
    request = Request(
        "GET",
        f"{storage_api_url.rstrip('/')}/v2/storage",
        Headers({"x-storageapi-token": storage_api_token}),
        timeouts=Timeouts.all(DISCOVERY_TIMEOUT),
    )
    try:
        response = await io.send(request)
    except (TransportError, ProtocolError) as error:
        message = f"Failed to connect to the Storage API at {where(request)}"
        raise KaiConnectionError(message, cause=fault_text(error)) from error
    return codec.decode_service_url(response, storage_api_url)


async def ping(session: Session) -> PingResponse:
    return codec.decode_answer(await send(session, request_for(session, "GET", "/ping", auth=False)), PingResponse)


async def info(session: Session) -> InfoResponse:
    return codec.decode_answer(await send(session, request_for(session, "GET", "/api", auth=False)), InfoResponse)


# ------------------------------------------------------------------------------------- streams


def _post_chat(session: Session, body: ChatRequest | DecisionRequest) -> Request:
    return request_for(session, "POST", "/api/chat", codec.encode_request(body), timeout=session.stream_timeout)


def send_message(
    session: Session,
    chat_id: str,
    text: str,
    *,
    model: str,
    visibility: str,
    branch_id: int | None,
    hidden: bool,
    request_path: str | None,
    strict_end: bool | None,
) -> Events:
    async def prepare() -> Opening:
        metadata = None
        if hidden or request_path:
            context = RequestContext(path=request_path) if request_path else None
            metadata = MessageMetadata(hidden=hidden, request_context=context)
        message = MessageRequest(id=str(uuid.uuid4()), parts=[TextPart(text=text)], metadata=metadata)
        return Opening(_post_chat(session, _chat(chat_id, message, model, visibility, branch_id)))

    return _events(session, prepare, strict_end)


def send_tool_result(
    session: Session,
    chat_id: str,
    tool_call_id: str,
    tool_name: str,
    result: str,
    *,
    model: str,
    visibility: str,
    branch_id: int | None,
    strict_end: bool | None,
) -> Events:
    async def prepare() -> Opening:
        part = ToolResultPart(tool_call_id=tool_call_id, tool_name=tool_name, result=result)
        message = MessageRequest(id=str(uuid.uuid4()), parts=[part])
        request = _post_chat(session, _chat(chat_id, message, model, visibility, branch_id))
        return Opening(request, {tool_call_id: tool_name} if tool_name else {})

    return _events(session, prepare, strict_end)


def _chat(chat_id: str, message: MessageRequest, model: str, visibility: str, branch_id: int | None) -> ChatRequest:
    return ChatRequest(
        id=chat_id,
        message=message,
        selected_chat_model=model,
        selected_visibility_type=visibility,
        branch_id=branch_id,
    )


def send_tool_approval_response(
    session: Session,
    chat_id: str,
    approval_id: str,
    approved: bool,
    *,
    reason: str | None,
    model: str,
    visibility: str,
    branch_id: int | None,
    strict_end: bool | None,
) -> Events:
    async def prepare() -> Opening:
        chat = await get_chat(session, chat_id)
        for message in reversed(chat.messages):
            if message.role != "assistant":
                continue
            parts = codec.respond_to_approval(message.parts, approval_id, approved, reason)
            if parts is not None:
                body = DecisionRequest(
                    id=chat_id,
                    message=AnswerRequest(id=message.id, parts=parts),
                    selected_chat_model=model,
                    selected_visibility_type=visibility,
                    branch_id=branch_id,
                )
                return Opening(_post_chat(session, body), codec.tool_names(message.parts))
        raise KaiError(
            f"no message of chat {chat_id!r} has a tool call with approval {approval_id!r}", "approval:not_found"
        )

    return _events(session, prepare, strict_end)


def resume_stream(session: Session, chat_id: str, *, strict_end: bool | None) -> Events:
    async def prepare() -> Opening:
        path = f"/api/chat/{segment(chat_id)}/stream"
        return Opening(request_for(session, "GET", path, timeout=session.stream_timeout))

    return _events(session, prepare, strict_end)


async def chat(chat_id: str | None, events: Callable[[str], Events], raise_on_error: bool) -> tuple[str, str]:
    """Read a stream to its end: the chat's id, and all text."""
    chat_id = chat_id or str(uuid.uuid4())
    texts: list[str] = []
    seen = 0
    stream = events(chat_id)
    try:
        async for event in stream:
            seen += 1
            if isinstance(event, TextEvent):
                texts.append(event.text)
            elif isinstance(event, ErrorEvent) and raise_on_error:
                code = None if event.code is None else str(event.code)
                error = KaiStreamError(event.message, code)
                error.partial = PartialStream(seen, "".join(texts))
                raise error
    finally:
        await stream.aclose()
    return chat_id, "".join(texts)


# ------------------------------------------------------------------------------ chats and votes


async def get_chat(session: Session, chat_id: str) -> ChatDetail:
    request = request_for(session, "GET", f"/api/chat/{segment(chat_id)}")
    return codec.decode_answer(await send(session, request), ChatDetail)


async def delete_chat(session: Session, chat_id: str) -> None:
    await send(session, request_for(session, "DELETE", "/api/chat", query={"id": chat_id}))


async def get_history(
    session: Session, limit: int, starting_after: str | None, ending_before: str | None
) -> HistoryResponse:
    query: dict[str, Any] = {"limit": limit}
    if starting_after:
        query["starting_after"] = starting_after
    if ending_before:
        query["ending_before"] = ending_before
    return codec.decode_answer(
        await send(session, request_for(session, "GET", "/api/history", query=query)), HistoryResponse
    )


async def get_all_history(session: Session, batch_size: int) -> AsyncGenerator[Chat, None]:
    known: set[str] = set()
    cursor: str | None = None
    while True:
        page = await get_history(session, batch_size, cursor, None)
        fresh = [chat for chat in page.chats if chat.id not in known]
        if page.chats and not fresh:
            raise KaiError(
                f"the server's history goes in circles: the page after {cursor!r} brings only chats seen before",
                "history:cursor_loop",
            )
        for chat in fresh:
            known.add(chat.id)
            yield chat
        if not page.has_more or not page.chats:
            return
        cursor = page.chats[-1].id


async def get_votes(session: Session, chat_id: str) -> list[Vote]:
    return codec.decode_votes(await send(session, request_for(session, "GET", "/api/vote", query={"chatId": chat_id})))


async def vote(session: Session, chat_id: str, message_id: str, vote_type: str) -> Vote:
    body = VoteRequest.model_validate({"chatId": chat_id, "messageId": message_id, "type": str(vote_type)})
    return codec.decode_vote(
        await send(session, request_for(session, "PATCH", "/api/vote", codec.encode_vote(body))), body
    )


# ------------------------------------------------------------- approvals, usage, settings, rest


async def submit_approval(
    session: Session,
    chat_id: str,
    tool_use_id: str,
    approved: bool,
    *,
    reason: str | None,
    updated_input: dict[str, Any] | None,
    answers: dict[str, Any] | None,
) -> ApprovalResponse:
    body = codec.encode_approval(tool_use_id, approved, reason, updated_input, answers)
    request = request_for(session, "POST", f"/api/chat/{segment(chat_id)}/approval", body)
    return codec.decode_answer(await send(session, request), ApprovalResponse)


async def get_usage(session: Session) -> UsageResponse:
    return codec.decode_answer(await send(session, request_for(session, "GET", "/api/usage")), UsageResponse)


async def get_settings(session: Session) -> AgentSettings:
    return codec.decode_answer(await send(session, request_for(session, "GET", "/api/settings")), AgentSettings)


async def update_settings(session: Session, *, custom_instructions: str | Unset | None) -> AgentSettings:
    changes = {} if custom_instructions is UNSET else {"customInstructions": custom_instructions}
    request = request_for(session, "PATCH", "/api/settings", codec.encode_json(changes))
    return codec.decode_answer(await send(session, request), AgentSettings)


async def get_user_settings(session: Session) -> UserAgentSettings:
    request = request_for(session, "GET", "/api/settings/user")
    return codec.decode_answer(await send(session, request), UserAgentSettings)


async def update_user_settings(
    session: Session,
    *,
    custom_instructions: str | Unset | None,
    tool_permissions: dict[str, str] | Unset | None,
) -> UserAgentSettings:
    given = {"customInstructions": custom_instructions, "toolPermissions": tool_permissions}
    changes = {name: value for name, value in given.items() if value is not UNSET}
    if not changes:
        raise ValueError("update_user_settings needs at least one argument: custom_instructions or tool_permissions")
    request = request_for(session, "PATCH", "/api/settings/user", codec.encode_json(changes))
    return codec.decode_answer(await send(session, request), UserAgentSettings)


async def get_tools(session: Session) -> ToolsListResponse:
    return codec.decode_answer(
        await send(session, request_for(session, "GET", "/api/settings/tools")), ToolsListResponse
    )


async def get_suggestions(session: Session, context: str, data: dict[str, Any]) -> SuggestionsResponse:
    body = codec.encode_json({"context": context, "data": data})
    request = request_for(session, "POST", "/api/suggestions", body)
    return codec.decode_answer(await send(session, request), SuggestionsResponse)
