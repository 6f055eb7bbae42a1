"""A client that drops at random and re-attaches sees what one sees that never dropped."""

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dragoman import Agent, App
from dragoman.testing import ScriptedModel, serve

LONG = 20.0


@pytest.fixture(scope="module")
def client() -> Iterator[httpx2.Client]:
    app = App("reattach", agents=[Agent("helper", model=ScriptedModel())])
    with serve(app) as server, httpx2.Client(base_url=server.url, headers=server.headers, timeout=LONG) as made:
        yield made


def read(client: httpx2.Client, run: str, after: int, most: int | None) -> list[dict[str, Any]]:
    """Events behind `after`; drops the connection in the middle once there are `most`."""
    seen: list[dict[str, Any]] = []
    headers = {"accept": "text/event-stream", "last-event-id": str(after)}
    with client.stream("GET", f"/dragoman/v1/runs/{run}/events", headers=headers) as answer:
        for line in answer.iter_lines():
            if line.startswith("data: "):
                seen.append(json.loads(line[6:]))
                if len(seen) == most:
                    break
    return seen


@pytest.mark.requirement("CORE-01")
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drops=st.lists(st.integers(1, 12), max_size=8), text=st.sampled_from(["slow: 20 3", "count: 50", "reason: why"]))
def test_drops_are_not_noticeable(client: httpx2.Client, drops: list[int], text: str) -> None:
    started = client.post("/dragoman/v1/runs", json={"message": {"text": text}}).json()
    seen: list[dict[str, Any]] = []
    for most in drops:
        seen += read(client, started["id"], seen[-1]["seq"] if seen else 0, most)
        if seen[-1]["type"] == "run.completed":
            break
    if seen[-1:] and seen[-1]["type"] != "run.completed":
        seen += read(client, started["id"], seen[-1]["seq"], None)
    elif not seen:
        seen = read(client, started["id"], 0, None)
    assert seen == read(client, started["id"], 0, None)
    assert [event["seq"] for event in seen] == list(range(1, len(seen) + 1))
