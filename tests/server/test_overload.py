"""Ten times what the limits admit, over sockets: the others are refused in their own words, nobody is harmed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import httpx2
import pytest

from dragoman.engine.agents import Agent
from dragoman.engine.app import App
from dragoman.testing import ScriptedModel

pytestmark = pytest.mark.requirement("CORE-16")

LONG = 20.0
V1 = "/dragoman/v1"
ADMITTED, TIMES = 8, 10
SLOW = "slow: 10 60"


class Crowd:
    """Many clients of one server at once."""

    def __init__(self, url: str) -> None:
        limits = httpx2.Limits(max_connections=None)
        self.client = httpx2.AsyncClient(base_url=url, timeout=LONG, limits=limits)

    async def own(self, n: int, text: str = SLOW, *, accept: str = "text/event-stream") -> httpx2.Response:
        headers = {"authorization": f"Bearer demo-{n}", "accept": accept}
        return await self.client.post(V1 + "/runs", json={"message": {"text": text}}, headers=headers)

    async def kai(self, n: int) -> httpx2.Response:
        message = {"id": f"m{n}", "role": "user", "parts": [{"type": "text", "text": SLOW}]}
        body = {"id": f"chat-{n}", "message": message, "selectedChatModel": "chat-model"}
        return await self.client.post("/api/chat", json=body, headers={"x-storageapi-token": f"demo-{n}"})


@pytest.fixture
async def crowd(serve_live: Callable[..., Any]) -> AsyncIterator[Callable[..., Crowd]]:
    made: list[Crowd] = []

    def start(settings: Mapping[str, Any], **more: Any) -> Crowd:
        made.append(Crowd(serve_live(settings=settings, **more).url))
        return made[-1]

    yield start
    for one in made:
        await one.client.aclose()


def is_whole(answer: httpx2.Response) -> bool:
    """Whether a stream of the own face has every event from the first to the end of the run."""
    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
    return [e["seq"] for e in events] == list(range(1, len(events) + 1)) and events[-1]["type"] == "run.completed"


async def split(answers: Any) -> tuple[list[httpx2.Response], list[httpx2.Response]]:
    found = await asyncio.gather(*answers)
    return [a for a in found if a.status_code < 300], [a for a in found if a.status_code >= 300]


async def test_ten_times_the_streams_on_the_own_face(crowd: Callable[..., Crowd]) -> None:
    many = crowd({"limits.streams": ADMITTED})
    admitted, refused = await split(many.own(n) for n in range(ADMITTED * TIMES))
    assert len(admitted) == ADMITTED
    assert all(map(is_whole, admitted))
    assert {(a.status_code, a.headers["retry-after"], a.json()["error"]["code"]) for a in refused} == {
        (503, "5", "unavailable:streams")
    }
    again, refused = await split(many.own(n) for n in range(ADMITTED))  # at once
    assert (len(again), refused) == (ADMITTED, [])
    metrics = (await many.client.get("/metrics")).text.splitlines()
    assert f'dragoman_refused_total{{reason="unavailable:streams"}} {ADMITTED * (TIMES - 1)}' in metrics
    assert f"dragoman_streams_limit {ADMITTED}" in metrics
    assert f'dragoman_runs_started_total{{face="own"}} {2 * ADMITTED}' in metrics  # a refusal has started nothing


async def test_ten_times_the_streams_on_the_kai_face(crowd: Callable[..., Crowd]) -> None:
    many = crowd({"limits.streams": ADMITTED})
    admitted, refused = await split(many.kai(n) for n in range(ADMITTED * TIMES))
    assert len(admitted) == ADMITTED
    assert all(a.text.endswith("data: [DONE]\n\n") and '"finish"' in a.text for a in admitted)
    assert {(a.status_code, a.headers["retry-after"], a.json()["code"]) for a in refused} == {
        (503, "5", "offline:chat")
    }
    assert {a.status_code for a in (await split(many.kai(n) for n in range(ADMITTED)))[0]} == {200}


async def test_one_user_with_ten_times_the_streams_leaves_the_others_their_places(crowd: Callable[..., Crowd]) -> None:
    many = crowd({"limits.streams": 1000, "limits.streams_per_user": ADMITTED})
    greedy = asyncio.gather(*(many.own(0) for _ in range(ADMITTED * TIMES)))
    others, refused = await split(many.own(n) for n in range(1, ADMITTED))
    assert (len(others), refused) == (ADMITTED - 1, [])
    statuses = [(a.status_code, a.headers.get("retry-after")) for a in await greedy]
    assert statuses.count((200, None)) == ADMITTED
    assert statuses.count((429, "5")) == ADMITTED * (TIMES - 1)


async def test_ten_times_the_requests(crowd: Callable[..., Crowd]) -> None:
    inside, opened = 0, asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []
    gates: list[asyncio.Event] = []

    async def authenticate(headers: Mapping[str, str]) -> Any:
        nonlocal inside
        if not gates:
            gates.append(asyncio.Event())
            loops.append(asyncio.get_running_loop())
        inside += 1
        if inside == ADMITTED:
            here.call_soon_threadsafe(opened.set)
        await gates[0].wait()
        return {"tenant": "acme", "user": "ann"}

    here = asyncio.get_running_loop()
    app = App("acme", agents=[Agent("a", model=ScriptedModel())], authenticate=authenticate)
    many = crowd({"limits.requests": ADMITTED}, app=app, demo=False)
    paths = (V1 + "/threads", "/api/history")
    admitted = [asyncio.ensure_future(many.client.get(paths[n % 2])) for n in range(ADMITTED)]
    await asyncio.wait_for(opened.wait(), LONG)
    passed, refused = await split(many.client.get(paths[n % 2]) for n in range(ADMITTED * (TIMES - 1)))
    assert (passed, {(a.status_code, a.headers["retry-after"]) for a in refused}) == ([], {(503, "1")})
    assert {a.json()["error"]["code"] for a in refused if "error" in a.json()} == {"unavailable:requests"}
    assert {a.json()["code"] for a in refused if "code" in a.json()} == {"offline:chat"}
    for path in ("/health/live", "/health/ready", "/metrics"):  # who asks how full it is is told
        assert (await many.client.get(path)).status_code == 200
    loops[0].call_soon_threadsafe(gates[0].set)
    assert {a.status_code for a in await asyncio.gather(*admitted)} == {200}
    assert {(await many.client.get(path)).status_code for path in paths} == {200}


async def test_ten_times_the_runs(crowd: Callable[..., Crowd]) -> None:
    many = crowd({"limits.runs": ADMITTED})
    admitted, refused = await split(many.own(n, accept="application/json") for n in range(ADMITTED * TIMES))
    assert len(admitted) == ADMITTED
    assert {(a.status_code, a.headers["retry-after"], a.json()["error"]["code"]) for a in refused} == {
        (503, "5", "unavailable:runs")
    }
    for n, answer in enumerate(admitted):
        run = answer.json()["id"]
        token = {"authorization": answer.request.headers["authorization"], "accept": "text/event-stream"}
        assert is_whole(await many.client.get(f"{V1}/runs/{run}/events", headers=token)), n
    assert (await many.own(1, "echo: x")).status_code == 200
