"""P13: what changed between two states of a widget of 1,000 components, when one text grew. CPU per comparison.

States come as a stream, each a little longer than the one before. *Fresh trees*: every state is built from the
ground, as a template does it. *Shared subtrees*: only the path to the text that grew is new. The limit compares the
same trees as plain dictionaries, in one pass that skips what both share; it asks no more than whether a text grew.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

from bench.measure import Figures, Report, expect, interleave, main, peer, timed
from dragoman.chatkit import widgets
from dragoman.chatkit.diff import diff_widget

TARGETS = {"fresh trees": 2.5, "shared subtrees": 5.0}
COLUMNS, ROWS, TEXTS = 9, 10, 10
NODES = 1 + COLUMNS * (1 + ROWS * (1 + TEXTS))
PLACE = (4, 5, 6)
WORDS = [f" word{number}" for number in range(20)]
PASSES = {"fresh trees": 1, "shared subtrees": 10}
ROUNDS = 25

Tree = Any
Delta = tuple[str, str]


# -------------------------------------------------------------------------------------- states


def text(column: int, row: int, place: int) -> dict[str, Any]:
    value = "Once" if (column, row, place) == PLACE else f"text {place} of row {row}"
    return {"type": "Text", "id": f"text{column}.{row}.{place}", "value": value, "size": "md", "color": "secondary"}


def plain() -> dict[str, Any]:
    """The first state as dictionaries."""
    columns = []
    for column in range(COLUMNS):
        rows = []
        for row in range(ROWS):
            texts = [text(column, row, place) for place in range(TEXTS)]
            rows.append({"type": "Row", "id": f"row{column}.{row}", "gap": 2, "children": texts})
        columns.append({"type": "Col", "id": f"col{column}", "gap": 4, "children": rows})
    return {"type": "Card", "id": "card", "size": "md", "children": columns}


def built(kit: Any, node: dict[str, Any]) -> Any:
    """The same state in the classes of a package."""
    fields = dict(node)
    if "children" in fields:
        fields["children"] = [built(kit, child) for child in fields["children"]]
    return getattr(kit, fields.pop("type"))(**fields)


def grown(node: dict[str, Any], path: Sequence[int], word: str) -> dict[str, Any]:
    """A copy of a state whose text at this path is longer; all that is not on the path is shared."""
    if not path:
        return {**node, "value": node["value"] + word}
    children = list(node["children"])
    children[path[0]] = grown(children[path[0]], path[1:], word)
    return {**node, "children": children}


def grown_model(node: Any, path: Sequence[int], word: str) -> Any:
    """As `grown`, for the classes of a package."""
    if not path:
        return node.model_copy(update={"value": node.value + word})
    children = list(node.children)
    children[path[0]] = grown_model(children[path[0]], path[1:], word)
    return node.model_copy(update={"children": children})


def plain_states(shared: bool) -> list[Tree]:
    states = [plain()]
    for word in WORDS:
        states.append(grown(states[-1], PLACE, word))
    return states if shared else [_deep(state) for state in states]


def _deep(node: dict[str, Any]) -> dict[str, Any]:
    return {**node, "children": [_deep(child) for child in node["children"]]} if "children" in node else dict(node)


def model_states(kit: Any, shared: bool) -> list[Tree]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the published package warns of its own classes
        if not shared:
            return [built(kit, state) for state in plain_states(False)]
        states = [built(kit, plain())]
        for word in WORDS:
            states.append(grown_model(states[-1], PLACE, word))
        return states


# --------------------------------------------------------------------------------------- limit


def compare(before: Tree, after: Tree) -> list[Delta]:
    """The limit; a change that is no growth of a text does not happen here."""
    found: list[Delta] = []
    if not _walk(before, after, found):
        raise ValueError("the states differ in more than growing texts")
    return found


def _walk(before: Tree, after: Tree, found: list[Delta]) -> bool:
    if before.keys() != after.keys():
        return False
    for name, value in before.items():
        other = after[name]
        if value is other:
            continue
        if name == "children":
            if len(value) != len(other):
                return False
            for child, new in zip(value, other, strict=True):
                if child is not new and not _walk(child, new, found):
                    return False
        elif value != other:
            if name != "value" or before["type"] not in {"Text", "Markdown"} or not other.startswith(value):
                return False
            found.append((after["id"], other[len(value) :]))
    return True


# ----------------------------------------------------------------------------------- measuring


def deltas(updates: Sequence[Any]) -> list[Delta]:
    return [update if isinstance(update, tuple) else (update.component_id, update.delta) for update in updates]


def run(make: Callable[[], list[Tree]], diff: Callable[[Tree, Tree], Sequence[Any]], passes: int) -> Figures:
    """One stream of states, new ones for each measurement; the first comparison knows nothing of the widget."""
    states = make()
    pairs = list(pairwise(states))

    def work() -> None:
        for before, after in pairs:
            diff(before, after)

    return timed(work, units=len(pairs), passes=passes)


def check(name: str, states: list[Tree], diff: Callable[[Tree, Tree], Sequence[Any]]) -> None:
    found = [delta for pair in pairwise(states) for delta in deltas(diff(*pair))]
    expect(name, found, [(text(*PLACE)["id"], word) for word in WORDS])


def measure(check_only: bool) -> Report:
    report = Report("widgets", f"P13 widget diff, one of {NODES:,} components grew, CPU per comparison")
    kit, server = (None, None) if check_only else (peer("chatkit.widgets"), peer("chatkit.server"))
    for work, target in TARGETS.items():
        shared = work == "shared subtrees"
        sides: dict[str, tuple[Callable[[], list[Tree]], Callable[[Tree, Tree], Sequence[Any]]]] = {
            "limit": (partial(plain_states, shared), compare),
            "dragoman.chatkit": (partial(model_states, widgets, shared), diff_widget),
        }
        if kit is not None and server is not None:
            sides["openai-chatkit"] = (partial(model_states, kit, shared), server.diff_widget)
        for name, (make, diff) in sides.items():
            check(f"{name}, {work}", make(), diff)
        runs = {name: partial(run, make, diff, PASSES[work]) for name, (make, diff) in sides.items()}
        if "openai-chatkit" in runs:
            make, diff = sides["openai-chatkit"]
            runs["openai-chatkit"] = partial(run, make, diff, 1)
        found = interleave(runs, ROUNDS if check_only else ROUNDS // 2)
        report.compare("P13", work, found, limit="limit", targets={"dragoman.chatkit": target})
    return report


if __name__ == "__main__":
    main(measure)
