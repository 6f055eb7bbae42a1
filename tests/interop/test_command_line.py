"""The published command line, unmodified, as someone types it in a shell. Ours is in `tests/kai` and `tests/cli`."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.interop.environments import client_python
from tests.interop.wire import fresh, user_token

pytestmark = [pytest.mark.interop, pytest.mark.xdist_group("interop-shell"), pytest.mark.requirement("KAI-29")]

SECONDS = 40
Shell = Callable[..., subprocess.CompletedProcess[str]]


def type_in(
    command: list[str], server: str, folder: Path, *arguments: str, keys: str = "", discover: bool = False
) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "KAI_BASE_URL"}
    if not discover:
        environment["KAI_BASE_URL"] = server
    return subprocess.run(
        [*command, *arguments],
        cwd=folder,
        env=environment,
        input=keys,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=SECONDS,
        check=False,
    )


@pytest.fixture
def kai(demo_server: Any, tmp_path: Path) -> Shell:
    """`kai("ping", keys="y\\n", discover=True)` of a new user, whose credentials stand in `.env.local`."""
    lines = [f"STORAGE_API_TOKEN={user_token()}", f"STORAGE_API_URL={demo_server.url}"]
    (tmp_path / ".env.local").write_text("\n".join(lines), encoding="utf-8")
    return partial(type_in, [str(client_python("0.12.0")), "-m", "kai_client.cli"], demo_server.url, tmp_path)


def printed(done: subprocess.CompletedProcess[str]) -> str:
    """What a command that succeeded printed."""
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def objects(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    """One JSON object per line."""
    return [json.loads(line) for line in printed(done).splitlines()]


def test_ping_info_and_discovery(kai: Shell) -> None:
    assert "App" in printed(kai("info"))
    assert "alive" in printed(kai("ping", discover=True))


def test_missing_credentials_end_with_one_and_a_word_on_stderr(kai: Shell, tmp_path: Path) -> None:
    (tmp_path / ".env.local").unlink()
    done = kai("ping")
    assert done.returncode == 1
    assert "STORAGE_API_TOKEN" in done.stderr


def test_a_chat_is_held_listed_voted_on_and_deleted(kai: Shell) -> None:
    chat = fresh()
    assert "from the shell" in printed(kai("chat", "--chat-id", chat, "-m", "echo: from the shell"))
    events = objects(kai("chat", "--chat-id", chat, "--json-output", "-m", "tool: add 2 3"))
    assert events[-1]["type"] == "finish"
    assert [event["text"] for event in events if event["type"] == "text"] == ["5"]
    assert [each["id"] for each in json.loads(printed(kai("history", "--json-output")))["chats"]] == [chat]
    assert chat in printed(kai("history", "-n", "1"))
    stored = json.loads(printed(kai("get-chat", chat, "--json-output")))
    assert [message["role"] for message in stored["messages"]] == ["user", "assistant"] * 2
    assert chat in printed(kai("get-chat", chat))
    answer = stored["messages"][1]["id"]
    printed(kai("vote", chat, answer, "up"))
    assert answer in printed(kai("get-votes", chat))
    (vote,) = json.loads(printed(kai("get-votes", chat, "--json-output")))
    assert vote["type"] == "up"
    printed(kai("delete-chat", chat, "-y"))
    assert json.loads(printed(kai("history", "--json-output")))["chats"] == []


@pytest.mark.parametrize(
    ("options", "keys", "said", "unsaid"),
    [
        (["--auto-approve"], "", "created cli", "denied"),
        ([], "y\n", "created cli", "denied"),
        ([], "n\n", "denied", "created cli"),
    ],
    ids=["approved in advance", "yes", "no"],
)
def test_a_tool_is_approved_or_denied(kai: Shell, options: list[str], keys: str, said: str, unsaid: str) -> None:
    answer = printed(kai("chat", *options, "-m", "approve: create_bucket cli", keys=keys))
    assert said in answer
    assert unsaid not in answer


def test_a_conversation_goes_on_until_quit(kai: Shell) -> None:
    answer = printed(kai("chat", keys="echo: alpha\nrecall\nquit\n"))
    assert answer.count("alpha") >= 2


def test_faults_of_the_server_do_not_end_well(kai: Shell) -> None:
    assert kai("get-chat", fresh()).returncode != 0
    assert kai("--token", "nobody", "history").returncode != 0
