"""Components that show something: text, badges, icons, images, tables."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from dragoman.chatkit.icons import LenientIcon
from dragoman.chatkit.widgets.base import Component, WidgetComponentBase
from dragoman.chatkit.widgets.tokens import (
    CaptionSize,
    Color,
    Dim,
    EditableProps,
    IconSize,
    RadiusValue,
    Spacing,
    TextAlign,
    TextSize,
    TitleSize,
    Weight,
)


class Text(WidgetComponentBase):
    """Plain text. While `streaming`, its value grows by deltas if it has an id."""

    type: Literal["Text"] = Field(default="Text", frozen=True)
    value: str
    streaming: bool | None = None
    italic: bool | None = None
    lineThrough: bool | None = None
    color: Color | None = None
    weight: Weight | None = None
    width: Dim | None = None
    size: TextSize | None = None
    textAlign: TextAlign | None = None
    truncate: bool | None = None
    minLines: int | None = None
    maxLines: int | None = None
    editable: Literal[False] | EditableProps | None = None


class Title(WidgetComponentBase):
    """A headline."""

    type: Literal["Title"] = Field(default="Title", frozen=True)
    value: str
    color: Color | None = None
    weight: Weight | None = None
    size: TitleSize | None = None
    textAlign: TextAlign | None = None
    truncate: bool | None = None
    maxLines: int | None = None


class Caption(WidgetComponentBase):
    """Small text that explains something else."""

    type: Literal["Caption"] = Field(default="Caption", frozen=True)
    value: str
    color: Color | None = None
    weight: Weight | None = None
    size: CaptionSize | None = None
    textAlign: TextAlign | None = None
    truncate: bool | None = None
    maxLines: int | None = None


class Markdown(WidgetComponentBase):
    """Markdown. While `streaming`, its value grows by deltas if it has an id."""

    type: Literal["Markdown"] = Field(default="Markdown", frozen=True)
    value: str
    streaming: bool | None = None


class Badge(WidgetComponentBase):
    """A short label that stands out."""

    type: Literal["Badge"] = Field(default="Badge", frozen=True)
    label: str
    color: Literal["secondary", "success", "danger", "warning", "info", "discovery"] | None = None
    variant: Literal["solid", "soft", "outline"] | None = None
    size: Literal["sm", "md", "lg"] | None = None
    pill: bool | None = None


class Icon(WidgetComponentBase):
    """An icon."""

    type: Literal["Icon"] = Field(default="Icon", frozen=True)
    name: LenientIcon
    color: Color | None = None
    size: IconSize | None = None


class Image(WidgetComponentBase):
    """A picture at a URL."""

    type: Literal["Image"] = Field(default="Image", frozen=True)
    src: str
    alt: str | None = None
    fit: Literal["cover", "contain", "fill", "scale-down", "none"] | None = None
    position: (
        Literal[
            "top left",
            "top",
            "top right",
            "left",
            "center",
            "right",
            "bottom left",
            "bottom",
            "bottom right",
        ]
        | None
    ) = None
    radius: RadiusValue | None = None
    frame: bool | None = None
    flush: bool | None = None
    height: Dim | None = None
    width: Dim | None = None
    size: Dim | None = None
    minHeight: Dim | None = None
    minWidth: Dim | None = None
    minSize: Dim | None = None
    maxHeight: Dim | None = None
    maxWidth: Dim | None = None
    maxSize: Dim | None = None
    margin: Dim | Spacing | None = None
    background: Color | None = None
    aspectRatio: Dim | None = None
    flex: Dim | None = None


class TableCell(WidgetComponentBase):
    """One cell of a table."""

    type: Literal["Table.Cell"] = Field(default="Table.Cell", frozen=True)
    children: list[Component]
    width: Dim | None = None
    padding: Dim | Spacing | None = None
    colSpan: int | None = None
    rowSpan: int | None = None
    align: Literal["start", "center", "end"] | None = None
    vAlign: Literal["start", "center", "end"] | None = None
    colSize: Literal["xs", "sm", "md", "lg", "xl"] | None = None


class TableRow(WidgetComponentBase):
    """One row of a table; `header` marks a row of headings."""

    type: Literal["Table.Row"] = Field(default="Table.Row", frozen=True)
    children: list[Component]
    header: bool | None = None


class Table(WidgetComponentBase):
    """A table; its children are rows, theirs are cells."""

    type: Literal["Table"] = Field(default="Table", frozen=True)
    children: list[Component]
