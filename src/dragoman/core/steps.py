"""Keys of steps: how an event names the step it belongs to.

`say` is a flow's step, `say[2]` its third run (of a loop, or of a name that a function uses again),
`say[2]/model:1` a model call and `say/tool:CALL` a tool call of an agent inside a step. An agent's
run has `model:1` and `tool:CALL` alone.
"""

from __future__ import annotations

import re

STEP_ID = re.compile(r"[A-Za-z0-9._~-]{1,128}")
"""What the id of a flow's step matches: it may stand in a path without being encoded."""

_INDEXED = re.compile(r"(.*)\[(\d+)\]", re.DOTALL)


def step_key(id: str, index: int | None = None) -> str:
    """The key of a step's run; `index` counts the runs of a step that can run more than once, from 0."""
    return id if index is None else f"{id}[{index}]"


def inner_key(outer: str, inner: str) -> str:
    """The key of what an agent does inside the step `outer`."""
    return f"{outer}/{inner}"


def split_key(key: str) -> tuple[str, int | None, str | None]:
    """Id, loop index and inner key; the inverse of the two functions above."""
    outer, slash, inner = key.partition("/")
    found = _INDEXED.fullmatch(outer)
    id, index = (found[1], int(found[2])) if found is not None else (outer, None)
    return id, index, inner if slash else None
