import json

import pytest

from dragoman.core import events as ev
from dragoman.core.errors import ConnectionFailed, ConnectionLost

ARGUMENTS = {"name": "photos", "size": 3}


def paused(call="c1", reason="approval"):
    return ev.RunPaused(reason, (call,))


def created_bucket():
    return [
        ev.ToolApprovalDecided("c1", "approval-c1", True),
        ev.RunResumed(),
        ev.ToolOutput("c1", "create_bucket", {"name": "photos"}),
    ]


def decisions(port):
    return [json.loads(r.body)["decisions"] for r in port.requests if r.url.endswith("/approvals")]


def test_the_answer_alone_goes_to_stdout(dragoman, server):
    call = [ev.ToolStarted("c", "add"), ev.ToolInput("c", "add", {"a": 2, "b": 3}), ev.ToolOutput("c", "add", 5)]
    result, _ = dragoman(
        ["chat", "tool: add 2 3"], [server.stream(server.created, *call, *server.said("5"), server.done)]
    )
    assert (result.exit_code, result.stdout) == (0, "5\n")
    assert '[add {"a": 2, "b": 3}]' in result.stderr
    assert "[add → 5]" in result.stderr


def test_reasoning_is_a_remark(dragoman, server):
    thought = server.said("thinking", kind="reasoning")
    result, _ = dragoman(["chat", "x"], [server.stream(server.created, *thought, *server.said("so"), server.done)])
    assert (result.stdout, result.stderr) == ("so\n", "thinking\n")


def test_thread_and_agent_are_sent(dragoman, server):
    _, port = dragoman(["chat", "x", "--thread", "t9", "--agent", "a"], [server.stream(server.created, server.done)])
    body = json.loads(port.requests[0].body)
    assert (body["thread"], body["agent"], body["message"]["text"]) == ("t9", "a", "x")


def test_a_key_and_a_url_come_from_the_environment(dragoman, server):
    env = {"DRAGOMAN_URL": "https://host.example/x/", "DRAGOMAN_KEY": "dk_1_2"}
    _, port = dragoman(["chat", "x"], [server.stream(server.created, server.done)], env=env)
    assert port.requests[0].url == "https://host.example/x/dragoman/v1/runs"
    assert port.requests[0].headers["authorization"] == "Bearer dk_1_2"


def test_a_lost_connection_is_not_seen_in_the_answer(dragoman, server):
    body = server.said("one ", "two")
    script = [
        server.stream(server.created, *body[:2], broken=ConnectionLost("gone")),
        server.stream(*body[2:], server.done, start=4),
    ]
    result, port = dragoman(["chat", "x"], script)
    assert (result.exit_code, result.stdout) == (0, "one two\n")
    assert port.requests[1].headers["last-event-id"] == "3"


@pytest.mark.parametrize(
    ("arguments", "typed", "approved"),
    [
        ([], "y\n", True),
        ([], "what?\nNO\n", False),
        (["--approve"], "", True),
        (["--deny"], "", False),
    ],
)
def test_a_tool_is_approved_or_denied_with_its_exact_arguments(dragoman, server, arguments, typed, approved):
    script = [
        server.stream(server.created, *server.asked(**ARGUMENTS), paused()),
        server.answer({}),
        server.stream(*created_bucket(), *server.said("created photos"), server.done, start=6),
    ]
    result, port = dragoman(["chat", "x", *arguments], script, input=typed)
    assert (result.exit_code, result.stdout) == (0, "created photos\n")
    assert decisions(port) == [[{"call": "c1", "approved": approved}]]
    assert json.dumps(ARGUMENTS) in result.stderr
    assert port.requests[2].headers["last-event-id"] == "5"


def test_each_pending_tool_is_asked_for(dragoman, server):
    both = [*server.asked("create_bucket", "c1"), *server.asked("drop", "c2")]
    script = [
        server.stream(server.created, *both, ev.RunPaused("approval", ("c1", "c2"))),
        server.answer({}),
        server.stream(server.done, start=9),
    ]
    result, port = dragoman(["chat", "x"], script, input="y\nn\n")
    assert decisions(port) == [[{"call": "c1", "approved": True}, {"call": "c2", "approved": False}]]
    assert "drop wants to run" in result.stderr


def test_without_an_answer_the_run_waits(dragoman, server):
    result, port = dragoman(["chat", "x"], [server.stream(server.created, *server.asked(), paused())], input="")
    assert result.exit_code == 5
    assert f"dragoman runs tail {server.run}" in result.stderr
    assert decisions(port) == []


def test_the_command_to_go_on_with_names_a_server_that_it_would_not_find(dragoman, server):
    script = [server.stream(server.created, *server.asked(), paused())]
    result, _ = dragoman(["chat", "x", "--url", "http://127.0.0.1:8099/"], script, input="")
    assert f"`dragoman runs tail {server.run} --url http://127.0.0.1:8099`" in result.stderr
    result, _ = dragoman(["chat", "x"], script, input="", env={"DRAGOMAN_URL": "http://127.0.0.1:8099"})
    assert f"`dragoman runs tail {server.run}`" in result.stderr


def test_a_decision_that_somebody_else_made_first_is_read_from_the_run(dragoman, server):
    script = [
        server.stream(server.created, *server.asked(), paused()),
        server.answer({"error": {"code": "conflict:approval", "message": "It was decided already."}}, 409),
        server.stream(ev.ToolDenied("c1", "create_bucket"), *server.said("denied"), server.done, start=6),
    ]
    result, _ = dragoman(["chat", "x", "--approve"], script)
    assert (result.exit_code, result.stdout) == (0, "denied\n")
    assert "decided already" in result.stderr


def test_what_only_another_client_can_answer_waits(dragoman, server):
    call = [ev.ToolStarted("c1", "get_place"), ev.ToolInput("c1", "get_place", {}, client=True)]
    result, _ = dragoman(["chat", "x"], [server.stream(server.created, *call, paused(reason="client_tool"))])
    assert result.exit_code == 5
    assert "get_place" in result.stderr


@pytest.mark.parametrize(
    ("end", "code", "words"),
    [
        (ev.RunFailed("model_error", "out\nof ink"), 3, "error: out of ink"),
        (ev.RunCancelled("stopped"), 4, "[cancelled: stopped]"),
    ],
)
def test_how_the_run_ended_is_the_exit_code(dragoman, server, end, code, words):
    result, _ = dragoman(["chat", "x"], [server.stream(server.created, *server.said("a"), end)])
    assert (result.exit_code, result.stdout) == (code, "a\n")
    assert words in result.stderr


def test_json_prints_events_and_nothing_else(dragoman, server):
    result, _ = dragoman(["chat", "x", "--json"], [server.stream(server.created, *server.said("a"), server.done)])
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["seq"] for line in lines] == [1, 2, 3, 4, 5]
    assert lines[2]["payload"] == {"block": "b", "delta": "a"}
    assert result.stderr == ""


def test_no_server_is_one_line_that_says_what_to_do(dragoman):
    result, _ = dragoman(["chat", "x"], [ConnectionFailed("nothing listens there")])
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("error: no server answers at http://127.0.0.1:8080 (is the server running?")
    assert "dragoman serve --demo" in result.stderr


def test_a_refused_key_is_one_line_that_says_what_to_do(dragoman, server):
    result, _ = dragoman(["chat", "x"], [server.answer({"error": {"code": "unauthorized", "message": "No."}}, 401)])
    mend = "set DRAGOMAN_KEY or give --key; `dragoman keys create` makes one"
    assert (result.exit_code, result.stderr) == (1, f"error: No. ({mend})\n")


@pytest.mark.parametrize("url", ["nonsense", "ftp://host"])
def test_a_bad_url_is_a_usage_error(dragoman, url):
    result, _ = dragoman(["chat", "x", "--url", url])
    assert result.exit_code == 2
    assert "expected a server's URL" in result.stderr


def test_the_loop_keeps_the_thread_and_leaves_on_a_word(dragoman, server):
    script = [
        server.stream(server.created, *server.said("a"), server.done),
        server.stream(server.created, *server.said("b"), server.done),
    ]
    result, port = dragoman(["chat"], script, input="one\n\ntwo\nexit\nthree\n")
    assert (result.exit_code, result.stdout) == (0, "a\nb\n")
    bodies = [json.loads(request.body) for request in port.requests]
    assert [body.get("thread") for body in bodies] == [None, "t1"]
    assert bodies[0]["message"]["id"] != bodies[1]["message"]["id"]


def test_the_loop_outlives_an_error(dragoman, server):
    busy = server.answer({"error": {"code": "conflict:busy", "message": "Busy."}}, 409)
    result, _ = dragoman(
        ["chat"], [busy, server.stream(server.created, *server.said("b"), server.done)], input="one\ntwo\n"
    )
    assert (result.exit_code, result.stdout) == (0, "b\n")
    assert "error: Busy." in result.stderr


def test_a_pipe_is_not_told_how_to_go_on(dragoman, server):
    for arguments, typed in ((["chat", "x"], ""), (["chat"], "x\n"), (["chat", "x", "--json"], "")):
        result, _ = dragoman(arguments, [server.stream(server.created, server.done)], input=typed)
        assert "--thread" not in result.stderr


def test_an_interrupted_chat_says_how_to_go_on(dragoman, server):
    def press(_):
        raise KeyboardInterrupt

    result, _ = dragoman(["chat", "x"], [server.stream(server.created, broken=ConnectionLost("gone")), press])
    assert result.exit_code == 130
    assert f"dragoman runs tail {server.run}" in result.stderr
    assert "Traceback" not in result.output
