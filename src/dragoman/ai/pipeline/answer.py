"""A whole answer of a model, folded: what streams end in and what plain answers are read into.

The pipeline fills one from events, the adapters from a JSON body; the client makes its response of
it. Knows nothing of either way.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from dragoman.ai.types.message import ContentBlock, ToolCall

__all__ = ["Answer", "Candidate", "mark_signed"]


@dataclass(slots=True)
class Candidate:
    """One of several answers to the same request; `index` is the provider's, else its position.

    `finish_reason` is the provider's word, `stop_reason` the standard one. `thinking_blocks` keep
    what has to go back unchanged: signatures and redacted data; `signature` is one on the content.
    """

    index: int = 0
    content: str = ""
    thinking: str = ""
    thinking_blocks: list[ContentBlock] = field(default_factory=list)
    tool_calls: list[ToolCall] = field(default_factory=list)
    finish_reason: str | None = None
    stop_reason: str | None = None
    signature: str | None = None
    family: str | None = None
    """Of wires, whose signatures and seals these are."""

    def signed_text(self) -> ContentBlock | None:
        """The content as a block that goes back with its signature; None when it has none."""
        if self.signature is None:
            return None
        return ContentBlock.text_block(self.content).model_copy(
            update={"signature": self.signature, "family": self.family}
        )


@dataclass(slots=True)
class Answer:
    """The answer: the fields of candidate 0, and all `candidates`.

    `usage` is normalised and None when the provider said nothing. `raw` is the body of a plain
    answer; `extras` holds facts without a field of their own (`id`, …).
    """

    content: str = ""
    thinking: str = ""
    thinking_blocks: list[ContentBlock] = field(default_factory=list)
    tool_calls: list[ToolCall] = field(default_factory=list)
    finish_reason: str | None = None
    stop_reason: str | None = None
    usage: dict[str, Any] | None = None
    model: str | None = None
    candidates: list[Candidate] = field(default_factory=list)
    raw: Any = None
    extras: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, candidates: list[Candidate], **facts: Any) -> Answer:
        """The answer made of these candidates; the one of lowest index is shown."""
        candidates = sorted(candidates, key=lambda one: one.index)
        first = candidates[0] if candidates else Candidate()
        return cls(
            content=first.content,
            thinking=first.thinking,
            thinking_blocks=first.thinking_blocks,
            tool_calls=first.tool_calls,
            finish_reason=first.finish_reason,
            stop_reason=first.stop_reason,
            candidates=candidates,
            **facts,
        )


def mark_signed(candidates: list[Candidate], family: str | None) -> None:
    """Note on blocks and calls that are signed or sealed which family of wires did it.

    A conversation may go on with another provider (a fallback, another model); what one has signed
    another refuses, so the adapters send it to its own family only.
    """
    if family is None:
        return
    mark = {"family": family}
    for one in candidates:
        one.family = family
        one.thinking_blocks = [
            block.model_copy(update=mark) if block.signature is not None or block.data is not None else block
            for block in one.thinking_blocks
        ]
        one.tool_calls = [
            call.model_copy(update=mark) if call.signature is not None or call.model_extra else call
            for call in one.tool_calls
        ]
