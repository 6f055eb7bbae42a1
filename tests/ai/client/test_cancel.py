"""Tokens, handles and pairs: cancelled once, from anywhere, with a reason, by hand or by time."""

from __future__ import annotations

import asyncio
import threading

import anyio
import anyio.lowlevel
import pytest

from dragoman.ai.client import (
    CancelHandle,
    CancelReason,
    CancelState,
    CancelToken,
    create_cancel_pair,
)

pytestmark = pytest.mark.requirement("AIP-56")


def test_a_token_is_cancelled_once_with_a_reason_and_metadata() -> None:
    token = CancelToken()
    assert (token.is_cancelled, token.reason, token.state) == (False, None, CancelState())
    assert token.cancel(CancelReason.RESOURCE_LIMIT, used=7) is True
    assert token.cancel(CancelReason.ERROR) is False
    assert (token.is_cancelled, token.reason) == (True, CancelReason.RESOURCE_LIMIT)
    assert token.state.metadata == {"used": 7}
    assert token.state.timestamp is not None


def test_the_reasons_are_words() -> None:
    words = {"user_request", "timeout", "error", "resource_limit", "shutdown"}
    assert {reason.value for reason in CancelReason} == words
    assert CancelReason.USER_REQUEST == "user_request"


@pytest.mark.parametrize(
    ("given", "reason", "metadata"),
    [
        ("timeout", CancelReason.TIMEOUT, {"used": 7}),
        ("Shutdown", CancelReason.SHUTDOWN, {"used": 7}),
        ("the page was closed", CancelReason.USER_REQUEST, {"text": "the page was closed", "used": 7}),
    ],
)
def test_a_reason_may_be_text(given: str, reason: CancelReason, metadata: dict[str, object]) -> None:
    token = CancelToken()
    assert token.cancel(given, used=7)
    assert (token.reason, token.state.metadata) == (reason, metadata)


def test_both_of_a_pair_offer_everything_and_share_one_state() -> None:
    for first, second in (create_cancel_pair(), reversed(create_cancel_pair())):
        assert first.on_cancel(lambda reason: None) is first
        assert second.cancel() is True
        assert first.is_cancelled
        assert first.reason is second.reason is CancelReason.USER_REQUEST
        assert first.state == second.state
    handle, token = create_cancel_pair()
    assert isinstance(handle, CancelHandle)
    assert isinstance(token, CancelToken)
    assert CancelHandle(token).cancel()
    assert token.is_cancelled


def test_callbacks_are_called_once_in_order_and_at_once_when_it_is_late() -> None:
    token, said = CancelToken(), []
    token.on_cancel(lambda reason: said.append(("a", reason))).on_cancel(lambda reason: said.append(("b", reason)))
    token.cancel(CancelReason.SHUTDOWN)
    token.on_cancel(lambda reason: said.append(("c", reason)))
    token.cancel()
    assert said == [("a", "shutdown"), ("b", "shutdown"), ("c", "shutdown")]


def test_a_callback_that_fails_stops_nothing(caplog) -> None:
    token, said = CancelToken(), []
    token.on_cancel(lambda reason: 1 / 0).on_cancel(said.append)
    assert token.cancel()
    assert said == ["user_request"]
    assert "ZeroDivisionError" in caplog.text


async def test_callbacks_may_be_coroutine_functions() -> None:
    token, called = CancelToken(), anyio.Event()

    async def callback(reason: CancelReason) -> None:
        assert reason == "user_request"
        called.set()

    token.on_cancel(callback).cancel()
    with anyio.fail_after(5):
        await called.wait()


def test_coroutine_callbacks_run_without_a_loop_too() -> None:
    token, said = CancelToken(), []

    async def callback(reason: CancelReason) -> None:
        await anyio.lowlevel.checkpoint()
        said.append(reason)

    token.on_cancel(callback).cancel()
    assert said == ["user_request"]


def test_raising_and_starting_anew() -> None:
    token, said = CancelToken(), []
    token.on_cancel(said.append)
    token.raise_if_cancelled()
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        token.raise_if_cancelled()
    token.reset()
    token.raise_if_cancelled()
    assert token.state == CancelState()
    assert token.cancel(CancelReason.ERROR)
    assert said == ["user_request", "error"]


async def test_waiting_ends_with_the_reason() -> None:
    handle, token = create_cancel_pair()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(anyio.lowlevel.checkpoint)
        tasks.start_soon(_cancel_soon, handle)
        with anyio.fail_after(5):
            assert await token.wait() is CancelReason.USER_REQUEST
    assert await token.wait() is CancelReason.USER_REQUEST


async def _cancel_soon(handle: CancelHandle) -> None:
    await anyio.lowlevel.checkpoint()
    handle.cancel()


async def test_waiting_a_while_says_whether_it_happened() -> None:
    handle, token = create_cancel_pair()
    assert await token.wait_with_timeout(0.001) is False
    handle.cancel()
    assert await token.wait_with_timeout(5) is True


async def test_a_timeout_cancels_by_itself_and_calls_back() -> None:
    token, said = CancelToken(timeout=0.005), []
    token.on_cancel(said.append)
    with anyio.fail_after(5):
        assert await token.wait() is CancelReason.TIMEOUT
    assert said == ["timeout"]


async def test_a_timeout_cancels_when_nobody_waits() -> None:
    token, cancelled = CancelToken(timeout=0.005), anyio.Event()
    token.on_cancel(lambda reason: cancelled.set())
    with anyio.fail_after(5):
        await cancelled.wait()
    assert token.reason is CancelReason.TIMEOUT


def test_a_timeout_given_outside_a_loop_counts_from_the_first_use() -> None:
    token = CancelToken(timeout=0.005)
    threading.Event().wait(0.02)
    assert not token.is_cancelled

    async def use() -> CancelReason:
        with anyio.fail_after(5):
            return await token.wait()

    assert anyio.run(use) is CancelReason.TIMEOUT


async def test_a_cancellation_from_another_thread_wakes_who_waits() -> None:
    handle, token = create_cancel_pair()
    thread = threading.Thread(target=handle.cancel, args=(CancelReason.SHUTDOWN,))
    async with anyio.create_task_group() as tasks:

        async def wait() -> None:
            with anyio.fail_after(5):
                assert await token.wait() is CancelReason.SHUTDOWN

        tasks.start_soon(wait)
        await anyio.lowlevel.checkpoint()
        thread.start()
    thread.join(5)


def test_a_cancellation_after_the_loop_has_ended_is_only_noted() -> None:
    handle, token = create_cancel_pair()

    async def leave_waiting() -> None:
        await token.wait_with_timeout(0.001)

    anyio.run(leave_waiting)
    assert handle.cancel()
