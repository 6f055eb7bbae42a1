"""What a planted fault is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """`file` is below `src/dragoman`, and `old` occurs in it exactly once; `test` must notice `new` in its place."""

    name: str
    file: str
    old: str
    new: str
    test: str
