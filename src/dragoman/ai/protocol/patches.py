"""Small named corrections of manifests that are published wrong (C9 of the specification).

A patch names an adapter, a field, the value that is known to be wrong and the right one; it touches
a document only where the wrong value stands, wherever the document came from. `AI_PROTOCOL_PATCHES=0`
turns all of them off; `ProtocolLoader.patches_for` lists what was changed.

The patches themselves are data (`patches.json` of the package). They recognise a document by what it
says, its base URL for instance, never by its id.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from dataclasses import field as default_of
from functools import cache
from typing import Any

from dragoman.ai.protocol.adapter_choice import choose_adapter
from dragoman.ai.protocol.package import package_document

SWITCH = "AI_PROTOCOL_PATCHES"


@dataclass(frozen=True, slots=True)
class Patch:
    """One correction. `field` is a dotted path; `where` holds further fields that must have a value.

    Either `wrong` is replaced by `right` (no `wrong`: the field is missing or null), or `append` is
    added to a list that stands, unless a rule with its `match` is there.
    """

    name: str
    adapter: str
    field: str
    reason: str
    wrong: Any = None
    right: Any = None
    append: Mapping[str, Any] | None = None
    where: Mapping[str, Any] = default_of(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AppliedPatch:
    """What a patch changed in one manifest."""

    name: str
    field: str
    before: Any
    after: Any
    reason: str


def switched_on() -> bool:
    """Whether `AI_PROTOCOL_PATCHES` allows patches; they are on by default."""
    return os.environ.get(SWITCH, "1").strip().lower() not in ("0", "false", "no", "off")


@cache
def shipped_patches() -> tuple[Patch, ...]:
    """The patches inside the package."""
    return tuple(Patch(**entry) for entry in package_document("patches.json")["patches"])


def apply_patches(
    raw: Mapping[str, Any], patches: Iterable[Patch] | None = None
) -> tuple[dict[str, Any], list[AppliedPatch]]:
    """An upgraded document and what was corrected in it. The input is not changed."""
    document = dict(raw)
    applied: list[AppliedPatch] = []
    adapter = choose_adapter(document)
    for patch in shipped_patches() if patches is None else patches:
        if patch.adapter != adapter or any(_at(document, path) != value for path, value in patch.where.items()):
            continue
        before = _at(document, patch.field)
        after: Any
        if patch.append is not None:
            if not isinstance(before, list) or not before or _has_rule(before, patch.append):
                continue
            after = [*before, patch.append]
        elif before == patch.wrong and _parent_is_there(document, patch.field):
            after = patch.right
        else:
            continue
        document = _with(document, patch.field.split("."), after)
        applied.append(AppliedPatch(patch.name, patch.field, before, after, patch.reason))
    return document, applied


def _has_rule(rules: list[Any], added: Mapping[str, Any]) -> bool:
    return any(isinstance(rule, Mapping) and rule.get("match") == added["match"] for rule in rules)


def _at(document: Mapping[str, Any], path: str) -> Any:
    value: Any = document
    for step in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(step)
    return value


def _parent_is_there(document: Mapping[str, Any], path: str) -> bool:
    parent, _, _ = path.rpartition(".")
    return not parent or isinstance(_at(document, parent), Mapping)


def _with(document: Mapping[str, Any], steps: list[str], value: Any) -> dict[str, Any]:
    head, *rest = steps
    return {**document, head: _with(document.get(head) or {}, rest, value) if rest else value}
