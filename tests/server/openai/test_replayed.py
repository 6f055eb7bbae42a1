"""A gateway that answers from a recording: no provider is asked, and what was not recorded is no fault of the caller."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from prove.wire import Wire
from tests.server.openai.gateway import CHAT, asking

from dragoman import App, openai_compatible


async def test_what_was_not_recorded_is_this_servers_fault_and_told_in_the_log(
    start_inside: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Wire() as wire:
        app = App("acme", models={"far": openai_compatible(wire.url, "m")})
        live = await start_inside(app, settings={"models": {"record": str(tmp_path / "far.cassette.json")}})
        said = await live.ask("POST", CHAT, asking("echo: hello"))
        await live.application.stop()
    app = App("acme", models={"far": openai_compatible(wire.url, "m")})
    settings = {"models": {"replay": str(tmp_path / "far.cassette.json"), "replay_strict": True}}
    inside = await start_inside(app, settings=settings)
    other = await inside.ask("POST", CHAT, asking("echo: something else"))
    assert (other.status, other.json()["error"]["code"]) == (502, "replay_miss")
    assert wire.url not in other.text
    assert any("replay miss" in str(record.__dict__.get("error")) for record in caplog.records)
    again = await inside.ask("POST", CHAT, asking("echo: hello"))
    assert again.json()["choices"] == said.json()["choices"]
