"""A run's events as this wire tells them: the text as it grows, and at the end an answer or a failure.

`AnswerFold` reads events, the document and the `…Frames` classes spell what it found. The same events give the same
answer, so that a repeated call is told alike. Knows no store and no HTTP.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

from dragoman.core import events as ev
from dragoman.core.failures import told
from dragoman.core.ids import as_ulid
from dragoman.core.usage import Usage
from dragoman.stackspot.wire import Frames, encode_frame, names_that_fit, text_pieces

State: TypeAlias = Literal["running", "completed", "failed"]

BETWEEN = "\n\n"
"""What parts two texts of one answer that a tool call lies between."""

_CHARACTERS_PER_TOKEN = 4
"""Where nobody has counted: a rule of thumb for Latin script."""

_STOP_REASONS: dict[str, str] = {"stop": "stop", "length": "length", "content-filter": "content_filter"}

MODEL_ERROR = "MODEL_ERROR"
MODEL_TIMEOUT = "MODEL_TIMEOUT"
MODEL_OVERLOADED = "MODEL_OVERLOADED"
MODEL_BAD_REQUEST = "INFERENCE_6001_LLM_MODEL_BAD_REQUEST"

FILE_REFUSED = "bad_request:file"
"""The code of a run whose model does not take a file."""

_FAILURES: dict[str, tuple[int, str]] = {
    **dict.fromkeys(("timeout", "gateway_timeout"), (504, MODEL_TIMEOUT)),
    **dict.fromkeys(("rate_limited", "overloaded", "unavailable", "circuit_open"), (503, MODEL_OVERLOADED)),
    **dict.fromkeys(
        ("bad_request", "invalid_request", "request_too_large", "too_large", "unprocessable", "validation"),
        (400, MODEL_BAD_REQUEST),
    ),
    # what only the server's operator can mend, and asking again cannot
    **dict.fromkeys(
        ("authentication", "unauthorized", "permission_denied", "forbidden", "quota_exhausted", "not_found", "usage"),
        (400, MODEL_ERROR),
    ),
    **dict.fromkeys(("missing_extra", "too_many_rounds", "too_many_tokens"), (400, MODEL_ERROR)),
    FILE_REFUSED: (400, "FILE_NOT_SUPPORTED"),
    "agent_gone": (404, "AGENT_NOT_FOUND"),
    "internal": (500, "INTERNAL_ERROR"),
}
"""Code of a failed run → status and code; any other is the model's failure. Lasting conditions get no 5xx."""

_REASONS: dict[str, tuple[int, str, str]] = {
    "CREDITS_EXHAUSTED": (402, "CREDITS_EXHAUSTED", "The credits were used up during the answer."),
}


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no answer."""

    status: int
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Tokens:
    """What an answer cost; `enrichment` is what knowledge sources added to the prompt."""

    user: int
    enrichment: int
    output: int

    @property
    def input(self) -> int:
        return self.user + self.enrichment

    def as_json(self) -> dict[str, int]:
        return {"user": self.user, "enrichment": self.enrichment, "input": self.input, "output": self.output}


@dataclass(frozen=True, slots=True)
class Source:
    """A passage of a knowledge source that the model was given."""

    source: str
    document: str
    title: str
    size: int


@dataclass(frozen=True, slots=True)
class Told:
    """What of an answer its events do not say: its ids, when it began, the prompt's length, what was asked for."""

    agent: str
    message_id: str
    conversation_id: str | None
    prompt_size: int
    return_sources: bool
    created: int


@dataclass(slots=True)
class _Block:
    step: str | None
    kind: str
    pieces: list[str] = field(default_factory=list)


class AnswerFold:
    """Reads the events of one run, in order.

    `feed` gives the text that has come with an event. A step that begins anew makes what its last attempt said void:
    `text` is then without it, and `spoilt` tells that some of it had been given out already.
    """

    def __init__(self, *, expose: bool = False) -> None:
        self.state: State = "running"
        self.failure: Failure | None = None
        self.usage = Usage()
        self.sources: list[Source] = []
        self.spoilt = False
        self._expose = expose
        self._blocks: dict[str, _Block] = {}
        self._finish = "stop"
        self._size = 0

    @property
    def is_over(self) -> bool:
        return self.state != "running"

    @property
    def text(self) -> str:
        """The answer so far."""
        return "".join(piece for block in self._blocks.values() for piece in block.pieces)

    @property
    def stop_reason(self) -> str:
        if any(block.kind == "refusal" and block.pieces for block in self._blocks.values()):
            return "content_filter"
        return _STOP_REASONS.get(self._finish, "stop")

    def feed_all(self, events: Iterable[ev.Event]) -> str:
        """Feed what happened before anything was given out; the text that holds by now."""
        for event in events:
            self.feed(event)
        self.spoilt = False
        return self.text

    def feed(self, event: ev.Event) -> str:
        """The text that has come, often none."""
        match event.body:
            case ev.BlockDelta(block=block, delta=delta):
                return self._more(block, delta)
            case ev.BlockStarted(block=block, kind=kind) if kind in ("text", "refusal"):
                self._blocks[block] = _Block(event.step, kind)
            case ev.StepRestarted():
                self._void(event.step)
            case ev.UsageCounted() as counted:
                self.usage = self.usage + counted.usage
            case ev.ItemAdded(kind="source", body=body) if isinstance(body.get("source"), str):
                self._add_source(body)
            case ev.RunCompleted(finish=finish):
                self.state, self._finish = "completed", finish
            case ev.RunFailed() as failed:
                self.state, self.failure = "failed", failure_of(failed, expose=self._expose)
            case ev.RunCancelled(reason=reason):
                self.state, self.failure = "failed", cancelled(reason)
            case _:
                pass
        return ""

    def _more(self, name: str, delta: str) -> str:
        block = self._blocks.get(name)
        if block is None or not delta:
            return ""
        apart = not block.pieces and self._follows_another_step(block)
        text = BETWEEN + delta if apart else delta
        block.pieces.append(text)
        self._size += len(text)
        return text

    def _follows_another_step(self, block: _Block) -> bool:
        return any(other.pieces and other.step != block.step for other in self._blocks.values())

    def _void(self, step: str | None) -> None:
        for name in [name for name, block in self._blocks.items() if block.step == step]:
            self.spoilt = self.spoilt or bool(self._blocks[name].pieces)
            self._size -= sum(map(len, self._blocks.pop(name).pieces))

    def _add_source(self, body: Mapping[str, Any]) -> None:
        title = str(body.get("title") or "")
        self.sources.append(
            Source(body["source"], str(body.get("blob") or ""), title, len(str(body.get("text") or "")))
        )

    def source_names(self) -> list[str]:
        """The knowledge sources that were used, each once, the best first."""
        return list(dict.fromkeys(source.source for source in self.sources))

    def tokens(self, prompt_size: int) -> Tokens:
        """The counts: the model's, where it gives any, else estimates; never 0 for a text that is not empty."""
        given = self.usage.prompt_tokens or _estimate(prompt_size)
        enrichment = min(given - 1, _estimate(sum(source.size for source in self.sources)) if self.sources else 0)
        output = self.usage.completion_tokens or (_estimate(self._size) if self._size else 0)
        return Tokens(given - enrichment, enrichment, output)


def _estimate(size: int) -> int:
    return max(1, -(-size // _CHARACTERS_PER_TOKEN))


def failure_of(body: ev.RunFailed, *, expose: bool) -> Failure:
    """The failure of a run, for one reader."""
    status, code = _FAILURES.get(body.code, (502, MODEL_ERROR))
    # which file was refused, and why, is said in our own words
    return Failure(status, code, told(body.message, body.ref, expose=expose or body.code == FILE_REFUSED))


def cancelled(reason: str) -> Failure:
    """The failure of a run that somebody has ended."""
    return Failure(*_REASONS.get(reason, (409, "CANCELLED", f"The answer was stopped: {reason}.")))


# --------------------------------------------------------------------------- as documents and frames


def chat_document(fold: AnswerFold, about: Told) -> dict[str, Any]:
    """The plain answer (2.2)."""
    return {
        "message": fold.text,
        "stop_reason": fold.stop_reason,
        "tokens": fold.tokens(about.prompt_size).as_json(),
        "conversation_id": about.conversation_id,
        "knowledge_source_id": fold.source_names() if about.return_sources else [],
        "source": [_source_document(one) for one in fold.sources] if about.return_sources else [],
        "cross_account_source": [],
        "tools_id": [],
        "agent_info": [],
        "upload_ids": {},
        "message_id": about.message_id,
    }


def _source_document(source: Source) -> dict[str, Any]:
    return {
        "type": "knowledge_source",
        "name": source.title or source.source,
        "slug": source.source,
        "document_id": _as_wire_id(source.document),
    }


def _as_wire_id(row: str) -> str:
    """The ULID of a file of ours; an id of another kind of knowledge as it is."""
    try:
        return as_ulid(row)
    except ValueError:
        return row


class FrameStyle(Protocol):
    """How an agent's answers are streamed."""

    def text(self, piece: str, *, first: bool) -> bytes:
        """A frame with more text; the `first` names the conversation."""
        ...

    def last(self, fold: AnswerFold) -> bytes:
        """The frame with all that is known at the end, and no text."""
        ...


class NativeFrames:
    """StackSpot's own frames."""

    def __init__(self, about: Told) -> None:
        self._about = about

    def text(self, piece: str, *, first: bool) -> bytes:
        value: dict[str, Any] = {"message": piece}
        if first:
            value["conversation_id"] = self._about.conversation_id
        return encode_frame(value)

    def last(self, fold: AnswerFold) -> bytes:
        return encode_frame({"message": "", "stop_reason": fold.stop_reason, **_at_the_end(fold, self._about)})


class OpenAIFrames:
    """Chunks of a chat completion, with StackSpot's fields beside OpenAI's."""

    def __init__(self, about: Told) -> None:
        self._about = about
        self._head = {
            "id": f"chatcmpl-{about.message_id}",
            "object": "chat.completion.chunk",
            "created": about.created,
            "model": about.agent,
        }

    def text(self, piece: str, *, first: bool) -> bytes:
        delta = {"role": "assistant", "content": piece} if first else {"content": piece}
        value = {**self._head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
        if first:
            value["conversation_id"] = self._about.conversation_id
        return encode_frame(value)

    def last(self, fold: AnswerFold) -> bytes:
        tokens = fold.tokens(self._about.prompt_size)
        usage = {
            "prompt_tokens": tokens.input,
            "completion_tokens": tokens.output,
            "total_tokens": tokens.input + tokens.output,
        }
        choices = [{"index": 0, "delta": {}, "finish_reason": fold.stop_reason}]
        value = {**self._head, "choices": choices, "usage": usage, **_at_the_end(fold, self._about)}
        return encode_frame(value)


def frame_style(name: Frames, about: Told) -> FrameStyle:
    """The style of this name."""
    return OpenAIFrames(about) if name == "openai" else NativeFrames(about)


def text_frames(style: FrameStyle, text: str, *, first: bool) -> Sequence[bytes]:
    """Frames with this text, each small enough; none for no text."""
    return [style.text(piece, first=first and place == 0) for place, piece in enumerate(text_pieces(text))]


def _at_the_end(fold: AnswerFold, about: Told) -> dict[str, Any]:
    return {
        "tokens": fold.tokens(about.prompt_size).as_json(),
        "knowledge_source_id": names_that_fit(fold.source_names()) if about.return_sources else [],
        "conversation_id": about.conversation_id,
        "message_id": about.message_id,
    }
