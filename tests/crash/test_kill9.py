"""`kill -9` at four moments: a restarted server goes on as DESIGN.md promises.

A real server process, a real client over a socket, a real SIGKILL. What was acknowledged is
there afterwards, a reader that re-attaches sees no event lost, doubled or renumbered, and no
tool that must not runs twice, counted in a file outside the server. All of it twice: with the
scripted model inside the server, and with it behind the wire of a provider.
"""

import asyncio
import json
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest
from prove.server import Server
from prove.wire import Wire

LONG = 20.0


class Killable:
    """One user of a server that can be killed and started again on the same data."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._token = {"authorization": f"Bearer crash.{uuid.uuid4().hex}"}
        self.start()

    def start(self) -> None:
        asyncio.run(self._server.start())
        self.client = httpx2.Client(base_url=self._server.url, headers=self._token, timeout=LONG, trust_env=False)

    def kill(self) -> None:
        self._server.kill()
        self.client.close()

    def ask(self, text: str) -> dict[str, Any]:
        answer = self.client.post("/dragoman/v1/runs", json={"message": {"id": "m1", "text": text}})
        assert answer.status_code == 201, answer.text
        self.thread = answer.json()["thread"]
        return dict(answer.json())

    def get(self, path: str) -> dict[str, Any]:
        answer = self.client.get(f"/dragoman/v1/{path}", headers={"accept": "application/json"})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def events(self, run: str, *, after: int = 0) -> Iterator[dict[str, Any]]:
        headers = {"accept": "text/event-stream", "last-event-id": str(after)}
        with self.client.stream("GET", f"/dragoman/v1/runs/{run}/events", headers=headers) as answer:
            for line in answer.iter_lines():
                if line.startswith("data: "):
                    yield json.loads(line[6:])

    def tool_runs(self, word: str) -> int:
        return self._server.tool_runs(word)

    def wait_for_trace(self, word: str) -> None:
        deadline = time.monotonic() + LONG
        while not self.tool_runs(word):
            assert time.monotonic() < deadline, f"the tool did not begin within {LONG} s"
            time.sleep(0.01)

    def text(self) -> str:
        items = self.get(f"threads/{self.thread}/items")["items"]
        return "".join(i["body"]["text"] for i in items if i["kind"] == "message" and i["role"] == "assistant")


@pytest.fixture(scope="module", params=["scripted model", "real wire"])
def process(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Wire() as wire:
        settings = {"PROVE_WIRE": wire.url} if request.param == "real wire" else {}
        made = Server(tmp_path_factory.mktemp("crash"), settings=settings)
        yield made
        made.close()
        assert bool(wire.seen) is (request.param == "real wire")


@pytest.fixture
def server(process: Server) -> Iterator[Killable]:
    made = Killable(process)
    yield made
    made.kill()


@contextmanager
def nothing_renumbered(server: Killable, run: str, seen: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Kill and restart around the block; then what was seen before is still there, as it was."""
    server.kill()
    server.start()
    rest = list(server.events(run, after=seen[-1]["seq"] if seen else 0))
    yield rest
    whole = list(server.events(run))
    assert seen + rest == whole
    assert [event["seq"] for event in whole] == list(range(1, len(whole) + 1))


def read_until(server: Killable, run: str, kind: str, count: int = 1) -> list[dict[str, Any]]:
    seen: list[dict[str, Any]] = []
    for event in server.events(run):
        seen.append(event)
        if sum(e["type"] == kind for e in seen) >= count:
            return seen
    raise AssertionError(f"the run ended before {count} of {kind}")


@pytest.mark.requirement("KAI-68", "CORE-02")
def test_killed_while_streaming_the_answer_is_made_again_whole(server: Killable) -> None:
    run = server.ask("slow: 8 100")["id"]
    seen = read_until(server, run, "block.delta", 3)
    with nothing_renumbered(server, run, seen) as rest:
        assert "step.restarted" in [event["type"] for event in rest]
        assert rest[-1]["type"] == "run.completed"
    assert server.text() == "1 2 3 4 5 6 7 8"


@pytest.mark.requirement("KAI-68", "CORE-02")
def test_killed_before_the_first_token_the_accepted_message_is_answered(server: Killable) -> None:
    run = server.ask("slow: 2 700")["id"]
    with nothing_renumbered(server, run, []) as rest:
        assert rest[-1]["type"] == "run.completed"
    assert server.text() == "1 2"


@pytest.mark.requirement("KAI-68", "CORE-02")
def test_killed_in_a_tool_that_must_not_run_twice_the_model_learns_of_it(server: Killable) -> None:
    run = server.ask("approve: create_bucket ms30000-one")["id"]
    seen = read_until(server, run, "run.paused")
    call = seen[-1]["payload"]["calls"][0]
    body = {"decisions": [{"call": call, "approved": True}]}
    assert server.client.post(f"/dragoman/v1/runs/{run}/approvals", json=body).status_code == 200
    server.wait_for_trace("ms30000-one")
    with nothing_renumbered(server, run, seen) as rest:
        failed = [event["payload"] for event in rest if event["type"] == "tool.failed"]
        assert [f["message"] for f in failed] == ["interrupted"]
        assert rest[-1]["type"] == "run.completed"
    assert server.tool_runs("ms30000-one") == 1


@pytest.mark.requirement("KAI-68", "CORE-02")
def test_killed_in_a_read_only_tool_it_is_simply_run_again(server: Killable) -> None:
    run = server.ask("tool: add 99 1")["id"]
    server.wait_for_trace("add 99 1")
    with nothing_renumbered(server, run, []) as rest:
        assert rest[-1]["type"] == "run.completed"
    assert server.tool_runs("add 99 1") == 2
    assert server.text() == "100"


@pytest.mark.requirement("KAI-68", "CORE-02")
def test_killed_while_waiting_for_approval_the_question_can_still_be_answered_once(server: Killable) -> None:
    run = server.ask("approve: create_bucket one")["id"]
    seen = read_until(server, run, "run.paused")
    server.kill()
    server.start()
    assert server.get(f"runs/{run}")["status"] == "paused"
    body = {"decisions": [{"call": seen[-1]["payload"]["calls"][0], "approved": True}]}
    answers = [server.client.post(f"/dragoman/v1/runs/{run}/approvals", json=body) for _ in range(3)]
    assert [a.json()["outcome"] for a in answers] == ["accepted", "repeated", "repeated"]
    rest = list(server.events(run, after=seen[-1]["seq"]))
    assert rest[-1]["type"] == "run.completed"
    assert [e["seq"] for e in seen + rest] == list(range(1, len(seen + rest) + 1))
    assert server.tool_runs("one") == 1
    assert server.text() == "created one"


def test_a_decision_that_was_acknowledged_survives_the_kill(server: Killable) -> None:
    run = server.ask("approve: create_bucket two")["id"]
    seen = read_until(server, run, "run.paused")
    body = {"decisions": [{"call": seen[-1]["payload"]["calls"][0], "approved": False, "reason": "no"}]}
    assert server.client.post(f"/dragoman/v1/runs/{run}/approvals", json=body).status_code == 200
    with nothing_renumbered(server, run, seen) as rest:
        assert rest[-1]["type"] == "run.completed"
    assert server.tool_runs("two") == 0
    assert server.text() == "denied"
