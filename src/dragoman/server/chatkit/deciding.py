"""Actions of cards → decisions of the engine: which call is meant, and whether it still waits.

The payload comes from the browser and only says what is meant; what may be decided is what the store has.
"""

from __future__ import annotations

from typing import Any

from pydantic_core import from_json, to_json

from dragoman.chatkit.actions import Action
from dragoman.chatkit.cards import APPROVE, CANCEL, DENY, SUBMIT, submitted
from dragoman.chatkit.errors import BadTarget
from dragoman.chatkit.store import NotFoundError
from dragoman.chatkit.types import NoticeEvent
from dragoman.core.records import Item, Thread
from dragoman.core.turns import Decision
from dragoman.server.chatkit.following import is_waiting
from dragoman.server.chatkit.rows_store import RowsStore

DECIDING = frozenset({APPROVE, DENY, SUBMIT, CANCEL})
"""Types of actions that decide a tool call."""

NOT_ANSWERED = "the user closed the form without an answer"
_MOST_REASON = 1000


async def call_of(
    store: RowsStore[Any], thread: Thread, item_id: str | None, action: Action[str, Any], context: Any
) -> Item:
    """The tool call that an action decides. Raises NotFoundError, and BadTarget if it is none of that kind."""
    item = await _named(store, thread, item_id, action.payload if isinstance(action.payload, dict) else {}, context)
    asks = item.body.get("approval") if action.type in (APPROVE, DENY) else item.body.get("widget")
    if item.kind != "tool_call" or not asks:
        what = "an approval" if action.type in (APPROVE, DENY) else "a form"
        raise BadTarget(f"The action {action.type!r} needs {what}, but item {item_id or item.id!r} is none")
    return item


async def _named(
    store: RowsStore[Any], thread: Thread, item_id: str | None, payload: dict[str, Any], context: Any
) -> Item:
    wanted = item_id or payload.get("call")
    if not wanted and isinstance(approval := payload.get("approval"), str):
        tenant, _ = store.identify(context)
        found = await (await store.rows()).approval(approval, tenant=tenant)
        asking = await store.find_item(thread, found.call) if found is not None else None
        if asking is None:
            raise NotFoundError(f"Approval {approval} not found", code="not_found:approval")
        return asking
    if not isinstance(wanted, str):
        raise BadTarget("The action names neither a card nor a call: its payload needs 'call' or 'approval'")
    item = await store.find_item(thread, wanted)
    if item is None:
        raise NotFoundError(f"Item {wanted} not found", code="not_found:item")
    return item


def decision_of(item: Item, action: Action[str, Any]) -> Decision | None:
    """What the action decides; None if the call does not wait any more."""
    if not is_waiting(item):
        return None
    match action.type:
        case "form.submit":
            return Decision(call=item.id, output=sayable(submitted(action.payload)[1]), is_result=True)
        case "form.cancel":
            return Decision(call=item.id, error=NOT_ANSWERED, is_result=True)
    reason = action.payload.get("reason") if isinstance(action.payload, dict) else None
    told = reason[:_MOST_REASON] if isinstance(reason, str) and reason else None
    return Decision(action.type == APPROVE, call=item.id, reason=told)


def sayable(value: Any) -> Any:
    """A value of a client's as JSON that can be written again: readers of JSON take NaN and infinity, writers do not."""
    return from_json(to_json(value, inf_nan_mode="null"))


def too_late(item: Item) -> NoticeEvent:
    """What is told instead of deciding once more."""
    body = item.body
    approval = body.get("approval")
    state = str(body.get("state"))
    if approval and not approval.get("system") and "approved" in approval:
        return NoticeEvent(
            level="info", message=f"This was already {_word(approval['approved'])}. Nothing has changed."
        )
    if not approval and state == "output-available":
        return NoticeEvent(level="info", message="This form was already answered. Nothing has changed.")
    reason = (approval or {}).get("reason") or body.get("error")
    told = f" ({reason})" if reason else ""
    return NoticeEvent(level="warning", message=f"This can no longer be answered{told}. Nothing has changed.")


def _word(approved: bool) -> str:
    return "approved" if approved else "denied"
