"""What a family of wires has to offer to the pipeline. The modules beside this one fill it in."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from dragoman.ai.errors import PipelineError
from dragoman.ai.pipeline.frames import Frame
from dragoman.ai.pipeline.reading import Failure, Reading

if TYPE_CHECKING:
    from dragoman.ai.pipeline.engine import Engine
    from dragoman.ai.types.events import StreamingEvent

Fast: TypeAlias = "Callable[[Engine, Frame, list[StreamingEvent]], bool]"


class Piece(NamedTuple):
    """One candidate's part of a frame, or a part of that; `by_rules` False keeps the rules away from it."""

    candidate: int
    frame: Frame
    by_rules: bool = True


MOST_PIECES: Final = 4096
"""Pieces of one frame, each of which is a frame again; more is out for memory."""
_MOST_BESIDE: Final = 64


def check_width(pieces: int) -> None:
    """Raises PipelineError for a frame that would fall into too many pieces."""
    if pieces > MOST_PIECES:
        raise PipelineError(f"a frame holds more than {MOST_PIECES} candidates or parts", operator="fan_out")


def beside(frame: Mapping[str, Any]) -> dict[str, Any]:
    """What every piece of a split frame gets of what lies beside the array: its texts, so that it stays small."""
    return {key: value for key, value in islice(frame.items(), _MOST_BESIDE) if isinstance(value, str)}


def whole(frame: Frame) -> list[Piece]:
    """A frame that is not split."""
    return [Piece(0, frame)]


def passed(body: Any) -> list[Frame]:
    """A JSON body that has the shape of a frame, or of a list of frames."""
    if isinstance(body, list):
        return [one for one in body if isinstance(one, dict)]
    return [body] if isinstance(body, dict) else []


def never(frame: Frame) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Family:
    """One family of wires.

    `read` notes what a frame (one piece of it) says. `pieces` splits frames that hold several
    candidates or parts. `special` frames pass every selector.
    `expand` turns a plain answer, sent where a stream was asked for, into frames. `fast` handles
    the plainest frames with the same result as the rules in `recognised` and says whether it did.
    """

    name: str
    read: Callable[[Frame], Reading]
    pieces: Callable[[Frame], list[Piece]] = whole
    special: Callable[[Frame], bool] = never
    expand: Callable[[Any], list[Frame]] = passed
    fast: Fast | None = None
    recognised: frozenset[str] = frozenset()

    @property
    def splits(self) -> bool:
        """Whether it knows where candidates are."""
        return self.pieces is not whole


_OUTSIDE: Final = re.compile(r"('[^']*'|\"[^\"]*\")|[^'\"]+")
_NAMES: Final = ("openai_chat", "openai_responses", "anthropic", "gemini", "cohere_v2", "ollama")


@cache
def family_of(adapter: str) -> Family | None:
    """The family of an adapter; None for a wire of its own."""
    if adapter not in _NAMES:
        return None
    found: Family = import_module(f"dragoman.ai.pipeline.families.{adapter}").FAMILY
    return found


def is_error(frame: Frame) -> bool:
    """Whether a frame of whatever wire says that something failed."""
    return bool(frame.get("error")) or frame.get("type") == "error"


def read_error(frame: Frame, reading: Reading) -> None:
    """Note the error of an error frame: its `error`, else the whole frame."""
    if is_error(frame):
        reading.failures.append(Failure(frame.get("error") or frame))


def canonical(text: str) -> str:
    """Text of a rule without what makes no difference once candidates are split: blanks and `[0]`."""
    return _OUTSIDE.sub(lambda found: found[1] or found[0].replace(" ", "").replace("[0]", "[*]"), text)


def rule(match: str, emit: str, **fields: str) -> str:
    """A rule in the form in which `recognised` lists it; `match` may name its path by `{}`."""
    listed = ",".join(f"{name}={canonical(value)}" for name, value in sorted(fields.items()))
    return f"{canonical(match)}|{emit}|{listed}"
