"""What the models of this wire have in common."""

from __future__ import annotations

from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict

T = TypeVar("T")


class WireModel(BaseModel):
    """A model whose validator is built when it is first used; fields that it does not know are ignored."""

    model_config = ConfigDict(defer_build=True)


class Page(WireModel, Generic[T]):
    """Some of a list. `after` is the cursor of the next page, an id, where there is more."""

    data: list[T] = []
    has_more: bool = False
    after: str | None = None
