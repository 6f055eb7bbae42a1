"""Bodies and headers of requests, checked against what the wire allows (noukai.md 3.1, 3.4 to 3.9).

What is wrong with types is 422 `INVALID_REQUEST`; what has a code of its own gets that. Nothing here knows
flows or runs.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from dragoman.core.errors import BadRequest, RemoteError
from dragoman.core.messages import ToolSpec
from dragoman.noukai.codec import input_hash
from dragoman.noukai.models import ChatMessage, ExecuteRequest, StepRequest
from dragoman.noukai.translate import as_text, tool_results
from dragoman.noukai.types import (
    CALL_INDEX_HEADER,
    FEATURES_HEADER,
    IDEMPOTENCY_HEADER,
    JOB_TOOLS,
    MESSAGE_ROLES,
    SESSION_HEADER,
    is_session_id,
)
from dragoman.server.http import Call, is_https
from dragoman.server.noukai.errors import refuse

M = TypeVar("M", bound=BaseModel)

BODY_LIMIT = 10 * 1024 * 1024
MESSAGES_LIMIT = 1_000_000
MOST_TOOLS = 64
MOST_ATTACHMENTS = 10

_TOOL_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_OF_FIELD: dict[str, str] = {
    "tools": "TOOLS_INVALID",
    "toolChoice": "TOOLS_INVALID",
    "attachments": "ATTACHMENTS_INVALID",
    "blockOverrides": "BLOCK_OVERRIDES_INVALID",
    "inputOverrides": "BLOCK_OVERRIDES_INVALID",
}
"""Fields whose wrong shape has a code of its own, with status 400."""


@dataclass(frozen=True, slots=True)
class Given:
    """What a fresh call gives a flow, checked, in core's words."""

    message: str | None
    messages: tuple[dict[str, Any], ...]
    parameters: dict[str, Any]
    attachments: tuple[dict[str, Any], ...]
    tools: tuple[ToolSpec, ...]
    tool_choice: Any
    overrides: dict[str, dict[str, Any]]
    hash: str


async def read(call: Call, kind: type[M]) -> M:
    """The body as `kind`. Raises BadRequest and other errors with codes of the wire."""
    body = await call.json()
    if not isinstance(body, dict):
        raise refuse(422, "INVALID_REQUEST", f"Expected a JSON object, got {type(body).__name__}.")
    if len(await call.body()) > MESSAGES_LIMIT:  # else no part of it can be
        _check_sizes(body)
    _check_roles(body)
    try:
        return kind.model_validate({name: value for name, value in body.items() if value is not None}, strict=True)
    except ValidationError as error:
        raise _wrong(error) from error


def _wrong(error: ValidationError) -> RemoteError:
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    code = _OF_FIELD.get(str(first["loc"][0])) if first["loc"] else None
    return refuse(400 if code else 422, code or "INVALID_REQUEST", f"{place}: {first['msg']}")


def _check_sizes(body: Mapping[str, Any]) -> None:
    for name in ("messages", "toolCallMessages"):
        value = body.get(name)
        if isinstance(value, list):
            size = len(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace"))
            if size > MESSAGES_LIMIT:
                raise refuse(413, "MESSAGES_TOO_LARGE", f"{name} is {size} bytes; the most is {MESSAGES_LIMIT}.")


def _check_roles(body: Mapping[str, Any]) -> None:
    messages = body.get("messages")
    for place, turn in enumerate(messages if isinstance(messages, list) else ()):
        role = turn.get("role") if isinstance(turn, dict) else None
        if isinstance(role, str) and role not in MESSAGE_ROLES:
            allowed = ", ".join(MESSAGE_ROLES)
            raise refuse(400, "MESSAGES_ROLE_INVALID", f"messages[{place}]: expected a role out of {allowed}.")


def given(request: ExecuteRequest | StepRequest) -> Given:
    """What a fresh call gives, in core's words."""
    turns = request.messages or []
    if turns and request.message is not None:
        raise refuse(422, "INVALID_REQUEST", "Send message or messages, not both: messages stands in for message.")
    return Given(
        _current(turns) if turns else request.message,
        tuple(_turn(turn) for turn in turns),
        dict(request.parameters),
        attachments(request.attachments or ()),
        tools(request.tools or ()),
        tool_choice(request.tool_choice),
        dict(request.block_overrides or {}),
        input_hash(request),
    )


def _turn(turn: ChatMessage) -> dict[str, Any]:
    return turn.model_dump(exclude_none=True) | {"content": turn.content}


def _current(turns: Sequence[ChatMessage]) -> str:
    """The text of the last turn, which is the one to be answered."""
    content = turns[-1].content
    if isinstance(content, list) and content and all(isinstance(part, dict) and "text" in part for part in content):
        return "".join(str(part["text"]) for part in content)
    return "" if content is None else as_text(content)


def attachments(entries: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], ...]:
    """Files by reference. They are never fetched here; only https addresses are taken."""
    if len(entries) > MOST_ATTACHMENTS:
        raise refuse(
            400, "ATTACHMENTS_INVALID", f"There are {len(entries)} attachments; the most is {MOST_ATTACHMENTS}."
        )
    return tuple(_attachment(place, entry) for place, entry in enumerate(entries))


def _attachment(place: int, entry: Mapping[str, Any]) -> dict[str, Any]:
    url = entry.get("url")
    kind = entry.get("mime_type", entry.get("mimeType"))
    if not isinstance(url, str) or not is_https(url):
        raise refuse(400, "ATTACHMENTS_INVALID", f"attachments[{place}].url: expected an https address.")
    if kind is not None and not (isinstance(kind, str) and kind.isprintable()):
        raise refuse(400, "ATTACHMENTS_INVALID", f"attachments[{place}].mime_type: expected a media type.")
    made = {name: value for name, value in entry.items() if name != "mimeType"}
    return {**made, "mime_type": kind} if kind is not None else made


def tools(entries: Sequence[Mapping[str, Any]]) -> tuple[ToolSpec, ...]:
    """The caller's tools, OpenAI's function tools."""
    if len(entries) > MOST_TOOLS:
        raise refuse(400, "TOOLS_INVALID", f"There are {len(entries)} tools; the most is {MOST_TOOLS}.")
    made = tuple(_tool(place, entry) for place, entry in enumerate(entries))
    if len({tool.name for tool in made}) != len(made):
        raise refuse(400, "TOOLS_INVALID", "Two tools have the same name.")
    return made


def _tool(place: int, entry: Mapping[str, Any]) -> ToolSpec:
    function = entry.get("function")
    if entry.get("type") != "function" or not isinstance(function, dict):
        raise refuse(400, "TOOLS_INVALID", f"tools[{place}]: expected {{type: 'function', function: {{…}}}}.")
    name, schema = function.get("name"), function.get("parameters") or {"type": "object", "properties": {}}
    if not isinstance(name, str) or not _TOOL_NAME.fullmatch(name):
        raise refuse(400, "TOOL_NAME_INVALID", f"tools[{place}]: a name has 1 to 64 letters, digits, _ or -.")
    if not isinstance(schema, dict):
        raise refuse(400, "TOOLS_INVALID", f"tools[{place}]: parameters is a JSON Schema of an object.")
    description = function.get("description")
    return ToolSpec(name, description if isinstance(description, str) else "", schema)


def tool_choice(value: Any) -> Any:
    """`auto`, `none`, `required`, or one function by its name."""
    if value is None or value in ("auto", "none", "required"):
        return value
    if isinstance(value, dict) and value.get("type") == "function":
        function = value.get("function")
        if isinstance(function, dict) and isinstance(function.get("name"), str):
            return value
    raise refuse(400, "TOOLS_INVALID", "toolChoice: expected auto, none, required or one function.")


def outputs(messages: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The results of tool calls, by call. Raises BadRequest for two of one call."""
    found = tool_results(messages)
    made = dict(found)
    if len(made) != len(found):
        raise refuse(400, "TOOL_RESULTS_MISMATCH", "There are two results of one call.")
    return made


# ---------------------------------------------------------------------------------------- headers


def session_id(call: Call) -> str | None:
    """The session that a fresh call belongs to."""
    value = call.headers.get(SESSION_HEADER, "").strip()
    if value and not is_session_id(value):
        raise refuse(400, "INVALID_SESSION_ID", "A session id has 1 to 128 of A-Z a-z 0-9 . _ ~ : -")
    return value or None


def call_index(call: Call) -> int | None:
    """The caller's count of calls like this one."""
    value = call.headers.get(CALL_INDEX_HEADER, "").strip()
    if not value:
        return None
    if not value.isascii() or not value.isdigit() or len(value) > 9:
        raise refuse(422, "INVALID_REQUEST", f"{CALL_INDEX_HEADER}: expected a number from 0 on.")
    return int(value)


def idempotency_key(call: Call) -> str | None:
    """The key under which a repeat of this call is known."""
    value = call.headers.get(IDEMPOTENCY_HEADER, "").strip()
    if not value:
        return None
    if not _KEY.fullmatch(value):
        raise BadRequest(f"{IDEMPOTENCY_HEADER}: expected 1 to 255 printable characters.", code="INVALID_REQUEST")
    return value


def traceparent(call: Call) -> str | None:
    """The caller's span, if it sent a well-formed one."""
    value = call.headers.get("traceparent", "").strip().lower()
    return value if _TRACEPARENT.fullmatch(value) and "0" * 32 not in value else None


def wants_job_tools(call: Call) -> bool:
    """Whether the caller knows what a job's pause for tools is."""
    words = [word.strip().lower() for word in call.headers.get(FEATURES_HEADER, "").split(",")]
    return JOB_TOOLS in words


async def digest(call: Call) -> str:
    """What tells a repeat of a call from another one under the same key: its path and its body."""
    body = json.dumps(await call.json(), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(f"{call.path}\n{body}".encode()).hexdigest()
