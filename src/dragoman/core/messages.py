"""What a model is told and what it answers, free of any dialect.

`Message` and its parts are the conversation as the model sees it. The `Model…` values at the
end are what a `Model` port yields while it answers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from dragoman.core.usage import Usage

Json: TypeAlias = Any
"""A JSON value: None, bool, int, float, str, list or dict of the same."""

Role: TypeAlias = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class TextPart:
    """Text. `provider` is what the model's provider wants back with it, unchanged (see `ModelReasoning`)."""

    text: str
    provider: dict[str, Json] | None = None


@dataclass(frozen=True, slots=True)
class ReasoningPart:
    """Text the model thought aloud. `provider` is what its provider wants back with it, unchanged (see `ModelReasoning`)."""

    text: str
    provider: dict[str, Json] | None = None


@dataclass(frozen=True, slots=True)
class FilePart:
    """A file by reference (`url` may be a `data:` URL) or by blob id. `text` is what it says, where that is known."""

    url: str
    media_type: str
    name: str | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class ToolCallPart:
    """The model asked for a tool. `provider` is what its provider wants back with it, unchanged."""

    call_id: str
    name: str
    input: dict[str, Json]
    provider: dict[str, Json] | None = None


@dataclass(frozen=True, slots=True)
class ToolResultPart:
    """What came of a tool call; `outcome` tells an output from an error or a refusal."""

    call_id: str
    name: str
    output: Json
    outcome: Literal["output", "error", "denied"] = "output"


Part: TypeAlias = TextPart | ReasoningPart | FilePart | ToolCallPart | ToolResultPart


@dataclass(frozen=True, slots=True)
class Message:
    """One utterance: who says it, and its pieces in order."""

    role: Role
    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        """The text parts joined; other parts do not count."""
        return "".join(part.text for part in self.parts if isinstance(part, TextPart))

    @classmethod
    def of(cls, role: Role, text: str) -> Message:
        """A message of one text part."""
        return cls(role, (TextPart(text),))


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as a model sees it: `parameters` is a JSON Schema of type object."""

    name: str
    description: str
    parameters: dict[str, Json]


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """Everything a model gets for one call."""

    model: str
    messages: tuple[Message, ...]
    instructions: str = ""
    tools: tuple[ToolSpec, ...] = ()
    options: dict[str, Json] = field(default_factory=dict)
    run_id: str = ""


@dataclass(frozen=True, slots=True)
class ModelText:
    """A piece of the answer's text. A plain `str` yielded by a model means the same.

    One with `provider` is the last piece of its stretch, as with `ModelReasoning`.
    """

    delta: str
    provider: dict[str, Json] | None = None


@dataclass(frozen=True, slots=True)
class ModelReasoning:
    """A piece of reasoning. One with `provider` is the last piece of its stretch; its text may be empty.

    `provider` is any JSON object that this model wants to see again with the stretch when the
    conversation goes on (a signature, an encrypted text). The journal keeps it as it is; nobody else reads it.
    """

    delta: str
    provider: dict[str, Json] | None = None


@dataclass(frozen=True, slots=True)
class ModelRefusal:
    """A piece of a refusal."""

    delta: str


@dataclass(frozen=True, slots=True)
class ModelToolDelta:
    """A piece of a tool call's JSON arguments. The first one of a call names the tool."""

    call_id: str
    name: str
    delta: str


@dataclass(frozen=True, slots=True)
class ModelToolCall:
    """A complete tool call. `input` is the decoded arguments, or the raw text if it is no JSON object.

    `provider` comes back in the `ToolCallPart`, as with `ModelReasoning`.
    """

    call_id: str
    name: str
    input: dict[str, Json] | str
    provider: dict[str, Json] | None = None


@dataclass(frozen=True, slots=True)
class ModelItem:
    """Something beside text: `kind` is an item kind (`file`, `source`, `image`, `data`, `widget` …).

    `body` shapes: file `{url, media_type, name?}`; source `{id, url, title?}` or
    `{id, media_type, title, name?}`; data `{name, data, id?, transient?}`.
    """

    kind: str
    body: dict[str, Json]


@dataclass(frozen=True, slots=True)
class ModelUsage:
    """Tokens of this call, and its cost in US dollars: what the provider says, else by its prices; several are added up."""

    usage: Usage
    cost: float | None = None


@dataclass(frozen=True, slots=True)
class ModelFinish:
    """The end of the call. A model that ends without one finished with `stop` or `tool-calls`."""

    reason: Literal["stop", "length", "content-filter", "tool-calls", "error", "other"] = "stop"


ModelEvent: TypeAlias = (
    ModelText | ModelReasoning | ModelRefusal | ModelToolDelta | ModelToolCall | ModelItem | ModelUsage | ModelFinish
)
