"""What one frame says: the notes that rules and built-in mappings take, before they become events.

A `Reading` is the common language of the two; `engine` puts both together and makes events of the
result. Nothing here knows a wire or a manifest.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dragoman.ai.pipeline.frames import Frame

NO_EXTRAS: Mapping[str, Any] = {}

_LONGEST_INDEX = 18
"""Digits of an index that is text; more is an attack on int(), not a place."""


@dataclass(slots=True)
class Text:
    """A piece of the answer."""

    content: str
    sequence_id: Any = None
    extras: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Thought:
    """A piece of reasoning, or only its signature; `data` when the provider redacted it.

    `block` is what has to go back unchanged beside the three, as fields of a content block.
    """

    text: str = ""
    signature: str | None = None
    tool_consideration: Any = None
    data: str | None = None
    block: Mapping[str, Any] = field(default_factory=dict)
    extras: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Fragment:
    """A piece of a tool call. `key` is the JSON element it was read from, by which two readings meet.

    `arguments` is JSON text; `whole` says that it is all there will be. `fallback` counts only if no
    piece ever comes. `alias` is the id of the wire's item, by which later pieces may refer to the call.
    """

    key: int = 0
    index: int | None = None
    id: str | None = None
    name: str | None = None
    arguments: str | None = None
    whole: bool = False
    fallback: str | None = None
    alias: str | None = None
    signature: str | None = None
    source: Any = None

    def read_arguments(self, value: Any) -> None:
        """Arguments as they came: text is a piece, an object is the whole."""
        if isinstance(value, str):
            self.arguments = value or None
        elif isinstance(value, (dict, list)):
            self.arguments = compact(value)
            self.whole = True


@dataclass(slots=True)
class Ending:
    """The wire's own end of one tool call; `last` if it does not say of which."""

    index: int | None = None
    id: str | None = None
    last: bool = False


@dataclass(slots=True)
class Finish:
    """A reason to stop. `literal` ones come from the manifest's text and never beat a word of the provider."""

    reason: str | None
    emit: str = "final"
    """`final` gives FinalCandidate, `metadata` rides on Metadata, `silent` is only remembered."""
    literal: bool = False
    candidate: int | None = None
    ends: bool = False
    """Whether it ends the candidate even without a reason."""


@dataclass(slots=True)
class Failure:
    """An error that the provider reported."""

    error: Any
    event_id: Any = None
    extras: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Reading:
    """All that one frame (or one candidate's part of it) says. `missed` are kinds whose rule found nothing."""

    failures: list[Failure] = field(default_factory=list)
    thoughts: list[Thought] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)
    asides: list[Text] = field(default_factory=list)
    """Text in places that rules do not name: refusals, the beginning of a block."""
    fragments: list[Fragment] = field(default_factory=list)
    endings: list[Ending] = field(default_factory=list)
    usage: dict[str, Any] | None = None
    finishes: list[Finish] = field(default_factory=list)
    missed: set[str] = field(default_factory=set)
    refused: bool = False
    foreign: int | None = None
    """Index of a block whose argument pieces are not a call of the caller's tools."""
    by_key: dict[int, Fragment] = field(default_factory=dict)
    """The first fragment that a rule has read from each element."""

    def put(self, fragment: Fragment) -> None:
        """Add a piece of a call; two rules that speak of the same element make one piece."""
        known = self.by_key.setdefault(fragment.key, fragment)
        if known is fragment or (known.arguments and fragment.arguments):
            self.fragments.append(fragment)
            return
        known.index = fragment.index if known.index is None else known.index
        known.id = known.id or fragment.id
        known.name = known.name or fragment.name
        known.source = known.source or fragment.source
        if fragment.arguments:
            known.arguments, known.whole = fragment.arguments, fragment.whole


def compact(value: Any) -> str:
    """JSON text without blank space, characters as they are."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def index_of(value: Any) -> int | None:
    """An index as a wire gives it: a number, or a number as text."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and len(value) <= _LONGEST_INDEX and value.isdecimal():
        return int(value)
    return None


def text_of(value: Any) -> str | None:
    """Non-empty text, or None."""
    return value if isinstance(value, str) and value else None


def id_of(value: Any) -> str | None:
    """An id: text, or a number as text."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return text_of(value)


def add_content(
    reading: Reading, value: Any, *, sequence_id: Any = None, extras: Mapping[str, Any] = NO_EXTRAS
) -> bool:
    """Content that is text, a block or a list of blocks; thinking blocks are thoughts. Whether it was there."""
    if isinstance(value, str):
        if value:
            reading.texts.append(Text(value, sequence_id, extras))
        return True
    if isinstance(value, dict):
        value = [value]
    if not isinstance(value, list):
        return False
    for block in value:
        if isinstance(block, str):
            add_content(reading, block, sequence_id=sequence_id, extras=extras)
        elif isinstance(block, dict):
            if block.get("type") in ("thinking", "reasoning"):
                text = joined(block.get("thinking", block.get("text")))
                if text:
                    reading.thoughts.append(Thought(text, text_of(block.get("signature"))))
            elif text_of(block.get("text")):
                reading.texts.append(Text(block["text"], sequence_id, extras))
    return True


def joined(value: Any) -> str:
    """The text in a value that is text or a list of text blocks."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(joined(one) for one in value)
    return joined(value.get("text", "")) if isinstance(value, dict) else ""


def function_fragment(element: Any, *, key: int | None = None) -> Fragment | None:
    """A call or a piece of one in the shapes that wires use; None if it is no object.

    OpenAI nests `function: {name, arguments}`; others are flat and say `args`, `input` or
    `parameters`. A Google signature may sit in `extra_content`.
    """
    if not isinstance(element, dict):
        return None
    inner = element.get("function")
    function: Frame = inner if isinstance(inner, dict) else element
    arguments = next(
        (function[name] for name in ("arguments", "args", "input", "parameters") if function.get(name) is not None),
        None,
    )
    found = Fragment(
        key=id(element) if key is None else key,
        index=index_of(element.get("index")),
        id=id_of(element.get("id")) or id_of(element.get("call_id")),
        name=text_of(function.get("name")),
        source=element,
    )
    found.read_arguments(arguments)
    google = (
        (element.get("extra_content") or {}).get("google") if isinstance(element.get("extra_content"), dict) else None
    )
    if isinstance(google, dict):
        found.signature = text_of(google.get("thought_signature"))
    return found
