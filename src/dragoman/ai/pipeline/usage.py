"""Token counts of every wire under one set of names, beside the provider's own.

The wire is recognised by the keys that are there, never by who sent them. Names that are added:
prompt_tokens, completion_tokens, total_tokens, reasoning_tokens, cache_read_tokens,
cache_creation_tokens. What the provider did not count stays absent. The pipeline and the adapters
call this; it knows neither.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

__all__ = ["merge_usage", "normalise_usage"]


def _count(usage: Any, *path: str) -> int | None:
    for key in path:
        usage = usage.get(key) if isinstance(usage, Mapping) else None
    if isinstance(usage, float):
        return int(usage) if math.isfinite(usage) else None
    return usage if isinstance(usage, int) and not isinstance(usage, bool) else None


def _first(usage: Mapping[str, Any], *paths: tuple[str, ...]) -> int | None:
    for path in paths:
        found = _count(usage, *path)
        if found is not None:
            return found
    return None


def _sum(*counts: int | None) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


_READ = "cache_read_input_tokens"
_CREATED = "cache_creation_input_tokens"
_DETAILS = ("prompt_tokens_details", "input_tokens_details")


def _prompt(usage: Mapping[str, Any]) -> int | None:
    plain = _first(usage, ("prompt_tokens",), ("promptTokenCount",), ("prompt_eval_count",))
    if plain is not None:
        return plain
    own = _first(usage, ("input_tokens",), ("tokens", "input_tokens"))
    return own if own is None else _sum(own, _count(usage, _READ), _count(usage, _CREATED))


def _completion(usage: Mapping[str, Any]) -> int | None:
    plain = _first(usage, ("completion_tokens",), ("output_tokens",), ("tokens", "output_tokens"), ("eval_count",))
    if plain is not None:
        return plain
    said = _count(usage, "candidatesTokenCount")
    thought = _count(usage, "thoughtsTokenCount")
    return _sum(said, thought)


def normalise_usage(raw: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The provider's counts and the standard ones; None for nothing. Standard keys that are there stay."""
    if not isinstance(raw, Mapping) or not raw:
        return None
    usage = dict(raw)
    prompt, completion = _prompt(raw), _completion(raw)
    total = _first(raw, ("total_tokens",), ("totalTokenCount",))
    if total is None and prompt is not None and completion is not None:
        total = prompt + completion
    added = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": total,
        "reasoning_tokens": _first(
            raw,
            ("completion_tokens_details", "reasoning_tokens"),
            ("output_tokens_details", "reasoning_tokens"),
            ("thoughtsTokenCount",),
        ),
        "cache_read_tokens": _first(
            raw,
            *((details, "cached_tokens") for details in _DETAILS),
            ("prompt_cache_hit_tokens",),
            (_READ,),
            ("cachedContentTokenCount",),
        ),
        "cache_creation_tokens": _count(raw, _CREATED),
    }
    for name, value in added.items():
        if value is not None and usage.get(name) is None:
            usage[name] = value
    return usage


def merge_usage(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Two reports of one answer as one; nothing is added up.

    A report with its own total is a whole one and replaces the numbers before it. Of partial reports
    (Anthropic counts the input at the start and the output at the end) the larger number wins.
    """
    if not old or not new:
        return dict(new or old or {}) or None
    whole = _first(new, ("total_tokens",), ("totalTokenCount",)) is not None
    merged = dict(old)
    for key, value in new.items():
        before = merged.get(key)
        if value is None:
            merged.setdefault(key, None)
        elif isinstance(value, Mapping) and isinstance(before, Mapping):
            merged[key] = dict(value) if whole else merge_usage(before, value)
        elif not whole and _is_number(value) and _is_number(before):
            merged[key] = max(before, value)
        else:
            merged[key] = value
    return merged


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
