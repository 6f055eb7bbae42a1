"""What the assistant shows of its work: tasks, alone or as a workflow."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from dragoman.chatkit.icons import LenientIcon
from dragoman.chatkit.types.base import WireModel
from dragoman.chatkit.types.sources import FileSource, URLSource


class BaseTask(WireModel):
    """`status_indicator` is drawn only inside a workflow."""

    status_indicator: Literal["none", "loading", "complete"] = "none"


class CustomTask(BaseTask):
    """A task in words of one's own."""

    type: Literal["custom"] = "custom"
    title: str | None = None
    icon: LenientIcon = None
    content: str | None = None


class SearchTask(BaseTask):
    """A search of the web."""

    type: Literal["web_search"] = "web_search"
    title: str | None = None
    title_query: str | None = None
    queries: list[str] = Field(default_factory=list)
    sources: list[URLSource] = Field(default_factory=list)


class ThoughtTask(BaseTask):
    """A thought."""

    type: Literal["thought"] = "thought"
    title: str | None = None
    content: str


class FileTask(BaseTask):
    """Work with files."""

    type: Literal["file"] = "file"
    title: str | None = None
    sources: list[FileSource] = Field(default_factory=list)


class ImageTask(BaseTask):
    """Work on an image."""

    type: Literal["image"] = "image"
    title: str | None = None


Task = Annotated[CustomTask | SearchTask | ThoughtTask | FileTask | ImageTask, Field(discriminator="type")]


class CustomSummary(WireModel):
    """A summary in words of one's own."""

    title: str
    icon: LenientIcon = None


class DurationSummary(WireModel):
    """How long a workflow took, in seconds."""

    duration: int


WorkflowSummary = CustomSummary | DurationSummary


class Workflow(WireModel):
    """Tasks that belong together."""

    type: Literal["custom", "reasoning"]
    tasks: list[Task]
    summary: WorkflowSummary | None = None
    expanded: bool = False
