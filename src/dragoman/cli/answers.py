"""Answers of the server's own face, as the commands read and print them.

What is no such answer is a ProtocolError that asks whether this is a server of ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from dragoman.cli.connection import again
from dragoman.cli.output import exact, print_table, when
from dragoman.core.errors import ProtocolError

_TIMES = ("created", "started", "ended", "updated", "expires")


def as_object(answer: Any) -> dict[str, Any]:
    """The answer, which is a JSON object."""
    if isinstance(answer, dict):
        return answer
    raise ProtocolError(f"expected a JSON object, got {answer!r:.80}; is this a Dragoman server?")


def as_rows(page: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """The rows of a page, or of a list inside of an answer."""
    rows = page.get(name)
    if isinstance(rows, list) and all(isinstance(row, dict) for row in rows):
        return rows
    raise ProtocolError(f"expected a list of {name}, got {page!r:.80}; is this a Dragoman server?")


def as_count(value: Any) -> int:
    """A number of things; 0 for what is none."""
    return value if isinstance(value, int) else 0


def print_fields(found: Mapping[str, Any]) -> None:
    """Everything that an object tells, a field a line; what is empty, or unknown in all its parts, is left out."""
    rows = [(name, _cell(name, value)) for name, value in found.items() if not _is_empty(value)]
    print_table(("FIELD", "VALUE"), rows)


def _is_empty(value: Any) -> bool:
    if isinstance(value, dict):
        return all(inner is None for inner in value.values())
    return value in (None, "", [])


def tell_of_more(page: Mapping[str, Any], name: str, command: str, url: str) -> None:
    """On stderr, the command that lists what follows, if there is more."""
    rows = as_rows(page, name)
    last = page.get("next") or (rows[-1].get("id") if rows else None)
    if page.get("more") and last:
        click.echo(f"more: {again(f'{command} --after {last}', url)}", err=True)


def tokens(usage: Any) -> str:
    """Tokens in and out; `-` if nobody reported any."""
    counts = [usage.get(name) for name in ("prompt_tokens", "completion_tokens")] if isinstance(usage, Mapping) else []
    known = [count for count in counts if isinstance(count, int)]
    return str(sum(known)) if known else "-"


def seconds(value: Any) -> str:
    """A duration; `-` for none."""
    return f"{value:.3f}" if isinstance(value, int | float) else "-"


def _cell(name: str, value: Any) -> str:
    if name in _TIMES and isinstance(value, int | float):
        return when(value)
    return value if isinstance(value, str) else exact(value)
