"""Which conversation a call belongs to."""

from __future__ import annotations

import contextvars
import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from dragoman.core.ids import is_ulid
from dragoman.stackspot.agents import ConversationContext, ConversationScope, UseConversation
from dragoman.stackspot.agents import _conversation as where_upstream_keeps_it
from dragoman.stackspot.models import ChatRequest

ULID = "01JZ8Q4N5V7X3W1T9R2P6M0KHC"


def current_id() -> str | None:
    context = ConversationScope.get_current()
    return context.conversation_id if context is not None else None


@pytest.mark.requirement("STK-50")
def test_a_block_makes_its_context_current_and_leaves_none_behind() -> None:
    assert ConversationScope.get_current() is None
    with UseConversation() as context:
        assert ConversationScope.get_current() is context
        assert context.conversation_id is None
        assert not context.has_conversation_id()
    assert ConversationScope.get_current() is None


@pytest.mark.requirement("STK-53")
def test_blocks_nest_and_an_exception_restores_the_outer_one() -> None:
    with UseConversation(ULID):
        with pytest.raises(KeyError), UseConversation():
            raise KeyError
        assert current_id() == ULID


def test_one_block_may_be_entered_again_while_it_is_open() -> None:
    block = UseConversation(ULID)
    with block:
        with UseConversation(), block:
            assert current_id() == ULID
        assert current_id() == ULID
    assert current_id() is None


def test_two_threads_may_share_one_block() -> None:
    block = UseConversation(ULID)
    inside = threading.Barrier(2, timeout=10)
    seen: list[str | None] = []

    def work() -> None:
        with block:
            inside.wait()
            seen.append(current_id())
            inside.wait()
        seen.append(current_id())

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(seen, key=str) == [ULID, ULID, None, None]


def test_leaving_what_was_not_entered_is_refused() -> None:
    with pytest.raises(AssertionError, match="not been entered"):
        UseConversation().__exit__(None, None, None)


@pytest.mark.requirement("STK-50")
def test_the_first_id_stays() -> None:
    context = ConversationContext()
    assert context.update_if_absent("first") == "first"
    assert context.update_if_absent("second") == "first"
    assert context.has_conversation_id()


@pytest.mark.requirement("STK-50")
def test_of_many_writers_one_wins() -> None:
    context = ConversationContext()
    start = threading.Barrier(8, timeout=10)

    def write(name: str) -> str:
        start.wait()
        return context.update_if_absent(name)

    with ThreadPoolExecutor(8) as pool:
        answers = set(pool.map(write, map(str, range(8))))
    assert answers == {context.conversation_id}


@pytest.mark.requirement("STK-59")
def test_enrich_copies_a_request_into_the_conversation() -> None:
    request = ChatRequest("hi", id="1")
    with UseConversation(ULID) as context:
        enriched = context.enrich(request)
    assert enriched == ChatRequest("hi", id="1", conversation_id=ULID, use_conversation=True)
    assert request == ChatRequest("hi", id="1")


@pytest.mark.requirement("STK-53", "STK-59")
def test_enrich_leaves_a_request_with_an_id_of_its_own_alone() -> None:
    request = ChatRequest("hi", conversation_id="mine")
    assert ConversationContext(ULID).enrich(request) is request


def test_enrich_without_an_id_still_asks_for_a_conversation() -> None:
    enriched = ConversationContext().enrich(ChatRequest("hi"))
    assert enriched.use_conversation
    assert enriched.conversation_id is None


@pytest.mark.requirement("STK-52")
def test_a_generated_id_is_a_ulid_and_fresh(caplog: pytest.LogCaptureFixture) -> None:
    with UseConversation.with_generated_id() as one, UseConversation.with_generated_id() as other:
        assert is_ulid(one.conversation_id)
        assert one.conversation_id != other.conversation_id
    assert not caplog.records


@pytest.mark.requirement("STK-57")
def test_an_id_that_is_no_ulid_is_kept_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with UseConversation("not-a-ulid") as context:
        assert context.conversation_id == "not-a-ulid"
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "not-a-ulid" in record.getMessage()
    assert "ULID" in record.getMessage()


@pytest.mark.parametrize("spelt", [ULID, ULID.lower()])
def test_a_ulid_of_either_case_is_welcome(spelt: str, caplog: pytest.LogCaptureFixture) -> None:
    UseConversation(spelt)
    assert not caplog.records


@pytest.mark.requirement("STK-59")
def test_propagate_carries_the_conversation_of_its_making_and_nothing_else() -> None:
    other = contextvars.ContextVar("other", default="unset")
    other.set("set")
    with UseConversation(ULID):
        carried = ConversationScope.propagate(lambda: (current_id(), other.get()))
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(carried).result(10) == (ULID, "unset")
        assert pool.submit(current_id).result(10) is None
    assert current_id() is None


@pytest.mark.requirement("STK-59")
def test_propagate_outside_of_a_conversation_gives_the_function_itself() -> None:
    assert ConversationScope.propagate(current_id) is current_id


@pytest.mark.requirement("STK-59")
def test_propagate_restores_what_the_worker_had_also_after_an_error() -> None:
    def fail(word: str, *, times: int) -> None:
        raise KeyError(word * times)

    with UseConversation(ULID):
        carried = ConversationScope.propagate(fail)
    with UseConversation() as inner:
        with pytest.raises(KeyError, match="aa"):
            carried("a", times=2)
        assert ConversationScope.get_current() is inner
    assert carried.__name__ == "fail"


def test_the_scope_is_where_programs_for_stkai_look_for_it() -> None:
    assert where_upstream_keeps_it.ConversationScope is ConversationScope
