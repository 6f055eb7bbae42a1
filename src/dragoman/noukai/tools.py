"""Pauses for tools: who answers them, how often, and how the run goes on.

One loop serves direct calls and relays; `Post` is what differs. Knows no paths and no network.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from dragoman.noukai.codec import encode_json
from dragoman.noukai.exceptions import ToolCallLimitError
from dragoman.noukai.models import ChatMessage, ExecuteRequest, ExecuteResult, PausedResult
from dragoman.noukai.types import DEFAULT_TOOL_ROUNDS, LARGE_MESSAGES, MANY_TOOL_MESSAGES, MESSAGE_ROLES, ToolCalls
from dragoman.transport.io import run_blocking

ToolHandler: TypeAlias = Callable[[ToolCalls], ToolCalls]
AsyncToolHandler: TypeAlias = Callable[[ToolCalls], Awaitable[ToolCalls]]
AnyToolHandler: TypeAlias = ToolHandler | AsyncToolHandler
Post: TypeAlias = Callable[[ExecuteRequest], Awaitable[ExecuteResult | PausedResult]]
"""Sends a request that goes on with a run; gives its result."""


class ManyToolMessages(UserWarning, ResourceWarning):
    """A run has gathered so many tool messages that each round costs more than it should."""


class BlockingPausedResult(PausedResult):
    """A run that waits for tools, as the blocking client returns it."""

    def resume(  # type: ignore[override]  # the blocking client blocks, under the same name
        self, *, tool_results: list[dict[str, Any]]
    ) -> ExecuteResult | BlockingPausedResult:
        """Send results, with the options of the original call, and wait for what follows.

        Raises RuntimeError for an object that no call returned, and as `execute` does.
        """
        following = self._continuation()(tool_results)
        if not inspect.iscoroutine(following):
            raise RuntimeError("a result of the blocking client goes on by a coroutine")
        result: ExecuteResult | BlockingPausedResult = run_blocking(following)
        return result

    def resume_sync(self, *, tool_results: list[dict[str, Any]]) -> ExecuteResult | BlockingPausedResult:
        """The same as `resume`."""
        return self.resume(tool_results=tool_results)


# ------------------------------------------------------------------------------------ before a call


def is_async(handler: object) -> bool:
    """Whether calling it gives something to await."""
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(getattr(handler, "__call__", None))  # noqa: B004 - of an object, its own


def check_handler(handler: object) -> None:
    """Raises TypeError for an async handler, which the blocking client cannot await."""
    if is_async(handler):
        raise TypeError("an async tool_handler needs the awaiting client (AsyncNoukai, AsyncRelayFlow)")


def check_messages(
    message: str | None, messages: Sequence[ChatMessage | dict[str, Any]] | None
) -> list[ChatMessage] | None:
    """The turns of a call; None where there are none.

    Raises ValueError beside a `message`, and for a role other than user, assistant and tool. Warns of
    messages that come near what servers take.
    """
    if not messages:
        return None
    if message is not None:
        raise ValueError("pass message or messages, not both: messages stands in for message")
    turns = [turn if isinstance(turn, ChatMessage) else _turn(place, turn) for place, turn in enumerate(messages)]
    for place, turn in enumerate(turns):
        if turn.role not in MESSAGE_ROLES:
            raise ValueError(f"the role of messages[{place}] is not allowed: {turn.role!r} is none of {MESSAGE_ROLES}")
    size = len(encode_json([turn.model_dump(by_alias=True, exclude_none=True) for turn in turns]))
    if size > LARGE_MESSAGES:
        warnings.warn(f"messages are {size} bytes of JSON; servers refuse 1000000", UserWarning, stacklevel=4)
    return turns


def _turn(place: int, turn: Any) -> ChatMessage:
    if not isinstance(turn, dict) or not isinstance(turn.get("role"), str):
        raise ValueError(f"messages[{place}] needs a role, one of {MESSAGE_ROLES}, got {turn!r}")
    return ChatMessage.model_validate(turn)


# ------------------------------------------------------------------------------------------ the loop


@dataclass(slots=True)
class Rounds:
    """Answers pauses by a handler, at most `limit` times."""

    handler: AnyToolHandler
    limit: int
    blocking: bool
    used: int = 0

    async def answer(self, calls: ToolCalls, execution_id: str | None) -> list[dict[str, Any]]:
        """The handler's results. Raises ToolCallLimitError instead of asking it once too often."""
        self.used += 1
        if self.used > self.limit:
            raise ToolCallLimitError(
                f"the flow asked for tools again after max_tool_rounds={self.limit}",
                code="TOOL_CALL_LIMIT_CLIENT",
                execution_id=execution_id,
            )
        results: Any = self.handler(calls)
        if inspect.isawaitable(results):
            if self.blocking:
                if inspect.iscoroutine(results):
                    results.close()
                raise TypeError("the tool_handler gave something to await, which the blocking client cannot do")
            results = await results
        return list(results)


def make_rounds(handler: AnyToolHandler | None, limit: int | None, blocking: bool) -> Rounds | None:
    """The rounds of a call; None without a handler. `limit=None` means 10."""
    if handler is None:
        return None
    return Rounds(handler, DEFAULT_TOOL_ROUNDS if limit is None else limit, blocking)


def with_results(messages: ToolCalls, results: Sequence[dict[str, Any]]) -> ToolCalls:
    """The messages of a pause and the results after them. Warns when they become many."""
    joined = [*messages, *results]
    if len(joined) > MANY_TOOL_MESSAGES:
        warnings.warn(
            f"{len(joined)} tool messages have gathered; each further round sends them all again",
            ManyToolMessages,
            stacklevel=2,
        )
    return joined


def resume_request(request: ExecuteRequest, paused: PausedResult, results: Sequence[dict[str, Any]]) -> ExecuteRequest:
    """What goes on with a run: its state, the results, and the options of the original call."""
    return request.model_copy(
        update={
            "message": None,
            "messages": None,
            "execution_id": paused.execution_id,
            "paused_at_step": paused.paused_at_step,
            "iterations_used": paused.iterations_used,
            "tool_call_messages": with_results(paused.tool_call_messages, results),
            "accumulated_outputs": paused.accumulated_outputs,
        }
    )


async def settle(
    result: ExecuteResult | PausedResult,
    *,
    request: ExecuteRequest,
    post: Post,
    rounds: Rounds | None,
    session_id: str | None,
    blocking: bool,
) -> ExecuteResult | PausedResult:
    """Answer pauses until the run ends or nobody answers; what is returned can be resumed."""
    while isinstance(result, PausedResult) and rounds is not None:
        results = await rounds.answer(result.tool_calls, result.execution_id)
        result = await post(resume_request(request, result, results))
    if isinstance(result, PausedResult):
        return _resumable(result, request=request, post=post, session_id=session_id, blocking=blocking)
    result._session_id = session_id
    return result


def _resumable(
    paused: PausedResult, *, request: ExecuteRequest, post: Post, session_id: str | None, blocking: bool
) -> PausedResult:
    if blocking:
        paused = BlockingPausedResult.model_validate(paused.model_dump())

    async def resume(results: list[dict[str, Any]]) -> ExecuteResult | PausedResult:
        following = await post(resume_request(request, paused, results))
        return await settle(
            following, request=request, post=post, rounds=None, session_id=session_id, blocking=blocking
        )

    paused._resume = resume
    paused._session_id = session_id
    return paused
