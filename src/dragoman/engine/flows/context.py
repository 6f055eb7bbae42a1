"""What a step's function is given, and how it says that it failed."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from dragoman.core.errors import DragomanError, UsageError
from dragoman.engine.threads import in_thread

Perform: TypeAlias = Callable[[str, Callable[[], Awaitable[Any]], int], Awaitable[Any]]
"""Name, work and retries of an inner step → what it gave."""


class StepError(DragomanError):
    """A step's own way to fail: the message is told to whoever called the flow.

    `code` is a short word in capitals, `status` the HTTP status for callers that wait. Any other exception of a
    step has the code STEP_FAILED, and its text stays in the log.
    """

    default_code = "STEP_FAILED"
    default_status = 500

    def __init__(self, message: str, code: str = "STEP_FAILED", status: int = 500) -> None:
        super().__init__(message, code=code, status=status)


class InnerFailed(StepError):
    """What `ctx.step` raises: the inner step failed, now or before a crash. A text with a `ref` is for the log."""

    def __init__(self, message: str, code: str, status: int | None, ref: str | None) -> None:
        super().__init__(message, code, status if status is not None else 500)
        self.ref = ref


@dataclass(frozen=True, kw_only=True)
class FlowContext:
    """What a step of a flow sees; the first argument of its function.

    `message` is what the flow was called with (empty where there was none), `messages`, `parameters` and
    `attachments` likewise. `output` is what the step before gave, for the first step the message;
    `outputs` the latest output of each step by its id. `config` holds this step's keywords. In loops, `index`
    counts the rounds from 0 and `item` is what this round is about. `attempt` counts from 1.
    `input` is all that the step was given, as traces show it.
    """

    message: str = ""
    messages: Sequence[Mapping[str, Any]] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    attachments: Sequence[Mapping[str, Any]] = ()
    output: Any = None
    outputs: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    item: Any = None
    index: int | None = None
    run_id: str = ""
    step_id: str = ""
    attempt: int = 1
    tenant: str = ""
    session: str | None = None
    input: Mapping[str, Any] = field(default_factory=dict)
    _perform: Perform | None = field(default=None, repr=False, compare=False)

    def step(
        self, name: str, function: Callable[..., Any], /, *args: Any, retries: int = 0, **kwargs: Any
    ) -> Awaitable[Any]:
        """`await ctx.step("fetch", fetch, url)`: call the function once, however often the step's body runs again.

        Its result is in the journal before this returns, as JSON; after a crash it comes from there. A
        call that fails is tried `retries` more times, and then raises StepError here, now and after a crash alike.
        Calls may run side by side (`asyncio.gather`); their places are fixed in the order in which
        they are made, so a body that runs again must make the same calls in the same order.
        Without an engine (in a test of one function) the function is just called.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            raise UsageError("ctx.step is awaited, so it needs an `async def` step") from None

        async def work() -> Any:
            return await call(function, *args, **kwargs)

        return self._perform(name, work, retries) if self._perform is not None else work()


async def call(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Call a user's function: a plain one in a thread, so that it may block."""
    target = function if not hasattr(function, "__wrapped_step__") else function.__wrapped_step__
    if inspect.iscoroutinefunction(target) or inspect.iscoroutinefunction(type(target).__call__):
        return await target(*args, **kwargs)
    result = await in_thread(lambda: target(*args, **kwargs))
    return await result if inspect.isawaitable(result) else result
