"""Credentials with a mark, sent in every way and over every face, are afterwards found nowhere.

A real server process that logs all it can; then every byte of its log and its data directory is
searched, and every answer, metric, error and repr that a client got to see. A key is the secret
part of what the command line printed once.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from dragoman.kai.client import KaiClient
from dragoman.kai.exceptions import KaiError
from dragoman.transport.drivers import AsyncDriver
from dragoman.wire.http import Headers, Request

V1 = "/dragoman/v1"
LOUD = {"DRAGOMAN_LOG__LEVEL": "debug", "DRAGOMAN_METRICS__OPEN": "true"}

pytestmark = pytest.mark.requirement("CORE-06")


class Marks:
    """Makes secrets that can be found again; `seen` gathers what may not hold any of them."""

    def __init__(self) -> None:
        self.made: dict[str, str] = {}
        self.seen: list[bytes] = []

    def __call__(self, name: str) -> str:
        return self.made.setdefault(name, f"mark{secrets.token_hex(10)}")

    def see(self, *things: object) -> None:
        self.seen += [thing if isinstance(thing, bytes) else str(thing).encode() for thing in things]

    def see_files(self, *places: Path) -> None:
        files = [file for place in places for file in ([place] if place.is_file() else place.rglob("*"))]
        self.seen += [file.read_bytes() for file in files if file.is_file()]

    def found(self) -> list[str]:
        """The names of secrets that are somewhere."""
        everything = b"\n".join(self.seen)
        return [name for name, secret in self.made.items() if secret.encode() in everything]


def ask(
    http: httpx2.Client, marks: Marks, method: str, path: str, value: Any = None, **headers: str
) -> httpx2.Response:
    answer = http.request(method, path, json=value, headers=headers)
    marks.see(answer.content, answer.headers.multi_items(), repr(answer.headers))
    return answer


def chat(text: str, chat_id: str) -> dict[str, Any]:
    message = {"id": secrets.token_hex(8), "role": "user", "parts": [{"type": "text", "text": text}]}
    return {"id": chat_id, "message": message, "selectedChatModel": "chat-model"}


def session(http: httpx2.Client, marks: Marks, **who: str) -> None:
    """A little of everything on all faces: answers, failures, refusals."""
    one = secrets.token_hex(8)
    for text in ("echo: hello", "tool: add 2 3", "fail: out of cheese", "approve: create_bucket x"):
        ask(http, marks, "POST", "/api/chat", chat(text, one), **who)
    for path in ("/api/history", f"/api/chat/{one}", "/api/usage", "/api/settings/user", "/v2/storage", "/api/chat/no"):
        ask(http, marks, "GET", path, **who)
    ask(http, marks, "POST", "/api/chat", {"id": 7}, **who)
    ask(http, marks, "PATCH", "/api/vote", {"chatId": one, "messageId": "no", "type": "up"}, **who)
    json_only = {**who, "accept": "application/json"}
    run = ask(http, marks, "POST", f"{V1}/runs", {"message": {"text": "echo: hello"}}, **json_only).json()
    for path in ("runs", f"runs/{run['id']}/events", "threads", f"threads/{run['thread']}/items", "me", "agents", "no"):
        ask(http, marks, "GET", f"{V1}/{path}", **json_only)
    ask(http, marks, "POST", f"{V1}/runs", {"message": {}}, **json_only)
    for path in ("/health/live", "/health/ready", "/metrics"):
        ask(http, marks, "GET", path, **who)


def strange(http: httpx2.Client, marks: Marks, **who: str) -> None:
    """Secrets where they do not belong: queries, paths, other headers, other spellings."""
    for path in ("/api/history", f"{V1}/runs", "/metrics", "/nowhere"):
        for name in ("token", "api_key", "access_token", "key"):
            ask(http, marks, "GET", f"{path}?{name}={marks(f'query {name}')}&limit=x", **who)
        for name in ("x-api-key", "cookie", "proxy-authorization", "x-auth-token", "referer"):
            ask(http, marks, "GET", path, **who, **{name: f"session={marks(f'header {name}')}"})
        ask(http, marks, "GET", path, authorization=f"Basic {marks('basic')}")
        ask(http, marks, "GET", path, authorization=f"Bearer {marks('wrong bearer')}")
        ask(http, marks, "GET", path, **{"x-storageapi-token": marks("wrong storage token")})
        ask(http, marks, "GET", path, authorization=f"Bearer dk_{secrets.token_hex(8)}_{marks('wrong key')}")
        ask(
            http,
            marks,
            "GET",
            path,
            **who,
            **{"x-storageapi-url": f"https://u:{marks('url password')}@storage.example"},
        )


async def through_the_client(url: str, marks: Marks, token: str) -> None:
    """What our own client shows of its credentials, also when it fails."""
    wrong = marks("client token")
    for client in (KaiClient(token, "https://storage.example", url), KaiClient(wrong, "https://storage.example", url)):
        async with client:
            marks.see(repr(client), str(client))
            calls: list[Callable[[], Awaitable[object]]] = [client.get_usage, lambda: client.get_chat("no")]  # noqa: B023
            for call in calls:
                try:
                    marks.see(repr(await call()))
                except KaiError as error:
                    marks.see(repr(error), "".join(traceback.format_exception(error)), vars(error))
    driver = AsyncDriver()
    header = Headers({"authorization": f"Bearer {marks('driver bearer')}"})
    place = url.replace("http://", f"http://user:{marks('userinfo')}@").replace(url.rpartition(":")[2], "9")
    for request in (Request("GET", f"{url}/ping?sig={marks('signature')}", header), Request("GET", place, header)):
        marks.see(repr(request), repr(request.headers), repr(driver))
        try:
            marks.see(repr(await driver.send(request)))
        except Exception as error:
            marks.see(repr(error), "".join(traceback.format_exception(error)))
    await driver.aclose()


async def test_marked_demo_tokens_are_found_nowhere(serve: Callable[..., Any], tmp_path: Path) -> None:
    server, marks = serve("--demo", environment=LOUD), Marks()
    with httpx2.Client(base_url=server.url, timeout=20, trust_env=False) as http:
        session(http, marks, authorization=f"Bearer demo-{marks('bearer')}")
        session(http, marks, **{"x-storageapi-token": f"demo-{marks('storage token')}"})
        strange(http, marks, authorization="Bearer demo-known")
    await through_the_client(server.url, marks, f"demo-{marks('kai token')}")
    marks.see_files(server.log, server.data)  # while it runs: the write-ahead log as well
    assert server.stop() == 0
    marks.see_files(server.log, server.data)
    assert b'"message":"request"' in server.log.read_bytes().replace(b" ", b"")
    assert len(marks.made) > 15
    assert marks.found() == []


def test_marked_keys_are_found_nowhere(serve: Callable[..., Any], tmp_path: Path) -> None:
    data, marks = tmp_path / "data", Marks()
    command = [
        sys.executable,
        "-m",
        "dragoman",
        "keys",
        "create",
        "--new",
        "--json",
        "--user",
        "ana",
        "--data",
        str(data),
    ]
    shown = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout)["key"]
    marks.made["key"] = shown.rpartition("_")[2]
    server = serve("dragoman.demo.app:app", data=data, environment=LOUD)
    with httpx2.Client(base_url=server.url, timeout=20, trust_env=False) as http:
        session(http, marks, authorization=f"Bearer {shown}")
        session(http, marks, **{"x-storageapi-token": shown})
        strange(http, marks, authorization=f"Bearer {shown}")
    server.kill()
    marks.see_files(server.log, server.data)
    assert marks.found() == []
