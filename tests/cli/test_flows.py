import json

import pytest

from dragoman.core import events as ev
from dragoman.core.errors import ConnectionLost
from dragoman.core.flows import Node, encode_node

NODES = [
    encode_node(Node("upper", "upper", "function", digest="d1")),
    encode_node(Node("exclaim", "exclaim", "function", config={"suffix": "!"}, digest="d2")),
]
DRAFT = [*NODES, encode_node(Node("ask", "ask\x1b[2J", "model", model="demo", digest="d3"))]
ROW = {
    "name": "basics/two",
    "production": 1,
    "versions": [1],
    "has_draft": True,
    "steps": 2,
    "description": "Says it\x1b[2J",
}
FLOW = ROW | {
    "tree": [
        {"version": 0, "production": False, "nodes": DRAFT, "graph": {}},
        {"version": 1, "production": True, "nodes": NODES, "graph": {}},
    ]
}
CREATED = ev.RunCreated("execute", "basics/two", "v1", "a1")


def step(key, place=0):
    return [(key, ev.StepStarted("flow", key, index=place)), (key, ev.StepCompleted(output="x"))]


def called(tool="get_weather", call="c1", /, **arguments):
    return [ev.ToolInput(call, tool, arguments, client=True), ev.RunPaused("client_tool", (call,))]


@pytest.mark.requirement("NOU-33")
def test_flows_are_listed_as_columns(dragoman, server):
    result, port = dragoman(["flows", "list"], [server.answer({"flows": [ROW]})])
    head, row = result.stdout.splitlines()
    assert head.split() == ["FLOW", "PRODUCTION", "VERSIONS", "STEPS", "DESCRIPTION"]
    assert row.split()[:5] == ["basics/two", "1", "1,", "draft", "2"]
    assert "\x1b" not in result.stdout
    assert port.requests[0].url.endswith("/dragoman/v1/flows")


def test_the_version_that_would_run_is_shown_step_by_step(dragoman, server):
    result, port = dragoman(["flows", "show", "basics/two"], [server.answer(FLOW)])
    assert result.stdout.splitlines() == [
        "basics/two, version 1, production",
        "Says it\\x1b[2J",
        "  1  upper    function",
        '  2  exclaim  function     suffix="!"',
    ]
    assert port.requests[0].url.endswith("/flows/basics/two")


def test_another_version_can_be_shown(dragoman, server):
    result, _ = dragoman(["flows", "show", "basics/two", "--version", "draft"], [server.answer(FLOW)])
    assert result.stdout.startswith("basics/two, draft\n")
    assert "  3  ask" in result.stdout
    missing, _ = dragoman(["flows", "show", "basics/two", "--version", "7"], [server.answer(FLOW)])
    assert missing.exit_code == 2
    assert "versions: draft, 1" in missing.stderr


def test_a_flow_is_drawn_for_pages(dragoman, server):
    result, _ = dragoman(["flows", "show", "basics/two", "--mermaid"], [server.answer(FLOW)])
    assert result.stdout.startswith("flowchart TD\n")
    assert "n1 --> n2" in result.stdout


@pytest.mark.requirement("NOU-33")
def test_versions_are_listed(dragoman, server):
    result, _ = dragoman(["flows", "versions", "basics/two"], [server.answer(FLOW)])
    assert [line.split() for line in result.stdout.splitlines()[1:]] == [
        ["draft", "3", "upper,", "exclaim,", "ask"],
        ["1", "yes", "2", "upper,", "exclaim"],
    ]
    told, _ = dragoman(["flows", "versions", "basics/two", "--json"], [server.answer(FLOW)])
    assert [row["version"] for row in json.loads(told.stdout)] == [0, 1]


@pytest.mark.parametrize("command", [["list"], ["show", "a/b"]])
def test_json_is_the_servers_answer(dragoman, server, command):
    answer = {"flows": [ROW]} if command == ["list"] else FLOW
    result, _ = dragoman(["flows", *command, "--json"], [server.answer(answer)])
    assert json.loads(result.stdout) == answer


@pytest.mark.parametrize("name", ["two", "a/b/c", "/b", "a/"])
def test_a_name_of_another_form_is_a_usage_error(dragoman, name):
    result, port = dragoman(["flows", "show", name])
    assert (result.exit_code, port.requests) == (2, [])
    assert "PROJECT/SLUG" in result.stderr


def test_the_result_goes_to_stdout_and_the_way_to_it_to_stderr(dragoman, server):
    bodies = [CREATED, *step("upper"), ev.StepStarted("flow", "exclaim", index=1), *server.said("HI", "!")]
    done = [ev.StepCompleted(output="HI!"), ev.RunCompleted(result="HI!")]
    result, port = dragoman(["flows", "run", "basics/two", "hi"], [server.stream(*bodies, *done)])
    assert (result.exit_code, result.stdout) == (0, "HI!\n")
    assert "HI!" in result.stderr
    (request,) = port.requests
    assert request.url.endswith("/flows/basics/two/runs")
    assert json.loads(request.body) == {"message": "hi"}
    assert request.headers["idempotency-key"]


def test_a_result_that_is_no_text_is_json(dragoman, server):
    result, _ = dragoman(["flows", "run", "a/b"], [server.stream(CREATED, ev.RunCompleted(result={"city": "Brno ü"}))])
    assert result.stdout == '{"city": "Brno ü"}\n'


def test_what_a_flow_is_started_with_is_sent(dragoman, server):
    arguments = ["-p", "n=3", "-p", "who=Ana", "--set", "exclaim.suffix=?", "--set", "a.b.c=[1]"]
    rest = ["--version", "draft", "--session", "s-1", "--capture", "full", "--stepwise", "--tool", "t=1"]
    _, port = dragoman(["flows", "run", "a/b", *arguments, *rest], [server.stream(CREATED, ev.RunCompleted())])
    assert json.loads(port.requests[0].body) == {
        "parameters": {"n": 3, "who": "Ana"},
        "overrides": {"exclaim": {"suffix": "?"}, "a.b": {"c": [1]}},
        "version": "draft",
        "session": "s-1",
        "capture": "full",
        "stepwise": True,
        "tools": [{"name": "t"}],
    }


@pytest.mark.parametrize(
    "arguments", [["-p", "n"], ["--set", "suffix=?"], ["--set", "x"], ["--version", "new"], ["--tool", "=1"]]
)
def test_arguments_of_another_form_are_usage_errors(dragoman, arguments):
    result, port = dragoman(["flows", "run", "a/b", *arguments])
    assert (result.exit_code, port.requests) == (2, [])
    assert "expected" in result.stderr


def test_json_is_a_line_for_each_event(dragoman, server):
    result, _ = dragoman(["flows", "run", "a/b", "--json"], [server.stream(CREATED, *step("x"), ev.RunCompleted())])
    assert [json.loads(line)["type"] for line in result.stdout.splitlines()] == [
        "run.created",
        "step.started",
        "step.completed",
        "run.completed",
    ]
    assert result.stderr == ""


@pytest.mark.requirement("NOU-44")
def test_a_start_whose_answer_was_lost_is_sent_again_with_the_same_key(dragoman, server):
    script = [ConnectionLost("gone"), server.stream(CREATED, ev.RunCompleted(result="x"))]
    result, port = dragoman(["flows", "run", "a/b"], script)
    assert (result.exit_code, result.stdout) == (0, "x\n")
    keys = {request.headers["idempotency-key"] for request in port.requests}
    assert (len(port.requests), len(keys)) == (2, 1)


@pytest.mark.requirement("NOU-17")
def test_tools_of_the_caller_are_answered_from_the_command_line(dragoman, server):
    bodies = [CREATED, ev.StepStarted("flow", "weather"), *called(city="Brno")]
    end = server.stream(ev.RunResumed(), ev.RunCompleted(result="It is fine"), start=len(bodies) + 1)
    arguments = ["flows", "run", "a/b", "--tool", 'get_weather={"sky": "blue"}']
    result, port = dragoman(arguments, [server.stream(*bodies), end])
    assert (result.exit_code, result.stdout) == (0, "It is fine\n")
    assert port.requests[1].url.endswith("/runs/run-1/continue")
    assert json.loads(port.requests[1].body) == {"outputs": {"c1": {"sky": "blue"}}}


def test_a_tool_that_is_given_twice_answers_two_calls(dragoman, server):
    first = [CREATED, *called()]
    second = [ev.RunResumed(), *called("get_weather", "c2")]
    script = [
        server.stream(*first),
        server.stream(*second, start=len(first) + 1),
        server.stream(ev.RunResumed(), ev.RunCompleted(), start=len(first) + len(second) + 1),
    ]
    _, port = dragoman(["flows", "run", "a/b", "--tool", "get_weather=1", "--tool", "get_weather=2"], script)
    assert [json.loads(request.body)["outputs"] for request in port.requests[1:]] == [{"c1": 1}, {"c2": 2}]


def test_a_tool_that_nobody_answers_lets_the_run_wait(dragoman, server):
    result, _ = dragoman(["flows", "run", "a/b"], [server.stream(CREATED, *called(city="Brno"))])
    assert (result.exit_code, result.stdout) == (5, "")
    assert 'get_weather {"city": "Brno"}' in result.stderr
    assert "dragoman flows continue run-1 --tool get_weather=OUTPUT" in result.stderr


def test_a_waiting_run_is_continued_without_telling_it_all_again(dragoman, server):
    bodies = [CREATED, *step("upper"), *called()]
    row = {"id": "run-1", "flow": "a/b", "status": "paused", "last_seq": len(bodies)}
    end = server.stream(ev.RunResumed(), ev.RunCompleted(result="done"), start=len(bodies) + 1)
    script = [server.answer(row), server.stream(*bodies), end]
    result, port = dragoman(["flows", "continue", "run-1", "--tool", "get_weather=rain"], script)
    assert (result.exit_code, result.stdout) == (0, "done\n")
    assert "upper" not in result.stderr
    assert json.loads(port.requests[2].body) == {"outputs": {"c1": "rain"}}


@pytest.mark.requirement("NOU-10")
def test_a_stepwise_run_goes_on_step_by_step(dragoman, server):
    bodies = [CREATED, *step("upper"), ev.RunPaused("segment")]
    paused, _ = dragoman(["flows", "run", "a/b", "--stepwise"], [server.stream(*bodies)])
    assert paused.exit_code == 5
    assert "dragoman flows continue run-1" in paused.stderr
    row = {"id": "run-1", "flow": "a/b", "status": "paused", "last_seq": len(bodies)}
    more = server.stream(ev.RunResumed(), *step("next"), ev.RunPaused("segment"), start=len(bodies) + 1)
    result, port = dragoman(["flows", "continue", "run-1"], [server.answer(row), server.stream(*bodies), more])
    assert (result.exit_code, len(port.requests)) == (5, 3)
    assert "[next" in result.stderr


def test_an_agents_run_is_not_continued_here(dragoman, server):
    result, _ = dragoman(["flows", "continue", "r"], [server.answer({"id": "r", "agent": "demo", "flow": None})])
    assert result.exit_code == 2
    assert "runs tail" in result.stderr


def test_a_failure_is_told_with_its_step(dragoman, server):
    bodies = [
        CREATED,
        ("say[0]", ev.StepStarted("flow", "say")),
        ("say[0]", ev.StepRestarted(2, "STEP_FAILED", "no luck")),
        ("say[0]", ev.StepFailed("STEP_FAILED", "no luck again")),
        ev.RunFailed("STEP_FAILED", "no luck again"),
    ]
    result, _ = dragoman(["flows", "run", "a/b"], [server.stream(*bodies)])
    assert (result.exit_code, result.stdout) == (3, "")
    assert "[say[0]: attempt 2, after STEP_FAILED: no luck]" in result.stderr
    assert "error: no luck again" in result.stderr


def test_ctrl_c_says_that_the_run_goes_on(dragoman, server):
    def press(_):
        raise KeyboardInterrupt

    result, _ = dragoman(["flows", "run", "a/b"], [server.stream(CREATED, broken=ConnectionLost("gone")), press])
    assert result.exit_code == 130
    assert "runs cancel run-1" in result.stderr


def test_tailing_a_flows_run_prints_its_result(dragoman, server):
    bodies = [CREATED, *step("upper"), ev.RunCompleted(result="HI")]
    row = {"id": "run-1", "flow": "a/b", "status": "completed", "last_seq": len(bodies)}
    result, _ = dragoman(["runs", "tail", "run-1"], [server.answer(row), server.stream(*bodies)])
    assert (result.exit_code, result.stdout) == (0, "HI\n")
