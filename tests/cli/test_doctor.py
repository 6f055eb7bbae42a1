import json
import socket

import pytest

from dragoman.cli.doctor import extras


def found(result):
    return {check["name"]: check for check in json.loads(result.stdout)["checks"]}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


@pytest.fixture
def doctor(dragoman, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*arguments, **env):
        known = {"DRAGOMAN_PORT": free_port(), "DRAGOMAN_HOST": "127.0.0.1"}
        return dragoman(["doctor", *arguments], env={**known, **env})[0]

    return run


def test_everything_is_shown_to_people(doctor, tmp_path):
    result = doctor("--demo", "--data", str(tmp_path / "data"))
    assert result.exit_code == 0
    assert all(word in result.stdout for word in ("python", "extra server", "kai.approval.mode", "demo: demo"))


def test_each_setting_names_its_source(doctor, tmp_path):
    (tmp_path / "dragoman.toml").write_text('[kai]\nbusy = "queue"\n', "utf-8")
    result = doctor("--demo", "--json", "--data", str(tmp_path / "data"), DRAGOMAN_KAI__LIMITS__TEXT="5")
    rows = {row["name"]: (row["value"], row["source"]) for row in json.loads(result.stdout)["settings"]}
    assert rows["kai.limits.text"] == (5, "environment")
    assert rows["kai.busy"] == ("queue", "dragoman.toml")
    assert rows["data"] == (str(tmp_path / "data"), "command line")
    assert rows["errors.expose"] == (True, "demo")
    assert rows["run.max_seconds"] == (600.0, "default")


def test_a_busy_port_is_a_fault(doctor):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        result = doctor("--demo", "--json", DRAGOMAN_PORT=str(holder.getsockname()[1]))
    assert result.exit_code == 1
    assert found(result)["port"]["ok"] is False
    assert "in use" in found(result)["port"]["text"]


def test_host_and_port_are_looked_at_as_serve_would_take_them(doctor):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = str(holder.getsockname()[1])
        result = doctor("--demo", "--json", "--host", "127.0.0.1", "--port", port)
    assert (result.exit_code, found(result)["port"]["ok"]) == (1, False)
    rows = {row["name"]: (row["value"], row["source"]) for row in json.loads(result.stdout)["settings"]}
    assert rows["host"] == (["127.0.0.1"], "command line")
    assert rows["port"] == (int(port), "command line")


def test_extras_that_a_start_does_not_need_are_shown_on_demand(doctor):
    def shown(*arguments):
        lines = [line.split() for line in doctor(*arguments).stdout.splitlines()]
        return [line[1] for line in lines if line[:1] == ["extra"]]

    assert shown() == ["cli", "server"]
    assert shown("--all")[:2] == ["cli", "server"]
    assert set(shown("--all")) == set(extras())


def test_an_app_without_agents_is_a_fault(doctor, tmp_path):
    (tmp_path / "own_empty.py").write_text("from dragoman import App\napp = App('acme')\n", "utf-8")
    result = doctor("own_empty:app", "--json")
    assert (result.exit_code, found(result)["app"]["ok"]) == (1, False)
    assert "acme: no agent" in found(result)["app"]["text"]


def test_a_mistyped_variable_is_listed(doctor):
    result = doctor("--demo", "--json", DRAGOMAN_PORTT="1")
    check = found(result)["environment"]
    assert (result.exit_code, check["ok"]) == (0, None)
    assert "DRAGOMAN_PORTT (did you mean DRAGOMAN_PORT?)" in check["text"]


def test_an_app_that_cannot_be_loaded_is_a_fault(doctor):
    result = doctor("no_such_module:app", "--json")
    assert result.exit_code == 1
    assert "no module 'no_such_module'" in found(result)["app"]["text"]


def test_a_data_directory_that_cannot_be_made_is_a_fault(doctor, tmp_path):
    (tmp_path / "file").write_text("x", "utf-8")
    result = doctor("--demo", "--json", "--data", str(tmp_path / "file" / "data"))
    assert found(result)["data"]["ok"] is False


def test_looking_makes_nothing(doctor, tmp_path):
    doctor("--demo", "--data", str(tmp_path / "data"))
    assert not (tmp_path / "data").exists()


def test_a_setting_that_cannot_be_read_is_a_usage_error(doctor):
    result = doctor("--demo", DRAGOMAN_KAI__BUSY="sleepy")
    assert result.exit_code == 2
    assert "kai.busy" in result.stderr


def test_extras_are_those_of_the_package():
    known = extras()
    assert {"cli", "server", "http2", "postgres", "all"} <= known.keys()
    assert known["cli"] == []
    assert known["server"] == []
