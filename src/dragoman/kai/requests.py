"""What clients send to `POST /api/chat` and to the approval endpoint, decoded (kai.md 3.4, 3.8).

JSON in, frozen values out; every fault is a BadRequest that names the field and says what was
expected. The five ways to decide end in the same `Verdict`: of a message that a client sends
back only the decision is read, never its input, output or text. Whether ids exist is not known
here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, TypeAlias

from dragoman.core.errors import BadRequest
from dragoman.core.ids import canonical, is_id
from dragoman.core.records import Visibility
from dragoman.kai.fields import as_id, as_object, expected

MAX_DECISIONS = 100
"""Decisions of one message: each is looked up in the store."""

_DATA_TYPE = re.compile(r"data-[A-Za-z0-9_.-]{1,64}")
_URL = re.compile(r"(?:https?://|data:)\S+", re.IGNORECASE)
_UPLOAD = "blob:"
_YES = frozenset({"confirmed", "yes", "approved", "true"})
_NO = frozenset({"denied", "no", "rejected", "false"})


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on a message: characters of a text part, number of parts."""

    text: int = 100_000
    parts: int = 32


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A user's message. `parts` in the core's shape; `wire_parts` as sent, if those say more.

    `edits`: it replaces the stored message of its id.
    """

    id: str
    parts: tuple[dict[str, Any], ...]
    metadata: dict[str, Any] | None = None
    wire_parts: list[dict[str, Any]] | None = None
    edits: bool = False


@dataclass(frozen=True, slots=True)
class Regenerate:
    """Answer `question`, the last user message the page shows, once more."""

    question: NewMessage


@dataclass(frozen=True, slots=True)
class Verdict:
    """A human's yes or no to one tool call, named by call or by approval."""

    approved: bool
    call: str | None = None
    approval: str | None = None
    reason: str | None = None
    updated_input: dict[str, Any] | None = None
    answers: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class ClientResult:
    """What a tool in the browser gave."""

    call: str
    output: Any = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Decisions:
    """Verdicts and results; `results` may repeat what the server told the page itself."""

    verdicts: tuple[Verdict, ...] = ()
    results: tuple[ClientResult, ...] = ()


Action: TypeAlias = NewMessage | Regenerate | Decisions


@dataclass(frozen=True, slots=True)
class ChatPost:
    """A decoded `POST /api/chat`. `model` is None where the body names none; `forms`: the page can show forms."""

    chat: str
    action: Action
    model: str | None = None
    visibility: Visibility = "private"
    branch: str | None = None
    from_browser: bool = False
    forms: bool = False


def decode_chat(body: Any, limits: Limits) -> ChatPost:
    """Decode any form of `POST /api/chat`. Raises BadRequest."""
    fields = as_object(body, "the body")
    from_browser = "messages" in fields or "trigger" in fields
    chat = as_id(fields.get("id"), "id")
    model = fields.get("selectedChatModel")
    if model is not None and not (isinstance(model, str) and model):
        raise expected("selectedChatModel", "a model alias", model)
    branch = fields.get("branchId")
    if branch is not None and (not isinstance(branch, int) or isinstance(branch, bool)):
        raise expected("branchId", "an integer", branch)
    return ChatPost(
        chat,
        _browser_action(fields, limits) if "messages" in fields else _action(fields, limits),
        model,
        _visibility(fields.get("selectedVisibilityType")),
        None if branch is None else str(branch),
        from_browser,
        forms=from_browser and fields.get("forms") is True,
    )


def _action(fields: dict[str, Any], limits: Limits) -> Action:
    """Forms M, A, B, C: one message."""
    message = as_object(fields.get("message"), "message")
    action = _decode_message(message, "message", limits)
    trigger = _trigger(fields)
    if trigger == "regenerate-message" and isinstance(action, NewMessage):
        return Regenerate(action)
    return action


def _browser_action(fields: dict[str, Any], limits: Limits) -> Action:
    """Forms U and E: all messages, of which the last one speaks."""
    listed = fields["messages"]
    if not isinstance(listed, list) or not listed:
        raise expected("messages", "a list with at least one message", listed)
    action = _decode_message(as_object(listed[-1], "the last message"), "the last message", limits)
    if _trigger(fields) == "regenerate-message":
        if not isinstance(action, NewMessage):
            raise BadRequest("To regenerate, the last message must be the user's.")
        return Regenerate(action)
    target = fields.get("messageId")
    if target is not None and not isinstance(target, str):
        raise expected("messageId", "a message id", target)
    if isinstance(action, NewMessage) and target == action.id:
        return NewMessage(action.id, action.parts, action.metadata, action.wire_parts, edits=True)
    return action


def _trigger(fields: dict[str, Any]) -> str:
    trigger = fields.get("trigger")
    if trigger is None:
        return "submit-message"
    if trigger not in ("submit-message", "regenerate-message"):
        raise expected("trigger", "'submit-message' or 'regenerate-message'", trigger)
    return str(trigger)


def _decode_message(message: dict[str, Any], where: str, limits: Limits) -> NewMessage | Decisions:
    role = message.get("role")
    if role not in ("user", "assistant"):
        raise expected(f"{where}.role", "'user' or 'assistant'", role)
    parts = _parts(message.get("parts"), where, limits, bounded=role == "user")
    if role == "assistant":
        return _from_assistant(parts)
    kinds = {kind if isinstance(kind := part.get("type"), str) else None for part in parts}
    if kinds <= {"tool-result", "tool-approval-response"}:
        return Decisions(tuple(_control(part) for part in parts))
    if kinds & {"tool-result", "tool-approval-response"}:
        raise BadRequest(f"{where} mixes decisions about tool calls with other parts; send them apart.")
    return _new_message(message, parts, where, limits)


# --------------------------------------------------------------------------- user messages


def _new_message(message: dict[str, Any], parts: list[dict[str, Any]], where: str, limits: Limits) -> NewMessage:
    message_id = as_id(message.get("id"), f"{where}.id")
    metadata = message.get("metadata")
    if metadata is not None and not isinstance(metadata, dict):
        raise expected(f"{where}.metadata", "an object", metadata)
    # a page that sends only files sends an empty text beside them
    has_file = any(part.get("type") == "file" for part in parts)
    told = [part for part in parts if not (has_file and part.get("type") == "text" and part.get("text") == "")]
    core: list[dict[str, Any]] = []
    custom = False
    for number, part in enumerate(told):
        decoded = _user_part(part, f"{where}.parts[{number}]", limits)
        if decoded is None:
            custom = True
        else:
            core.append(decoded)
    if not core:
        raise BadRequest(f"{where}.parts needs a text or a file.")
    return NewMessage(message_id, tuple(core), metadata, told if custom else None)


def _user_part(part: dict[str, Any], where: str, limits: Limits) -> dict[str, Any] | None:
    """The part in the core's shape; None for a `data-*` part, which only pages read."""
    kind = part.get("type")
    if kind == "text":
        text = part.get("text")
        if not isinstance(text, str):
            raise expected(f"{where}.text", "a string", text)
        if not 1 <= len(text) <= limits.text:
            raise BadRequest(f"{where}.text must have 1 to {limits.text} characters, got {len(text)}.")
        return {"type": "text", "text": text}
    if kind == "file":
        return _file_part(part, where)
    if isinstance(kind, str) and _DATA_TYPE.fullmatch(kind) and "data" in part:
        return None
    raise expected(f"{where}.type", "'text', 'file' or 'data-<name>' with data", kind)


def _file_part(part: dict[str, Any], where: str) -> dict[str, Any]:
    url, media_type, name = part.get("url"), part.get("mediaType"), part.get("filename")
    if isinstance(url, str) and url.startswith(_UPLOAD) and is_id(url.removeprefix(_UPLOAD)):
        url = _UPLOAD + canonical(url.removeprefix(_UPLOAD))  # whose it is, is asked when it is read
    elif not isinstance(url, str) or not _URL.fullmatch(url):
        raise expected(f"{where}.url", "an http, https or data URL, or blob: and the id of an upload", url)
    if not isinstance(media_type, str) or not media_type:
        raise expected(f"{where}.mediaType", "a media type such as 'image/png'", media_type)
    if name is not None and not isinstance(name, str):
        raise expected(f"{where}.filename", "a string", name)
    return {"type": "file", "url": url, "media_type": media_type} | ({"name": name} if name else {})


# --------------------------------------------------------------------------- decisions


def decode_approval(body: Any) -> Verdict:
    """Form D: the body of `POST /api/chat/{id}/approval`. Raises BadRequest."""
    fields = as_object(body, "the body")
    call = fields.get("toolUseId")
    if not isinstance(call, str) or not call:
        raise expected("toolUseId", "the id of a tool call", call)
    approved = fields.get("approved")
    if not isinstance(approved, bool):
        raise expected("approved", "true or false", approved)
    return _verdict(approved, fields, call=call)


def _control(part: dict[str, Any]) -> Verdict:
    """Forms A and C: one control part of a user message."""
    if part.get("type") == "tool-approval-response":
        approval, approved = part.get("approvalId"), part.get("approved")
        if not isinstance(approval, str) or not approval:
            raise expected("approvalId", "the id of an approval", approval)
        if not isinstance(approved, bool):
            raise expected("approved", "true or false", approved)
        return _verdict(approved, part, approval=approval)
    call = part.get("toolCallId")
    if not isinstance(call, str) or not call:
        raise expected("toolCallId", "the id of a tool call", call)
    return _verdict(_yes_or_no(part.get("result")), part, call=call)


def _yes_or_no(result: Any) -> bool:
    if isinstance(result, bool):
        return result
    word = result.strip().lower() if isinstance(result, str) else ""
    if word in _YES:
        return True
    if word in _NO:
        return False
    raise expected("result", "'confirmed' or 'denied'", result)


def _from_assistant(parts: list[dict[str, Any]]) -> Decisions:
    """Forms B and E, and results of client-side tools: an answer that the client sends back."""
    verdicts: list[Verdict] = []
    results: list[ClientResult] = []
    for part in parts:
        kind, state = part.get("type"), part.get("state")
        if not isinstance(kind, str) or not (kind.startswith("tool-") or kind == "dynamic-tool"):
            continue
        call = part.get("toolCallId")
        if state == "approval-responded":
            verdicts.append(_responded(part, call))
        elif state in ("output-available", "output-error") and isinstance(call, str) and call:
            text = part.get("errorText")
            failed = state == "output-error"
            error = (text if isinstance(text, str) and text else "The tool failed.") if failed else None
            results.append(ClientResult(call, None if failed else part.get("output"), error))
    if len(verdicts) > MAX_DECISIONS:
        raise BadRequest(f"A message may carry {MAX_DECISIONS} decisions, got {len(verdicts)}.")
    if not verdicts and not results:
        raise BadRequest(
            "An assistant message must carry a decision: a tool part in state 'approval-responded', "
            "or the output of a tool that the client runs."
        )
    return Decisions(tuple(verdicts), tuple(results))


def _responded(part: dict[str, Any], call: Any) -> Verdict:
    asked = as_object(part.get("approval"), "approval")
    approved, approval = asked.get("approved"), asked.get("id")
    if not isinstance(approved, bool):
        raise expected("approval.approved", "true or false", approved)
    if isinstance(approval, str) and approval:
        return _verdict(approved, asked, approval=approval)
    if isinstance(call, str) and call:
        return _verdict(approved, asked, call=call)
    raise expected("approval.id", "the id of an approval", approval)


def _verdict(
    approved: bool, fields: dict[str, Any], *, call: str | None = None, approval: str | None = None
) -> Verdict:
    reason = fields.get("reason")
    if reason is not None and not isinstance(reason, str):
        raise expected("reason", "a string", reason)
    updated, answers = fields.get("updatedInput"), fields.get("answers")
    if updated is not None and not isinstance(updated, dict):
        raise expected("updatedInput", "an object", updated)
    if answers is not None and not isinstance(answers, dict):
        raise expected("answers", "an object", answers)
    return Verdict(approved, call, approval, reason or None, updated, answers)


def _visibility(value: Any) -> Visibility:
    if value is None or value == "private":
        return "private"
    if value == "public":
        return "public"
    raise expected("selectedVisibilityType", "'private' or 'public'", value)


def _parts(value: Any, where: str, limits: Limits, *, bounded: bool) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not value:
        raise expected(f"{where}.parts", "a list with at least one part", value)
    if bounded and len(value) > limits.parts:
        raise BadRequest(f"{where}.parts may have {limits.parts} parts, got {len(value)}.")
    return [as_object(part, f"{where}.parts[{number}]") for number, part in enumerate(value)]
