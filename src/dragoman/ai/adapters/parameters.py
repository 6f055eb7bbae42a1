"""Standard parameters by the names of a manifest, and their bounds.

A standard name is looked up in this order: `parameter_mappings`, an entry of `parameters` whose
`alias` it is, the contract's `parameter_aliases`; then the adapter's own name counts. Dotted names
nest. Entries of `parameters` give bounds; their defaults are facts and are sent only when the
parameter is required. Computed once per manifest. Knows no wire format.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dragoman.ai.errors import ValidationError
from dragoman.ai.protocol import ProtocolManifest

__all__ = ["STANDARD", "Path", "Plan", "merge", "plan_of", "put"]

Path = tuple[str, ...]

STANDARD = frozenset(
    {
        "temperature",
        "max_tokens",
        "stream",
        "top_p",
        "top_k",
        "frequency_penalty",
        "presence_penalty",
        "stop_sequences",
        "logprobs",
        "top_logprobs",
        "seed",
        "tools",
        "tool_choice",
        "response_format",
        "reasoning_effort",
        "n",
        "system_message",
    }
)

_SYNONYMS = {"seed": ("random_seed",), "stop_sequences": ("stop",)}
"""Names under which some manifests list a standard parameter without saying which one it is."""

_NUMBERS = {"integer": (int,), "int": (int,), "float": (int, float), "number": (int, float)}


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a v2 manifest says about one parameter."""

    name: str
    low: float | None = None
    high: float | None = None
    choices: tuple[Any, ...] | None = None
    type: str | None = None
    required: bool = False
    default: Any = None

    def check(self, field_name: str, value: Any) -> None:
        """Raise ValidationError when `value` is outside."""
        numbers = _NUMBERS.get(self.type or "")
        if numbers is not None and (isinstance(value, bool) or not isinstance(value, numbers)):
            raise _refusal(field_name, "a number" if float in numbers else "an integer", value)
        if self.choices is not None and value not in self.choices:
            raise _refusal(field_name, f"one of {list(self.choices)}", value)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            too_low = self.low is not None and not value >= self.low
            too_high = self.high is not None and not value <= self.high
            if too_low or too_high:
                raise _refusal(field_name, _range(self.low, self.high), value)


@dataclass(frozen=True)
class Plan:
    """Names and bounds of one manifest. `named` maps standard names to paths in the body."""

    named: Mapping[str, Path]
    bounds: Mapping[str, Bounds] = field(default_factory=dict)
    required: tuple[str, ...] = ()

    def check(self, name: str, value: Any) -> None:
        """Check `value` against the bounds of a standard or provider's name, if there are any."""
        bounds = self.bounds.get(name)
        if bounds is not None and value is not None:
            bounds.check(name, value)


def plan_of(manifest: ProtocolManifest) -> Plan:
    """The plan of a manifest, made once."""
    return manifest.compiled("adapters.parameters", _plan)


def put(body: dict[str, Any], path: Path, value: Any) -> None:
    """Set `value` in nested objects; two objects are merged."""
    for step in path[:-1]:
        inner = body.get(step)
        if not isinstance(inner, dict):
            inner = body[step] = {}
        body = inner
    last = path[-1]
    if isinstance(value, Mapping) and isinstance(body.get(last), dict):
        merge(body[last], value)
    else:
        body[last] = dict(value) if isinstance(value, Mapping) else value


def merge(into: dict[str, Any], values: Mapping[str, Any]) -> None:
    """Put `values` into `into`: objects merge at every depth, anything else replaces. None is not sent."""
    for key, value in values.items():
        if value is not None:
            put(into, (key,), value)


def _plan(manifest: ProtocolManifest) -> Plan:
    named: dict[str, Path] = {}
    contract = manifest.contract
    if contract is not None:
        named.update((name, _path(target)) for name, target in contract.request_mapping.parameter_aliases.items())
    bounds: dict[str, Bounds] = {}
    required: list[str] = []
    for key, raw in (manifest.parameters or {}).items():
        entry = raw if isinstance(raw, Mapping) else dict(raw)
        alias = entry.get("alias")
        if alias:
            named[str(alias)] = _path(key)
        limits = _bounds(key, entry)
        bounds[key] = limits
        bounds[str(alias or key)] = limits
        if limits.required:
            required.append(str(alias or key))
    mappings = manifest.parameter_mappings or {}
    named.update((name, _path(target)) for name, target in mappings.items() if isinstance(target, str) and target)
    for standard, others in _SYNONYMS.items():
        for other in others:
            if standard not in named and (other in mappings or other in (manifest.parameters or {})):
                named[standard] = named.get(other, (other,))
    return Plan(named, bounds, tuple(required))


def _path(target: str) -> Path:
    return tuple(target.removeprefix("$.").split("."))


def _bounds(key: str, entry: Mapping[str, Any]) -> Bounds:
    low, high = entry.get("min"), entry.get("max")
    span = entry.get("range")
    if isinstance(span, list | tuple) and len(span) == 2:
        low, high = span
    choices = entry.get("enum")
    return Bounds(
        key,
        low,
        high,
        tuple(choices) if isinstance(choices, list | tuple) else None,
        entry.get("type"),
        bool(entry.get("required")),
        entry.get("default"),
    )


def _range(low: float | None, high: float | None) -> str:
    if low is None:
        return f"at most {high}"
    return f"at least {low}" if high is None else f"{low} to {high}"


def _refusal(name: str, expected: str, value: Any) -> ValidationError:
    return ValidationError(
        f"parameter {name!r} must be {expected}, got {value!r}", field=name, expected=expected, actual=repr(value)
    )
