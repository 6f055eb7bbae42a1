"""What a user has said on Kai about instructions and tools holds for the answers of the ChatKit face too."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.server.chatkit.own_servers import asked, events, message
from tests.server.chatkit.talking import done, said, types

from dragoman.engine.agents import Agent
from dragoman.engine.app import App
from dragoman.engine.tools import tool
from dragoman.testing.model import ScriptedModel

Start = Callable[..., Awaitable[Any]]
ANN, BOB = "demo-ann", "demo-bob"


async def wish(inside: Any, path: str = "/api/settings/user", *, token: str = ANN, **changes: Any) -> None:
    headers = {"x-storageapi-token": token}
    assert (await inside.ask("PATCH", path, changes, token=None, headers=headers)).status == 200


async def stream(inside: Any, op: str, *, token: str = ANN, **params: Any) -> list[dict[str, Any]]:
    answer = await inside.ask("POST", "/chatkit", asked(op, **params), token=token)
    assert answer.status == 200, answer.text
    return events(answer.text)


async def begin(inside: Any, text: str, *, token: str = ANN) -> tuple[str, list[dict[str, Any]]]:
    told = await stream(inside, "threads.create", input=message(text), token=token)
    return told[0]["thread"]["id"], told


def counting() -> tuple[App, list[str]]:
    """An app whose one tool writes down that it ran."""
    made: list[str] = []

    @tool
    async def create_bucket(name: str) -> str:
        """Make a bucket."""
        made.append(name)
        return f"created {name}"

    return App("t", agents=[Agent("demo", model=ScriptedModel(), tools=[create_bucket])]), made


@pytest.mark.requirement("CHK-27")
async def test_a_tool_that_its_user_has_blocked_runs_for_no_operation(start_inside: Start) -> None:
    app, made = counting()
    inside = await start_inside(app)
    await wish(inside, toolPermissions={"create_bucket": "blocked"})
    thread, told = await begin(inside, "approve: create_bucket x")
    told += await stream(
        inside, "threads.add_user_message", thread_id=thread, input=message("approve: create_bucket y")
    )
    question = next(one["item"]["id"] for one in told if one["type"] == "thread.item.done")
    told += await stream(inside, "threads.retry_after_item", thread_id=thread, item_id=question)
    answers = [item for item in done(told) if item["type"] == "assistant_message"]
    assert (said(answers), made) == (["denied"] * 3, [])
    assert "approval.approve" not in str(told)


@pytest.mark.requirement("CHK-27")
async def test_a_tool_may_be_allowed_or_asked_about_and_others_have_their_own_wishes(start_inside: Start) -> None:
    app, made = counting()
    inside = await start_inside(app)
    await wish(inside, toolPermissions={"create_bucket": "always_allow"})
    _, told = await begin(inside, "approve: create_bucket free")
    assert ("progress_update" in types(told), made) == (True, ["free"])
    _, told = await begin(inside, "approve: create_bucket other", token=BOB)
    assert (told[-1]["item"]["type"], made) == ("widget", ["free"])
    await wish(inside, toolPermissions=None)
    _, told = await begin(inside, "approve: create_bucket again")
    assert (told[-1]["item"]["type"], made) == ("widget", ["free"])


@pytest.mark.requirement("CHK-07")
async def test_instructions_of_project_and_user_come_before_those_of_the_message(start_inside: Start) -> None:
    model = ScriptedModel(["ok"])
    inside = await start_inside(App("t", agents=[Agent("a", model=model, instructions="base")]))
    await wish(inside, "/api/settings", customInstructions="of the project")
    await wish(inside, customInstructions="of ann")
    await stream(inside, "threads.create", input=message("hi", quoted_text="a quoted passage"))
    assert model.requests[0].instructions.startswith("base\n\nof the project\n\nof ann\n\n")
    assert "a quoted passage" in model.requests[0].instructions
