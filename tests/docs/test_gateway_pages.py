"""The pages on the gateway: what they say to type works, their app is served, and what they name exists."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.interop.environments import sdk_python

from dragoman.server.settings_sources import settings_table

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = ROOT / "examples"
PAGES = ("openai.md", "moving-from-litellm.md")
DEMO = "http://127.0.0.1:8080"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TALK = "hello 34\n''\n'1'\n' 2'\n' 3'\nNone\ntool_calls {\"a\":2,\"b\":3}\n5\n16\n502 out of order\n"

pytestmark = pytest.mark.requirement("CORE-10")


def blocks(page: str, language: str, word: str) -> list[str]:
    found = BLOCK.findall((ROOT / "docs" / page).read_text("utf-8"))
    return [body for kind, body in found if kind == language and word in body]


def run(*command: str, **environment: str) -> str:
    """What a program prints; it may say nothing to stderr."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command,
        cwd=EXAMPLES,
        env=os.environ | {"PATH": path} | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stderr, done.returncode) == ("", 0)
    return done.stdout


@pytest.mark.interop
@pytest.mark.xdist_group("interop-sdks")
def test_the_published_client_prints_what_the_page_shows(demo_server: Any) -> None:
    printed = run(str(sdk_python()), "-W", "error", "gateway_talk.py", DRAGOMAN_URL=demo_server.url)
    assert printed == TALK


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_curl_lines_are_answered_by_the_demo(demo_server: Any) -> None:
    (lines,) = blocks("openai.md", "sh", "/v1/models")
    printed = run("sh", "-euc", lines.replace(DEMO, demo_server.url))
    models, _, rest = printed.partition("data: ")
    assert "agent/demo" in [model["id"] for model in json.loads(models)["data"]]
    stream, _, vectors = rest.rpartition("data: [DONE]\n\n")
    chunks = [json.loads(line.removeprefix("data: ")) for line in f"data: {stream}".splitlines() if line]
    assert "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks) == "1 2 3"
    first, second = (row["embedding"] for row in json.loads(vectors)["data"])
    assert first == second


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_a_kept_answer_is_read_from_a_number_on(demo_server: Any) -> None:
    (lines,) = blocks("openai.md", "sh", "idempotency-key")
    printed = run("sh", "-euc", lines.replace(DEMO, demo_server.url))
    numbers = [int(found) for found in re.findall(r"^id: ?(\d+)$", printed, re.MULTILINE)]
    assert numbers[0] == 5
    assert "run.completed" in printed


@pytest.mark.parametrize("page", PAGES)
def test_the_app_of_the_pages_is_served(page: str, serve: Callable[..., Any]) -> None:
    (shown,) = blocks(page, "python", "provider_model")
    assert shown == (EXAMPLES / "gateway_app.py").read_text("utf-8")
    environment = {"OPENAI_API_KEY": "sk-x", "ANTHROPIC_API_KEY": "sk-y"}
    server = serve("gateway_app:app", folder=EXAMPLES, environment=environment)
    key = re.search(r"dk_\S+", server.log.read_text("utf-8"))
    assert key is not None
    printed = run("curl", "-s", f"{server.url}/v1/models", "-H", f"authorization: Bearer {key.group()}")
    names = [model["id"] for model in json.loads(printed)["data"]]
    assert {"fast", "careful", "openai/gpt-4o"} <= set(names)


def test_a_key_with_a_budget_and_a_rate_is_made_as_the_page_says(tmp_path: Path) -> None:
    (lines,) = blocks("openai.md", "sh", "keys create")
    command = next(line for line in lines.splitlines() if "keys create" in line)
    words = command.replace("--app gateway", f"--data {tmp_path / 'data'} --new").split()
    printed = json.loads(run(*words, "--json"))
    assert printed["key"].startswith("dk_")


@pytest.mark.parametrize("page", PAGES)
def test_every_setting_that_a_page_names_exists(page: str) -> None:
    known = {name for name, *_ in settings_table()}
    text = (ROOT / "docs" / page).read_text("utf-8")
    named = set(re.findall(r"`((?:openai|models|credits|errors)\.[a-z_.]*[a-z])", text))
    assert named <= known
