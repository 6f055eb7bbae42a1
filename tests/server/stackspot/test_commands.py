"""Quick commands: started, asked for, repeated, and nobody else's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from tests.server.conftest import Inside, Reply
from tests.server.stackspot.filing import token, uploaded

from dragoman.core.ids import canonical, is_ulid
from dragoman.core.messages import FilePart
from dragoman.demo.app import demo_app
from dragoman.engine.agents import Agent
from dragoman.engine.app import App
from dragoman.engine.flows.authoring import Flow, model_step
from dragoman.server.asgi import asgi
from dragoman.testing.clock import FakeClock
from dragoman.testing.model import ScriptedModel

Start = Callable[..., Awaitable[Inside]]


async def create(
    inside: Inside, bearer: str | None, data: Any, *, slug: str = "demo", key: str = "", **more: Any
) -> Reply:
    headers = {"idempotency-key": key} if key else {}
    path = f"/v1/quick-commands/create-execution/{slug}"
    return await inside.ask("POST", path, {"input_data": data, **more}, token=bearer, headers=headers)


async def callback(inside: Inside, bearer: str | None, execution: str) -> Reply:
    return await inside.ask("GET", f"/v1/quick-commands/callback/{execution}?nocache=1", token=bearer)


async def ended(inside: Inside, bearer: str, execution: str) -> dict[str, Any]:
    """The document of an execution once it is over."""
    async for _ in inside.services.engine.events(canonical(execution)):
        pass
    document: dict[str, Any] = (await callback(inside, bearer, execution)).json()
    return document


async def executed(inside: Inside, bearer: str, data: Any, **options: Any) -> dict[str, Any]:
    reply = await create(inside, bearer, data, **options)
    assert reply.status == 200, reply.text
    return await ended(inside, bearer, reply.json())


@pytest.mark.requirement("STK-96")
async def test_a_command_is_started_with_a_bare_id_and_asked_for_until_it_is_over(start_inside: Start) -> None:
    inside = await start_inside()
    bearer = await token(inside)
    reply = await create(inside, bearer, "echo: Ho")
    assert reply.status == 200
    assert is_ulid(reply.json())
    document = await ended(inside, bearer, reply.json())
    assert document["execution_id"] == reply.json()
    assert (document["quick_command_slug"], document["result"]) == ("demo", "Ho")
    assert is_ulid(document["conversation_id"])
    progress = document["progress"]
    assert (progress["status"], progress["execution_percentage"]) == ("COMPLETED", 1.0)
    assert progress["start"] <= progress["end"]
    assert progress["duration"] >= 0
    [step] = document["steps"]
    assert (step["step_name"], step["type"], step["execution_order"]) == ("main", "LLM", 0)
    assert step["step_result"] == {"answer": "Ho", "sources": []}


@pytest.mark.requirement("STK-96")
async def test_before_its_end_a_command_is_running_and_has_no_result(start_inside: Start) -> None:
    inside = await start_inside()
    bearer = await token(inside)
    execution = (await create(inside, bearer, "slow: 3 60000")).json()
    document = (await callback(inside, bearer, execution)).json()
    assert document["progress"] == {
        "start": document["progress"]["start"],
        "end": None,
        "duration": None,
        "execution_percentage": 0.5,
        "status": "RUNNING",
    }
    assert (document["result"], document["steps"]) == (None, [])
    await inside.services.engine.cancel(canonical(execution))
    over = (await callback(inside, bearer, execution)).json()
    assert over["progress"]["status"] == "FAILURE"
    assert over["error"]["code"] == "cancelled"


@pytest.mark.requirement("STK-96", "STK-17")
async def test_a_command_whose_model_fails_ends_as_failure_and_says_why(start_inside: Start) -> None:
    inside = await start_inside()
    document = await executed(inside, await token(inside), "fail: no quota")
    assert (document["progress"]["status"], document["result"]) == ("FAILURE", None)
    assert "no quota" in document["error"]["message"]


@pytest.mark.requirement("STK-96")
async def test_input_that_is_no_text_reaches_the_model_as_json(start_inside: Start) -> None:
    async def model(request: Any) -> Any:
        yield request.messages[-1].text

    app = App("acme", agents=[Agent("say", model=model)])
    inside = await start_inside(app)
    bearer = await token(inside)
    for data, said in (({"a": ["ö"]}, '{"a": ["ö"]}'), ([1], "[1]"), (0, "0"), (False, "false")):
        assert (await executed(inside, bearer, data, slug="say"))["result"] == said


@pytest.mark.requirement("STK-96", "STK-61")
async def test_a_command_takes_uploads(start_inside: Start) -> None:
    inside = await start_inside()
    bearer = await token(inside)
    ids = [await uploaded(inside, bearer, f"{name}.txt", b"x") for name in "ba"]
    assert (await executed(inside, bearer, "files", upload_ids=ids))["result"] == "b.txt, a.txt"
    unknown = await create(inside, bearer, "files", upload_ids=["nonsense"])
    assert (unknown.status, unknown.json()["code"]) == (404, "UPLOAD_NOT_FOUND")


@pytest.mark.requirement("STK-96")
async def test_the_sources_that_a_command_used_are_named(start_inside: Start) -> None:
    inside = await start_inside()
    bearer = await token(inside)
    target = {"target_type": "KNOWLEDGE_SOURCE", "target_id": "demo-ks"}
    await uploaded(inside, bearer, "a.txt", b"Holidays need form H7.", **target)
    document = await executed(inside, bearer, "echo: holidays")
    assert document["steps"][0]["step_result"] == {"answer": "holidays", "sources": ["demo-ks"]}


@pytest.mark.requirement("STK-96")
async def test_a_conversation_that_the_caller_names_is_told_again(start_inside: Start) -> None:
    inside = await start_inside()
    bearer = await token(inside)
    id = "01jz8q4n5v7x3w1t9r2p6m0khc"
    document = await executed(inside, bearer, "echo: x", slug=f"demo?conversation_id={id}")
    assert document["conversation_id"] == id.upper()


# --------------------------------------------------------------------------- flows


def upper(ctx: Any) -> str:
    return str(ctx.message).upper()


def parameters(ctx: Any) -> Any:
    return dict(ctx.parameters)


def an_app() -> App:
    flows = [Flow("basics/upper", [upper]), Flow("basics/same", [parameters]), Flow("other/same", [upper])]
    return App("acme", agents=[Agent("upper", model=ScriptedModel())], flows=flows)


@pytest.mark.requirement("STK-96")
@pytest.mark.parametrize("slug", ["upper", "basics%2Fupper"])
async def test_a_slug_names_a_flow_before_it_names_an_agent(start_inside: Start, slug: str) -> None:
    inside = await start_inside(an_app())
    document = await executed(inside, await token(inside), "hello", slug=slug)
    assert document["progress"]["status"] == "COMPLETED"
    assert document["result"] == "HELLO"
    assert [step["step_name"] for step in document["steps"]] == ["upper"]


@pytest.mark.requirement("STK-96")
async def test_the_fields_of_an_object_are_a_flows_parameters(start_inside: Start) -> None:
    inside = await start_inside(an_app())
    document = await executed(inside, await token(inside), {"a": 1}, slug="basics%2Fsame")
    assert document["result"] == {"a": 1}


@pytest.mark.requirement("STK-96", "STK-60")
async def test_a_flows_model_reads_the_files_of_a_command(start_inside: Start) -> None:
    flow = Flow("basics/read", [model_step("read", model=what_it_reads)])
    inside = await start_inside(App("acme", flows=[flow]))
    bearer = await token(inside)
    id = await uploaded(inside, bearer, "a.txt", b"what it says")
    document = await executed(inside, bearer, "read", slug="read", upload_ids=[id])
    assert document["result"] == "a.txt says what it says"


async def what_it_reads(request: Any) -> AsyncIterator[str]:
    for part in request.messages[-1].parts:
        if isinstance(part, FilePart):
            yield f"{part.name} says {part.text}"


@pytest.mark.requirement("STK-96")
@pytest.mark.parametrize("slug", ["nothing", "same", "basics"])
async def test_an_unknown_or_ambiguous_slug_is_named(start_inside: Start, slug: str) -> None:
    inside = await start_inside(an_app())
    reply = await create(inside, await token(inside), "hello", slug=slug)
    assert (reply.status, reply.json()["code"]) == (404, "QUICK_COMMAND_NOT_FOUND")
    assert slug in reply.json()["details"]


# --------------------------------------------------------------------------- repeats, limits, strangers


@pytest.mark.requirement("STK-96", "STK-97")
async def test_a_repeat_is_the_same_execution_and_another_body_is_refused(start_inside: Start) -> None:
    clock = FakeClock()
    inside = await start_inside(clock=clock)
    bearer = await token(inside)
    first, second = [(await create(inside, bearer, "echo: a", key="k1")).json() for _ in range(2)]
    assert first == second
    assert (await ended(inside, bearer, first))["result"] == "a"
    assert (await create(inside, bearer, "echo: a", key="k1")).json() == first
    clash = await create(inside, bearer, "echo: b", key="k1")
    assert (clash.status, clash.json()["code"]) == (409, "IDEMPOTENCY_CONFLICT")
    other = await create(inside, await token(inside, "demo-eve"), "echo: b", key="k1")
    assert other.json() != first
    clock.advance(601)
    assert (await create(inside, bearer, "echo: a", key="k1")).json() != first


@pytest.mark.requirement("STK-97")
async def test_many_at_once_are_kept_apart(start_inside: Start) -> None:
    inside = await start_inside()
    bearer = await token(inside)
    found = await asyncio.gather(*[executed(inside, bearer, f"echo: {number}") for number in range(20)])
    assert [one["result"] for one in found] == [str(number) for number in range(20)]


@pytest.mark.requirement("STK-96")
async def test_limits_are_told_with_the_code_of_commands(start_inside: Start) -> None:
    clock = FakeClock()
    inside = await start_inside(clock=clock, settings={"stackspot": {"limits": {"requests_per_minute": 1}}})
    bearer = await token(inside)
    assert (await create(inside, bearer, "echo: a")).status == 200
    refused = await create(inside, bearer, "echo: a")
    assert refused.status == 429
    assert refused.json()["code"] == "CODEBUDDY_1044_QUICK_COMMAND_RATE_LIMIT_EXCEEDED"
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    clock.advance(61)
    assert (await create(inside, bearer, "echo: a")).status == 200


@pytest.mark.requirement("STK-96")
async def test_a_command_keeps_its_place_until_it_is_over(start_inside: Start) -> None:
    inside = await start_inside(settings={"stackspot": {"limits": {"parallel": 1}}})
    bearer = await token(inside)
    execution = (await create(inside, bearer, "slow: 3 60000")).json()
    assert (await create(inside, bearer, "echo: a")).status == 429
    await inside.services.engine.cancel(canonical(execution))
    for _ in range(100):
        if (reply := await create(inside, bearer, "echo: a")).status == 200:
            break
        await asyncio.sleep(0)
    assert (await ended(inside, bearer, reply.json()))["result"] == "a"


@pytest.mark.requirement("STK-96")
async def test_an_execution_is_its_callers_alone(start_inside: Start) -> None:
    inside = await start_inside()
    ann, eve = await token(inside, "demo-ann"), await token(inside, "demo-eve")
    execution = (await create(inside, ann, "echo: a")).json()
    await ended(inside, ann, execution)
    for id in (execution, "nonsense", "01JZ8Q4N5V7X3W1T9R2P6M0KHC"):
        reply = await callback(inside, eve, id)
        assert (reply.status, reply.json()["code"]) == (404, "EXECUTION_NOT_FOUND")
        assert id in reply.json()["details"]
    assert (await callback(inside, ann, execution.lower())).status == 200


@pytest.mark.requirement("STK-96", "STK-05")
async def test_both_routes_need_a_token(start_inside: Start) -> None:
    inside = await start_inside()
    assert (await create(inside, "bogus", "echo: a")).status == 401
    assert (await callback(inside, None, "x")).status == 401


@pytest.mark.requirement("STK-96", "STK-16")
@pytest.mark.parametrize(
    "body",
    [None, [], "x", {}, {"input_data": None}, {"input_data": ""}, {"input_data": "x", "upload_ids": "y"}],
)
async def test_a_bad_body_is_told_and_starts_nothing(start_inside: Start, body: Any) -> None:
    inside = await start_inside()
    path = "/v1/quick-commands/create-execution/demo"
    reply = await inside.ask("POST", path, body, token=await token(inside))
    assert reply.status in (400, 422)
    assert reply.json()["code"] == "VALIDATION_ERROR"
    assert not (await inside.services.store.runs("demo")).rows


@pytest.mark.requirement("STK-96")
async def test_a_command_leaves_no_conversation(start_inside: Start) -> None:
    inside = await start_inside()
    await executed(inside, await token(inside), "echo: a")
    assert not (await inside.services.store.threads("demo", None, limit=10)).rows


@pytest.mark.requirement("STK-96")
async def test_a_command_goes_on_after_a_restart(tmp_path: Any) -> None:
    clock = FakeClock()

    def application() -> Any:
        return asgi(demo_app(sleep=clock.sleep), demo=True, data=tmp_path, settings={"log.requests": False})

    first = application()
    await first.start()
    inside = Inside(first)
    bearer = await token(inside)
    execution = (await create(inside, bearer, "count: 3")).json()
    await first.stop()
    second = application()
    await second.start()
    try:
        assert (await ended(Inside(second), bearer, execution))["result"] == "1 2 3"
    finally:
        await second.stop()
