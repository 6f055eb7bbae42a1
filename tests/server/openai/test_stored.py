"""Answers that were kept, fetched once more; what is done with them elsewhere says where."""

from __future__ import annotations

import time
from typing import Any

import pytest
from tests.server.openai.gateway import CHAT, Waiting, app_of, asking, calling, frames
from tests.server.openai.test_runs import waiting_app

from dragoman.core.writes import PutKey
from dragoman.server.keys import create_key


@pytest.mark.parametrize("model", ["demo", "agent/demo"])
async def test_a_kept_answer_can_be_fetched_again(start_inside: Any, model: str) -> None:
    inside = await start_inside()
    first = await inside.ask("POST", CHAT, asking("reason: why", model, store=True, metadata={"order": "7"}))
    answer = first.json()
    again = await inside.ask("GET", f"{CHAT}/{answer['id']}")
    assert again.status == 200, again.text
    assert again.json() == {**answer, "metadata": {"order": "7"}}
    run = first.headers["x-dragoman-run"]
    assert again.headers["x-dragoman-run"] == run
    assert (await inside.ask("GET", f"{CHAT}/{run}")).body == again.body


async def test_the_id_of_a_stream_fetches_its_answer(start_inside: Any) -> None:
    inside = await start_inside()
    streamed = await inside.ask("POST", CHAT, asking("count: 3", "demo", store=True, stream=True))
    again = await inside.ask("GET", f"{CHAT}/{frames(streamed.body)[0]['id']}")
    assert again.json()["choices"][0]["message"]["content"] == "1 2 3"


async def test_nobody_else_can_fetch_it(start_inside: Any) -> None:
    inside = await start_inside()
    name = (await inside.ask("POST", CHAT, asking("echo: x", "demo", store=True), token="demo-ann")).json()["id"]
    other = await inside.ask("GET", f"{CHAT}/{name}", token="demo-ben")
    assert (other.status, other.json()["error"]["code"]) == (404, "not_found")
    assert (await inside.ask("GET", f"{CHAT}/{name}", token=None)).status == 401
    assert (await inside.ask("GET", f"{CHAT}/{name}", token="demo-ann")).status == 200


async def test_users_of_the_same_name_in_two_tenants_share_nothing(start_inside: Any) -> None:
    inside = await start_inside(app_of(), demo=False)
    tokens = []
    for tenant in ("acme", "umbrella"):
        key, token = create_key(tenant=tenant, user="ann", now=time.time())
        await inside.services.store.commit(PutKey(key))
        tokens.append(token)
    headers = {"idempotency-key": "k"}
    for text, token in zip(("a", "b"), tokens, strict=True):
        answer = await inside.ask("POST", CHAT, asking(f"echo: {text}", "near"), headers=headers, token=token)
        assert answer.json()["choices"][0]["message"]["content"] == text
    found = [(await inside.ask("GET", f"{CHAT}/{answer.json()['id']}", token=token)).status for token in tokens]
    assert found == [404, 200]


@pytest.mark.parametrize("name", ["chatcmpl-x", "x", "chatcmpl-" + "0" * 32, "chatcmpl-" + "0" * 33])
async def test_what_was_never_kept_is_not_found(start_inside: Any, name: str) -> None:
    inside = await start_inside()
    passed = (await inside.ask("POST", CHAT, asking("echo: x", "demo"))).json()["id"]
    unkept = (await inside.ask("POST", CHAT, asking("echo: x", "agent/demo"))).json()["id"]
    for one in (name, passed, unkept):
        reply = await inside.ask("GET", f"{CHAT}/{one}")
        assert (reply.status, reply.json()["error"]["type"]) == (404, "invalid_request_error")


async def test_an_answer_under_way_is_waited_for_and_a_failed_one_is_none(start_inside: Any) -> None:
    model = Waiting()
    inside = await start_inside(waiting_app(model))
    async with calling(inside, asking(model="slow", stream=True, store=True)) as caller:
        await caller.until(b"one")
        name = frames(caller.body)[0]["id"]
        model.go_on.set()
        again = await inside.ask("GET", f"{CHAT}/{name}")
        await caller.end()
    assert again.json()["choices"][0]["message"]["content"] == "one two"
    inside = await start_inside()
    failed = await inside.ask("POST", CHAT, asking("fail: no", "demo", store=True))
    run = failed.headers["x-dragoman-run"].replace("-", "")
    assert (await inside.ask("GET", f"{CHAT}/chatcmpl-{run}")).status == 404


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("GET", "/x/messages"), ("POST", "/x"), ("DELETE", "/x")])
async def test_what_is_done_elsewhere_says_where(start_inside: Any, method: str, path: str) -> None:
    inside = await start_inside()
    reply = await inside.ask(method, CHAT + path, {} if method == "POST" else None)
    assert (reply.status, reply.json()["error"]["code"]) == (404, "not_supported")
    assert "GET /dragoman/v1/runs?kind=completion" in reply.json()["error"]["message"]
    kept = (await inside.ask("POST", CHAT, asking("echo: x", "demo", store=True))).headers["x-dragoman-run"]
    listed = (await inside.ask("GET", "/dragoman/v1/runs?kind=completion")).json()["runs"]
    assert [run["id"] for run in listed] == [kept]
