"""Plain HTTP to the server under test, with nothing but the standard library.

For what no published client can send, and for looking at the bytes of an answer. Runs inside the
clients' environments as well, so it must import nothing that those do not have.
"""

from __future__ import annotations

import http.client
import json
import re
import uuid
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The code of an error answer."""
        return str(self.json["code"])

    @property
    def chunks(self) -> list[dict[str, Any]]:
        """The JSON objects of an event stream, `[DONE]` left out."""
        assert self.status == 200, f"no stream but {self.status}: {self.body[:300]!r}"
        lines = [line[6:] for line in self.body.decode().splitlines() if line.startswith("data: ")]
        return [json.loads(line) for line in lines if line != "[DONE]"]


class Wire:
    """A user's raw requests; `browser` adds what a page's `fetch` adds."""

    def __init__(self, url: str, token: str | None = None, *, browser: bool = False) -> None:
        self.url = url
        self.headers: dict[str, str] = {}
        if token is not None:
            self.headers |= {"x-storageapi-token": token, "x-storageapi-url": url}
        if browser:
            self.headers |= {"origin": url, "sec-fetch-mode": "cors"}

    def send(
        self, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None, **query: Any
    ) -> Answer:
        """Send a request and read the whole answer. `bytes` go as they are, anything else as JSON."""
        place = urlsplit(self.url)
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        told = self.headers | ({"content-type": "application/json"} if content is not None else {}) | (headers or {})
        connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=SECONDS)
        try:
            target = f"{place.path}{path}" + (f"?{urlencode(query)}" if query else "")
            connection.request(method, target, content, told)
            answer = connection.getresponse()
            names = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, names, answer.read())
        finally:
            connection.close()

    def post(self, body: Any) -> Answer:
        """Send a body to the route of messages."""
        return self.send("POST", "/api/chat", body)


def fresh() -> str:
    """An id that nobody has used."""
    return str(uuid.uuid4())


def user_token(prefix: str = "demo") -> str:
    """The token of a user who has done nothing yet."""
    return f"{prefix}-{uuid.uuid4().hex}"


def text_part(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def message(*parts: dict[str, Any] | str, role: str = "user", message_id: str | None = None) -> dict[str, Any]:
    """A message; a string is a text part."""
    made = [text_part(part) if isinstance(part, str) else part for part in parts]
    return {"id": message_id or fresh(), "role": role, "parts": made}


def kai_body(chat: str, *parts: dict[str, Any] | str, **more: Any) -> dict[str, Any]:
    """What kai-client sends (form M, and with other parts forms A and C)."""
    body = {
        "id": chat,
        "message": message(*parts),
        "selectedChatModel": "chat-model",
        "selectedVisibilityType": "private",
    }
    return body | more


def page_body(chat: str, *messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    """What the AI SDK's default transport sends (form U)."""
    return {"id": chat, "messages": list(messages), "trigger": "submit-message", **more}


def error_of(answer: Answer) -> tuple[int, str]:
    """Status and code; the answer must have the one documented shape."""
    assert answer.headers["content-type"].startswith("application/json"), answer
    body = answer.json
    assert set(body) <= {"code", "message", "cause"}, body
    assert re.fullmatch(r"[a-z_]+:[a-z_]+", body["code"]), body
    assert isinstance(body["message"], str), body
    assert body["message"], body
    assert isinstance(body.get("cause", ""), str), body
    return answer.status, body["code"]


def stored(user: Wire, chat: str) -> list[dict[str, Any]]:
    """The messages of a chat."""
    return list(user.send("GET", f"/api/chat/{chat}").json["messages"])
