"""Guardrails around a call: what may be asked, and what may be answered.

A validator is anything with the two methods of `dragoman.ai.guardrails`: `check(text)`, whose result
has `is_safe` and `violations`, and `filter(text)`. Texts are looked at; where that is asked for,
reasoning and the arguments of tool calls as well.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol, TypeAlias

from dragoman.ai.client.response import ChatResponse
from dragoman.ai.errors import ValidationError
from dragoman.ai.guardrails.blocked import GuardrailBlocked
from dragoman.ai.guardrails.words import Action, Validator
from dragoman.ai.pipeline.answer import Candidate
from dragoman.ai.types.events import StreamingEvent
from dragoman.ai.types.message import ContentBlock, Message, ToolCall

__all__ = ["Action", "GuardrailBlocked", "Guards", "Report", "TextGuards", "Validator"]

_log = logging.getLogger("dragoman.ai")

Report: TypeAlias = Callable[[str, list[Any]], object]
"""Called with the side (`input` or `output`) and the violations, as they are found."""


class Guards(Protocol):
    """What stands around the calls of a client."""

    def asked(self, messages: Sequence[Message]) -> Sequence[Message]:
        """The messages as they may be sent. Raises GuardrailBlocked."""
        ...

    def answered(self, response: ChatResponse) -> ChatResponse:
        """The answer as the caller may get it. Raises GuardrailBlocked."""
        ...

    def streamed(self, events: AsyncIterator[StreamingEvent]) -> AsyncIterator[StreamingEvent]:
        """The events as the caller may get them."""
        ...


class TextGuards:
    """Validators for what is asked and what is answered; either may be left out.

    `thinking` and `tool_arguments` have reasoning and the arguments of tool calls looked at, too.
    Violations are told to `report`; without it, and when nothing is blocked, a line is logged that
    names the rules.
    """

    def __init__(
        self,
        asked: Validator | None = None,
        answered: Validator | None = None,
        *,
        action: Action = "block",
        thinking: bool = False,
        tool_arguments: bool = False,
        report: Report | None = None,
    ) -> None:
        if action not in ("block", "redact", "report"):
            raise ValidationError(
                f"there is no action {action!r}", field="action", expected="block, redact or report", actual=action
            )
        self._asked = asked
        self._answered = answered
        self._action: Action = action
        self._thinking = thinking
        self._tool_arguments = tool_arguments
        self._report = report

    # ------------------------------------------------------------------------------ what is asked

    def asked(self, messages: Sequence[Message]) -> Sequence[Message]:
        if self._asked is None:
            return messages
        return [self._message(self._asked, message) for message in messages]

    def _message(self, validator: Validator, message: Message) -> Message:
        content = message.content
        if not content and message.tool_calls:
            return message
        if isinstance(content, str):
            changed: Any = self._text(validator, content, "input")
        else:
            changed = [self._block(validator, block) for block in content]
        return message if changed == content else message.model_copy(update={"content": changed})

    def _block(self, validator: Validator, block: ContentBlock) -> ContentBlock:
        name = "text" if block.type == "text" else "content" if block.type == "tool_result" else None
        value = getattr(block, name) if name is not None else None
        if name is None or value is None:
            return block
        changed: Any = self._text(validator, value, "input") if isinstance(value, str) else self._value(value, "input")
        return block if changed == value else block.model_copy(update={name: changed})

    # --------------------------------------------------------------------------- what is answered

    def answered(self, response: ChatResponse) -> ChatResponse:
        if self._answered is None:
            return response
        candidates = [self._candidate(one) for one in response.candidates]
        if all(a is b for a, b in zip(candidates, response.candidates, strict=True)) and candidates:
            return response
        if not candidates:
            content = self._text(self._answered, response.content, "output")
            return response if content == response.content else replace(response, content=content, raw_response=None)
        first = candidates[0]
        return replace(
            response,
            content=first.content,
            thinking=first.thinking or None,
            thinking_blocks=first.thinking_blocks,
            tool_calls=first.tool_calls,
            candidates=candidates,
            raw_response=None,
        )

    def _candidate(self, one: Candidate) -> Candidate:
        """The candidate, itself when nothing in it was replaced."""
        assert self._answered is not None  # asked by the caller
        changes: dict[str, Any] = {}
        content = (
            one.content if one.tool_calls and not one.content else self._text(self._answered, one.content, "output")
        )
        if content != one.content:
            changes.update(content=content, signature=None)
        if self._thinking:
            thinking = self._value(one.thinking, "output")
            if thinking != one.thinking:  # signatures are of the text as it was
                blocks = [ContentBlock.thinking(thinking)] if thinking else []
                changes.update(thinking=thinking, thinking_blocks=blocks)
        if self._tool_arguments:
            calls = [self._call(call) for call in one.tool_calls]
            if any(a is not b for a, b in zip(calls, one.tool_calls, strict=True)):
                changes["tool_calls"] = calls
        return replace(one, **changes) if changes else one

    def _call(self, call: ToolCall) -> ToolCall:
        from dragoman.ai.guardrails.values import ValueGuard

        assert self._answered is not None  # asked by the caller
        guard = ValueGuard(self._answered, self._action)
        if call.parse_error is not None and call.arguments_raw:
            raw, found = guard.guarded_json(call.arguments_raw)
            changes: dict[str, Any] = {"arguments_raw": raw}
        else:
            arguments, found = guard.guarded(call.arguments)
            changes = {"arguments": arguments, "arguments_raw": None}
        self._tell("output", found)
        return call.model_copy(update=changes) if found and self._action == "redact" else call

    def streamed(self, events: AsyncIterator[StreamingEvent]) -> AsyncIterator[StreamingEvent]:
        if self._answered is None:
            return events
        from dragoman.ai.guardrails.stream import GuardedStream

        return GuardedStream(
            events,
            self._answered,
            action=self._action,
            thinking=self._thinking,
            tool_arguments=self._tool_arguments,
            on_violations=self._told_of_stream,
        )

    # ------------------------------------------------------------------------------------- either

    def _text(self, validator: Validator, text: str, side: str) -> str:
        found = validator.check(text)
        if found.is_safe:
            return text
        self._tell(side, list(found.violations) or [found])
        return validator.filter(text) if self._action == "redact" else text

    def _value(self, value: Any, side: str) -> Any:
        """A value with texts in it, for which rules about length do not count."""
        from dragoman.ai.guardrails.values import ValueGuard

        validator = self._asked if side == "input" else self._answered
        assert validator is not None  # asked by the callers
        given, found = ValueGuard(validator, self._action).guarded(value)
        self._tell(side, found)
        return given

    def _told_of_stream(self, found: list[Any]) -> None:
        self._tell("output", found, raises=False)

    def _tell(self, side: str, found: list[Any], *, raises: bool = True) -> None:
        """Tell of violations, and end the call where that is wanted; a stream ends itself."""
        if not found:
            return
        if self._report is not None:
            self._report(side, found)
        elif self._action != "block":
            rules = ", ".join(dict.fromkeys(str(getattr(one, "rule_id", "a guardrail")) for one in found))
            level = logging.WARNING if self._action == "report" else logging.INFO
            _log.log(level, "guardrails found in the %s: %s", side, rules)
        if self._action == "block" and raises:
            raise GuardrailBlocked(side, found)
