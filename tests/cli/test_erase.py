"""`dragoman erase`: what a user wrote is in no byte of the data directory afterwards."""

import json
import threading
from contextlib import contextmanager

import httpx2
import pytest

from dragoman.demo.app import demo_app
from dragoman.server.auth import demo_user
from dragoman.testing import serve

pytestmark = pytest.mark.requirement("CORE-13")

MARK = "xylophone-7Qz"
LONG = 15.0


@pytest.fixture
def erase(dragoman, tmp_path):
    """`erase("--owner", …)` on a data directory of the test's own."""

    def run(*arguments, **more):
        return dragoman(["erase", *arguments, "--data", str(tmp_path / "data")], **more)[0]

    return run


@contextmanager
def serving(tmp_path):
    with serve(demo_app(), data=tmp_path / "data", demo=True) as server:
        yield server


def user(server, token):
    return httpx2.Client(base_url=server.url, headers={"authorization": f"Bearer {token}"}, timeout=LONG)


def ask(client, text, thread=None):
    body = {"message": {"text": text}, **({"thread": thread} if thread else {})}
    answer = client.post("/dragoman/v1/runs", json=body, headers={"accept": "text/event-stream"})
    assert answer.status_code == 200, answer.text
    return answer.headers["x-dragoman-run"]


def thread_of(client, run):
    return client.get(f"/dragoman/v1/runs/{run}").json()["thread"]


def attach(client, text):
    """A file in a message of a thread, and one that was never sent."""
    for used in (True, False):
        declared = {"name": f"{MARK}.txt", "size": len(text), "mime_type": "text/plain"}
        made = client.post("/chatkit", json={"type": "attachments.create", "params": declared}).json()
        target = made["upload_descriptor"]
        assert (
            client.request(target["method"], target["url"], content=text, headers=target["headers"]).status_code == 200
        )
        if used:
            message = {"content": [{"type": "input_text", "text": "files"}], "attachments": [made["id"]]}
            asked = client.post("/chatkit", json={"type": "threads.create", "params": {"input": message}})
            assert f"{MARK}.txt" in asked.text


def live_a_life(server, token):
    """Chats, a deleted one, an approval that waits, votes and settings, all with the mark in it."""
    with user(server, token) as client:
        for n in range(3):
            ask(client, f"echo: {MARK} {n} " + f"{MARK} " * 400)
        run = ask(client, f"echo: {MARK} to be deleted " + "filler " * 500)
        assert client.delete(f"/dragoman/v1/threads/{thread_of(client, run)}").status_code == 200
        waits = {"message": {"text": f"approve: create_bucket {MARK}"}}
        with client.stream("POST", "/dragoman/v1/runs", json=waits, headers={"accept": "text/event-stream"}) as answer:
            assert any("run.paused" in line for line in answer.iter_lines())
        attach(client, f"{MARK} in a file")
        settings = {"customInstructions": f"say {MARK}"}
        assert client.patch("/api/settings/user", json=settings).status_code == 200


def found_in(folder, mark=MARK):
    """Files that hold the mark in any byte, the log and leftovers included."""
    return [path.name for path in folder.rglob("*") if path.is_file() and mark.encode() in path.read_bytes()]


def test_after_an_erasure_the_text_is_in_no_byte_and_others_keep_theirs(erase, tmp_path):
    with serving(tmp_path) as server:
        live_a_life(server, "demo-ann")
        with user(server, "demo-bob") as bob:
            kept = ask(bob, "echo: what bob said")
    (tmp_path / "data" / "dragoman.db.before-0002").write_text(f"an old copy with {MARK}")
    assert len(found_in(tmp_path / "data")) >= 2
    done = erase("--token", "demo-ann", "--yes")
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith(f"erased user '{demo_user('demo-ann')}' of tenant 'demo': 5 threads, ")
    assert "deleted 1 copies" in done.stdout
    assert "overwrote the freed pages" in done.stdout
    assert found_in(tmp_path / "data") == []
    assert found_in(tmp_path / "data", demo_user("demo-ann")) == []
    with serving(tmp_path) as server, user(server, "demo-bob") as bob:
        assert bob.get(f"/dragoman/v1/runs/{kept}").status_code == 200
    assert erase("--token", "demo-ann", "--yes").stdout.count("there was nothing left") == 1


def test_beside_a_running_server_streams_end_and_the_text_is_gone(erase, tmp_path):
    with serving(tmp_path) as server, user(server, "demo-ann") as ann, user(server, "demo-bob") as bob:
        live_a_life(server, "demo-ann")
        under_way = {"message": {"text": "slow: 200 50"}, "title": MARK}
        events, ended = [], threading.Event()

        def read():
            with ann.stream(
                "POST", "/dragoman/v1/runs", json=under_way, headers={"accept": "text/event-stream"}
            ) as got:
                for line in got.iter_lines():
                    if line.startswith("data: "):
                        events.append(json.loads(line[6:]))
                        started.set()
            ended.set()

        started = threading.Event()
        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        assert started.wait(LONG)
        other = ask(bob, "echo: what bob said")
        done = erase("--owner", demo_user("demo-ann"), "--yes", "--json")
        assert done.exit_code == 0, done.stderr
        told = json.loads(done.stdout)
        assert (told["tenant"], told["owner"]) == ("demo", demo_user("demo-ann"))
        assert told["deleted"]["threads"] == 6
        assert ended.wait(LONG), "the reader of the erased run hangs"
        assert events[-1]["type"] not in ("run.completed", "run.failed")
        assert ann.get(f"/dragoman/v1/runs/{events[0]['run']}").status_code == 404
        assert ann.get("/dragoman/v1/threads").json()["threads"] == []
        assert bob.get(f"/dragoman/v1/runs/{other}").json()["status"] == "completed"
        ask(bob, "echo: the server goes on")
        assert found_in(tmp_path / "data") == []
    assert found_in(tmp_path / "data") == []


def test_the_keys_of_the_user_open_nothing_any_more(erase, dragoman, tmp_path):
    keys = ["--data", str(tmp_path / "data"), "--tenant", "acme"]
    key = dragoman(["keys", "create", "--new", "--user", "ann", *keys])[0].stdout.strip()
    dragoman(["keys", "create", "--new", "--user", "bob", *keys])
    done = erase("--token", "-", "--yes", input=f"{key}\n")
    assert done.stdout.splitlines()[:2] == [
        "erased user 'ann' of tenant 'acme': there was nothing left",
        "revoked 1 keys",
    ]
    listed = json.loads(dragoman(["keys", "list", "--json", "--data", str(tmp_path / "data")])[0].stdout)["keys"]
    assert {row["user"]: row["state"] for row in listed} == {"ann": "revoked", "bob": "valid"}
    assert erase("--owner", "ann", "--yes").exit_code == 0


def test_a_user_of_two_tenants_must_be_told_apart(erase, dragoman, tmp_path):
    for tenant in ("acme", "other"):
        dragoman(["keys", "create", "--new", "--user", "ann", "--data", str(tmp_path / "data"), "--tenant", tenant])
    done = erase("--owner", "ann", "--yes")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "--tenant (acme, other)" in done.stderr
    assert erase("--owner", "ann", "--tenant", "other", "--yes").exit_code == 0


def test_nothing_is_deleted_before_somebody_has_said_yes(erase, dragoman, tmp_path):
    dragoman(["keys", "create", "--new", "--user", "ann", "--data", str(tmp_path / "data"), "--tenant", "acme"])
    done = erase("--owner", "ann", input="n\n")
    assert done.exit_code == 130
    assert "everything of user 'ann' of tenant 'acme' will be deleted" in done.stderr
    listed = json.loads(dragoman(["keys", "list", "--json", "--data", str(tmp_path / "data")])[0].stdout)["keys"]
    assert listed[0]["state"] == "valid"


@pytest.mark.parametrize(
    "arguments",
    [[], ["--owner", "a", "--token", "demo-a"], ["--owner", ""], ["--owner", "a b"], ["--token", "what is this"]],
)
def test_a_user_that_cannot_be_meant_is_a_usage_error(erase, dragoman, tmp_path, arguments):
    dragoman(["keys", "create", "--new", "--data", str(tmp_path / "data")])
    done = erase(*arguments, "--yes")
    assert (done.exit_code, done.stdout) == (2, "")


def test_a_user_who_never_wrote_is_no_error(erase, dragoman, tmp_path):
    dragoman(["keys", "create", "--new", "--data", str(tmp_path / "data")])
    done = erase("--owner", "nobody", "--yes")
    assert (done.exit_code, done.stdout) == (0, "nothing of user 'nobody' is stored\n")


def test_there_must_be_a_store(erase, tmp_path):
    done = erase("--owner", "ann", "--yes")
    assert done.exit_code == 2
    assert "there is no store" in done.stderr
    assert not (tmp_path / "data").exists()
