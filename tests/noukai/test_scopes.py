"""Scopes: which session a call belongs to."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest
from tests.noukai.flows import FlowServer
from tests.noukai.shells import FLOW, Awaiting, Blocking, Shell, answer, scripted

from dragoman.noukai import (
    ReplayDisabledError,
    ReplayInvalidSessionError,
    current_session_id,
    replay,
    replay_scope,
    replay_scope_sync,
    trace,
    trace_scope,
    trace_scope_sync,
)
from dragoman.transport.scripted import ScriptedIO

SESSION = "x-session-id"


@pytest.mark.requirement("NOU-47")
async def test_every_way_of_running_is_recorded_under_one_session_in_its_order(shell: Shell) -> None:
    io = ScriptedIO(FlowServer())
    flow = shell.client(io).flow("acme/spelling/two-step")

    async def work(state: Any) -> str:
        result = await shell.call(flow.execute, "a")
        job = await shell.call(flow.execute_async, "b")
        await shell.events(flow.steps("c"))
        again = await shell.call(flow.execute, "d")
        assert result.session_id == job.session_id == again.session_id == current_session_id() == state.session_id
        assert state.mode.value == "capture"
        return str(state.session_id)

    session = await shell.scoped(work)
    assert uuid.UUID(session).version == 4
    assert current_session_id() is None
    assert {request.headers[SESSION] for request in io.requests} == {session}
    indices = [request.headers.get("x-noukai-call-index") for request in io.requests]
    assert indices == ["0", "0", "0", None, "1"]  # the second segment of a stepped run is the same call


@pytest.mark.requirement("NOU-48")
async def test_the_argument_goes_before_the_client_and_both_before_the_scope(shell: Shell) -> None:
    server = FlowServer()
    io = ScriptedIO(server)
    plain = shell.client(io).flow("o/p/echo")
    named = shell.client(io, session_id="of-client").flow("o/p/echo")

    async def work(state: Any) -> list[str | None]:
        results = [
            await shell.call(named.execute, "x", session_id="of-call"),
            await shell.call(named.execute, "x"),
            await shell.call(plain.execute, "x"),
            await shell.call(plain.execute, "x", session_id=""),
        ]
        assert results[2].session_id == state.session_id
        return [result.session_id for result in results]

    found = await shell.scoped(work)
    assert found[:2] == ["of-call", "of-client"]
    assert [request.headers.get(SESSION) for request in io.requests] == [*found[:3], None]
    assert [request.headers.get("x-noukai-call-index") for request in io.requests] == [None, None, "0", None]
    assert (await shell.call(plain.execute, "x")).session_id is None


@pytest.mark.requirement("NOU-99")
@pytest.mark.parametrize("id", [".", "..", "a b", "é", "x" * 129, "a/b", "a\r\nb"])
async def test_an_id_that_no_session_can_have_is_refused(shell: Shell, id: str) -> None:
    io = scripted()
    with pytest.raises(ValueError, match="session id"):
        await shell.call(shell.client(io).flow(FLOW).execute, "x", session_id=id)
    assert io.requests == []


@pytest.mark.requirement("NOU-99", "NOU-56")
@pytest.mark.usefixtures("replay_allowed")
async def test_any_other_id_can_be_replayed_a_malformed_one_cannot(shell: Shell) -> None:
    io = scripted(answer({"sessionId": "abc-123-def", "executions": []}))
    client = shell.client(io)

    async def work(state: Any) -> str:
        return f"{state.mode.value} {current_session_id()}"

    assert (
        await shell.scoped(work, replay_session_id="abc-123-def", transport=client._transport) == "replay abc-123-def"
    )
    with pytest.raises(ReplayInvalidSessionError) as caught:
        await shell.scoped(work, replay_session_id="../x", transport=client._transport)
    assert caught.value.status_code == 400
    assert len(io.requests) == 1


@pytest.mark.requirement("NOU-58")
async def test_capture_can_be_declined(shell: Shell) -> None:
    io = ScriptedIO(FlowServer())

    async def work(state: Any) -> Any:
        assert (state.mode.value, state.session_id, current_session_id()) == ("normal", None, None)
        return await shell.call(shell.client(io).flow("o/p/echo").execute, "x")

    assert (await shell.scoped(work, capture=False)).session_id is None
    assert SESSION not in io.requests[0].headers


@pytest.mark.requirement("NOU-58")
@pytest.mark.parametrize("value", [None, "", "0", "no", "off", "nonsense"])
async def test_replay_is_ignored_while_the_gate_is_shut_or_refused_if_strict(
    shell: Shell, value: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if value is not None:
        monkeypatch.setenv("NOUKAI_REPLAY_ENABLED", value)

    async def mode(state: Any) -> str:
        return str(state.mode.value)

    assert await shell.scoped(mode, replay_session_id="s") == "capture"
    with pytest.raises(ReplayDisabledError, match="NOUKAI_REPLAY_ENABLED"):
        await shell.scoped(mode, replay_session_id="s", strict=True)


@pytest.mark.requirement("NOU-58")
@pytest.mark.parametrize("value", ["1", "true", "YES", "On"])
async def test_the_gate_opens(shell: Shell, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOUKAI_REPLAY_ENABLED", value)
    client = shell.client(scripted(answer({"sessionId": "s", "executions": []})))

    async def mode(state: Any) -> str:
        return str(state.mode.value)

    assert await shell.scoped(mode, replay_session_id="s", transport=client._transport) == "replay"


@pytest.mark.requirement("NOU-58")
@pytest.mark.usefixtures("replay_allowed")
async def test_a_replay_needs_the_transport_of_its_own_kind() -> None:
    other = Blocking().client(scripted())._transport
    for transport in (None, other):
        with pytest.raises(TypeError, match=r"client\._transport"):
            async with trace_scope(replay_session_id="s", transport=transport):
                pass
    with pytest.raises(TypeError, match=r"client\._transport"):
        trace_scope_sync(replay_session_id="s", transport=Awaiting().client(scripted())._transport).__enter__()


@pytest.mark.requirement("NOU-62", "NOU-73")
async def test_decorated_functions_have_a_session_of_their_own() -> None:
    @trace
    async def later(message: str, *, times: int = 1) -> tuple[str, str | None]:
        """Says it."""
        await asyncio.sleep(0)
        return message * times, current_session_id()

    @replay
    def now(message: str) -> tuple[str, str | None]:
        return message, current_session_id()

    said, first = await later("a", times=2)
    assert said == "aa"
    assert (later.__name__, later.__doc__) == ("later", "Says it.")
    assert first
    assert first != (await later("a"))[1]
    assert now("b")[1]
    assert current_session_id() is None
    sessions = await asyncio.gather(later("a"), later("b"))
    assert len({session for _, session in sessions}) == 2


@pytest.mark.requirement("NOU-62", "NOU-91")
async def test_a_decorated_function_joins_the_scope_it_is_called_in() -> None:
    @trace
    async def inner() -> str | None:
        return current_session_id()

    @trace
    def plain() -> str | None:
        return current_session_id()

    @trace
    async def outer() -> bool:
        return current_session_id() == await inner() == plain()

    assert await outer()
    async with trace_scope(capture=False):
        assert await inner() is None


@pytest.mark.requirement("NOU-62")
async def test_an_error_leaves_the_scope_as_it_is() -> None:
    @trace
    async def fails() -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError):
        await fails()
    assert current_session_id() is None


@pytest.mark.requirement("NOU-73")
def test_both_spellings_are_the_same() -> None:
    assert (replay, replay_scope, replay_scope_sync) == (trace, trace_scope, trace_scope_sync)


@pytest.mark.requirement("NOU-68")
async def test_scopes_tell_the_log_hook(shell: Shell) -> None:
    told: list[dict[str, Any]] = []
    client = shell.client(scripted(), log_handler=told.append)

    async def work(state: Any) -> str:
        return str(state.session_id)

    session = await shell.scoped(work, transport=client._transport)
    rest = {"mode": "capture", "session_id": session}
    assert told == [{"phase": "scope_open", **rest}, {"phase": "scope_close", **rest}]
