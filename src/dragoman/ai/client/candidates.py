"""Several answers from a provider that gives one at a time: as many requests, told as one answer.

The index of a candidate is the number of its request. Usage is the sum of what was reported.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any

import anyio

from dragoman.ai.client.event_stream import EventStream
from dragoman.ai.client.response import ChatResponse
from dragoman.ai.client.stats import CallStats
from dragoman.ai.client.stream import ChatStream
from dragoman.ai.errors import AiRuntimeError, ErrorClass
from dragoman.ai.pipeline.answer import Candidate
from dragoman.ai.types.events import StreamEnd, StreamingEvent

__all__ = ["CandidateStream", "gathered", "summed_usage"]

WAITING_EVENTS = 64
"""So many events wait for a slow reader; then the connections wait too."""


async def gathered(
    count: int, ask: Callable[[], Awaitable[ChatResponse]], *, at_once: int | None = None
) -> ChatResponse:
    """`count` answers of `ask` as one, at most `at_once` at a time. The first error ends the others and is raised."""
    answers: list[ChatResponse | None] = [None] * count
    limit = anyio.CapacityLimiter(at_once or count)
    failures: list[Exception] = []

    async def one(index: int) -> None:
        async with limit:
            try:
                answers[index] = await ask()
            except Exception as error:
                failures.append(error)
                tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        for index in range(count):
            tasks.start_soon(one, index)
    if failures:
        raise failures[0]
    return _folded([answer for answer in answers if answer is not None])


class CandidateStream(EventStream):
    """The events of several streams as they come, each with its number as `candidate_index`; one `StreamEnd`.

    At most `at_once` are open. Under asyncio they run side by side, elsewhere one after the other.
    The first that fails ends all.
    """

    def __init__(self, streams: Sequence[ChatStream], stats: CallStats, *, at_once: int | None = None) -> None:
        super().__init__()
        self.stats = stats
        self._streams = list(streams)
        self._at_once = at_once or len(self._streams)
        self._tasks: list[asyncio.Task[None]] = []
        self._queue: asyncio.Queue[StreamingEvent | Exception | None] | None = None
        self._ends: dict[int, StreamEnd] = {}

    async def _events(self) -> AsyncGenerator[StreamingEvent, None]:
        if self._is_closed:
            return
        try:
            async with aclosing(self._mixed() if _runs_asyncio() else self._in_turn()) as events:
                async for event in events:
                    yield event
            if len(self._ends) == len(self._streams):
                first, usage = self._ends[0], summed_usage([end.usage for _, end in sorted(self._ends.items())])
                yield StreamingEvent.stream_end(first.finish_reason, first.stop_reason, usage)
        finally:
            await self._finish()

    async def _mixed(self) -> AsyncGenerator[StreamingEvent, None]:
        queue = self._queue = asyncio.Queue(WAITING_EVENTS)
        turns = asyncio.Semaphore(self._at_once)

        async def pump(index: int) -> None:
            try:
                async with turns, aclosing(self._numbered(index)) as events:
                    async for event in events:
                        await queue.put(event)
            except Exception as error:
                await queue.put(error)
            await queue.put(None)

        self._tasks = [asyncio.create_task(pump(index)) for index in range(len(self._streams))]
        running = len(self._tasks)
        while running:
            item = await queue.get()
            if item is None:
                running -= 1
            elif isinstance(item, Exception):
                raise item
            else:
                yield item

    async def _in_turn(self) -> AsyncGenerator[StreamingEvent, None]:
        for index in range(len(self._streams)):
            async with aclosing(self._numbered(index)) as events:
                async for event in events:
                    yield event

    async def _numbered(self, index: int) -> AsyncGenerator[StreamingEvent, None]:
        async with self._streams[index] as stream:
            async for event in stream:
                if type(event.data) is StreamEnd:
                    self._ends[index] = event.data
                    continue
                event.data.candidate_index = index
                if stream.stats.time_to_first_token_ms is not None:
                    self.stats.record_first_token()
                yield event

    async def _finish(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        with anyio.CancelScope(shield=True):
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True) if self._tasks else None
            if self._queue is not None and self._queue.empty():  # a task may wait there for what does not come any more
                self._queue.put_nowait(AiRuntimeError("the stream was closed", error_class=ErrorClass.CANCELLED))
            for stream in self._streams:
                await stream.aclose()
        absorb(self.stats, [stream.stats for stream in self._streams])

    def response(self) -> ChatResponse:
        """All candidates as one answer. Raises what one of them failed with."""
        return _folded([stream.response() for stream in self._streams])


def absorb(stats: CallStats, parts: Sequence[CallStats]) -> None:
    """Make the statistics of a call of those of its requests."""
    for part in parts:
        stats.retry_count += part.retry_count
        stats.provider, stats.model, stats.endpoint = part.provider, part.model, part.endpoint
    names = ("prompt_tokens", "completion_tokens", "total_tokens", "cost")
    counts = [{name: getattr(part, name) for name in names} for part in parts]
    stats.record_usage(summed_usage([{k: v for k, v in one.items() if v is not None} for one in counts]))
    stats.record_end()


def _runs_asyncio() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _folded(answers: list[ChatResponse]) -> ChatResponse:
    first = answers[0]
    first.candidates = [_as_candidate(answer, index) for index, answer in enumerate(answers)]
    first.usage = summed_usage([answer.usage for answer in answers])
    first.raw_response = [answer.raw_response for answer in answers]
    return first


def _as_candidate(answer: ChatResponse, index: int) -> Candidate:
    return Candidate(
        index=index,
        content=answer.content,
        thinking=answer.thinking or "",
        thinking_blocks=list(answer.thinking_blocks),
        tool_calls=list(answer.tool_calls),
        finish_reason=answer.finish_reason,
        stop_reason=answer.stop_reason,
    )


def summed_usage(reports: list[dict[str, Any] | None]) -> dict[str, Any] | None:
    """Counts added up, nested ones too; what is no number is taken from the first report that has it."""
    known = [report for report in reports if report]
    return _added(known) if known else None


def _added(reports: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    total: dict[str, Any] = {}
    for report in reports:
        for name, value in report.items():
            before = total.get(name)
            if isinstance(value, Mapping):
                total[name] = _added([before, value]) if isinstance(before, Mapping) else dict(value)
            elif isinstance(value, int | float) and not isinstance(value, bool):
                total[name] = value + (before if isinstance(before, int | float) else 0)
            else:
                total.setdefault(name, value)
    return total
