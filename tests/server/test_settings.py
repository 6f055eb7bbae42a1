"""Settings: precedence, sources, clear errors, the table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dragoman.core.errors import UsageError
from dragoman.server.settings import Settings
from dragoman.server.settings_sources import Loaded, load_settings, settings_table, strange_names


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def source_of(loaded: Loaded, name: str) -> str:
    return next(row.source for row in loaded.explain() if row.name == name)


def test_the_first_hit_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "dragoman.toml").write_text("port = 3\n[kai]\nbusy = 'queue'\n[kai.approval]\nttl = 3\ntimeout = 3\n")
    monkeypatch.setenv("DRAGOMAN_PORT", "2")
    monkeypatch.setenv("DRAGOMAN_KAI__APPROVAL__TIMEOUT", "2")
    app = {"port": 4, "kai": {"busy": "reject", "approval": {"ttl": 4, "hold_seconds": 4}}, "errors.expose": True}
    loaded = load_settings(overrides={"port": 1, "host": None}, app=app, demo=True)
    found = loaded.settings
    assert (found.port, found.kai.approval.timeout, found.kai.approval.ttl) == (1, 2, 3)
    assert (found.kai.busy, found.kai.approval.hold_seconds, found.errors.expose) == ("queue", 4, True)
    assert found.kai.project_settings == "use"
    assert found.host == ["127.0.0.1", "::1"]
    sources = [
        source_of(loaded, name)
        for name in (
            "port",
            "kai.approval.timeout",
            "kai.approval.ttl",
            "errors.expose",
            "kai.project_settings",
            "host",
        )
    ]
    assert sources == ["command line", "environment", "dragoman.toml", "App(settings=…)", "demo", "default"]


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text("port = 7")
    assert load_settings(config=tmp_path / "x.toml").settings.port == 7
    with pytest.raises(UsageError, match=r"y\.toml.*does not exist"):
        load_settings(config="y.toml")


def test_constructing_settings_reads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRAGOMAN_PORT", "2")
    assert Settings().port == 8080
    assert load_settings(environment=False).settings.port == 8080


def test_what_a_cluster_calls_the_port_of_a_service_named_dragoman_is_no_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRAGOMAN_PORT", "tcp://10.0.0.7:8080")
    assert load_settings().settings.port == 8080


def test_lists_may_be_written_with_commas_or_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRAGOMAN_FACES", "kai, own")
    monkeypatch.setenv("DRAGOMAN_CORS__ORIGINS", '["https://a.example"]')
    found = load_settings().settings
    assert (found.faces, found.cors.origins) == (["kai", "own"], ["https://a.example"])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("public_url", "chat.example"),
        ("public_url", "ftp://chat.example"),
        ("public_url", "https://chat.example/?a=b"),
        ("limits.heartbeat_seconds", float("inf")),
        ("limits.stall_seconds", float("inf")),
    ],
)
def test_a_value_that_could_only_fail_later_is_refused_at_once(name: str, value: Any) -> None:
    with pytest.raises(UsageError, match=name.replace(".", r"\.")):
        load_settings(overrides={name: value}, environment=False)


def test_model_aliases_have_a_short_form() -> None:
    app = {"kai.models.aliases": {"fast": "helper", "deep": {"agent": "helper", "reasoning": True}}}
    aliases = load_settings(app=app).settings.kai.models.aliases
    assert {name: (alias.agent, alias.reasoning) for name, alias in aliases.items()} == {
        "fast": ("helper", False),
        "deep": ("helper", True),
    }


@pytest.mark.parametrize(
    ("app", "words"),
    [
        ({"prot": 1}, ["App(settings=…)", "no setting 'prot'"]),
        ({"kai": {"bussy": 1}}, ["no setting 'kai.bussy'"]),
        ({"kai.busy": "sometimes"}, ["'kai.busy'", "'supersede'"]),
        ({"limits.body": 0}, ["'limits.body'", "greater than or equal to 1"]),
        ({"run.max_seconds": float("inf")}, ["'run.max_seconds'"]),
    ],
)
def test_a_bad_setting_is_named_with_its_source(app: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        load_settings(app=app)
    assert all(word in str(caught.value) for word in words), caught.value


def test_a_bad_environment_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRAGOMAN_PORT", "many")
    with pytest.raises(UsageError, match="environment: setting 'port'"):
        load_settings()


@pytest.mark.parametrize("content", [b"port = ", b"\xff"])
def test_a_broken_file_is_one_clear_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "dragoman.toml").write_bytes(content)
    with pytest.raises(UsageError, match=r"dragoman\.toml"):
        load_settings()


def test_the_table_has_every_setting_with_a_description() -> None:
    rows = settings_table()
    names = [name for name, *_ in rows]
    assert {"host", "port", "data", "kai.approval.mode", "limits.streams", "log.format"} <= set(names)
    assert len(names) == len(set(names)) == len(load_settings(environment=False).explain())
    assert all(description for *_, description in rows)
    table = {name: (env, default) for name, env, default, _ in rows}
    assert table["kai.approval.mode"] == ("DRAGOMAN_KAI__APPROVAL__MODE", "hybrid")
    assert table["host"][1] == "127.0.0.1, ::1"
    assert table["errors.expose"][1] == "false"


def test_names_that_look_like_settings_and_are_none_are_told_with_the_closest():
    environment = {
        "DRAGOMAN_PORT": "1",
        "dragoman_host": "h",
        "DRAGOMAN_KAI__BUSY": "queue",
        "DRAGOMAN_URL": "http://h",
        "DRAGOMAN_KEY": "dk_1_2",
        "PORT": "1",
        "DRAGOMAN_PORTT": "1",
        "DRAGOMAN_KAI_APPROVAL_MODE": "hold",
        "DRAGOMAN_PORT_8080_TCP": "tcp://10.0.0.1:8080",
    }
    assert strange_names(environment) == {
        "DRAGOMAN_KAI_APPROVAL_MODE": "DRAGOMAN_KAI__APPROVAL__MODE",
        "DRAGOMAN_PORTT": "DRAGOMAN_PORT",
        "DRAGOMAN_PORT_8080_TCP": None,
    }


def test_a_setting_can_be_written_as_its_table_says(monkeypatch: pytest.MonkeyPatch) -> None:
    for _, env, default, _ in settings_table():
        if default:
            monkeypatch.setenv(env, default)
    assert load_settings().settings == Settings()


@pytest.mark.requirement("NOU-87")
def test_what_is_captured_and_masked_is_set_in_any_source(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = load_settings(environment=False).settings
    assert (plain.capture.mode, plain.capture.rules) == ("redacted", ["emails", "cards"])
    assert load_settings(environment=False, demo=True).settings.capture.mode == "full"
    monkeypatch.setenv("DRAGOMAN_CAPTURE__RULES", "cards")
    monkeypatch.setenv("DRAGOMAN_CAPTURE__NAMES", "customer_no, iban")
    monkeypatch.setenv("DRAGOMAN_CAPTURE__PATTERNS", '["ACME-[0-9]{1,9}"]')
    capture = load_settings(overrides={"capture.mode": "metadata_only"}).settings.capture
    assert (capture.mode, capture.rules, capture.names) == ("metadata_only", ["cards"], ["customer_no", "iban"])
    assert capture.patterns == ["ACME-[0-9]{1,9}"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("capture.mode", "some"),
        ("capture.rules", ["phones"]),
        ("capture.patterns", ["("]),
        ("jobs.workers", 0),
        ("jobs.queue", 0),
        ("retention.sessions_days", 0),
        ("retention.tombstones_days", -1),
    ],
)
def test_a_setting_of_flows_that_cannot_be_is_refused_at_once(name: str, value: Any) -> None:
    with pytest.raises(UsageError, match=name):
        load_settings(overrides={name: value}, environment=False)
