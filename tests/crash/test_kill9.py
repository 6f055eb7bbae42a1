"""`kill -9` at four moments: a restarted server goes on as DESIGN.md promises.

A real server process, a real client over a socket, a real SIGKILL. What was acknowledged is
there afterwards, a reader that re-attaches sees no event lost, doubled or renumbered, and no
tool that must not runs twice, counted in a file outside the server. All of it twice: with the
scripted model inside the server, and with it behind the wire of a provider.
"""

from collections.abc import Iterator

import pytest
from prove.killable import Killable
from prove.server import Server
from prove.wire import Wire


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


@pytest.mark.requirement("KAI-68", "CORE-02")
def test_killed_while_streaming_the_answer_is_made_again_whole(server: Killable) -> None:
    run = server.ask("slow: 8 100")["id"]
    seen = server.read_until(run, "block.delta", 3)
    with server.nothing_renumbered(run, seen) as rest:
        assert "step.restarted" in [event["type"] for event in rest]
        assert rest[-1]["type"] == "run.completed"
    assert server.text() == "1 2 3 4 5 6 7 8"


@pytest.mark.requirement("KAI-68", "CORE-02")
def test_killed_before_the_first_token_the_accepted_message_is_answered(server: Killable) -> None:
    run = server.ask("slow: 2 700")["id"]
    with server.nothing_renumbered(run, []) as rest:
        assert rest[-1]["type"] == "run.completed"
    assert server.text() == "1 2"


@pytest.mark.requirement("KAI-68", "CORE-02")
def test_killed_in_a_tool_that_must_not_run_twice_the_model_learns_of_it(server: Killable) -> None:
    run = server.ask("approve: create_bucket ms30000-one")["id"]
    seen = server.read_until(run, "run.paused")
    call = seen[-1]["payload"]["calls"][0]
    body = {"decisions": [{"call": call, "approved": True}]}
    assert server.client.post(f"/dragoman/v1/runs/{run}/approvals", json=body).status_code == 200
    server.wait_for_trace("ms30000-one")
    with server.nothing_renumbered(run, seen) as rest:
        failed = [event["payload"] for event in rest if event["type"] == "tool.failed"]
        assert [f["message"] for f in failed] == ["interrupted"]
        assert rest[-1]["type"] == "run.completed"
    assert server.tool_runs("ms30000-one") == 1


@pytest.mark.requirement("KAI-68", "CORE-02")
def test_killed_in_a_read_only_tool_it_is_simply_run_again(server: Killable) -> None:
    run = server.ask("tool: add 99 1")["id"]
    server.wait_for_trace("add 99 1")
    with server.nothing_renumbered(run, []) as rest:
        assert rest[-1]["type"] == "run.completed"
    assert server.tool_runs("add 99 1") == 2
    assert server.text() == "100"


@pytest.mark.requirement("KAI-68", "CORE-02")
def test_killed_while_waiting_for_approval_the_question_can_still_be_answered_once(server: Killable) -> None:
    run = server.ask("approve: create_bucket one")["id"]
    seen = server.read_until(run, "run.paused")
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
    seen = server.read_until(run, "run.paused")
    body = {"decisions": [{"call": seen[-1]["payload"]["calls"][0], "approved": False, "reason": "no"}]}
    assert server.client.post(f"/dragoman/v1/runs/{run}/approvals", json=body).status_code == 200
    with server.nothing_renumbered(run, seen) as rest:
        assert rest[-1]["type"] == "run.completed"
    assert server.tool_runs("two") == 0
    assert server.text() == "denied"
