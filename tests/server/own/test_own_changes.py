"""The live list of runs: a page first, then what changes, for those who may know of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest

from dragoman.core.records import Run
from dragoman.core.writes import ChangeRun, DeleteThread, PutKey, PutRun, RevokeKey
from dragoman.server.http import Call
from dragoman.server.keys import create_key
from dragoman.server.own import changes as changes_module
from dragoman.server.own import models as models
from dragoman.server.own.changes import OwnChanges
from dragoman.server.run_changes import MOST_WAITING, RunChanges
from dragoman.wire.http import Headers
from dragoman.wire.sse import SSEDecoder

Start = Callable[..., Awaitable[Any]]
V1 = "/dragoman/v1"
PATH = f"{V1}/runs/changes"
LONG = 10.0


def row(id: str) -> PutRun:
    return PutRun(Run(id, "demo", "ann", "chat", "demo", 1.0))


def test_a_watcher_hears_of_a_run_once_however_often_it_changed() -> None:
    changes = RunChanges()
    changes.saw([row("before")])
    with changes.watching() as watcher:
        changes.saw([row("a"), ChangeRun("b", {})])
        changes.saw([ChangeRun("a", {}), DeleteThread(7, 0.0)])
        assert watcher.take() == (["a", "b"], {7})
        assert watcher.take() == ([], set())
    changes.saw([row("after")])
    assert watcher.take() == ([], set())


def test_a_watcher_that_falls_behind_is_told_to_look_anew() -> None:
    changes = RunChanges()
    with changes.watching() as watcher:
        changes.saw([row(f"r{n}") for n in range(MOST_WAITING + 1)])
        assert watcher.take() is None
        changes.saw([row("a")])
        assert watcher.take() == (["a"], set())


@asynccontextmanager
async def watching(inside: Any, token: str = "demo-you") -> AsyncIterator[Callable[[], Awaitable[dict[str, Any]]]]:
    """`await heard()` is the next thing that a reader of the stream is told."""
    call = Call("GET", PATH, headers=Headers({"authorization": f"Bearer {token}"}))
    call.principal = await inside.services.authenticate(call)
    stream = await OwnChanges(inside.services).stream(call)
    decoder, waiting = SSEDecoder(), []
    async with aclosing(stream.source) as source:  # type: ignore[union-attr,type-var]  # no list: nobody asked for JSON

        async def heard() -> dict[str, Any]:
            async with asyncio.timeout(LONG):
                while not waiting:
                    waiting.extend(decoder.feed(await anext(source)))
            return dict(json.loads(waiting.pop(0).data))

        yield heard


async def ask(inside: Any, text: str, token: str = "demo-you") -> dict[str, Any]:
    return dict((await inside.ask("POST", f"{V1}/runs", {"message": {"text": text}}, token=token)).json())


async def until(heard: Callable[[], Awaitable[dict[str, Any]]], run: str, status: str) -> dict[str, Any]:
    while True:
        told = await heard()
        assert told["type"] == "run", told
        if (told["run"]["id"], told["run"]["status"]) == (run, status):
            return told["run"]


async def test_first_a_page_then_each_run_that_changes(start_inside: Start) -> None:
    inside = await start_inside()
    earlier = await ask(inside, "echo: x")
    async with watching(inside) as heard:
        snapshot = await heard()
        assert (snapshot.pop("type"), [row["id"] for row in snapshot["runs"]]) == ("snapshot", [earlier["id"]])
        models.RunList.model_validate(snapshot)
        run = await ask(inside, "approve: create_bucket b")
        models.RunOut.model_validate(await until(heard, run["id"], "paused"))
        await inside.ask("POST", f"{V1}/runs/{run['id']}/cancel")
        told = await until(heard, run["id"], "cancelled")
        assert told == {
            name: value
            for name, value in (await inside.ask("GET", f"{V1}/runs/{run['id']}")).json().items()
            if name != "result"
        }


async def test_a_run_that_goes_with_its_thread_is_told(start_inside: Start) -> None:
    inside = await start_inside()
    earlier = await ask(inside, "approve: create_bucket b")
    async with watching(inside) as heard:
        await heard()
        later = await ask(inside, "approve: create_bucket b")
        await until(heard, later["id"], "paused")
        gone = set()
        for run in (earlier, later):
            await inside.ask("DELETE", f"{V1}/threads/{run['thread']}")
        while gone != {earlier["id"], later["id"]}:
            told = await heard()
            gone |= {told["run"]} if told["type"] == "removed" else set()


@pytest.mark.requirement("CORE-04")
async def test_others_runs_are_shown_to_admins_alone(start_inside: Start) -> None:
    inside = await start_inside()
    await ask(inside, "echo: mine")
    async with watching(inside, "demo-bob") as bob, watching(inside) as admin:
        assert (await bob())["runs"] == []
        assert len((await admin())["runs"]) == 1
        await ask(inside, "echo: mine")
        flow = (await inside.ask("POST", f"{V1}/flows/basics/echo/runs", {"message": "x"})).json()
        await until(admin, flow["id"], "completed")
        own = await ask(inside, "echo: bobs", token="demo-bob")
        told: dict[str, Any] = {"status": "running"}
        while told["status"] != "completed":  # and nothing else is told
            told = (await bob())["run"]
            assert (told["id"], told["user"]) == (own["id"], own["user"])
        await until(admin, own["id"], "completed")


async def test_who_falls_behind_gets_the_page_anew(start_inside: Start) -> None:
    inside = await start_inside()
    async with watching(inside) as heard:
        await heard()
        inside.services.changes.saw([row(f"r{n}") for n in range(MOST_WAITING + 1)])
        assert (await heard())["type"] == "snapshot"


async def test_the_end_of_the_server_is_told(start_inside: Start) -> None:
    inside = await start_inside()
    async with watching(inside) as heard:
        await heard()
        inside.services.closing.set()
        assert await heard() == {"type": "closing"}


async def test_a_key_that_is_revoked_ends_its_stream_before_anything_more_is_told(start_inside: Start) -> None:
    inside = await start_inside()
    key, text = create_key(tenant="demo", user="ann", now=inside.services.clock(), scopes=("use", "admin"))
    await inside.services.store.commit(PutKey(key))
    async with watching(inside, text) as heard:
        assert (await heard())["type"] == "snapshot"
        await inside.services.store.commit(RevokeKey(key.id, inside.services.clock()))
        await ask(inside, "echo: secret")
        assert await heard() == {"type": "closing"}
        with pytest.raises(StopAsyncIteration):
            await heard()


async def test_a_stream_ends_after_a_while_and_whoever_goes_on_signs_in_anew(
    start_inside: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes_module, "LONGEST_SECONDS", 0.0)
    inside = await start_inside()
    async with watching(inside) as heard:
        assert (await heard())["type"] == "snapshot"
        assert await heard() == {"type": "closing"}


async def test_whoever_accepts_json_alone_gets_the_page_alone(start_inside: Start) -> None:
    inside = await start_inside()
    runs = [(await ask(inside, "echo: x"))["id"] for _ in range(2)]
    answer = await inside.ask("GET", f"{PATH}?limit=1", headers={"accept": "application/json"})
    page = models.RunList.model_validate(answer.json())
    assert ([one.id for one in page.runs], page.more) == (runs[1:], True)
    assert (await inside.ask("GET", f"{PATH}?limit=x", headers={"accept": "application/json"})).status == 400
    assert (await inside.ask("GET", PATH, token=None)).status == 401


async def test_over_a_socket_the_stream_stays_open(serve_live: Callable[..., Any]) -> None:
    live = serve_live()
    sock = await asyncio.to_thread(live.get, PATH)
    with sock:
        seen = b""
        while b'"type":"snapshot"' not in seen:
            seen += await asyncio.to_thread(sock.recv, 65536)
        headers = {"content-type": "application/json"}
        body = json.dumps({"message": {"text": "echo: x"}})
        await asyncio.to_thread(live.client.post, f"{V1}/runs", content=body, headers=headers)
        while b'"status":"completed"' not in seen:
            seen += await asyncio.to_thread(sock.recv, 65536)
    assert b"text/event-stream" in seen
