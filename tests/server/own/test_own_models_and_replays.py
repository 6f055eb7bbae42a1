"""Which models can be used, and sessions replayed by a process of its own: who may, and what comes of it."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from dragoman.engine.agents import Agent
from dragoman.engine.app import App
from dragoman.server.own import replaying
from dragoman.server.own.console_models import ModelsOut, ReplayOut
from dragoman.testing import ScriptedModel

Start = Callable[..., Awaitable[Any]]
V1 = "/dragoman/v1"
STREAM = {"accept": "text/event-stream"}
DEMO = "dragoman.demo.app:app"


# --------------------------------------------------------------------------- models


async def test_models_are_listed_with_who_names_them_and_whether_they_can_be_used(
    start_inside: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none-of-ours")
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    app = App(
        "acme",
        agents=[
            Agent("one", model="mine"),
            Agent("two", model="mine", reasoning_model="openai/gpt-4o"),
            Agent("three", model=ScriptedModel(["x"])),
        ],
        models={"mine": ScriptedModel(["hi"])},
    )
    inside = await start_inside(app)
    answer = await inside.ask("GET", f"{V1}/models", token="demo-bob")
    told = ModelsOut.model_validate(answer.json())
    assert [(one.name, one.usable, one.agents) for one in told.models[:2]] == [
        ("mine", True, ["one", "two"]),
        ("openai/gpt-4o", True, ["two"]),
    ]
    assert told.models[2].agents == ["three"]
    providers = {one.name: one for one in told.providers}
    assert providers["openai"].usable
    assert not providers["anthropic"].usable
    assert providers["anthropic"].why
    assert "sk-none-of-ours" not in answer.text
    assert [one.usable for one in told.providers] == sorted((one.usable for one in told.providers), reverse=True)


# --------------------------------------------------------------------------- replays


async def recorded(inside: Any) -> str:
    """A session with one run of a flow."""
    path = f"{V1}/flows/basics/two-step/runs"
    run = (await inside.ask("POST", path, {"message": "hi", "session": "tour"})).json()
    await inside.ask("GET", f"{V1}/runs/{run['id']}/events", headers=STREAM)
    return "tour"


async def replay(inside: Any, session: str, **options: Any) -> Any:
    return await inside.ask("POST", f"{V1}/sessions/{session}/replay", **options)


async def test_a_session_is_replayed_against_the_app_that_is_served(start_inside: Start) -> None:
    inside = await start_inside(source=DEMO)
    answer = await replay(inside, await recorded(inside))
    assert answer.status == 200, answer.text
    told = ReplayOut.model_validate(answer.json())
    assert (told.session, told.against, told.differences) == ("tour", DEMO, [])
    assert [(run.name, run.differences) for run in told.runs] == [("basics/two-step", 0)]


def script(folder: Path, text: str) -> tuple[str, ...]:
    """A command in the place of the real one."""
    file = folder / "replay.py"
    file.write_text(text, "utf-8")
    return (sys.executable, str(file))


DIFFERS = """
import json, sys
told = {"session": "tour", "app": "demo", "against": sys.argv[3], "runs": [], "remarks": [], "wanted": []}
print(json.dumps(told | {"differences": [{"where": ["a", 1], "recorded": 1}]}))
sys.exit(1)
"""


async def test_differences_are_an_answer_and_no_error(
    start_inside: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replaying, "_COMMAND", script(tmp_path, DIFFERS))
    inside = await start_inside(source="mine:app")
    answer = await replay(inside, await recorded(inside))
    told = ReplayOut.model_validate(answer.json())
    assert (told.against, told.differences[0].where) == ("mine:app", ["a", 1])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("import sys; sys.exit('there is no module with sk-" + "a" * 40 + "')", "there is no module"),
        ("import sys; sys.exit(3)", "exit code 3"),
        ("print('no json')", "exit code 0"),
    ],
)
async def test_a_replay_that_fails_says_why_and_no_secret(
    start_inside: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, told: str
) -> None:
    monkeypatch.setattr(replaying, "_COMMAND", script(tmp_path, text))
    inside = await start_inside(source=DEMO)
    answer = await replay(inside, await recorded(inside))
    assert (answer.status, answer.json()["error"]["code"]) == (409, "conflict:replay")
    assert told in answer.text
    assert "a" * 40 not in answer.text


ENDLESS = """
import os, pathlib, sys, time
pathlib.Path(sys.argv[0]).with_name("pid").write_text(str(os.getpid()))
time.sleep(600)
"""


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def begun(folder: Path) -> int:
    """The process id of the script above, once it runs."""
    async with asyncio.timeout(10):
        while True:
            found = await asyncio.to_thread(lambda: (folder / "pid").read_text() if (folder / "pid").exists() else "")
            if found:
                return int(found)


async def test_a_replay_that_takes_too_long_is_ended(
    start_inside: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replaying, "_COMMAND", script(tmp_path, ENDLESS))
    monkeypatch.setattr(replaying, "SECONDS", 1.0)
    inside = await start_inside(source=DEMO)
    answer = await replay(inside, await recorded(inside))
    assert (answer.status, answer.json()["error"]["code"]) == (503, "unavailable:replay")
    assert not is_alive(await begun(tmp_path))


async def test_one_is_replayed_at_a_time_and_none_outlives_the_server(
    start_inside: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replaying, "_COMMAND", script(tmp_path, ENDLESS))
    inside = await start_inside(source=DEMO)
    session = await recorded(inside)
    first = asyncio.create_task(replay(inside, session))
    pid = await begun(tmp_path)
    second = await replay(inside, session)
    assert (second.status, second.json()["error"]["code"]) == (409, "conflict:replay")
    inside.services.closing.set()
    assert (await first).status == 503
    assert not is_alive(pid)


async def test_a_server_that_does_not_know_its_app_says_so(start_inside: Start) -> None:
    inside = await start_inside()
    answer = await replay(inside, await recorded(inside))
    assert (answer.status, answer.json()["error"]["code"]) == (409, "conflict:source")
    assert "--against" in answer.text


@pytest.mark.requirement("CORE-04")
async def test_replaying_needs_the_scope_admin_and_a_session_of_ones_own(start_inside: Start) -> None:
    inside = await start_inside(source=DEMO)
    session = await recorded(inside)
    headers = {"x-request-id": "r"}
    theirs = await replay(inside, session, token="demo-bob", headers=headers)
    nobodys = await replay(inside, "nothing", token="demo-bob", headers=headers)
    assert (theirs.status, theirs.body) == (403, nobodys.body)
    assert (await replay(inside, "nothing")).status == 404
