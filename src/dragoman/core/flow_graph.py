"""A flow's steps as a graph: nodes and edges for a console, plain text for a terminal, Mermaid for pages.

Reads `flows.Node` and nothing else; knows neither engine nor server. An edge leads from one step to
the one that may run after it; its kind says when: `next`, at a condition `yes` or `no`, at a loop
`each` (into a round), `again` (back for the next one) and `done` (out of it).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from dragoman.core.flows import Node, NodeKind

EdgeKind: TypeAlias = Literal["next", "yes", "no", "each", "again", "done"]
START, END = ":start", ":end"
"""Ids of the graph's ends; no step can have one of them."""


@dataclass(frozen=True, slots=True)
class GraphNode:
    """One step. `place` is the index of the top-level step it is or lies in, `parent` the loop or condition around it.

    `branch` tells, inside a condition, whether it runs when that holds.
    """

    id: str
    name: str
    kind: NodeKind | Literal["start", "end"]
    place: int | None = None
    parent: str | None = None
    branch: bool | None = None


@dataclass(frozen=True, slots=True)
class GraphEdge:
    """`target` may run after `source`."""

    source: str
    target: str
    kind: EdgeKind = "next"


@dataclass(frozen=True, slots=True)
class Graph:
    """All steps in the order of the flow, between a start and an end."""

    nodes: tuple[GraphNode, ...]
    edges: tuple[GraphEdge, ...]


_Exit: TypeAlias = tuple[str, EdgeKind]


def flow_graph(steps: Sequence[Node]) -> Graph:
    """The graph of one version of a flow."""
    nodes = [GraphNode(START, "start", "start")]
    edges: list[GraphEdge] = []
    open_ends: list[_Exit] = [(START, "next")]
    for place, step in enumerate(steps):
        open_ends = _add(step, open_ends, nodes, edges, place=place)
    nodes.append(GraphNode(END, "end", "end"))
    edges += [GraphEdge(source, END, kind) for source, kind in open_ends]
    return Graph(tuple(nodes), tuple(edges))


def _add(
    step: Node,
    entries: list[_Exit],
    nodes: list[GraphNode],
    edges: list[GraphEdge],
    *,
    place: int,
    parent: str | None = None,
    branch: bool | None = None,
) -> list[_Exit]:
    """Add a step with what lies in it behind `entries`; where its ends are."""
    nodes.append(GraphNode(step.id, step.name, step.kind, place, parent, branch))
    edges += [GraphEdge(source, step.id, kind) for source, kind in entries]
    if step.kind == "loop":
        round_ends: list[_Exit] = [(step.id, "each")]
        for child in step.children:
            round_ends = _add(child, round_ends, nodes, edges, place=place, parent=step.id)
        edges += [GraphEdge(source, step.id, "again" if kind == "next" else kind) for source, kind in round_ends]
        return [(step.id, "done")]
    if step.kind == "when":
        ends: list[_Exit] = []
        for taken, kind, children in ((True, "yes", step.children), (False, "no", step.otherwise)):
            branch_ends: list[_Exit] = [(step.id, "yes" if kind == "yes" else "no")]
            for child in children:
                branch_ends = _add(child, branch_ends, nodes, edges, place=place, parent=step.id, branch=taken)
            ends += branch_ends
        return ends
    return [(step.id, "next")]


def count_steps(steps: Sequence[Node]) -> int:
    """How many steps there are, those inside others included."""
    return sum(1 + count_steps(step.children) + count_steps(step.otherwise) for step in steps)


# --------------------------------------------------------------------------- text


def as_text(steps: Sequence[Node]) -> str:
    """The steps as an indented list, one line each, ending with a line break."""
    width = _widest(steps, 0)
    lines: list[str] = []
    for number, step in enumerate(steps, 1):
        lines += _lines(step, f"{number:>3}  ", "     ", width)
    return "".join(f"{line.rstrip()}\n" for line in lines)


_BRANCH_WIDTH = len("else  ")


def _widest(steps: Sequence[Node], indent: int) -> int:
    found = 0
    for step in steps:
        deeper = indent + 3 + (_BRANCH_WIDTH if step.kind == "when" else 0)
        inner = (_widest(step.children, deeper), _widest(step.otherwise, deeper))
        found = max(found, indent + len(step.id), *inner)
    return found


def _lines(step: Node, first: str, rest: str, width: int) -> list[str]:
    gap = " " * max(0, width + 5 - len(first) - len(step.id))
    lines = [f"{first}{step.id}{gap}  {step.kind.replace('_', ' '):<11}  {_details(step)}"]
    branches = [("", child) for child in step.children]
    if step.kind == "when":
        branches = [("then  ", child) for child in step.children] + [("else  ", child) for child in step.otherwise]
    for number, (word, child) in enumerate(branches, 1):
        last = number == len(branches)
        again = number > 1 and branches[number - 2][0] == word
        label = " " * len(word) if again else word
        below = rest + ("   " if last else "│  ") + " " * len(word)
        lines += _lines(child, f"{rest}{'└─' if last else '├─'} {label}", below, width)
    return lines


def _details(step: Node) -> str:
    """Model, and the configuration that a caller may change."""
    parts = [step.name] if step.name != step.id else []
    parts += [step.model] if step.model else []
    parts += [f"{name}={_short(value)}" for name, value in step.config.items()]
    parts += ["…"] if step.open else []
    return "  ".join(parts)


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 40 else f"{text[:39]}…"


# --------------------------------------------------------------------------- Mermaid

_SHAPES: dict[str, tuple[str, str]] = {
    "start": ("((", "))"),
    "end": ("((", "))"),
    "function": ("[", "]"),
    "model": ("([", "])"),
    "agent": ("[[", "]]"),
    "client_tool": ("[/", "/]"),
    "loop": ("{{", "}}"),
    "when": ("{", "}"),
}


def as_mermaid(steps: Sequence[Node]) -> str:
    """The graph as a Mermaid flowchart, ending with a line break."""
    graph = flow_graph(steps)
    names = {node.id: f"n{number}" for number, node in enumerate(graph.nodes)}
    lines = ["flowchart TD"]
    for node in graph.nodes:
        left, right = _SHAPES[node.kind]
        lines.append(f'    {names[node.id]}{left}"{_escaped(node.name)}"{right}')
    for edge in graph.edges:
        label = "" if edge.kind == "next" else f"|{edge.kind}|"
        lines.append(f"    {names[edge.source]} -->{label} {names[edge.target]}")
    return "".join(f"{line}\n" for line in lines)


def _escaped(text: str) -> str:
    """A label that Mermaid shows as it is: everything but letters, digits and harmless signs by its number."""
    return "".join(char if char.isalnum() or char in " -_.,:~/" else f"#{ord(char)};" for char in text)
