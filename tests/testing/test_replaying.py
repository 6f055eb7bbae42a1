"""Recorded chats, replayed through the same code and through edited code."""

import asyncio
import json
from typing import Any

import pytest
from tests.testing.recordings import LONG, Recorder, Shop

from dragoman.core.cassette import outcome
from dragoman.core.errors import UsageError
from dragoman.core.turns import Decision
from dragoman.testing.cassette import Cassette
from dragoman.testing.replaying import Replay, find_app, replay, replay_blocking

YES, NO = Decision(True), Decision(False, reason="too dear")

pytestmark = pytest.mark.requirement("CORE-18")


class Raising:
    """A model that must not be asked; it has the name of the one that was recorded."""

    name = "talker"

    def stream(self, request: object) -> Any:
        raise AssertionError("a replay asked the model")


async def replayed(cassette: Cassette, shop: Shop) -> Replay:
    async with asyncio.timeout(LONG):
        return await replay(cassette, shop.app())


async def test_a_chat_of_several_turns_and_approvals_is_the_same_byte_for_byte_without_its_model() -> None:
    async with Recorder(Shop().app()) as recorder:
        await recorder.say("hello")
        await recorder.say("price pear, order plum", {"order": YES})
        await recorder.say("order pearls", {"order": NO})
        await recorder.say("order figs", {"order": Decision(True, input={"item": "fig", "amount": 3})})
        cassette = await recorder.cassette()
    shop = Shop()
    found = await replayed(cassette, shop)
    assert found.told() == ""
    assert [json.dumps(outcome(run.recorded)) for run in found.runs] == [
        json.dumps(outcome(run.document or {})) for run in found.runs
    ]
    assert shop.ran == ["price pear"]  # what writes was answered from the recording
    assert [outcome(run.document or {})["tools"] for run in found.runs][3][0]["changed"] == {"item": "fig", "amount": 3}


async def test_the_models_answers_come_in_the_pieces_in_which_they_were_recorded() -> None:
    async with Recorder(Shop().app()) as recorder:
        await recorder.say("hello")
        cassette = await recorder.cassette()
    (run,) = (await replayed(cassette, Shop())).runs
    assert run.document is not None
    assert run.document["answers"][0]["pieces"] == run.recorded["answers"][0]["pieces"]
    assert run.document["answers"][0]["pieces"] == [{"text": ["You said ", "hello"]}]


async def test_a_changed_prompt_and_a_changed_tool_are_two_differences() -> None:
    async with Recorder(Shop().app()) as recorder:
        await recorder.say("price pear")
        await recorder.say("hello")
        cassette = await recorder.cassette()
    found = await replayed(cassette, Shop(instructions="Be thorough.", rate=2.0))
    assert found.told().splitlines() == [
        "clerk · instructions",
        "  - Be brief.",
        "  + Be thorough.",
        "clerk (run-1) · price · output",
        "  - 6.0",
        "  + 8.0",
    ]


async def test_a_changed_description_of_a_tool_is_a_difference_in_what_models_are_told() -> None:
    async with Recorder(Shop().app()) as recorder:
        await recorder.say("hello")
        cassette = await recorder.cassette()
    (difference,) = (await replayed(cassette, Shop(hint="Buys."))).differences
    assert difference.where == ("clerk", "order", "spec", "description")


async def test_a_tool_that_no_longer_asks_is_a_difference() -> None:
    async with Recorder(Shop().app()) as recorder:
        await recorder.say("order plum", {"order": YES})
        cassette = await recorder.cassette()
    found = await replayed(cassette, Shop(asks=False))
    assert ("clerk (run-1)", "order", "asked") in [each.where for each in found.differences]
    assert found.runs[0].document is not None
    assert found.runs[0].document["status"] == "completed"


async def test_a_tool_that_asks_now_runs_on_with_the_recorded_output() -> None:
    async with Recorder(Shop(asks=False).app()) as recorder:
        await recorder.say("order plum")
        cassette = await recorder.cassette()
    shop = Shop()
    found = await replayed(cassette, shop)
    assert ("clerk (run-1)", "order", "asked") in [each.where for each in found.differences]
    assert shop.ran == []


async def test_a_cancelled_run_is_cancelled_where_it_was() -> None:
    async with Recorder(Shop().app()) as recorder:
        await recorder.say("wait here", cancel_at="block.delta")
        await recorder.say("order plum")
        await recorder.say("hello")  # settles what waited
        cassette = await recorder.cassette()
    assert [run["status"] for run in cassette.executions] == ["cancelled", "cancelled", "completed"]
    assert (await replayed(cassette, Shop())).told() == ""


async def test_a_failed_run_fails_the_same_way() -> None:
    async with Recorder(Shop().app()) as recorder:
        await recorder.say("fail now")
        cassette = await recorder.cassette()
    found = await replayed(cassette, Shop(model=Raising()))
    assert found.runs[0].document is not None
    assert found.runs[0].document["error"] == {
        "code": "model_error",
        "message": "the text of an exception; the log has it",
    }
    assert found.told() == ""


async def test_a_run_that_waits_is_left_waiting() -> None:
    async with Recorder(Shop().app()) as recorder:
        await recorder.say("order plum")
        cassette = await recorder.cassette()
    found = await replayed(cassette, Shop())
    assert found.told() == ""
    assert found.runs[0].document is not None
    assert found.runs[0].document["status"] == "paused"


async def test_a_clients_tool_gets_the_output_that_the_client_gave() -> None:
    output = Decision(output={"degrees": 21}, is_result=True)
    async with Recorder(Shop().app()) as recorder:
        await recorder.say("weather Bern", {"weather": output}, client_tools=True)
        cassette = await recorder.cassette()
    found = await replayed(cassette, Shop())
    assert found.told() == ""
    assert found.runs[0].document is not None
    assert found.runs[0].document["tools"][0]["output"] == {"degrees": 21}


async def test_an_answer_that_was_made_anew_is_made_anew() -> None:
    async with Recorder(Shop().app()) as recorder:
        await recorder.say("hello", message="m1")
        await recorder.say("", message="m1", mode="regenerate")
        cassette = await recorder.cassette()
    found = await replayed(cassette, Shop())
    assert len(found.runs) == 2
    assert found.told() == ""


async def test_a_question_that_was_edited_away_is_left_out_and_named() -> None:
    async with Recorder(Shop().app()) as recorder:
        await recorder.say("hello", message="m1")
        await recorder.say("again", message="m2")
        await recorder.say("anew", message="m1", mode="edit")
        cassette = await recorder.cassette()
    found = await replayed(cassette, Shop())
    assert found.remarks == ("clerk (run-2) was left out: its question was edited away since",)
    assert found.told() == ""


async def test_more_model_calls_than_recorded_are_a_miss_and_fewer_a_leftover() -> None:
    async with Recorder(Shop().app()) as recorder:
        await recorder.say("price pear")
        cassette = await recorder.cassette()
    longer = json.loads(cassette.text())
    longer["executions"][0]["answers"].append(longer["executions"][0]["answers"][1])
    (left,) = (await replayed(Cassette.of(longer), Shop())).differences
    assert left.where[-1] == "replay leftover"
    shorter = json.loads(cassette.text())
    del shorter["executions"][0]["answers"][1]
    found = await replayed(Cassette.of(shorter), Shop())
    assert [each.where[-1] for each in found.differences] == ["replay miss"]
    assert "model call 2 has no recording: the run made 1" in found.told()


async def test_the_replay_of_a_file_is_that_of_the_session() -> None:
    async with Recorder(Shop().app()) as recorder:
        await recorder.say("price pear, order plum", {"order": YES})
        cassette = await recorder.cassette()
    read = Cassette.of(json.loads(cassette.text()))
    assert read.text() == cassette.text()
    assert (await replayed(read, Shop())).told() == ""


async def test_a_changed_tool_that_writes_is_not_run_and_named() -> None:
    async with Recorder(Shop().app()) as recorder:
        await recorder.say("order plum", {"order": YES})
        cassette = await recorder.cassette()
    app = Shop().app()

    def order(item: str, amount: int = 1) -> dict[str, Any]:
        raise AssertionError("it was run")

    app.agents[0].tools["order"].function = order
    async with asyncio.timeout(LONG):
        found = await replay(cassette, app)
    assert found.told() == ""
    assert found.remarks == ("the code of tool 'order' has changed; it writes, so it was not run",)


async def test_what_the_code_said_is_not_compared_where_nobody_kept_it() -> None:
    async with Recorder(Shop().app()) as recorder:
        await recorder.say("hello")
        cassette = await recorder.cassette()
    old = Cassette.of({**cassette.document, "definitions": {}})
    found = await replayed(old, Shop(instructions="Be thorough."))
    assert found.told() == ""
    assert "prompts and schemas are not compared" in found.remarks[0]


async def test_an_agent_that_is_gone_is_told() -> None:
    async with Recorder(Shop().app()) as recorder:
        await recorder.say("hello")
        cassette = await recorder.cassette()
    app = Shop().app()
    app.agents[0].name = "other"
    async with asyncio.timeout(LONG):
        found = await replay(cassette, app)
    assert [each.where[-1] for each in found.differences] == ["agent", "cannot be run"]


async def test_replaying_blocks_inside_a_running_loop_as_well() -> None:
    async with Recorder(Shop().app()) as recorder:
        await recorder.say("hello")
        cassette = await recorder.cassette()
    assert replay_blocking(cassette, Shop().app()).told() == ""


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("app", "expected MODULE:APP"),
        ("no_such_module_here:app", "cannot be loaded"),
        ("json:dumps", "cannot be loaded"),
        ("json:__name__", "is no dragoman.App"),
    ],
)
def test_a_wrong_app_is_named(spec: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        find_app(spec)
