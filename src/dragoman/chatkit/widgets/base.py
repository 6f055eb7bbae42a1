"""What all components share: how they are written, and how a child is read.

A child is read by its `type`: as the class of that name if the value fits it, and else as a
`DynamicWidgetComponent`, which takes any type and any field. So a widget that a newer front end understands is never
refused, and no field is ever lost. Each class has a small schema of its own, built when it is first used: `children`
look up their classes in a table, which `components` fills.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
)
from pydantic_core import CoreSchema, core_schema

from dragoman.chatkit.icons import is_icon


class WidgetComponentBase(BaseModel):
    """Fields of every component. Written by alias and without nulls, but for `children`; payloads of actions stay as they are."""

    model_config = ConfigDict(serialize_by_alias=True, extra="allow", defer_build=True)

    key: str | None = None
    id: str | None = None
    type: str = Field(...)

    @model_serializer(mode="wrap")
    def serialize(self, next_: SerializerFunctionWrapHandler, info: SerializationInfo) -> Any:
        """Also for a component that is part of something else, where options of the outermost dump do not reach."""
        if info.include is None and info.exclude is None and not info.exclude_unset:
            dumped = self._scalars_and_children(not info.exclude_none)
            if dumped is not None:
                return dumped
        dumped = next_(self)
        if not isinstance(dumped, dict):
            return dumped
        dumped = _without_nulls(dumped)
        dumped["type"] = self.type  # also where `exclude_defaults` left it out
        return dumped

    def _scalars_and_children(self, empty_children: bool) -> dict[str, Any] | None:
        """The short way for most components: all their fields, or None if one of them is more than that."""
        kept: dict[str, Any] = {}
        for fields in (self.__dict__, self.__pydantic_extra__ or {}):
            for name, value in fields.items():
                if name == "children":
                    if value is not None or empty_children:
                        kept[name] = _children(value)
                elif value.__class__ in _SCALARS:
                    kept[name] = value
                elif value is not None:
                    return None
        return kept


_SCALARS = frozenset((str, bool, int, float))


def _children(value: Any) -> Any:
    return [child for child in value if child is not None] if isinstance(value, list) else value


def _without_nulls(fields: dict[str, Any]) -> dict[str, Any]:
    """These fields without nulls at any depth.

    Children that are components have dropped their own already, and what an action carries is the user's.
    """
    kept: dict[str, Any] = {}
    for name, value in fields.items():
        if value is None:
            if name == "children":
                kept[name] = value
        elif name == "children":
            kept[name] = _children(value)
        elif name == "payload" or not isinstance(value, dict | list):
            kept[name] = value
        else:
            kept[name] = _without_nulls(value) if isinstance(value, dict) else _listed(value)
    return kept


def _listed(values: list[Any]) -> list[Any]:
    kept: list[Any] = []
    for value in values:
        if isinstance(value, dict):
            kept.append(_without_nulls(value))
        elif isinstance(value, list):
            kept.append(_listed(value))
        elif value is not None:
            kept.append(value)
    return kept


class _DynamicChildren:
    """As an annotation: a component or several; dictionaries become dynamic, whatever their type."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(cls.read, serialization=_AS_IT_IS)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: Any) -> dict[str, Any]:
        return {"anyOf": [_JSON_SCHEMA, {"type": "array", "items": _JSON_SCHEMA}, {"type": "null"}]}

    @classmethod
    def read(cls, value: Any) -> Any:
        if value is None:
            return None
        return [_dynamic(one, index) for index, one in enumerate(value)] if isinstance(value, list) else _dynamic(value)


def _dynamic(value: Any, index: int | None = None) -> WidgetComponentBase:
    if isinstance(value, WidgetComponentBase):
        return value
    where = "" if index is None else f"{index}: "
    if not isinstance(value, dict):
        raise ValueError(f"{where}expected a component or a dictionary with its fields, got {type(value).__name__}")
    try:
        return DynamicWidgetComponent.model_validate(value)
    except ValidationError as error:
        raise ValueError(f"{where}{reason(error)}") from error


_AS_IT_IS = core_schema.plain_serializer_function_ser_schema(lambda value: value)
"""A component is written by its own class, whatever the annotation said."""

_JSON_SCHEMA = {"type": "object", "properties": {"type": {"type": "string"}}, "required": ["type"]}


class DynamicWidgetComponent(WidgetComponentBase):
    """A component of any type with any fields, as templates make it."""

    children: Annotated[WidgetComponentBase | list[WidgetComponentBase] | None, _DynamicChildren] = None


CLASSES: dict[str, type[WidgetComponentBase]] = {}
"""The class of each component type that we know."""

ROOTS: dict[str, type[WidgetComponentBase]] = {}
"""The class of each root type."""


def undrawable_icons(fields: dict[str, Any]) -> list[tuple[str, ...]]:
    """Where a component names icons that the front end cannot draw."""
    places: list[tuple[str, ...]] = [("iconStart",), ("iconEnd",)]
    if fields.get("type") == "Icon":
        places.append(("name",))
    found = [place for place in places if _is_undrawable(fields.get(place[0]))]
    if isinstance(status := fields.get("status"), dict) and _is_undrawable(status.get("icon")):
        found.append(("status", "icon"))
    return found


def _is_undrawable(name: Any) -> bool:
    return isinstance(name, str) and not is_icon(name)


def reason(error: ValidationError) -> str:
    """Why a value did not fit, in one line."""
    return "; ".join(
        ": ".join((".".join(map(str, fault["loc"])) or "widget", fault["msg"].removeprefix("Value error, ")))
        for fault in error.errors(include_url=False, include_context=False, include_input=False)
    )


def read(value: Any, known: dict[str, type[WidgetComponentBase]], other: type[WidgetComponentBase]) -> Any:
    """The component that a dictionary describes: of its own class if it fits that without loss, else of `other`."""
    name = value.get("type")
    own = known.get(name) if isinstance(name, str) else None
    if own is not None and not undrawable_icons(value):
        try:
            return own.model_validate(value)
        except ValidationError:
            pass  # a value that we do not know is for the front end to judge
    try:
        return other.model_validate(value)
    except ValidationError as error:
        raise ValueError(reason(error)) from error


class AnyComponent:
    """As an annotation: a component of any class, or a dictionary that describes one."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(cls.read, serialization=_AS_IT_IS)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: Any) -> dict[str, Any]:
        return _JSON_SCHEMA

    @staticmethod
    def read(value: Any) -> Any:
        if isinstance(value, WidgetComponentBase):
            return value
        if isinstance(value, dict):
            return read(value, CLASSES, DynamicWidgetComponent)
        raise ValueError(f"expected a widget component or a dictionary with its fields, got {type(value).__name__}")


Component = Annotated[WidgetComponentBase, AnyComponent]
