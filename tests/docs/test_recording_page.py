"""The page on recordings: its programs, its lines for the shell, its settings and its test all run."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dragoman.chatkit.client import ChatKitClient
from dragoman.server.settings_sources import load_settings
from dragoman.testing import Cassette

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "recording.md").read_text("utf-8")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

pytestmark = pytest.mark.requirement("CORE-10")


def blocks(language: str) -> list[str]:
    return [body for found, body in BLOCK.findall(PAGE) if found == language]


def test_every_block_is_of_a_kind_that_is_tried_here() -> None:
    assert {language for language, _ in BLOCK.findall(PAGE)} == {"python", "sh", "toml"}


@pytest.mark.parametrize("body", [pytest.param(body, id=str(n)) for n, body in enumerate(blocks("python"))])
def test_its_programs_run(body: str) -> None:
    exec(compile(body, "recording.md", "exec"), {})


async def record(url: str, file: Path) -> None:
    async with ChatKitClient(f"{url}/chatkit", "demo-you", record=file) as client:
        async for _ in client.create("count: 3"):
            pass


def test_its_test_passes(demo_server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [body] = [body for body in blocks("python") if "def test_" in body]
    asyncio.run(record(demo_server.url, tmp_path / "count.cassette.json"))
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(compile(body, "recording.md", "exec"), names)
    names["test_the_page_reads_the_answer"]()


def test_its_lines_for_the_shell_say_the_same_twice(demo_server: Any, tmp_path: Path) -> None:
    [lines] = blocks("sh")
    done = subprocess.run(
        ["sh", "-euc", lines.replace("http://127.0.0.1:8080", demo_server.url)],
        cwd=tmp_path,
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    said = [line for line in done.stdout.splitlines() if not line.startswith("Chat ID:")]  # which is made anew
    assert said[: len(said) // 2] == said[len(said) // 2 :]
    assert "5" in said
    assert len(Cassette.load(tmp_path / "talk.cassette.json").exchanges) > 0


@pytest.mark.parametrize("body", blocks("toml"))
def test_its_settings_are_settings(body: str, tmp_path: Path) -> None:
    file = tmp_path / "dragoman.toml"
    file.write_text(body, "utf-8")
    models = load_settings(config=str(file), environment=False).settings.models
    assert models.record == "recordings/" or models.replay_times
