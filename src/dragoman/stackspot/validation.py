"""What a caller got wrong, told the way this dialect documents it: as `AssertionError` and as `ValueError`.

Real exceptions, not `assert` statements, so that `python -O` keeps them.
"""

from __future__ import annotations

from dragoman.core.errors import UsageError


class InvalidArgument(UsageError, AssertionError, ValueError):
    """An argument that can not be used; nothing was sent."""

    default_code = "invalid_argument"


def require(condition: object, text: str) -> None:
    """Raises InvalidArgument with this text unless the condition holds."""
    if not condition:
        raise InvalidArgument(text)
