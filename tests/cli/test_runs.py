import json

import pytest

from dragoman.core import events as ev

ROW = {
    "id": "run-1",
    "status": "completed",
    "agent": "demo",
    "created": 0.0,
    "usage": {"prompt_tokens": 3, "completion_tokens": 4},
    "error": None,
    "input": {"parts": [{"type": "text", "text": "a\x1b[2Jb"}]},
}


def test_runs_are_listed_as_columns(dragoman, server):
    result, port = dragoman(["runs", "list"], [server.answer({"runs": [ROW], "more": True})])
    head, row = result.stdout.splitlines()
    assert head.split() == ["RUN", "STATUS", "NAME", "CREATED", "TOKENS"]
    assert row.split()[:3] == ["run-1", "completed", "demo"]
    assert row.split()[-1] == "7"
    assert "--after run-1" in result.stderr
    assert port.requests[0].url.endswith("/dragoman/v1/runs?limit=20")


@pytest.mark.requirement("AIP-111")
def test_tokens_that_nobody_reported_are_not_zero(dragoman, server):
    unknown = ROW | {"usage": {"prompt_tokens": None, "completion_tokens": None, "total_tokens": None}}
    half = ROW | {"usage": {"prompt_tokens": 3, "completion_tokens": None, "total_tokens": 3}}
    result, _ = dragoman(["runs", "list"], [server.answer({"runs": [unknown, half], "more": False})])
    assert [row.split()[-1] for row in result.stdout.splitlines()[1:]] == ["-", "3"]


def test_filters_are_sent(dragoman, server):
    arguments = ["runs", "list", "--status", "paused", "--agent", "a b", "--thread", "t", "-n", "3", "--after", "r"]
    _, port = dragoman(arguments, [server.answer({"runs": [], "more": False})])
    assert port.requests[0].url.endswith("/runs?status=paused&agent=a+b&thread=t&limit=3&after=r")


def test_json_is_the_servers_answer(dragoman, server):
    page = {"runs": [ROW], "more": False}
    result, _ = dragoman(["runs", "list", "--json"], [server.answer(page)])
    assert json.loads(result.stdout) == page


def test_a_run_is_shown_field_by_field_without_control_characters(dragoman, server):
    result, port = dragoman(["runs", "show", "run/1"], [server.answer(ROW)])
    assert port.requests[0].url.endswith("/runs/run%2F1")
    assert "completed" in result.stdout
    assert "\x1b" not in result.stdout
    assert "error" not in result.stdout


def test_a_run_is_followed_to_its_end(dragoman, server):
    result, port = dragoman(
        ["runs", "tail", "run-1", "--after", "1"],
        [server.answer(ROW | {"last_seq": 5}), server.stream(*server.said("a"), server.done, start=2)],
    )
    assert (result.exit_code, result.stdout) == (0, "a\n")
    assert port.requests[1].headers["last-event-id"] == "1"


def test_following_a_run_can_approve(dragoman, server):
    script = [
        server.answer(ROW | {"last_seq": 5}),
        server.stream(server.created, *server.asked(), ev.RunPaused("approval", ("c1",))),
        server.answer({}),
        server.stream(*server.said("done"), server.done, start=6),
    ]
    result, port = dragoman(["runs", "tail", "run-1", "--approve"], script)
    assert (result.exit_code, result.stdout) == (0, "done\n")
    assert port.requests[2].url.endswith("/runs/run-1/approvals")


def test_a_pause_that_was_answered_long_ago_is_not_asked_again(dragoman, server):
    bodies = [
        server.created,
        *server.asked(),
        ev.RunPaused("approval", ("c1",)),
        ev.ToolApprovalDecided("c1", "approval-c1", True),
        ev.RunResumed(),
        *server.said("done"),
        server.done,
    ]
    script = [server.answer(ROW | {"last_seq": len(bodies)}), server.stream(*bodies)]
    result, port = dragoman(["runs", "tail", "run-1"], script, input="")
    assert (result.exit_code, result.stdout) == (0, "done\n")
    assert len(port.requests) == 2


@pytest.mark.parametrize(("cancelled", "words"), [(True, "cancelled\n"), (False, "the run had ended before\n")])
def test_a_run_is_cancelled(dragoman, server, cancelled, words):
    result, port = dragoman(["runs", "cancel", "run-1"], [server.answer({"cancelled": cancelled})])
    assert (result.exit_code, result.stdout) == (0, words)
    assert port.requests[0].method == "POST"


def test_an_unknown_run_is_one_line(dragoman, server):
    error = {"error": {"code": "not_found:run", "message": "There is no such run."}}
    result, _ = dragoman(["runs", "show", "x"], [server.answer(error, 404)])
    assert (result.exit_code, result.stderr) == (1, "error: There is no such run.\n")


def test_something_else_than_a_server_of_ours_is_named(dragoman, server):
    result, _ = dragoman(["runs", "list"], [server.answer([1])])
    assert result.exit_code == 1
    assert "is this a Dragoman server?" in result.stderr


def test_runs_of_flows_are_found_by_flow_kind_and_session(dragoman, server):
    arguments = ["runs", "list", "--kind", "job", "--flow", "a/b", "--session", "s"]
    result, port = dragoman(arguments, [server.answer({"runs": [ROW | {"agent": None, "flow": "a/b"}], "more": False})])
    assert result.stdout.splitlines()[1].split()[2] == "a/b"
    assert {"kind=job", "flow=a%2Fb", "session=s"} <= set(port.requests[0].url.partition("?")[2].split("&"))


TRACE = {
    "duration": 4.0,
    "steps": [
        {"key": "ask", "parent": None, "status": "completed", "start": 0.0, "duration": 4.0, "attempts": [{}]},
        {
            "key": "ask/model:1",
            "parent": "ask",
            "status": "completed",
            "start": 2.0,
            "duration": 2.0,
            "attempts": [{}, {}],
        },
    ],
    "waits": [{"reason": "client_tool", "start": 1.0, "duration": 1.0}],
}


@pytest.mark.requirement("NOU-28")
def test_a_run_is_drawn_as_a_timeline(dragoman, server):
    result, port = dragoman(["runs", "trace", "run-1"], [server.answer(TRACE)])
    head, ask, wait, model = result.stdout.splitlines()
    assert head.split() == ["STEP", "STATUS", "TRIES", "TOKENS", "START", "SECONDS", "TIMELINE"]
    assert (ask.count("█"), wait.count("·"), model.count("█")) == (40, 10, 20)
    assert wait.startswith("(client_tool)")
    assert model.startswith("  ask/model:1  completed  2")
    assert port.requests[0].url.endswith("/runs/run-1/trace")
    assert json.loads(dragoman(["runs", "trace", "run-1", "--json"], [server.answer(TRACE)])[0].stdout) == TRACE


def test_one_step_is_shown_field_by_field(dragoman, server):
    one = TRACE | {"steps": [TRACE["steps"][0] | {"output": {"a": 1}}]}
    result, port = dragoman(["runs", "trace", "run-1", "--step", "ask"], [server.answer(one)])
    assert '{"a": 1}' in result.stdout
    assert port.requests[0].url.endswith("?step=ask")
