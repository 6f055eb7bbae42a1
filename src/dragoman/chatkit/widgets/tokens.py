"""The words and small values of which widgets are made: sizes, colours, spacing, borders, options.

The values are dictionaries, so that a widget may be written as in a `.widget` file; fields that they do not name are
kept.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired

from pydantic import ConfigDict, Discriminator, Tag, with_config
from typing_extensions import TypedDict

from dragoman.chatkit.actions import ActionConfig
from dragoman.chatkit.icons import IconName, LenientIcon

RadiusValue = Literal["2xs", "xs", "sm", "md", "lg", "xl", "2xl", "3xl", "4xl", "full", "100%", "none"]
TextAlign = Literal["start", "center", "end"]
TextSize = Literal["xs", "sm", "md", "lg", "xl"]
IconSize = Literal["xs", "sm", "md", "lg", "xl", "2xl", "3xl"]
TitleSize = Literal["sm", "md", "lg", "xl", "2xl", "3xl", "4xl", "5xl"]
CaptionSize = Literal["sm", "md", "lg"]
Alignment = Literal["start", "center", "end", "baseline", "stretch"]
Justification = Literal["start", "center", "end", "between", "around", "evenly", "stretch"]
ControlVariant = Literal["solid", "soft", "outline", "ghost"]
ControlSize = Literal["3xs", "2xs", "xs", "sm", "md", "lg", "xl", "2xl", "3xl"]
GutterSize = Literal["2xs", "xs", "sm", "md", "lg", "xl"]
Weight = Literal["normal", "medium", "semibold", "bold"]
Direction = Literal["row", "col"]
Theme = Literal["light", "dark"]
CurveType = Literal[
    "basis",
    "basisClosed",
    "basisOpen",
    "bumpX",
    "bumpY",
    "bump",
    "linear",
    "linearClosed",
    "natural",
    "monotoneX",
    "monotoneY",
    "monotone",
    "step",
    "stepBefore",
    "stepAfter",
]

WidgetIcon = IconName

Dim = int | float | str
"""A number of pixels or spacing units, or a CSS string."""

_open = with_config(ConfigDict(extra="allow"))


@_open
class ThemeColor(TypedDict):
    """A colour for each theme."""

    dark: str
    light: str


Color = str | ThemeColor
"""A colour token, a primitive such as `red-100`, a CSS colour, or one for each theme."""


@_open
class Spacing(TypedDict):
    """Space on each side; `x` and `y` are for two sides at once."""

    top: NotRequired[Dim]
    right: NotRequired[Dim]
    bottom: NotRequired[Dim]
    left: NotRequired[Dim]
    x: NotRequired[Dim]
    y: NotRequired[Dim]


@_open
class Border(TypedDict):
    """One border; `size` in pixels."""

    size: int
    color: NotRequired[Color]
    style: NotRequired[Literal["solid", "dashed", "dotted", "double", "groove", "ridge", "inset", "outset"]]


@_open
class Borders(TypedDict):
    """A border, or its thickness in pixels, for each side."""

    top: NotRequired[int | Border]
    right: NotRequired[int | Border]
    bottom: NotRequired[int | Border]
    left: NotRequired[int | Border]
    x: NotRequired[int | Border]
    y: NotRequired[int | Border]


@_open
class MinMax(TypedDict):
    """Bounds, both inclusive."""

    min: NotRequired[int]
    max: NotRequired[int]


@_open
class EditableProps(TypedDict):
    """How a text can be edited in place; `name` is its form field."""

    name: str
    autoFocus: NotRequired[bool]
    autoSelect: NotRequired[bool]
    autoComplete: NotRequired[str]
    allowAutofillExtensions: NotRequired[bool]
    pattern: NotRequired[str]
    placeholder: NotRequired[str]
    required: NotRequired[bool]


@_open
class WidgetStatusWithFavicon(TypedDict):
    """A line above a widget, with the picture at a URL."""

    text: str
    favicon: NotRequired[str]
    frame: NotRequired[bool]


@_open
class WidgetStatusWithIcon(TypedDict):
    """A line above a widget, with an icon."""

    text: str
    icon: NotRequired[LenientIcon]


WidgetStatus = WidgetStatusWithFavicon | WidgetStatusWithIcon


def _kind_of_status(value: Any) -> str:
    return "icon" if isinstance(value, dict) and "icon" in value else "favicon"


Status = Annotated[
    Annotated[WidgetStatusWithFavicon, Tag("favicon")] | Annotated[WidgetStatusWithIcon, Tag("icon")],
    Discriminator(_kind_of_status),
]
"""`WidgetStatus` as a field: told apart by its `icon`."""


@_open
class CardAction(TypedDict):
    """A button in the footer of a card."""

    label: str
    action: ActionConfig


@_open
class SelectOption(TypedDict):
    """One choice of a `Select`."""

    value: str
    label: str
    disabled: NotRequired[bool]
    description: NotRequired[str]


@_open
class RadioOption(TypedDict):
    """One choice of a `RadioGroup`."""

    label: str
    value: str
    disabled: NotRequired[bool]


@_open
class XAxisConfig(TypedDict):
    """The x axis of a chart; `labels` maps values to what is shown for them."""

    dataKey: str
    hide: NotRequired[bool]
    labels: NotRequired[dict[str, str]]
