"""Bad days of the machine: one clear line at the start, a clear refusal while running, nothing lost.

Real server processes. A full disk is a limit on the size of files that the running process gets; a
directory that cannot be written to is one for root as well, who is made to give that right up.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

pytestmark = pytest.mark.requirement("CORE-15")

LONG = 20.0
V1 = "/dragoman/v1"
SSE, JSON = {"accept": "text/event-stream"}, {"accept": "application/json"}
POSIX_ONLY = pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
LINUX_ONLY = pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits a process that runs")

# Linux asks root for nothing; without this right (CAP_DAC_OVERRIDE) it asks even root
POWERLESS = """
import ctypes, os, resource, sys
if os.geteuid() == 0 and sys.platform == "linux":
    ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)
if int(sys.argv[1]) >= 0:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
os.execv(sys.executable, [sys.executable, "-m", "dragoman", *sys.argv[2:]])
"""


def refused(data: Path, *, room: int = -1) -> str:
    """The one line with which `dragoman serve` ends that cannot start on this data."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("DRAGOMAN_")}
    how = ["-m", "dragoman"] if os.name == "nt" else ["-c", POWERLESS, str(room)]
    command = [sys.executable, *how, "serve", "--demo", "--port", "0", "--data", str(data)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=clean)
    assert (ended.returncode, ended.stdout) == (2, ""), ended
    lines = ended.stderr.splitlines()
    assert len(lines) == 1, ended.stderr
    assert lines[0].startswith("error: ")
    return lines[0]


class User:
    """Somebody who talks to a server and remembers what was acknowledged."""

    def __init__(self, url: str, token: str = "demo-ann") -> None:
        self.client = httpx2.Client(base_url=url, timeout=LONG, headers={"authorization": f"Bearer {token}"})
        self.seen: dict[str, list[str]] = {}

    def ask(self, text: str) -> str:
        answer = self.client.post(V1 + "/runs", json={"message": {"text": text}}, headers=SSE)
        assert answer.status_code == 200, answer.text
        run = answer.headers["x-dragoman-run"]
        self.seen[run] = [line for line in answer.text.splitlines() if line.startswith("data: ")]
        return run

    def events(self, run: str) -> list[str]:
        answer = self.client.get(f"{V1}/runs/{run}/events", headers=SSE)
        assert answer.status_code == 200, answer.text
        return [line for line in answer.text.splitlines() if line.startswith("data: ")]


@pytest.fixture
def user() -> Iterator[Callable[..., User]]:
    made: list[User] = []

    def make(server: Any) -> User:
        made.append(User(server.url))
        return made[-1]

    yield make
    for one in made:
        one.client.close()


def test_data_of_a_newer_version_is_refused_and_left_as_it_is(
    serve: Callable[..., Any], user: Any, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    server = serve(data=data)
    ann = user(server)
    run = ann.ask("echo: before")
    server.stop()
    file = data / "dragoman.db"

    def version(sql: str) -> None:
        with sqlite3.connect(file) as db:
            db.execute(sql)
        db.close()

    version("INSERT INTO migrations VALUES (999, 'of_tomorrow', 0)")
    before = file.read_bytes()
    assert "schema 999" in (line := refused(data))
    assert "newer version of dragoman" in line
    assert file.read_bytes() == before
    version("DELETE FROM migrations WHERE number = 999")
    assert user(serve(data=data)).events(run) == ann.seen[run]


@POSIX_ONLY
def test_a_directory_that_cannot_be_written_to_is_one_line(
    serve: Callable[..., Any], user: Any, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    server = serve(data=data)
    ann = user(server)
    run = ann.ask("echo: before")
    server.stop()
    files = [data, *data.iterdir()]
    modes = {path: path.stat().st_mode & 0o777 for path in files}
    try:
        for path in reversed(files):
            path.chmod(0o555 if path.is_dir() else 0o444)
        assert "Permission denied" in refused(data)
        (data / "dragoman.db").chmod(0o600)
        assert str(data) in refused(data)  # now the directory alone cannot be written to
        assert "Permission denied" in refused(data / "below" / "it")
    finally:
        for path, mode in modes.items():
            path.chmod(mode)
    assert user(serve(data=data)).events(run) == ann.seen[run]


@POSIX_ONLY
@pytest.mark.parametrize("room", [0, 10_000])
def test_a_disk_that_is_full_at_the_start_is_one_line(tmp_path: Path, room: int) -> None:
    assert "cannot" in refused(tmp_path / "data", room=room)


@LINUX_ONLY
def test_a_disk_that_fills_up_refuses_in_each_faces_words_and_goes_on_when_there_is_room(
    serve: Callable[..., Any], user: Any, tmp_path: Path
) -> None:
    import resource  # of Unix only

    server = serve(data=tmp_path / "data")
    ann = user(server)
    kept = ann.ask("echo: before")
    with ann.client.stream("POST", V1 + "/runs", json={"message": {"text": "slow: 20 50"}}, headers=SSE) as answer:
        run = answer.headers["x-dragoman-run"]
        lines = (line for line in answer.iter_lines() if line.startswith("data: "))
        first = [next(lines) for _ in range(6)]
    pid, log = server.process.pid, tmp_path / "data" / "dragoman.db-wal"
    limits = resource.prlimit(pid, resource.RLIMIT_FSIZE)  # type: ignore[attr-defined]  # Linux
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (log.stat().st_size, limits[1]))  # type: ignore[attr-defined]
    own = ann.client.post(V1 + "/runs", json={"message": {"text": "echo: full"}})
    kai = ann.client.post(
        "/api/chat",
        json={"id": "c1", "message": {"id": "m1", "role": "user", "parts": [{"type": "text", "text": "echo: x"}]}},
    )
    assert (own.status_code, own.json()["error"]["code"]) == (503, "unavailable"), own.text
    assert (kai.status_code, kai.json()["code"]) == (503, "offline:chat"), kai.text
    assert own.headers["retry-after"] == kai.headers["retry-after"] == "5"
    assert ann.client.get("/health/ready").status_code == 503
    assert ann.client.get("/health/live").status_code == 200
    assert ann.events(kept) == ann.seen[kept]  # what is stored can be read all the while
    resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)  # type: ignore[attr-defined]
    assert ann.client.get("/health/ready").status_code == 200
    ann.ask("echo: there is room again")
    whole = ann.events(run)  # ends when the run does
    assert whole[: len(first)] == first
    assert '"run.completed"' in whole[-1]
    assert [f'"seq":{n},' in line for n, line in enumerate(whole, 1)] == [True] * len(whole)
    server.kill()
    again = user(serve(data=tmp_path / "data"))
    assert again.events(run) == whole
    assert again.events(kept) == ann.seen[kept]


def many_runs(serve: Callable[..., Any], user: Any, data: Path) -> Any:
    server = serve(data=data)
    ann = user(server)
    for n in range(12):
        ann.ask(f"echo: {n} " + "words and words " * 400)
    server.stop()
    return ann


def test_a_last_page_that_is_garbage_costs_what_lay_on_it_and_nothing_else(
    serve: Callable[..., Any], user: Any, tmp_path: Path
) -> None:
    ann = many_runs(serve, user, tmp_path / "data")
    file = tmp_path / "data" / "dragoman.db"
    whole = file.read_bytes()
    file.write_bytes(whole[:-4096] + b"\xa5" * 4096)
    again = user(serve(data=tmp_path / "data"))
    answers = {run: again.client.get(f"{V1}/runs/{run}/events?limit=10000", headers=JSON) for run in ann.seen}
    statuses = [answer.status_code for answer in answers.values()]
    assert set(statuses) <= {200, 503}
    assert statuses.count(200) >= len(statuses) - 2
    for answer in answers.values():
        if answer.status_code == 503:
            assert answer.json()["error"]["code"] == "unavailable"
    again.ask("echo: the server goes on")


def test_a_file_that_lost_its_last_page_is_one_line_that_says_what_helps(
    serve: Callable[..., Any], user: Any, tmp_path: Path
) -> None:
    ann = many_runs(serve, user, tmp_path / "data")
    file = tmp_path / "data" / "dragoman.db"
    whole = file.read_bytes()
    file.write_bytes(whole[:-4096])
    line = refused(tmp_path / "data")
    assert "malformed" in line
    assert "dragoman restore" in line
    file.write_bytes(whole)
    again = user(serve(data=tmp_path / "data"))
    assert {run: again.events(run) for run in ann.seen} == ann.seen


class Wayward:
    """A clock that somebody sets."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        self.now += 0.001
        return self.now


async def test_a_clock_that_jumps_back_an_hour_loses_and_reorders_nothing(
    start_inside: Callable[..., Awaitable[Any]],
) -> None:
    clock = Wayward()
    inside = await start_inside(clock=clock)

    async def ask(text: str, **more: Any) -> str:
        body = {"message": {"text": text}, **more}
        run: str = (await inside.ask("POST", V1 + "/runs", body, headers=SSE)).headers["x-dragoman-run"]
        return run

    async def get(path: str) -> Any:
        answer = await inside.ask("GET", path, headers=JSON)
        assert answer.status == 200, answer.text
        return answer.json()

    first = await ask("echo: one")
    thread = (await get(f"{V1}/runs/{first}"))["thread"]
    waits = (await inside.ask("POST", V1 + "/runs", {"message": {"text": "approve: create_bucket b"}})).json()["id"]
    tail = inside.services.engine.events(waits)
    async for event in tail:
        if event.body.type == "run.paused":
            call = event.body.calls[0]
            break
    await tail.aclose()
    clock.now -= 3600
    second = await ask("echo: two", thread=thread)
    decision = {"decisions": [{"call": call, "approved": True}]}
    assert (await inside.ask("POST", f"{V1}/runs/{waits}/approvals", decision)).status == 200
    assert [event.body.type async for event in inside.services.engine.events(waits)][-1] == "run.completed"
    runs = [run["id"] for run in (await get(V1 + "/runs"))["runs"]]
    assert runs == [second, waits, first]
    items = (await get(f"{V1}/threads/{thread}/items"))["items"]
    assert [item["run"] for item in items] == [first, first, second, second]
    for run in runs:
        events = (await get(f"{V1}/runs/{run}/events"))["events"]
        assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
        assert events[-1]["type"] == "run.completed"
    assert (await inside.ask("GET", "/health/ready")).status == 200
    metrics = (await inside.ask("GET", "/metrics")).text
    assert 'dragoman_run_seconds_count{state="completed"} 3' in metrics
