"""Finding runs by face, user, time and words, threads by their title, and giving a thread another."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

import pytest

from dragoman.core.records import Run, Thread
from dragoman.core.writes import PutKey, PutRun, PutThread
from dragoman.server.auth import demo_user
from dragoman.server.keys import create_key
from dragoman.server.own import handlers
from dragoman.server.own import models as models

Start = Callable[..., Awaitable[Any]]
V1 = "/dragoman/v1"
YOU, BOB = demo_user("demo-you"), demo_user("demo-bob")


def run(id: str, created: float, owner: str = YOU, **more: Any) -> PutRun:
    known = {
        "tenant": "demo",
        "owner": owner,
        "kind": "chat",
        "name": "demo",
        "created": created,
        "status": "completed",
    }
    return PutRun(Run(id, **known | more))


async def seeded(start_inside: Start) -> Any:
    inside = await start_inside(clock=lambda: 100.0)
    await inside.services.store.commit(
        run("r1", 10.0, face="kai"),
        run("r2", 20.0, face="own", status="failed", error={"code": "x", "message": "no route to db.internal"}),
        run("r3", 30.0, BOB, face="kai", session="tour-1"),
        run("r4", 40.0, BOB, face="noukai", kind="execute", name="basics/two-step"),
        run("foreign", 25.0, tenant="other", face="kai"),
    )
    return inside


async def found(inside: Any, query: str, token: str = "demo-you") -> list[str]:
    answer = await inside.ask("GET", f"{V1}/runs?{query}", token=token)
    assert answer.status == 200, answer.text
    page = models.RunList.model_validate(answer.json())
    return [row.id for row in page.runs]


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("face=kai", ["r3", "r1"]),
        (f"user={BOB}", ["r4", "r3"]),
        (f"user={YOU}&face=kai", ["r1"]),
        ("user=nobody", []),
        ("from=20&to=40", ["r3", "r2"]),
        ("from=20.5", ["r4", "r3"]),
        ("to=10", []),
        ("failed=true", ["r2"]),
        ("failed=false&face=kai", ["r3", "r1"]),
        ("failed=true&status=completed", []),
        ("failed=false&status=completed,failed&to=30", ["r1"]),
        ("q=Two-S", ["r4"]),
        ("q=tour", ["r3"]),
        ("q=internal", []),
        ("q=%20%20", ["r4", "r3", "r2", "r1"]),
    ],
)
async def test_runs_are_found_by_face_user_time_and_words(start_inside: Start, query: str, ids: list[str]) -> None:
    assert await found(await seeded(start_inside), query) == ids


@pytest.mark.parametrize(
    "query",
    ["from=x", "from=-1", "from=1e400", "to=nan", "to=%C2%B2", "failed=yes", "face=a%20b", "user=", "q=" + "x" * 201],
)
async def test_a_filter_that_makes_no_sense_is_refused(start_inside: Start, query: str) -> None:
    inside = await start_inside()
    answer = await inside.ask("GET", f"{V1}/runs?{query}")
    assert (answer.status, answer.json()["error"]["code"]) == (400, "bad_request:input")


@pytest.mark.requirement("CORE-04")
async def test_others_runs_are_found_by_admins_alone(start_inside: Start) -> None:
    inside = await seeded(start_inside)
    assert await found(inside, "face=kai", "demo-bob") == ["r3"]
    assert await found(inside, f"user={BOB}", "demo-bob") == ["r4", "r3"]
    assert await found(inside, f"kind=execute&user={BOB}", "demo-bob") == ["r4"]
    assert await found(inside, "from=0&q=r", "demo-cid") == []
    theirs = await inside.ask("GET", f"{V1}/runs?user={YOU}", token="demo-bob", headers={"x-request-id": "r"})
    nobodys = await inside.ask("GET", f"{V1}/runs?user=nobody", token="demo-bob", headers={"x-request-id": "r"})
    assert (theirs.status, theirs.body) == (403, nobodys.body)


async def test_whose_a_run_is_is_told_to_its_user_and_to_admins(start_inside: Start) -> None:
    inside = await seeded(start_inside)
    users = []
    for token in ("demo-you", "demo-bob", "demo-cid"):
        users.append((await inside.ask("GET", f"{V1}/runs/r4", token=token)).json()["user"])
    assert users == [BOB, BOB, None]
    listed = (await inside.ask("GET", f"{V1}/runs?kind=execute", token="demo-cid")).json()["runs"]
    assert [(row["id"], row["user"]) for row in listed] == [("r4", None)]


async def test_the_time_to_the_first_token_is_in_the_run(start_inside: Start) -> None:
    inside = await start_inside()
    body = {"message": {"text": "slow: 3 20"}}
    started = (await inside.ask("POST", f"{V1}/runs", body)).json()
    await inside.ask("GET", f"{V1}/runs/{started['id']}/events", headers={"accept": "text/event-stream"})
    after = models.RunDetailOut.model_validate((await inside.ask("GET", f"{V1}/runs/{started['id']}")).json())
    events = (
        await inside.ask("GET", f"{V1}/runs/{started['id']}/events", headers={"accept": "application/json"})
    ).json()
    spoken = next(event["time"] for event in events["events"] if event["type"] == "block.delta")
    assert after.started is not None
    assert after.first_token == pytest.approx(spoken - after.started, abs=1e-5)


# --------------------------------------------------------------------------- threads


def thread(id: str, title: str, owner: str = YOU) -> PutThread:
    return PutThread(Thread(id, "demo", owner, 1.0, 1.0, title=title))


async def titled(inside: Any, query: str, token: str = "demo-you") -> list[str]:
    answer = await inside.ask("GET", f"{V1}/threads?{query}", token=token)
    page = models.ThreadList.model_validate(answer.json())
    return [one.id for one in page.threads]


async def test_threads_are_found_by_their_title_whatever_its_case(start_inside: Start) -> None:
    inside = await start_inside()
    for number, title in enumerate(("Über uns", "A trip to Brno", "BRNO again", "100% sure")):
        await inside.services.store.commit(thread(f"t{number}", title))
    await inside.services.store.commit(thread("theirs", "Brno, Bob's", BOB))
    assert await titled(inside, "q=brno") == ["theirs", "t2", "t1"]
    assert await titled(inside, f"q={quote('üBER')}") == ["t0"]
    assert await titled(inside, "q=%25") == ["t3"]
    assert await titled(inside, "q=nothing") == []
    assert await titled(inside, "q=brno", "demo-bob") == ["theirs"]
    assert (await inside.ask("GET", f"{V1}/threads?q={'x' * 201}")).status == 400


async def test_an_admin_can_ask_for_threads_of_their_own(start_inside: Start) -> None:
    inside = await start_inside()
    rows = [thread("t0", "Brno"), thread("t1", "Brno, Bob's", BOB), thread("t2", "Prague"), thread("t3", "Bob's", BOB)]
    await inside.services.store.commit(*rows)
    assert await titled(inside, "") == await titled(inside, "mine=false") == ["t3", "t2", "t1", "t0"]
    assert await titled(inside, "mine=true") == ["t2", "t0"]
    assert await titled(inside, "mine=true&after=t2") == ["t0"]
    assert await titled(inside, "mine=true&q=brno") == ["t0"]
    assert await titled(inside, "mine=false", "demo-bob") == ["t3", "t1"]
    asked = [(f"mine=true&after={id}", {"x-request-id": "r"}) for id in ("t1", "nobodys")]
    answers = [await inside.ask("GET", f"{V1}/threads?{query}", headers=more) for query, more in asked]
    assert [one.status for one in answers] == [404, 404]
    assert answers[0].body.replace(b"t1", b"nobodys") == answers[1].body
    assert (await inside.ask("GET", f"{V1}/threads?mine=yes")).status == 400


async def test_a_search_of_titles_comes_in_pages_and_looks_at_so_many_at_once(
    start_inside: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handlers, "_THREADS_AT_ONCE", 2)
    monkeypatch.setattr(handlers, "MOST_THREADS", 4)
    inside = await start_inside()
    titles = ["odd", "even", "even", "even", "even", "odd", "even", "odd", "odd"]
    await inside.services.store.commit(*(thread(f"t{n}", title) for n, title in enumerate(titles)))
    pages, after, more = [], "", True
    while more:
        page = (await inside.ask("GET", f"{V1}/threads?q=odd&limit=2{after}")).json()
        pages.append([one["id"] for one in page["threads"]])
        after, more = f"&after={page['next']}", page["more"]
    assert pages == [["t8", "t7"], ["t5"], ["t0"]]


async def test_a_thread_gets_another_title(start_inside: Start) -> None:
    inside = await start_inside()
    await inside.services.store.commit(thread("t", "old"))
    answer = await inside.ask("PATCH", f"{V1}/threads/t", {"title": "new <b>"})
    assert (answer.status, models.ThreadOut.model_validate(answer.json()).title) == (200, "new <b>")
    assert (await inside.ask("GET", f"{V1}/threads/t")).json()["title"] == "new <b>"
    for body in ({}, {"title": ""}, {"title": "x" * 201}, {"title": 7}):
        assert (await inside.ask("PATCH", f"{V1}/threads/t", body)).status == 400


@pytest.mark.requirement("CORE-04")
async def test_only_its_owner_renames_a_thread(start_inside: Start) -> None:
    inside = await start_inside()
    await inside.services.store.commit(thread("theirs", "old", BOB))
    headers = {"x-request-id": "r"}
    answers = [
        await inside.ask("PATCH", f"{V1}/threads/{id}", {"title": "mine"}, token="demo-cid", headers=headers)
        for id in ("theirs", "nobodys")
    ]
    assert (answers[0].status, answers[0].body) == (404, answers[1].body)
    assert (await inside.ask("PATCH", f"{V1}/threads/theirs", {"title": "mine"})).status == 403
    assert (await inside.ask("GET", f"{V1}/threads/theirs")).json()["title"] == "old"


async def test_a_key_bound_to_projects_finds_no_runs_of_other_flows(start_inside: Start) -> None:
    inside = await seeded(start_inside)
    key, text = create_key(tenant="demo", user=BOB, now=0.0, projects=["other"])
    await inside.services.store.commit(PutKey(key))
    assert await found(inside, "from=0", text) == ["r3"]
