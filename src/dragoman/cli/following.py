"""One run from its first event to its end, with a human in between.

Shared by `chat` and `runs tail`: prints what comes, asks for approvals with the exact arguments,
sends the decisions, reads on.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import quote

import click

from dragoman.cli.client import OwnFace
from dragoman.cli.connection import again
from dragoman.cli.exits import ExitCode
from dragoman.cli.output import AnswerPrinter, exact, note
from dragoman.core import events as ev
from dragoman.core.errors import Conflict
from dragoman.core.events import Event

Policy = Literal["ask", "approve", "deny"]


@dataclass(slots=True)
class Progress:
    """What has been seen of a run; `thread` and `run` are None until its first event.

    `history` is the last event that was there before: a pause up to it may be long over, so only
    from there on a pause is a question to whoever is here.
    """

    run: str | None = None
    history: int = 0
    thread: str | None = None
    last: int = 0
    inputs: dict[str, tuple[str, dict[str, Any]]] = field(default_factory=dict)
    pending: dict[str, bool] = field(default_factory=dict)
    paused: ev.RunPaused | None = None
    final: Event | None = None

    @property
    def is_at_rest(self) -> bool:
        """Whether the run has ended, or waits now."""
        return self.final is not None or (self.paused is not None and self.last >= self.history)

    def see(self, event: Event) -> None:
        """Take one event into account. `pending` maps each undecided call to whether it awaits approval."""
        self.run, self.last = event.run, event.seq
        match event.body:
            case ev.RunCreated(thread=thread):
                self.thread = thread
            case ev.ToolInput(call, name, arguments):
                self.inputs[call] = (name, arguments)
            case ev.ToolApprovalRequested(call):
                self.pending[call] = True
            case ev.ToolApprovalDecided(call) | ev.ToolOutput(call) | ev.ToolFailed(call) | ev.ToolDenied(call):
                self.pending.pop(call, None)
            case ev.RunPaused() as paused:
                self.paused = paused
            case ev.RunResumed() | ev.RunStarted():
                self.paused = None
            case ev.RunCompleted() | ev.RunFailed() | ev.RunCancelled():
                self.final, self.paused = event, None
            case _:
                pass


async def run_to_end(
    face: OwnFace,
    events: AsyncGenerator[Event, None],
    printer: AnswerPrinter,
    progress: Progress,
    *,
    policy: Policy = "ask",
) -> ExitCode:
    """Print and decide until the run has ended or waits for something nobody here can give."""
    while True:
        async with aclosing(events) as stream:
            async for event in stream:
                progress.see(event)
                printer.show(event)
                if progress.is_at_rest:
                    break
        printer.end_line()
        if progress.final is not None:
            return verdict(progress.final)
        if progress.paused is None or progress.run is None:
            return ExitCode.RUN_WAITS
        decisions = _decide(progress, policy, face.url)
        if decisions is None:
            return ExitCode.RUN_WAITS
        try:
            await face.post(f"/runs/{quote(progress.run, safe='')}/approvals", {"decisions": decisions})
        except Conflict as error:  # somebody else was faster; what they decided comes with the events
            note(f"[{error.message}]")
        progress.paused = None
        events = face.follow(progress.run, after=progress.last)


def verdict(final: Event) -> ExitCode:
    """What the run's last event means for the shell; why it did not complete goes to stderr."""
    match final.body:
        case ev.RunFailed(_, message):
            click.echo(f"error: {' '.join(message.split())}", err=True)
            return ExitCode.RUN_FAILED
        case ev.RunCancelled(reason):
            note(f"[cancelled: {reason}]")
            return ExitCode.RUN_CANCELLED
        case _:
            return ExitCode.OK


def _decide(progress: Progress, policy: Policy, url: str) -> list[Mapping[str, Any]] | None:
    """A decision for every pending approval; None where somebody else has to answer first."""
    calls = [call for call in (progress.paused.calls if progress.paused else ()) if progress.pending.get(call)]
    if not calls:
        waiting = (
            ", ".join(progress.inputs.get(call, (call, {}))[0] for call in progress.paused.calls)
            if progress.paused
            else ""
        )
        note(f"[the run waits for the output of {waiting or 'a tool'}; a client that has that tool must send it]")
        return None
    decisions: list[Mapping[str, Any]] = []
    for call in calls:
        name, arguments = progress.inputs.get(call, ("a tool", {}))
        approved = _ask(name, arguments) if policy == "ask" else policy == "approve"
        if approved is None:
            note(f"[undecided; go on with {again(f'runs tail {progress.run}', url)}, or add --approve or --deny]")
            return None
        decisions.append({"call": call, "approved": approved})
    return decisions


def _ask(name: str, arguments: Mapping[str, Any]) -> bool | None:
    """Yes or no from the person at the keyboard (or from a pipe); None at the end of the input."""
    click.echo(f"{name} wants to run with exactly {exact(arguments)}", err=True)
    while True:
        line = read_line("Approve? [y/n] ")
        if line is None:
            return None
        if line.strip().lower() in ("y", "yes"):
            return True
        if line.strip().lower() in ("n", "no"):
            return False


def read_line(prompt: str) -> str | None:
    """One line from stdin without its end, None when there is no more.

    Between two terminals with editing and history; else the prompt goes to stderr, so that stdout
    holds answers alone.
    """
    if sys.stdin.isatty() and sys.stdout.isatty():
        with suppress(ImportError):  # not on Windows, where the console edits by itself
            importlib.import_module("readline")
        with suppress(EOFError):
            return input(prompt)
        return None
    click.echo(prompt, err=True, nl=False)
    line = sys.stdin.readline()
    return line.rstrip("\r\n") if line else None
