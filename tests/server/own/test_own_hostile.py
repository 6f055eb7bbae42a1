"""What keys that are bound to a project, and callers that are no admins, could learn from sessions, lists and cassettes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from dragoman import Agent, App, Flow, model_step, step
from dragoman.core.principal import Principal
from dragoman.testing import ScriptedModel
from dragoman.testing.cassette import Cassette
from dragoman.testing.replaying import replay

Start = Callable[..., Awaitable[Any]]
V1 = "/dragoman/v1"
JSON = {"Accept": "application/json"}
LONG = 10.0
PROMPT = "Never say that the code word is swordfish."


@step
def upper(ctx: Any) -> str:
    return str(ctx.message).upper()


def authenticate(headers: Mapping[str, str]) -> Principal:
    """`boss` is an admin, any other word a user, `user.project` a key of that project."""
    user, _, project = headers.get("authorization", "").removeprefix("Bearer ").partition(".")
    scopes = frozenset({"use", "admin"}) if user == "boss" else frozenset({"use"})
    return Principal("acme", user, scopes=scopes, projects=(project,) if project else None)


def shop(instructions: str = PROMPT) -> App:
    model = ScriptedModel()
    return App(
        "shop",
        agents=[Agent("helper", model=model, instructions=instructions)],
        flows=[
            Flow("shop/upper", [upper], capture="full"),
            Flow("back/upper", [upper], capture="full"),
            Flow("shop/model", [model_step("say", model=model, instructions=instructions)], capture="full"),
        ],
        authenticate=authenticate,
    )


async def ask(inside: Any, method: str, path: str, body: Any = None, who: str = "ana") -> Any:
    return await inside.ask(method, V1 + path, body, token=who, headers={**JSON, "X-Request-Id": "r"})


async def run_flow(inside: Any, flow: str, kind: str = "runs", **body: Any) -> str:
    answer = await ask(inside, "POST", f"/flows/{flow}/{kind}", {"message": "echo: hi", **body})
    assert answer.status == 201, answer.text
    async with asyncio.timeout(LONG):
        async for _ in inside.services.engine.events(answer.json()["id"]):
            pass
    return str(answer.json()["id"])


@pytest.mark.requirement("NOU-37", "CORE-04")
async def test_a_key_of_a_project_knows_no_sessions_of_other_projects(start_inside: Start) -> None:
    inside = await start_inside(shop(), demo=False)
    await run_flow(inside, "shop/upper", session="s-shop")
    foreign = await run_flow(inside, "shop/upper", session="s-both")
    mine = await run_flow(inside, "back/upper", session="s-both")
    who = "eve.back"
    (listed,) = (await ask(inside, "GET", "/sessions", who=who)).json()["sessions"]
    assert (listed["id"], listed["first_run"], listed["last_run"]) == ("s-both", None, mine)
    assert foreign not in (await ask(inside, "GET", "/sessions/s-both", who=who)).text
    for path in ("/sessions/{}", "/sessions/{}/cassette", "/sessions?after={}"):
        theirs, nobodys = [await ask(inside, "GET", path.format(id), who=who) for id in ("s-shop", "s-none")]
        assert (theirs.status, theirs.body.replace(b"s-shop", b"s-none")) == (404, nobodys.body), path
    page = (await ask(inside, "GET", "/sessions?limit=1", who=who)).json()
    assert (len(page["sessions"]), page["more"], page["next"]) == (1, False, None)


@pytest.mark.requirement("NOU-37", "CORE-04")
@pytest.mark.parametrize(
    ("path", "kind"), [("/jobs?", "jobs"), ("/runs?kind=execute&", "runs"), ("/runs?session=s&", "runs")]
)
async def test_pages_name_no_run_that_their_reader_may_not_know(start_inside: Start, path: str, kind: str) -> None:
    inside = await start_inside(shop(), demo=False)
    flows = ("back/upper", "shop/upper", "back/upper", "shop/upper", "shop/upper")
    made = [await run_flow(inside, flow, kind, session="s") for flow in flows]
    seen, after = [], ""
    while True:
        page = (await ask(inside, "GET", f"{path}limit=1{after}", who="eve.back")).json()
        seen += [run["id"] for run in page["runs"]]
        assert page["next"] in (None, seen[-1])
        if not page["more"]:
            break
        after = f"&after={page['next']}"
    assert seen == [made[2], made[0]]


@pytest.mark.requirement("CORE-18", "CORE-04")
async def test_a_cassette_tells_instructions_to_admins_alone_and_is_compared_by_digest(start_inside: Start) -> None:
    inside = await start_inside(shop(), demo=False)
    await run_flow(inside, "shop/model", session="s-1")
    assert PROMPT in (await ask(inside, "GET", "/sessions/s-1/cassette", who="boss")).text
    told = await ask(inside, "GET", "/sessions/s-1/cassette")
    assert told.status == 200
    assert "swordfish" not in told.text
    cassette = Cassette.of(told.json())
    assert (await replay(cassette, shop())).told() == ""
    changed = await replay(cassette, shop("Say everything."))
    assert {each.where[-1] for each in changed.differences} == {"instructions"}


@pytest.mark.requirement("NOU-84")
@pytest.mark.parametrize(
    "url",
    [
        "http://files.example/a",
        "file:///etc/passwd",
        "https://user@files.example/a",
        "https:///a",
        "https://files.example/a\r\nX: y",
        "https://inside\\@files.example/",
    ],
)
async def test_an_attachment_is_an_https_address(start_inside: Start, url: str) -> None:
    inside = await start_inside(shop(), demo=False)
    body = {"message": "x", "attachments": [{"url": url, "media_type": "image/png"}]}
    for kind in ("runs", "jobs"):
        assert (await ask(inside, "POST", f"/flows/shop/upper/{kind}", body)).status == 400
    assert (await ask(inside, "GET", "/runs?kind=execute")).json()["runs"] == []
