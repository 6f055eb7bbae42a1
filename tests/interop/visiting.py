"""A stranger's page in a real browser: another origin serves it, and a watch is kept over it.

The page is `pages/chat.jsx` with the real `useChat` of one release. The watch is no test's choice: a message on the
browser's console, a fault in a script or a request to any other host fails the test that it happens in. What a test
brings about on purpose, such as a server that is killed, it names.
"""

from __future__ import annotations

import functools
import http.client
import http.server
import json
import re
import threading
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from pprint import pformat
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, Request, expect

expect.set_options(timeout=15_000)

LOSS = r"net::ERR_"
CONFLICT = "the server responded with a status of 409"

_SHOWN = """articles => articles.map(article => [
  article.dataset.message,
  article.getAttribute('aria-label'),
  [...article.querySelectorAll('[data-part]')].map(part => [
    part.dataset.part,
    [part, ...part.querySelectorAll('*')].filter(one => one.dataset.field)
      .map(one => [one.dataset.field, one.localName, one.textContent]),
  ]),
])"""

Message = tuple[str, str, list[dict[str, Any]]]
"""Id, role and parts."""


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *told: Any) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The origin that serves this folder's files."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class Stranger:
    """One user with one browser, whose pages come from `origin` and talk to `server`."""

    def __init__(self, browser: Browser, origin: str, server: str, expected: str | None = None) -> None:
        self.server = server
        self.token = f"demo-{uuid.uuid4().hex[:12]}"
        self.asked: list[dict[str, Any]] = []
        """The bodies that pages posted to the chat."""
        self._origin = origin
        self._expected = expected
        self._complaints: list[str] = []
        self._context: BrowserContext = browser.new_context()
        self._context.set_default_timeout(15_000)
        session = json.dumps({"server": server, "token": self.token})
        self._context.add_init_script(f"window.session = {session}")
        self._context.route(
            re.compile(rf"^https?://(?!{re.escape(origin[7:])}/|{re.escape(server[7:])}/)"), self._abort
        )
        self._context.on("request", self._on_request)
        self._context.on("console", self._on_console)
        self._context.on("weberror", lambda fault: self._complaints.append(f"fault: {fault.error}"))

    def _abort(self, route: Any) -> None:
        self._complaints.append(f"a request to {route.request.url}")
        route.abort()

    def _on_request(self, request: Request) -> None:
        if request.method == "POST" and urlsplit(request.url).path == "/api/chat":
            self.asked.append(request.post_data_json)

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self._complaints.append(f"{message.type}: {message.text[:500]} ({message.location.get('url', '')})")

    def open(self, **query: str) -> Tab:
        """A new tab; `pages/chat.jsx` tells what can be asked for."""
        tab = Tab(self, self._context.new_page())
        tab.page.goto(f"{self._origin}/?{urlencode(query)}")
        return tab

    def _get(self, path: str, accept: str) -> http.client.HTTPResponse:
        headers = {"authorization": f"Bearer {self.token}", "accept": accept}
        answer: http.client.HTTPResponse = urllib.request.urlopen(
            urllib.request.Request(self.server + path, headers=headers), timeout=15
        )
        return answer

    def read(self, path: str) -> Any:
        """What the server says to this user. Raises HTTPError."""
        with self._get(path, "application/json") as answer:
            return json.loads(answer.read())

    def stored(self, chat: str) -> list[Message]:
        """The chat's messages as the server has stored them, as a page would show them."""
        messages = self.read(f"/api/chat/{quote(chat, safe='')}")["messages"]
        return [(one["id"], one["role"], [_part(part) for part in one["parts"] if _is_shown(part)]) for one in messages]

    def run(self, chat: str) -> Any:
        """The chat's last run, as the own face tells of it."""
        return self.read(f"/dragoman/v1/runs?thread={quote(chat, safe='')}")["runs"][0]

    def events(self, chat: str, until: str = "") -> list[str]:
        """The types of the events of the chat's last run, which is followed to its end or to an event of one type."""
        types: list[str] = []
        with self._get(f"/dragoman/v1/runs/{self.run(chat)['id']}/events", "text/event-stream") as answer:
            for line in answer:
                if line.startswith(b"data: "):
                    types.append(json.loads(line[6:])["type"])
                    if types[-1] == until:
                        break
        return types

    def close(self) -> list[str]:
        """What the watch has seen and nobody had expected."""
        self._context.close()
        return [one for one in self._complaints if self._expected is None or not re.search(self._expected, one)]


class Tab:
    """One page of a stranger's."""

    def __init__(self, stranger: Stranger, page: Page) -> None:
        self.page = page
        self._stranger = stranger

    @property
    def chat(self) -> str:
        """The id of the chat, once something was said."""
        return parse_qs(urlsplit(self.page.url).query)["chat"][0]

    def resume(self) -> bool:
        """Load the page anew; whether there was an answer under way when it asked for one."""
        with self.page.expect_response(lambda response: urlsplit(response.url).path.endswith("/stream")) as asked:
            self.page.reload()
        return asked.value.status == 200

    def send(self, text: str) -> None:
        self.page.get_by_label("Message", exact=True).fill(text)
        self.button("Send").click()

    def ask(self, text: str) -> Locator:
        """Send a message and wait for the end of its answer; the answer."""
        expect(self.button("Send")).to_be_enabled()
        before = self.answers.count()
        self.send(text)
        expect(self.answers).to_have_count(before + 1)
        self.expect_status("ready")
        return self.answer

    @property
    def answers(self) -> Locator:
        return self.page.get_by_label("assistant", exact=True)

    @property
    def answer(self) -> Locator:
        """The last answer."""
        return self.answers.last

    @property
    def text(self) -> Locator:
        """The last text of the last answer."""
        return self.answer.locator("[data-part=text]").last

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    @property
    def failure(self) -> Locator:
        return self.page.get_by_role("alert")

    def state(self, tool: str) -> Locator:
        """The state of the last call of a tool."""
        return self.page.get_by_label(f"tool-{tool}", exact=True).last.locator("[data-field=state]")

    def expect_status(self, status: str) -> None:
        expect(self.page.get_by_role("status")).to_have_text(status)

    def shown(self) -> list[Message]:
        """The messages that the page shows."""
        found = self.page.locator("article").evaluate_all(_SHOWN)
        return [(one, role, [_read(kind, fields) for kind, fields in parts]) for one, role, parts in found]

    def settled(self, *, late: bool = False) -> list[Message]:
        """What the page shows, which is what the server has stored; fails unless it is at rest and without a failure.

        A page that came `late`, to a decision that had been made, knows of it but not what it was: no chunk says so.
        """
        self.expect_status("ready")
        expect(self.failure).to_have_count(0)
        shown, stored = self.shown(), self._stranger.stored(self.chat)
        if late:
            stored = [(one, role, [_undecided(part) for part in parts]) for one, role, parts in stored]
        assert shown == stored, f"shown:\n{pformat(shown)}\nstored:\n{pformat(stored)}"
        return shown


_FIELDS = ("text", "state", "input", "output", "errorText", "approval")


def _is_shown(part: dict[str, Any]) -> bool:
    return part["type"] in ("text", "reasoning") or part["type"].startswith("tool-")


def _part(part: dict[str, Any]) -> dict[str, Any]:
    fields = _FIELDS[1:] if part["type"].startswith("tool-") else _FIELDS[:1]
    return {"type": part["type"]} | {name: part[name] for name in fields if name in part}


def _undecided(part: dict[str, Any]) -> dict[str, Any]:
    return part | {"approval": {"id": part["approval"]["id"]}} if "approval" in part else part


def _read(kind: str, fields: list[tuple[str, str, str]]) -> dict[str, Any]:
    return {"type": kind} | {name: json.loads(text) if tag == "code" else text for name, tag, text in fields}
