"""What Dragoman's own wire says of figures, models and replays: the models of what a console shows beside runs and flows.

Held together with their encoders by the OpenAPI document, as in `models`. Times are seconds since the epoch.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from dragoman.server.own.models import In, Out


class ChangeThread(In):
    """What is to change of a thread."""

    title: str = Field(min_length=1, max_length=200)


# --------------------------------------------------------------------------- figures


class PercentilesOut(Out):
    """Of all values the least that so many percent do not exceed."""

    p50: float
    p95: float
    p99: float


class FiguresOut(Out):
    """`duration_ms`: from creation to end, of those that have ended. `first_token_ms`: from the start to a model's
    first word, of those in which one spoke. `cost` is null where no provider's price is known."""

    runs: int
    failed: int
    duration_ms: PercentilesOut | None
    first_token_ms: PercentilesOut | None
    prompt_tokens: int
    completion_tokens: int
    cost: float | None


class BucketOut(FiguresOut):
    start: float


class NamedFiguresOut(FiguresOut):
    name: str


class ModelFiguresOut(Out):
    """`calls` counts attempts."""

    name: str
    calls: int
    failed: int
    prompt_tokens: int
    completion_tokens: int
    cost: float | None


class OverviewOut(Out):
    """Runs by when they were created, from <= created < to; the busiest agent, flow, face and model first."""

    from_: float = Field(alias="from")
    to: float
    bucket: int
    total: FiguresOut
    buckets: list[BucketOut]
    agents: list[NamedFiguresOut]
    flows: list[NamedFiguresOut]
    faces: list[NamedFiguresOut]
    models: list[ModelFiguresOut]


# --------------------------------------------------------------------------- models


class UsedModelOut(Out):
    """A model that an agent or a flow of the app names."""

    name: str
    usable: bool
    keyless: bool
    why: str
    agents: list[str]
    flows: list[str]


class ProviderOut(Out):
    """`why` tells what is missing, or where the key comes from. `models` are those that are listed; others may be there."""

    name: str
    usable: bool
    keyless: bool
    why: str
    models: list[str]


class ModelsOut(Out):
    models: list[UsedModelOut]
    providers: list[ProviderOut]


# --------------------------------------------------------------------------- replays


class ReplayedRunOut(Out):
    run: str
    name: str
    recorded: Any
    replayed: Any
    differences: int


class DifferenceOut(Out):
    """`recorded` or `replayed` is left out where there is nothing on that side."""

    where: list[Any]
    recorded: Any = None
    replayed: Any = None


class ReplayOut(Out):
    """A session against the code as it is now. `wanted` are places that the code wanted to reach; nothing was sent."""

    session: str
    app: str
    against: str
    runs: list[ReplayedRunOut]
    differences: list[DifferenceOut]
    remarks: list[str]
    wanted: list[str]
