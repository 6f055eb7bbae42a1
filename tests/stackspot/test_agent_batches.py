"""`chat_many`: order, isolation, threads, progress, and 200 chats with faults over real sockets."""

from __future__ import annotations

import contextvars
import logging
import signal
import threading
from typing import Any

import anyio
import pytest
import requests
from tests.stackspot.clients import (
    ANSWER,
    CONVERSATION,
    FAST,
    ONCE,
    URL,
    AsyncScriptedClient,
    Call,
    Script,
    ScriptedClient,
    response,
    script,
)
from tests.stackspot.faulty import Faulty

from dragoman.stackspot import STKAI, AsyncAgent, Progress
from dragoman.stackspot.agents import (
    Agent,
    AgentOptions,
    ChatRequest,
    ChatResponse,
    ChatResultContext,
    ChatResultHandler,
    ConversationScope,
    UseConversation,
)

WAIT = 10.0


def echo(call: Call) -> requests.Response:
    return response(body={**ANSWER, "message": call.body["user_prompt"]})


def agent(played: Script, options: AgentOptions = FAST) -> Agent:
    return Agent("a", base_url=URL, options=options, http_client=ScriptedClient(played))


def prompts(count: int) -> list[ChatRequest]:
    return [ChatRequest(f"prompt {number}") for number in range(count)]


def workers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("stackspot-agent")]


@pytest.mark.requirement("STK-25")
def test_answers_come_in_the_order_of_their_requests() -> None:
    behind = threading.Event()

    def late(call: Call) -> requests.Response:
        if call.body["user_prompt"] == "prompt 0":
            assert behind.wait(WAIT)
        elif call.body["user_prompt"] == "prompt 19":
            behind.set()
        return echo(call)

    with agent(script(late)) as made:
        asked = prompts(20)
        got = made.chat_many(asked)
    assert [one.result for one in got] == [request.user_prompt for request in asked]
    assert all(one.request is request for one, request in zip(got, asked, strict=True))


@pytest.mark.requirement("STK-25")
@pytest.mark.parametrize("nothing", [[], (), None])
def test_an_empty_batch_is_an_empty_list(nothing: Any) -> None:
    played = script()
    assert agent(played).chat_many(nothing) == []
    assert not played.calls
    assert not workers()


@pytest.mark.requirement("STK-26")
def test_a_failure_disturbs_no_other() -> None:
    def some(call: Call) -> requests.Response:
        number = int(call.body["user_prompt"].split()[1])
        if number == 3:
            return response(400, {"details": "no"})
        if number == 5:
            raise requests.ReadTimeout("slow")
        if number == 7:
            raise KeyError("a bug")
        return echo(call)

    with agent(script(some), ONCE) as made:
        got = made.chat_many(prompts(10))
    assert {place: str(one.status) for place, one in enumerate(got) if not one.is_success()} == {
        3: "ERROR",
        5: "TIMEOUT",
        7: "ERROR",
    }


@pytest.mark.requirement("STK-26")
def test_a_handler_that_fails_for_one_leaves_the_others() -> None:
    class Picky(ChatResultHandler):
        def handle_result(self, context: ChatResultContext) -> Any:
            if context.raw_result == "prompt 1":
                raise KeyError("one")
            return context.raw_result

    with agent(script(echo)) as made:
        got = made.chat_many(prompts(3), Picky())
    assert [one.is_success() for one in got] == [True, False, True]


@pytest.mark.requirement("STK-27")
def test_a_batch_runs_in_parallel_as_wide_as_it_may() -> None:
    together = threading.Barrier(4, timeout=WAIT)

    def meet(call: Call) -> requests.Response:
        together.wait()
        return echo(call)

    with agent(script(meet)) as made:
        assert all(one.is_success() for one in made.chat_many(prompts(8)))
        assert len(workers()) == 4
    assert not workers()


@pytest.mark.requirement("STK-P09", "STK-S21")
def test_closing_ends_the_threads_and_the_agent_can_go_on() -> None:
    made = agent(script(echo))
    made.chat_many(prompts(4))
    assert workers()
    made.close()
    made.close()
    assert not workers()
    assert made.chat_many(prompts(2))[1].is_success()
    made.close()
    assert not workers()


@pytest.mark.requirement("STK-S21")
@pytest.mark.parametrize("width", [1, 2])
def test_a_batch_within_a_batch_does_not_wait_for_itself(width: int) -> None:
    class Asking(ChatResultHandler):
        def handle_result(self, context: ChatResultContext) -> Any:
            inner = made.chat_many([ChatRequest(f"{context.raw_result}{letter}") for letter in "ab"])
            return [one.result for one in inner]

    with agent(script(echo), AgentOptions(max_workers=width)) as made:
        got = made.chat_many(prompts(4), Asking())
    assert [one.result for one in got] == [[f"prompt {n}a", f"prompt {n}b"] for n in range(4)]


@pytest.mark.requirement("STK-55")
def test_workers_are_in_the_callers_conversation_and_see_nothing_else() -> None:
    own = contextvars.ContextVar("own", default="unset")
    own.set("set")
    seen: list[str] = []

    def look(call: Call) -> requests.Response:
        seen.append(own.get())
        return echo(call)

    played = script(look)
    with agent(played) as made, UseConversation(CONVERSATION) as conversation:
        made.chat_many(prompts(6))
        assert ConversationScope.get_current() is conversation
    assert {body["conversation_id"] for body in played.bodies} == {CONVERSATION}
    assert set(seen) == {"unset"}


@pytest.mark.requirement("STK-55")
@pytest.mark.parametrize(
    ("block", "count", "warned"),
    [(UseConversation(), 2, True), (UseConversation(), 1, False), (UseConversation(CONVERSATION), 2, False)],
)
def test_a_batch_that_would_open_many_conversations_is_warned_about(
    block: UseConversation, count: int, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "dragoman.stackspot"), agent(script(echo)) as made, block:
        made.chat_many(prompts(count))
    assert ("with_generated_id" in caplog.text) == warned


def test_progress_is_told_as_answers_come() -> None:
    def some(call: Call) -> requests.Response:
        return response(400) if call.body["user_prompt"] == "prompt 2" else echo(call)

    told: list[Progress] = []
    with agent(script(some)) as made:
        got = made.chat_many(prompts(5), progress=told.append)
    assert [one.done for one in told] == [1, 2, 3, 4, 5]
    assert (told[-1].total, told[-1].failed) == (5, 1)
    assert {id(one.item) for one in told} == {id(one) for one in got}


def test_a_progress_callback_that_fails_spoils_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def fail(progress: Progress) -> None:
        raise KeyError("mine")

    with agent(script(echo)) as made:
        assert all(one.is_success() for one in made.chat_many(prompts(3), progress=fail))
    assert "mine" in caplog.text


def test_an_interrupt_ends_a_batch_at_once_and_nothing_more_is_sent() -> None:
    blocked, main = threading.Event(), threading.main_thread().ident
    assert main is not None

    def hang(call: Call) -> requests.Response:
        if call.body["user_prompt"] == "prompt 1":
            signal.pthread_kill(main, signal.SIGINT)
        assert blocked.wait(WAIT)
        return response(503)

    played = script(hang)
    made = agent(played, AgentOptions(max_workers=2, retry_initial_delay=60))
    try:
        with pytest.raises(KeyboardInterrupt):
            made.chat_many(prompts(50))
    finally:
        blocked.set()
    for thread in workers():
        thread.join(WAIT)
    assert not workers()
    assert len(played.calls) <= 2
    made.close()


# ------------------------------------------------------------------------------------ faults over real sockets

FAULTS = {
    11: ("once-reset", "SUCCESS"),
    29: ("reset", "ERROR"),
    47: ("once-429", "SUCCESS"),
    65: ("429", "ERROR"),
    83: ("once-503", "SUCCESS"),
    101: ("500", "ERROR"),
    119: ("once-cut", "SUCCESS"),
    137: ("cut", "ERROR"),
    155: ("once-silence", "SUCCESS"),
    173: ("silence", "TIMEOUT"),
}
MANY = [ChatRequest(f"{FAULTS[n][0] if n in FAULTS else 'ok'} {n}") for n in range(200)]
OPTIONS = AgentOptions(request_timeout=1.5, retry_max_retries=2, retry_initial_delay=0.01, max_workers=8)


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Any:
    with Faulty() as running:
        monkeypatch.setenv("STKAI_AUTH_CLIENT_ID", "x")
        monkeypatch.setenv("STKAI_AUTH_CLIENT_SECRET", "y")
        monkeypatch.setenv("STKAI_AUTH_TOKEN_URL", f"{running.url}/realm/oidc/oauth/token")
        monkeypatch.setenv("STKAI_AGENT_BASE_URL", running.url)
        STKAI.reset()
        yield running


def check(got: list[ChatResponse], service: Faulty) -> None:
    assert all(one.request is request for one, request in zip(got, MANY, strict=True))
    for number, one in enumerate(got):
        kind, status = FAULTS.get(number, ("ok", "SUCCESS"))
        assert one.status == status, (kind, one.error)
        assert one.result == (f"you said {kind} {number}" if one.is_success() else None)
    assert "refused 429 65" in (got[65].error or "")
    assert {prompt: count for prompt, count in service.server.prompts.items() if count > 1} == {
        f"{kind} {number}": 2 if status == "SUCCESS" else 3 for number, (kind, status) in FAULTS.items()
    }
    assert 1 < service.server.most_running <= 8
    assert service.server.connections < 60  # most requests found a connection that was open


@pytest.mark.requirement("STK-25", "STK-26", "STK-85", "STK-88")
def test_two_hundred_chats_with_faults(service: Faulty) -> None:
    before = set(threading.enumerate()) - set(workers())
    with Agent("a", options=OPTIONS) as made:
        got = made.chat_many(MANY)
    check(got, service)
    assert service.no_connection_left()
    assert not workers()
    left = set(threading.enumerate()) - before
    assert not [thread for thread in left if "process_request_thread" not in thread.name]


@pytest.mark.requirement("STK-25", "STK-26", "STK-85", "STK-88")
async def test_two_hundred_awaited_chats_with_faults(service: Faulty) -> None:
    async with AsyncAgent("a", options=OPTIONS) as made:
        got = await made.chat_many(MANY)
    check(got, service)
    assert await anyio.to_thread.run_sync(service.no_connection_left)


@pytest.mark.requirement("STK-91", "STK-S05", "STK-43", "STK-90")
def test_streams_meet_the_same_faults(service: Faulty) -> None:
    expected = {
        "ok 1": ("SUCCESS", "you said ok 1"),
        "once-reset 2": ("SUCCESS", "you said once-reset 2"),
        "once-503 3": ("SUCCESS", "you said once-503 3"),
        "cut 4": ("ERROR", "cut 4"),
        "once-silence 5": ("SUCCESS", "you said once-silence 5"),
    }
    ended: dict[str, Any] = {}

    with Agent("a", options=OPTIONS) as made:

        def read(prompt: str) -> None:
            with made.chat_stream(ChatRequest(prompt)) as stream:
                got = stream.get_final_response()
            ended[prompt] = (str(got.status), got.result)

        threads = [threading.Thread(target=read, args=(prompt,)) for prompt in expected]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(WAIT)
    assert ended == expected
    assert service.no_connection_left()


# ------------------------------------------------------------------------------------ the async twin


@pytest.mark.requirement("STK-27")
async def test_the_twin_asks_as_many_at_once_as_it_may() -> None:
    running = most = 0

    class Counting(AsyncScriptedClient):
        async def post(self, *args: Any, **fields: Any) -> requests.Response:
            nonlocal running, most
            running += 1
            most = max(most, running)
            for _ in range(5):
                await anyio.lowlevel.checkpoint()
            running -= 1
            return await super().post(*args, **fields)

    made = AsyncAgent("a", base_url=URL, options=FAST, http_client=Counting(script(echo)))
    got = await made.chat_many(prompts(20))
    assert [one.result for one in got] == [f"prompt {n}" for n in range(20)]
    assert most == 4


async def test_cancelling_the_twins_batch_stops_it() -> None:
    class Hanging(AsyncScriptedClient):
        async def post(self, *args: Any, **fields: Any) -> requests.Response:
            await super().post(*args, **fields)
            scope.cancel()
            await anyio.sleep_forever()
            raise AssertionError

    played = script(echo)
    made = AsyncAgent("a", base_url=URL, options=AgentOptions(max_workers=1), http_client=Hanging(played))
    with anyio.move_on_after(WAIT) as scope:
        await made.chat_many(prompts(5))
    assert scope.cancelled_caught
    assert len(played.calls) <= 1
