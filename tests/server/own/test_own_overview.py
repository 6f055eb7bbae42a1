"""The overview: sums, percentiles and buckets; and that each figure is the one that the runs themselves tell."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from dragoman.core.records import ModelFigure, Run, RunFigure, Step
from dragoman.core.usage import Usage
from dragoman.core.writes import PutKey, PutRun, PutStep
from dragoman.server.keys import create_key
from dragoman.server.own import figures
from dragoman.server.own.console_models import OverviewOut
from dragoman.server.own.overview import BUCKETS, MOST, USUAL, overview, percentiles, usual_bucket

Start = Callable[..., Awaitable[Any]]
V1 = "/dragoman/v1"


def figure(created: float, **more: Any) -> RunFigure:
    known: dict[str, Any] = {"started": None, "ended": None, "first_token": None, "status": "completed", "face": "own"}
    known |= {"name": "demo", "is_flow": 0, "prompt_tokens": None, "completion_tokens": None, "cost": None}
    return RunFigure(created, **known | more)


@pytest.mark.parametrize(
    ("seconds", "found"),
    [
        ([], None),
        ([1.0], {"p50": 1000.0, "p95": 1000.0, "p99": 1000.0}),
        ([2.0, 1.0], {"p50": 1000.0, "p95": 2000.0, "p99": 2000.0}),
        ([n / 1000 for n in range(100, 0, -1)], {"p50": 50.0, "p95": 95.0, "p99": 99.0}),
    ],
)
def test_a_percentile_is_one_of_the_values(seconds: list[float], found: dict[str, float] | None) -> None:
    assert percentiles(seconds) == found


@pytest.mark.parametrize("seconds", [1.0, 6000.0, 86400.0, 30 * 86400.0, 10 * 365 * 86400.0])
def test_a_usual_bucket_gives_neither_one_nor_thousands(seconds: float) -> None:
    bucket = usual_bucket(seconds)
    assert seconds / bucket <= USUAL
    assert bucket in BUCKETS or seconds > BUCKETS[-1] * USUAL


def test_runs_are_added_up_in_all_by_time_and_by_name() -> None:
    runs = [
        figure(100.0, started=100.5, ended=102.0, first_token=101.0, prompt_tokens=3, completion_tokens=4, cost=0.1),
        figure(109.9, started=120.0, ended=111.9, first_token=110.4, status="failed", face="kai", cost=0.2),
        figure(125.0, name="a/b", is_flow=1, status="running"),
    ]
    models = [ModelFigure("rare", 1, 0, 0, 0, None), ModelFigure("much", 2, 1, 3, 4, 0.3)]
    told = overview(runs, models, since=100.0, until=125.5, bucket=10)
    OverviewOut.model_validate(told)
    assert [(one["start"], one["runs"], one["failed"]) for one in told["buckets"]] == [
        (100.0, 2, 1),
        (110.0, 0, 0),
        (120.0, 1, 0),
    ]
    total = told["total"]
    assert (total["runs"], total["prompt_tokens"], total["completion_tokens"], total["cost"]) == (3, 3, 4, 0.3)
    assert total["duration_ms"] == {"p50": 2000.0, "p95": 2000.0, "p99": 2000.0}
    assert total["first_token_ms"]["p50"] == 500.0
    assert told["buckets"][1]["duration_ms"] is None
    assert told["buckets"][2]["cost"] is None
    assert [(one["name"], one["runs"]) for one in told["agents"]] == [("demo", 2)]
    assert [(one["name"], one["runs"]) for one in told["flows"]] == [("a/b", 1)]
    assert [(one["name"], one["runs"]) for one in told["faces"]] == [("own", 2), ("kai", 1)]
    assert [(one["name"], one["calls"]) for one in told["models"]] == [("much", 2), ("rare", 1)]


def stored(n: int, **more: Any) -> Run:
    known: dict[str, Any] = {
        "tenant": "demo",
        "owner": "ann",
        "kind": "chat",
        "name": "demo",
        "created": 1000.0 + 7 * n,
        "started": 1000.25 + 7 * n,
        "ended": 1001.0 + 7 * n + n * n / 10,
        "first_token": 1000.5 + 7 * n + n / 100,
        "status": "failed" if n % 5 == 0 else "completed",
        "face": ("own", "kai", "chatkit")[n % 3],
        "usage": Usage(n, 2 * n),
        "cost": n / 8,
    }
    return Run(f"r{n}", **known | more)


async def every_run(inside: Any, **options: Any) -> list[dict[str, Any]]:
    rows, after = [], ""
    while True:
        page = (await inside.ask("GET", f"{V1}/runs?limit=7&from=1000&to=1200{after}", **options)).json()
        rows += page["runs"]
        if not page["more"]:
            return rows
        after = f"&after={page['next']}"


async def test_every_figure_is_the_one_that_the_runs_tell(start_inside: Start) -> None:
    inside = await start_inside(clock=lambda: 1300.0)
    store = inside.services.store
    await store.commit(
        *(PutRun(stored(n)) for n in range(1, 21)),
        PutRun(stored(21, kind="execute", name="basics/two-step", ended=None, status="running", cost=None)),
        PutRun(stored(99, tenant="other", created=1010.0)),
        PutStep(Step("r3", "s1", "model", "gpt", "completed", 1021.0, model="gpt", usage=Usage(3, 6), cost=0.375)),
        PutStep(Step("r99", "s1", "model", "gpt", "completed", 1021.0, model="gpt", usage=Usage(9, 9))),
    )
    answer = await inside.ask("GET", f"{V1}/overview?from=1000&to=1200&bucket=50")
    told, rows = OverviewOut.model_validate(answer.json()), await every_run(inside)
    assert len(rows) == told.total.runs == 21

    def nearest(values: list[float], percent: int) -> float:
        return sorted(values)[math.ceil(len(values) * percent / 100) - 1]

    for bucket in [told.total, *told.buckets]:
        start = getattr(bucket, "start", None)
        mine = [row for row in rows if start is None or start <= row["created"] < start + 50]
        durations = [(row["ended"] - row["created"]) * 1000 for row in mine if row["ended"] is not None]
        firsts = [row["first_token"] * 1000 for row in mine if row["first_token"] is not None]
        assert bucket.runs == len(mine)
        assert bucket.failed == sum(row["status"] == "failed" for row in mine)
        assert bucket.prompt_tokens == sum(row["usage"]["prompt_tokens"] or 0 for row in mine)
        assert bucket.completion_tokens == sum(row["usage"]["completion_tokens"] or 0 for row in mine)
        assert (bucket.cost or 0) == pytest.approx(sum(row["cost"] or 0 for row in mine))
        for percent in (50, 95, 99) if durations else ():
            assert getattr(bucket.duration_ms, f"p{percent}") == pytest.approx(nearest(durations, percent), abs=2e-3)
            assert getattr(bucket.first_token_ms, f"p{percent}") == pytest.approx(nearest(firsts, percent), abs=2e-3)
    assert {one.name: one.runs for one in told.faces} == {"own": 7, "kai": 7, "chatkit": 7}
    assert [(one.name, one.runs) for one in told.flows] == [("basics/two-step", 1)]
    assert [(one.name, one.calls, one.prompt_tokens, one.cost) for one in told.models] == [("gpt", 1, 3, 0.375)]


@pytest.mark.requirement("CORE-04")
async def test_everybody_counts_their_own_runs_and_admins_those_of_the_tenant(start_inside: Start) -> None:
    inside = await start_inside(clock=lambda: 1300.0)
    store = inside.services.store
    made = {
        name: create_key(tenant=tenant, user=user, now=0.0, scopes=(scope,), projects=projects)
        for name, tenant, user, scope, projects in [
            ("ann", "demo", "ann", "use", None),
            ("bob", "demo", "bob", "use", None),
            ("admin", "demo", "eve", "admin", None),
            ("bound", "demo", "eve", "admin", ["other"]),
            ("elsewhere", "else", "ann", "admin", None),
        ]
    }
    await store.commit(
        *(PutKey(key) for key, _ in made.values()),
        PutRun(stored(1)),
        PutRun(stored(2, owner="bob")),
        PutRun(stored(3, owner="bob", kind="execute", name="basics/two-step")),
        PutStep(Step("r3", "s1", "model", "gpt", "completed", 1021.0, model="gpt")),
    )
    seen = {}
    for name, (_, text) in made.items():
        told = (await inside.ask("GET", f"{V1}/overview?from=1000&to=1200", token=text)).json()
        seen[name] = (told["total"]["runs"], sum(one["calls"] for one in told["models"]))
    assert seen == {"ann": (1, 0), "bob": (2, 1), "admin": (3, 1), "bound": (2, 0), "elsewhere": (0, 0)}


async def test_without_a_time_the_overview_is_that_of_the_last_day(start_inside: Start) -> None:
    inside = await start_inside(clock=lambda: 1_800_000_000.0)
    told = (await inside.ask("GET", f"{V1}/overview")).json()
    assert (told["from"], told["to"], told["bucket"], len(told["buckets"])) == (1799913600.0, 1800000000.0, 900, 96)
    assert told["total"]["duration_ms"] is None


@pytest.mark.parametrize(
    "query", ["from=5&to=5", "from=6&to=5", "from=x", "bucket=0", "bucket=x", f"from=0&to={MOST * 10 + 10}&bucket=10"]
)
async def test_a_time_that_makes_no_sense_is_refused(start_inside: Start, query: str) -> None:
    answer = await (await start_inside()).ask("GET", f"{V1}/overview?{query}")
    assert (answer.status, answer.json()["error"]["code"]) == (400, "bad_request:input")


async def test_too_many_runs_at_once_are_refused_rather_than_left_out(
    start_inside: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "MOST_RUNS", 1)
    inside = await start_inside(clock=lambda: 1300.0)
    await inside.services.store.commit(PutRun(stored(1)), PutRun(stored(2)))
    answer = await inside.ask("GET", f"{V1}/overview?from=1000&to=1200")
    assert (answer.status, answer.json()["error"]["code"]) == (400, "bad_request:range")
