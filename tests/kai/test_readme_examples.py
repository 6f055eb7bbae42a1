"""Every example of the published README runs, with only its import line changed.

The examples name a token and servers that are not ours; an I/O port sends what they ask to the
demo server and signs in there, so that not a word of theirs is touched.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import subprocess
import sys
import textwrap
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.kai.published import readme

from dragoman.kai import KaiClient
from dragoman.kai.codec import encode_json
from dragoman.transport.drivers import AsyncDriver
from dragoman.transport.io import ByteStream
from dragoman.wire.http import Headers, Request, Response

pytestmark = [pytest.mark.requirement("KAI-27"), pytest.mark.timeout(300), pytest.mark.xdist_group("kai-client-suites")]

VERSION = "0.2.0"
EXAMPLES = [
    "Quick Start",
    "Local Development vs Production",
    "Simple Chat (Non-Streaming)",
    "Continuing a Conversation",
    "Using Different Models",
    "Handling Tool Calls",
    "Chat History",
    "Voting on Messages",
    "Tool Approval for Write Operations",
    "Using SSE Stream Parser",
    "Error Handling",
]
"""The sections that have an example, in order."""

SIGNATURES = ["Factory Method (Recommended for Production)", "Constructor (For Local Development)"]
"""Sections whose block lists parameters with their types, which is no Python."""

MAYBE_NONE = "Tool Approval for Write Operations"
"""Passes on a tool's name that may be None; no type checker accepts that of the published package either."""

FOREIGN = ("https://connection.keboola.com", "http://localhost:3000")


def blocks() -> list[tuple[str, str]]:
    """(section, code) of each Python block."""
    found: list[tuple[str, str]] = []
    section, code = "", None
    for line in readme(VERSION).splitlines():
        if code is None and line.startswith("#"):
            section = line.lstrip("# ")
        elif line == "```python":
            code = ""
        elif line == "```" and code is not None:
            found.append((section, code))
            code = None
        elif code is not None:
            code += line + "\n"
    return found


def is_python(code: str) -> bool:
    try:
        compile(code, "example", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | ast.PyCF_ONLY_AST)
    except SyntaxError:
        return False
    return True


def ours(code: str) -> str:
    return code.replace("from kai_client import", "from dragoman.kai import")


def example(section: str) -> str:
    [code] = [code for title, code in blocks() if title == section]
    return ours(code)


def test_all_examples_are_known() -> None:
    found = blocks()
    assert [title for title, code in found if is_python(code)] == EXAMPLES
    assert [title for title, code in found if not is_python(code)] == SIGNATURES
    assert all("kai_client" not in ours(code) for _, code in found)


class Detour:
    """An I/O port that takes requests to other servers to the demo server, as a user of its own."""

    def __init__(self, url: str, token: str) -> None:
        self.inner = AsyncDriver()
        self.url = url
        self.token = token

    def turned(self, request: Request) -> Request:
        for foreign in (*FOREIGN, self.url):
            if request.url.startswith(foreign + "/"):
                break
        else:
            raise AssertionError(f"an example asks an unknown server: {request.url}")
        names = {"x-storageapi-token": self.token, "x-storageapi-url": self.url}
        headers = Headers([(name, names.get(name, value)) for name, value in request.headers.pairs()])
        return replace(request, url=self.url + request.url.removeprefix(foreign), headers=headers)

    async def send(self, request: Request) -> Response:
        return await self.inner.send(self.turned(request))

    async def stream(self, request: Request) -> ByteStream:
        return await self.inner.stream(self.turned(request))

    async def sleep(self, seconds: float) -> None:
        await self.inner.sleep(seconds)

    def now(self) -> float:
        return self.inner.now()

    async def aclose(self) -> None:
        await self.inner.aclose()


@pytest.fixture(scope="module")
def new_detour(demo_server: Any) -> Callable[[], Detour]:
    """Makes the transport of a client; all of them are one user, who has what the examples take for granted."""
    token = f"demo-readme-{uuid.uuid4().hex}"

    def make() -> Detour:
        return Detour(demo_server.url, token)

    asyncio.run(prepare(make()))
    return make


async def prepare(detour: Detour) -> None:
    """Two chats, one of them with a message of a known id."""
    message = {"id": "message-uuid", "role": "user", "parts": [{"type": "text", "text": "echo: hi"}]}
    body = {"id": "chat-uuid", "message": message, "selectedChatModel": "chat-model"}
    headers = Headers({"x-storageapi-token": "t", "content-type": "application/json"})
    try:
        await KaiClient("t", "u", detour.url, io=detour).chat("echo: hi", chat_id="some-chat-id")
        response = await detour.send(Request("POST", f"{detour.url}/api/chat", headers, encode_json(body)))
    finally:
        await detour.aclose()
    assert response.ok, response.text


def run(code: str) -> None:
    """Run an example as a script, or as an asynchronous notebook cell where it awaits at the top."""
    compiled = compile(code, "example", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    names: dict[str, Any] = {"KaiClient": KaiClient, "__name__": "__main__"}
    if compiled.co_flags & inspect.CO_COROUTINE:
        asyncio.run(eval(compiled, names))
    else:
        exec(compiled, names)


@pytest.mark.parametrize("section", EXAMPLES)
def test_an_example_runs(
    section: str,
    new_detour: Callable[[], Detour],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(KaiClient, "_new_driver", staticmethod(new_detour))
    code = example(section)
    run(code)
    printed = capsys.readouterr().out
    assert ("print(" in code) <= bool(printed.strip())
    assert "API error" not in printed
    assert "failed" not in printed


def test_the_examples_satisfy_a_type_checker(tmp_path: Path, node_environment: dict[str, str]) -> None:
    for number, section in enumerate(EXAMPLES):
        if section == MAYBE_NONE:
            continue
        code = example(section)
        body = "from dragoman.kai import KaiClient\n\nasync def example() -> None:\n" + textwrap.indent(code, "    ")
        (tmp_path / f"example_{number}.py").write_text(body, "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
        cwd=tmp_path,
        env=node_environment | {"PYRIGHT_PYTHON_GLOBAL_NODE": "1", "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"},
    )
    assert done.returncode == 0, done.stdout
