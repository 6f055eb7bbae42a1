"""`dragoman runs`: what ran, what runs, what happened in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import click

from dragoman.cli.answers import as_count, as_object, as_rows, print_fields, seconds, tell_of_more, tokens
from dragoman.cli.client import OwnFace
from dragoman.cli.connection import Connection, connection_options
from dragoman.cli.exits import ExitCode
from dragoman.cli.flow_following import FlowPrinter, run_flow_to_end
from dragoman.cli.following import Policy, Progress, run_to_end
from dragoman.cli.output import AnswerPrinter, print_json, print_table, when
from dragoman.transport.io import run_blocking

STATUSES = ("queued", "running", "paused", "completed", "failed", "cancelled")
KINDS = ("chat", "execute", "step", "job", "command", "completion")
_ENDED = STATUSES[3:]
_BAR = 40


@click.group(short_help="List, show, follow, trace and cancel runs.")
def runs() -> None:
    """Runs of a server, newest first."""


@runs.command("list")
@click.option("--status", type=click.Choice(STATUSES), multiple=True, help="Only these; may be given again.")
@click.option("--kind", type=click.Choice(KINDS), help="Only of this kind; execute, step and job are of flows.")
@click.option("--agent", metavar="NAME", help="Only of this agent.")
@click.option("--flow", metavar="PROJECT/SLUG", help="Only of this flow.")
@click.option("--session", metavar="ID", help="Only of this session.")
@click.option("--thread", metavar="ID", help="Only of this thread.")
@click.option("-n", "--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="At most so many.")
@click.option("--after", metavar="RUN", help="Those that follow this run (older).")
@click.option("--json", "as_json", is_flag=True, help="Print the server's answer as JSON.")
@connection_options
def list_runs(connection: Connection, status: tuple[str, ...], as_json: bool, **filters: Any) -> None:
    """List runs, newest first: your own; of flows, if they are asked for, all of the tenant."""
    with connection.face() as face:
        page = as_object(run_blocking(face.get("/runs", {"status": ",".join(status) or None, **filters})))
    if as_json:
        print_json(page)
        return
    print_runs(as_rows(page, "runs"))
    tell_of_more(page, "runs", "runs list", connection.url)


def print_runs(rows: list[dict[str, Any]]) -> None:
    """Runs as a table."""
    print_table(
        ("RUN", "STATUS", "NAME", "CREATED", "TOKENS"),
        [
            (
                str(row.get("id")),
                str(row.get("status")),
                str(row.get("agent") or row.get("flow") or "-"),
                when(row.get("created")),
                tokens(row.get("usage")),
            )
            for row in rows
        ],
    )


@runs.command("show")
@click.argument("run")
@click.option("--json", "as_json", is_flag=True, help="Print the server's answer as JSON.")
@connection_options
def show_run(connection: Connection, run: str, as_json: bool) -> None:
    """Show everything the server tells about RUN."""
    with connection.face() as face:
        found = as_object(run_blocking(face.get(f"/runs/{quote(run, safe='')}")))
    if as_json:
        print_json(found)
        return
    print_fields(found)


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
        found = as_object(run_blocking(face.get(f"/runs/{quote(run, safe='')}")))
        code = follow_run(face, found, run, after=after, policy=policy or "ask", as_json=as_json)
    ctx.exit(code.value)


def follow_run(
    face: OwnFace, found: Mapping[str, Any], run: str, *, after: int = 0, policy: Policy = "ask", as_json: bool = False
) -> ExitCode:
    """Follow a run that the server has told of, to its end or to a pause that nobody here can end."""
    progress = Progress(run=run, history=as_count(found.get("last_seq")))
    if after and after >= progress.history and found.get("status") in _ENDED:
        return ExitCode.OK  # nothing follows its last event, and nothing ever will
    events = face.follow(run, after=after)
    if found.get("flow"):
        return run_blocking(run_flow_to_end(face, events, FlowPrinter(as_json=as_json), progress))
    return run_blocking(run_to_end(face, events, AnswerPrinter(as_json=as_json), progress, policy=policy))


@runs.command("trace")
@click.argument("run")
@click.option("--step", metavar="KEY", help="Only this step, with its input and output.")
@click.option("--json", "as_json", is_flag=True, help="Print the server's answer as JSON.")
@connection_options
def trace_run(connection: Connection, run: str, step: str | None, as_json: bool) -> None:
    """Show RUN as a timeline: each step, when it began, how long it took, where the run waited."""
    with connection.face() as face:
        found = as_object(run_blocking(face.get(f"/runs/{quote(run, safe='')}/trace", {"step": step})))
    if as_json:
        print_json(found)
    elif step is not None:
        for one in as_rows(found, "steps"):
            print_fields(one)
    else:
        _print_timeline(found)


def _print_timeline(found: Mapping[str, Any]) -> None:
    steps, waits = as_rows(found, "steps"), as_rows(found, "waits")
    ends = [(one.get("start") or 0.0) + (one.get("duration") or 0.0) for one in (*steps, *waits)]
    whole = max([found.get("duration") or 0.0, *ends, 1e-6])
    depth: dict[str | None, int] = {None: -1}
    rows = []
    for one in steps:
        depth[str(one.get("key"))] = level = depth.get(one.get("parent"), -1) + 1
        tries = len(one.get("attempts") or ())
        label = f"{'  ' * level}{one.get('key')}"
        rows.append((label, str(one.get("status")), str(tries), tokens(one.get("usage")), one))
    rows += [
        (f"({one.get('reason')})", "waits" if one.get("duration") is None else "waited", "-", "-", one) for one in waits
    ]
    rows.sort(key=lambda row: row[4].get("start") or 0.0)
    print_table(
        ("STEP", "STATUS", "TRIES", "TOKENS", "START", "SECONDS", "TIMELINE"),
        [
            (*row[:4], seconds(row[4].get("start")), seconds(row[4].get("duration")), _bar(row[4], whole))
            for row in rows
        ],
    )


def _bar(one: Mapping[str, Any], whole: float) -> str:
    begin = one.get("start") or 0.0
    end = whole if one.get("duration") is None else begin + one["duration"]
    first = min(_BAR - 1, int(begin / whole * _BAR))
    return " " * first + ("·" if "reason" in one else "█") * max(1, round(end / whole * _BAR) - first)


@runs.command("cancel")
@click.argument("run")
@click.option("--json", "as_json", is_flag=True, help="Print the server's answer as JSON.")
@connection_options
def cancel_run(connection: Connection, run: str, as_json: bool) -> None:
    """End RUN, and the model call it is in."""
    with connection.face() as face:
        print_cancelled(cancel(face, run), as_json=as_json)


def cancel(face: OwnFace, run: str) -> dict[str, Any]:
    """Cancel a run; the server's answer."""
    return as_object(run_blocking(face.post(f"/runs/{quote(run, safe='')}/cancel")))


def print_cancelled(answer: Mapping[str, Any], *, as_json: bool) -> None:
    """What became of it."""
    if as_json:
        print_json(answer)
    else:
        click.echo("cancelled" if answer.get("cancelled", True) else "the run had ended before")
