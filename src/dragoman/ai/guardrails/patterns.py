"""Finds the patterns that take exponential time for certain: a repetition of what repeats itself.

In `(a+)+` each of many letters may end one round of the outer repetition or go on with the inner
one; an engine that goes back tries all ways. Only this form is recognised, since there it is sure.
Patterns that are merely slow, by the square of the length, are bounded by the slices that are searched.
"""

from __future__ import annotations

import re
from typing import NamedTuple, TypeAlias

__all__ = ["is_ambiguous"]

_REPEAT = re.compile(r"\*|\+|\?|\{(\d*)(,?)(\d*)\}")
_MANY = 16
"""A repetition of so many rounds counts as one without end: its ways are too many as well."""
_ENDLESS = 1 << 30


class _Group:
    """What is known of one group while it is read: its alternatives, each by what it is made of."""

    __slots__ = ("branch", "branches", "is_atomic", "is_look")

    def __init__(self, *, is_atomic: bool = False, is_look: bool = False) -> None:
        self.is_atomic = is_atomic
        self.is_look = is_look
        self.branch: list[_Item] = []
        self.branches: list[list[_Item]] = []

    @property
    def item(self) -> _Item:
        """The group as a part of the one around it."""
        branches = [*self.branches, self.branch]
        empty = self.is_look or any(all(may for may, _ in branch) for branch in branches)
        loops = any(_only_loops(branch) for branch in branches)
        return empty, loops and not (self.is_atomic or self.is_look)


_Item: TypeAlias = tuple[bool, bool]
"""(whether it may be empty, whether it repeats and nothing firm stands beside that)"""


def _only_loops(branch: list[_Item]) -> bool:
    """Whether one item repeats and all others may be empty: then nothing marks where a round ends."""
    firm = [item for item in branch if not item[0]]
    return any(loops for _, loops in branch) and (not firm or (len(firm) == 1 and firm[0][1]))


def is_ambiguous(pattern: str, *, verbose: bool = False) -> bool:
    """Whether the pattern repeats what repeats itself, with nothing between two rounds."""
    if verbose:
        pattern = _bare(pattern)
    stack = [_Group()]
    at = 0
    while at < len(pattern):
        mark = pattern[at]
        begin, at = at, _next(pattern, at)
        if mark == "(":
            at, opened = _opened(pattern, at)
            if opened is not None:
                stack.append(opened)
                continue
        if mark == "|":
            stack[-1].branches.append(stack[-1].branch)
            stack[-1].branch = []
            continue
        if mark == ")" and len(stack) > 1:
            item = stack.pop().item
        else:
            item = (mark in "^$(" or pattern[begin:at] in _NO_WIDTH, False)
        at, repeat = _repeated(pattern, at)
        if repeat.many and item[1] and not repeat.possessive:
            return True
        loops = (repeat.varies or item[1]) and not repeat.possessive
        stack[-1].branch.append((item[0] or repeat.least == 0, loops))
    return False


def _bare(pattern: str) -> str:
    """A verbose pattern without its blanks and comments."""
    parts: list[str] = []
    at = 0
    while at < len(pattern):
        if pattern[at] == "#":
            line_end = pattern.find("\n", at)
            at = line_end if line_end >= 0 else len(pattern)
            continue
        end = _next(pattern, at)
        if not pattern[at].isspace():
            parts.append(pattern[at:end])
        at = end
    return "".join(parts)


_NO_WIDTH = frozenset({r"\b", r"\B", r"\A", r"\Z"})


def _next(pattern: str, at: int) -> int:
    """The end of the item that begins here; of a group, of its opening bracket."""
    if pattern[at] == "\\":
        return at + 2
    if pattern[at] != "[":
        return at + 1
    end = at + 2 if pattern[at + 1 : at + 2] == "^" else at + 1
    if pattern[end : end + 1] == "]":
        end += 1
    while end < len(pattern) and pattern[end] != "]":
        end += 2 if pattern[end] == "\\" else 1
    return end + 1


_OPEN = re.compile(r"\?(?:P<\w+>|P=\w+\)|#[^)]*\)|>|<?[=!]|\(\w+\)|[a-zA-Z]*(?:-[a-zA-Z]+)?(?::|\)))")


def _opened(pattern: str, at: int) -> tuple[int, _Group | None]:
    """What stands behind an opening bracket, and the group it opens; None for what is whole already."""
    head = _OPEN.match(pattern, at)
    if head is None:
        return at, _Group()
    text = head[0]
    if text.endswith(")") and not text.startswith("?("):
        return head.end(), None
    return head.end(), _Group(is_atomic=text == "?>", is_look=text.endswith(("=", "!")))


class _Repeat(NamedTuple):
    """`many`: its rounds are too many to try all ways; `varies`: their number is not fixed."""

    least: int = 1
    many: bool = False
    varies: bool = False
    possessive: bool = False


def _repeated(pattern: str, at: int) -> tuple[int, _Repeat]:
    """Where to go on, and the repetition that stands here."""
    found = _REPEAT.match(pattern, at)
    if found is None or found[0] in ("{}", "{,}"):
        return at, _Repeat()
    end = found.end()
    after = pattern[end : end + 1]
    possessive = after == "+"
    if after and after in "+?":
        end += 1
    if found[0] == "?":
        return end, _Repeat(0, possessive=possessive)
    if found[0] in "*+":
        return end, _Repeat(0 if found[0] == "*" else 1, True, True, possessive)
    low, comma, high = int(found[1] or 0), found[2], found[3]
    most = int(high) if high else _ENDLESS if comma else low
    return end, _Repeat(low, most >= _MANY, most > max(low, 1), possessive)
