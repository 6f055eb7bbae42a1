"""The pages on ChatKit: what they say to type works, and their servers answer."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prove.chatkit_wire import actions_of, filled, said, text_of
from tests.conftest import free_port

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = ROOT / "examples"
DEMO, OWN = "http://127.0.0.1:8080", "http://127.0.0.1:8000"
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)

pytestmark = pytest.mark.requirement("CORE-10")


def commands(name: str, word: str) -> list[str]:
    """The shell blocks of a page that hold the word."""
    return [body for body in BLOCK.findall((ROOT / "docs" / name).read_text("utf-8")) if word in body]


def sh(script: str, folder: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["sh", "-euc", script],
        env=os.environ | {"PATH": path} | environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def events(printed: str) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in printed.splitlines() if line.startswith("data: ")]


def answers(seen: list[dict[str, Any]]) -> list[str]:
    done = [event["item"] for event in seen if event["type"] == "thread.item.done"]
    return [text_of(item) for item in done if item["type"] == "assistant_message"]


# --------------------------------------------------------------------------- against the demo


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
@pytest.mark.parametrize(("page", "answer"), [("chatkit.md", "5"), ("chatkit-uploads.md", "hello.txt")])
def test_the_curl_lines_of_a_page_are_answered_by_the_demo(page: str, answer: str, demo_server: Any) -> None:
    (lines,) = [body for body in commands(page, "curl") if DEMO in body]
    done = sh(lines.replace(DEMO, demo_server.url))
    assert done.returncode == 0, done.stderr
    assert answers(events(done.stdout)) == [answer]


# --------------------------------------------------------------------------- servers of one's own


class Served:
    """An ASGI app of an example, as uvicorn serves it."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, op: str, *, user: str = "ana", **params: Any) -> bytes:
        body = json.dumps({"type": op, "params": params}).encode()
        headers = {"content-type": "application/json", "x-user": user}
        with urllib.request.urlopen(urllib.request.Request(f"{self.url}/chatkit", body, headers), timeout=20) as answer:
            return bytes(answer.read())

    def stream(self, op: str, **params: Any) -> list[dict[str, Any]]:
        return events(self.ask(op, **params).decode())


@pytest.fixture
def uvicorn(tmp_path: Path) -> Iterator[Callable[[str], Served]]:
    """`uvicorn("name:app")` serves an example of this name, from a folder in which it may leave its files."""
    processes: list[subprocess.Popen[bytes]] = []

    def start(target: str) -> Served:
        for file in EXAMPLES.glob("chatkit_*.py"):
            shutil.copy(file, tmp_path)
        (command,) = commands("chatkit.md", "uvicorn")
        words = command.replace("chatkit_first:app", target).replace("8000", str(port := free_port())).split()
        words[0] = str(Path(sys.executable).with_name(words[0]))
        log = tmp_path / "uvicorn.log"
        environment = os.environ | {"PYTHONWARNINGS": "error::DeprecationWarning"}
        with log.open("wb") as sink:
            processes.append(subprocess.Popen(words, cwd=tmp_path, stdout=sink, stderr=sink, env=environment))
        url, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 30
        while not _answers(url):
            assert processes[-1].poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)
        return Served(url)

    yield start
    for process in processes:
        process.terminate()
        process.wait(15)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


@pytest.mark.requirement("CHK-01", "CHK-35")
@pytest.mark.parametrize("name", ["chatkit_first", "chatkit_fastapi"])
def test_the_first_server_answers_and_lists_its_threads(name: str, uvicorn: Callable[[str], Served]) -> None:
    server = uvicorn(f"{name}:app")
    assert answers(server.stream("threads.create", input=said("hello"))) == ["You said: hello"]
    listed = json.loads(server.ask("threads.list"))
    assert len(listed["data"]) == 1


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_curl_lines_for_the_first_server_are_answered(uvicorn: Callable[[str], Served]) -> None:
    (lines,) = [body for body in commands("chatkit.md", "curl") if OWN in body]
    done = sh(lines.replace(OWN, uvicorn("chatkit_first:app").url))
    assert answers(events(done.stdout)) == ["You said: hello"]


def test_a_server_that_loads_its_history_shows_it_to_the_model(uvicorn: Callable[[str], Served]) -> None:
    server = uvicorn("chatkit_history:app")
    seen = server.stream("threads.create", input=said("one"))
    assert answers(seen) == ["user: one"]
    seen = server.stream("threads.add_user_message", thread_id=seen[0]["thread"]["id"], input=said("two"))
    assert answers(seen) == ["user: one / assistant: user: one / user: two"]


@pytest.mark.requirement("CHK-27", "CHK-28")
def test_the_server_with_a_model_shows_tools_cards_and_forms(uvicorn: Callable[[str], Served]) -> None:
    server = uvicorn("chatkit_model:app")
    seen = server.stream("threads.create", input=said("tool: add 2 3"))
    assert answers(seen) == ["5"]
    assert "progress_update" in [event["type"] for event in seen]
    for text, action, fields, answer in (
        ("approve: create_bucket photos", "approval.approve", {}, "created photos"),
        ("widget: form", "form.submit", {"name": "Ada"}, "Ada"),
    ):
        seen = server.stream("threads.create", input=said(text))
        (card,) = [
            event["item"] for event in seen if event["type"] == "thread.item.done" and event["item"].get("widget")
        ]
        params = {"thread_id": card["thread_id"], "item_id": card["id"]}
        seen = server.stream("threads.custom_action", action=filled(actions_of(card)[action], **fields), **params)
        assert answer in answers(seen)[-1]
    other = json.loads(server.ask("threads.list", user="ben"))
    assert other["data"] == []


@pytest.mark.requirement("CHK-15")
def test_the_server_with_uploads_takes_a_file_and_refuses_what_it_does_not_want(
    uvicorn: Callable[[str], Served],
) -> None:
    server = uvicorn("chatkit_upload:app")
    made = json.loads(server.ask("attachments.create", name="a.txt", size=5, mime_type="text/plain"))
    place = made["upload_descriptor"]
    url = place["url"].replace(OWN, server.url)
    sent = urllib.request.Request(url, b"hello", place["headers"], method=place["method"])
    with urllib.request.urlopen(sent, timeout=20) as answer:
        assert answer.status in (200, 204)
    message = said("files") | {"attachments": [made["id"]]}
    assert answers(server.stream("threads.create", input=message)) == ["a.txt"]
    with pytest.raises(urllib.error.HTTPError) as refused:
        server.ask("attachments.create", name="a.exe", size=5, mime_type="application/x-msdownload")
    with refused.value as answer:
        assert answer.code == 415


@pytest.mark.requirement("CHK-15")
def test_the_server_with_a_bucket_sends_uploads_there(
    uvicorn: Callable[[str], Served], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    server = uvicorn("chatkit_s3:app")
    made = json.loads(server.ask("attachments.create", name="a.txt", size=5, mime_type="text/plain"))
    place = made["upload_descriptor"]
    assert place["method"] == "PUT"
    assert re.match(r"https://s3\.eu-central-1\.amazonaws\.com/acme-uploads/", place["url"])
    assert "X-Amz-Signature=" in place["url"]


@pytest.mark.requirement("CHK-12", "CHK-38")
def test_a_named_action_is_answered(uvicorn: Callable[[str], Served], tmp_path: Path) -> None:
    (tmp_path / "acting.py").write_text(
        "from chatkit_action import server\nfrom dragoman.chatkit.asgi import chatkit_app\n"
        "app = chatkit_app(server, context=lambda request: 'ana')\n",
        encoding="utf-8",
    )
    server = uvicorn("acting:app")
    thread = server.stream("threads.create", input=said("echo: hi"))[0]["thread"]["id"]
    again = {"type": "weather.again", "payload": {"city": "Bern"}}
    seen = server.stream("threads.custom_action", thread_id=thread, action=again)
    assert answers(seen) == ["It is still 20 degrees in Bern."]


def asking(server: Any) -> Callable[..., list[dict[str, Any]]]:
    """What asks a server of `dragoman serve` with the key that it has printed."""
    found = re.search(r"dk_\S+", server.log.read_text("utf-8"))
    assert found is not None
    headers = {"authorization": f"Bearer {found.group()}", "content-type": "application/json"}

    def stream(op: str, **params: Any) -> list[dict[str, Any]]:
        body = json.dumps({"type": op, "params": params}).encode()
        with urllib.request.urlopen(urllib.request.Request(f"{server.url}/chatkit", body, headers), timeout=20) as got:
            return events(got.read().decode())

    return stream


@pytest.mark.requirement("CHK-35")
def test_a_server_of_ones_own_is_served_by_dragoman(serve: Callable[..., Any]) -> None:
    stream = asking(serve("chatkit_hosted:app", folder=EXAMPLES))
    assert answers(stream("threads.create", input=said("hello"))) == ["You said: hello"]


@pytest.mark.requirement("CHK-28")
def test_an_app_with_a_form_is_served_by_dragoman(serve: Callable[..., Any]) -> None:
    stream = asking(serve("chatkit_form:app", folder=EXAMPLES))
    seen = stream("threads.create", input=said("hello"))
    (card,) = [event["item"] for event in seen if event["type"] == "thread.item.done" and event["item"].get("widget")]
    action = filled(actions_of(card)["form.submit"], name="Ada")
    seen = stream("threads.custom_action", thread_id=card["thread_id"], item_id=card["id"], action=action)
    assert answers(seen) == ["Nice to meet you."]


# --------------------------------------------------------------------------- the rest


@pytest.mark.requirement("CHK-33")
def test_the_contract_runs_on_the_store_of_the_example() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull]
    done = subprocess.run(
        [*command, "chatkit_store_test.py"], cwd=EXAMPLES, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) > 10


def test_a_sample_store_is_read_into_the_data_once(tmp_path: Path) -> None:
    (command,) = commands("chatkit-stores.md", "import-sqlite")
    _sample(tmp_path / "chatkit-sample.db")
    told = []
    for _ in range(2):
        done = sh(command, tmp_path)
        assert done.returncode == 0, done.stderr
        told.append(done.stdout.splitlines())
    assert told[0] == ["imported 1 threads, 1 items, 0 attachments"]
    assert told[1][0] == "imported 0 threads, 0 items, 0 attachments"


def _sample(place: Path) -> None:
    """A store of the published samples, with a thread and a message."""
    at = "2026-01-05T10:00:00"
    thread = {"id": "thr_1", "created_at": at, "metadata": {}}
    item: dict[str, Any] = {"id": "msg_1", "thread_id": "thr_1", "created_at": at, "type": "user_message"}
    item |= {"content": [{"type": "input_text", "text": "hello"}], "attachments": [], "inference_options": {}}
    with sqlite3.connect(place) as db:
        db.execute("CREATE TABLE threads (id TEXT PRIMARY KEY, user_id TEXT, created_at TEXT, data TEXT)")
        db.execute("CREATE TABLE items (id TEXT PRIMARY KEY, thread_id TEXT, user_id TEXT, created_at TEXT, data TEXT)")
        db.execute("CREATE TABLE attachments (id TEXT PRIMARY KEY, user_id TEXT, data TEXT)")
        db.execute("INSERT INTO threads VALUES (?, ?, ?, ?)", ("thr_1", "ana", at, json.dumps(thread)))
        db.execute("INSERT INTO items VALUES (?, ?, ?, ?, ?)", ("msg_1", "thr_1", "ana", at, json.dumps(item)))
    db.close()
