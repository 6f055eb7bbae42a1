"""`dragoman chat`: talk to an agent of a running server."""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass

import click

from dragoman.cli.client import OwnFace
from dragoman.cli.connection import Connection, again, connection_options
from dragoman.cli.exits import ExitCode, one_line
from dragoman.cli.following import Policy, Progress, read_line, run_to_end
from dragoman.cli.output import AnswerPrinter, note
from dragoman.cli.waiting import PATIENCE_SECONDS, remark_after
from dragoman.core.errors import DragomanError, Unauthorized
from dragoman.core.events import Event
from dragoman.core.ids import new_id
from dragoman.transport.io import run_blocking

_LEAVE = ("exit", "quit", "q")


@click.command(short_help="Talk to an agent of a running server.")
@click.argument("text", required=False)
@click.option("--thread", metavar="ID", help="Go on with this thread; by default each call begins a new one.")
@click.option("--agent", metavar="NAME", help="Which agent answers; by default the server's first.")
@click.option("--approve", "policy", flag_value="approve", help="Approve every tool that asks.")
@click.option("--deny", "policy", flag_value="deny", help="Deny every tool that asks.")
@click.option("--json", "as_json", is_flag=True, help="Print the run's events, one JSON object per line.")
@connection_options
@click.pass_context
def chat(
    ctx: click.Context,
    connection: Connection,
    text: str | None,
    thread: str | None,
    agent: str | None,
    policy: Policy | None,
    as_json: bool,
) -> None:
    """Send TEXT and print the answer as it comes; without TEXT, ask line by line.

    The answer goes to stdout, everything else to stderr. A tool that needs approval is shown with
    its exact arguments before anything happens. A lost connection is made again; the answer goes
    on where it broke. `exit`, `quit`, `q` or the end of the input leave the loop.
    """
    with connection.face() as face:
        talk = Talk(face, agent=agent, thread=thread, policy=policy or "ask", as_json=as_json)
        try:
            code = talk.say(text) if text is not None else _loop(talk)
        except KeyboardInterrupt:
            click.echo(err=True)  # ends the line with ^C
            raise
        finally:
            if thread is None and not as_json and sys.stdout.isatty() and sys.stderr.isatty():
                talk.tell_how_to_go_on()
    ctx.exit(code.value)


@dataclass(slots=True)
class Talk:
    """A conversation: `thread` is None until the first answer has begun."""

    face: OwnFace
    agent: str | None = None
    thread: str | None = None
    policy: Policy = "ask"
    as_json: bool = False

    def say(self, text: str) -> ExitCode:
        """Send one message and print its answer. Raises DragomanError if it was not accepted."""
        progress = Progress()
        printer = AnswerPrinter(as_json=self.as_json)
        message_id = new_id(time.time())
        events = self.face.ask(text, agent=self.agent, thread=self.thread, message_id=message_id)
        try:
            with remark_after(PATIENCE_SECONDS, self._tell_of_waiting) as heard:
                answer = run_to_end(self.face, _telling(events, heard), printer, progress, policy=self.policy)
                return run_blocking(answer)
        except KeyboardInterrupt:
            printer.end_line()
            if progress.run is not None and progress.final is None:
                tail, cancel = (again(f"runs {verb} {progress.run}", self.face.url) for verb in ("tail", "cancel"))
                note(f"[the run goes on: {tail} or {cancel}]")
            raise
        finally:
            self.thread = progress.thread or self.thread

    def tell_how_to_go_on(self) -> None:
        """Name the thread, if there is one."""
        if self.thread is not None:
            note(f"[go on in this thread with {again(f'chat --thread {self.thread}', self.face.url)}]")

    def _tell_of_waiting(self) -> None:
        note(f"[waiting for {self.face.url}; Ctrl-C leaves]")


async def _telling(events: AsyncGenerator[Event, None], heard: Callable[[], None]) -> AsyncGenerator[Event, None]:
    """The same events; `heard` is called with each: the server is there."""
    async with aclosing(events) as stream:
        async for event in stream:
            heard()
            yield event


def _loop(talk: Talk) -> ExitCode:
    """Message after message; an answer that failed does not end the talk."""
    prompt = "> " if sys.stdin.isatty() else ""
    if prompt:
        note("Type a message; `exit` or the end of the input leaves.")
    code = ExitCode.OK
    while True:
        text = read_line(prompt)
        if text is None or text.strip() in _LEAVE:
            return code
        if not text.strip():
            continue
        try:
            code = talk.say(text)
        except Unauthorized:
            raise
        except DragomanError as error:
            click.echo(f"error: {one_line(error)}", err=True)
            code = ExitCode.ERROR
