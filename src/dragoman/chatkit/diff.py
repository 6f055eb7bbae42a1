"""What changed between two states of a widget, in as few updates as the wire can say.

A text that only grew, and can be named by its id, is told by a delta; any other change replaces the whole widget.
Both states are walked once, side by side, and a subtree that both share is not entered: the usual stream of a widget
rebuilds only the path to the text that grew.
"""

from __future__ import annotations

import weakref
from typing import Any, TypeAlias

from dragoman.chatkit.types.events import WidgetComponentUpdated, WidgetRootUpdated, WidgetStreamingTextValueDelta
from dragoman.chatkit.widgets.base import CLASSES, WidgetComponentBase
from dragoman.chatkit.widgets.roots import WidgetRoot

WidgetUpdate: TypeAlias = WidgetStreamingTextValueDelta | WidgetRootUpdated | WidgetComponentUpdated

_GROWING = frozenset(("Text", "Markdown"))
_LEAVES = frozenset(kind for kind in CLASSES.values() if "children" not in kind.model_fields)
_NOTHING: dict[str, Any] = {}


class _Replace(Exception):  # not an error: the end of a walk
    """The states differ in more than growing texts."""


def diff_widget(before: WidgetRoot, after: WidgetRoot) -> list[WidgetUpdate]:
    """The updates that make `before` into `after`, none if they are equal.

    Either one `WidgetRootUpdated`, or a `WidgetStreamingTextValueDelta` for each text with an id whose value grew, in
    the order of the tree; `done` says that the text does not stream (any more). A text without an id, or with one
    that stands twice in the widget, can not be told by a delta.
    """
    grown: list[tuple[str, str, bool]] = []
    try:
        _compare(before, after, grown)
    except _Replace:
        return [WidgetRootUpdated.model_construct(type="widget.root.updated", widget=after)]
    if not grown:
        return []
    if not _known.covers(before):
        if _has_twins(before):
            return [WidgetRootUpdated.model_construct(type="widget.root.updated", widget=after)]
        _known.add(before)
    _known.add(after)
    return [WidgetStreamingTextValueDelta(component_id=id, delta=delta, done=done) for id, delta, done in grown]


def _compare(before: WidgetComponentBase, after: WidgetComponentBase, grown: list[tuple[str, str, bool]]) -> None:
    """Compare two components and all below them; raises _Replace at the first change that no delta can tell."""
    if before is after:
        return
    old, new = before.__dict__, after.__dict__
    children, others = old.get("children"), new.get("children")
    if children or others:
        old, new = {**old, "children": None}, {**new, "children": None}
    if before.__class__ is not after.__class__:
        old, new = _given(before, old), _given(after, new)
    elif before.__pydantic_extra__ != after.__pydantic_extra__:
        old, new = {**old, **(before.__pydantic_extra__ or _NOTHING)}, {**new, **(after.__pydantic_extra__ or _NOTHING)}
    if old != new:
        grown.append(_growth(old, new))
    if children is not others:
        _compare_children(children, others, grown)


def _compare_children(children: Any, others: Any, grown: list[tuple[str, str, bool]]) -> None:
    """Both are components, lists of components, or anything that is no component and must then be equal."""
    if isinstance(children, list) and isinstance(others, list):
        if len(children) != len(others):
            raise _Replace
        for child, other in zip(children, others, strict=True):
            if child is other:
                continue
            kind = child.__class__
            if (
                kind in _LEAVES  # most of a widget, and most of it unchanged
                and kind is other.__class__
                and child.__dict__ == other.__dict__
                and child.__pydantic_extra__ == other.__pydantic_extra__
            ):
                continue
            if not isinstance(child, WidgetComponentBase) or not isinstance(other, WidgetComponentBase):
                raise _Replace
            _compare(child, other, grown)
    elif isinstance(children, WidgetComponentBase) and isinstance(others, WidgetComponentBase):
        _compare(children, others, grown)
    else:
        raise _Replace


def _given(node: WidgetComponentBase, fields: dict[str, Any]) -> dict[str, Any]:
    """The fields that are not null: comparable between classes."""
    return {
        name: value for name, value in {**fields, **(node.__pydantic_extra__ or _NOTHING)}.items() if value is not None
    }


def _growth(old: dict[str, Any], new: dict[str, Any]) -> tuple[str, str, bool]:
    """Id, delta and end of a text in which nothing but its value differs, by growing."""
    was, now = old.get("value"), new.get("value")
    if new.get("type") not in _GROWING or not isinstance(was, str) or not isinstance(now, str):
        raise _Replace
    if not new.get("id") or not now.startswith(was) or {**old, "value": now} != new:
        raise _Replace
    return new["id"], now[len(was) :], not new.get("streaming")


def _has_twins(root: WidgetComponentBase) -> bool:
    """Whether an id stands twice in this widget."""
    seen: set[str] = set()
    nodes: list[Any] = [root]
    while nodes:
        node = nodes.pop()
        if isinstance(node, WidgetComponentBase):
            fields = node.__dict__
            if id := fields["id"]:
                if id in seen:
                    return True
                seen.add(id)
            if children := fields.get("children"):
                nodes.append(children)
        elif isinstance(node, list):
            nodes += node
    return False


class _WithoutTwins:
    """Widgets whose ids are known to be different, so that a stream of states is searched once.

    Two states that differ by growing texts alone have the same ids, hence what is known of one holds for the next.
    """

    def __init__(self) -> None:
        self._widgets: dict[int, weakref.ref[WidgetComponentBase]] = {}

    def add(self, widget: WidgetComponentBase) -> None:
        key = id(widget)
        self._widgets[key] = weakref.ref(widget, lambda _: self._widgets.pop(key, None))

    def covers(self, widget: WidgetComponentBase) -> bool:
        known = self._widgets.get(id(widget))
        return known is not None and known() is widget


_known = _WithoutTwins()
