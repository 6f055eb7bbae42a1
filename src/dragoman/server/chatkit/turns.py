"""A user's message on this wire → the turn of the engine that it means. Pure.

What a message carries beside its words (a quotation, mentions, a tool that was picked) concerns this one answer, so
it goes along as instructions of the turn, each inside a named tag.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from dragoman.chatkit.rows import EXTRA
from dragoman.chatkit.texts import MENTION, fill
from dragoman.chatkit.types import InferenceOptions, UserMessageItem, UserMessageTagContent
from dragoman.core.records import Item

QUOTED = "The user's latest message is about this passage:\n<quoted_text>\n{content}\n</quoted_text>"
MENTIONS = "The user's latest message names these things with an @; what is known of each follows:"
CHOSEN = 'For the latest message the user picked this tool; use it if you can: <tool name="{name}"></tool>'


def instructions_of(message: UserMessageItem) -> tuple[str, ...]:
    """What a model must know of a message beside its words."""
    return tuple(_told(message))


def _told(message: UserMessageItem) -> Iterator[str]:
    if message.quoted_text:
        yield fill(QUOTED, content=message.quoted_text)
    tags = {part.text: part for part in message.content if isinstance(part, UserMessageTagContent)}
    if tags:
        known = [fill(MENTION, name=name, content=_json(part.data)) for name, part in tags.items()]
        yield "\n".join([MENTIONS, *known])
    choice = message.inference_options.tool_choice
    if choice is not None:
        yield fill(CHOSEN, name=choice.id)


def options_of(row: Item | None) -> InferenceOptions:
    """What was picked in the composer for a stored message; nothing for one of another face."""
    kept: Any = row.extra.get(EXTRA) if row is not None else None
    given = kept.get("inference_options") if isinstance(kept, Mapping) else None
    return InferenceOptions.model_validate(given) if isinstance(given, Mapping) else InferenceOptions()


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
