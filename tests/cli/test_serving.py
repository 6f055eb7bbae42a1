"""The command line and the server as a user starts them: real processes, real sockets."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import uuid

import pytest

from dragoman.cli.reloading import sources
from dragoman.cli.serve import app_lines, data_line, demo_lines
from dragoman.testing.model import FORM_TEXT, FRIENDLY

if os.name != "nt":
    import pty

SECONDS = 60

APP = """
from dragoman import Agent, App

async def model(request):
    yield "{answer}"

app = App("acme", agents=[Agent("helper", model=model)])
"""


def environment(url=None, **more):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("DRAGOMAN_")}
    return clean | ({"DRAGOMAN_URL": url} if url else {}) | {"PYTHONIOENCODING": "utf-8"} | more


def start(*arguments, url=None):
    """`dragoman ARGUMENTS` in a process of its own, under way."""
    return subprocess.Popen(
        [sys.executable, "-m", "dragoman", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(url),
    )


def command(*arguments, url=None, **more):
    """`dragoman ARGUMENTS` in a process of its own, to its end."""
    return subprocess.run(
        [sys.executable, "-m", "dragoman", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=SECONDS,
        check=False,
        env=environment(url, **more),
    )


def until(ready, seconds=SECONDS):
    """Wait until `ready()` gives something true, and give that."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = ready()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"{ready} gave nothing within {seconds} s")


def test_what_to_do_next_is_four_lines():
    lines = demo_lines("http://127.0.0.1:8080")
    assert len(lines) == 4
    assert lines[0] == "open   http://127.0.0.1:8080/"
    assert lines[1].endswith('dragoman chat "tool: add 2 3"')
    assert lines[2].endswith("dragoman flows run basics/two-step hello")
    assert lines[3].split()[1] == "curl"
    assert "--url http://127.0.0.1:9" in demo_lines("http://127.0.0.1:9")[1]
    assert "demo-you" not in "".join(app_lines("acme", "http://127.0.0.1:8080"))
    told = "".join(app_lines("acme", "http://127.0.0.1:8080", agents=False, flows=["basics/shout"]))
    assert "flows run basics/shout" in told
    assert "chat" not in told


def test_it_says_where_the_data_lies(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert data_line("here") == f"data   {tmp_path / 'here'}"
    assert data_line(":memory:") == "data   in memory, until it ends"


@pytest.fixture
def demo(dragoman, demo_server):
    """`demo("chat", "hi")` against the demo server, as a user of the test's own."""
    key = f"demo-{uuid.uuid4().hex}"

    def run(*arguments, typed=None):
        env = {"DRAGOMAN_URL": demo_server.url, "DRAGOMAN_KEY": key}
        return dragoman(arguments, port=None, env=env, input=typed)[0]

    return run


def test_the_demo_answers_in_another_terminal(demo_server):
    done = command("chat", "tool: add 2 3", url=demo_server.url)
    assert (done.returncode, done.stdout) == (0, "5\n")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("tool: add 0.1 0.2", "0.3\n"),
        ("echo: hé 漢\nline", "hé 漢\nline\n"),
        ("count: 300", " ".join(map(str, range(1, 301))) + "\n"),
        ("slow: 3 10", "1 2 3\n"),
        ("reason: why", "why\n"),
        ("recall", ""),
        ("files", "no files\n"),
        ("widget: form", f"{FORM_TEXT}\n"),
        ("client: get_place {}", "get_place failed: this client cannot run tools\n"),
        ("count: 100001", f"{FRIENDLY}\n"),
        ("tool: add 1e308 1e308", "add failed: the sum of 1e+308 and 1e+308 is too large\n"),
    ],
)
def test_the_demo_answers(demo, text, answer):
    result = demo("chat", text)
    assert (result.exit_code, result.stdout) == (0, answer)


@pytest.mark.parametrize(
    ("arguments", "typed", "answer"),
    [
        (["--approve"], "", "created b\n"),
        (["--deny"], "", "denied\n"),
        ([], "y\n", "created b\n"),
        ([], "n\n", "denied\n"),
    ],
)
def test_the_demo_asks_before_it_writes(demo, arguments, typed, answer):
    result = demo("chat", "approve: create_bucket b", *arguments, typed=typed)
    assert (result.exit_code, result.stdout) == (0, answer)
    assert '{"name": "b"}' in result.stderr


def test_a_waiting_run_is_taken_up_again(demo):
    waiting = demo("chat", "approve: create_bucket later", typed="")
    assert waiting.exit_code == 5
    run = re.search(r"runs tail (\S+)`", waiting.stderr)[1]
    assert run in demo("runs", "list", "--status", "paused").stdout
    assert "paused" in demo("runs", "show", run).stdout
    done = demo("runs", "tail", run, "--approve")
    assert (done.exit_code, done.stdout) == (0, "created later\n")
    again = demo("runs", "tail", run)
    assert (again.exit_code, again.stdout) == (0, "created later\n")


def test_a_failed_run_has_an_exit_code_of_its_own(demo):
    result = demo("chat", "fail: out of ink")
    assert result.exit_code == 3
    assert "error: out of ink" in result.stderr


def test_a_talk_keeps_its_thread(demo):
    result = demo("chat", typed="echo: alpha\nrecall\n")
    assert (result.exit_code, result.stdout) == (0, "alpha\necho: alpha\n")


def test_json_lines_are_the_events_of_the_run(demo):
    lines = [json.loads(line) for line in demo("chat", "count: 3", "--json").stdout.splitlines()]
    assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1))
    assert [line["payload"]["delta"] for line in lines if line["type"] == "block.delta"] == ["1", " 2", " 3"]
    assert lines[-1]["type"] == "run.completed"


def test_a_run_is_cancelled_from_another_terminal(demo_server):
    talker = start("chat", "slow: 200 100", url=demo_server.url)
    assert talker.stdout.read(1) == b"1"
    listed = json.loads(command("runs", "list", "--status", "running", "--json", url=demo_server.url).stdout)["runs"]
    run = next(row["id"] for row in listed if row["face"] == "own")
    assert command("runs", "cancel", run, url=demo_server.url).stdout == "cancelled\n"
    talker.communicate(timeout=SECONDS)
    assert talker.returncode == 4


def test_an_answer_goes_on_after_the_server_was_killed(serve, tmp_path):
    first = serve()
    talker = start("chat", "slow: 20 100", url=first.url)
    assert talker.stdout.read(1) == b"1"
    first.kill()
    second = start("serve", "--demo", "--port", first.url.rpartition(":")[2], "--data", str(first.data))
    try:
        rest, errors = talker.communicate(timeout=SECONDS)
    finally:
        second.terminate()
        second.communicate(timeout=SECONDS)
    assert talker.returncode == 0, errors
    assert rest.decode().endswith(" ".join(map(str, range(1, 21))) + "\n")
    assert b"the answer begins anew" in errors


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
def test_ctrl_c_leaves_no_traceback(serve):
    server = serve()
    talker = start("chat", "slow: 100 100", url=server.url)
    assert talker.stdout.read(1) == b"1"
    talker.send_signal(signal.SIGINT)
    _, errors = talker.communicate(timeout=SECONDS)
    assert talker.returncode == 130
    assert b"the run goes on" in errors
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(SECONDS) == 0
    assert "Traceback" not in errors.decode() + server.log.read_text("utf-8")


def test_a_busy_port_is_one_line(demo_server, tmp_path):
    port = demo_server.url.rpartition(":")[2]
    done = command("serve", "--demo", "--port", port, "--data", str(tmp_path / "other"))
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"error: port \d+ on 127\.0\.0\.1 is in use; .*--port\n", done.stderr)


def test_data_in_use_is_one_line(demo_server):
    done = command("serve", "--demo", "--port", "0", "--data", str(demo_server.data))
    assert (done.returncode, done.stdout) == (2, "")
    assert "in use by process" in done.stderr
    assert done.stderr.endswith("or give another directory with --data\n")
    assert done.stderr.count("\n") == 1


def test_under_make_the_mend_is_what_to_type_to_make(demo_server, tmp_path):
    port = demo_server.url.rpartition(":")[2]
    busy = command("serve", "--demo", "--port", port, "--data", str(tmp_path / "other"), _DRAGOMAN_MAKE="1")
    assert busy.stderr.endswith(f"choose another with --port: make demo PORT={int(port) + 1}\n")
    held = command("serve", "--demo", "--port", "0", "--data", str(demo_server.data), _DRAGOMAN_MAKE="1")
    assert held.stderr.endswith('another directory with --data: make demo ARGS="--data :memory:"\n')


def test_an_app_without_agents_is_one_line(tmp_path):
    (tmp_path / "own_empty.py").write_text("from dragoman import App\napp = App('acme')\n", "utf-8")
    done = command("serve", "own_empty:app", "--data", ":memory:", PYTHONPATH=str(tmp_path))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("error: app 'acme' has neither agents nor flows, so nobody would answer; give it one")


def test_a_mistyped_variable_is_one_warning_and_no_error(demo_server):
    port = demo_server.url.rpartition(":")[2]  # in use, so that it ends by itself
    done = command("serve", "--demo", "--port", port, "--data", ":memory:", DRAGOMAN_PORTT="1", DRAGOMAN_X="1")
    warning, error = done.stderr.splitlines()
    assert warning == (
        "warning: names in the environment that are no setting: DRAGOMAN_PORTT (did you mean DRAGOMAN_PORT?), DRAGOMAN_X"
    )
    assert "in use" in error


def test_nothing_to_serve_is_one_line(dragoman):
    result, _ = dragoman(["serve"])
    assert (result.exit_code, result.stderr) == (2, "error: expected --demo, or MODULE:APP such as app:app\n")


def test_no_server_is_one_line(dragoman):
    result, _ = dragoman(["chat", "hi", "--url", "http://127.0.0.1:9"], port=None)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.count("\n") == 1
    assert "dragoman serve --demo" in result.stderr


def test_a_server_that_stays_silent_is_waited_for_with_a_word():
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections in, and says nothing
        talker = start("chat", "hi", url=f"http://127.0.0.1:{silent.getsockname()[1]}")
        try:
            assert talker.stderr.readline().startswith(b"[waiting for http://127.0.0.1:")
        finally:
            talker.kill()
            talker.communicate(timeout=SECONDS)


@pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal")
def test_on_a_terminal_a_new_thread_is_told_and_an_old_one_is_not(demo_server):
    def on_a_terminal(*arguments):
        ours, theirs = pty.openpty()
        talker = subprocess.Popen(
            [sys.executable, "-m", "dragoman", "chat", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
            env=environment(demo_server.url),
        )
        assert talker.wait(SECONDS) == 0
        os.close(theirs)
        with os.fdopen(ours, "rb") as screen:
            return screen.read1().decode()

    found = re.search(r"go on in this thread with `dragoman chat --thread (\S+)`", on_a_terminal("echo: one"))
    assert found
    again = on_a_terminal("recall", "--thread", found[1])
    assert "echo: one" in again
    assert "--thread" not in again + on_a_terminal("echo: two", "--json")


def test_the_code_is_served_anew_when_it_changes(dragoman, tmp_path):
    file, data, log = tmp_path / "own_app.py", str(tmp_path / "data"), tmp_path / "log"
    file.write_text(APP.format(answer="before"), "utf-8")
    key = dragoman(["keys", "create", "--new", "--data", data])[0].stdout.strip()
    arguments = ["serve", "own_app:app", "--reload", "--port", "0", "--data", data]
    with open(log, "wb") as sink:
        server = subprocess.Popen(
            [sys.executable, "-m", "dragoman", *arguments], cwd=tmp_path, stdout=sink, stderr=sink, env=environment()
        )

    def answer():
        urls = re.findall(r"acme listens on (\S+);", log.read_text("utf-8"))
        return dragoman(["chat", "hi", "--url", urls[-1], "--key", key], port=None)[0].stdout if urls else ""

    try:
        until(lambda: answer() == "before\n")
        file.write_text(APP.format(answer="after"), "utf-8")
        until(lambda: answer() == "after\n")
    finally:
        server.terminate()
        server.wait(SECONDS)
    assert "own_app.py changed" in log.read_text("utf-8")


def test_only_sources_are_watched(tmp_path):
    for name in ("a.py", "dragoman.toml", "a.txt", ".hidden/b.py", "__pycache__/c.py", "sub/d.py"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("", "utf-8")
    found = sorted(os.path.relpath(path, tmp_path) for path, _ in sources(tmp_path))
    assert found == ["a.py", "dragoman.toml", os.path.join("sub", "d.py")]
