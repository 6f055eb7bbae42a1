"""Standard parameter names to a provider's, by what a manifest says.

v1 has `parameter_mappings` (standard → provider), v2 has `parameters` (provider's name → rules, with
`alias` for the standard one). Dotted targets nest. Which names an adapter would use by itself, bounds
and what is sent at all is the adapters' business.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def parameter_name(raw: Mapping[str, Any], standard: str) -> str | None:
    """The provider's name for a standard parameter; None when the manifest does not map it."""
    mapped = (raw.get("parameter_mappings") or {}).get(standard)
    if isinstance(mapped, str):
        return mapped
    rules = raw.get("parameters") or {}
    for name, rule in rules.items():
        if isinstance(rule, Mapping) and rule.get("alias") == standard:
            return str(name)
    return standard if standard in rules else None


def map_parameters(raw: Mapping[str, Any], standard: Mapping[str, Any], *, apply_defaults: bool) -> dict[str, Any]:
    """The fields of a body for `standard`; None values are left out."""
    body: dict[str, Any] = {}
    if apply_defaults:
        for name, rule in (raw.get("parameters") or {}).items():
            if isinstance(rule, Mapping) and rule.get("default") is not None:
                place(body, name, rule["default"])
    for name, value in standard.items():
        if value is not None:
            place(body, parameter_name(raw, name) or name, value)
    return body


def place(body: dict[str, Any], dotted: str, value: Any) -> None:
    """Put a value at a dotted place of a body, making objects on the way; what is no object is replaced."""
    *path, last = dotted.split(".")
    for step in path:
        inner = body.get(step)
        if not isinstance(inner, dict):
            inner = body[step] = {}
        body = inner
    body[last] = value
