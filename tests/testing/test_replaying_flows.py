"""Recorded runs of flows of every kind, replayed through the same code and through edited code."""

import asyncio
import json
import socket
import threading
from typing import Any

import pytest
from tests.testing.flow_recordings import Works, run_flow
from tests.testing.recordings import LONG, Recorder

from dragoman import Agent, App
from dragoman.core.cassette import outcome
from dragoman.core.errors import UsageError
from dragoman.core.flows import Continue
from dragoman.core.messages import ToolSpec
from dragoman.testing import ScriptedModel
from dragoman.testing.cassette import Cassette
from dragoman.testing.replaying import Replay, replay

pytestmark = pytest.mark.requirement("CORE-18")


async def replayed(cassette: Cassette, works: Works | None = None) -> Replay:
    async with asyncio.timeout(LONG):
        return await replay(Cassette.of(json.loads(cassette.text())), (works or Works()).app())


def is_reproduced(found: Replay) -> bool:
    return found.told() == "" and all(
        json.dumps(outcome(run.recorded)) == json.dumps(outcome(run.document or {})) for run in found.runs
    )


def places(found: Replay) -> list[str]:
    return [each.place for each in found.differences]


@pytest.mark.parametrize(
    ("slug", "message", "options"),
    [
        ("shout", "hello", {}),
        ("shout", "hello", {"version": 2}),
        ("shout", "hi", {"version": 0, "overrides": {"_exclaim": {"suffix": "?"}}}),
        ("shout", "hi", {"input_overrides": {"_exclaim": {"output": "else"}}}),
        ("words", "a b c", {}),
        ("words", "", {}),
        ("grow", "x", {}),
        ("report", "a b c d e", {}),
        ("say", "hello", {}),
        ("say", "hello", {"kind": "job"}),
        ("ask", "price pear, order plum", {}),
        ("ask", "hello", {"messages": ({"role": "user", "content": "hi there"},)}),
        ("broken", "told", {}),
        ("broken", "hidden", {}),
        ("shout", "hello", {"kind": "step", "remaining": False}),
        ("slow", "quick", {"kind": "job", "parameters": {"a": [1, {"b": None}]}}),
    ],
)
async def test_a_run_is_the_same_byte_for_byte(slug: str, message: str, options: dict[str, Any]) -> None:
    async with Recorder(Works().app()) as recorder:
        await run_flow(recorder, slug, message, **options)
        cassette = await recorder.cassette("s1")
    works = Works()
    found = await replayed(cassette, works)
    assert is_reproduced(found), found.told()
    assert not [ran for ran in works.ran if ran.startswith("order")]


@pytest.mark.requirement("NOU-60")
async def test_a_callers_tool_gets_what_the_caller_gave() -> None:
    offered = (ToolSpec("get_weather", "", {"type": "object"}),)
    async with Recorder(Works().app()) as recorder:
        ended = await run_flow(recorder, "weather", "Bern", outputs={"get_weather": "sunny"})
        await run_flow(recorder, "say", "get_weather Bern", tools=offered, outputs={"get_weather": {"sun": 1}})
        cassette = await recorder.cassette("s1")
    assert ended.status == "completed"
    found = await replayed(cassette)
    assert is_reproduced(found), found.told()
    assert found.runs[0].document is not None
    assert found.runs[0].document["result"] == "sunny!"


@pytest.mark.requirement("NOU-92")
async def test_a_run_that_waits_for_a_tool_is_left_waiting() -> None:
    async with Recorder(Works().app()) as recorder:
        await run_flow(recorder, "weather", "Bern")
        cassette = await recorder.cassette("s1")
    found = await replayed(cassette)
    assert is_reproduced(found), found.told()
    assert found.runs[0].document is not None
    assert found.runs[0].document["status"] == "paused"


@pytest.mark.requirement("NOU-92")
async def test_a_cancelled_run_is_cancelled_where_it_was() -> None:
    async with Recorder(Works().app()) as recorder:
        await run_flow(recorder, "slow", "now", cancel_at=("step.started", "slow"))
        await run_flow(recorder, "say", "wait here", cancel_at=("block.delta", "say/model:1"))
        await run_flow(recorder, "slow", "now", kind="job", cancel_at=("run.created", None))  # type: ignore[arg-type]
        cassette = await recorder.cassette("s1")
    assert [each["status"] for each in cassette.executions] == ["cancelled"] * 3
    found = await replayed(cassette)
    assert found.told() == ""
    assert [(run.document or {})["status"] for run in found.runs] == ["cancelled"] * 3


@pytest.mark.requirement("NOU-69")
async def test_runs_that_overlapped_keep_their_answers() -> None:
    async with Recorder(Works().app()) as recorder:
        await asyncio.gather(*(run_flow(recorder, "say", f"word{n}", call_index=n) for n in range(5)))
        cassette = await recorder.cassette("s1")
    found = await replayed(cassette)
    assert is_reproduced(found), found.told()
    assert [(run.document or {})["result"] for run in found.runs] == [f"You said word{n}!" for n in range(5)]


async def test_one_prompt_and_one_tool_edited_are_two_differences() -> None:
    async with Recorder(Works().app()) as recorder:
        await run_flow(recorder, "ask", "price pear")
        cassette = await recorder.cassette("s1")
    found = await replayed(cassette, Works(hint="Be curt.", rate=2.0))
    assert places(found) == ["clerk · instructions", "basics/ask (run-1) · price · output"]


async def test_an_edited_function_shows_where_it_works_and_once() -> None:
    async with Recorder(Works().app()) as recorder:
        await run_flow(recorder, "shout")
        await run_flow(recorder, "words", "a b")
        cassette = await recorder.cassette("s1")
    found = await replayed(cassette, Works(mark="?"))
    assert places(found) == [
        "basics/shout (run-1) · _exclaim · output",
        "basics/words (run-2) · one[0] · output",
        "basics/words (run-2) · one[1] · output",
        "basics/words (run-2) · join · output",
    ]


async def test_an_edited_prompt_of_a_model_step_is_one_difference() -> None:
    async with Recorder(Works().app()) as recorder:
        await run_flow(recorder, "say")
        await run_flow(recorder, "say")
        cassette = await recorder.cassette("s1")
    assert places(await replayed(cassette, Works(prompt="Sing it."))) == ["basics/say · say · config · instructions"]


async def test_a_flow_or_version_that_is_gone_is_told() -> None:
    async with Recorder(Works().app()) as recorder:
        await run_flow(recorder, "shout", version=2)
        cassette = await recorder.cassette("s1")
    app = Works().app()
    app.flows = tuple(flow for flow in app.flows if flow.name != "basics/shout")
    async with asyncio.timeout(LONG):
        found = await replay(cassette, app)
    assert [each.where[-1] for each in found.differences] == ["cannot be run"]
    assert "there is no flow" in found.told()


@pytest.mark.requirement("NOU-87", "CORE-06")
async def test_a_redacted_session_replays_and_its_masked_words_match_anything() -> None:
    async with Recorder(Works().app()) as recorder:
        await run_flow(recorder, "shout", "mail ann@example.org or sk-abcdefgh1234", capture="redacted")
        await run_flow(recorder, "say", "mail ann@example.org", capture="redacted")
        cassette = await recorder.cassette("s1")
    assert "ann@" not in cassette.text()
    found = await replayed(cassette)
    assert found.told() == ""


async def test_what_a_function_wanted_from_the_network_it_is_given_from_the_recording() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        served: list[int] = []

        def serve() -> None:
            made, _ = server.accept()
            served.append(1)
            made.sendall(b"news")
            made.close()

        thread = threading.Thread(target=serve)
        thread.start()
        host = server.getsockname()
        async with Recorder(Works(host=host).app()) as recorder:
            ended = await run_flow(recorder, "fetch", "today")
            cassette = await recorder.cassette("s1")
        thread.join(LONG)
        assert ended.status == "completed"
        found = await replayed(cassette, Works(host=host))
    assert is_reproduced(found), found.told()
    assert found.wanted == (f"{host[0]}:{host[1]}",)
    assert found.remarks == (f"basics/fetch (run-1): get wanted {host[0]}:{host[1]} and was given what it gave then",)
    assert served == [1]


async def test_a_run_that_was_broken_by_a_crash_and_went_on_is_replayed_as_one() -> None:
    async with Recorder(Works().app()) as recorder:
        run = await run_flow(recorder, "weather", "Bern")
        await recorder.restart()
        (call,) = [event.body.call for event in await recorder.store.events(run.id) if event.type == "tool.started"]
        await recorder.engine.continue_flow("acme", run.id, Continue(outputs={call: "rain"}))
        tail = recorder.engine.tail(run.id)
        async with asyncio.timeout(LONG):
            while await tail.next():
                pass
        cassette = await recorder.cassette("s1")
    assert cassette.executions[0]["result"] == "rain!"
    assert is_reproduced(await replayed(cassette))


async def test_a_call_that_cannot_be_made_is_the_cassettes_fault() -> None:
    run = {"run": "run-1", "name": "a/b", "kind": "execute", "status": "completed", "answers": [], "tools": []}
    given = {"message": 5, "attachments": 5}
    document = {"dragoman_cassette": 1, "definitions": {}, "executions": [{**run, "given": given}]}
    with pytest.raises(UsageError, match="broken"):
        await replay(Cassette.of(document), App("shop", agents=[Agent("helper", model=ScriptedModel())]))
