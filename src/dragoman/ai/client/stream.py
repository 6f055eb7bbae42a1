"""The stream of events that a chat gives: one answer, read as it comes.

Opening it, with all its retries and fallbacks, is somebody else's work (`Open`); from the first
output on, what comes is handed out and nothing is tried again.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeAlias

import anyio

from dragoman.ai.client.event_stream import EventStream
from dragoman.ai.client.hops import Leave
from dragoman.ai.client.reading import EarlyFailure, StreamReader
from dragoman.ai.client.response import ChatResponse
from dragoman.ai.client.settings import CallOptions
from dragoman.ai.client.stats import CallStats
from dragoman.ai.client.target import Target
from dragoman.ai.client.waiting import Interruption, bounded, refuse_ended
from dragoman.ai.errors import AiRuntimeError, ErrorClass
from dragoman.ai.resilience.executor import Lease
from dragoman.ai.types.events import StreamingEvent

__all__ = ["ChatStream"]


@dataclass(frozen=True, slots=True)
class Opening:
    """Who answers, the place that it holds under the policies, and whom to tell when it is over."""

    target: Target
    lease: Lease[StreamReader]
    leave: Leave


Open: TypeAlias = Callable[[EarlyFailure], Coroutine[Any, Any, Opening]]


class ChatStream(EventStream):
    """Events of one answer, `StreamEnd` last.

    Iterating raises RemoteError or TransportError; an error that the provider reports inside the
    stream is an event, and `StreamEnd` with the finish reason "error" follows. A cancelled token
    ends the iteration without an error.
    """

    def __init__(self, open_: Open, options: CallOptions, stats: CallStats) -> None:
        super().__init__()
        self.stats = stats
        self._open = open_
        self._options = options
        self._scope: anyio.CancelScope | None = None
        self._opening: Opening | None = None
        self._unreleased: Opening | None = None
        self._error: BaseException | None = None

    async def _events(self) -> AsyncGenerator[StreamingEvent, None]:
        token = self._options.token
        if self._is_closed or (token is not None and token.is_cancelled):
            return
        failure = EarlyFailure()
        try:
            try:
                opening = await self._opened(failure)
            except Exception as error:
                self._error = error
                if error is failure.error:
                    for event in failure.events:
                        yield event
                if error is not failure.error or not failure.is_reported:
                    raise
                return
            if opening is None:
                return
            reader = opening.lease.value
            if reader.has_output:
                self.stats.record_first_token()
            if token is None:
                while not reader.is_over:
                    for event in await reader.next():
                        yield event
            else:
                with Interruption(token) as interruption:
                    while not reader.is_over:
                        for event in await interruption.wait(reader.next()) or ():
                            yield event
                            if interruption.hit:
                                break
                        if interruption.hit:
                            return
            self._error = reader.error
            if reader.error is not None and not reader.is_reported:
                raise reader.error
        finally:
            await self._finish()

    async def _opened(self, failure: EarlyFailure) -> Opening | None:
        """None when a token ended it first. Raises AiRuntimeError when `aclose` did, besides what opening raises."""
        with anyio.CancelScope() as self._scope:
            opening = await bounded(self._open(failure), token=self._options.token, timeout=self._options.timeout)
            self._opening = self._unreleased = opening
        if self._is_closed:
            raise AiRuntimeError("the stream was closed before its first output", error_class=ErrorClass.CANCELLED)
        return self._opening

    async def _finish(self) -> None:
        """Let go of the connection and the place it held; an opening that is under way is given up. Idempotent."""
        if not self._is_closed:
            self._is_closed = True
            self.stats.record_end()
        if self._scope is not None:
            self._scope.cancel()
        held, self._unreleased = self._unreleased, None
        if held is not None:
            reader = held.lease.value
            self.stats.record_usage(reader.usage)
            with anyio.CancelScope(shield=True):
                await reader.aclose()
                await held.lease.release(self._error)
            held.leave()

    def response(self) -> ChatResponse:
        """The answer as far as it was read. Raises what it failed with, or AiRuntimeError when a token ended it."""
        refuse_ended(self._error, self._options.token)
        if self._opening is None:
            raise AiRuntimeError("the stream was not read, so there is no answer")
        reader = self._opening.lease.value
        return ChatResponse.from_answer(reader.run.answer(), **self._opening.target.facts_of(reader.response))
