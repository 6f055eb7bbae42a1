"""What the commands print: answers as they stream, tables, JSON.

The answer goes to stdout and everything about it to stderr, so that a pipe gets the answer alone.
On a terminal, control characters are made visible: a model's text must not drive the terminal.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import click

from dragoman.core import events as ev
from dragoman.core.events import Event, encode_event

_PLAIN = frozenset("\n\t")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at; `ok` None means it only informs."""

    name: str
    text: str
    ok: bool | None = None


def visible(text: str) -> str:
    """The text with everything that is not printable as an escape; line breaks and tabs stay."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or char in _PLAIN else char.encode("unicode_escape").decode() for char in text
    )


def exact(value: Any) -> str:
    """A JSON value on one line, with nothing in it that a terminal would not show."""
    text = visible(json.dumps(value, ensure_ascii=False))
    return text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def print_json(value: Any) -> None:
    """One JSON value as one line on stdout; what is not printable is escaped, as JSON allows within texts."""
    click.echo(printable_json(value))


def printable_json(value: Any) -> str:
    """JSON with nothing in it that would drive a terminal."""
    text = json.dumps(value, ensure_ascii=False)
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in text)


def note(text: str) -> None:
    """A remark on stderr, dim where it is a terminal."""
    click.secho(visible(text), err=True, dim=True)


def print_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Rows below their heads: drawn by rich on a terminal, aligned columns elsewhere."""
    cells = [[visible(cell).replace("\n", " ") for cell in row] for row in rows]
    if sys.stdout.isatty():
        _print_rich(heads, cells)
        return
    widths = [max(len(row[n]) for row in [list(heads), *cells]) for n in range(len(heads))]
    for row in [list(heads), *cells]:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _print_rich(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    # late: rich takes 60 ms to import and is of no use in a pipe
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*heads, box=SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        table.add_row(*(Text(cell, overflow="fold") for cell in row))
    Console().print(table)


def when(seconds: float | None) -> str:
    """A time as local date and time, `-` for none."""
    return "-" if seconds is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


class AnswerPrinter:
    """Prints events of a run as they come: text to stdout, the rest as notes to stderr.

    With `as_json` every event is one JSON line on stdout and there are no notes. With `text_is_progress` the
    text is no answer but what happens on the way to one, and goes to stderr as well.
    """

    def __init__(self, *, as_json: bool = False, text_is_progress: bool = False) -> None:
        self.as_json = as_json
        self._text_is_progress = text_is_progress
        self._kinds: dict[str, str] = {}
        self._open_line = False
        self._reasoning = False
        self._is_terminal = sys.stdout.isatty()

    def show(self, event: Event) -> None:
        """Print one event; call it for each, in order."""
        if self.as_json:
            print_json(encode_event(event))
            return
        match event.body:
            case ev.BlockStarted(block, kind):
                self._kinds[block] = kind
            case ev.BlockDelta(block, delta):
                self._piece(delta, reasoning=self._text_is_progress or self._kinds.get(block) == "reasoning")
            case ev.BlockEnded():
                self.end_line()
            case ev.StepRestarted() if not self._text_is_progress:
                self.remark("[interrupted; the answer begins anew]")
            case ev.ToolInput(_, name, arguments, error):
                self.remark(f"[{name} {exact(arguments)}{f': {error}' if error else ''}]")
            case ev.ToolOutput(_, name, output, preliminary):
                if not preliminary:
                    self.remark(f"[{name} → {exact(output)}]")
            case ev.ToolFailed(_, name, message):
                self.remark(f"[{name} failed: {message}]")
            case ev.ToolDenied(_, name, reason):
                self.remark(f"[{name} denied{f': {reason}' if reason else ''}]")
            case ev.ItemAdded(_, kind, body):
                self.remark(f"[{kind} {exact(body)}]")
            case _:
                pass

    def end_line(self) -> None:
        """Finish the line that is being written, if any."""
        if self._open_line:
            click.echo(err=self._reasoning)
            self._open_line = False

    def _piece(self, delta: str, *, reasoning: bool) -> None:
        if reasoning:
            click.secho(visible(delta), err=True, dim=True, nl=False)
        else:
            click.echo(visible(delta) if self._is_terminal else delta, nl=False)
        self._open_line, self._reasoning = True, reasoning

    def remark(self, text: str) -> None:
        """A note on stderr, on a line of its own."""
        self.end_line()
        note(text)
