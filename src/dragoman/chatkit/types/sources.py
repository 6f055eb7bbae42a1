"""Where a text or a task takes its facts from."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from dragoman.chatkit.icons import LenientIcon
from dragoman.chatkit.types.base import WireModel


class SourceBase(WireModel):
    """What all sources show."""

    title: str
    description: str | None = None
    timestamp: str | None = None
    group: str | None = None


class FileSource(SourceBase):
    """A file."""

    type: Literal["file"] = "file"
    filename: str


class URLSource(SourceBase):
    """A page of the web."""

    type: Literal["url"] = "url"
    url: str
    attribution: str | None = None


class EntitySource(SourceBase):
    """A thing of the application; `interactive` gives clicks on it, with `data`, to the page.

    `inline_label` stands in the text, in place of the icon; `label` in the preview. `preview` is ignored.
    """

    type: Literal["entity"] = "entity"
    id: str
    icon: LenientIcon = None
    label: str | None = None
    inline_label: str | None = None
    interactive: bool = False
    data: dict[str, Any] = Field(default_factory=dict)
    preview: Literal["lazy"] | None = None


Source = Annotated[URLSource | FileSource | EntitySource, Field(discriminator="type")]
