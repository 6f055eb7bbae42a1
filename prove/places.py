"""Every place of every route that takes an id: what is sent with one there, in the table `TAKES`.

Names routes and bodies as the wires have them; knows neither who tries nor what must come back.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from prove.reading import V1


@dataclass(slots=True)
class World:
    """What one user has: a thread whose run has ended, one whose run waits for approval, and a session of flows that wait."""

    thread: str = ""
    waiting_thread: str = ""
    run: str = ""
    waiting_run: str = ""
    call: str = ""
    approval: str = ""
    message: str = ""
    answer: str = ""
    flow_run: str = ""
    flow_call: str = ""
    job: str = ""
    job_call: str = ""
    session: str = ""
    file: str = ""
    upload: str = ""
    command: str = ""

    def ids(self) -> dict[str, str]:
        return {name: getattr(self, name) for name in self.__slots__}


OF_TENANT = frozenset({"flow_run", "flow_call", "job", "job_call", "session"})
"""What every user of the tenant may know."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One place of a request that takes an id: what is sent with it, given the id and the caller's own world."""

    name: str
    query: Callable[[str, World], dict[str, str]] = lambda x, own: {}
    body: Callable[[str, World], Any] = lambda x, own: None
    headers: Callable[[str, World], dict[str, str]] = lambda x, own: {}
    names: bool = False
    """The id names something new of the whole tenant's, so its own users may take any."""


def _query(name: str) -> Slot:
    return Slot(f"?{name}", query=lambda x, own: {name: x})


def _body(name: str, make: Callable[[str, World], Any]) -> Slot:
    return Slot(name, body=make)


def _header(name: str, *, names: bool = False) -> Slot:
    return Slot(name, headers=lambda x, own: {name: x}, body=lambda x, own: {"message": "x"}, names=names)


def _said(message: str, text: str = "echo: hello") -> dict[str, Any]:
    return {"id": message, "role": "user", "parts": [{"type": "text", "text": text}]}


def _chat(chat: str, message: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": chat, "message": message, "selectedChatModel": "chat-model", **more}


def _control(**part: Any) -> dict[str, Any]:
    return {"id": secrets.token_hex(8), "role": "user", "parts": [part]}


def _fresh() -> str:
    return secrets.token_hex(8)


_CHAT_SLOTS = (
    _body("id", lambda x, own: _chat(x, _said("m-1"))),
    _body("message.id", lambda x, own: _chat(_fresh(), _said(x))),
    _body("message.id of an edit", lambda x, own: {"id": own.thread, "messages": [_said(x)], "messageId": x}),
    _body("message.id of regenerate", lambda x, own: _chat(own.thread, _said(x), trigger="regenerate-message")),
    _body("id of a decision", lambda x, own: _chat(x, _control(type="tool-result", toolCallId=own.call, result="yes"))),
    _body(
        "toolCallId",
        lambda x, own: _chat(own.waiting_thread, _control(type="tool-result", toolCallId=x, result="confirmed")),
    ),
    _body(
        "approvalId",
        lambda x, own: _chat(own.waiting_thread, _control(type="tool-approval-response", approvalId=x, approved=True)),
    ),
    _body(
        "toolCallId of a result",
        lambda x, own: {
            "id": own.waiting_thread,
            "messages": [
                {
                    "id": "m",
                    "role": "assistant",
                    "parts": [{"type": "tool-x", "toolCallId": x, "state": "output-available", "output": 1}],
                }
            ],
        },
    ),
)


def chatkit(op: str, **params: Any) -> dict[str, Any]:
    """A request of ChatKit's one route."""
    return {"type": op, "params": params}


def spelt(prefix: str, id: str) -> str:
    """An id as ChatKit's wire spells it."""
    return f"{prefix}_{id.replace('-', '')}" if re.fullmatch(r"[0-9a-f-]{36}", id) else id


def _chatkit(name: str, make: Callable[[Callable[[str], str], str, World], dict[str, Any]], prefix: str) -> Slot:
    """A place in a request of ChatKit's one route; `make` gets how threads are spelt, the id and the caller's world."""
    return _body(name, lambda x, own: make(lambda id: spelt("thr", id), spelt(prefix, x), own))


_TEXT = {"content": [{"type": "input_text", "text": "echo: hello"}], "attachments": [], "inference_options": {}}
_NO_ANSWERS = {"status": "answered", "answers": {}}
_CLICK = {"type": "approval.approve", "payload": {}}


def _thread_of(op: str, **more: Any) -> Slot:
    return _chatkit(f"thread_id of {op}", lambda thr, x, own: chatkit(op, thread_id=x, **more), "thr")


def _item_of(op: str, **more: Any) -> Slot:
    name = f"item_id of {op}"
    return _chatkit(name, lambda thr, x, own: chatkit(op, thread_id=thr(own.waiting_thread), item_id=x, **more), "msg")


def _clicked(field: str) -> Slot:
    """A decision about another's call, in the caller's own thread."""

    def make(thr: Callable[[str], str], x: str, own: World) -> dict[str, Any]:
        action = {"type": "approval.approve", "payload": {field: x}}
        return chatkit("threads.custom_action", thread_id=thr(own.waiting_thread), action=action)

    return _chatkit(f"{field} of an action", make, "")


_CHATKIT = (
    _thread_of("threads.add_user_message", input=_TEXT),
    _thread_of("threads.add_client_tool_output", result=1),
    _thread_of("threads.add_structured_input", item_id="msg_1", input=_NO_ANSWERS),
    _thread_of("threads.retry_after_item", item_id="msg_1"),
    _thread_of("threads.custom_action", action=_CLICK),
    _thread_of("threads.sync_custom_action", action=_CLICK),
    _thread_of("threads.get_by_id"),
    _thread_of("threads.update", title="mine"),
    _thread_of("threads.delete"),
    _thread_of("items.list"),
    _thread_of("items.feedback", item_ids=[], kind="positive"),
    _item_of("threads.add_structured_input", input=_NO_ANSWERS),
    _item_of("threads.retry_after_item"),
    _item_of("threads.custom_action", action=_CLICK),
    _item_of("threads.sync_custom_action", action=_CLICK),
    _clicked("approval"),
    _clicked("call"),
    _chatkit(
        "item_ids",
        lambda thr, x, own: chatkit("items.feedback", thread_id=thr(own.thread), item_ids=[x], kind="positive"),
        "msg",
    ),
    _chatkit("after of items", lambda thr, x, own: chatkit("items.list", thread_id=thr(own.thread), after=x), "msg"),
    _chatkit("after of threads", lambda thr, x, own: chatkit("threads.list", after=x), "thr"),
    _chatkit("attachment_id", lambda thr, x, own: chatkit("attachments.delete", attachment_id=x), "atc"),
    _chatkit("attachments", lambda thr, x, own: chatkit("threads.create", input={**_TEXT, "attachments": [x]}), "atc"),
)


def _spot(name: str, make: Callable[[str, World], dict[str, Any]]) -> Slot:
    """A place in the body of a chat of StackSpot's wire."""
    return _body(name, lambda x, own: {"user_prompt": "recall", **make(x, own)})


_SPOT = (
    _spot("conversation_id", lambda x, own: {"use_conversation": True, "conversation_id": x}),
    _spot(
        "conversation_id of a stream",
        lambda x, own: {"streaming": True, "use_conversation": True, "conversation_id": x},
    ),
    _spot("upload_ids", lambda x, own: {"upload_ids": [own.upload, x]}),
    Slot(
        "idempotency-key",
        headers=lambda x, own: {"idempotency-key": x},
        body=lambda x, own: {"user_prompt": "recall", "use_conversation": True},
    ),
)
_COMMAND = (
    Slot("?conversation_id", query=lambda x, own: {"conversation_id": x}, body=lambda x, own: {"input_data": "recall"}),
    _body("upload_ids of a command", lambda x, own: {"input_data": "recall", "upload_ids": [x]}),
    Slot(
        "idempotency-key of a command",
        headers=lambda x, own: {"idempotency-key": x},
        body=lambda x, own: {"input_data": "recall"},
    ),
)
_COMPLETION = (
    Slot(
        "idempotency-key of a completion",
        headers=lambda x, own: {"idempotency-key": x},
        body=lambda x, own: {"model": "agent/helper", "messages": [{"role": "user", "content": "recall"}]},
    ),
)
_FORM = {"file_name": "a.txt", "target_type": "KNOWLEDGE_SOURCE"}

_SESSION = Slot("session", body=lambda x, own: {"message": "x", "session": x}, names=True)
_F = "/seq/{org}/{project}/{slug}"


def _resume(run: str, call: str) -> dict[str, Any]:
    results = [{"toolCallId": call, "content": "x"}]
    return {"executionId": run, "pausedAtStep": "ask", "toolCallMessages": results}


_FRESH_CALL = (_header("x-session-id", names=True), _header("idempotency-key"))
_EXECUTE = (
    _body("executionId", lambda x, own: _resume(x, own.flow_call)),
    _body("toolCallId", lambda x, own: _resume(own.flow_run, x)),
    *_FRESH_CALL,
)
_STEP = (_body("executionId", lambda x, own: {"executionId": x, "stepIndex": 1}), *_FRESH_CALL)

TAKES: dict[tuple[str, str], tuple[Slot, ...]] = {
    ("GET", "/"): (),
    **{("GET", "/console" + path): () for path in ("", "/{page}", "/{page}/{first}", "/{page}/{first}/{second}")},
    ("GET", "/console/assets/{asset}"): (),
    ("GET", "/health/live"): (),
    ("GET", "/health/ready"): (),
    ("GET", "/metrics"): (),
    ("GET", "/ping"): (),
    ("GET", "/api"): (),
    ("GET", "/v2/storage"): (),
    ("POST", "/api/chat"): _CHAT_SLOTS,
    ("DELETE", "/api/chat"): (_query("id"),),
    ("GET", "/api/chat/{id}"): (),
    ("GET", "/api/chat/{id}/stream"): (),
    ("POST", "/api/chat/{id}/approval"): (_body("toolUseId", lambda x, own: {"toolUseId": x, "approved": True}),),
    ("POST", "/api/chat/{id}/stop"): (),
    ("GET", "/api/history"): (_query("starting_after"), _query("ending_before")),
    ("DELETE", "/api/history"): (),
    ("GET", "/api/vote"): (_query("chatId"),),
    ("PATCH", "/api/vote"): (
        _body("chatId", lambda x, own: {"chatId": x, "messageId": own.answer, "type": "up"}),
        _body("messageId", lambda x, own: {"chatId": own.thread, "messageId": x, "type": "up"}),
    ),
    ("GET", "/api/usage"): (),
    ("GET", "/api/settings"): (),
    ("PATCH", "/api/settings"): (),
    ("GET", "/api/settings/user"): (),
    ("PATCH", "/api/settings/user"): (),
    ("GET", "/api/settings/tools"): (),
    ("POST", "/api/suggestions"): (),
    ("GET", V1 + "/runs"): (
        _query("thread"),
        _query("after"),
        _query("session"),
        _query("user"),
        _query("q"),
        Slot("?after of flows", query=lambda x, own: {"kind": "execute", "after": x}),
    ),
    ("POST", V1 + "/runs"): (
        _body("thread", lambda x, own: {"message": {"text": "echo: hello"}, "thread": x}),
        _body("message.id", lambda x, own: {"message": {"id": x, "text": "echo: hello"}}),
    ),
    ("GET", V1 + "/runs/changes"): (),
    ("GET", V1 + "/runs/{run}"): (),
    ("POST", V1 + "/runs/{run}/rerun"): (Slot("idempotency-key", headers=lambda x, own: {"idempotency-key": x}),),
    ("GET", V1 + "/runs/{run}/events"): (),
    ("POST", V1 + "/runs/{run}/cancel"): (),
    ("POST", V1 + "/runs/{run}/approvals"): (
        _body("call", lambda x, own: {"decisions": [{"call": x, "approved": True}]}),
        _body("approval", lambda x, own: {"decisions": [{"approval": x, "approved": True}]}),
    ),
    ("POST", V1 + "/runs/{run}/continue"): (_body("outputs", lambda x, own: {"outputs": {x: 1}}),),
    ("GET", V1 + "/runs/{run}/trace"): (_query("step"),),
    ("GET", V1 + "/jobs"): (_query("after"),),
    ("GET", V1 + "/flows"): (),
    ("GET", V1 + "/flows/{project}/{slug}"): (),
    ("POST", V1 + "/flows/{project}/{slug}/runs"): (_SESSION,),
    ("POST", V1 + "/flows/{project}/{slug}/jobs"): (_SESSION,),
    ("GET", V1 + "/sessions"): (_query("after"),),
    ("GET", V1 + "/sessions/{session}"): (_query("after"),),
    ("GET", V1 + "/sessions/{session}/cassette"): (),
    ("POST", V1 + "/sessions/{session}/replay"): (),
    ("GET", V1 + "/threads"): (
        _query("after"),
        _query("q"),
        Slot("?after of mine", query=lambda x, own: {"mine": "true", "after": x}),
    ),
    ("GET", V1 + "/threads/{thread}"): (),
    ("PATCH", V1 + "/threads/{thread}"): (),
    ("GET", V1 + "/threads/{thread}/items"): (),
    ("DELETE", V1 + "/threads/{thread}"): (),
    ("GET", V1 + "/overview"): (),
    ("GET", V1 + "/models"): (),
    ("POST", V1 + "/session"): (),
    ("DELETE", V1 + "/session"): (),
    ("GET", V1 + "/agents"): (),
    ("GET", V1 + "/me"): (),
    ("GET", V1 + "/openapi.json"): (),
    ("GET", "/seq/sessions/{session}"): (),
    **{("POST", f"{path}/execute"): _EXECUTE for path in (_F, _F + "/{version}")},
    **{("POST", f"{path}/step"): _STEP for path in (_F, _F + "/{version}")},
    **{("POST", f"{path}/jobs"): _FRESH_CALL for path in (_F, _F + "/{version}")},
    ("POST", "/chatkit"): _CHATKIT,
    ("GET", "/chatkit/feedback"): (_query("thread_id"),),
    ("POST", "/chatkit/upload"): (),
    ("GET", "/chatkit/files/{file}"): (_query("token"),),
    ("PUT", "/chatkit/files/{file}"): (_query("token"),),
    ("POST", "/chatkit/files/{file}"): (_query("token"),),
    ("POST", "/v1/chat/completions"): _COMPLETION,
    ("POST", "/v1/embeddings"): (),
    **{
        ("GET", "/v1/models" + path): ()
        for path in accumulate(("", "/{one}", "/{two}", "/{three}", "/{four}", "/{five}", "/{six}"))
    },
    ("GET", "/v1/chat/completions"): (),
    **{
        (method, "/v1/chat/completions/{completion}" + path): ()
        for method, path in (("GET", ""), ("GET", "/messages"), ("POST", ""), ("DELETE", ""))
    },
    ("POST", "/{realm}/oidc/oauth/token"): (),
    ("POST", "/v1/agent/{agent_id}/chat"): _SPOT,
    ("POST", "/v2/file-upload/form"): (_body("target_id", lambda x, own: {**_FORM, "target_id": x}),),
    ("POST", "/stackspot/upload/{upload}"): (),
    ("POST", "/v1/quick-commands/create-execution/{slug}"): _COMMAND,
    ("GET", "/v1/quick-commands/callback/{execution}"): (),
    ("GET", _F + "/jobs/{run}"): (),
    ("POST", _F + "/jobs/{run}/resume"): (
        _body("executionId", lambda x, own: _resume(x, own.job_call)),
        _body("toolCallId", lambda x, own: _resume(own.job, x)),
    ),
    ("POST", _F + "/jobs/{run}/cancel"): (),
    ("GET", _F + "/runs/{run}/trace"): (),
    ("GET", _F + "/runs/{run}/trace/stream"): (),
    ("GET", _F + "/runs/{run}/steps/{step}/trace"): (),
}
"""Method and path → the places outside of the path that take an id; `()` where there is none."""

OWN_IN_PATH = {
    "id": "waiting_thread",
    "run": "waiting_run",
    "thread": "thread",
    "session": "session",
    "file": "file",
    "upload": "upload",
    "execution": "command",
    "completion": "waiting_run",
}
"""Name in a path → what of the caller's own stands there while another place is tried."""

PUBLIC_IN_PATH = {
    "project": "proof",
    "slug": "asks",
    "version": "v1",
    "step": "ask",
    "realm": "acme",
    "agent_id": "helper",
    "asset": "index.js",
    "page": "chat",
    "first": "x",
    "second": "y",
    "one": "agent",
    "two": "helper",
    "three": "x",
    "four": "y",
    "five": "y",
    "six": "y",
}
"""Names in a path that are no ids: what is served is known to all."""
