"""What of a widget the front end would not understand.

Reading a widget refuses next to nothing: what fits no class becomes a dynamic component. That keeps what newer front
ends know, and hides typing errors; this finds them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError

from dragoman.chatkit.widgets.base import CLASSES, ROOTS, WidgetComponentBase, undrawable_icons


class WidgetFault(NamedTuple):
    """Where in the widget (`children.0.size`; empty: the root itself), and what is wrong there."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path or 'widget'}: {self.message}"


def validate_widget(widget: WidgetComponentBase | Mapping[str, Any], strict: bool = True) -> list[WidgetFault]:
    """All faults of a widget, in the order of its tree; none if the front end understands all of it.

    Told are unknown types, unknown icons, and fields that are missing or have a value that their class does not know.
    Fields that a class does not have are told where `strict`. The outermost component must be a root.
    """
    tree = widget.model_dump(mode="json") if isinstance(widget, WidgetComponentBase) else dict(widget)
    return list(_faults(tree, "", ROOTS, "root", strict))


def _faults(
    node: Any, path: str, known: Mapping[str, type[WidgetComponentBase]], what: str, strict: bool
) -> Iterator[WidgetFault]:
    if not isinstance(node, dict):
        yield WidgetFault(path, f"expected a {what}, got {type(node).__name__}")
        return
    name = node.get("type")
    own = known.get(name) if isinstance(name, str) else None
    if own is None:
        yield WidgetFault(
            _at(path, "type"), f"{name!r} is no type of a {what}; expected one of {', '.join(sorted(known))}"
        )
    else:
        yield from _own_faults(own, node, path, strict)
    children = node.get("children")
    among, child = _expected_children(name)
    if isinstance(children, list):
        for index, one in enumerate(children):
            yield from _faults(one, _at(path, "children", index), among, child, strict)
    elif children is not None:
        yield from _faults(children, _at(path, "children"), among, child, strict)


_ONLY = {"ListView": "ListViewItem", "Table": "Table.Row", "Table.Row": "Table.Cell"}


def _expected_children(name: Any) -> tuple[Mapping[str, type[WidgetComponentBase]], str]:
    only = _ONLY.get(name) if isinstance(name, str) else None
    if only is not None:
        return {only: CLASSES[only]}, f"child of {name}"
    return (CLASSES | ROOTS, "component of a Basic root") if name == "Basic" else (CLASSES, "component")


def _own_faults(own: type[WidgetComponentBase], node: dict[str, Any], path: str, strict: bool) -> Iterator[WidgetFault]:
    """Faults of this node alone; its children are looked at one by one."""
    fields = dict(node)
    children = fields.get("children")
    if isinstance(children, list):
        fields["children"] = []
    elif own is CLASSES["Transition"] and "children" in fields:
        fields["children"] = None
    elif children is None:
        fields.pop("children", None)  # what dynamic components write if they have none
    for place in undrawable_icons(node):
        holder = fields
        for step in place[:-1]:
            holder[step] = dict(holder[step])
            holder = holder[step]
        yield WidgetFault(_at(path, *place), f"there is no icon {holder[place[-1]]!r}")
        holder[place[-1]] = _SOME_ICON
    open_ended = own is ROOTS["Basic"]
    try:
        own.model_validate(fields, extra="forbid" if strict and not open_ended else "allow")
    except ValidationError as error:
        yield from _told(error, node, path)


_SOME_ICON = "dot"
_NO_FIELD = "there is no such field"


def _told(error: ValidationError, node: dict[str, Any], path: str) -> Iterator[WidgetFault]:
    """One fault for each place; of the branches of a union, the one that got farthest."""
    fields: dict[Any, dict[tuple[str | int, ...], list[str]]] = {}
    for fault in error.errors(include_url=False, include_context=False, include_input=False):
        place = _place(fault["loc"], node, fault["type"])
        message = _NO_FIELD if fault["type"] == "extra_forbidden" else fault["msg"].removeprefix("Value error, ")
        fields.setdefault(fault["loc"][:1], {}).setdefault(place, []).append(message)
    for places in fields.values():
        depth = max(map(len, places))
        for place, messages in places.items():
            if len(place) == depth:
                yield WidgetFault(_at(path, *place), "; or ".join(dict.fromkeys(messages)))


def _place(loc: tuple[str | int, ...], node: Any, kind: str) -> tuple[str | int, ...]:
    """A validator's location without the names of branches, which are no keys of the data."""
    kept: list[str | int] = []
    for step in loc:
        try:
            node = node[step]
        except (LookupError, TypeError):
            continue
        kept.append(step)
    return (*kept, loc[-1]) if kind == "missing" else tuple(kept)


def _at(path: str, *more: str | int) -> str:
    return ".".join(filter(None, (path, *map(str, more))))
