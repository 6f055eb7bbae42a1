"""Questions that the assistant asks with answers to choose or to write."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from dragoman.chatkit.types.base import WireModel


class StructuredInputAnswer(WireModel):
    """The answer to one question, as it is stored."""

    values: list[str] = Field(default_factory=list)
    skipped: bool = False


class StructuredInputBase(WireModel):
    """One question."""

    id: str
    question: str
    answer: StructuredInputAnswer | None = None


class StructuredInputMultipleChoiceOption(WireModel):
    """One answer to choose."""

    value: str


class StructuredInputMultipleChoice(StructuredInputBase):
    """A question with answers to choose from; the user may write another."""

    type: Literal["multiple_choice"] = "multiple_choice"
    options: list[StructuredInputMultipleChoiceOption]
    multiple: bool = False


class StructuredInputFreeform(StructuredInputBase):
    """A question to answer in words."""

    type: Literal["freeform"] = "freeform"
    description: str | None = None


StructuredInput = Annotated[
    StructuredInputMultipleChoice | StructuredInputFreeform,
    Field(discriminator="type"),
]


class StructuredInputAnswerSubmission(WireModel):
    """The answer to one question, as the client sends it."""

    values: list[str] = Field(default_factory=list)
    skipped: bool = False


class StructuredInputSubmission(WireModel):
    """The answers to an item's questions, by their ids."""

    status: Literal["answered", "skipped"] = "answered"
    answers: dict[str, StructuredInputAnswerSubmission] = Field(default_factory=dict)
