"""Approvals and forms over the wire: cards that wait durably, decided once, keeping nobody waiting."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from tests.server.chatkit.talking import Talk, buttons, done, said, types

from dragoman.chatkit.errors import BadTarget
from dragoman.chatkit.store import NotFoundError
from dragoman.core.turns import Decision
from dragoman.engine.agents import Agent
from dragoman.engine.tools import tool
from dragoman.testing import ScriptedModel
from dragoman.testing.model import tool_call

pytestmark = pytest.mark.requirement("CHK-28")


async def asked(talk: Talk, text: str = "approve: create_bucket x") -> tuple[str, dict[str, Any]]:
    """A thread whose newest item is a card that waits."""
    thread, told = await talk.create(text)
    assert told[-1]["type"] == "thread.item.done"
    return thread, told[-1]["item"]


@pytest.mark.parametrize(("n", "label", "answer"), [(0, "Approved", "created x"), (1, "Denied", "denied")])
async def test_a_click_decides_and_the_answer_goes_on(talk: Talk, n: int, label: str, answer: str) -> None:
    thread, card = await asked(talk)
    action = buttons(card)[n]
    told = await talk.act(thread, card["id"], action["type"], action["payload"])
    assert types(told)[:2] == ["stream_options", "replaced"]
    assert told[1]["item"]["widget"]["children"][-1]["label"] == label
    assert buttons(told[1]["item"]) == []
    assert said(done(told)) == [answer]
    assert await talk.items(thread) == [(await talk.items(thread))[0], *done(told)]


@pytest.mark.parametrize("second", [0, 1])
async def test_the_second_click_is_answered_by_a_notice_and_changes_nothing(talk: Talk, second: int) -> None:
    thread, card = await asked(talk)
    first = buttons(card)[0]
    await talk.act(thread, card["id"], first["type"], first["payload"])
    before = await talk.items(thread)
    again = buttons(card)[second]
    told = await talk.act(thread, card["id"], again["type"], again["payload"])
    assert types(told) == ["stream_options", "notice"]
    assert "already approved" in told[1]["message"]
    assert await talk.items(thread) == before


async def test_of_two_clicks_at_once_one_counts(tmp_path: Path) -> None:
    ran: list[str] = []

    @tool
    async def create(name: str) -> str:
        """Creates."""
        ran.append(name)
        return name

    model = ScriptedModel([[tool_call("create", name="x")], "made", "never"])
    talk = Talk(tmp_path / "data", Agent("a", model=model, tools=[create]))
    thread, card = await asked(talk, "go")
    action = buttons(card)[0]
    both = await asyncio.gather(*(talk.act(thread, card["id"], action["type"], action["payload"]) for _ in range(5)))
    assert sorted("notice" in types(told) for told in both) == [False, True, True, True, True]
    assert ran == ["x"]
    await talk.close()


async def test_an_approval_survives_a_restart_and_so_does_its_decision(talk: Talk) -> None:
    thread, card = await asked(talk)
    await talk.restart()
    assert (await talk.items(thread))[-1] == card
    action = buttons(card)[0]
    told = await talk.act(thread, card["id"], action["type"], action["payload"])
    assert said(done(told)) == ["created x"]
    await talk.restart()
    assert types(await talk.act(thread, card["id"], action["type"], action["payload"])) == ["stream_options", "notice"]


async def test_an_undecided_approval_keeps_no_later_message_waiting(talk: Talk) -> None:
    thread, card = await asked(talk)
    told = await talk.say(thread, "echo: on")
    assert types(told)[:3] == ["done", "stream_options", "replaced"]
    assert told[2]["item"]["id"] == card["id"]
    assert buttons(told[2]["item"]) == []
    assert said(done(told)) == ["echo: on", "on"]
    late = await talk.act(thread, card["id"], "approval.approve", buttons(card)[0]["payload"])
    assert (late[1]["type"], late[1]["level"]) == ("notice", "warning")
    assert "superseded" in late[1]["message"]


async def test_an_approval_that_expires_can_no_longer_be_given(tmp_path: Path) -> None:
    talk = Talk(tmp_path / "data", approval_ttl=0.0)
    thread, told = await talk.create("approve: create_bucket x")
    engine: Any = await talk.server.engine()
    run = await (await talk.store.rows()).runs("main", owner="ann", limit=1)
    assert [event async for event in engine.events(run.rows[0].id)]
    card = done(told)[1]
    late = await talk.act(thread, card["id"], "approval.approve", {"call": "x"})
    assert "expired" in late[1]["message"]
    assert buttons((await talk.items(thread))[1]) == []
    await talk.close()


async def test_a_decision_of_another_face_is_seen_here(talk: Talk) -> None:
    thread, card = await asked(talk)
    row = await talk.store.find_thread(thread, "ann")
    assert row is not None
    call = buttons(card)[0]["payload"]["call"]
    engine = await talk.server.engine()
    decided = await engine.decide("main", "ann", row.id, [Decision(False, call=call, reason="no")], by="ann")
    assert [event async for event in engine.events(decided.run.id)]
    assert (await talk.items(thread))[1]["widget"]["children"][-1]["label"] == "Denied: no"
    told = await talk.act(thread, card["id"], "approval.approve", {})
    assert "already denied" in told[1]["message"]


async def test_a_reason_reaches_the_model(tmp_path: Path) -> None:
    @tool
    def create(name: str) -> str:
        """Creates."""
        return name

    model = ScriptedModel([[tool_call("create", name="x")], "well"])
    talk = Talk(tmp_path / "data", Agent("a", model=model, tools=[create]))
    thread, card = await asked(talk, "go")
    await talk.act(thread, card["id"], "approval.deny", {**buttons(card)[1]["payload"], "reason": "too big"})
    assert "too big" in str(model.requests[1].messages[-1])
    await talk.close()


# --------------------------------------------------------------------------- forms


async def test_a_form_is_answered_once_and_shows_the_values(talk: Talk) -> None:
    thread, card = await asked(talk, "widget: form")
    (submit,) = buttons(card)
    assert submit["type"] == "form.submit"
    payload = {**submit["payload"], "name": "Ada"}
    told = await talk.act(thread, card["id"], "form.submit", payload)
    assert types(told)[:2] == ["stream_options", "replaced"]
    assert '"defaultValue": "Ada"' in json.dumps(told[1])
    assert "Ada" in said(done(told))[0]
    before = await talk.items(thread)
    assert before[1:] == done(told)
    again = await talk.act(thread, card["id"], "form.submit", {**payload, "name": "Eve"})
    assert types(again) == ["stream_options", "notice"]
    assert await talk.items(thread) == before


async def test_a_form_survives_a_restart_and_keeps_nobody_waiting(talk: Talk) -> None:
    thread, card = await asked(talk, "widget: form")
    await talk.restart()
    assert (await talk.items(thread))[-1] == card
    told = await talk.say(thread, "widget: form")
    assert types(told)[:3] == ["done", "stream_options", "replaced"]
    assert "Not answered" in json.dumps(told[2])
    late = await talk.act(thread, card["id"], "form.submit", {"name": "late"})
    assert types(late) == ["stream_options", "notice"]
    fresh = done(told)[-1]
    assert "Ada" in str(await talk.act(thread, fresh["id"], "form.submit", {"name": "Ada"}))


async def test_a_form_may_be_closed_without_an_answer(talk: Talk) -> None:
    thread, card = await asked(talk, "widget: form")
    told = await talk.act(thread, card["id"], "form.cancel", None)
    assert "Not answered" in json.dumps(told[1])
    assert said(done(told)) == ["No answer"]


# --------------------------------------------------------------------------- what is meant


async def test_without_an_item_the_payload_says_what_is_meant(talk: Talk) -> None:
    thread, card = await asked(talk)
    payload = buttons(card)[0]["payload"]
    told = await talk.act(thread, None, "approval.approve", {"approval": payload["approval"]})
    assert said(done(told)) == ["created x"]


@pytest.mark.requirement("CHK-12")
async def test_an_action_that_fits_nothing_is_refused_before_anything_happens(talk: Talk) -> None:
    thread, card = await asked(talk)
    message = (await talk.items(thread))[0]
    for item, type, payload, error in (
        (None, "approval.approve", None, BadTarget),
        (None, "approval.approve", {"call": 5}, BadTarget),
        (None, "approval.approve", {"approval": "nobody"}, NotFoundError),
        (None, "approval.approve", {"call": "nobody"}, NotFoundError),
        ("msg_nobody", "approval.approve", {}, NotFoundError),
        (message["id"], "approval.approve", {}, BadTarget),
        (card["id"], "form.submit", {}, BadTarget),
    ):
        with pytest.raises(error):
            await talk.act(thread, item, type, payload)
    assert (await talk.items(thread))[-1] == card


@pytest.mark.requirement("CHK-30")
async def test_the_approval_of_somebody_else_is_answered_as_one_that_is_not_there(talk: Talk) -> None:
    _, card = await asked(talk)
    theirs = buttons(card)[0]["payload"]["approval"]
    params = {"input": {"content": [{"type": "input_text", "text": "echo: mine"}]}}
    own = (await talk.stream("threads.create", who="eve", **params))[0]["thread"]["id"]
    told = []
    for approval in (theirs, "nobody"):
        with pytest.raises(NotFoundError) as refused:
            await talk.act(own, None, "approval.approve", {"approval": approval}, who="eve")
        told.append((str(refused.value).replace(approval, "X"), refused.value.code))
    assert told[0] == told[1]


async def test_values_that_json_has_no_word_for_become_null(talk: Talk) -> None:
    thread, told = await talk.create("widget: form")
    card = done(told)[-1]
    submit = buttons(card)[0]
    given = {**submit["payload"], "name": float("nan"), "deep": json.loads("[" * 150 + "]" * 150)}
    await talk.act(thread, card["id"], submit["type"], given)
    row = await talk.store.find_thread(thread, "ann")
    assert row is not None
    rows = (await (await talk.store.rows()).items(row.number)).rows
    (output,) = [item.body["output"] for item in rows if item.kind == "tool_call"]
    assert output == {"name": None, "deep": given["deep"]}
    thread, _ = await talk.create("client: here {}")
    told = await talk.stream("threads.add_client_tool_output", thread_id=thread, result=float("inf"))
    assert said(done(told)) == ["null"]


async def test_nobody_decides_for_somebody_else(talk: Talk) -> None:
    thread, card = await asked(talk)
    other, _ = await talk.create("echo: mine")
    payload = buttons(card)[0]["payload"]
    with pytest.raises(NotFoundError):
        await talk.act(thread, card["id"], "approval.approve", payload, who="eve")
    with pytest.raises(NotFoundError):
        await talk.act(other, None, "approval.approve", payload)
    with pytest.raises(NotFoundError):
        await talk.act(other, None, "approval.approve", {"approval": payload["approval"]})
    assert (await talk.items(thread))[-1] == card
