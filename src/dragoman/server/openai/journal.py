"""A run's events → the events of an answer, as callers of this face see it.

Of a run that asks a model itself everything is told, calls of tools too; of an agent's run text and reasoning, for its
tools are the server's. Values only; who reads the journal, and when, is not known here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic_core import to_json

from dragoman.ai.backwards.core_words import STOPS, usage_of
from dragoman.ai.types.events import StreamingEvent
from dragoman.core import events as ev
from dragoman.core.usage import Usage
from dragoman.server.openai.errors import Told, judge_run

__all__ = ["Telling"]

SPOILT = "The answer was interrupted and began anew; ask again for the whole of it."
_REASONS: dict[str, Told] = {
    "CREDITS_EXHAUSTED": Told(
        429, "The credits were used up during the answer.", "insufficient_quota", type="insufficient_quota", again=False
    ),
}


class Telling:
    """Fed a run's events in order. `failure` is why there is no answer, once `is_over`.

    `spoilt`: something that has been told is void, for the step began anew. `forget` a stretch that nobody has seen.
    """

    def __init__(self, *, calls: bool, expose: bool) -> None:
        """`calls`: tool calls are the caller's to carry out."""
        self.failure: Told | None = None
        self.is_over = False
        self.spoilt = False
        self._calls = calls
        self._expose = expose
        self._blocks: dict[str, str] = {}
        self._steps: dict[str, list[StreamingEvent]] = {}
        self._pieces: dict[str, list[str]] = {}
        self._numbers: dict[str, int] = {}
        self._usage: dict[str | None, Usage] = {}
        self._cost: float | None = None

    def take(self, event: ev.Event) -> Iterator[StreamingEvent]:
        """What follows from an event."""
        body = event.body
        match body:
            case ev.BlockStarted():
                self._blocks[body.block] = body.kind
            case ev.BlockDelta():
                yield self._delta(body)
            case ev.BlockEnded(provider=kept) if kept is not None and self._calls:
                if self._blocks.get(body.block) == "reasoning":
                    yield _sealed(kept)
            case ev.ToolStarted() if self._calls:
                yield self._started(body)
            case ev.ToolInputDelta() if self._calls:
                self._pieces[body.call].append(body.delta)
                yield StreamingEvent.partial_tool_call(_spelt(body.call), body.delta)
            case ev.ToolInput() if self._calls:
                if not self._pieces[body.call]:
                    text = body.raw if body.raw is not None else to_json(body.input).decode()
                    yield StreamingEvent.partial_tool_call(_spelt(body.call), text)
                yield self._ended(body)
            case ev.UsageCounted():
                self._count(event.step, body)
            case ev.StepRestarted():
                self.spoilt = True
                self._blocks.clear()
                self._pieces.clear()
                self._numbers.clear()
            case ev.RunCompleted():
                self.is_over = True
                stop = STOPS[body.finish]
                yield StreamingEvent.stream_end(stop, stop, self.usage)
            case ev.RunFailed():
                self.is_over = True
                ref, again = body.ref, body.retryable
                self.failure = judge_run(body.code, body.message, ref, expose=self._expose, again=again)
            case ev.RunCancelled():
                self.is_over = True
                told = Told(409, f"The answer was stopped: {body.reason}.", "cancelled", again=False)
                self.failure = _REASONS.get(body.reason, told)
            case _:
                pass

    def _delta(self, body: ev.BlockDelta) -> StreamingEvent:
        if self._blocks.get(body.block) == "reasoning":
            return StreamingEvent.thinking_delta(body.delta)
        return StreamingEvent.content_delta(body.delta)

    def _started(self, body: ev.ToolStarted) -> StreamingEvent:
        self._pieces[body.call] = []
        number = self._numbers.setdefault(body.call, len(self._numbers))
        return StreamingEvent.tool_call_started(_spelt(body.call), body.name, number)

    def _ended(self, body: ev.ToolInput) -> StreamingEvent:
        mark = (body.provider or {}).get("signature")
        return StreamingEvent.tool_call_ended(_spelt(body.call), signature=mark)

    def _count(self, step: str | None, body: ev.UsageCounted) -> None:
        self._usage[step] = self._usage.get(step, Usage()) + body.usage
        if body.cost is not None:
            self._cost = body.cost + (self._cost or 0.0)

    @property
    def usage(self) -> dict[str, Any] | None:
        """The counts of all model calls of the run."""
        return usage_of(sum(self._usage.values(), Usage()), self._cost)


def _sealed(kept: Mapping[str, Any]) -> StreamingEvent:
    """The end of a stretch of reasoning, with what its provider wants back."""
    signature, data, family = kept.get("signature"), kept.get("data"), kept.get("family")
    more = {} if data is None else {"data": data}
    return StreamingEvent.thinking_delta("", signature=signature, family=family, **more)


def _spelt(call: str) -> str:
    """A call's id as this wire's clients expect it."""
    return f"call_{call.replace('-', '')}"
