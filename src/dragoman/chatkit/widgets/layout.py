"""Components that hold others, and the space between them."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from dragoman.chatkit.actions import ActionConfig
from dragoman.chatkit.widgets.base import Component, WidgetComponentBase
from dragoman.chatkit.widgets.tokens import (
    Alignment,
    Border,
    Borders,
    Color,
    Dim,
    Direction,
    Justification,
    RadiusValue,
    Spacing,
)


class BoxBase(BaseModel):
    """What boxes share: their children, how these are laid out, and the box itself."""

    model_config = ConfigDict(defer_build=True, extra="allow")

    children: list[Component] | None = None
    align: Alignment | None = None
    justify: Justification | None = None
    wrap: Literal["nowrap", "wrap", "wrap-reverse"] | None = None
    flex: Dim | None = None
    gap: Dim | None = None
    height: Dim | None = None
    width: Dim | None = None
    size: Dim | None = None
    minHeight: Dim | None = None
    minWidth: Dim | None = None
    minSize: Dim | None = None
    maxHeight: Dim | None = None
    maxWidth: Dim | None = None
    maxSize: Dim | None = None
    padding: Dim | Spacing | None = None
    margin: Dim | Spacing | None = None
    border: int | Border | Borders | None = None
    radius: RadiusValue | None = None
    background: Color | None = None
    aspectRatio: Dim | None = None


class Box(WidgetComponentBase, BoxBase):
    """A container, a column unless `direction` says otherwise."""

    type: Literal["Box"] = Field(default="Box", frozen=True)
    direction: Direction | None = None


class Row(WidgetComponentBase, BoxBase):
    """Children side by side."""

    type: Literal["Row"] = Field(default="Row", frozen=True)


class Col(WidgetComponentBase, BoxBase):
    """Children below each other."""

    type: Literal["Col"] = Field(default="Col", frozen=True)


class Form(WidgetComponentBase, BoxBase):
    """A form: on submit its fields are merged into the payload of `onSubmitAction`, each under its name."""

    type: Literal["Form"] = Field(default="Form", frozen=True)
    onSubmitAction: ActionConfig | None = None
    direction: Direction | None = None


class Divider(WidgetComponentBase):
    """A line."""

    type: Literal["Divider"] = Field(default="Divider", frozen=True)
    color: Color | None = None
    size: Dim | None = None
    spacing: Dim | None = None
    flush: bool | None = None


class Spacer(WidgetComponentBase):
    """Takes the space that is left."""

    type: Literal["Spacer"] = Field(default="Spacer", frozen=True)
    minSize: Dim | None = None


class Transition(WidgetComponentBase):
    """Animates its one child when that changes."""

    type: Literal["Transition"] = Field(default="Transition", frozen=True)
    children: Component | None
