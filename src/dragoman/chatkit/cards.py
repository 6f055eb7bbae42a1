"""Cards for tool calls that wait for a human: approvals and forms, before and after.

Stored rows and live streams draw the same card from the same body (`core.records.Item`, kind `tool_call`), so a
reload shows what was streamed. Pure: bodies in, widgets as JSON objects out; who acts on an action is the responder's
business.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

APPROVE, DENY = "approval.approve", "approval.deny"
"""Types of the actions of an approval's card."""

SUBMIT, CANCEL = "form.submit", "form.cancel"
"""Types of the actions of a form's card: the values, or that there will be none."""

_ACTIONS = ("onClickAction", "onChangeAction", "onSubmitAction", "confirm", "cancel")
_DEFAULTS: Mapping[str, str] = {"Checkbox": "defaultChecked"}
_FIELDS = frozenset({"Input", "Textarea", "Select", "DatePicker", "Checkbox", "RadioGroup"})
_ROOTS = frozenset({"Card", "ListView", "Basic"})
_MOST_JSON = 2000


# --------------------------------------------------------------------------- approvals


def approval_card(body: Mapping[str, Any]) -> dict[str, Any]:
    """What is asked and, while nobody has decided, two buttons; then what was decided."""
    approval = body.get("approval") or {}
    children: list[dict[str, Any]] = [
        {"type": "Title", "value": str(body.get("name") or "tool"), "size": "sm"},
        {"type": "Markdown", "value": _code(body.get("input") or {})},
    ]
    if "approved" in approval or str(body.get("state")).startswith("output-"):
        children.append(_verdict(bool(approval.get("approved")), approval.get("reason")))
    else:
        payload = {"approval": approval.get("id"), "call": body.get("call")}
        buttons = [
            {"type": "Button", "label": "Approve", "style": "primary", "onClickAction": action(APPROVE, payload)},
            {"type": "Button", "label": "Deny", "style": "secondary", "onClickAction": action(DENY, payload)},
        ]
        children.append({"type": "Row", "gap": 2, "children": buttons})
    return {"type": "Card", "size": "sm", "children": children}


def action(type: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """An action's whole configuration, defaults said."""
    settings = {"handler": "server", "loadingBehavior": "auto", "streaming": True}
    return {"type": type, "payload": dict(payload), **settings}


def _verdict(approved: bool, reason: Any) -> dict[str, Any]:
    word = "Approved" if approved else "Denied"
    label = f"{word}: {reason}" if reason else word
    return {"type": "Badge", "label": label, "color": "success" if approved else "danger"}


def _code(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, indent=2, default=str)
    if len(text) > _MOST_JSON:
        text = f"{text[:_MOST_JSON]}…"
    fence = "```"
    while fence in text:  # what is quoted must not end the quotation
        fence += "`"
    return f"{fence}json\n{text}\n{fence}"


# --------------------------------------------------------------------------- forms


def form_card(body: Mapping[str, Any]) -> dict[str, Any]:
    """The form of a form tool's call; once it is answered, the same without live actions, filled with the values.

    A widget that cannot stand by itself is put on a card: nobody could answer what is not shown.
    """
    widget: dict[str, Any] = body["widget"]
    if widget.get("type") not in _ROOTS:
        widget = {"type": "Card", "children": [widget]}
    state = str(body.get("state"))
    if not state.startswith("output-"):
        live: dict[str, Any] = _addressed(widget, str(body.get("call")))
        return live
    given = body.get("output") if state == "output-available" else None
    settled: dict[str, Any] = _settled(widget, given if isinstance(given, dict) else {})
    if state != "output-available" and isinstance(children := settled.get("children"), list):
        reason = body.get("error") or (body.get("approval") or {}).get("reason")
        told = f"Not answered: {reason}" if reason else "Not answered"
        settled["children"] = [*children, {"type": "Caption", "value": told}]
    return settled


def _addressed(value: Any, call: str) -> Any:
    """The widget whose form actions say which call they answer; a form without one gets one."""
    if isinstance(value, list):
        return [_addressed(one, call) for one in value]
    if not isinstance(value, dict):
        return value
    made = {name: _addressed(one, call) for name, one in value.items() if name != "payload"}
    if "payload" in value:
        made["payload"] = value["payload"]
    if value.get("type") in (SUBMIT, CANCEL):
        payload = value.get("payload")
        addressed = {**(payload if isinstance(payload, dict) else {}), "call": call}
        made = {**action(value["type"], addressed), **made, "payload": addressed}
    elif value.get("type") == "Form" and made.get("onSubmitAction") is None:
        made["onSubmitAction"] = action(SUBMIT, {"call": call})
    return made


def _settled(value: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(value, list):
        return [_settled(one, values) for one in value if not _is_spent(one)]
    if not isinstance(value, dict):
        return value
    made = {name: _settled(one, values) for name, one in value.items() if name not in (*_ACTIONS, "asForm", "payload")}
    if value.get("type") in _FIELDS:
        made["disabled"] = True
        given = _given(values, str(value.get("name") or ""))
        if given is not None and value.get("inputType") != "password":
            made[_DEFAULTS.get(str(value["type"]), "defaultValue")] = given
    elif value.get("type") == "Text" and isinstance(editable := value.get("editable"), dict):
        made["editable"] = False
        made["value"] = str(_given(values, str(editable.get("name") or "")) or value.get("value") or "")
    return made


def _is_spent(value: Any) -> bool:
    """Whether it is a button that could only have sent the form or an action."""
    return isinstance(value, dict) and value.get("type") == "Button"


def _given(values: Mapping[str, Any], name: str) -> Any:
    """The value of a field; dots in its name nest."""
    found: Any = values
    for word in name.split("."):
        if not isinstance(found, Mapping) or word not in found:
            return None
        found = found[word]
    return found


def submitted(payload: Any) -> tuple[str | None, dict[str, Any]]:
    """The call that a form action answers, and the values: its payload without what the card had added."""
    if not isinstance(payload, dict):
        return None, {}
    call = payload.get("call")
    return (call if isinstance(call, str) else None), {name: one for name, one in payload.items() if name != "call"}
