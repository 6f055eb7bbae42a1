"""Clients that leave before the end, and those that ask again."""

from __future__ import annotations

import time

from tests.interop.stackspot.registry import scenario
from tests.interop.stackspot.stage import Visit, numbers, until


def statuses(visit: Visit) -> list[str]:
    """How the user's runs stand, the latest first."""
    return [run["status"] for run in visit.own("runs?limit=5")["runs"]]


@scenario.requirement("STK-40", "STK-P02")
def leaving_a_stream_early_harms_nobody(visit: Visit) -> None:
    """What stkai asks for stops; ours sends an `Idempotency-Key`, so its run goes on to be fetched."""
    agent = visit.agent()
    with visit.sdk.UseConversation.with_generated_id():
        with agent.chat_stream(visit.request("slow: 20 150")) as left:
            for event in left:
                if event.is_delta and event.text:
                    break
        left_at = time.time()
        with agent.chat_stream(visit.request("slow: 4 50")) as stayed:
            assert stayed.get_final_response().result == numbers(4)
    until(lambda: "running" not in statuses(visit), "the run to end")
    assert statuses(visit) == ["completed", "completed" if visit.ours else "cancelled"]
    if not visit.ours:
        assert visit.own("runs?limit=5")["runs"][-1]["ended"] - left_at < 1.0
    assert visit.said("echo: still there", agent) == "still there"


@scenario.requirement("STK-18", "STK-P02")
def an_answer_nobody_waits_for_is_not_made(visit: Visit) -> None:
    with visit.sdk.UseConversation.with_generated_id() as conversation:
        assert visit.chat("slow: 40 100", visit.agent(request_timeout=1)).is_timeout()
        if not visit.ours:
            until(lambda: statuses(visit) == ["cancelled"], "the run to be stopped")
            assert "slow" not in visit.said("recall")
            assert conversation.conversation_id


@scenario.requirement("STK-P04")
def a_repeat_with_the_same_key_gets_the_one_answer(visit: Visit) -> None:
    wire = visit.wire()
    body = {"user_prompt": "slow: 3 50", "use_conversation": True}
    about = {"idempotency-key": f"key-{visit.client}"}
    first = wire.send("POST", "/v1/agent/demo/chat", body, headers=about)
    again = wire.send("POST", "/v1/agent/demo/chat", body, headers=about)
    assert first.status == again.status == 200
    assert first.json == again.json
    assert len(statuses(visit)) == 1
    other = wire.send("POST", "/v1/agent/demo/chat", body | {"user_prompt": "echo: other"}, headers=about)
    assert other.status == 409, other
