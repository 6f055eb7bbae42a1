"""The command `kai` against a scripted server: output, exit status, approvals."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tests.kai.shells import FINISH, sse

from dragoman import __version__
from dragoman.kai.cli import main, read_env_file

pytestmark = pytest.mark.requirement("KAI-29")

NOW = "2026-01-02T03:04:05.678Z"
TEXT = {"type": "text-delta", "delta": "Hello"}
CHAT = {"id": "k1", "title": "A title that is rather long, longer than fifty characters in fact", "createdAt": NOW}


class Server:
    """Answers by `METHOD path`: each list in order, its last answer again and again. Lists of chunks become streams."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Any]] = {}
        self.seen: list[tuple[str, Any]] = []
        self.url = ""

    def on(self, call: str, *answers: Any) -> None:
        self.answers[call] = list(answers)

    def bodies(self, call: str) -> list[Any]:
        return [body for seen, body in self.seen if seen == call]


def handler_for(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            call = f"{self.command} {self.path.partition('?')[0]}"
            raw = self.rfile.read(int(self.headers.get("content-length", "0")))
            server.seen.append((call, json.loads(raw) if raw else self.path))
            left = server.answers.get(call) or [(404, {"code": "not_found:api", "message": f"no {call}"})]
            answer = left.pop(0) if len(left) > 1 else left[0]
            status, value = answer if isinstance(answer, tuple) else (200, answer)
            is_stream = isinstance(value, list) and status == 200 and self.path == "/api/chat"
            body = sse(*value) if is_stream else json.dumps(value).encode()
            self.send_response(status)
            self.send_header("content-type", "text/event-stream" if is_stream else "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PATCH = do_DELETE = answer

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    return Handler


@pytest.fixture
def server() -> Iterator[Server]:
    script = Server()
    with ThreadingHTTPServer(("127.0.0.1", 0), handler_for(script)) as http:
        script.url = f"http://127.0.0.1:{http.server_port}"
        thread = threading.Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        yield script
        http.shutdown()
        thread.join(10)


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("STORAGE_API_TOKEN", "STORAGE_API_URL", "KAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def kai(server: Server, *arguments: str, input: str = "") -> Result:
    options = ["--token", "tok", "--url", "https://storage.example", "--base-url", server.url]
    return CliRunner().invoke(main, [*options, *arguments], input=input)


def calls(id: str, tool: str, *, ask: bool = True, **input: Any) -> list[dict[str, Any]]:
    chunks: list[dict[str, Any]] = [
        {"type": "tool-input-start", "toolCallId": id, "toolName": tool},
        {"type": "tool-input-available", "toolCallId": id, "toolName": tool, "input": input},
    ]
    return [*chunks, {"type": "tool-approval-request", "toolCallId": id, "approvalId": f"p-{id}"}] if ask else chunks


def output(id: str) -> dict[str, Any]:
    return {"type": "tool-output-available", "toolCallId": id, "output": {"ok": True}}


def stored(*ids: str, tool: str = "t") -> dict[str, Any]:
    parts = [
        {"type": f"tool-{tool}", "toolCallId": id, "state": "approval-requested", "approval": {"id": f"p-{id}"}}
        for id in ids
    ]
    return {"id": "k", "messages": [{"id": "a", "role": "assistant", "parts": parts}]}


def decisions(server: Server) -> list[Any]:
    """The approvals that went back, of the first posted body that has them on."""
    return [
        [part["approval"] for part in body["message"]["parts"] if "approved" in part.get("approval", {})]
        for body in server.bodies("POST /api/chat")
        if body["message"]["role"] == "assistant"
    ]


# -------------------------------------------------------------------------------- plain commands


def test_ping_and_info(server: Server) -> None:
    server.on("GET /ping", {"timestamp": NOW})
    server.on(
        "GET /api",
        {
            "timestamp": NOW,
            "uptime": 12.6,
            "appName": "demo",
            "appVersion": "1",
            "serverVersion": "2",
            "connectedMcp": [{"name": "tools", "status": "connected"}],
        },
    )
    assert "Server is alive" in kai(server, "ping").stdout
    shown = kai(server, "info").stdout
    for text in ("App: demo 1", "Server: 2", "Uptime: 13 s", "tools: connected"):
        assert text in shown


def test_history_as_lines_and_as_json(server: Server) -> None:
    server.on("GET /api/history", {"chats": [CHAT], "hasMore": True})
    shown = kai(server, "history", "-n", "5").stdout
    assert "k1  2026-01-02 03:04  A title that is rather long, longer than fifty cha\n" in shown
    assert "and more" in shown
    assert server.seen[-1][1] == "/api/history?limit=5"
    data = json.loads(kai(server, "history", "--json-output").stdout)
    assert (data["chats"][0]["id"], data["hasMore"]) == ("k1", True)
    server.on("GET /api/history", {"chats": [], "hasMore": False})
    assert "No chat history" in kai(server, "history").stdout


def test_get_chat_prints_the_parts(server: Server) -> None:
    parts = [
        {"type": "step-start"},
        {"type": "reasoning", "text": "hm"},
        {"type": "text", "text": "Hi\nthere"},
        {
            "type": "tool-add",
            "toolCallId": "c",
            "state": "output-available",
            "input": {"a": 1},
            "output": {"result": 2},
        },
        {"type": "data-x", "data": 1},
    ]
    server.on("GET /api/chat/k1", CHAT | {"messages": [{"id": "m", "role": "assistant", "parts": parts}]})
    shown = kai(server, "get-chat", "k1").stdout
    for text in ("k1", "[ASSISTANT]", "Hi\nthere", "hm", '[add output-available] {"input": {"a": 1}', "[data-x]"):
        assert text in shown
    data = json.loads(kai(server, "get-chat", "k1", "--json-output").stdout)
    assert data["messages"][0]["parts"] == parts
    assert "created_at" in data


def test_delete_chat_asks_unless_told(server: Server) -> None:
    server.on("DELETE /api/chat", {})
    assert "Cancelled" in kai(server, "delete-chat", "k1", input="n\n").stdout
    assert server.seen == []
    assert "Deleted chat k1" in kai(server, "delete-chat", "k1", "-y").stdout
    assert "Deleted chat k1" in kai(server, "delete-chat", "k1", input="y\n").stdout


def test_votes(server: Server) -> None:
    vote = {"chatId": "k", "messageId": "m", "type": "up"}
    server.on("PATCH /api/vote", vote)
    server.on("GET /api/vote", [vote])
    assert "Voted up" in kai(server, "vote", "k", "m", "up").stdout
    assert kai(server, "get-votes", "k").stdout == "m: up\n"
    assert json.loads(kai(server, "get-votes", "k", "--json-output").stdout)[0]["message_id"] == "m"
    assert kai(server, "vote", "k", "m", "sideways").exit_code == 2
    server.on("GET /api/vote", [])
    assert "No votes found" in kai(server, "get-votes", "k").stdout


# --------------------------------------------------------------------------------------- faults


@pytest.mark.parametrize("command", [["ping"], ["chat", "-m", "x"], ["get-chat", "k"], ["history"]])
def test_a_fault_is_one_line_on_stderr_and_exit_1(server: Server, command: list[str]) -> None:
    result = kai(server, *command)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: [not_found:api] no ")
    assert result.stderr.count("\n") == 1
    assert "Traceback" not in result.output


def test_a_url_that_is_none_is_one_line_too() -> None:
    result = CliRunner().invoke(main, ["--token", "t", "--url", "u", "--base-url", "localhost", "ping"])
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)


@pytest.mark.parametrize(("options", "missing"), [([], "STORAGE_API_TOKEN"), (["--token", "t"], "STORAGE_API_URL")])
def test_a_missing_setting_is_named(options: list[str], missing: str) -> None:
    result = CliRunner().invoke(main, [*options, "ping"])
    assert result.exit_code == 1
    assert missing in result.stderr


def test_settings_come_from_options_then_environment_then_file(
    server: Server, empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.on("GET /v2/storage", {"services": [{"id": "kai-assistant", "url": server.url}]})
    server.on("GET /ping", {"timestamp": NOW})
    (empty_folder / ".env.local").write_text(f"STORAGE_API_TOKEN=from-file\nSTORAGE_API_URL='{server.url}'\n", "utf-8")
    assert "alive" in CliRunner().invoke(main, ["ping"]).stdout
    assert [call for call, _ in server.seen] == ["GET /v2/storage", "GET /ping"]
    monkeypatch.setenv("KAI_BASE_URL", server.url)
    assert "alive" in CliRunner().invoke(main, ["ping"]).stdout
    assert len(server.seen) == 3
    monkeypatch.setenv("KAI_BASE_URL", "http://127.0.0.1:9")
    assert "alive" in CliRunner().invoke(main, ["--base-url", server.url, "ping"]).stdout


def test_a_server_whose_url_is_known_needs_no_storage_api(server: Server) -> None:
    server.on("GET /ping", {"timestamp": NOW})
    result = CliRunner().invoke(main, ["--token", "t", "--base-url", server.url, "ping"])
    assert (result.exit_code, result.stderr) == (0, "")
    assert [call for call, _ in server.seen] == ["GET /ping"]


def test_a_file_of_settings(tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_text("# c\n\nA=1\nexport B = two \nC=\"a # b\" # x\nD='q'\nE=x # y\nnonsense\n=z\nF=\n", "utf-8")
    assert read_env_file(file) == {"A": "1", "B": "two", "C": "a # b", "D": "q", "E": "x", "F": ""}
    assert read_env_file(tmp_path / "none") == {}


def test_version_and_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dragoman.kai.cli", "--version"], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == f"kai, version {__version__}"


def test_without_click_the_extra_is_named() -> None:
    code = "import sys; sys.modules['click'] = None\nimport dragoman.kai.cli"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert "MissingExtra" in done.stderr
    assert "dragoman[cli]" in done.stderr


# ----------------------------------------------------------------------------------------- chat


def test_one_message_prints_id_text_and_notes(server: Server) -> None:
    server.on(
        "POST /api/chat",
        [
            {"type": "start-step"},
            *calls("c", "add", ask=False, a=1),
            output("c"),
            TEXT,
            {"type": "finish-step"},
            FINISH,
        ],
    )
    result = kai(server, "chat", "-m", "hi")
    lines = result.stdout.splitlines()
    assert lines[0].startswith("Chat ID: ")
    assert lines[1:] == ["[Processing...]", "[Calling add...]", '[add {"a": 1}]', "[add completed]", "Hello"]
    assert "approval" not in result.output
    assert result.exit_code == 0
    assert server.bodies("POST /api/chat")[0]["message"]["parts"][0]["text"] == "hi"


def test_a_known_chat_is_continued_and_not_announced(server: Server) -> None:
    server.on("POST /api/chat", [TEXT, FINISH])
    assert kai(server, "chat", "--chat-id", "k", "-m", "hi").stdout == "Hello\n"


def test_an_error_event_is_exit_2(server: Server) -> None:
    server.on("POST /api/chat", [TEXT, {"type": "error", "errorText": "no model"}, FINISH])
    result = kai(server, "chat", "-m", "hi")
    assert (result.exit_code, "Hello" in result.stdout) == (2, True)
    assert result.stderr == "Error: no model\n"
    as_json = kai(server, "chat", "--json-output", "-m", "hi")
    assert (as_json.exit_code, as_json.stderr) == (2, "")


def test_json_output_is_one_event_per_line_and_nothing_else(server: Server) -> None:
    server.on("POST /api/chat", [{"type": "start", "messageId": "a"}, TEXT | {"delta": "é\n"}, FINISH])
    result = kai(server, "chat", "--json-output", "-m", "hi")
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert [event["type"] for event in events] == ["start", "text", "finish"]
    assert events[1]["text"] == "é\n"
    assert result.stderr == ""


@pytest.mark.parametrize(("answer", "approved"), [("y\n", True), ("n\n", False)])
def test_a_call_that_needs_approval_is_asked_about(server: Server, answer: str, approved: bool) -> None:
    done = output("c") if approved else {"type": "tool-output-denied", "toolCallId": "c"}
    server.on("POST /api/chat", [*calls("c", "create", name="raw"), FINISH], [done, TEXT, FINISH])
    server.on("GET /api/chat/k", stored("c", tool="create"))
    result = kai(server, "chat", "--chat-id", "k", "-m", "hi", input=answer)
    assert "[create needs approval]" in result.stdout
    assert 'Approve create {"name": "raw"}?' in result.stdout
    assert ("[create completed]" if approved else "[create denied]") in result.stdout
    assert result.stdout.endswith("Hello\n")
    assert decisions(server) == [[{"id": "p-c", "approved": approved}]]


def test_an_older_server_is_answered_by_tool_result(server: Server) -> None:
    server.on("POST /api/chat", [*calls("c", "create", ask=False), FINISH], [output("c"), TEXT, FINISH])
    result = kai(server, "chat", "--auto-approve", "-m", "hi")
    assert "needs approval" not in result.stdout
    assert "[Auto-approving...]" in result.stdout
    [part] = server.bodies("POST /api/chat")[1]["message"]["parts"]
    assert part == {"type": "tool-result", "toolCallId": "c", "toolName": "create", "result": "confirmed"}


@pytest.mark.parametrize(("flag", "approved"), [("--auto-approve", True), ("--deny", False)])
@pytest.mark.parametrize("as_json", [False, True])
def test_several_and_chained_approvals(server: Server, flag: str, approved: bool, as_json: bool) -> None:
    server.on(
        "POST /api/chat",
        [*calls("a", "t"), *calls("b", "t"), FINISH],
        [output("a"), FINISH],
        [output("b"), *calls("c", "t"), FINISH],
        [output("c"), TEXT, FINISH],
    )
    server.on("GET /api/chat/k", stored("a", "b", "c"))
    arguments = ["chat", "--chat-id", "k", flag, "-m", "hi", *(["--json-output"] if as_json else [])]
    result = kai(server, *arguments)
    assert result.exit_code == 0
    assert decisions(server) == [[{"id": f"p-{id}", "approved": approved}] for id in "abc"]
    if as_json:
        types = [json.loads(line)["type"] for line in result.stdout.splitlines()]
        assert types.count("finish") == 4
        assert result.stderr == ""
    else:
        assert result.stdout.endswith("Hello\n")


def test_json_output_alone_decides_nothing_and_says_so_on_stderr(server: Server) -> None:
    server.on("POST /api/chat", [*calls("c", "create"), FINISH])
    result = kai(server, "chat", "--json-output", "-m", "hi")
    assert result.exit_code == 0
    assert "waiting for approval: create" in result.stderr
    assert [json.loads(line)["type"] for line in result.stdout.splitlines()][-1] == "finish"
    assert len(server.seen) == 1


def test_approve_and_deny_exclude_each_other(server: Server) -> None:
    assert kai(server, "chat", "--auto-approve", "--deny", "-m", "x").exit_code == 2


def test_the_conversation_goes_on_until_the_user_leaves(server: Server) -> None:
    server.on(
        "POST /api/chat", [TEXT, FINISH], (429, {"code": "rate_limit:chat", "message": "slow down"}), [TEXT, FINISH]
    )
    result = kai(server, "chat", input="one\ntwo\nthree\nquit\nnever\n")
    assert result.exit_code == 0
    assert [body["message"]["parts"][0]["text"] for body in server.bodies("POST /api/chat")] == ["one", "two", "three"]
    assert len({body["id"] for body in server.bodies("POST /api/chat")}) == 1
    assert result.stdout.count("Hello") == 2
    assert "slow down" in result.stderr


def test_the_conversation_ends_with_the_input(server: Server) -> None:
    server.on("POST /api/chat", [TEXT, FINISH])
    assert kai(server, "chat", input="one\n").exit_code == 0


def test_other_things_in_a_stream_are_shown_briefly(server: Server) -> None:
    server.on(
        "POST /api/chat",
        [
            {"type": "tool-output-error", "toolCallId": "c", "toolName": "t", "errorText": "broke"},
            {"type": "tool-call", "toolCallId": "d", "toolName": "u", "state": "approval-responded"},
            {"type": "reasoning-delta", "id": "r", "delta": "hidden"},
            {"type": "abort", "reason": "stopped"},
        ],
    )
    result = kai(server, "chat", "--chat-id", "k", "-m", "hi")
    assert result.stdout.splitlines() == ["[t failed: broke]", "[u: approval-responded]", "[Stopped: stopped]"]
