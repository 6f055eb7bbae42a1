"""An answer out of the events that a caller was given, where those are not what the provider sent.

The pipeline folds what it reads itself; this is for streams that something stood around and changed.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from dragoman.ai.client.response import ChatResponse
from dragoman.ai.pipeline.answer import Answer, Candidate
from dragoman.ai.types.events import (
    FinalCandidate,
    Metadata,
    PartialContentDelta,
    PartialToolCall,
    StreamEnd,
    StreamingEvent,
    ThinkingDelta,
    ToolCallStarted,
)
from dragoman.ai.types.message import ToolCall
from dragoman.ai.utils.tool_call_assembler import ToolCallAssembler

__all__ = ["Fold"]


@dataclass
class _Part:
    """One candidate, as far as it has come."""

    texts: list[str] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    calls: ToolCallAssembler = field(default_factory=ToolCallAssembler)
    finish_reason: str | None = None
    stop_reason: str | None = None

    def candidate(self, index: int, said: Candidate) -> Candidate:
        """What was handed out; of what the model `said` itself the signatures, where they still hold."""
        content, thinking, calls = "".join(self.texts), "".join(self.thoughts), self.calls.finalize()
        kept = {call.id: call for call in said.tool_calls}
        return replace(
            said,
            index=index,
            content=content,
            thinking=thinking,
            thinking_blocks=list(said.thinking_blocks) if thinking == said.thinking else [],
            tool_calls=[_same(kept.get(call.id), call) for call in calls],
            finish_reason=self.finish_reason,
            stop_reason=self.stop_reason,
            signature=said.signature if content == said.content else None,
        )


def _same(said: ToolCall | None, call: ToolCall) -> ToolCall:
    """The model's own call, if it is the same."""
    if said is None or (said.function_name, said.arguments) != (call.function_name, call.arguments):
        return call
    return said


class Fold:
    """`add` each event that is handed out; `response` gives what they come to."""

    def __init__(self) -> None:
        self._parts: dict[int, _Part] = {}
        self._usage: dict[str, Any] | None = None

    def add(self, event: StreamingEvent) -> None:
        data = event.data
        part = self._parts.setdefault(data.candidate_index, _Part())
        if isinstance(data, PartialContentDelta):
            part.texts.append(data.content)
        elif isinstance(data, ThinkingDelta):
            part.thoughts.append(data.thinking)
        elif isinstance(data, ToolCallStarted):
            part.calls.on_started(data.tool_call_id, data.tool_name, data.index)
        elif isinstance(data, PartialToolCall):
            part.calls.on_partial(data.tool_call_id, data.arguments)
        elif isinstance(data, Metadata | FinalCandidate | StreamEnd):
            part.finish_reason = data.finish_reason or part.finish_reason
            part.stop_reason = data.stop_reason or part.stop_reason
            if not isinstance(data, FinalCandidate) and data.usage is not None:
                self._usage = data.usage

    def response(self, said: ChatResponse | None = None) -> ChatResponse:
        """The answer so far; `said` is what the model said itself, for its signatures and for what no event tells."""
        before = said if said is not None else ChatResponse()
        known = {one.index: one for one in before.candidates}
        candidates = [
            part.candidate(index, known.get(index, Candidate())) for index, part in sorted(self._parts.items())
        ]
        made = ChatResponse.from_answer(Answer.of(candidates, usage=self._usage, model=before.model))
        made.request_id, made.rate_limits = before.request_id, before.rate_limits
        return made
