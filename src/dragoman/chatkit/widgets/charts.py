"""Charts of bars, areas and lines."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from dragoman.chatkit.widgets.base import WidgetComponentBase
from dragoman.chatkit.widgets.tokens import Color, CurveType, Dim, XAxisConfig


class _SeriesBase(BaseModel):
    """`dataKey` names the numbers in each row, `label` the legend; without a colour the front end chooses one."""

    model_config = ConfigDict(defer_build=True, extra="allow")

    label: str | None = None
    dataKey: str
    color: Color | None = None


class BarSeries(_SeriesBase):
    """Bars; those with the same `stack` stand on each other."""

    type: Literal["bar"] = Field(default="bar", frozen=True)
    stack: str | None = None


class AreaSeries(_SeriesBase):
    """Areas; those with the same `stack` lie on each other."""

    type: Literal["area"] = Field(default="area", frozen=True)
    stack: str | None = None
    curveType: CurveType | None = None


class LineSeries(_SeriesBase):
    """A line."""

    type: Literal["line"] = Field(default="line", frozen=True)
    curveType: CurveType | None = None


Series = Annotated[BarSeries | AreaSeries | LineSeries, Field(discriminator="type")]


class Chart(WidgetComponentBase):
    """A chart of rows of data."""

    type: Literal["Chart"] = Field(default="Chart", frozen=True)
    data: list[dict[str, str | int | float]]
    series: list[Series]
    xAxis: str | XAxisConfig
    showYAxis: bool | None = None
    showLegend: bool | None = None
    showTooltip: bool | None = None
    barGap: int | None = None
    barCategoryGap: int | None = None
    flex: Dim | None = None
    height: Dim | None = None
    width: Dim | None = None
    size: Dim | None = None
    minHeight: Dim | None = None
    minWidth: Dim | None = None
    minSize: Dim | None = None
    maxHeight: Dim | None = None
    maxWidth: Dim | None = None
    maxSize: Dim | None = None
    aspectRatio: Dim | None = None
