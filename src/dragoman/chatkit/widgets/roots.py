"""The outermost components, and the unions of all.

`WidgetComponent` and `WidgetRoot` take any class of theirs, or a dictionary; a dictionary that fits no class becomes a
dynamic component. The strict unions take only what their classes know.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from dragoman.chatkit.actions import ActionConfig
from dragoman.chatkit.widgets.base import (
    CLASSES,
    ROOTS,
    AnyComponent,
    Component,
    DynamicWidgetComponent,
    WidgetComponentBase,
    read,
)
from dragoman.chatkit.widgets.charts import Chart
from dragoman.chatkit.widgets.content import (
    Badge,
    Caption,
    Icon,
    Image,
    Markdown,
    Table,
    TableCell,
    TableRow,
    Text,
    Title,
)
from dragoman.chatkit.widgets.controls import (
    Button,
    Checkbox,
    DatePicker,
    Input,
    Label,
    RadioGroup,
    Select,
    Textarea,
)
from dragoman.chatkit.widgets.layout import Box, Col, Divider, Form, Row, Spacer, Transition
from dragoman.chatkit.widgets.tokens import Alignment, Border, Borders, CardAction, Color, Dim, Spacing, Status, Theme


class ListViewItem(WidgetComponentBase):
    """One entry of a `ListView`."""

    type: Literal["ListViewItem"] = Field(default="ListViewItem", frozen=True)
    children: list[Component]
    onClickAction: ActionConfig | None = None
    gap: Dim | None = None
    align: Alignment | None = None


class ListView(WidgetComponentBase):
    """A list; `limit` entries are shown, the others after a click."""

    type: Literal["ListView"] = Field(default="ListView", frozen=True)
    children: list[ListViewItem]
    limit: int | Literal["auto"] | None = None
    status: Status | None = None
    theme: Theme | None = None


class Card(WidgetComponentBase):
    """A card; with `asForm` its buttons send the fields inside it."""

    type: Literal["Card"] = Field(default="Card", frozen=True)
    asForm: bool | None = None
    children: list[Component]
    background: Color | None = None
    size: Literal["sm", "md", "lg", "full"] | None = None
    padding: Dim | Spacing | None = None
    border: int | Border | Borders | None = None
    status: Status | None = None
    collapsed: bool | None = None
    confirm: CardAction | None = None
    cancel: CardAction | None = None
    theme: Theme | None = None


class BasicRoot(DynamicWidgetComponent):
    """A root without a frame, for previews of entities; open to any field."""

    type: Literal["Basic"] = Field(default="Basic", frozen=True)


class DynamicWidgetRoot(DynamicWidgetComponent):
    """A root with any fields, as templates make it."""

    type: Literal["Card", "ListView", "Basic"]


StrictWidgetComponent = Annotated[
    Text
    | Title
    | Caption
    | Chart
    | Badge
    | Markdown
    | Box
    | Row
    | Col
    | Divider
    | Icon
    | Image
    | ListViewItem
    | Button
    | Checkbox
    | Spacer
    | Select
    | DatePicker
    | Form
    | Input
    | Label
    | RadioGroup
    | Table
    | TableRow
    | TableCell
    | Textarea
    | Transition,
    Field(discriminator="type"),
]
StrictWidgetRoot = Annotated[Card | ListView | BasicRoot, Field(discriminator="type")]

_COMPONENTS: tuple[type[WidgetComponentBase], ...] = (
    *(Text, Title, Caption, Markdown, Badge, Icon, Image, Chart, Table, TableRow, TableCell),
    *(Box, Row, Col, Form, Divider, Spacer, Transition, ListViewItem),
    *(Button, Checkbox, Select, DatePicker, Input, Label, RadioGroup, Textarea),
)
_ROOTS: tuple[type[WidgetComponentBase], ...] = (Card, ListView, BasicRoot)

CLASSES.update((one.model_fields["type"].default, one) for one in _COMPONENTS)
ROOTS.update((one.model_fields["type"].default, one) for one in _ROOTS)


class AnyRoot(AnyComponent):
    """As an annotation: a root of any class, or a dictionary that describes one."""

    @staticmethod
    def read(value: Any) -> Any:
        if isinstance(value, Card | ListView | BasicRoot | DynamicWidgetRoot):
            return value
        if isinstance(value, dict):
            return read(value, ROOTS, DynamicWidgetRoot)
        raise ValueError(
            f"expected a Card, a ListView, a Basic root or a dictionary of one, got {type(value).__name__}"
        )


WidgetComponent = Annotated[StrictWidgetComponent | DynamicWidgetComponent, AnyComponent]
WidgetRoot = Annotated[Card | ListView | BasicRoot | DynamicWidgetRoot, AnyRoot]
