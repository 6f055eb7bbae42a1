"""Cassettes as files: what they refuse, what they keep out, and the tests that are made of them."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from tests.testing.recordings import Recorder, Shop

from dragoman.core.errors import UsageError
from dragoman.testing.cassette import Cassette, save

SMALL: dict[str, Any] = {
    "dragoman_cassette": 1,
    "app": "shop",
    "session": "tour:1",
    "kind": "session",
    "definitions": {},
    "executions": [],
}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"dragoman_cassette": 2}, "version 2; this Dragoman reads up to 1"),
        ({"dragoman_cassette": "1"}, "its version is '1'"),
        ({"dragoman_cassette": True}, "its version is True"),
        ({"executions": [{"run": "run-1"}]}, "broken"),
        ({"executions": None}, "broken"),
        ({"definitions": None}, "broken"),
    ],
)
@pytest.mark.requirement("CORE-05", "CORE-18")
def test_a_document_that_is_no_cassette_is_refused_by_name(change: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Cassette.of({**SMALL, **change}, place="'x.json'")


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": 1}', "\x00", "[" * 100_000])
def test_a_file_that_is_none_is_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"x\.json"):
        Cassette.load(path)


def test_a_file_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no file"):
        Cassette.load(tmp_path / "gone.json")


def test_a_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    (written,) = save(Cassette.of(SMALL), tmp_path / "x.json")
    assert Cassette.load(written) == Cassette.of(SMALL)
    assert written.read_text("utf-8").startswith('{\n  "dragoman_cassette": 1,') or len(json.dumps(SMALL)) < 110


@pytest.mark.requirement("CORE-06", "CORE-18")
async def test_no_secret_reaches_a_file_however_it_came() -> None:
    async with Recorder(Shop().app()) as recorder:
        await recorder.say("sk-abcdefgh12345", message="m1")
        await recorder.say("price password=hunter2pear", message="m2")
        await recorder.say("fail Bearer abcdefgh12345", message="m3")
        text = (await recorder.cassette()).text()
    for secret in ("sk-abc", "hunter2", "abcdefgh12345"):
        assert secret not in text
    assert "[redacted]" in text


def test_a_test_is_written_beside_its_cassette(tmp_path: Path) -> None:
    made = save(Cassette.of(SMALL), tmp_path / "test_tour.py", format="test", against="shop.main:app")
    assert [path.name for path in made] == ["test_tour.py", "tour.cassette.json"]
    text = made[0].read_text("utf-8")
    assert 'dragoman_replay("tour.cassette.json", "shop.main:app")' in text
    assert "def test_tour_1_gives_what_it_gave" in text
    compile(text, "test_tour.py", "exec")
    assert stat.S_ISREG(made[1].stat().st_mode)


def test_a_test_that_was_edited_keeps_its_text_and_gets_the_new_cassette(tmp_path: Path) -> None:
    save(Cassette.of(SMALL), tmp_path / "test_tour.py", format="test")
    (tmp_path / "test_tour.py").write_text("# mine\n")
    made = save(Cassette.of({**SMALL, "session": "other"}), tmp_path / "test_tour.py", format="test")
    assert [path.name for path in made] == ["tour.cassette.json"]
    assert (tmp_path / "test_tour.py").read_text() == "# mine\n"
    assert Cassette.load(made[0]).session == "other"


@pytest.mark.parametrize("name", ["tour.py", "test_tour.txt", "nowhere/test_tour.py"])
def test_a_name_that_pytest_would_not_find_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError):
        save(Cassette.of(SMALL), tmp_path / name, format="test")
    assert list(tmp_path.iterdir()) == []


def test_names_of_strangers_cannot_break_out_of_a_test(tmp_path: Path) -> None:
    evil = {**SMALL, "app": '"""\nraise SystemExit\n"""', "session": 'x"""y'}
    test, _ = save(Cassette.of(evil), tmp_path / "test_x.py", format="test", against='a:"b')
    made: dict[str, Any] = {}
    exec(compile(test.read_text("utf-8"), "test_x.py", "exec"), made)
    assert sum(name.startswith("test_") for name in made) == 1


RUN: dict[str, Any] = {
    "run": "run-1",
    "name": "a/b",
    "kind": "execute",
    "status": "completed",
    "given": {},
    "answers": [{"step": "m", "pieces": [{"text": ["hi"]}]}],
    "tools": [],
    "app_version": "v",
}


@pytest.mark.parametrize(
    "broken",
    [
        {"created": "now"},
        {"created": float("nan")},
        {"created": 1e308},
        {"caller": 5},
        {"app_version": []},
        {"flow_version": "x"},
        {"answers": [1]},
        {"answers": [{"step": "m"}]},
        {"answers": [{"step": "m", "pieces": [1]}]},
        {"answers": [{"step": "m", "pieces": [{"text": [5]}]}]},
        {"tools": [{}]},
        {"steps": 5},
        {"steps": [{}]},
        {"resumed": 5},
    ],
)
@pytest.mark.requirement("CORE-05", "CORE-18")
def test_a_transcript_that_is_none_is_refused_before_anything_runs(broken: dict[str, Any]) -> None:
    Cassette.of({**SMALL, "executions": [RUN]})
    with pytest.raises(UsageError, match="broken"):
        Cassette.of({**SMALL, "executions": [{**RUN, **broken}]})


@pytest.mark.parametrize("broken", [5, {"agents": [], "flows": {}}, {"agents": {}, "flows": {"a/b": {"1": [5]}}}])
def test_definitions_that_are_none_are_refused(broken: Any) -> None:
    with pytest.raises(UsageError, match="definitions"):
        Cassette.of({**SMALL, "definitions": {"v": broken}})


def test_what_is_no_file_or_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="no file"):
        Cassette.load(tmp_path)
    monkeypatch.setattr("dragoman.testing.cassette.MOST_BYTES", 10)
    (tmp_path / "x.json").write_text(json.dumps(SMALL))
    with pytest.raises(UsageError, match="larger"):
        Cassette.load(tmp_path / "x.json")


def test_a_file_shows_a_reviewer_what_it_holds(tmp_path: Path) -> None:
    hostile = "\x1b[2J\x9b31m\u202epay\u2028\ud800 é"
    cassette = Cassette.of({**SMALL, "executions": [{**RUN, "result": hostile}]})
    assert all(line.isprintable() for line in cassette.text().splitlines())
    (path,) = save(cassette, tmp_path / "x.json")
    assert Cassette.load(path).executions[0]["result"] == hostile
