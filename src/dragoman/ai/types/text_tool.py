"""Tool calls written as text, for models whose own tool calling is missing or not to be trusted.

The prompt asks for `<tool_call>{"name": …, "arguments": {…}}</tool_call>`; lenient parsing also
reads what models write instead (`text_dialects`). `ToolCallingPolicy` says, from a manifest's
`capabilities.tool_calling`, whether to use native calls, text, or text where native gave nothing.
Calls inside code fences are examples and stay text. Pure; nothing here calls a tool.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from dragoman.ai.types.message import ToolCall
from dragoman.ai.types.text_dialects import Found, KnownDialect, find_calls, outside_fences
from dragoman.ai.types.text_prompts import PromptLevel, instructions
from dragoman.ai.types.tool import ToolDefinition

__all__ = [
    "KnownDialect",
    "NativeStrategy",
    "PromptLevel",
    "StandardTextToolParser",
    "TextParsedToolCall",
    "TextToolConfig",
    "TextToolDeviation",
    "TextToolParser",
    "TextToolResult",
    "ToolCallingPolicy",
    "detect_text_tool_deviation",
    "parse_hybrid_tool_calls",
]


class NativeStrategy(StrEnum):
    """Where tool calls are looked for: natively, natively and then in the text, in the text."""

    FULL = "full"
    HYBRID = "hybrid"
    TEXT_ONLY = "text_only"


class TextToolDeviation(StrEnum):
    """A form of tool call that a text holds."""

    STANDARD_TOOL_CALL = "standard_tool_call"
    SHELL = "shell"
    BASH = "bash"
    DSML = "dsml"
    INVOKE = "invoke"


@dataclass
class TextToolConfig:
    """How text is read and what the prompt says.

    `args_key` is a further key under which a call's arguments may stand; `dialects` are tags that
    the model is known to write. `max_call_depth` and `include_counterexamples` shape the prompt of
    other runtimes; here only counterexamples have an effect, at the levels L2 and L3.
    """

    lenient_parsing: bool = False
    max_call_depth: int = 1
    include_counterexamples: bool = True
    prompt_level: PromptLevel = PromptLevel.L1
    locale: str = "en"
    args_key: str | None = None
    dialects: list[KnownDialect] = field(default_factory=list)


@dataclass
class TextParsedToolCall:
    """A call found in text."""

    id: str
    name: str
    arguments: dict[str, Any] = field(default_factory=dict)

    def to_tool_call(self) -> ToolCall:
        """The call as a message holds it."""
        return ToolCall.from_openai_format(self.id, self.name, self.arguments)


@dataclass
class TextToolResult:
    """The answer to a call, to be shown to the model as text."""

    tool_use_id: str
    content: Any
    is_error: bool = False


class TextToolParser(Protocol):
    """What reads calls out of text and writes their results into it."""

    def parse(self, response_text: str) -> tuple[str, list[TextParsedToolCall]]: ...

    def prompt_instructions(self, tools: list[ToolDefinition]) -> str: ...

    def format_results(self, results: list[TextToolResult]) -> str: ...


@dataclass
class StandardTextToolParser:
    """The parser of the protocol's own text form."""

    config: TextToolConfig = field(default_factory=TextToolConfig)

    def parse(self, response_text: str) -> tuple[str, list[TextParsedToolCall]]:
        """The text without its calls, and the calls, numbered `text_tool_0` …

        Without a call the text comes back as it is. Else the rest is tidied: lines stripped,
        blank ones dropped, code fences left alone.
        """
        found = find_calls(
            response_text,
            lenient=self.config.lenient_parsing,
            args_key=self.config.args_key,
            dialects=self.config.dialects,
        )
        if not found:
            return response_text, []
        calls = [TextParsedToolCall(f"text_tool_{at}", one.name, one.arguments) for at, one in enumerate(found)]
        return _rest(response_text, found), calls

    def prompt_instructions(self, tools: Sequence[ToolDefinition]) -> str:
        """What to add to the system message so that the model calls `tools` by text."""
        config = self.config
        banned = [dialect.tag for dialect in config.dialects] if config.include_counterexamples else []
        return instructions(tools, level=config.prompt_level, locale=config.locale, banned=banned)

    def format_results(self, results: Sequence[TextToolResult]) -> str:
        """The results as text for the next user message."""
        return "\n".join(
            "<tool_result>\n"
            + json.dumps(
                {"tool_use_id": result.tool_use_id, "content": result.content, "is_error": result.is_error},
                ensure_ascii=False,
                default=str,
            )
            + "\n</tool_result>"
            for result in results
        )

    @classmethod
    def from_manifest_tool_calling(cls, tool_calling: Any) -> StandardTextToolParser:
        """A lenient parser for a manifest's `capabilities.tool_calling`, by its `text_fallback`."""
        fallback = _part(tool_calling, "text_fallback")
        dialects = _part(fallback, "known_dialects")
        level = _part(fallback, "prompt_level")
        return cls(
            TextToolConfig(
                lenient_parsing=True,
                prompt_level=PromptLevel(level) if level in PromptLevel.__members__ else PromptLevel.L2,
                args_key=_part(fallback, "args_key"),
                dialects=[
                    KnownDialect(str(_part(dialect, "tag")), str(_part(dialect, "map_to") or ""))
                    for dialect in (dialects if isinstance(dialects, (list, tuple)) else ())
                    if _part(dialect, "tag")
                ],
            )
        )


@dataclass
class ToolCallingPolicy:
    """How tools are offered to a model and where its calls are looked for."""

    native_strategy: NativeStrategy
    parser: StandardTextToolParser

    @classmethod
    def from_tool_calling(cls, tool_calling: Any) -> ToolCallingPolicy:
        """By a manifest's `capabilities.tool_calling`; nothing declared means text only."""
        return cls(_strategy(tool_calling), StandardTextToolParser.from_manifest_tool_calling(tool_calling))

    def send_native_tool_specs(self) -> bool:
        """Whether the request carries tool definitions."""
        return self.native_strategy is not NativeStrategy.TEXT_ONLY

    def prefer_native_dispatcher(self) -> bool:
        """Whether native calls are answered natively."""
        return self.native_strategy is not NativeStrategy.TEXT_ONLY


def parse_hybrid_tool_calls(
    parser: TextToolParser, content: str, native_calls: list[TextParsedToolCall]
) -> tuple[str, list[TextParsedToolCall]]:
    """Native calls, if there are any, with the text as it is; else what the text holds."""
    if native_calls:
        return content, list(native_calls)
    return parser.parse(content)


_MARKS = (
    (TextToolDeviation.STANDARD_TOOL_CALL, re.compile(r"<tool_call[\s>]")),
    (TextToolDeviation.DSML, re.compile(r"<[｜|]{1,2}DSML[｜|]{1,2}\w")),
    (TextToolDeviation.INVOKE, re.compile(r"<invoke\s")),
    (TextToolDeviation.SHELL, re.compile(r"<shell>")),
    (TextToolDeviation.BASH, re.compile(r"<bash>")),
)


def detect_text_tool_deviation(text: str) -> TextToolDeviation | None:
    """Which form of text call begins in `text`, outside of code fences; None if none does."""
    plain = outside_fences(text)
    return next((kind for kind, mark in _MARKS if mark.search(plain)), None)


def _strategy(tool_calling: Any) -> NativeStrategy:
    native = _part(tool_calling, "native")
    if not _part(native, "supported"):
        return NativeStrategy.TEXT_ONLY
    has_fallback = _part(tool_calling, "text_fallback") is not None
    by_reliability = {"partial": NativeStrategy.HYBRID, "unreliable": NativeStrategy.TEXT_ONLY}
    return (
        by_reliability.get(str(_part(native, "reliability")), NativeStrategy.FULL)
        if has_fallback
        else NativeStrategy.FULL
    )


def _rest(text: str, found: list[Found]) -> str:
    pieces, at = [], 0
    for one in found:
        pieces.append(text[at : one.start])
        at = one.end
    pieces.append(text[at:])
    kept: list[str] = []
    fence = ""
    for line in "".join(pieces).splitlines():
        mark = line.strip()[:3]
        if fence:
            kept.append(line)
            fence = "" if mark == fence else fence
        elif mark in ("```", "~~~"):
            kept.append(line)
            fence = mark
        elif line.strip():
            kept.append(line.strip())
    return "\n".join(kept)


def _part(document: Any, name: str) -> Any:
    return document.get(name) if isinstance(document, Mapping) else getattr(document, name, None)
