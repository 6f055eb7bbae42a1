"""The answer of a chat as the documented API shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dragoman.ai.client.stats import CallStats, whole_number
from dragoman.ai.types.message import ContentBlock, Message, ToolCall

if TYPE_CHECKING:
    from dragoman.ai.pipeline.answer import Answer, Candidate

__all__ = ["CallStats", "ChatResponse"]


@dataclass
class ChatResponse:
    """The fields of candidate 0, and all `candidates`.

    `finish_reason` is the provider's word, `stop_reason` the standard one (end_turn, max_tokens,
    stop_sequence, tool_use, refusal, pause_turn, other). `usage` has the provider's names and the
    standard ones; what it did not count is not there. `rate_limits` are the limit headers of the
    answer, resets in seconds. `model` is what the provider says answered.
    """

    content: str = ""
    tool_calls: list[ToolCall] = field(default_factory=list)
    finish_reason: str | None = None
    usage: dict[str, Any] | None = None
    model: str | None = None
    raw_response: Any = None
    thinking: str | None = None
    stop_reason: str | None = None
    candidates: list[Candidate] = field(default_factory=list)
    rate_limits: dict[str, Any] | None = None
    request_id: str | None = None
    thinking_blocks: list[ContentBlock] = field(default_factory=list)

    @classmethod
    def from_answer(
        cls, answer: Answer, *, rate_limits: Mapping[str, Any] | None = None, request_id: str | None = None
    ) -> ChatResponse:
        """What was read from a body or folded from a stream."""
        return cls(
            content=answer.content,
            tool_calls=list(answer.tool_calls),
            finish_reason=answer.finish_reason,
            usage=answer.usage,
            model=answer.model,
            raw_response=answer.raw,
            thinking=answer.thinking or None,
            stop_reason=answer.stop_reason,
            candidates=list(answer.candidates),
            rate_limits=dict(rate_limits) if rate_limits else None,
            request_id=request_id,
            thinking_blocks=list(answer.thinking_blocks),
        )

    @property
    def has_tool_calls(self) -> bool:
        return bool(self.tool_calls)

    @property
    def prompt_tokens(self) -> int | None:
        return self._count("prompt_tokens")

    @property
    def completion_tokens(self) -> int | None:
        return self._count("completion_tokens")

    @property
    def total_tokens(self) -> int | None:
        return self._count("total_tokens")

    @property
    def input_tokens(self) -> int | None:
        return self.prompt_tokens

    @property
    def output_tokens(self) -> int | None:
        return self.completion_tokens

    @property
    def reasoning_tokens(self) -> int | None:
        return self._count("reasoning_tokens")

    @property
    def cache_read_tokens(self) -> int | None:
        return self._count("cache_read_tokens")

    @property
    def cache_creation_tokens(self) -> int | None:
        return self._count("cache_creation_tokens")

    def _count(self, name: str) -> int | None:
        return whole_number((self.usage or {}).get(name))

    def to_message(self) -> Message:
        """The answer as a message that can go back: text, thinking with its signatures, tool calls."""
        blocks = list(self.thinking_blocks) or ([ContentBlock.thinking(self.thinking)] if self.thinking else [])
        first = self.candidates[0] if self.candidates else None
        signed = first.signed_text() if first is not None and first.content == self.content else None
        if signed is not None:
            blocks.append(signed)
        elif blocks and self.content:
            blocks.append(ContentBlock.text_block(self.content))
        content: str | list[ContentBlock] = blocks or self.content
        return Message(role="assistant", content=content, tool_calls=list(self.tool_calls) or None)
