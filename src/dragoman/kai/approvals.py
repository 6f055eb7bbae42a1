"""Which tool calls wait for a decision, as far as a stream of events tells.

For front ends: collect the events of a turn, its continuations included, and ask a human about
each call in `pending_approvals`. Knows no server and decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from dragoman.kai.events import AbortEvent, ToolInputErrorEvent, ToolOutputDeniedEvent
from dragoman.kai.models import ErrorEvent, SSEEvent, ToolApprovalRequestEvent, ToolCallEvent, ToolOutputErrorEvent

_OPEN_STATES = frozenset({"started", "input-streaming", "input-available", "approval-requested"})


@dataclass(frozen=True, slots=True)
class PendingApproval:
    """A tool call without a decision.

    With an `approval_id`, answer by `approve_tool`, `reject_tool` or `submit_approval`; without
    one the server is of the older kind, answer by `confirm_tool` or `deny_tool`.
    """

    tool_call_id: str
    tool_name: str | None = None
    input: Any = None
    approval_id: str | None = None


def pending_approvals(events: Iterable[SSEEvent]) -> list[PendingApproval]:
    """The calls that wait for a decision after these events, in the order they came.

    Calls for which the server asked, and which have no outcome yet. Only if it never asked, calls
    that stayed in `input-available` count, since older servers do not ask. An error or the end of
    a run by abort leaves nothing to decide.
    """
    calls: dict[str, PendingApproval] = {}
    asked = False
    for event in events:
        match event:
            case ToolCallEvent() if event.state in _OPEN_STATES:
                call = calls.get(event.tool_call_id) or PendingApproval(event.tool_call_id)
                approval = event.approval.id if event.approval and event.approval.approved is None else None
                asked = asked or approval is not None
                calls[call.tool_call_id] = replace(
                    call,
                    tool_name=event.tool_name or call.tool_name,
                    input=event.input if event.state != "started" else call.input,
                    approval_id=approval or call.approval_id,
                )
            case ToolApprovalRequestEvent():
                asked = True
                call = calls.get(event.tool_call_id) or PendingApproval(event.tool_call_id, event.tool_name)
                calls[call.tool_call_id] = replace(call, approval_id=event.approval_id)
            case ToolCallEvent() | ToolOutputErrorEvent() | ToolOutputDeniedEvent() | ToolInputErrorEvent():
                calls.pop(event.tool_call_id, None)
            case ErrorEvent() | AbortEvent():
                calls.clear()
            case _:
                pass
    return [call for call in calls.values() if call.approval_id is not None or (not asked and call.input is not None)]
