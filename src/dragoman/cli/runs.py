"""`dragoman runs`: what ran, what runs, what happened in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import click

from dragoman.cli.connection import Connection, again, connection_options
from dragoman.cli.following import Policy, Progress, run_to_end
from dragoman.cli.output import AnswerPrinter, exact, print_json, print_table, when
from dragoman.core.errors import ProtocolError
from dragoman.transport.io import run_blocking

STATUSES = ("queued", "running", "paused", "completed", "failed", "cancelled")
_ENDED = STATUSES[3:]


@click.group(short_help="List, show, follow and cancel runs.")
def runs() -> None:
    """Runs of a server, newest first."""


@runs.command("list")
@click.option("--status", type=click.Choice(STATUSES), multiple=True, help="Only these; may be given again.")
@click.option("--agent", metavar="NAME", help="Only of this agent.")
@click.option("--thread", metavar="ID", help="Only of this thread.")
@click.option("-n", "--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="At most so many.")
@click.option("--after", metavar="RUN", help="Those that follow this run (older).")
@click.option("--json", "as_json", is_flag=True, help="Print the server's answer as JSON.")
@connection_options
def list_runs(
    connection: Connection,
    status: tuple[str, ...],
    agent: str | None,
    thread: str | None,
    limit: int,
    after: str | None,
    as_json: bool,
) -> None:
    """List runs, newest first."""
    query = {"status": ",".join(status) or None, "agent": agent, "thread": thread, "limit": limit, "after": after}
    with connection.face() as face:
        page = _object(run_blocking(face.get("/runs", query)))
    if as_json:
        print_json(page)
        return
    rows = page.get("runs")
    if not isinstance(rows, list):
        raise ProtocolError(f"expected a list of runs, got {page!r:.80}")
    print_table(
        ("RUN", "STATUS", "AGENT", "CREATED", "TOKENS"),
        [
            (
                str(row.get("id")),
                str(row.get("status")),
                str(row.get("agent") or row.get("name") or "-"),
                when(row.get("created")),
                _tokens(row.get("usage")),
            )
            for row in rows
        ],
    )
    if page.get("more") and rows:
        command = f"runs list --after {rows[-1].get('id')}"
        click.echo(f"more: {again(command, connection.url)}", err=True)


@runs.command("show")
@click.argument("run")
@click.option("--json", "as_json", is_flag=True, help="Print the server's answer as JSON.")
@connection_options
def show_run(connection: Connection, run: str, as_json: bool) -> None:
    """Show everything the server tells about RUN."""
    with connection.face() as face:
        found = _object(run_blocking(face.get(f"/runs/{quote(run, safe='')}")))
    if as_json:
        print_json(found)
        return
    rows = [(name, _cell(name, value)) for name, value in found.items() if value not in (None, "", {}, [])]
    print_table(("FIELD", "VALUE"), rows)


@runs.command("tail")
@click.argument("run")
@click.option("--after", type=click.IntRange(0), default=0, help="Begin behind this event.")
@click.option("--approve", "policy", flag_value="approve", help="Approve every tool that asks.")
@click.option("--deny", "policy", flag_value="deny", help="Deny every tool that asks.")
@click.option("--json", "as_json", is_flag=True, help="Print the events, one JSON object per line.")
@connection_options
@click.pass_context
def tail_run(
    ctx: click.Context, connection: Connection, run: str, after: int, policy: Policy | None, as_json: bool
) -> None:
    """Print RUN from its beginning and follow it to its end."""
    with connection.face() as face:
        found = _object(run_blocking(face.get(f"/runs/{quote(run, safe='')}")))
        progress = Progress(run=run, history=_count(found.get("last_seq")))
        if after and after >= progress.history and found.get("status") in _ENDED:
            return  # nothing follows its last event, and nothing ever will
        printer = AnswerPrinter(as_json=as_json)
        events = face.follow(run, after=after)
        code = run_blocking(run_to_end(face, events, printer, progress, policy=policy or "ask"))
    ctx.exit(code.value)


@runs.command("cancel")
@click.argument("run")
@click.option("--json", "as_json", is_flag=True, help="Print the server's answer as JSON.")
@connection_options
def cancel_run(connection: Connection, run: str, as_json: bool) -> None:
    """End RUN, and the model call it is in."""
    with connection.face() as face:
        answer = _object(run_blocking(face.post(f"/runs/{quote(run, safe='')}/cancel")))
    if as_json:
        print_json(answer)
    else:
        click.echo("cancelled" if answer.get("cancelled", True) else "the run had ended before")


def _object(answer: Any) -> dict[str, Any]:
    if isinstance(answer, dict):
        return answer
    raise ProtocolError(f"expected a JSON object, got {answer!r:.80}; is this a Dragoman server?")


def _cell(name: str, value: Any) -> str:
    if name in ("created", "started", "ended", "updated") and isinstance(value, int | float):
        return when(value)
    return value if isinstance(value, str) else exact(value)


def _tokens(usage: Any) -> str:
    """Tokens in and out; `-` if nobody reported any."""
    counts = [usage.get(name) for name in ("prompt_tokens", "completion_tokens")] if isinstance(usage, Mapping) else []
    known = [count for count in counts if isinstance(count, int)]
    return str(sum(known)) if known else "-"


def _count(value: Any) -> int:
    return value if isinstance(value, int) else 0
