"""`dragoman backup` beside a busy server, and `dragoman restore`: what was acknowledged comes back as it was."""

import json
import threading

import httpx2
import pytest

from dragoman.demo.app import demo_app
from dragoman.store.schema import load_migrations
from dragoman.testing import serve

pytestmark = pytest.mark.requirement("CORE-14")

LONG = 20.0
SSE = {"accept": "text/event-stream"}


def client(server):
    return httpx2.Client(base_url=server.url, headers={"authorization": "Bearer demo-ann"}, timeout=LONG)


def events(answer):
    assert answer.status_code == 200, answer.text
    return [line for line in answer.text.splitlines() if line.startswith("data: ")]


def test_what_was_acknowledged_before_a_backup_under_load_is_served_again_from_it(dragoman, tmp_path):
    acknowledged, enough, stop = {}, threading.Event(), threading.Event()

    def load(server, n):
        with client(server) as one:
            while not stop.is_set():
                answer = one.post("/dragoman/v1/runs", json={"message": {"text": f"count: {40 + n}"}}, headers=SSE)
                acknowledged[answer.headers["x-dragoman-run"]] = events(answer)
                if len(acknowledged) > 30:
                    enough.set()

    with serve(demo_app(), data=tmp_path / "data", demo=True) as server:
        threads = [threading.Thread(target=load, args=(server, n), daemon=True) for n in range(4)]
        for thread in threads:
            thread.start()
        assert enough.wait(LONG)
        before = dict(acknowledged)
        done, _ = dragoman(["backup", str(tmp_path / "backup"), "--data", str(tmp_path / "data"), "--json"])
        under_way = len(acknowledged)
        stop.set()
        for thread in threads:
            thread.join(LONG)
    assert done.exit_code == 0, done.stderr
    assert len(acknowledged) >= under_way
    assert json.loads(done.stdout)["runs"] >= len(before)
    back, _ = dragoman(["restore", str(tmp_path / "backup"), "--data", str(tmp_path / "new")])
    assert back.exit_code == 0, back.stderr
    assert back.stdout.startswith("restored ")
    assert back.stdout.rstrip().endswith(f"schema {load_migrations()[-1].number}, checked")
    with serve(demo_app(), data=tmp_path / "new", demo=True) as server, client(server) as one:
        for run, seen in before.items():
            assert events(one.get(f"/dragoman/v1/runs/{run}/events", headers=SSE)) == seen


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_nothing_is_written_over(dragoman, tmp_path, command):
    dragoman(["keys", "create", "--new", "--data", str(tmp_path / "data")])
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("x")
    arguments = {
        "backup": ["backup", str(tmp_path / "full"), "--data", str(tmp_path / "data")],
        "restore": ["restore", str(tmp_path / "data"), "--data", str(tmp_path / "full")],
    }
    done, _ = dragoman(arguments[command])
    assert (done.exit_code, done.stdout) == (2, "")
    assert "holds 'mine'" in done.stderr
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine"]


def test_a_directory_that_a_server_uses_is_not_restored_over(dragoman, tmp_path):
    with serve(demo_app(), data=tmp_path / "data", demo=True):
        dragoman(["backup", str(tmp_path / "backup"), "--data", str(tmp_path / "data")])
        done, _ = dragoman(["restore", str(tmp_path / "backup"), "--data", str(tmp_path / "data")])
    assert done.exit_code == 2
    assert "is in use by process" in done.stderr
