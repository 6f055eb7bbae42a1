"""`ctx.step`: what a step's function calls once, however often the function itself runs again."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Container
from typing import Any

from dragoman.core.errors import UsageError
from dragoman.core.steps import STEP_ID, step_key
from dragoman.engine.course import Inbox
from dragoman.engine.flows.context import InnerFailed
from dragoman.engine.flows.inputs import Failed, InnerBegins, InnerEnds
from dragoman.engine.flows.state import OpenStep
from dragoman.engine.flows.values import as_json

_Failure = Callable[[Exception, str, int], Failed]


class InnerSteps:
    """The inner steps of one attempt of a function. `taken` are the ids that the flow's own steps have."""

    def __init__(self, open_step: OpenStep, taken: Container[str], inbox: Inbox, failure: _Failure) -> None:
        self._open = open_step
        self._attempt = open_step.attempt
        self._taken = taken
        self._inbox = inbox
        self._failure = failure
        self._uses: Counter[str] = Counter()
        self._loop = asyncio.get_running_loop()
        self._body = asyncio.current_task()
        self._tasks: set[asyncio.Task[Any]] = set()

    def close(self) -> None:
        """The function has ended: what it has left running in tasks of its own ends as well."""
        for task in self._tasks:
            task.cancel()

    def perform(self, name: str, work: Callable[[], Awaitable[Any]], retries: int) -> Awaitable[Any]:
        """The call's place is fixed now, not when it is awaited, so that gathered calls keep theirs."""
        if not isinstance(name, str) or not STEP_ID.fullmatch(name):
            raise UsageError(f"the name of an inner step has 1 to 128 letters, digits or . _ ~ -, got {name!r}")
        if name in self._taken:
            raise UsageError(f"ctx.step({name!r}): a step of this flow has this id; take another name")
        if asyncio.get_running_loop() is not self._loop:
            raise UsageError("ctx.step is for the event loop of the step's own function")
        index = self._open.before.get(name, 0) + self._uses[name]
        self._uses[name] += 1
        return self._do(step_key(name, index or None), name, work, retries)

    async def _do(self, key: str, name: str, work: Callable[[], Awaitable[Any]], retries: int) -> Any:
        task = asyncio.current_task()
        if task is None or task is self._body:
            return await self._once(key, name, work, retries)
        self._tasks.add(task)
        try:
            return await self._once(key, name, work, retries)
        finally:
            self._tasks.discard(task)

    async def _once(self, key: str, name: str, work: Callable[[], Awaitable[Any]], retries: int) -> Any:
        known = self._open.inner.get(key)
        if known is not None and known.status == "completed":
            return as_json(known.output, "a stored output")
        if known is not None and known.status == "failed" and known.error is not None:
            raise InnerFailed(known.error.message, known.error.code, known.error.status, known.error.ref)
        await self._ask(InnerBegins(self._open.key, self._attempt, key, name))
        failures = 0
        while True:
            try:
                output = as_json(await work(), f"what inner step {name!r} gives")
            except Exception as error:
                failed = self._failure(error, key, self._attempt)
                again = failures < retries
                failures += 1
                await self._ask(InnerEnds(self._open.key, self._attempt, key, failed=failed, again=again))
                if not again:
                    raise InnerFailed(failed.message, failed.code, failed.status, failed.ref) from error
            else:
                await self._ask(InnerEnds(self._open.key, self._attempt, key, output))
                return as_json(output, "an output")  # a copy: the function may change it

    async def _ask(self, what: InnerBegins | InnerEnds) -> None:
        await self._inbox.ask(what)
