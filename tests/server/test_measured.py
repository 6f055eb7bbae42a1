"""What is counted, and what the log tells of a run from the request that asked for it to its end."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from dragoman.core.events import Event, RunCreated, RunStarted
from dragoman.core.records import Run
from dragoman.core.writes import AppendEvents, PutRun
from dragoman.server.measured import measured
from dragoman.server.metric_table import METRICS, MODEL_OPEN
from dragoman.server.metrics import Metrics
from dragoman.store import open_store

pytestmark = pytest.mark.requirement("CORE-17")

V1 = "/dragoman/v1"
SSE = {"accept": "text/event-stream"}
_SERIES = re.compile(r"(\w+?)(_bucket|_sum|_count)?(?:\{(.*)\})? \S+")

Start = Callable[..., Awaitable[Any]]


async def metrics_after(inside: Any, *texts: str) -> str:
    for text in texts:
        await inside.ask("POST", V1 + "/runs", {"message": {"text": text}}, headers=SSE)
    return str((await inside.ask("GET", "/metrics", token=None)).text)


async def test_every_metric_is_in_the_table_with_its_kind_and_labels(start_inside: Start) -> None:
    inside = await start_inside(settings={"limits.streams": 1})
    release = inside.application._dispatch.places.take(None)
    text = await metrics_after(inside, "echo: refused")
    release()
    text = await metrics_after(inside, "echo: x", "fail: x")
    kinds = dict(re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE))
    assert {name: METRICS[name].kind for name in kinds} == kinds
    never = {"dragoman_swept_total", "dragoman_job_wait_seconds"}
    never |= {name for name in METRICS if name.startswith(("gen_ai_", "dragoman_model_"))} - {MODEL_OPEN}
    assert set(METRICS) - set(kinds) == never  # nothing was over, no job ran, and no provider was asked
    helps = dict(re.findall(r"^# HELP (\w+) (.*)$", text, re.MULTILINE))
    assert helps == {name: METRICS[name].text for name in kinds}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        match = _SERIES.fullmatch(line)
        assert match is not None, line
        labels = tuple(label for label in re.findall(r'(\w+)="', match[3] or "") if label != "le")
        assert labels == METRICS[match[1]].labels, line


async def test_how_long_a_job_waited_is_told_and_those_that_wait_are_not_remembered(tmp_path: Path) -> None:
    metrics, opened = Metrics(), await open_store(tmp_path)
    store = measured(opened, metrics)
    for id, kind, status in (("j", "job", "queued"), ("e", "execute", "running")):
        run = Run(id, "acme", "", kind, "a/b", 10.0, status=status)  # type: ignore[arg-type]
        created = RunCreated(kind, "a/b", "v", "answer")
        began = (Event(id, 2, 10.0, RunStarted("x")),) if kind == "execute" else ()
        await store.commit(PutRun(run), AppendEvents((Event(id, 1, 10.0, created), *began)))
    assert list(store._silent) == ["e"]  # type: ignore[attr-defined]
    await store.commit(AppendEvents((Event("j", 2, 17.0, RunStarted("x")),)))
    await store.commit(AppendEvents((Event("j", 3, 99.0, RunStarted("x", resumed=True)),)))
    text = metrics.text()
    assert "dragoman_job_wait_seconds_count 1\n" in text
    assert "dragoman_job_wait_seconds_sum 7\n" in text
    await opened.close()


async def test_how_slow_is_told_from_acceptance_to_first_output_to_end(start_inside: Start) -> None:
    lines = (await metrics_after(await start_inside(), "slow: 3 60", "echo: x", "fail: x")).splitlines()
    for line in (
        "dragoman_run_first_output_seconds_count 3",
        'dragoman_run_seconds_count{state="completed"} 2',
        'dragoman_run_seconds_count{state="failed"} 1',
        'dragoman_run_seconds_bucket{state="completed",le="0.1"} 1',
        'dragoman_run_seconds_bucket{state="completed",le="0.5"} 2',
    ):
        assert line in lines
    assert any(re.fullmatch(r'dragoman_tokens_total\{kind="completion"\} [1-9]\d*', line) for line in lines)


async def test_how_full_is_told_by_sizes_limits_and_the_oldest_run(start_inside: Start) -> None:
    inside = await start_inside(settings={"limits.streams": 7, "limits.runs": 5})
    await inside.ask("POST", V1 + "/runs", {"message": {"text": "approve: create_bucket b"}})

    async def values() -> dict[str, str]:
        lines = (await metrics_after(inside)).splitlines()
        return dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))

    found = await values()
    async with asyncio.timeout(20):  # the run goes on after its acceptance was answered
        while found["dragoman_store_waiting"] != "0":
            await asyncio.sleep(0)
            found = await values()
    assert (found["dragoman_streams_limit"], found["dragoman_runs_limit"]) == ("7", "5")
    assert found["dragoman_requests_open"] == "0"
    for name in ("dragoman_database_bytes", "dragoman_wal_bytes", "dragoman_disk_free_bytes"):
        assert int(found[name]) > 1000
    ages = [float(found[f'dragoman_oldest_run_seconds{{state="{state}"}}']) for state in ("running", "paused")]
    assert 0 < max(ages) < 60
    assert found['dragoman_info{app="demo",version="' + _version() + '"}'] == "1"


def _version() -> str:
    from dragoman import __version__

    return __version__


def lines_of(server: Any, message: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in server.log.read_text("utf-8").splitlines() if line.startswith("{")]
    return [line for line in lines if line["message"] == message]


def test_the_log_leads_from_a_request_to_its_run_and_the_runs_end(serve: Callable[..., Any]) -> None:
    server = serve()
    with httpx2.Client(base_url=server.url, headers={"authorization": "Bearer demo-ann"}, timeout=20) as client:
        for name, text in (("good", "echo: a secret thought"), ("bad", "fail: a secret fault")):
            body = {"message": {"text": text}}
            client.post(V1 + "/runs", json=body, headers={**SSE, "x-request-id": f"request-{name}"})
    server.stop()
    for name, state in (("good", "completed"), ("bad", "failed")):
        (request,) = (line for line in lines_of(server, "request") if line["request_id"] == f"request-{name}")
        (accepted,) = (line for line in lines_of(server, "run accepted") if line["request_id"] == f"request-{name}")
        (ended,) = (line for line in lines_of(server, "run ended") if line["run"] == request["run"])
        assert (accepted["run"], ended["request_id"]) == (request["run"], f"request-{name}")
        assert (accepted["agent"], accepted["face"], accepted["tenant"]) == ("demo", "own", "demo")
        assert (ended["state"], ended["thread_id"]) == (state, accepted["thread_id"])
        assert 0 <= ended["seconds"] < 20
        assert ended["completion_tokens"] == (13 if name == "good" else None)  # what nobody reported is unknown
    (fault,) = lines_of(server, "model call failed")
    assert (fault["run"], fault["ref"], fault["level"]) == (ended["run"], ended["ref"], "warning")
    assert ended["code"]
    assert "secret thought" not in server.log.read_text("utf-8")


async def test_run_lines_can_be_left_out(start_inside: Start, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "dragoman.server")
    await metrics_after(await start_inside(settings={"log.runs": False}), "echo: x")
    assert [record.getMessage() for record in caplog.records] == []


def test_a_histogram_has_the_bounds_of_the_table() -> None:
    metrics = Metrics()
    metrics.observe("dragoman_run_seconds", 90_000, (("state", "completed"),))
    metrics.observe("dragoman_run_seconds", 86_400, (("state", "completed"),))
    assert 'dragoman_run_seconds_bucket{state="completed",le="86400"} 1' in metrics.text()
    assert 'dragoman_run_seconds_bucket{state="completed",le="+Inf"} 2' in metrics.text()
