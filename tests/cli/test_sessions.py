import json

import pytest

ROW = {
    "id": "s-1",
    "created": 0.0,
    "updated": 1.0,
    "expires": 2.0,
    "first_run": "r1",
    "last_run": "r2",
    "thread": False,
}
RUN = {"id": "r2", "status": "completed", "flow": "a/b", "created": 0.0, "usage": {}}
CASSETTE = {
    "dragoman_cassette": 1,
    "app": "acme",
    "session": "s-1",
    "kind": "session",
    "definitions": {},
    "executions": [
        {
            "run": "run-1",
            "name": "a/b",
            "kind": "execute",
            "status": "completed",
            "answers": [],
            "tools": [],
            "given": {},
        }
    ],
}


def test_sessions_are_listed_as_columns(dragoman, server):
    page = {"sessions": [ROW], "more": True, "next": "s-1"}
    result, port = dragoman(["sessions", "list"], [server.answer(page)])
    head, row = result.stdout.splitlines()
    assert head.split() == ["SESSION", "CREATED", "UPDATED", "EXPIRES"]
    assert row.split()[0] == "s-1"
    assert "sessions list --after s-1" in result.stderr
    assert port.requests[0].url.endswith("/sessions?limit=20")
    assert json.loads(dragoman(["sessions", "list", "--json"], [server.answer(page)])[0].stdout) == page


def test_a_session_is_shown_with_its_runs(dragoman, server):
    found = {**ROW, "runs": [RUN], "more": True, "next": "r2"}
    result, port = dragoman(["sessions", "show", "s:1"], [server.answer(found)])
    assert result.stdout.splitlines()[-1].split()[:3] == ["r2", "completed", "a/b"]
    assert "sessions show s:1 --after r2" in result.stderr
    assert port.requests[0].url.endswith("/sessions/s%3A1?limit=100")
    assert json.loads(dragoman(["sessions", "show", "s", "--json"], [server.answer(found)])[0].stdout) == found


@pytest.mark.requirement("NOU-49")
def test_a_session_is_exported_as_a_cassette(dragoman, server, tmp_path):
    result, port = dragoman(["sessions", "export", "s-1"], [server.answer(CASSETTE)])
    assert json.loads(result.stdout) == CASSETTE
    assert port.requests[0].url.endswith("/sessions/s-1/cassette")
    file = tmp_path / "s.json"
    told, _ = dragoman(["sessions", "export", "s-1", "-o", str(file), "--json"], [server.answer(CASSETTE)])
    assert json.loads(told.stdout) == {"session": "s-1", "files": [str(file)]}
    assert file.read_text("utf-8") == result.stdout


def test_a_session_is_exported_as_a_test(dragoman, server, tmp_path):
    arguments = ["sessions", "export", "s-1", "--format", "test", "--against", "shop:app"]
    file = tmp_path / "test_shop.py"
    result, _ = dragoman([*arguments, "-o", str(file)], [server.answer(CASSETTE)])
    assert result.exit_code == 0
    assert "shop:app" in file.read_text("utf-8")
    assert (tmp_path / "shop.cassette.json").exists()
    without, port = dragoman(arguments)
    assert (without.exit_code, port.requests) == (2, [])


def test_what_is_no_cassette_is_one_line(dragoman, server):
    result, _ = dragoman(["sessions", "export", "s-1"], [server.answer({"dragoman_cassette": 99, "executions": []})])
    assert result.exit_code == 2
    assert "install a newer one" in result.stderr


@pytest.mark.requirement("NOU-56")
@pytest.mark.parametrize(
    ("status", "message"), [(404, "There is no such session."), (410, "This session has expired.")]
)
def test_a_session_that_is_not_there_is_one_line(dragoman, server, status, message):
    error = {"error": {"code": "x", "message": message}}
    result, _ = dragoman(["sessions", "show", "x"], [server.answer(error, status)])
    assert (result.exit_code, result.stderr) == (1, f"error: {message}\n")
