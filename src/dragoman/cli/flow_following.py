"""One run of a flow from its first event to its end, with the caller's tools in between.

Shared by `flows run`, `flows continue`, `jobs` and `runs tail`: progress goes to stderr as it comes, the result to
stdout; where the run waits for a tool of the client, what was given for it is handed in.
"""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any
from urllib.parse import quote

import click
from pydantic_core import from_json

from dragoman.cli.client import OwnFace
from dragoman.cli.connection import again
from dragoman.cli.exits import ExitCode
from dragoman.cli.following import Progress, read_line, verdict
from dragoman.cli.output import AnswerPrinter, exact, note, visible
from dragoman.core import events as ev
from dragoman.core.errors import UsageError
from dragoman.core.events import Event


class FlowPrinter(AnswerPrinter):
    """Prints events of a flow's run: its steps and their text to stderr, its result to stdout.

    With `as_json` every event is one JSON line on stdout and there are no notes. Events up to `seen` are not printed.
    """

    def __init__(self, *, as_json: bool = False, seen: int = 0) -> None:
        super().__init__(as_json=as_json, text_is_progress=True)
        self._seen = seen
        self._began: dict[str, float] = {}

    def show(self, event: Event) -> None:
        if event.seq <= self._seen:
            return
        super().show(event)
        if self.as_json:
            return
        step = event.step or ""
        match event.body:
            case ev.StepStarted("flow"):
                self._began[step] = event.time
            case ev.StepRestarted(attempt, code, message):
                self._began[step] = event.time
                self.remark(f"[{step}: attempt {attempt}, after {code}: {message}]")
            case ev.StepCompleted() if step in self._began:
                self.remark(f"[{step} {event.time - self._began[step]:.2f} s]")
            case ev.StepFailed(code, message) if step in self._began:
                self.remark(f"[{step} failed: {code}: {message}]")
            case ev.RunCompleted(result=result):
                self.end_line()
                click.echo(_on_stdout(result))
            case _:
                pass


def _on_stdout(result: Any) -> str:
    if not isinstance(result, str):
        return exact(result) if sys.stdout.isatty() else json.dumps(result, ensure_ascii=False)
    return visible(result) if sys.stdout.isatty() else result


class Tools:
    """The outputs that the command line gives for tools; one that is given several times answers several calls."""

    def __init__(self, given: Mapping[str, list[Any]] | None = None, *, url: str = "") -> None:
        self._given = {name: list(values) for name, values in (given or {}).items()}
        self._url = url

    def outputs(self, progress: Progress) -> dict[str, Any] | None:
        """Output by call, for all calls that the run waits for; None where one is missing."""
        calls = progress.paused.calls if progress.paused is not None else ()
        outputs: dict[str, Any] = {}
        for call in calls:
            name, arguments = progress.inputs.get(call, (call, {}))
            values = self._given.get(name)
            if values:
                outputs[call] = values.pop(0) if len(values) > 1 else values[0]
                continue
            line = _ask(name, arguments)
            if line is None:
                command = f"flows continue {progress.run} --tool {name}=OUTPUT"
                note(f"[{name} {exact(arguments)} waits for its output; go on with {again(command, self._url)}]")
                return None
            outputs[call] = as_value(line)
        return outputs


def _ask(name: str, arguments: Mapping[str, Any]) -> str | None:
    """The output of a tool from the person at the keyboard; None where there is nobody."""
    if not sys.stdin.isatty():
        return None
    click.echo(f"{name} was called with {exact(arguments)}", err=True)
    return read_line("Its output, JSON or text: ")


async def run_flow_to_end(
    face: OwnFace,
    events: AsyncGenerator[Event, None],
    printer: FlowPrinter,
    progress: Progress,
    *,
    tools: Tools | None = None,
    go_on: bool = False,
) -> ExitCode:
    """Print, and answer tools, until the run has ended or waits for something that nobody here gives.

    `go_on` ends the first pause that a segment's end has made; later ones are left to the caller.
    """
    given = tools or Tools(url=face.url)
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
        body: dict[str, Any] = {}
        if progress.paused.reason == "segment":
            if not go_on:
                note(f"[the run waits to go on: {again(f'flows continue {progress.run}', face.url)}]")
                return ExitCode.RUN_WAITS
            go_on = False
        else:
            outputs = given.outputs(progress)
            if outputs is None:
                return ExitCode.RUN_WAITS
            body = {"outputs": outputs}
        progress.paused = None
        events = face.begin(f"/runs/{quote(progress.run, safe='')}/continue", body, after=progress.last)


# --------------------------------------------------------------------------- NAME=VALUE


def as_value(text: str) -> Any:
    """JSON, or else the text itself."""
    try:
        return from_json(text, allow_inf_nan=False)
    except ValueError:
        return text


def as_pair(text: str, what: str) -> tuple[str, Any]:
    """`NAME=VALUE`. Raises UsageError that says what was expected."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise UsageError(f"expected {what}, got {text!r}")
    return name, as_value(value)


def as_tools(given: tuple[str, ...], url: str) -> tuple[Tools, list[str]]:
    """What `--tool NAME=OUTPUT` says, and the names in it."""
    found: dict[str, list[Any]] = {}
    for text in given:
        name, value = as_pair(text, "--tool NAME=OUTPUT")
        found.setdefault(name, []).append(value)
    return Tools(found, url=url), list(found)
