"""Speaks ChatKit's wire as a front end does, and has all that is said judged by the published types.

Knows no code of ours. `Judge` is the process with the published package; `Speaker` is one user.
"""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

Document = dict[str, Any]
SCRIPT = Path(__file__).with_name("published_types.py")
SECONDS = 30.0
ANSWERS = {
    "threads.get_by_id": "thread",
    "threads.update": "thread",
    "threads.list": "threads",
    "items.list": "items",
    "attachments.create": "attachment",
    "threads.sync_custom_action": "sync",
    "input.transcribe": "transcription",
}
"""Operation → the kind of its JSON answer; the others answer `{}` or with events."""


class Judge:
    """The process in which the published types are; one question at a time."""

    def __init__(self, python: Path) -> None:
        self._process = subprocess.Popen(
            [str(python), str(SCRIPT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )
        self._turn = threading.Lock()
        self.judged = 0

    def check(self, kind: str, text: str) -> None:
        """Fails unless the published type takes the document and dumps it back the same."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._turn:
            self._process.stdin.write(json.dumps({"kind": kind, "text": text}) + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
            self.judged += 1
        assert answer, "the process with the published package has ended"
        wrong = json.loads(answer)
        assert not wrong, f"{kind}: {wrong}"

    def close(self) -> None:
        self._process.communicate(timeout=SECONDS)


class Speaker:
    """One user at one server; everything that goes out and comes in is judged."""

    def __init__(self, url: str, token: str, judge: Judge) -> None:
        self.url = url
        self.token = token
        self.run = ""
        self.head = httpx2.Headers()
        self._judge = judge
        self._http = httpx2.Client(
            base_url=url, headers={"authorization": f"Bearer {token}"}, timeout=SECONDS, trust_env=False
        )

    def close(self) -> None:
        self._http.close()

    # ------------------------------------------------------------------ requests

    def body(self, op: str, params: Document, metadata: Document | None = None) -> str:
        envelope: Document = {"type": op, "params": params}
        if metadata is not None:
            envelope["metadata"] = metadata
        text = json.dumps(envelope)
        self._judge.check("request", text)
        return text

    def post(self, op: str, **params: Any) -> httpx2.Response:
        """The answer whatever it is; errors have the wire's form."""
        answer = self._http.post("/chatkit", content=self.body(op, params))
        if answer.status_code >= 400:
            told = answer.json()
            assert (*told, *told["error"]) == ("error", "code", "message"), told
        return answer

    def ask(self, op: str, **params: Any) -> Document:
        """The JSON of an operation that succeeds."""
        answer = self.post(op, **params)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/json"
        if op in ANSWERS:
            self._judge.check(ANSWERS[op], answer.text)
        else:
            assert answer.json() == {}
        return dict(answer.json())

    def stream(self, op: str, **params: Any) -> list[Document]:
        """The events of an operation that streams, to its end."""
        with self.open(op, **params) as events:
            return list(events)

    @contextmanager
    def open(self, op: str, **params: Any) -> Iterator[Iterator[Document]]:
        """The events as they come; leaving the block hangs up."""
        with self._http.stream("POST", "/chatkit", content=self.body(op, params)) as answer:
            assert answer.status_code == 200, answer.read()
            self.head = answer.headers
            self.run = answer.headers.get("x-dragoman-run", "")
            yield self._events(answer)

    def _events(self, answer: httpx2.Response) -> Iterator[Document]:
        for block in _blocks(answer):
            if block.startswith(":"):
                continue
            assert block.startswith("data: "), block
            assert "\n" not in block, block
            self._judge.check("event", block[6:])
            yield json.loads(block[6:])

    def raw(self, method: str, path: str, **options: Any) -> httpx2.Response:
        """Anything else, with this user's credentials."""
        return self._http.request(method, path, **options)

    # ------------------------------------------------------------------ conveniences

    def begin(self, text: str, **more: Any) -> tuple[str, list[Document]]:
        """A new thread that begins with `text`: its id and the events."""
        events = self.stream("threads.create", input=message(text, **more))
        assert events[0]["type"] == "thread.created", events[0]
        return str(events[0]["thread"]["id"]), events

    def say(self, thread: str, text: str, **more: Any) -> list[Document]:
        return self.stream("threads.add_user_message", thread_id=thread, input=message(text, **more))

    def act(self, thread: str, item: str | None, action: Document) -> list[Document]:
        """A click on a widget, or an action of the page."""
        named = {"item_id": item} if item is not None else {}
        return self.stream("threads.custom_action", thread_id=thread, action=action, **named)

    def items(self, thread: str) -> list[Document]:
        """All items, the oldest first."""
        found: list[Document] = []
        more: Document = {}
        while True:
            page = self.ask("items.list", thread_id=thread, order="asc", limit=100, **more)
            found += page["data"]
            if not page["has_more"]:
                return found
            more = {"after": page["after"]}


def message(text: str, *, attachments: tuple[str, ...] = (), **more: Any) -> Document:
    content = [{"type": "input_text", "text": text}]
    return {"content": content, "attachments": list(attachments), "inference_options": {}, **more}


def _blocks(answer: httpx2.Response) -> Iterator[str]:
    rest = ""
    for text in answer.iter_text():
        rest += text
        *whole, rest = rest.split("\n\n")
        yield from whole
    assert rest == "", f"the stream ended inside of {rest!r}"


# --------------------------------------------------------------------------- reading events


def kinds(events: list[Document]) -> list[str]:
    """The types of the events; of updates those of what they update."""
    return [one["update"]["type"] if one["type"] == "thread.item.updated" else one["type"] for one in events]


def done(events: list[Document], type: str | None = None) -> list[Document]:
    """The items that were finished, all or of one type."""
    items = [one["item"] for one in events if one["type"] == "thread.item.done"]
    return [item for item in items if type is None or item["type"] == type]


def deltas(events: list[Document]) -> list[str]:
    found = [one["update"] for one in events if one["type"] == "thread.item.updated"]
    return [one["delta"] for one in found if one["type"] == "assistant_message.content_part.text_delta"]


def text_of(item: Document) -> str:
    return "".join(part.get("text", "") for part in item["content"])


def answer_of(events: list[Document]) -> str:
    """What the assistant said, in all its messages."""
    return "\n".join(text_of(item) for item in done(events, "assistant_message"))


def actions(widget: Any) -> dict[str, Document]:
    """Type → action of all that can be clicked or sent, as a browser sends it."""
    found: dict[str, Document] = {}
    if isinstance(widget, dict):
        for name in ("onClickAction", "onSubmitAction"):
            if isinstance(action := widget.get(name), dict):
                found[action["type"]] = {key: action[key] for key in ("type", "payload") if key in action}
        for inner in widget.values():
            found |= actions(inner)
    elif isinstance(widget, list):
        for inner in widget:
            found |= actions(inner)
    return found
