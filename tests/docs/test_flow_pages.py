"""The pages on flows: what they say to type works, their pictures are drawn from code, and `kill -9` does what they promise."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = ROOT / "examples"
PAGE = (ROOT / "docs" / "flows.md").read_text("utf-8")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
GRAPH = re.compile(r"^<!-- graph: \w+ \S+ -->\n```mermaid$", re.MULTILINE)
WORDS = "one two three four five six seven eight nine ten"

pytestmark = pytest.mark.requirement("CORE-10")


def commands(page: str, *needles: str) -> list[str]:
    """The shell blocks of a page that hold one of the words."""
    found = [body for language, body in BLOCK.findall(page) if language == "sh"]
    return [body for body in found if any(needle in body for needle in needles)]


def sh(script: str, server: Any, key: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run lines of a page, which speak to the default server, against this one."""
    script = re.sub(r"^export DRAGOMAN_KEY=.*\n", "", script, flags=re.MULTILINE)
    script = script.replace("http://127.0.0.1:8080", server.url)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"DRAGOMAN_URL": server.url, "DRAGOMAN_KEY": key, "PATH": path}
    return subprocess.run(
        ["sh", "-euc", script], env=environment, cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )


def key_of(server: Any) -> str:
    found = re.search(r"dk_\S+", server.log.read_text("utf-8"))
    assert found is not None
    return found.group()


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_a_flow_of_ones_own_is_served_and_called_in_every_way_of_the_page(serve: Callable[..., Any]) -> None:
    server = serve("flow_first:app", folder=EXAMPLES)
    told = [sh(lines, server, key_of(server)) for lines in commands(PAGE, "basics/shout")]
    assert [done.returncode for done in told] == [0] * 3, [done.stderr for done in told]
    assert "basics/shout" in told[0].stdout
    assert told[0].stdout.splitlines()[-2:] == ["HELLO!", "HELLO?"]
    assert '"HELLO!"' in told[1].stdout.split("run.completed", 1)[1]
    assert '"result":"HELLO!"' in told[2].stdout.replace(": ", ":")


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
@pytest.mark.parametrize("name", ["jobs.md", "tracing.md"])
def test_the_commands_of_a_page_work_against_the_demo(name: str, demo_server: Any, tmp_path: Path) -> None:
    job = sh("dragoman jobs submit basics/model 'echo: hello'", demo_server, "demo-you").stdout.strip()
    for lines in commands((ROOT / "docs" / name).read_text("utf-8"), "dragoman", "curl"):
        done = sh(re.sub(r"\b(RUN|JOB)\b", job, lines), demo_server, "demo-you", tmp_path)
        assert (done.returncode, '"error":{' in done.stdout) == (0, False), (lines, done.stdout, done.stderr)


def test_a_killed_flow_goes_on_where_it_was(serve: Callable[..., Any], tmp_path: Path) -> None:
    shutil.copy(EXAMPLES / "flow_durable.py", tmp_path)
    diary = tmp_path / "diary.txt"
    server = serve("flow_durable:app", folder=tmp_path)
    key = key_of(server)
    begun = sh(f"dragoman jobs submit basics/durable '{WORDS}' --set work.seconds=0.3", server, key)
    assert begun.returncode == 0, begun.stderr
    run = begun.stdout.strip()
    wait_for(lambda: diary.exists() and len(diary.read_text("utf-8").split()) >= 3)
    server.kill()

    server = serve("flow_durable:app", folder=tmp_path)
    done = sh(f"dragoman jobs wait {run}", server, key)
    assert (done.returncode, done.stdout) == (0, f"{WORDS.upper()}\n"), done.stderr
    written = Counter(diary.read_text("utf-8").split())
    assert set(written) == set(WORDS.split())
    assert written.total() - len(written) <= 1, "only the word that was under way may have been written twice"


def wait_for(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_every_graph_is_drawn_from_an_example() -> None:
    for page in (ROOT / "docs").rglob("*.md"):
        text = page.read_text("utf-8")
        assert text.count("```mermaid") == len(GRAPH.findall(text)), f"{page.name}: `make docs` draws what has a marker"
    assert len(GRAPH.findall(PAGE)) >= 5
