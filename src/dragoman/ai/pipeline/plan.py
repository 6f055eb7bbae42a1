"""A manifest's streaming part, compiled: all that is decided once and shared by every stream.

Immutable. `compile_plan` reads the manifest and nothing of it is read again while a stream runs.
Rules come from `event_map`, or from the single paths where there is none; the family of the
manifest's adapter completes them. A rule list that the family recognises gets its fast path.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from dragoman.ai.pipeline import rules as kinds
from dragoman.ai.pipeline.families import Family, family_of
from dragoman.ai.pipeline.families.family import Fast, canonical
from dragoman.ai.pipeline.families.family import rule as canonical_rule
from dragoman.ai.pipeline.frames import Frame
from dragoman.ai.pipeline.reasons import reason_reader
from dragoman.ai.pipeline.rules import Rule, compile_rules
from dragoman.ai.protocol.expressions import Path, compile_expression, compile_path
from dragoman.ai.protocol.paths import is_single

__all__ = ["Plan", "compile_plan", "plan_of_rules"]

_FINISHING: Final = (kinds.FINAL, kinds.END)


@dataclass(frozen=True, slots=True)
class Plan:
    """How frames become events. `named` are the kinds that the rules speak for, `finishes` whether any
    rule tells of the end; `array` is where candidates are split by the manifest's own word."""

    rules: tuple[Rule, ...] = ()
    named: frozenset[str] = frozenset()
    finishes: bool = False
    family: Family | None = None
    selector: Callable[[Frame], bool] | None = None
    stop: Callable[[Frame], bool] | None = None
    flush: Callable[[Frame], bool] | None = None
    array: Path | None = None
    array_index: Path | None = None
    reason: Callable[[str | None, bool], str | None] = field(default=reason_reader(None))
    classification: Any = None
    fast: Fast | None = None
    keep_source: bool = False
    errors_speak: bool = True
    """Whether error frames give errors without a rule of theirs."""


def _part(holder: Any, name: str) -> Any:
    return holder.get(name) if isinstance(holder, Mapping) else getattr(holder, name, None)


def _text(holder: Any, name: str) -> str | None:
    value = _part(holder, name)
    return value if isinstance(value, str) and value.strip() else None


def plan_of_rules(rules: Sequence[Any], *, reason: Any = None, keep_source: bool = False) -> Plan:
    """A plan of rules alone, as for a wire that nobody knows."""
    compiled = compile_rules(rules)
    return Plan(
        rules=tuple(compiled),
        named=frozenset(rule.emit for rule in compiled),
        finishes=_finishes(compiled),
        reason=reason_reader(reason),
        keep_source=keep_source,
        errors_speak=False,
    )


def with_family(plan: Plan, family: Family | None) -> Plan:
    """The plan completed by a family, with its fast path if it knows every rule."""
    return _with_fast(replace(plan, family=family, errors_speak=True), None)


def _finishes(rules: Iterable[Rule]) -> bool:
    return any(rule.emit in _FINISHING or (rule.emit == kinds.METADATA and rule.reasons) for rule in rules)


def compile_plan(manifest: Any) -> Plan:
    """The plan of a manifest. Raises ProtocolError for expressions that cannot be read."""
    streaming = _part(manifest, "streaming")
    family = family_of(str(_part(manifest, "adapter") or ""))
    written = list(_part(streaming, "event_map") or ()) or path_rules(manifest)
    written += _accumulator_rules(streaming, written, family)
    compiled = compile_rules(written, bare_names=_part(manifest, "generation") == "v2")
    flush = _text(_part(streaming, "accumulator"), "flush_on")
    selector, stop = _text(streaming, "frame_selector"), _text(streaming, "stop_condition")
    array, index = _fan_out(_part(streaming, "candidate"), family)
    plan = Plan(
        rules=tuple(compiled),
        named=frozenset(rule.emit for rule in compiled),
        finishes=_finishes(compiled),
        family=family,
        selector=compile_expression(selector) if selector else None,
        stop=compile_expression(stop) if stop else None,
        flush=compile_expression(flush) if flush and family is None else None,
        array=array,
        array_index=index,
        reason=reason_reader(manifest),
        classification=_part(manifest, "error_classification"),
    )
    return _with_fast(plan, streaming)


# ------------------------------------------------------------------------------ rules from paths


def path_rules(manifest: Any) -> list[dict[str, Any]]:
    """Rules for a manifest that gives single paths instead of an `event_map`."""
    streaming, paths = _part(manifest, "streaming"), _part(manifest, "response_paths")
    reason = _text(paths, "finish_reason") or _text(paths, "stop_reason")
    return default_rules(
        content=_text(streaming, "content_path") or _text(paths, "content"),
        tools=_text(streaming, "tool_call_path") or _text(paths, "tool_calls"),
        usage=_text(streaming, "usage_path") or _text(streaming, "extra_metadata_path") or _text(paths, "usage"),
        reason=reason,
        thinking=_text(paths, "reasoning"),
    )


def default_rules(
    *,
    content: str | None = None,
    tools: str | None = None,
    usage: str | None = None,
    reason: str | None = None,
    thinking: str | None = None,
) -> list[dict[str, Any]]:
    """One rule per path that is given."""
    found = []
    for path, emit, name in (
        (thinking, kinds.THINKING, "thinking"),
        (content, kinds.CONTENT, "content"),
        (tools, kinds.PARTIAL, "tool_calls"),
        (usage, kinds.METADATA, "usage"),
        (reason, kinds.FINAL, "finish_reason"),
    ):
        if path:
            rooted = compile_path(path).text if path.startswith("$") else f"$.{path}"
            found.append({"match": f"exists({rooted})", "emit": emit, "fields": {name: rooted}})
    return found


def _accumulator_rules(streaming: Any, written: Sequence[Any], family: Family | None) -> list[dict[str, Any]]:
    """The accumulator's `key_path` as a rule, where no other rule gives arguments of tools."""
    accumulator = _part(streaming, "accumulator")
    key_path = _text(accumulator, "key_path")
    if family is not None or key_path is None or not _part(accumulator, "stateful_tool_parsing"):
        return []
    if any(_part(rule, "emit") == kinds.PARTIAL for rule in written):
        return []
    return [{"match": f"exists({key_path})", "emit": kinds.PARTIAL, "fields": {"arguments": key_path}}]


# ------------------------------------------------------------------------------ candidates, fast path


def _fan_out(candidate: Any, family: Family | None) -> tuple[Path | None, Path | None]:
    """Where the manifest says candidates are, and the path of a candidate's number below its element.

    A family that knows where they are splits them itself.
    """
    path = _text(candidate, "candidate_id_path")
    if path is None or not _part(candidate, "fan_out") or (family is not None and family.splits):
        return None, None
    compiled = compile_path(path)
    place = next((at for at, step in enumerate(compiled.steps) if not isinstance(step, (str, int))), None)
    if place is None or not is_single(compiled.steps[:place]):
        return None, None
    return Path(path, compiled.steps[:place]), Path(path, compiled.steps[place + 1 :])


def _with_fast(plan: Plan, streaming: Any) -> Plan:
    """The same plan with its family's fast path, if the family knows every rule."""
    family = plan.family
    if family is None or family.fast is None or plan.array is not None:
        return plan
    said = [
        canonical_rule(rule.match.text, rule.emit, **{name: _said(field) for name, field in rule.fields.items()})
        for rule in plan.rules
    ]
    for text, name in (
        (_text(streaming, "frame_selector"), "selector"),
        (_text(streaming, "stop_condition"), "stop"),
        (_text(_part(streaming, "candidate"), "candidate_id_path"), "candidate"),
    ):
        if text is not None:
            said.append(canonical_rule(text, name))
    if not set(said) <= family.recognised:
        return plan
    return replace(plan, fast=family.fast)


def _said(entry: kinds.Field) -> str:
    if entry.path is not None:
        return canonical(entry.path.text)
    return "_generate_uuid" if entry.generated else str(entry.value)
