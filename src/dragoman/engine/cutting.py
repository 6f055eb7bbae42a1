"""A document's text cut into passages.

The cut follows the text: paragraphs as long as they fit, else lines, sentences and words. A passage begins with the
end of the one before it, so that what stands on a border is found whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

PASSAGE = 1200
"""Characters of a passage, about, without its overlap."""

OVERLAP = 160
"""Characters of the passage before that a passage begins with at most."""

_BORDERS = ("\n\n", "\n", ". ", "! ", "? ", "; ", ", ", " ")
_BLANK_LINES = re.compile(r"\n[ \t]*\n\s*")


def passages(text: str) -> Iterator[str]:
    """The text in passages, in order; none for one that is blank."""
    before = ""
    for stretch in _stretches(text):
        yield f"{before} {stretch}" if before else stretch
        before = _end(stretch)


def _stretches(text: str) -> Iterator[str]:
    """The text without overlap: as many paragraphs together as fit."""
    plain = text.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff")
    gathered: list[str] = []
    size = 0
    for paragraph in _BLANK_LINES.split(plain):
        for piece in _cut(paragraph.strip()):
            if gathered and size + len(piece) > PASSAGE:
                yield "\n\n".join(gathered)
                gathered, size = [], 0
            gathered.append(piece)
            size += len(piece) + 2
    if gathered:
        yield "\n\n".join(gathered)


def _cut(paragraph: str) -> Iterator[str]:
    start = 0
    while len(paragraph) - start > PASSAGE:
        end = _border(paragraph, start + PASSAGE // 2, start + PASSAGE)
        yield paragraph[start:end].rstrip()
        start = end
        while start < len(paragraph) and paragraph[start].isspace():
            start += 1
    if start < len(paragraph):
        yield paragraph[start:]


def _border(text: str, least: int, most: int) -> int:
    """Where to cut between the two: behind the best border there is."""
    for border in _BORDERS:
        place = text.rfind(border, least, most)
        if place >= 0:
            return place + len(border)
    return most


def _end(stretch: str) -> str:
    """The last words of a stretch, not cut within a word where there are blanks."""
    if len(stretch) <= OVERLAP:
        return ""
    tail = stretch[-OVERLAP:]
    _, blank, rest = tail.partition(" ")
    return (rest if blank else tail).strip()
