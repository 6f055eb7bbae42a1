"""Selectors: which frames of a stream are looked at."""

from __future__ import annotations

from dragoman.ai.pipeline.families.family import is_error
from dragoman.ai.pipeline.frames import Frame
from dragoman.ai.pipeline.transform import Transform
from dragoman.ai.protocol.expressions import compile_expression

__all__ = ["JsonPathSelector", "PassThroughSelector", "create_selector"]


class JsonPathSelector(Transform):
    """Lets frames pass for which an expression holds, and error frames whatever it says.

    Raises ProtocolError for an expression that cannot be read.
    """

    def __init__(self, expression: str) -> None:
        self.expression = expression
        self._holds = compile_expression(expression)

    def matches(self, frame: Frame) -> bool:
        """Whether the expression holds."""
        return self._holds(frame)

    def feed(self, frame: Frame) -> list[Frame]:
        return [frame] if self._holds(frame) or is_error(frame) else []


class PassThroughSelector(Transform):
    """Lets every frame pass."""

    def matches(self, frame: Frame) -> bool:
        return True


def create_selector(expression: str | None) -> JsonPathSelector | None:
    """The selector of an expression; None for none."""
    return JsonPathSelector(expression) if expression else None
