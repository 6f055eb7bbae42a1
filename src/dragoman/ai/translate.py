"""The words of the core ⇄ the words of `dragoman.ai`: a `ModelRequest` in, the pieces of an answer out.

What a provider wants back with its reasoning and its calls (signatures, encrypted texts, its own
ids) travels in `provider` of the core's values, marked with who made it, and is given to nobody
else. Knows no wire, no manifest and no engine.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from pydantic_core import to_json

from dragoman.ai.errors import PipelineError, RemoteError
from dragoman.ai.files import READABLE
from dragoman.ai.types.events import StreamingEvent
from dragoman.ai.types.message import ContentBlock, ImageSource, Message
from dragoman.ai.types.tool import ToolDefinition
from dragoman.core import messages as core
from dragoman.core.events import FinishReason
from dragoman.core.usage import Usage
from dragoman.wire.json_text import mended, sound

logger = logging.getLogger("dragoman.ai")

FINISH: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "tool_use": "tool-calls",
    "refusal": "content-filter",
    "pause_turn": "other",
    "other": "other",
}
"""The protocol's reason → the core's."""

_END_OF_FILE = re.compile(r"<(\s*/\s*file)", re.IGNORECASE)
_READABLE = frozenset(f"application/{name}" for name in READABLE)

LONGEST_NAME = 256
"""Characters of the name of a tool, and of a provider's id of a call that is kept."""
MOST_CHARACTERS = 32 * 1024 * 1024
"""Of text, reasoning and arguments in one answer: all of it is journalled."""
MOST_TOKENS = 1 << 40
MOST_DOLLARS = 1e9
"""Of one answer. More is a mistake or a lie, and would spoil every sum that it goes into."""

SEALS = ("signature", "data", "item")
"""What comes with the last piece of a stretch of reasoning, in the words of `ContentBlock`."""

_ID_LETTERS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


# --------------------------------------------------------------------------- what is asked


def tools_of(request: core.ModelRequest) -> list[ToolDefinition]:
    """The tools that the model may call."""
    return [ToolDefinition.from_function(spec.name, spec.description, spec.parameters) for spec in request.tools]


def messages_of(request: core.ModelRequest, origin: str) -> list[Message]:
    """Instructions and conversation for the provider `origin`.

    Reasoning goes back only to whoever gave it. A call keeps the id of its provider as long as
    that is unique here; every other gets one that all providers take.
    """
    made: list[Message] = [Message.system(request.instructions)] if request.instructions else []
    ids = _call_ids(request.messages, origin)
    for message in request.messages:
        if message.role == "tool":
            made += _results(message, ids)
        elif message.role == "assistant":
            made += _assistant(message, ids, origin)
        else:
            made.append(Message(role=message.role, content=_said(message.parts)))
    return made


def _call_ids(messages: Iterable[core.Message], origin: str) -> dict[str, str]:
    """Our call id → the id that goes to the provider."""
    ids: dict[str, str] = {}
    taken: set[str] = set()
    for message in messages:
        for part in message.parts:
            if isinstance(part, core.ToolCallPart):
                own = _kept(part.provider, origin).get("id")
                wire = own if isinstance(own, str) and own and own not in taken else _short_id(part.call_id)
                taken.add(wire)
                ids[part.call_id] = wire
    return ids


def _short_id(call: str) -> str:
    """Nine letters and digits, the narrowest form that a provider asks for; always the same for one call."""
    number = int.from_bytes(hashlib.sha256(call.encode()).digest()[:8])
    letters = []
    for _ in range(9):
        number, digit = divmod(number, len(_ID_LETTERS))
        letters.append(_ID_LETTERS[digit])
    return "".join(letters)


def _kept(provider: dict[str, Any] | None, origin: str) -> dict[str, Any]:
    """What this provider gave us to keep; empty for what another one gave."""
    if provider is None or provider.get("of") != origin:
        return {}
    return {name: value for name, value in provider.items() if name != "of"}


def _block(provider: dict[str, Any] | None, origin: str, **said: Any) -> ContentBlock:
    """A block that says this, with what its provider gave us to keep."""
    return ContentBlock(**{**_kept(provider, origin), **said})


def _assistant(message: core.Message, ids: Mapping[str, str], origin: str) -> Iterator[Message]:
    blocks: list[ContentBlock] = []
    for part in message.parts:
        match part:
            case core.TextPart():
                blocks.append(_block(part.provider, origin, type="text", text=part.text))
            case core.ReasoningPart() if part.provider is not None and part.provider.get("of") == origin:
                blocks.append(_block(part.provider, origin, type="thinking", text=part.text))
            case core.ToolCallPart():
                said = {"type": "tool_use", "id": ids[part.call_id], "name": part.name, "input": part.input}
                blocks.append(_block(part.provider, origin, **said))
            case _:
                pass  # an assistant's files and another provider's reasoning are not told
    if not blocks:
        return
    is_plain = all(block.type == "text" and block.signature is None for block in blocks)
    yield Message(role="assistant", content="".join(block.text or "" for block in blocks) if is_plain else blocks)


def _results(message: core.Message, ids: Mapping[str, str]) -> Iterator[Message]:
    for part in message.parts:
        if not isinstance(part, core.ToolResultPart):
            continue
        call = ids.get(part.call_id) or _short_id(part.call_id)
        text = part.output if isinstance(part.output, str) else to_json(mended(part.output)).decode()
        if part.outcome == "output":
            yield Message.tool(call, text)
            continue
        # most wires have no mark for an error, so the text says it too
        text = text if part.outcome == "denied" else f"error: {text}"
        failed = ContentBlock.tool_result(call, text, is_error=True)
        yield Message(role="tool", content=[failed], tool_call_id=call)


def _said(parts: Iterable[core.Part]) -> str | list[ContentBlock]:
    blocks: list[ContentBlock] = []
    for part in parts:
        if isinstance(part, core.TextPart):
            blocks.append(ContentBlock.text_block(part.text))
        elif isinstance(part, core.FilePart):
            blocks.append(_file(part))
    if all(block.type == "text" for block in blocks):
        return "\n\n".join(block.text or "" for block in blocks)
    return blocks


def _file(part: core.FilePart) -> ContentBlock:
    """An image, a sound, a text or a document; a URL of the web is fetched by the provider."""
    if part.text is not None:
        text = _END_OF_FILE.sub(r"<\\\1", part.text)  # or it could end before its end
        return ContentBlock.text_block(f"<file{_name_mark(part.name)}>\n{text}\n</file>")
    media_type = part.media_type.partition(";")[0].strip().lower()
    kind = media_type.partition("/")[0]
    data = _inline(sound(part.url))
    if data is None:
        if kind == "image":
            return ContentBlock.image_url(part.url)
        source = ImageSource(source_type="url", media_type=media_type, data=part.url)
        return _named(ContentBlock(type="document", source=source), part.name)
    if kind == "text" or media_type in _READABLE:
        head = f"{part.name}:\n" if part.name else ""
        return ContentBlock.text_block(head + data.decode("utf-8", "replace"))
    text = base64.b64encode(data).decode("ascii")
    if kind == "image":
        return ContentBlock.image_base64(text, media_type)
    if kind == "audio":
        return ContentBlock.audio_base64(text, media_type)
    return _named(ContentBlock.document_base64(text, media_type), part.name)


def _name_mark(name: str | None) -> str:
    if not name:
        return ""
    return f" name={to_json(name).decode()}".replace("<", "\\u003c").replace(">", "\\u003e")


def _named(block: ContentBlock, name: str | None) -> ContentBlock:
    if name:
        block.name = name
    return block


def _inline(url: str) -> bytes | None:
    """The bytes of a `data:` URL; None for any other, and for one that is broken."""
    if url[:5].lower() != "data:":
        return None
    head, comma, body = url[5:].partition(",")
    if not comma:
        return None
    raw = unquote_to_bytes(body)
    if not head.lower().endswith(";base64"):
        return raw
    try:
        return base64.b64decode(raw)
    except ValueError:
        return None


# --------------------------------------------------------------------------- what is answered


class Hearing:
    """Turns the events of one stream into the pieces that a `Model` yields.

    Usage is told once, at the end, also of an answer that fails. Answers beside the first
    (`n`) are not told.
    """

    def __init__(self, origin: str, *, family: str | None = None, classification: Any = None) -> None:
        """`family` is the manifest's adapter, `classification` its `error_classification`."""
        self._origin = origin
        self._family = family
        self._classification = classification
        self._thinking: dict[str, Any] | None = None
        self._names: dict[str, str] = {}
        self._marks: dict[str, dict[str, Any]] = {}
        self._pieces: dict[str, list[str]] = {}
        self._usage: Mapping[str, Any] | None = None
        self._over = False
        self._is_told = False
        self._said = 0

    def take(self, event: StreamingEvent) -> Iterator[core.ModelEvent]:
        """The pieces that follow. Raises RemoteError for an error that the provider reports."""
        data: Any = event.data
        kind = event.event_type
        if data.candidate_index and kind not in ("Metadata", "StreamEnd", "StreamError"):
            return
        if kind == "PartialContentDelta":
            self._measure(data.content)
            yield from self._end_thinking()
            kept = {"signature": data.signature} if "signature" in data.extras else None
            yield core.ModelText(data.content, self._mine(kept) if kept else None)
        elif kind == "ThinkingDelta":
            yield self._thought(data)
        elif kind == "ToolCallStarted":
            yield from self._end_thinking()
            self._names[data.tool_call_id] = data.tool_name[:LONGEST_NAME]
            self._marks[data.tool_call_id] = dict(data.extras)
            self._pieces[data.tool_call_id] = []
        elif kind == "PartialToolCall":
            if data.arguments:
                self._measure(data.arguments)
                self._pieces.setdefault(data.tool_call_id, []).append(data.arguments)
                yield core.ModelToolDelta(data.tool_call_id, self._names.get(data.tool_call_id, ""), data.arguments)
        elif kind == "ToolCallEnded":
            yield from self._end_call(data)
        elif kind == "Metadata":
            self._usage = data.usage or self._usage
        elif kind == "StreamError":
            self._failed(data)
        elif kind == "StreamEnd":
            yield from self._end(data)

    def _measure(self, piece: str) -> None:
        self._said += len(piece)
        if self._said > MOST_CHARACTERS:
            raise PipelineError(f"the answer has more than {MOST_CHARACTERS} characters", operator="answer")

    def _thought(self, data: Any) -> core.ModelReasoning:
        """A stretch ends with its seal; what else the provider says of it is gathered until then."""
        self._measure(data.thinking or "")
        kept = self._thinking if self._thinking is not None else {"of": self._origin}
        kept |= {name: value for name, value in data.extras.items() if value is not None and name != "of"}
        if data.signature is not None:
            kept["signature"] = data.signature
        is_sealed = any(name in kept for name in SEALS)
        if is_sealed and self._family is not None:
            kept["family"] = self._family
        self._thinking = None if is_sealed else kept
        return core.ModelReasoning(data.thinking or "", kept if is_sealed else None)

    def _end_thinking(self) -> Iterator[core.ModelEvent]:
        """End an unsealed stretch, and say whose it was, so that it goes back to nobody else."""
        kept, self._thinking = self._thinking, None
        if kept is not None:
            yield core.ModelReasoning("", kept)

    def _end_call(self, data: Any) -> Iterator[core.ModelEvent]:
        call = data.tool_call_id
        name = self._names.pop(call, None)
        if name is None:
            return
        marks = self._marks.pop(call) | data.extras
        kept = {name: value for name, value in marks.items() if value is not None}
        text = "".join(self._pieces.pop(call, ()))
        own = {"id": call} if len(call) <= LONGEST_NAME else {}
        yield core.ModelToolCall(call, name, text, {**own, **self._mine(kept)})

    def _mine(self, kept: dict[str, Any]) -> dict[str, Any]:
        """What is kept for this provider, with the family whose marks these are."""
        family = {"family": self._family} if kept and self._family is not None else {}
        return {**kept, **family, "of": self._origin}

    def _failed(self, data: Any) -> None:
        error = data.error
        if isinstance(error, Mapping) and error.get("type") == "malformed_frame":
            if not self._is_told:  # once: there may be millions
                logger.warning("a frame of the stream could not be read", extra={"provider": self._origin})
            self._is_told = True
            return
        raise RemoteError.from_frame(error, classification=self._classification)

    def _end(self, data: Any) -> Iterator[core.ModelEvent]:
        yield from self._end_thinking()
        self._usage = data.usage or self._usage
        yield from self.usage()
        yield core.ModelFinish(FINISH.get(data.stop_reason or "end_turn", "other"))

    def usage(self) -> Iterator[core.ModelUsage]:
        """What is known of tokens and cost and was not told yet; call it when a stream breaks."""
        given, self._usage = self._usage, None
        if not given or self._over:
            return
        self._over = True
        usage = Usage(
            believed_count(given.get("prompt_tokens")),
            believed_count(given.get("completion_tokens")),
            believed_count(given.get("cache_read_tokens")),
            believed_count(given.get("cache_creation_tokens")),
            believed_count(given.get("reasoning_tokens")),
        )
        cost = believed_cost(given.get("cost"))
        if usage != Usage() or cost is not None:
            yield core.ModelUsage(usage, cost)


def believed_count(value: Any) -> int | None:
    """A number of tokens as a provider tells it; None for one that cannot be."""
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_TOKENS
    return value if is_count else None


def believed_cost(value: Any) -> float | None:
    """A number of dollars; some providers give it with its parts. None for one that cannot be."""
    if isinstance(value, Mapping):
        value = value.get("total_cost")
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return float(value) if 0 <= value <= MOST_DOLLARS else None
