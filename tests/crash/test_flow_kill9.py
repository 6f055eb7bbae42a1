"""`kill -9` in a flow, in a job, in the queue, in a paused tool call: finished steps never run again.

What ran is counted in a file outside the server. A step that was under way begins anew, and the trace
says so: an interrupted attempt, and the one after it.
"""

from collections.abc import Iterator

import pytest
from prove.killable import Killable
from prove.server import Server
from prove.work import PARTS, TEN, TOOL

INTERRUPTED_ONCE = [("failed", "interrupted"), ("completed", None)]
DONE = [("completed", None)]
TOOLS = [{"name": TOOL, "description": "", "parameters": {"type": "object", "properties": {}}}]
NUMBERS = " ".join(map(str, range(1, TEN + 1)))


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("crash-flows"))
    yield made
    made.close()


@pytest.fixture
def server(process: Server) -> Iterator[Killable]:
    made = Killable(process)
    yield made
    made.kill()


@pytest.mark.requirement("CORE-02", "NOU-89")
@pytest.mark.parametrize("job", [False, True], ids=["run", "job"])
def test_killed_in_the_fifth_of_ten_steps_only_that_one_begins_anew(server: Killable, job: bool) -> None:
    run = server.start_flow("ten", {"message": "go", "parameters": {"stop": "s5"}}, job=job)
    seen = server.read_until(run, "step.completed", 4)
    server.wait_for_trace(f"{run} s5 1 begin")
    with server.nothing_renumbered(run, seen) as rest:
        restarted = [event for event in rest if event["type"] == "step.restarted"]
        assert [(event["step"], event["payload"]["attempt"]) for event in restarted] == [("s5", 2)]
        assert rest[-1]["type"] == "run.completed"
        assert rest[-1]["payload"]["result"] == f"go {NUMBERS}"
    steps = [f"s{number}" for number in range(1, TEN + 1)]
    assert server.begun(run) == {step: 2 if step == "s5" else 1 for step in steps}
    assert server.attempts(run) == {step: INTERRUPTED_ONCE if step == "s5" else DONE for step in steps}


@pytest.mark.requirement("CORE-02")
def test_killed_in_a_function_what_its_steps_gave_is_kept(server: Killable) -> None:
    run = server.start_flow("inner", {"message": "go", "parameters": {"stop": "p3"}})
    server.wait_for_trace(f"{run} p3 1 begin")
    with server.nothing_renumbered(run, []) as rest:
        parts = [f"p{number}" for number in range(1, PARTS + 1)]
        assert rest[-1]["payload"]["result"] == " ".join(("go", *parts))
    assert server.begun(run) == {part: 2 if part == "p3" else 1 for part in parts}
    told = server.attempts(run)
    assert {part: told[part] for part in parts} == {part: INTERRUPTED_ONCE if part == "p3" else DONE for part in parts}


@pytest.mark.requirement("CORE-02")
def test_killed_in_an_agents_step_a_tool_that_must_not_does_not_run_twice(server: Killable) -> None:
    run = server.start_flow("clerk", {"message": "approve: create_bucket ms30000-clerk"})
    server.wait_for_trace("ms30000-clerk")
    with server.nothing_renumbered(run, []) as rest:
        assert rest[-1]["payload"]["result"] == "create_bucket failed: interrupted 2"
    assert server.tool_runs("ms30000-clerk") == 1


@pytest.mark.requirement("CORE-02")
def test_killed_while_a_model_speaks_its_step_is_made_again_whole(server: Killable) -> None:
    run = server.start_flow("talk", {"message": "slow: 8 100"})
    seen = server.read_until(run, "block.delta", 3)
    with server.nothing_renumbered(run, seen) as rest:
        assert "step.restarted" in [event["type"] for event in rest]
        assert rest[-1]["payload"]["result"] == "1 2 3 4 5 6 7 8"
    assert server.begun(run) == {"s1": 1}


@pytest.mark.requirement("CORE-02", "NOU-96")
@pytest.mark.parametrize("job", [False, True], ids=["run", "job"])
def test_killed_while_a_tool_call_is_open_its_output_is_still_taken_once(server: Killable, job: bool) -> None:
    run = server.start_flow("tool", {"message": "go", "tools": TOOLS}, job=job)
    seen = server.read_until(run, "run.paused")
    server.kill()
    server.start()
    assert server.get(f"runs/{run}")["status"] == "paused"
    outputs = {"outputs": dict.fromkeys(seen[-1]["payload"]["calls"], "found")}
    answers = [server.post(f"runs/{run}/continue", outputs) for _ in range(3)]
    assert [answer["outcome"] for answer in answers] == ["resumed", "repeated", "repeated"]
    rest = list(server.events(run, after=seen[-1]["seq"]))
    assert rest[-1]["payload"]["result"] == "go 1 found 2 3"
    assert [event["seq"] for event in seen + rest] == list(range(1, len(seen + rest) + 1))
    assert server.begun(run) == {"s1": 1, "s2": 1, "s3": 1}


@pytest.mark.requirement("CORE-02", "NOU-97")
def test_an_output_that_was_acknowledged_survives_the_kill(server: Killable) -> None:
    run = server.start_flow("tool", {"message": "go", "tools": TOOLS})
    seen = server.read_until(run, "run.paused")
    outputs = {"outputs": dict.fromkeys(seen[-1]["payload"]["calls"], "found")}
    assert server.post(f"runs/{run}/continue", outputs)["outcome"] == "resumed"
    with server.nothing_renumbered(run, seen) as rest:
        assert [event["type"] for event in rest].count("run.resumed") == 1
        assert rest[-1]["payload"]["result"] == "go 1 found 2 3"
    assert server.post(f"runs/{run}/continue", outputs)["outcome"] == "repeated"
    assert server.begun(run)["s1"] == 1


@pytest.mark.requirement("CORE-02", "NOU-89")
def test_jobs_that_wait_in_the_queue_outlive_the_kill_and_run_once(server: Killable) -> None:
    holding = [server.start_flow("ten", {"message": "go", "parameters": {"stop": "s1"}}, job=True) for _ in range(4)]
    for run in holding:
        server.wait_for_trace(f"{run} s1 1 begin")
    waiting = [server.start_flow("ten", {"message": "go"}, job=True) for _ in range(6)]
    assert {server.get(f"runs/{run}")["status"] for run in waiting} == {"queued"}
    server.kill()
    server.start()
    for run in (*holding, *waiting):
        assert list(server.events(run))[-1]["payload"]["result"] == f"go {NUMBERS}"
    assert [server.begun(run) for run in waiting] == [{f"s{n}": 1 for n in range(1, TEN + 1)}] * 6
    assert [server.begun(run)["s1"] for run in holding] == [2] * 4
