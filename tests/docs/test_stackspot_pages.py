"""The pages on StackSpot: what they say to type works, and what they name exists."""

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
from tests.stackspot.service import Service

from dragoman.server.settings_sources import settings_table

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
EXAMPLES = ROOT / "examples"
DEMO = "http://127.0.0.1:8080"
PAGES = ("stackspot.md", "stackspot-batches.md", "stackspot-uploads.md", "moving-from-stkai.md")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

pytestmark = pytest.mark.requirement("CORE-10")


def blocks(page: str, language: str, word: str) -> list[str]:
    """The blocks of a page in a language that hold the word."""
    found = BLOCK.findall((DOCS / page).read_text("utf-8"))
    return [body for kind, body in found if kind == language and word in body]


def run(*command: str, folder: Path, environment: dict[str, str]) -> str:
    """What a program prints; it may say nothing to stderr."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("STKAI_")}
    done = subprocess.run(
        command, cwd=folder, env=clean | environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stderr, done.returncode) == ("", 0)
    return done.stdout


def exported(page: str, word: str) -> dict[str, str]:
    """The variables that the page's block of exports sets."""
    (block,) = blocks(page, "sh", word)
    return dict(line.removeprefix("export ").split("=", 1) for line in block.splitlines())


# --------------------------------------------------------------------------- curl


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_curl_lines_of_the_first_call_are_answered_by_the_demo(demo_server: Any, tmp_path: Path) -> None:
    (lines,) = blocks("stackspot.md", "sh", "curl")
    printed = run("sh", "-euc", lines.replace(DEMO, demo_server.url), folder=tmp_path, environment={})
    answer, _, stream = printed.partition("data: ")
    assert json.loads(answer)["message"] == "hello"
    frames = [line.removeprefix("data: ") for line in f"data: {stream}".splitlines() if line.startswith("data: ")]
    assert frames[-1] == "[DONE]"
    assert "".join(json.loads(frame)["message"] for frame in frames[:-1]) == "1 2 3"


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_curl_lines_on_uploads_get_a_form(demo_server: Any, tmp_path: Path) -> None:
    (lines,) = blocks("stackspot-uploads.md", "sh", "curl")
    form = json.loads(run("sh", "-euc", lines.replace(DEMO, demo_server.url), folder=tmp_path, environment={}))
    assert form["url"].startswith(demo_server.url)
    assert {"id", "url", "form"} <= set(form)
    assert all(isinstance(value, str) for value in form["form"].values())


# --------------------------------------------------------------------------- the environment


@pytest.mark.requirement("STK-80")
def test_the_variables_of_the_page_lead_a_program_to_the_demo(demo_server: Any, tmp_path: Path) -> None:
    variables = exported("stackspot.md", "STKAI_RQC_BASE_URL")
    assert len(variables) == 6
    environment = {name: value.replace(DEMO, demo_server.url) for name, value in variables.items()}
    program = (
        "from dragoman.stackspot import Agent, ChatRequest\n"
        "with Agent('demo') as agent:\n"
        "    print(agent.chat(ChatRequest(user_prompt='echo: found')).result)\n"
    )
    printed = run(sys.executable, "-W", "error", "-c", program, folder=tmp_path, environment=environment)
    assert printed == "found\n"


@pytest.mark.requirement("STK-80")
def test_the_first_call_to_the_real_service_needs_three_variables_only(tmp_path: Path) -> None:
    variables = exported("stackspot.md", "YOUR-REALM")
    assert set(variables) == {"STKAI_AUTH_CLIENT_ID", "STKAI_AUTH_CLIENT_SECRET", "STKAI_AUTH_TOKEN_URL"}
    (program,) = blocks("stackspot.md", "python", "my-agent-slug")
    with Service("five principles") as service:
        printed = run(sys.executable, "-W", "error", "-c", program, folder=tmp_path, environment=service.environment())
        assert printed == "five principles\n"
        (path, body) = service.told[-1]
    assert path == "/v1/agent/my-agent-slug/chat"
    assert json.loads(body)["user_prompt"] == "What is SOLID?"


# --------------------------------------------------------------------------- an app of one's own


def own(serve: Callable[..., Any], app: str) -> dict[str, str]:
    """Where an example's app is served, and its first key."""
    server = serve(app, folder=EXAMPLES)
    key = re.search(r"dk_\S+", server.log.read_text("utf-8"))
    assert key is not None
    return {"OWN_URL": server.url, "OWN_KEY": key.group()}


@pytest.mark.requirement("STK-01", "STK-80")
def test_the_first_call_to_an_app_of_ones_own_signs_in_with_its_key(serve: Callable[..., Any], tmp_path: Path) -> None:
    app = own(serve, "own_app:app")
    environment = {"DRAGOMAN_URL": app["OWN_URL"], "DRAGOMAN_KEY": app["OWN_KEY"]}
    printed = run(
        sys.executable, "-W", "error", str(EXAMPLES / "stackspot_own.py"), folder=tmp_path, environment=environment
    )
    assert printed == "You said: hello\n"


OWN_APP = """
import os, sys
from pathlib import Path
from dragoman.stackspot import Agent, ChatRequest, FileUploader, FileUploadRequest, FileUploadTargetType, STKAI
url, key = os.environ["OWN_URL"], os.environ["OWN_KEY"]
client, secret = key.removeprefix("dk_").split("_", 1)
STKAI.configure(
    auth={"client_id": client, "client_secret": secret, "token_url": f"{url}/acme/oidc/oauth/token"},
    agent={"base_url": url},
    file_upload={"base_url": url},
)
handbook = Path("handbook.md")
handbook.write_text("Everybody has thirty days.", encoding="utf-8")
target = {"target_type": FileUploadTargetType.KNOWLEDGE_SOURCE, "target_id": "team-handbook"}
with FileUploader() as uploader, Agent("helper") as agent:
    print(uploader.upload(FileUploadRequest(file_path=handbook, **target)).status)
    response = agent.chat(ChatRequest(user_prompt="how many days?", return_knowledge_sources=True))
    print(response.result, response.knowledge_sources)
"""


@pytest.mark.requirement("STK-70")
def test_an_app_with_knowledge_is_served_and_names_what_it_used(serve: Callable[..., Any], tmp_path: Path) -> None:
    environment = own(serve, "stackspot_app:app")
    printed = run(sys.executable, "-W", "error", "-c", OWN_APP, folder=tmp_path, environment=environment)
    assert printed == "SUCCESS\nYou said: how many days? ['team-handbook']\n"


OWN_SEARCH = """
import os
from dragoman.stackspot import Agent, ChatRequest, STKAI
url, key = os.environ["OWN_URL"], os.environ["OWN_KEY"]
client, secret = key.removeprefix("dk_").split("_", 1)
auth = {"client_id": client, "client_secret": secret, "token_url": f"{url}/acme/oidc/oauth/token"}
STKAI.configure(auth=auth, agent={"base_url": url})
with Agent("helper") as agent:
    for prompt in ("How many holidays?", "How many desks?"):
        response = agent.chat(ChatRequest(user_prompt=prompt, return_knowledge_sources=True))
        print(response.result, response.knowledge_sources)
"""


@pytest.mark.requirement("STK-70")
def test_an_app_with_a_search_of_its_own_answers_from_it(serve: Callable[..., Any], tmp_path: Path) -> None:
    printed = run(
        sys.executable, "-W", "error", "-c", OWN_SEARCH, folder=tmp_path, environment=own(serve, "stackspot_search:app")
    )
    assert printed == "thirty ['team-handbook']\nI do not know []\n"


# --------------------------------------------------------------------------- what the pages name


def test_the_settings_that_the_pages_name_exist() -> None:
    known = {name for name, *_ in settings_table()}
    groups = {name.rsplit(".", 1)[0] for name in known}
    for page in PAGES:
        named = set(re.findall(r"`(stackspot\.[a-z_.]+)`", (DOCS / page).read_text("utf-8")))
        assert sorted(named - known - groups) == [], page


def test_the_pages_explain_every_setting_of_the_face() -> None:
    told = "".join((DOCS / page).read_text("utf-8") for page in PAGES)
    missing = [
        name
        for name, *_ in settings_table()
        if name.startswith("stackspot.") and name not in told and name.rsplit(".", 1)[0] not in told
    ]
    assert missing == []
