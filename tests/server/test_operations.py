"""What an operator's tools ask."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

from dragoman.core.errors import Unavailable
from dragoman.server.metrics import MOST_SERIES, Metrics

Start = Callable[..., Awaitable[Any]]
V1 = "/dragoman/v1"

_LINE = re.compile(r'[a-z_]+(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? (\d+|\d*\.\d+(e-\d+)?)')


async def test_a_healthy_server_says_so(start_inside: Start) -> None:
    inside = await start_inside()
    for path in ("/health/live", "/health/ready"):
        answer = await inside.ask("GET", path, token=None)
        assert (answer.status, answer.json()) == (200, {"status": "ok"})


async def test_a_store_that_fails_is_not_ready_but_alive(start_inside: Start, monkeypatch: Any) -> None:
    inside = await start_inside()

    async def fails() -> None:
        raise Unavailable("The disk is full.")

    monkeypatch.setattr(inside.services.store._store, "check", fails)
    answer = await inside.ask("GET", "/health/ready", token=None)
    assert (answer.status, answer.json()["code"]) == (503, "unavailable")
    assert (await inside.ask("GET", "/health/live", token=None)).status == 200


async def test_a_server_that_closes_is_not_ready(start_inside: Start) -> None:
    inside = await start_inside()
    inside.application.begin_closing()
    answer = await inside.ask("GET", "/health/ready", token=None)
    assert (answer.status, answer.json()["code"]) == (503, "closing")


async def test_metrics_tell_runs_commits_events_and_streams(start_inside: Start) -> None:
    inside = await start_inside()
    stream = {"Accept": "text/event-stream"}
    await inside.ask("POST", V1 + "/runs", {"message": {"text": "echo: x"}}, headers=stream)
    await inside.ask("POST", V1 + "/runs", {"message": {"text": "fail: x"}}, headers=stream)
    answer = await inside.ask("GET", "/metrics", token=None)
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = answer.text.splitlines()
    for line in (
        'dragoman_runs_ended_total{state="completed"} 1',
        'dragoman_runs_ended_total{state="failed"} 1',
        'dragoman_runs{state="running"} 0',
        'dragoman_events_total{type="run.created"} 2',
        "dragoman_streams_open 0",
        'dragoman_http_requests_total{face="own",method="POST",status="200"} 2',
    ):
        assert line in lines
    assert any(line.startswith('dragoman_commits_total{outcome="done"} ') for line in lines)
    assert any(line.startswith("dragoman_commit_seconds_count ") for line in lines)


async def test_metrics_are_well_formed(start_inside: Start) -> None:
    inside = await start_inside()
    await inside.ask("GET", "/ping")
    text = (await inside.ask("GET", "/metrics", token=None)).text
    assert text.endswith("\n")
    for line in text.splitlines():
        assert line.startswith(("# HELP dragoman_", "# TYPE dragoman_")) or _LINE.fullmatch(line.replace("+Inf", "9"))


async def test_metrics_can_be_closed_to_all_but_admins(start_inside: Start) -> None:
    inside = await start_inside(settings={"metrics.open": False})
    statuses = [(await inside.ask("GET", "/metrics", token=token)).status for token in (None, "demo-bob", "demo-you")]
    assert statuses == [401, 403, 200]


def test_a_histogram_counts_upwards() -> None:
    metrics = Metrics()
    for seconds in (0.001, 0.02, 0.02, 99):
        metrics.observe("t", seconds)
    found = dict(line.rsplit(" ", 1) for line in metrics.text().splitlines() if line.startswith("t"))
    assert [found[f't_bucket{{le="{bound}"}}'] for bound in ("0.005", "0.01", "0.025", "10", "+Inf")] == [
        "1",
        "1",
        "3",
        "3",
        "4",
    ]
    assert found["t_count"] == "4"


def test_label_values_are_escaped() -> None:
    metrics = Metrics()
    metrics.count("c", (("name", 'a"b\\c\nd'),))
    assert metrics.text() == '# TYPE c counter\nc{name="a\\"b\\\\c\\nd"} 1\n'


def test_no_label_fills_the_memory() -> None:
    metrics = Metrics()
    for number in range(MOST_SERIES + 500):
        metrics.count("c", (("name", str(number)),))
        metrics.observe("h", 0.1, (("name", str(number)),))
    metrics.count("c", (("name", "7"),))
    lines = metrics.text().splitlines()
    assert len([line for line in lines if line.startswith(("c{", "h_count{"))]) == 2 * (MOST_SERIES + 1)
    assert metrics.value("c", (("name", "other"),)) == 500
    assert metrics.value("c", (("name", "7"),)) == 2
