"""A chat at a terminal: show what streams in, ask about tool calls, go on until nothing waits.

For the command line only; the words on the screen are here, what the calls mean is not. Anything
that has the client's `send_message`, `confirm_tool`, … will do as a client.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any, Literal, Protocol, TypeAlias

from dragoman.kai.approvals import PendingApproval, pending_approvals
from dragoman.kai.events import AbortEvent, ToolInputErrorEvent, ToolOutputDeniedEvent
from dragoman.kai.models import (
    ErrorEvent,
    FinishEvent,
    SSEEvent,
    StepStartEvent,
    TextEvent,
    ToolApprovalRequestEvent,
    ToolCallEvent,
    ToolOutputErrorEvent,
)

ToolEvent: TypeAlias = (
    ToolCallEvent | ToolApprovalRequestEvent | ToolOutputErrorEvent | ToolInputErrorEvent | ToolOutputDeniedEvent
)
Decide = Literal["ask", "approve", "deny", "leave"]


class Chatting(Protocol):
    """The calls of a client that a conversation makes."""

    def send_message(self, chat_id: str, text: str) -> AsyncIterator[SSEEvent]: ...

    def confirm_tool(self, chat_id: str, tool_call_id: str, tool_name: str) -> AsyncIterator[SSEEvent]: ...

    def deny_tool(self, chat_id: str, tool_call_id: str, tool_name: str) -> AsyncIterator[SSEEvent]: ...

    def approve_tool(self, chat_id: str, approval_id: str) -> AsyncIterator[SSEEvent]: ...

    def reject_tool(self, chat_id: str, approval_id: str) -> AsyncIterator[SSEEvent]: ...


class Screen(Protocol):
    """Where a conversation is shown. `write` adds to the current line, `note` is for the user, not for pipes."""

    def write(self, text: str) -> None: ...

    def note(self, text: str) -> None: ...

    def confirm(self, question: str) -> bool: ...


class Conversation:
    """One chat. `decide`: ask about each tool call, or approve or deny all, or leave them waiting.

    With `as_json` the screen gets one JSON object per event and line, and nothing else.
    """

    def __init__(self, client: Chatting, chat_id: str, screen: Screen, *, decide: Decide, as_json: bool) -> None:
        self._client = client
        self._chat_id = chat_id
        self._screen = screen
        self._decide = decide
        self._as_json = as_json
        self._in_line = False
        self._names: dict[str, str] = {}

    async def say(self, text: str) -> bool:
        """Send a message and see the whole turn through, decisions included. False if an error event came."""
        events: list[SSEEvent] = []
        decided: set[str] = set()
        await self._show(self._client.send_message(self._chat_id, text), events)
        while waiting := [call for call in pending_approvals(events) if call.tool_call_id not in decided]:
            if self._decide == "leave":
                names = ", ".join(call.tool_name or call.tool_call_id for call in waiting)
                self._screen.note(f"waiting for approval: {names} (use --auto-approve or --deny)")
                break
            call = waiting[0]
            decided.add(call.tool_call_id)
            await self._show(self._answer(call, self._approves(call)), events)
        return not any(isinstance(event, ErrorEvent) for event in events)

    def _approves(self, call: PendingApproval) -> bool:
        name = call.tool_name or call.tool_call_id
        if self._decide == "ask":
            return self._screen.confirm(f"Approve {name} {_compact(call.input)}?")
        approved = self._decide == "approve"
        self._line("[Auto-approving...]" if approved else f"[Denying {name}...]")
        return approved

    def _answer(self, call: PendingApproval, approved: bool) -> AsyncIterator[SSEEvent]:
        """Form B where the server asked by an approval id, else form A."""
        if call.approval_id is not None:
            by_id = self._client.approve_tool if approved else self._client.reject_tool
            return by_id(self._chat_id, call.approval_id)
        by_call = self._client.confirm_tool if approved else self._client.deny_tool
        return by_call(self._chat_id, call.tool_call_id, call.tool_name or "")

    async def _show(self, stream: AsyncIterator[SSEEvent], events: list[SSEEvent]) -> None:
        async for event in stream:
            events.append(event)
            if self._as_json:
                self._screen.write(json.dumps(event.model_dump(mode="json")) + "\n")
            else:
                self._show_event(event)
        self._end_line()

    def _show_event(self, event: SSEEvent) -> None:
        match event:
            case TextEvent():
                self._screen.write(event.text)
                if event.text:
                    self._in_line = not event.text.endswith("\n")
            case StepStartEvent():
                self._line("[Processing...]")
            case ToolCallEvent():
                self._show_call(event)
            case ToolApprovalRequestEvent():
                self._line(f"[{self._name(event)} needs approval]")
            case ToolOutputErrorEvent() | ToolInputErrorEvent():
                self._line(f"[{self._name(event)} failed: {event.error_text}]")
            case ToolOutputDeniedEvent():
                self._line(f"[{self._name(event)} denied]")
            case AbortEvent():
                self._line(f"[Stopped: {event.reason or 'no reason given'}]")
            case ErrorEvent():
                self._end_line()
                self._screen.note(f"Error: {event.message}")
            case FinishEvent():
                self._end_line()
            case _:
                pass  # metadata, reasoning and application data are for programs

    def _show_call(self, event: ToolCallEvent) -> None:
        name = self._name(event)
        match event.state:
            case "started":
                self._line(f"[Calling {name}...]")
            case "input-available":
                self._line(f"[{name} {_compact(event.input)}]")
            case "output-available":
                self._line(f"[{name} completed]")
            case state:
                self._line(f"[{name}: {state}]")

    def _name(self, event: ToolEvent) -> str:
        """The tool's name, also where only an earlier event of the call told it."""
        if event.tool_name:
            self._names[event.tool_call_id] = event.tool_name
        return self._names.get(event.tool_call_id, event.tool_call_id)

    def _line(self, text: str) -> None:
        if not self._as_json:
            self._end_line()
            self._screen.write(text + "\n")

    def _end_line(self) -> None:
        if self._in_line:
            self._screen.write("\n")
            self._in_line = False


async def converse(
    conversation: Conversation, ask: Callable[[], str | None], failed: Callable[[Exception], None]
) -> None:
    """Ask for messages until there are no more; what goes wrong with one does not end the others."""
    while (text := ask()) is not None:
        try:
            await conversation.say(text)
        except Exception as error:
            failed(error)


def _compact(value: Any) -> str:
    return "" if value is None else json.dumps(value, ensure_ascii=False)
