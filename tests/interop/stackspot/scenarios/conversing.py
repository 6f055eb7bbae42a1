"""Questions that belong together."""

from __future__ import annotations

from tests.interop.stackspot.registry import scenario
from tests.interop.stackspot.stage import Visit, is_ulid


@scenario.requirement("STK-50")
def an_id_is_taken_and_the_history_is_used(visit: Visit) -> None:
    agent = visit.agent()
    with visit.sdk.UseConversation() as conversation:
        assert not conversation.has_conversation_id()
        visit.said("echo: alpha", agent)
        assert is_ulid(conversation.conversation_id)
        assert visit.said("recall", agent) == "echo: alpha"
        assert visit.said("recall", agent) == "recall"
    assert "alpha" not in visit.said("recall", agent)


@scenario.requirement("STK-51")
def ids_may_be_given_by_hand(visit: Visit) -> None:
    agent = visit.agent()
    first = visit.chat("echo: alpha", agent, use_conversation=True)
    about = {"use_conversation": True, "conversation_id": first.conversation_id}
    again = visit.chat("recall", agent, **about)
    assert again.result == "echo: alpha"
    assert again.conversation_id == first.conversation_id
    other = visit.chat("echo: beta", agent, use_conversation=True)
    assert other.conversation_id != first.conversation_id


@scenario.requirement("STK-52")
def a_ulid_of_the_client_is_kept_and_taken_up_later(visit: Visit) -> None:
    with visit.sdk.UseConversation.with_generated_id() as conversation:
        made = conversation.conversation_id
        response = visit.chat("echo: alpha")
        assert response.conversation_id == made
    with visit.sdk.UseConversation(made):
        later = visit.agent("demo-openai", http=visit.http())
        assert visit.said("recall", later) == "echo: alpha"
    lower = visit.chat("recall", conversation_id=made.lower(), use_conversation=True)
    assert (lower.result, lower.conversation_id) == ("recall", made)


@scenario.requirement("STK-53")
def a_requests_own_id_wins_and_blocks_nest(visit: Visit) -> None:
    agent, use = visit.agent(), visit.sdk.UseConversation
    own = visit.chat("echo: own", agent, use_conversation=True).conversation_id
    with use() as outer:
        visit.said("echo: outer", agent)
        with use() as inner:
            visit.said("echo: inner", agent)
            assert visit.said("recall", agent, conversation_id=own, use_conversation=True) == "echo: own"
            assert visit.said("recall", agent) == "echo: inner"
        assert visit.said("recall", agent) == "echo: outer"
        assert len({own, outer.conversation_id, inner.conversation_id}) == 3


@scenario.requirement("STK-54")
def streams_have_part_in_conversations(visit: Visit) -> None:
    agent = visit.agent()
    with visit.sdk.UseConversation() as conversation:
        _, first = visit.streamed("echo: alpha", agent)
        assert conversation.conversation_id == first.conversation_id
        assert is_ulid(first.conversation_id)
        _, second = visit.streamed("recall", agent)
        assert (second.result, second.conversation_id) == ("echo: alpha", first.conversation_id)
        assert visit.said("recall", agent) == "recall"


@scenario.requirement("STK-55")
def a_batch_may_have_part_in_one_conversation(visit: Visit) -> None:
    agent = visit.agent()
    with visit.sdk.UseConversation.with_generated_id() as conversation:
        responses = agent.chat_many([visit.request(f"echo: {n}") for n in range(6)])
        assert [response.result for response in responses] == [str(n) for n in range(6)]
        assert {response.conversation_id for response in responses} == {conversation.conversation_id}
        assert visit.said("recall", agent) in [f"echo: {n}" for n in range(6)]


@scenario.requirement("STK-55")
def parallel_turns_see_what_was_there_when_they_began(visit: Visit) -> None:
    agent = visit.agent()
    with visit.sdk.UseConversation() as conversation:
        visit.said("echo: alpha", agent)
        slow, *others = agent.chat_many(
            [visit.request("slow: 3 300"), visit.request("recall"), visit.request("recall")]
        )
        assert slow.result == "1 2 3"
        assert {other.result for other in others} <= {"echo: alpha", "recall"}
        assert "echo: alpha" in {other.result for other in others}
        assert len({each.conversation_id for each in (slow, *others)}) == 1
        assert conversation.conversation_id == slow.conversation_id


@scenario.requirement("STK-56")
def nobody_sees_anothers_conversation(visit: Visit) -> None:
    other = visit.other()
    with visit.sdk.UseConversation.with_generated_id() as conversation:
        visit.said("echo: mine")
        theirs = other.chat("recall")
        assert "mine" not in theirs.result
        assert theirs.conversation_id == conversation.conversation_id
        assert visit.said("recall") == "echo: mine"
    agent = visit.agent()
    about = {"use_conversation": True, "conversation_id": conversation.conversation_id}
    visit.said("echo: apart", agent)
    assert visit.said("recall", agent, **about) == "recall"


@scenario.requirement("STK-57")
def an_id_that_is_no_ulid_begins_a_new_conversation(visit: Visit) -> None:
    with visit.warnings() as lines, visit.sdk.UseConversation("not a ulid") as conversation:
        assert conversation.conversation_id == "not a ulid"
        response = visit.chat("echo: alpha")
    assert any("ulid" in line.lower() for line in lines), lines
    assert is_ulid(response.conversation_id)
    again = visit.chat("recall", use_conversation=True, conversation_id=response.conversation_id)
    assert again.result == "echo: alpha"


@scenario.requirement("STK-58")
def a_failed_turn_leaves_nothing_behind(visit: Visit) -> None:
    agent = visit.agent()
    with visit.sdk.UseConversation() as conversation:
        visit.said("echo: alpha", agent)
        assert visit.chat("fail: no", agent).is_error()
        assert visit.streamed("fail: no", agent)[1].is_error()
        assert visit.said("recall", agent) == "echo: alpha"
    fresh = visit.sdk.UseConversation.with_generated_id()
    with fresh as conversation:
        assert visit.chat("fail: no", agent).is_error()
        response = visit.chat("recall", agent)
        assert response.conversation_id == conversation.conversation_id
        assert "fail" not in response.result
