"""`KaiClientSync`, the blocking twin of `KaiClient`: the same operations without an event loop.

Names, arguments and texts are those of `client`; a test compares them. Everything runs in the
caller's own thread. Streams are `EventStream` objects: iterate them, and `close` them (or use
them in a `with` statement) to leave early. Times are in seconds.
"""

from __future__ import annotations

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
from dragoman.kai.stream import EventStream
from dragoman.kai.types import UNSET, ChatModel, Unset, VisibilityType, VoteType
from dragoman.transport.drivers import BlockingDriver, taped
from dragoman.transport.io import IO, run_blocking
from dragoman.transport.options import Record


class KaiClientSync(BaseClient[BlockingDriver]):
    """Talks to a Kai server.

    `with client:` closes the connections at the end; without it they are opened at the
    first call, and `close` closes them. Every fault is a `KaiError`.
    """

    _new_driver = staticmethod(BlockingDriver)

    @classmethod
    def from_storage_api(
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
            url = run_blocking(operations.discover(port, storage_api_token, storage_api_url))
        finally:
            driver.close()
        settings: dict[str, Any] = {"strict_end": strict_end, "io": io, "record": record, "replay": replay}
        return cls(storage_api_token, storage_api_url, url, timeout, stream_timeout, **settings)

    def __enter__(self) -> Self:
        """Open the client; one in use already is kept."""
        self._io()
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections; a later call opens new ones."""
        driver, self._client = self._client, None
        if driver is not None:
            driver.close()

    # ------------------------------------------------------------------------------- the server

    def ping(self) -> PingResponse:
        """The server's time. Sends no credentials."""
        return run_blocking(operations.ping(self))

    def info(self) -> InfoResponse:
        """What the server says of itself. Sends no credentials."""
        return run_blocking(operations.info(self))

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
    ) -> EventStream[SSEEvent]:
        """Ask, and read the answer as it comes. An unknown `chat_id` begins a new chat.

        `hidden` keeps the message out of views, `request_path` says where in an application the
        user is. `strict_end` overrides the client's. Raises KaiError subclasses by the server's
        answer, KaiConnectionError, KaiTimeoutError, and KaiStreamError for a stream that breaks,
        cannot be decoded, or just stops.
        """
        return EventStream(
            operations.send_message(
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
        )

    def chat(
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

        return run_blocking(operations.chat(chat_id, events, raise_on_error))

    def resume_stream(self, chat_id: str, *, strict_end: bool | None = None) -> EventStream[SSEEvent]:
        """Read the running answer of a chat from its start; nothing if none is running."""
        return EventStream(operations.resume_stream(self, chat_id, strict_end=strict_end))

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
    ) -> EventStream[SSEEvent]:
        """Answer a pending tool call with `confirmed` or `denied`, and read what follows."""
        return EventStream(
            operations.send_tool_result(
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
    ) -> EventStream[SSEEvent]:
        """Allow a pending tool call, and read what follows."""
        return EventStream(
            operations.send_tool_result(
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
    ) -> EventStream[SSEEvent]:
        """Refuse a pending tool call, and read what follows."""
        return EventStream(
            operations.send_tool_result(
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
    ) -> EventStream[SSEEvent]:
        """Decide by the approval's id, as `ToolApprovalRequestEvent` has it, and read what follows.

        Reads the chat first. Raises KaiError `approval:not_found` if no answer in it holds this
        approval.
        """
        return EventStream(
            operations.send_tool_approval_response(
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
    ) -> EventStream[SSEEvent]:
        """Allow a tool call by its approval's id, and read what follows."""
        return EventStream(
            operations.send_tool_approval_response(
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
    ) -> EventStream[SSEEvent]:
        """Refuse a tool call by its approval's id, and read what follows."""
        return EventStream(
            operations.send_tool_approval_response(
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
        )

    def submit_approval(
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
        return run_blocking(
            operations.submit_approval(
                self, chat_id, tool_use_id, approved, reason=reason, updated_input=updated_input, answers=answers
            )
        )

    # ------------------------------------------------------------------------------ chats and votes

    def get_chat(self, chat_id: str) -> ChatDetail:
        """A chat with its messages."""
        return run_blocking(operations.get_chat(self, chat_id))

    def delete_chat(self, chat_id: str) -> None:
        """Delete a chat; what runs in it ends."""
        run_blocking(operations.delete_chat(self, chat_id))

    def get_history(
        self, limit: int = 10, starting_after: str | None = None, ending_before: str | None = None
    ) -> HistoryResponse:
        """A page of the user's chats, newest first: those older than `starting_after`, or newer than `ending_before`."""
        return run_blocking(operations.get_history(self, limit, starting_after, ending_before))

    def get_all_history(self, batch_size: int = 100) -> EventStream[Chat]:
        """All of the user's chats, newest first, fetched `batch_size` at a time.

        Raises KaiError `history:cursor_loop` if the server's pages go in circles.
        """
        return EventStream(operations.get_all_history(self, batch_size))

    def get_votes(self, chat_id: str) -> list[Vote]:
        """All votes in a chat."""
        return run_blocking(operations.get_votes(self, chat_id))

    def vote(self, chat_id: str, message_id: str, vote_type: str | VoteType) -> Vote:
        """Vote on an answer; a second vote replaces the first.

        A word other than `up` or `down` raises pydantic's ValidationError, a ValueError, and
        nothing is sent.
        """
        return run_blocking(operations.vote(self, chat_id, message_id, vote_type))

    def upvote(self, chat_id: str, message_id: str) -> Vote:
        """Vote an answer up."""
        return run_blocking(operations.vote(self, chat_id, message_id, VoteType.UP))

    def downvote(self, chat_id: str, message_id: str) -> Vote:
        """Vote an answer down."""
        return run_blocking(operations.vote(self, chat_id, message_id, VoteType.DOWN))

    # -------------------------------------------------------------------------- usage and settings

    def get_usage(self) -> UsageResponse:
        """The user's quota of messages."""
        return run_blocking(operations.get_usage(self))

    def get_settings(self) -> AgentSettings:
        """Settings of the project."""
        return run_blocking(operations.get_settings(self))

    def update_settings(self, *, custom_instructions: str | Unset | None = UNSET) -> AgentSettings:
        """Change settings of the project; an argument left out is not sent, `None` clears."""
        return run_blocking(operations.update_settings(self, custom_instructions=custom_instructions))

    def get_user_settings(self) -> UserAgentSettings:
        """Settings of the user."""
        return run_blocking(operations.get_user_settings(self))

    def update_user_settings(
        self,
        *,
        custom_instructions: str | Unset | None = UNSET,
        tool_permissions: dict[str, str] | Unset | None = UNSET,
    ) -> UserAgentSettings:
        """Change settings of the user; an argument left out is not sent, `None` clears.

        Permissions (`always_allow`, `always_ask`, `blocked` by tool name) are merged with those
        stored. Raises ValueError if nothing is given.
        """
        return run_blocking(
            operations.update_user_settings(
                self, custom_instructions=custom_instructions, tool_permissions=tool_permissions
            )
        )

    def get_tools(self) -> ToolsListResponse:
        """All tools that the user can reach."""
        return run_blocking(operations.get_tools(self))

    def get_suggestions(self, context: str, data: dict[str, Any]) -> SuggestionsResponse:
        """What the user might ask next; `context` is `dashboard`, `job-detail` or `configuration-detail`, `data` describes it."""
        return run_blocking(operations.get_suggestions(self, context, data))
