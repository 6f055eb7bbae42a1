"""The small language of manifests: `match`, `frame_selector`, `stop_condition`, `filter` and all paths.

Text is parsed once, when a manifest is loaded, into closures that any number of streams share; no
frame ever meets text. Mistakes of syntax raise `ProtocolError` with their position (`grammar` has
the grammar). A comparison holds if it holds for one node that is not null, for `!=` too; there is no
coercion of types, except that int and float compare by value. Knows nothing of manifests and streams.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, Final

from dragoman.ai.protocol.grammar import (
    AllOf,
    AnyOf,
    Compare,
    Exists,
    In,
    ListOf,
    Literal,
    Node,
    Not,
    Operand,
    Parser,
    Ref,
)
from dragoman.ai.protocol.paths import (
    Env,
    Filter,
    Path,
    Scope,
    Steps,
    Test,
    is_single,
    nodes_reader,
    value_reader,
)

__all__ = ["Expression", "Path", "Scope", "compile_expression", "compile_path"]


def _same(left: Any, right: Any) -> bool:
    """Equal without coercion: `1 == 1.0` holds, `1 == true` and `1 == '1'` do not."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return bool(left == right)


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def holds(left: Any, right: Any) -> bool:
        if isinstance(left, str) and isinstance(right, str):
            return compare(left, right)
        if isinstance(left, bool) or isinstance(right, bool):
            return False
        return isinstance(left, (int, float)) and isinstance(right, (int, float)) and compare(left, right)

    return holds


_OPS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "==": _same,
    "!=": lambda left, right: not _same(left, right),
    ">": _ordered(operator.gt),
    ">=": _ordered(operator.ge),
    "<": _ordered(operator.lt),
    "<=": _ordered(operator.le),
}


def _rebase(ref: Ref, scope: Scope) -> tuple[int, Steps]:
    return (1, ref.steps) if ref.element else scope.rebase(ref.steps)


def _exists(ref: Ref, scope: Scope) -> Test:
    base, steps = _rebase(ref, scope)
    if is_single(steps):
        value = value_reader(base, steps)
        return lambda env: value(env) is not None
    nodes = nodes_reader(base, steps)
    return lambda env: bool(nodes(env))


def _operand_nodes(operand: Operand, scope: Scope) -> Callable[[Env], list[Any]]:
    if isinstance(operand, Literal):
        constant = [] if operand.value is None else [operand.value]
        return lambda env: constant
    return nodes_reader(*_rebase(operand, scope))


def _compare(node: Compare, scope: Scope) -> Test:
    left, right = node.left, node.right
    for one, other in ((left, right), (right, left)):
        if isinstance(one, Literal) and one.value is None and node.op in ("==", "!="):
            there = _build_exists(other, scope)
            return there if node.op == "!=" else _negated(there)
    holds = _OPS[node.op]
    if isinstance(left, Ref) and isinstance(right, Literal):
        base, steps = _rebase(left, scope)
        if is_single(steps):
            value, wanted = value_reader(base, steps), right.value
            if node.op == "==" and isinstance(wanted, str):
                return lambda env: bool(value(env) == wanted)

            def one_node(env: Env) -> bool:
                found = value(env)
                return found is not None and holds(found, wanted)

            return one_node
    lefts, rights = _operand_nodes(left, scope), _operand_nodes(right, scope)
    return lambda env: any(holds(a, b) for a in lefts(env) for b in rights(env))


def _negated(test: Test) -> Test:
    return lambda env: not test(env)


def _build_exists(operand: Operand, scope: Scope) -> Test:
    if isinstance(operand, Literal):
        there = operand.value is not None
        return lambda env: there
    return _exists(operand, scope)


def _in(node: In, scope: Scope) -> Test:
    lefts = _operand_nodes(node.left, scope)
    if isinstance(node.right, ListOf):
        wanted = node.right.values
        with_null = None in wanted
        if all(isinstance(value, str) for value in wanted):
            words = frozenset(wanted)
            return lambda env: any(isinstance(value, str) and value in words for value in lefts(env))

        def listed(env: Env) -> bool:
            values = lefts(env)
            return any(_same(a, b) for a in values for b in wanted) or (with_null and not values)

        return listed
    lists = nodes_reader(*_rebase(node.right, scope))
    return lambda env: any(
        _same(value, one) for value in lefts(env) for found in lists(env) if isinstance(found, list) for one in found
    )


def _build(node: Node, scope: Scope) -> Test:
    """The closure of one node; the wildcards of `scope` are bound."""
    match node:
        case Literal(value):
            truth = bool(value)
            return lambda env: truth
        case Ref():
            nodes = nodes_reader(*_rebase(node, scope))
            return lambda env: any(nodes(env))
        case Exists(ref):
            return _exists(ref, scope)
        case Not(inner):
            return _negated(_build(inner, scope))
        case AllOf(parts):
            tests = tuple(_build(part, scope) for part in parts)
            return lambda env: all(test(env) for test in tests)
        case AnyOf(parts):
            tests = tuple(_build(part, scope) for part in parts)
            return lambda env: any(test(env) for test in tests)
        case Compare():
            return _compare(node, scope)
        case In():
            return _in(node, scope)


def _filter(text: str, node: Node) -> Filter:
    return Filter(text, _build(node, Scope()))


class Expression:
    """A compiled condition: call it with a frame. `paths` are the paths it reads, filters aside."""

    __slots__ = ("_node", "_test", "paths", "text")

    def __init__(self, text: str, node: Node, paths: tuple[Steps, ...]) -> None:
        self.text = text
        self.paths = paths
        self._node = node
        self._test = _build(node, Scope())

    def __call__(self, frame: Any) -> bool:
        return self._test((frame,))

    def test_in(self, scope: Scope) -> Test:
        """The same condition with the wildcards of `scope` bound; it takes an environment."""
        return _build(self._node, scope)

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"


def compile_expression(text: str) -> Expression:
    """The condition that `text` says. Raises ProtocolError, with the position of the mistake."""
    parser = Parser(text, _filter)
    node = parser.expression()
    parser.end()
    return Expression(text, node, tuple(parser.refs))


def compile_path(text: str) -> Path:
    """The path that `text` says. Raises ProtocolError, with the position of the mistake."""
    parser = Parser(text, _filter)
    ref = parser.path()
    parser.end()
    return Path(text, ref.steps)
