"""Running a run again: what is asked anew, by whom, and what is left alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from dragoman.core.turns import Turn
from dragoman.server.auth import demo_user
from dragoman.server.own import models as models
from dragoman.server.own import rerun

Start = Callable[..., Awaitable[Any]]
V1 = "/dragoman/v1"
STREAM = {"accept": "text/event-stream"}


async def ended(inside: Any, run: dict[str, Any], token: str = "demo-you") -> dict[str, Any]:
    await inside.ask("GET", f"{V1}/runs/{run['id']}/events", headers=STREAM, token=token)
    return dict((await inside.ask("GET", f"{V1}/runs/{run['id']}", token=token)).json())


async def say(inside: Any, text: str, **more: Any) -> dict[str, Any]:
    answer = await inside.ask("POST", f"{V1}/runs", {"message": {"text": text}, **more})
    assert answer.status == 201, answer.text
    return await ended(inside, answer.json())


async def again(inside: Any, run: dict[str, Any], **options: Any) -> Any:
    return await inside.ask("POST", f"{V1}/runs/{run['id']}/rerun", **options)


async def texts(inside: Any, thread: str) -> list[str]:
    items = (await inside.ask("GET", f"{V1}/threads/{thread}/items")).json()["items"]
    return [item["body"].get("text") or item["body"]["parts"][0]["text"] for item in items]


async def test_a_question_is_asked_again_in_a_thread_that_begins_like_the_old_one(start_inside: Start) -> None:
    inside = await start_inside()
    first = await say(inside, "echo: alpha", title="Greek")
    second = await say(inside, "recall", thread=first["thread"])
    await say(inside, "echo: omega", thread=first["thread"])
    before = await texts(inside, first["thread"])
    answer = await again(inside, second)
    started = models.StartedOut.model_validate(answer.json())
    assert (answer.status, answer.headers["x-dragoman-run"]) == (201, started.id)
    assert started.thread not in (None, first["thread"])
    assert (await ended(inside, answer.json()))["status"] == "completed"
    assert await texts(inside, str(started.thread)) == ["echo: alpha", "alpha", "recall", "echo: alpha"]
    assert (await inside.ask("GET", f"{V1}/threads/{started.thread}")).json()["title"] == "Greek"
    assert await texts(inside, first["thread"]) == before


async def test_a_first_question_begins_a_thread(start_inside: Start) -> None:
    inside = await start_inside()
    first = await say(inside, "echo: alpha")
    started = (await again(inside, first)).json()
    await ended(inside, started)
    assert await texts(inside, started["thread"]) == ["echo: alpha", "alpha"]


async def test_of_a_long_thread_the_latest_entries_go_along(
    start_inside: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rerun, "MOST_ITEMS", 2)
    monkeypatch.setattr(rerun, "_AT_ONCE", 1)
    inside = await start_inside()
    run = await say(inside, "echo: 0")
    for n in range(1, 4):
        run = await say(inside, f"echo: {n}", thread=run["thread"])
    started = (await again(inside, run)).json()
    await ended(inside, started)
    assert await texts(inside, started["thread"]) == ["echo: 2", "2", "echo: 3", "3"]


async def test_the_same_call_with_the_same_key_is_one_run(start_inside: Start) -> None:
    inside = await start_inside()
    run = await say(inside, "echo: x")
    run = await say(inside, "recall", thread=run["thread"])
    one = await again(inside, run, headers={"idempotency-key": "k"})
    await ended(inside, one.json())
    two = await again(inside, run, headers={"idempotency-key": "k"})
    other = await again(inside, run, headers={"idempotency-key": "l"})
    assert (one.status, two.status, other.status) == (201, 200, 201)
    assert (two.json()["id"], two.json()["outcome"]) == (one.json()["id"], "answered")
    assert other.json()["id"] != one.json()["id"]


async def test_a_flow_is_called_as_it_was_called(start_inside: Start) -> None:
    inside = await start_inside()
    body = {"message": "hi", "version": 1, "overrides": {"exclaim": {"suffix": "?"}}, "session": "tour"}
    run = (await inside.ask("POST", f"{V1}/flows/basics/two-step/runs", body)).json()
    await ended(inside, run)
    answer = await again(inside, run)
    started = await ended(inside, answer.json())
    assert (answer.status, started["result"], started["session"]) == (201, "HI?", None)
    assert (started["kind"], started["flow_version"]) == ("execute", 1)
    job = (await inside.ask("POST", f"{V1}/flows/basics/echo/jobs", {"message": "x", "priority": 3})).json()
    await ended(inside, job)
    queued = (await again(inside, job, headers={"idempotency-key": "k"})).json()
    same = (await again(inside, job, headers={"idempotency-key": "k"})).json()
    assert (queued["kind"], queued["priority"], same["id"]) == ("job", 3, queued["id"])


@pytest.mark.parametrize(
    ("flow", "more", "status"),
    [
        ("private", {}, 409),
        ("echo", {"capture": "metadata_only"}, 409),
        ("echo", {"capture": "redacted"}, 201),
        ("echo", {"capture": "redacted", "parameters": {"password": "hunter2"}}, 409),
    ],
)
async def test_a_flow_runs_again_if_all_of_its_input_was_kept(
    start_inside: Start, flow: str, more: dict[str, Any], status: int
) -> None:
    inside = await start_inside()
    run = (await inside.ask("POST", f"{V1}/flows/basics/{flow}/runs", {"message": "x", **more})).json()
    await ended(inside, run)
    answer = await again(inside, run)
    assert answer.status == status, answer.text
    assert status == 201 or answer.json()["error"]["code"] == "conflict:capture"


async def test_a_question_that_has_been_edited_since_is_asked_again_as_it_was(start_inside: Start) -> None:
    inside = await start_inside()
    run = await say(inside, "echo: old")
    message = (await inside.services.store.run(run["id"])).input["message"]
    turn = Turn(
        "demo",
        demo_user("demo-you"),
        "demo",
        thread_id=run["thread"],
        message_id=message,
        parts=({"type": "text", "text": "echo: new"},),
        mode="edit",
    )
    edited = (await inside.services.engine.start(turn)).run
    await ended(inside, {"id": edited.id})
    for id, text in ((run["id"], "echo: old"), (edited.id, "echo: new")):
        answer = await again(inside, {"id": id})
        assert answer.status == 201, answer.text
        await ended(inside, answer.json())
        items = (await inside.ask("GET", f"{V1}/threads/{answer.json()['thread']}/items")).json()["items"]
        assert items[0]["body"]["parts"] == [{"type": "text", "text": text}]


async def test_a_question_that_was_answered_anew_is_asked_again_for_each_of_its_runs(start_inside: Start) -> None:
    inside = await start_inside()
    run = await say(inside, "echo: once")
    turn = Turn("demo", demo_user("demo-you"), "demo", thread_id=run["thread"], mode="regenerate")
    anew = (await inside.services.engine.start(turn)).run
    await ended(inside, {"id": anew.id})
    assert [(await again(inside, {"id": id})).status for id in (run["id"], anew.id)] == [201, 201]


async def test_a_question_that_went_with_an_edited_one_cannot_be_asked_again(start_inside: Start) -> None:
    inside = await start_inside()
    first = await say(inside, "echo: one")
    second = await say(inside, "echo: two", thread=first["thread"])
    turn = Turn(
        "demo",
        demo_user("demo-you"),
        "demo",
        thread_id=first["thread"],
        message_id=(await inside.services.store.run(first["id"])).input["message"],
        parts=({"type": "text", "text": "echo: three"},),
        mode="edit",
    )
    await ended(inside, {"id": (await inside.services.engine.start(turn)).run.id})
    answer = await again(inside, second)
    assert (answer.status, answer.json()["error"]["code"]) == (409, "conflict:message")


async def test_a_run_beside_all_threads_runs_again_beside_them(start_inside: Start) -> None:
    inside = await start_inside()
    form = b"grant_type=client_credentials&client_id=demo-you&client_secret=demo-secret"
    kind = {"content-type": "application/x-www-form-urlencoded"}
    told = await inside.ask("POST", "/demo/oidc/oauth/token", content=form, headers=kind, token=None)
    token = told.json()["access_token"]
    await inside.ask("POST", "/v1/agent/demo/chat", {"user_prompt": "echo: aside"}, token=token)
    [run] = (await inside.ask("GET", f"{V1}/runs?face=stackspot")).json()["runs"]
    assert run["thread"] is None
    answer = await again(inside, run)
    assert answer.status == 201, answer.text
    assert (await ended(inside, answer.json()))["status"] == "completed"


async def test_a_quota_counts_and_leaves_no_thread_behind(start_inside: Start) -> None:
    inside = await start_inside()
    token = "demo-limit2-again"
    first = (await inside.ask("POST", f"{V1}/runs", {"message": {"text": "echo: x"}}, token=token)).json()
    await ended(inside, first, token)
    body = {"message": {"text": "echo: y"}, "thread": first["thread"]}
    second = (await inside.ask("POST", f"{V1}/runs", body, token=token)).json()
    await ended(inside, second, token)
    assert (await again(inside, second, token=token)).status == 429
    threads = (await inside.ask("GET", f"{V1}/threads", token=token)).json()["threads"]
    assert [one["id"] for one in threads] == [first["thread"]]


@pytest.mark.requirement("CORE-04")
async def test_only_its_owner_runs_a_question_again(start_inside: Start) -> None:
    inside = await start_inside()
    body = {"message": {"text": "echo: x"}}
    run = (await inside.ask("POST", f"{V1}/runs", body, token="demo-bob")).json()
    headers = {"x-request-id": "r"}
    theirs = await again(inside, run, token="demo-cid", headers=headers)
    nobodys = await again(inside, {"id": "01900000-0000-7000-8000-000000000000"}, token="demo-cid", headers=headers)
    assert (theirs.status, theirs.body) == (404, nobodys.body)
    assert (await again(inside, run)).status == 403  # an admin may read it
    public = {**body, "visibility": "public"}
    shown = (await inside.ask("POST", f"{V1}/runs", public, token="demo-bob")).json()
    assert (await again(inside, shown, token="demo-cid")).status == 403
