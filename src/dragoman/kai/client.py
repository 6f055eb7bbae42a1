"""`KaiClient`, the documented client: a thin awaiting shell over `operations`.

One class for both generations of the API. It owns the transport and nothing else; what a call
means is in `operations`, and `sync` holds the blocking twin with the same names, arguments and
texts. Streams are async generators: nothing is sent before the first iteration, and a loop that
is left early closes the connection when the generator is closed, at once with
`contextlib.aclosing`. Times are in seconds.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any, Self

from dragoman.kai import operations
from dragoman.kai.models import (
    AgentSettings,
    ApprovalResponse,
    Chat,
    ChatDetail,
    HistoryResponse,
    InfoResponse,
    PingResponse,
    SSEEvent,
    SuggestionsResponse,
    ToolsListResponse,
    UsageResponse,
    UserAgentSettings,
    Vote,
)
from dragoman.kai.session import DEFAULT_STREAM_TIMEOUT, DEFAULT_TIMEOUT, BaseClient, taping
from dragoman.kai.types import UNSET, ChatModel, Unset, VisibilityType, VoteType
from dragoman.transport.drivers import AsyncDriver, taped
from dragoman.transport.io import IO
from dragoman.transport.options import Record


class KaiClient(BaseClient[AsyncDriver]):
    """Talks to a Kai server.

    `async with client:` closes the connections at the end; without it they are opened at the
    first call, and `close` closes them. Every fault is a `KaiError`.
    """

    _new_driver = staticmethod(AsyncDriver)

    @classmethod
    async def from_storage_api(
        cls,
        storage_api_token: str,
        storage_api_url: str,
        timeout: float = DEFAULT_TIMEOUT,
        stream_timeout: float = DEFAULT_STREAM_TIMEOUT,
        *,
        strict_end: bool = True,
        io: IO | None = None,
        record: Record | None = None,
        replay: Record | None = None,
    ) -> Self:
        """A client of the server that the Storage API lists as `kai-assistant`.

        Raises KaiError with code `discovery:http_error`, `discovery:bad_response`,
        `discovery:service_not_found` or `discovery:no_url`; KaiConnectionError.
        """
        driver = cls._new_driver(**taping(record, replay))  # opens nothing unless used
        port: IO = driver if io is None else taped(io, record=record, replay=replay)
        try:
            url = await operations.discover(port, storage_api_token, storage_api_url)
        finally:
            await driver.aclose()
        settings: dict[str, Any] = {"strict_end": strict_end, "io": io, "record": record, "replay": replay}
        return cls(storage_api_token, storage_api_url, url, timeout, stream_timeout, **settings)

    async def __aenter__(self) -> Self:
        """Open the client; one in use already is kept."""
        self._io()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections; a later call opens new ones."""
        driver, self._client = self._client, None
        if driver is not None:
            await driver.aclose()

    # ------------------------------------------------------------------------------- the server

    async def ping(self) -> PingResponse:
        """The server's time. Sends no credentials."""
        return await operations.ping(self)

    async def info(self) -> InfoResponse:
        """What the server says of itself. Sends no credentials."""
        return await operations.info(self)

    # ---------------------------------------------------------------------------------- messages

    def send_message(
        self,
        chat_id: str,
        text: str,
        *,
        model: str | ChatModel = ChatModel.CHAT,
        visibility: str | VisibilityType = VisibilityType.PRIVATE,
        branch_id: int | None = None,
        hidden: bool = False,
        request_path: str | None = None,
        strict_end: bool | None = None,
    ) -> AsyncGenerator[SSEEvent, None]:
        """Ask, and read the answer as it comes. An unknown `chat_id` begins a new chat.

        `hidden` keeps the message out of views, `request_path` says where in an application the
        user is. `strict_end` overrides the client's. Raises KaiError subclasses by the server's
        answer, KaiConnectionError, KaiTimeoutError, and KaiStreamError for a stream that breaks,
        cannot be decoded, or just stops.
        """
        return operations.send_message(
            self,
            chat_id,
            text,
            model=model,
            visibility=visibility,
            branch_id=branch_id,
            hidden=hidden,
            request_path=request_path,
            strict_end=strict_end,
        )

    async def chat(
        self,
        text: str,
        *,
        chat_id: str | None = None,
        model: str | ChatModel = ChatModel.CHAT,
        visibility: str | VisibilityType = VisibilityType.PRIVATE,
        branch_id: int | None = None,
        raise_on_error: bool = True,
        strict_end: bool | None = None,
    ) -> tuple[str, str]:
        """Ask, and wait for the whole answer: the chat's id (a new one unless given) and all text.

        An error within the answer raises KaiStreamError with the text so far in `partial_text`;
        with `raise_on_error=False` that text is returned.
        """

        def events(id: str) -> operations.Events:
            return operations.send_message(
                self,
                id,
                text,
                model=model,
                visibility=visibility,
                branch_id=branch_id,
                hidden=False,
                request_path=None,
                strict_end=strict_end,
            )

        return await operations.chat(chat_id, events, raise_on_error)

    def resume_stream(self, chat_id: str, *, strict_end: bool | None = None) -> AsyncGenerator[SSEEvent, None]:
        """Read the running answer of a chat from its start; nothing if none is running."""
        return operations.resume_stream(self, chat_id, strict_end=strict_end)

    # ------------------------------------------------------------------------------ tool approval

    def send_tool_result(
        self,
        chat_id: str,
        tool_call_id: str,
        tool_name: str,
        result: str,
        *,
        model: str | ChatModel = ChatModel.CHAT,
        visibility: str | VisibilityType = VisibilityType.PRIVATE,
        branch_id: int | None = None,
        strict_end: bool | None = None,
    ) -> AsyncGenerator[SSEEvent, None]:
        """Answer a pending tool call with `confirmed` or `denied`, and read what follows."""
        return operations.send_tool_result(
            self,
            chat_id,
            tool_call_id,
            tool_name,
            result,
            model=model,
            visibility=visibility,
            branch_id=branch_id,
            strict_end=strict_end,
        )

    def confirm_tool(
        self,
        chat_id: str,
        tool_call_id: str,
        tool_name: str,
        *,
        model: str | ChatModel = ChatModel.CHAT,
        visibility: str | VisibilityType = VisibilityType.PRIVATE,
        branch_id: int | None = None,
        strict_end: bool | None = None,
    ) -> AsyncGenerator[SSEEvent, None]:
        """Allow a pending tool call, and read what follows."""
        return operations.send_tool_result(
            self,
            chat_id,
            tool_call_id,
            tool_name,
            operations.CONFIRMED,
            model=model,
            visibility=visibility,
            branch_id=branch_id,
            strict_end=strict_end,
        )

    def deny_tool(
        self,
        chat_id: str,
        tool_call_id: str,
        tool_name: str,
        *,
        model: str | ChatModel = ChatModel.CHAT,
        visibility: str | VisibilityType = VisibilityType.PRIVATE,
        branch_id: int | None = None,
        strict_end: bool | None = None,
    ) -> AsyncGenerator[SSEEvent, None]:
        """Refuse a pending tool call, and read what follows."""
        return operations.send_tool_result(
            self,
            chat_id,
            tool_call_id,
            tool_name,
            operations.DENIED,
            model=model,
            visibility=visibility,
            branch_id=branch_id,
            strict_end=strict_end,
        )

    def send_tool_approval_response(
        self,
        chat_id: str,
        approval_id: str,
        approved: bool,
        *,
        reason: str | None = None,
        model: str | ChatModel = ChatModel.CHAT,
        visibility: str | VisibilityType = VisibilityType.PRIVATE,
        branch_id: int | None = None,
        strict_end: bool | None = None,
    ) -> AsyncGenerator[SSEEvent, None]:
        """Decide by the approval's id, as `ToolApprovalRequestEvent` has it, and read what follows.

        Reads the chat first. Raises KaiError `approval:not_found` if no answer in it holds this
        approval.
        """
        return operations.send_tool_approval_response(
            self,
            chat_id,
            approval_id,
            approved,
            reason=reason,
            model=model,
            visibility=visibility,
            branch_id=branch_id,
            strict_end=strict_end,
        )

    def approve_tool(
        self,
        chat_id: str,
        approval_id: str,
        *,
        reason: str | None = None,
        model: str | ChatModel = ChatModel.CHAT,
        visibility: str | VisibilityType = VisibilityType.PRIVATE,
        branch_id: int | None = None,
        strict_end: bool | None = None,
    ) -> AsyncGenerator[SSEEvent, None]:
        """Allow a tool call by its approval's id, and read what follows."""
        return operations.send_tool_approval_response(
            self,
            chat_id,
            approval_id,
            True,
            reason=reason,
            model=model,
            visibility=visibility,
            branch_id=branch_id,
            strict_end=strict_end,
        )

    def reject_tool(
        self,
        chat_id: str,
        approval_id: str,
        *,
        reason: str | None = None,
        model: str | ChatModel = ChatModel.CHAT,
        visibility: str | VisibilityType = VisibilityType.PRIVATE,
        branch_id: int | None = None,
        strict_end: bool | None = None,
    ) -> AsyncGenerator[SSEEvent, None]:
        """Refuse a tool call by its approval's id, and read what follows."""
        return operations.send_tool_approval_response(
            self,
            chat_id,
            approval_id,
            False,
            reason=reason,
            model=model,
            visibility=visibility,
            branch_id=branch_id,
            strict_end=strict_end,
        )

    async def submit_approval(
        self,
        chat_id: str,
        tool_use_id: str,
        approved: bool,
        *,
        reason: str | None = None,
        updated_input: dict[str, Any] | None = None,
        answers: dict[str, Any] | None = None,
    ) -> ApprovalResponse:
        """Decide by the tool call's id; what follows comes in the stream that is still open.

        `updated_input` replaces the tool's arguments, `answers` is handed to the tool.
        """
        return await operations.submit_approval(
            self, chat_id, tool_use_id, approved, reason=reason, updated_input=updated_input, answers=answers
        )

    # ------------------------------------------------------------------------------ chats and votes

    async def get_chat(self, chat_id: str) -> ChatDetail:
        """A chat with its messages."""
        return await operations.get_chat(self, chat_id)

    async def delete_chat(self, chat_id: str) -> None:
        """Delete a chat; what runs in it ends."""
        await operations.delete_chat(self, chat_id)

    async def get_history(
        self, limit: int = 10, starting_after: str | None = None, ending_before: str | None = None
    ) -> HistoryResponse:
        """A page of the user's chats, newest first: those older than `starting_after`, or newer than `ending_before`."""
        return await operations.get_history(self, limit, starting_after, ending_before)

    def get_all_history(self, batch_size: int = 100) -> AsyncGenerator[Chat, None]:
        """All of the user's chats, newest first, fetched `batch_size` at a time.

        Raises KaiError `history:cursor_loop` if the server's pages go in circles.
        """
        return operations.get_all_history(self, batch_size)

    async def get_votes(self, chat_id: str) -> list[Vote]:
        """All votes in a chat."""
        return await operations.get_votes(self, chat_id)

    async def vote(self, chat_id: str, message_id: str, vote_type: str | VoteType) -> Vote:
        """Vote on an answer; a second vote replaces the first.

        A word other than `up` or `down` raises pydantic's ValidationError, a ValueError, and
        nothing is sent.
        """
        return await operations.vote(self, chat_id, message_id, vote_type)

    async def upvote(self, chat_id: str, message_id: str) -> Vote:
        """Vote an answer up."""
        return await operations.vote(self, chat_id, message_id, VoteType.UP)

    async def downvote(self, chat_id: str, message_id: str) -> Vote:
        """Vote an answer down."""
        return await operations.vote(self, chat_id, message_id, VoteType.DOWN)

    # -------------------------------------------------------------------------- usage and settings

    async def get_usage(self) -> UsageResponse:
        """The user's quota of messages."""
        return await operations.get_usage(self)

    async def get_settings(self) -> AgentSettings:
        """Settings of the project."""
        return await operations.get_settings(self)

    async def update_settings(self, *, custom_instructions: str | Unset | None = UNSET) -> AgentSettings:
        """Change settings of the project; an argument left out is not sent, `None` clears."""
        return await operations.update_settings(self, custom_instructions=custom_instructions)

    async def get_user_settings(self) -> UserAgentSettings:
        """Settings of the user."""
        return await operations.get_user_settings(self)

    async def update_user_settings(
        self,
        *,
        custom_instructions: str | Unset | None = UNSET,
        tool_permissions: dict[str, str] | Unset | None = UNSET,
    ) -> UserAgentSettings:
        """Change settings of the user; an argument left out is not sent, `None` clears.

        Permissions (`always_allow`, `always_ask`, `blocked` by tool name) are merged with those
        stored. Raises ValueError if nothing is given.
        """
        return await operations.update_user_settings(
            self, custom_instructions=custom_instructions, tool_permissions=tool_permissions
        )

    async def get_tools(self) -> ToolsListResponse:
        """All tools that the user can reach."""
        return await operations.get_tools(self)

    async def get_suggestions(self, context: str, data: dict[str, Any]) -> SuggestionsResponse:
        """What the user might ask next; `context` is `dashboard`, `job-detail` or `configuration-detail`, `data` describes it."""
        return await operations.get_suggestions(self, context, data)
