"""The steps of a version as frozen data: what a run keeps of them, and whether the code still fits.

A run keeps the tree that it began with. Code that changes beneath it may change what steps do, but the
steps that are done or under way must still be there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dragoman.core.flows import Node


def walk(nodes: Sequence[Node]) -> Iterator[Node]:
    """All steps, those inside others too, in the order in which they are written."""
    for node in nodes:
        yield node
        yield from walk(node.children)
        yield from walk(node.otherwise)


def looped(nodes: Sequence[Node], inside: bool = False) -> Iterator[str]:
    """The ids of the steps that a loop runs again: their keys have an index."""
    for node in nodes:
        if inside:
            yield node.id
        for branch in (node.children, node.otherwise):
            yield from looped(branch, inside or node.kind == "loop")


def misfit(frozen: Sequence[Node], code: Sequence[Node], begun: int) -> str | None:
    """Why a run whose first `begun` top-level steps are done or under way cannot go on with this code; None if it can."""
    for place, node in enumerate(frozen[:begun]):
        now = code[place] if place < len(code) else None
        if now is None or _shape(now) != _shape(node):
            there = "there is none" if now is None else f"there is {now.id!r}"
            return f"the run has begun step {node.id!r}; in the flow's code {there} now, or it is another one"
    return None


def _shape(node: Node) -> object:
    return node.id, node.kind, [*map(_shape, node.children)], [*map(_shape, node.otherwise)]
