"""What differs between a recording and its replay, found and told in few lines.

Two things are compared: what the code says (instructions, options and tools of agents, the steps of
flows) and what it did (`core.cassette.outcome`). A value that another difference has brought with it is told once.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dragoman.core.cassette import is_withheld, withheld
from dragoman.core.redact import REDACTED

NOTHING: Any = type("Nothing", (), {"__repr__": lambda self: "(nothing)"})()
"""Stands where one of the two has no value at all."""

MOST_TOLD = 20
_MOST_LINES = 12
_MOST_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class Difference:
    """`where` names what differs, from the outside in; `recorded` and `replayed` are the two values."""

    where: tuple[str, ...]
    recorded: Any
    replayed: Any

    @property
    def place(self) -> str:
        return " · ".join(self.where)

    def __str__(self) -> str:
        return "\n".join((self.place, *(f"  {line}" for line in self._lines())))

    def _lines(self) -> list[str]:
        before, after = _told(self.recorded), _told(self.replayed)
        if len(before) == 1 or len(after) == 1:
            lines = [f"- {line}" for line in before] + [f"+ {line}" for line in after]
        else:
            compared = difflib.unified_diff(before, after, lineterm="", n=1)
            lines = [f"{line[0]} {line[1:]}" for line in compared if not line.startswith(("---", "+++", "@@"))]
        if len(lines) > _MOST_LINES:
            lines = [*lines[:_MOST_LINES], f"… {len(lines) - _MOST_LINES} more lines"]
        return lines


def told(differences: Sequence[Difference]) -> str:
    """All differences, or the first of them and how many more there are."""
    parts = [str(each) for each in differences[:MOST_TOLD]]
    if len(differences) > MOST_TOLD:
        parts.append(f"… and {len(differences) - MOST_TOLD} more differences")
    return "\n".join(parts)


def _told(value: Any) -> list[str]:
    if value is NOTHING:
        return [repr(NOTHING)]
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    return [_cut(line) for line in text.splitlines()] or ['""']


def _cut(line: str) -> str:
    return line if len(line) <= _MOST_CHARACTERS else f"{line[:_MOST_CHARACTERS]}… ({len(line)} characters)"


# ---------------------------------------------------------------------------------------------- values


def leaves(where: tuple[str, ...], before: Any, after: Any) -> Iterator[Difference]:
    """The innermost values that differ."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in [*before, *(name for name in after if name not in before)]:
            yield from leaves((*where, str(name)), before.get(name, NOTHING), after.get(name, NOTHING))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for n, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from leaves((*where, str(n)), one, other)
    elif not _same(before, after):
        yield Difference(where, before, after)


def _same(before: Any, after: Any) -> bool:
    if is_withheld(before):
        return isinstance(after, str) and withheld(after) == before
    if isinstance(before, str) and REDACTED in before:
        # what was masked is not known, so anything may stand there
        kept = ".*".join(map(re.escape, before.split(REDACTED)))
        return before == REDACTED or (isinstance(after, str) and re.fullmatch(kept, after, re.DOTALL) is not None)
    # 2 and 2.0 are one number in JSON; True is none
    return before == after and isinstance(before, bool) == isinstance(after, bool)


# ---------------------------------------------------------------------------------------------- what was done


def compare_outcomes(
    name: str, recorded: Mapping[str, Any], replayed: Mapping[str, Any], *, cut: bool
) -> list[Difference]:
    """What the code did otherwise. `cut`: the run was ended from outside, so what it was in the middle of does not count."""
    found: list[Difference] = []
    before, after = list(recorded["steps"]), list(replayed["steps"])
    if cut:
        after = after[: len(before)]
        if before and len(after) == len(before) and "output" not in before[-1]:
            before[-1], after[-1] = (
                {k: v for k, v in one[-1].items() if k in ("step", "input")} for one in (before, after)
            )
    found += _compare_steps(name, before, after)
    found += _compare_tools(name, list(recorded["tools"]), list(replayed["tools"]), cut=cut)
    for part in ("answer", "result", "error", "status"):
        if part == "status" and any(each.where[-1] == "error" or "error" in each.where for each in found):
            continue  # the error says it
        found += leaves((name, part), recorded.get(part, NOTHING), replayed.get(part, NOTHING))
    return _once(found)


def _compare_steps(name: str, before: list[dict[str, Any]], after: list[dict[str, Any]]) -> Iterator[Difference]:
    keys, now = [one["step"] for one in before], [one["step"] for one in after]
    if keys != now:
        yield Difference((name, "steps"), ", ".join(keys) or NOTHING, ", ".join(now) or NOTHING)
    found = {one["step"]: one for one in after}
    around: list[Difference] = []
    for one in before:
        if one["step"] in found:
            other = found[one["step"]]
            for part in ("input", "chosen", "output", "error"):
                differences = leaves((name, one["step"], part), one.get(part, NOTHING), other.get(part, NOTHING))
                if part == "output" and "chosen" in one:  # of a loop or branch: it comes from a step inside
                    around += differences
                else:
                    yield from differences
    yield from around


def _compare_tools(
    name: str, before: list[dict[str, Any]], after: list[dict[str, Any]], *, cut: bool
) -> Iterator[Difference]:
    names, now = [one["name"] for one in before], [one["name"] for one in after]
    if cut:
        now = now[: len(names)]
    if names != now:
        yield Difference((name, "tool calls"), ", ".join(names) or NOTHING, ", ".join(now) or NOTHING)
    counts = {each: names.count(each) for each in names}
    seen: dict[str, int] = {}
    for one, other in zip(before, after, strict=False):
        if one["name"] != other["name"]:
            return
        seen[one["name"]] = seen.get(one["name"], 0) + 1
        label = one["name"] if counts[one["name"]] == 1 else f"{one['name']} (call {seen[one['name']]})"
        if cut and not {"output", "error"} & one.keys():
            continue
        for part in ("input", "changed", "asked", "output", "error", "denied"):
            yield from leaves((name, label, part), one.get(part, NOTHING), other.get(part, NOTHING))


def _once(differences: Iterable[Difference]) -> list[Difference]:
    """Without those whose two values an earlier one has: an output is the input of the next step, and the result."""
    seen: set[str] = set()
    kept: list[Difference] = []
    for each in differences:
        pair = json.dumps([_plain(each.recorded), _plain(each.replayed)], sort_keys=True)
        if pair not in seen:
            seen.add(pair)
            kept.append(each)
    return kept


def _plain(value: Any) -> Any:
    return {"nothing": True} if value is NOTHING else value


# ---------------------------------------------------------------------------------------------- what is said


def compare_agents(name: str, before: Mapping[str, Any], after: Mapping[str, Any] | None) -> Iterator[Difference]:
    """What an agent's models are told otherwise."""
    if after is None:
        yield Difference((name, "agent"), name, NOTHING)
        return
    for part in ("model", "instructions", "options"):
        yield from leaves((name, part), before.get(part, NOTHING), after.get(part, NOTHING))
    tools, now = before.get("tools", {}), after.get("tools", {})
    for tool in [*tools, *(tool for tool in now if tool not in tools)]:
        if tool not in now or tool not in tools:
            yield Difference((name, "tools"), tool if tool in tools else NOTHING, tool if tool in now else NOTHING)
            continue
        for part in ("spec", "read_only"):
            yield from leaves((name, tool, part), tools[tool].get(part, NOTHING), now[tool].get(part, NOTHING))


def compare_nodes(name: str, before: Sequence[Any], after: Sequence[Any]) -> Iterator[Difference]:
    """What a flow's steps are otherwise, but for the code of their functions: that shows in what they give."""
    steps, now = list(_flat(before)), list(_flat(after))
    ids, ids_now = [one["id"] for one in steps], [one["id"] for one in now]
    if ids != ids_now:
        yield Difference((name, "steps of the flow"), ", ".join(ids), ", ".join(ids_now))
    found = {one["id"]: one for one in now}
    for one in steps:
        if one["id"] in found:
            for part in ("kind", "model", "config"):
                yield from leaves((name, one["id"], part), one.get(part, NOTHING), found[one["id"]].get(part, NOTHING))


def _flat(nodes: Sequence[Any]) -> Iterator[Mapping[str, Any]]:
    for node in nodes:
        yield node
        yield from _flat(node.get("children", ()))
        yield from _flat(node.get("otherwise", ()))
