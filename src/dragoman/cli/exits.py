"""Exit codes, and the one line that an error becomes.

The table in `docs/commands.md` and the one of `dragoman --help` say what is said here.
"""

from __future__ import annotations

import enum
from typing import IO, Any

import click

from dragoman.core.errors import ConnectionFailed, DragomanError, MissingExtra, Unauthorized, UsageError


class ExitCode(enum.IntEnum):
    """What a command tells the shell."""

    OK = 0
    ERROR = 1
    USAGE = 2
    RUN_FAILED = 3
    RUN_CANCELLED = 4
    RUN_WAITS = 5
    INTERRUPTED = 130


_MEANINGS = {
    ExitCode.OK: "done",
    ExitCode.ERROR: "error: no server, not allowed, not found, …",
    ExitCode.USAGE: "wrong arguments or settings",
    ExitCode.RUN_FAILED: "the run failed",
    ExitCode.RUN_CANCELLED: "the run was cancelled",
    ExitCode.RUN_WAITS: "the run waits for an answer that nobody gave",
    ExitCode.INTERRUPTED: "interrupted with Ctrl-C",
}


def describe(code: ExitCode) -> str:
    """What an exit code means, in a few words."""
    return _MEANINGS[code]


def one_line(error: DragomanError) -> str:
    """The error as a single line, with what to do about it where that is known."""
    text = " ".join(error.message.split())
    if isinstance(error, ConnectionFailed):
        text += " (is the server running? `dragoman serve --demo` starts one; DRAGOMAN_URL or --url names another)"
    elif isinstance(error, Unauthorized):
        text += " (set DRAGOMAN_KEY or give --key; `dragoman keys create` makes one)"
    return text


class Failure(click.ClickException):
    """A DragomanError on its way out: one line on stderr and an exit code."""

    exit_code = ExitCode.ERROR.value

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"error: {self.message}", file=file, err=file is None)


class UsageFailure(Failure):
    """The caller's mistake on its way out."""

    exit_code = ExitCode.USAGE.value


def failure(error: DragomanError) -> Failure:
    """What to raise so that click ends the command with this error."""
    is_usage = isinstance(error, UsageError) and not isinstance(error, MissingExtra)
    return (UsageFailure if is_usage else Failure)(one_line(error))
