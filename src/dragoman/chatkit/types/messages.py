"""What users and assistants say, part by part."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from dragoman.chatkit.types.base import WireModel
from dragoman.chatkit.types.sources import EntitySource, FileSource, URLSource


class Annotation(WireModel):
    """A source of a text; `index` is the offset, in characters, that it stands at."""

    type: Literal["annotation"] = "annotation"
    source: Annotated[URLSource | FileSource | EntitySource, Field(discriminator="type")]
    index: int | None = None


class AssistantMessageContent(WireModel):
    """Text of the assistant."""

    annotations: list[Annotation] = Field(default_factory=list)
    text: str
    type: Literal["output_text"] = "output_text"


class UserMessageTextContent(WireModel):
    """Text of the user."""

    type: Literal["input_text"] = "input_text"
    text: str


class UserMessageTagContent(WireModel):
    """A thing that the user mentions; `data` is what the page knows of it."""

    type: Literal["input_tag"] = "input_tag"
    id: str
    text: str
    data: dict[str, Any] = Field(default_factory=dict)
    group: str | None = None
    interactive: bool = False


UserMessageContent = Annotated[UserMessageTextContent | UserMessageTagContent, Field(discriminator="type")]


class ToolChoice(WireModel):
    """The tool that the user chose in the composer."""

    id: str


class InferenceOptions(WireModel):
    """What the user chose in the composer."""

    tool_choice: ToolChoice | None = None
    model: str | None = None


class UserMessageInput(WireModel):
    """A message as the client sends it; `attachments` are ids."""

    content: list[UserMessageContent]
    attachments: list[str] = Field(default_factory=list)
    quoted_text: str | None = None
    inference_options: InferenceOptions = Field(default_factory=InferenceOptions)
