"""Every example of the README of noukai-sdk 0.2.0 runs, with only the name of the package changed.

What an example takes for granted (a client, a flow, a tool) is in its namespace before it runs, and a
`...` that stands for something left out has a meaning there; the server is scripted.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import logging
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI, Request
from flask import Flask
from tests.noukai.flows import FlowServer
from tests.noukai.published import readme
from tests.noukai.shells import BASE
from tests.noukai.web import ask

import dragoman.noukai
from dragoman.noukai import AsyncNoukai, Noukai
from dragoman.noukai.transport import Transport
from dragoman.transport.scripted import Answer, ScriptedIO
from dragoman.wire.http import Request as WireRequest

pytestmark = [pytest.mark.requirement("NOU-90"), pytest.mark.timeout(120)]

EXAMPLES = [
    "Synchronous",
    "Asynchronous",
    "Authentication",
    "Client configuration",
    "Default `org` / `project`",
    "Three identifier forms",
    "`execute()` — synchronous, in-process",
    "`steps()` — one event per finished step",
    "`steps()` — one event per finished step",
    "`events()` — every typed SSE event",
    "Async (queue-backed) jobs",
    "Async (queue-backed) jobs",
    "Auto-resume (recommended)",
    "Manual resume",
    "Capture (quick start)",
    "Capture (quick start)",
    "Capture (quick start)",
    "Replay (debugging against your own API)",
    "Run traces",
    "Errors",
    "Logging",
    "Resource management",
]
"""The section of each Python example, in order."""


def blocks() -> list[tuple[str, str]]:
    """(section, code) of each Python block, those within a quotation included."""
    found: list[tuple[str, str]] = []
    section, code = "", None
    for line in readme("0.2.0").splitlines():
        line = line.removeprefix(">").removeprefix(" ") if line.startswith(">") else line
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


def ours(code: str) -> str:
    return (
        code.replace("import noukai_sdk", "import dragoman.noukai as noukai_sdk")
        .replace("from noukai_sdk", "from dragoman.noukai")
        .replace('"get_weather", ...', '"get_weather"')  # an ellipsis where Python has no expression
        .replace("tools=[...]", "tools=[]")
    )


class Server(FlowServer):
    """The flows of the README: whatever is asked for any flow is graded; tools ask for weather."""

    def __call__(self, request: WireRequest) -> Answer:
        for url in ("https://api.noukai.dev/api/v1", "http://localhost:8080/api/v1"):
            if request.url.startswith(url):
                request = WireRequest(
                    request.method, BASE + request.url.removeprefix(url), request.headers, request.body
                )
        return super().__call__(request)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    """Behind every client that an example makes."""
    made = Server()
    port = ScriptedIO(made)
    monkeypatch.setattr(Transport, "io", lambda self: port)
    monkeypatch.setenv("NOUKAI_API_KEY", "nk_readme")
    return made


def test_all_examples_are_known() -> None:
    assert [section for section, _ in blocks()] == EXAMPLES
    assert all("noukai_sdk import" not in ours(code) for _, code in blocks())


def namespace(section: str, place: int, server: Server) -> dict[str, Any]:
    """What the example takes for granted."""
    names: dict[str, Any] = {"__name__": "__main__", "Noukai": Noukai, "AsyncNoukai": AsyncNoukai, "asyncio": asyncio}
    awaiting = AsyncNoukai(org="acme", project="spelling")
    blocking = Noukai(org="acme", project="spelling")
    names |= {"client": blocking, "flow": blocking.flow("two-step"), "noukai": awaiting, "noukai_sdk": dragoman.noukai}
    names |= {"my_logger": lambda event: None, "logger": logging.getLogger("example"), "get_weather": lambda args: "20"}
    if place in AWAITING:
        names |= {"client": awaiting, "flow": awaiting.flow("weather" if section == "Manual resume" else "two-step")}
    if section == "Auto-resume (recommended)":
        names["flow"] = blocking.flow("weather")
    if section == "Capture (quick start)":
        names |= {"Request": Request}
        if place == FLASK:
            names["noukai"] = blocking
    if section == "Errors":
        names["flow"] = blocking.flow("broken")

    async def run_tools(calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{"tool_call_id": call["id"], "output": "20"} for call in calls]

    return names | {"run_tools": run_tools}


AWAITING = {8, 11, 13}
FLASK = 16
"""Places in EXAMPLES: those that await at the top, and that of Flask."""


def run(code: str, names: dict[str, Any]) -> None:
    """As a script, or as an asynchronous notebook cell where it awaits at the top."""
    compiled = compile(code, "example", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    if compiled.co_flags & inspect.CO_COROUTINE:
        asyncio.run(eval(compiled, names))
    else:
        exec(compiled, names)


def adapters_work(names: dict[str, Any], server: Server) -> None:
    app = names["app"]
    if isinstance(app, FastAPI):
        got = asyncio.run(ask(app, "/grade", "POST", b'{"text": "cat"}'))
        assert got.json() == {"output": "graded: cat"}
        assert list(server.sessions) == [got.headers["x-noukai-session"]]
    else:
        assert isinstance(app, Flask)
        app.get("/")(lambda: names["noukai"].flow("grade-3").execute("cat").result)
        response = app.test_client().get("/")
        assert response.text == "graded: cat"
        assert list(server.sessions) == [response.headers["x-noukai-session"]]


def prepare_replay(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The session that the README names, with one run of its flow."""
    monkeypatch.setenv("NOUKAI_REPLAY_ENABLED", "true")
    run_ = {"id": "run-0", "place": ("acme", "spelling", "grade-3"), "trigger": "execute", "value": "x"}
    server.runs["run-0"] = run_ | {"steps": [{"stepId": "grade", "outputSnapshot": "A"}], "error": None, "index": None}
    server.sessions["abc-123-def"] = ["run-0"]


CHECKS: dict[str, Callable[[dict[str, Any], Server], None]] = {
    "Auto-resume (recommended)": lambda names, server: _is(names["result"].result, "It is 20"),
    "Manual resume": lambda names, server: _is(names["result"].result, "It is 20"),
    "Async (queue-backed) jobs": lambda names, server: _is(names["status"].status, "completed"),
    "Replay (debugging against your own API)": lambda names, server: _is(server.calls, {}),
}


def _is(found: Any, expected: Any) -> None:
    assert found == expected


@pytest.mark.parametrize("place", range(len(EXAMPLES)), ids=[f"{n}-{name[:24]}" for n, name in enumerate(EXAMPLES)])
def test_an_example_runs(
    place: int, server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    section, code = blocks()[place]
    names = namespace(section, place, server)
    if section.startswith("Replay"):
        prepare_replay(server, monkeypatch)
    if section == "Errors":
        with pytest.raises(dragoman.noukai.FlowExecutionError, match="it broke"):
            run(ours(code), names)
        return
    run(ours(code), names)
    if "app" in names:
        adapters_work(names, server)
    if section in CHECKS:
        CHECKS[section](names, server)
    assert ("print(" in code) <= bool(capsys.readouterr().out.strip())
