"""What clients send to the settings, suggestions and vote endpoints, decoded (kai.md 3.12).

JSON in, plain values out; every fault is a BadRequest. Whether chats and messages exist is not
known here.
"""

from __future__ import annotations

from typing import Any, Literal

from dragoman.core.errors import BadRequest
from dragoman.kai.fields import as_id, as_object, expected

PERMISSIONS = ("always_allow", "always_ask", "blocked")
"""What a user may say about a tool."""

LONGEST_TOOL_NAME = 200
MOST_PERMISSIONS = 1000
"""Tools that a user may say something about; all of it is stored with each run."""


def decode_settings(body: Any, *, of_user: bool, longest: int = 20_000) -> dict[str, Any]:
    """The changes of a PATCH of settings, only fields present: `customInstructions`, `toolPermissions`.

    `longest` bounds the characters of the instructions.
    """
    fields = as_object(body, "the body")
    changes: dict[str, Any] = {}
    if "customInstructions" in fields:
        text = fields["customInstructions"]
        if text is not None and not isinstance(text, str):
            raise expected("customInstructions", "a string or null", text)
        if text is not None and len(text) > longest:
            raise BadRequest(f"customInstructions may have {longest} characters, got {len(text)}.")
        changes["customInstructions"] = text
    if of_user and "toolPermissions" in fields:
        permissions = fields["toolPermissions"]
        if permissions is not None:
            for tool, word in as_object(permissions, "toolPermissions").items():
                if not 1 <= len(tool) <= LONGEST_TOOL_NAME:
                    raise expected("toolPermissions", f"tool names of 1 to {LONGEST_TOOL_NAME} characters", tool)
                if word not in PERMISSIONS:
                    raise expected(f"toolPermissions[{tool!r}]", "one of " + ", ".join(PERMISSIONS), word)
        changes["toolPermissions"] = permissions
    return changes


CONTEXTS = ("dashboard", "job-detail", "configuration-detail")
"""Where a page may ask for suggestions."""


def decode_suggestions(body: Any) -> tuple[str, dict[str, Any]]:
    """`(context, data)` of `POST /api/suggestions`."""
    fields = as_object(body, "the body")
    context = fields.get("context")
    if context not in CONTEXTS:
        raise expected("context", "one of " + ", ".join(CONTEXTS), context)
    return str(context), as_object(fields.get("data"), "data")


def decode_vote(body: Any) -> tuple[str, str, Literal["up", "down"]]:
    """`(chat, message, type)` of `PATCH /api/vote`."""
    fields = as_object(body, "the body")
    word = fields.get("type")
    if word not in ("up", "down"):
        raise expected("type", "'up' or 'down'", word)
    return as_id(fields.get("chatId"), "chatId"), as_id(fields.get("messageId"), "messageId"), word
