"""`dragoman replay`, as typed: of a file and of a server's session."""

import asyncio
import json
from pathlib import Path

import pytest
from tests.testing.recordings import Recorder, Shop

from dragoman.testing.cassette import Cassette, save

pytestmark = pytest.mark.requirement("CORE-18")

USUAL, EDITED = "tests.testing.recordings:usual", "tests.testing.recordings:edited"


@pytest.fixture(scope="module")
def cassette():
    async def record() -> Cassette:
        async with Recorder(Shop().app()) as recorder:
            await recorder.say("price pear")
            await recorder.say("hello")
            return await recorder.cassette()

    return asyncio.run(record())


def test_the_same_code_gives_the_same_and_exits_with_0(dragoman, server, cassette, tmp_path: Path):
    save(cassette, tmp_path / "chat.json")
    result, port = dragoman(["replay", str(tmp_path / "chat.json"), "--against", USUAL], [])
    assert (result.exit_code, result.stdout) == (0, f"chat-1: 2 runs replayed against {USUAL}, no difference\n")
    assert port.requests == []


def test_differences_are_printed_and_exit_with_1(dragoman, server, cassette, tmp_path: Path):
    save(cassette, tmp_path / "chat.json")
    result, _ = dragoman(["replay", str(tmp_path / "chat.json"), "--against", EDITED], [])
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        f"chat-1: 2 runs replayed against {EDITED}, 2 differences",
        "clerk · instructions",
        "  - Be brief.",
        "  + Be thorough.",
        "clerk (run-1) · price · output",
        "  - 6.0",
        "  + 8.0",
    ]


def test_a_servers_session_is_fetched(dragoman, server, cassette):
    result, port = dragoman(
        ["replay", "chat-1", "--against", EDITED, "--json"], [server.answer(dict(cassette.document))]
    )
    assert port.requests[0].url.endswith("/dragoman/v1/sessions/chat-1/cassette")
    told = json.loads(result.stdout)
    assert [each["where"] for each in told["differences"]] == [
        ["clerk", "instructions"],
        ["clerk (run-1)", "price", "output"],
    ]
    assert (told["differences"][1]["recorded"], told["differences"][1]["replayed"]) == (6.0, 8.0)
    assert told["runs"][1]["recorded"] == told["runs"][1]["replayed"]
    assert result.exit_code == 1


@pytest.mark.parametrize("name", ["gone.json", "here.json"])
def test_a_file_that_cannot_be_read_is_one_line(dragoman, server, tmp_path: Path, name: str):
    (tmp_path / "here.json").write_text("{}")
    result, port = dragoman(["replay", str(tmp_path / name)], [])
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert port.requests == []


def test_a_session_that_is_nowhere_is_one_line(dragoman, server):
    result, _ = dragoman(["replay", "chat-9"], [server.answer({"code": "not_found:session", "message": "no"}, 404)])
    assert result.exit_code == 1
    assert "there is no session or thread 'chat-9'" in result.stderr


def test_an_app_that_cannot_be_loaded_is_one_line(dragoman, server, cassette, tmp_path: Path):
    save(cassette, tmp_path / "chat.json")
    result, _ = dragoman(["replay", str(tmp_path / "chat.json"), "--against", "no_such_module:app"], [])
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1


def test_a_strangers_cassette_does_not_drive_the_terminal(dragoman, server, cassette, tmp_path: Path):
    hostile = Cassette.of({**cassette.document, "session": "chat\x1b[2J\x9b31m\u202e"})
    save(hostile, tmp_path / "chat.json")
    for more in ([], ["--json"]):
        result, _ = dragoman(["replay", str(tmp_path / "chat.json"), "--against", USUAL, *more], [])
        assert result.exit_code == 0
        assert all(line.isprintable() for line in result.stdout.splitlines())
