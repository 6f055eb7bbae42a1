"""Every example of the README of noukai-sdk 0.2.0 against a real server, with only the import line changed.

What the README leaves out with `...`, or names without saying whence (the id of a run, of a session, a
flow at hand), is filled in; the server has the organisation, project and flows that it names.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI, Request
from flask import Flask
from tests.interop.noukai import readme_app
from tests.interop.noukai.stage import TOOLS
from tests.noukai.test_readme_examples import AWAITING, EXAMPLES, FLASK, blocks, ours, run
from tests.noukai.web import ask

import dragoman.noukai
from dragoman.noukai import AsyncNoukai, Noukai
from dragoman.testing.serving import Served, serve

pytestmark = [pytest.mark.requirement("NOU-90"), pytest.mark.timeout(120)]

SESSION = "abc-123-def"


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serve(readme_app.app()) as server:
        client = Noukai("nk_...", base_url=f"{server.url}/api/v1", org="acme", project="spelling")
        client.flow("grade-3").execute("recorded before", session_id=SESSION)
        client.close()
        yield server


@pytest.fixture(autouse=True)
def _environment(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a user would set it once for the examples."""
    monkeypatch.setenv("NOUKAI_API_KEY", "nk_...")
    monkeypatch.setenv("NOUKAI_BASE_URL", f"{served.url}/api/v1")
    monkeypatch.setenv("NOUKAI_REPLAY_ENABLED", "true")
    monkeypatch.delenv("NOUKAI_ENV", raising=False)


def filled_in(code: str, execution_id: str) -> str:
    """The example with what it leaves out: the tools, and the id of a run."""
    return ours(code).replace("tools=[]", "tools=TOOLS").replace("exec_abc123", execution_id)


def at_hand(section: str, place: int) -> dict[str, Any]:
    """The names that the example takes for granted."""
    awaiting, blocking = AsyncNoukai(org="acme", project="spelling"), Noukai(org="acme", project="spelling")
    client = awaiting if place in AWAITING else blocking
    slug = {"Auto-resume (recommended)": "weather", "Manual resume": "weather", "Errors": "broken"}.get(section)

    async def run_tools(calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{"tool_call_id": call["id"], "output": "20"} for call in calls]

    return {
        "__name__": "__main__",
        "Noukai": Noukai,
        "AsyncNoukai": AsyncNoukai,
        "asyncio": asyncio,
        "client": client,
        "flow": client.flow(slug or "two-step"),
        "noukai": blocking if place == FLASK else awaiting,
        "noukai_sdk": dragoman.noukai,
        "my_logger": lambda event: None,
        "logger": logging.getLogger("example"),
        "get_weather": lambda arguments: "20",
        "run_tools": run_tools,
        "Request": Request,
        "TOOLS": TOOLS,
        "kept": (awaiting, blocking),
    }


def closed(names: dict[str, Any]) -> None:
    """Close what was at hand; what the example itself left open is let go of without a word."""
    for name in ("client", "noukai", "kept"):
        value = names.get(name)
        for each in value if isinstance(value, tuple) else (value,):
            if isinstance(each, Noukai):
                each.close()
            elif isinstance(each, AsyncNoukai):
                asyncio.run(each.aclose())
    names.clear()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


RESULTS = {0: "graded: The cat sat on the mat.\n", 1: "graded: The cat sat on the mat.\n", 6: "graded: Input text\n"}


@pytest.mark.parametrize("place", range(len(EXAMPLES)), ids=[f"{n}-{name[:24]}" for n, name in enumerate(EXAMPLES)])
def test_an_example_runs_against_a_server(place: int, capsys: pytest.CaptureFixture[str]) -> None:
    section, code = blocks()[place]
    names = at_hand(section, place)
    known = names["kept"][1].flow("two-step").execute("known") if section == "Run traces" else None
    told = filled_in(code, known.execution_id if known else "")
    try:
        if section == "Errors":
            with pytest.raises(dragoman.noukai.FlowExecutionError, match="it broke") as caught:
                run(told, names)
            assert caught.value.code == "BYOK_KEY_REJECTED"
            return
        run(told, names)
        printed = capsys.readouterr().out
        assert RESULTS.get(place) in (None, printed)
        if "print(" in code:
            assert printed.strip()
        if "tool" in section.lower() or section in ("Auto-resume (recommended)", "Manual resume"):
            assert names["result"].result == "20"
        if "status" in names:
            assert names["status"].status == "completed"
        if "app" in names:
            adapters_work(names)
    finally:
        closed(names)


def adapters_work(names: dict[str, Any]) -> None:
    """The application of the example records what it is asked, and its answer names the session."""
    app = names["app"]
    if isinstance(app, FastAPI):
        asyncio.run(recorded_and_replayed(app, names["noukai"]))
        return
    assert isinstance(app, Flask)
    app.get("/")(lambda: names["noukai"].flow("grade-3").execute("cat").result)
    caller = app.test_client()
    response = caller.get("/")
    assert response.text == "graded: cat"
    again = caller.get("/", headers={"X-Noukai-Replay": response.headers["X-Noukai-Session"]})
    assert again.text == response.text


async def recorded_and_replayed(app: FastAPI, client: AsyncNoukai) -> None:
    async with client:
        got = await ask(app, "/grade", "POST", b'{"text": "cat"}')
        assert got.json() == {"output": "graded: cat"}
        session = got.headers["x-noukai-session"]
        again = await ask(app, "/grade", "POST", b'{"text": "edited"}', x_noukai_replay=session)
        assert again.json() == got.json()
