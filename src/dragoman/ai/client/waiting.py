"""Waiting for something no longer than a call may take, and not beyond its cancellation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from contextlib import nullcontext
from typing import Any, TypeVar

import anyio

from dragoman.ai.client.cancel import CancelReason, CancelToken
from dragoman.ai.errors import AiRuntimeError, ErrorClass, TransportError

__all__ = ["Interruption", "bounded", "cancelled_error"]

T = TypeVar("T")


async def bounded(
    operation: Coroutine[Any, Any, T],
    *,
    token: CancelToken | None = None,
    timeout: float | None = None,
    late: Callable[[TransportError], Awaitable[T]] | None = None,
) -> T | None:
    """What `operation` gives; None when the token was cancelled first.

    Raises TransportError (class timeout) when `timeout` seconds pass, or gives what `late` makes of
    it. Either way the operation is interrupted wherever it waits.
    """
    if token is None and timeout is None:
        return await operation
    if token is not None and token.is_cancelled:
        operation.close()
        return None
    with token.interrupting() if token is not None else nullcontext():
        if timeout is None:
            return await operation
        with anyio.move_on_after(timeout):
            return await operation
        error = TransportError(f"no answer within the {timeout:g} s that the call may take", kind="timeout_read")
        if late is None:
            raise error
        return await late(error)
    return None


class Interruption:
    """Waits many times under one token; used in `with`. `hit` as soon as the token is cancelled."""

    def __init__(self, token: CancelToken) -> None:
        self._token = token
        self._listening = token.listening(self._strike)
        self._scope: anyio.CancelScope | None = None
        self.hit = False

    def _strike(self) -> None:
        self.hit = True
        if self._scope is not None:
            self._scope.cancel()

    def __enter__(self) -> Interruption:
        self._listening.__enter__()
        self.hit = self._token.is_cancelled
        return self

    def __exit__(self, *exception: object) -> None:
        self._scope = None
        self._listening.__exit__(None, None, None)

    async def wait(self, operation: Coroutine[Any, Any, T]) -> T | None:
        """What `operation` gives; None when the token was cancelled first."""
        if self.hit:
            operation.close()
            return None
        with anyio.CancelScope(deadline=self._token.deadline) as self._scope:
            return await operation
        self.hit = True
        self._token.cancel(CancelReason.TIMEOUT)  # nothing to do when that was not it
        return None


def cancelled_error(token: CancelToken) -> AiRuntimeError:
    """The error of a call that has to give an answer and was cancelled instead."""
    reason = token.reason
    return AiRuntimeError(f"the call was cancelled: {reason or 'no reason given'}", error_class=ErrorClass.CANCELLED)


def refuse_ended(error: BaseException | None, token: CancelToken | None) -> None:
    """Raises what a stream failed with, or AiRuntimeError when a token ended it: then there is no answer."""
    if error is not None:
        raise error
    if token is not None and token.is_cancelled:
        raise cancelled_error(token)
