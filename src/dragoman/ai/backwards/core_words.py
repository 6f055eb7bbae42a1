"""The same request and the same answers in the core's words, for models that are no provider's.

An app's own model takes a `ModelRequest` and gives `ModelEvent`s; here the request is made from what was asked, and
the events become those that a `ChunkEncoder` says and `folded` makes an answer of.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic_core import to_json

from dragoman.ai.backwards.request import Asked
from dragoman.ai.pipeline.answer import Candidate
from dragoman.ai.types.events import StreamingEvent
from dragoman.ai.types.message import ContentBlock, Message, ToolCall
from dragoman.ai.types.tool import ToolDefinition
from dragoman.core import messages as core
from dragoman.core.usage import Usage
from dragoman.wire.json_text import mended, read_json

__all__ = ["Fold", "Saying", "core_messages", "model_request", "tool_specs"]

STOPS: Mapping[str, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "content-filter": "refusal",
    "tool-calls": "tool_use",
    "error": "other",
    "other": "other",
}
"""The core's reason → the protocol's."""


def model_request(asked: Asked, *, run_id: str = "") -> core.ModelRequest:
    """What a model of the app is asked; fields that only OpenAI documents are among the options.

    Raises ValidationError for what no such model can give.
    """
    fault = asked.refusal(None)
    if fault is not None:
        raise fault
    return core.ModelRequest(
        model=asked.model,
        messages=core_messages(asked.messages),
        tools=tool_specs(asked.offered(None)[0]),
        options=asked.options(None),
        run_id=run_id,
    )


def tool_specs(tools: Iterable[Any]) -> tuple[core.ToolSpec, ...]:
    """The functions among the tools."""
    return tuple(
        core.ToolSpec(tool.name, tool.description or "", tool.parameters)
        for tool in tools
        if isinstance(tool, ToolDefinition)
    )


def core_messages(
    messages: Iterable[Message], origin: str | None = None, family: str | None = None
) -> tuple[core.Message, ...]:
    """The conversation; a result of a tool that is a JSON object or list is one.

    What a provider wants back with its reasoning and its calls is kept for the provider `origin`, of this family.
    """
    names: dict[str, str] = {}
    made: list[core.Message] = []
    for message in messages:
        if message.role == "tool":
            call = message.tool_call_id or ""
            result = core.ToolResultPart(call, names.get(call, ""), _output(message.get_text_content()))
            made.append(core.Message("tool", (result,)))
            continue
        parts = tuple(_parts(message, origin, family))
        names.update((part.call_id, part.name) for part in parts if isinstance(part, core.ToolCallPart))
        role: core.Role = (
            "assistant" if message.role == "assistant" else "system" if message.role == "system" else "user"
        )
        made.append(core.Message(role, parts))
    return tuple(made)


def _parts(message: Message, origin: str | None, family: str | None) -> Iterator[core.Part]:
    if isinstance(message.content, str):
        if message.content:
            yield core.TextPart(message.content)
    else:
        for block in message.content:
            yield from _part(block, origin)
    for call in message.tool_calls or ():
        mark = {"of": origin, "family": family, "signature": call.signature} if call.signature and origin else None
        yield core.ToolCallPart(call.id, call.function_name, call.arguments, mark)


def _part(block: ContentBlock, origin: str | None) -> Iterator[core.Part]:
    if block.type == "text":
        yield core.TextPart(block.text or "")
    elif block.type == "thinking":
        extras = block.model_extra or {}
        said = {"signature": block.signature, "data": block.data, "family": extras.get("family")}
        kept = {"of": origin, **{name: value for name, value in said.items() if value is not None}}
        yield core.ReasoningPart(block.text or "", kept if origin else None)
    elif block.source is not None:
        source = block.source
        kind = source.media_type or _media_type(block.type, source.data)
        url = source.data if source.source_type == "url" else f"data:{kind};base64,{source.data}"
        yield core.FilePart(url, kind, block.name)


def _media_type(kind: str, url: str) -> str:
    if url.startswith("data:"):
        return url[5:].partition(",")[0].partition(";")[0] or "application/octet-stream"
    return {"image": "image/png", "document": "application/pdf"}.get(kind, "application/octet-stream")


def _output(text: str) -> Any:
    if text[:1] not in ("{", "["):
        return text
    try:
        return read_json(text)
    except ValueError:
        return text


class Saying:
    """One answer's `ModelEvent`s → `StreamingEvent`s. Give it every event of one candidate, then `end`."""

    def __init__(self, candidate: int = 0) -> None:
        self._candidate = candidate
        self._open: dict[str, bool] = {}
        self._usage = Usage()
        self._cost: float | None = None
        self._finish: str | None = None

    def take(self, piece: core.ModelEvent | str) -> Iterator[StreamingEvent]:
        """What follows from an event. Whatever this wire cannot show gives nothing."""
        index = self._candidate
        match piece:
            case str():
                yield from self._text(piece)
            case core.ModelText() | core.ModelRefusal():
                yield from self._text(piece.delta)
            case core.ModelReasoning():
                if piece.delta:
                    yield StreamingEvent.thinking_delta(piece.delta, candidate_index=index)
            case core.ModelToolDelta():
                yield from self._begin(piece.call_id, piece.name)
                if piece.delta:
                    self._open[piece.call_id] = True
                    yield StreamingEvent.partial_tool_call(piece.call_id, piece.delta, candidate_index=index)
            case core.ModelToolCall():
                yield from self._begin(piece.call_id, piece.name)
                if not self._open[piece.call_id]:
                    yield StreamingEvent.partial_tool_call(piece.call_id, _text_of(piece.input), candidate_index=index)
                yield StreamingEvent.tool_call_ended(piece.call_id, candidate_index=index)
            case core.ModelUsage():
                self._usage += piece.usage
                self._cost = self._cost if piece.cost is None else piece.cost + (self._cost or 0.0)
            case core.ModelFinish():
                self._finish = piece.reason
            case _:
                pass

    def _text(self, text: str) -> Iterator[StreamingEvent]:
        if text:
            yield StreamingEvent.content_delta(text, candidate_index=self._candidate)

    def _begin(self, call: str, name: str) -> Iterator[StreamingEvent]:
        if call not in self._open:
            self._open[call] = False
            yield StreamingEvent.tool_call_started(call, name, len(self._open) - 1, self._candidate)

    def end(self) -> Iterator[StreamingEvent]:
        """The last events, without `StreamEnd`: other candidates may follow."""
        stop = STOPS[self._finish] if self._finish is not None else "tool_use" if self._open else "end_turn"
        yield StreamingEvent.final_candidate(self._candidate, stop, stop)

    @property
    def usage(self) -> dict[str, Any] | None:
        """The counts so far, by their standard names."""
        return usage_of(self._usage, self._cost)


def usage_of(usage: Usage, cost: float | None) -> dict[str, Any] | None:
    """The core's counts by the names of `normalise_usage`."""
    counted = {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
        "cache_read_tokens": usage.cache_read_tokens,
        "cache_creation_tokens": usage.cache_write_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "cost": cost,
    }
    return {name: value for name, value in counted.items() if value is not None} or None


def _text_of(value: Any) -> str:
    return value if isinstance(value, str) else to_json(mended(value)).decode()


class Fold:
    """`StreamingEvent`s → the candidates of a whole answer."""

    def __init__(self) -> None:
        self._texts: dict[int, list[str]] = {}
        self._thoughts: dict[int, list[str]] = {}
        self._calls: dict[int, dict[str, tuple[str, list[str]]]] = {}
        self._marks: dict[str, str] = {}
        self._blocks: dict[int, list[ContentBlock]] = {}
        self._sealed: dict[int, int] = {}
        self._stops: dict[int, str | None] = {}

    def take(self, event: StreamingEvent) -> None:
        """Take note of an event."""
        data: Any = event.data
        index = data.candidate_index
        kind = event.event_type
        if kind == "PartialContentDelta":
            self._texts.setdefault(index, []).append(data.content)
        elif kind == "ThinkingDelta":
            self._think(index, data)
        elif kind == "ToolCallStarted":
            self._calls.setdefault(index, {})[data.tool_call_id] = (data.tool_name, [])
        elif kind == "PartialToolCall":
            self._calls[index][data.tool_call_id][1].append(data.arguments)
        elif kind == "ToolCallEnded":
            mark = data.extras.get("signature")
            if isinstance(mark, str):
                self._marks[data.tool_call_id] = mark
        elif kind in ("FinalCandidate", "StreamEnd"):
            self._stops[index] = data.stop_reason

    def _think(self, index: int, data: Any) -> None:
        """A piece of reasoning; one with a seal ends a stretch that its provider wants back."""
        thoughts = self._thoughts.setdefault(index, [])
        thoughts.append(data.thinking or "")
        sealed = data.extras.get("data")
        if data.signature is None and sealed is None:
            return
        text = "".join(thoughts[self._sealed.get(index, 0) :])
        self._sealed[index] = len(thoughts)
        block = ContentBlock.thinking(text, data.signature, data=sealed)
        family = {"family": data.extras.get("family")}
        self._blocks.setdefault(index, []).append(block.model_copy(update=family))

    def candidates(self) -> list[Candidate]:
        """At least one."""
        indexes = sorted({*self._texts, *self._thoughts, *self._calls, *self._stops}) or [0]
        return [self._candidate(index) for index in indexes]

    def _candidate(self, index: int) -> Candidate:
        calls = [
            ToolCall.from_openai_format(id, name, "".join(pieces) or "{}").model_copy(
                update={"signature": self._marks.get(id)}
            )
            for id, (name, pieces) in self._calls.get(index, {}).items()
        ]
        stop = self._stops.get(index)
        text, thought = "".join(self._texts.get(index, ())), "".join(self._thoughts.get(index, ()))
        return Candidate(index, text, thought, self._blocks.get(index, []), calls, stop, stop)
