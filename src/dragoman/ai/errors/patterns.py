"""Regular expressions of manifests, which are looked over before they meet the text of a stranger.

`re` may take longer than anybody lives: each repetition that has no end multiplies its time by the
length of the text, and one inside of another doubles it with each character. So repeated groups and
backreferences are refused, and the more repetitions there are, the less text is looked at.
"""

from __future__ import annotations

import re
from functools import lru_cache

LONGEST = 500
"""Characters of a pattern."""

_WINDOWS = (4000, 2000, 400, 200)
"""Characters that are looked at, by the number of repetitions."""
_BRANCHES = 6
"""Options and alternatives, each of which doubles the ways through."""

_NO_SYNTAX = re.compile(r"\\\D|\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
_REPEATED_GROUP = re.compile(r"\)(?:[*+]|\{)")
_REFERENCE = re.compile(r"\\\d|\(\?P=|\(\?\(")
_FLAG = re.compile(r"\(\?[a-zA-Z-]*x")  # blanks and comments would hide what is repeated
_REPETITION = re.compile(r"[*+]|\{\d*,\d*\}")
_BRANCH = re.compile(r"\||(?<![(*+?}])\?")


@lru_cache(maxsize=256)
def checked_pattern(text: str) -> tuple[re.Pattern[str], int]:
    """The pattern, and to how much of a text it may be put. Raises ValueError for one that cannot be trusted."""
    if len(text) > LONGEST:
        raise ValueError(f"longer than {LONGEST} characters")
    bare = _NO_SYNTAX.sub("x", text)
    if any(found.search(bare) for found in (_REPEATED_GROUP, _REFERENCE, _FLAG)):
        raise ValueError("a repeated group, a backreference or the flag x, which may take for ever or hide what does")
    repetitions, branches = len(_REPETITION.findall(bare)), len(_BRANCH.findall(bare))
    if repetitions >= len(_WINDOWS) or branches > _BRANCHES:
        most = f"{len(_WINDOWS) - 1} repetitions or {_BRANCHES} options"
        raise ValueError(f"more than {most}, which may take for ever")
    window = _WINDOWS[repetitions] // (1 if branches <= _BRANCHES // 2 + 1 else 2)
    try:
        return re.compile(text, re.IGNORECASE), window
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"no regular expression: {error}") from error
