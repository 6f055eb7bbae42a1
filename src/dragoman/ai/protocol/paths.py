"""Paths into decoded JSON: tuples of steps, made into closures once and never parsed again.

A path gives a list of nodes; what has the wrong type gives none and nothing raises. `Scope` is the
wildcard prefix that the paths of one rule share: the rule is evaluated once per element of it, and
every path that begins like it reads that very element. Knows nothing of the text form of paths,
which is `expressions`, nor of streams. Manifest loading and the pipeline call it.

The closures of this module read an environment: a tuple whose first entry is the frame and whose
n-th further entry is the element bound to the n-th wildcard of the scope. Inside a filter it is
(frame, element).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, TypeAlias

Env: TypeAlias = tuple[Any, ...]
Reader: TypeAlias = Callable[[Env], Any]
Test: TypeAlias = Callable[[Env], bool]


class _Wildcard:
    """`[*]`: the elements of a list, or the values of an object."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "[*]"


WILDCARD: Final = _Wildcard()


class Filter:
    """`[?(…)]`: the elements for which an expression holds. Equal if its text is equal."""

    __slots__ = ("test", "text")

    def __init__(self, text: str, test: Test) -> None:
        self.text = text
        self.test = test

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Filter) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"[?({self.text})]"


Step: TypeAlias = str | int | _Wildcard | Filter
Steps: TypeAlias = tuple[Step, ...]


def is_single(steps: Steps) -> bool:
    """Whether these steps lead to one node at most."""
    return all(isinstance(step, (str, int)) for step in steps)


def _keys_getter(keys: tuple[str, ...]) -> Callable[[Any], Any]:
    if len(keys) == 1:
        (only,) = keys
        return lambda node: node.get(only) if isinstance(node, dict) else None
    if len(keys) == 2:
        first, second = keys

        def get_two(node: Any) -> Any:
            if not isinstance(node, dict):
                return None
            node = node.get(first)
            return node.get(second) if isinstance(node, dict) else None

        return get_two

    def get_keys(node: Any) -> Any:
        for key in keys:
            if not isinstance(node, dict):
                return None
            node = node.get(key)
        return node

    return get_keys


def getter(steps: Steps) -> Callable[[Any], Any]:
    """The node at the end of steps without wildcards; None where there is none."""
    if not steps:
        return lambda node: node
    if all(isinstance(step, str) for step in steps):
        return _keys_getter(tuple(step for step in steps if isinstance(step, str)))

    def get(node: Any) -> Any:
        for step in steps:
            if isinstance(step, str):
                if not isinstance(node, dict):
                    return None
                node = node.get(step)
            else:
                if not isinstance(node, list) or not isinstance(step, int) or not -len(node) <= step < len(node):
                    return None
                node = node[step]
        return node

    return get


def children(node: Any) -> Iterable[Any]:
    """What a wildcard walks."""
    if isinstance(node, list):
        return node
    return node.values() if isinstance(node, dict) else ()


def walk(node: Any, steps: Steps, root: Any) -> list[Any]:
    """All nodes at the end of `steps`, nulls among them, in the order of the document."""
    nodes = [node]
    for step in steps:
        found: list[Any] = []
        for one in nodes:
            if isinstance(step, str):
                if isinstance(one, dict) and step in one:
                    found.append(one[step])
            elif isinstance(step, int):
                if isinstance(one, list) and -len(one) <= step < len(one):
                    found.append(one[step])
            elif isinstance(step, Filter):
                found.extend(child for child in children(one) if step.test((root, child)))
            else:
                found.extend(children(one))
        nodes = found
        if not nodes:
            break
    return nodes


class Scope:
    """The wildcards that one rule is bound to; `Scope()` is the frame alone."""

    __slots__ = ("_parts", "prefixes", "steps")

    def __init__(self, steps: Steps = ()) -> None:
        self.steps = steps
        ends = [place + 1 for place, step in enumerate(steps) if not isinstance(step, (str, int))]
        self.prefixes = [steps[:end] for end in ends]
        starts = [0, *ends]
        self._parts = [
            (getter(steps[start : end - 1]), steps[end - 1]) for start, end in zip(starts, ends, strict=False)
        ]

    @classmethod
    def of(cls, paths: Iterable[Steps]) -> Scope:
        """The longest wildcard prefix among these paths; the first of equals."""
        best: Steps = ()
        for steps in paths:
            ends = [place + 1 for place, step in enumerate(steps) if not isinstance(step, (str, int))]
            if ends and ends[-1] > len(best):
                best = steps[: ends[-1]]
        return cls(best)

    def __bool__(self) -> bool:
        return bool(self.steps)

    def envs(self, frame: Any) -> list[Env]:
        """One environment per element, in the order of the document."""
        envs: list[Env] = [(frame,)]
        for get, step in self._parts:
            if isinstance(step, Filter):
                test = step.test
                envs = [(*env, child) for env in envs for child in children(get(env[-1])) if test((frame, child))]
            else:
                envs = [(*env, child) for env in envs for child in children(get(env[-1]))]
        return envs

    def rebase(self, steps: Steps) -> tuple[int, Steps]:
        """The entry of the environment from which these steps go on, and what is left of them."""
        for level in range(len(self.prefixes), 0, -1):
            prefix = self.prefixes[level - 1]
            if steps[: len(prefix)] == prefix:
                return level, steps[len(prefix) :]
        return 0, steps


class Path:
    """A compiled path. `nodes` and `first` read a frame; `text` is what the manifest said."""

    __slots__ = ("_get", "steps", "text", "wildcards")

    def __init__(self, text: str, steps: Steps) -> None:
        self.text = text
        self.steps = steps
        self.wildcards = sum(not isinstance(step, (str, int)) for step in steps)
        self._get = None if self.wildcards else getter(steps)

    def nodes(self, frame: Any) -> list[Any]:
        """All nodes, nulls among them; a path that leads nowhere gives none."""
        return walk(frame, self.steps, frame)

    def first(self, frame: Any, default: Any = None) -> Any:
        """The first node that is not null."""
        if self._get is not None:
            value = self._get(frame)
            return default if value is None else value
        return next((node for node in self.nodes(frame) if node is not None), default)

    def value_in(self, scope: Scope) -> Reader:
        """A reader of the first node that is not null, or None, with the wildcards of `scope` bound."""
        return value_reader(*scope.rebase(self.steps))

    def __repr__(self) -> str:
        return f"Path({self.text!r})"


def value_reader(base: int, steps: Steps) -> Reader:
    """Reads one value: the first non-null node after `steps` from entry `base` of the environment."""
    if is_single(steps):
        get = getter(steps)
        return lambda env: get(env[base])

    def first(env: Env) -> Any:
        return next((node for node in walk(env[base], steps, env[0]) if node is not None), None)

    return first


def nodes_reader(base: int, steps: Steps) -> Callable[[Env], list[Any]]:
    """Reads all nodes that are not null."""
    if is_single(steps):
        get = getter(steps)

        def one(env: Env) -> list[Any]:
            value = get(env[base])
            return [] if value is None else [value]

        return one
    return lambda env: [node for node in walk(env[base], steps, env[0]) if node is not None]
