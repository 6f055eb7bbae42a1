"""`dragoman jobs`: runs of flows that wait in the server's queue until a worker takes them."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import quote

import click

from dragoman.cli.answers import as_object, as_rows, print_fields, tell_of_more
from dragoman.cli.client import OwnFace
from dragoman.cli.connection import Connection, connection_options
from dragoman.cli.flows import flow_path, start_options
from dragoman.cli.output import print_json, print_table, when
from dragoman.cli.runs import STATUSES, cancel, follow_run, print_cancelled
from dragoman.core.errors import UsageError
from dragoman.core.ids import new_id
from dragoman.transport.io import run_blocking


@click.group(short_help="Submit, list, follow and cancel jobs.")
def jobs() -> None:
    """Jobs of a server: queued runs of flows."""


@jobs.command("submit")
@click.argument("name", metavar="PROJECT/SLUG")
@click.argument("message", required=False)
@start_options
@click.option("--priority", type=click.IntRange(-1_000_000, 1_000_000), default=0, help="Higher goes first.")
@click.option("--wait", is_flag=True, help="Follow the job to its end and print its result.")
@click.option("--json", "as_json", is_flag=True, help="Print the server's answer (or the events) as JSON.")
@connection_options
@click.pass_context
def submit_job(
    ctx: click.Context,
    connection: Connection,
    name: str,
    given: dict[str, Any],
    priority: int,
    wait: bool,
    as_json: bool,
) -> None:
    """Put a run of a flow into the queue; prints the job's id."""
    body = {**given, **({"priority": priority} if priority else {})}
    with connection.face() as face:
        found = as_object(run_blocking(face.post(f"{flow_path(name)}/jobs", body, once=new_id(time.time()))))
        if wait:
            ctx.exit(follow_run(face, {**found, "last_seq": 0}, str(found.get("id")), as_json=as_json).value)
    if as_json:
        print_json(found)
    else:
        click.echo(str(found.get("id")))


@jobs.command("list")
@click.option("--status", type=click.Choice(STATUSES), multiple=True, help="Only these; may be given again.")
@click.option("--flow", metavar="PROJECT/SLUG", help="Only of this flow.")
@click.option("-n", "--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="At most so many.")
@click.option("--after", metavar="JOB", help="Those that follow this job (older).")
@click.option("--json", "as_json", is_flag=True, help="Print the server's answer as JSON.")
@connection_options
def list_jobs(connection: Connection, status: tuple[str, ...], as_json: bool, **filters: Any) -> None:
    """List jobs of the tenant, newest first."""
    with connection.face() as face:
        page = as_object(run_blocking(face.get("/jobs", {"status": ",".join(status) or None, **filters})))
    if as_json:
        print_json(page)
        return
    print_table(
        ("JOB", "STATUS", "FLOW", "PRIORITY", "CREATED", "ENDED"),
        [
            (
                str(row.get("id")),
                str(row.get("status")),
                str(row.get("flow")),
                str(row.get("priority", 0)),
                when(row.get("created")),
                when(row.get("ended")),
            )
            for row in as_rows(page, "runs")
        ],
    )
    tell_of_more(page, "runs", "jobs list", connection.url)


@jobs.command("show")
@click.argument("job")
@click.option("--json", "as_json", is_flag=True, help="Print the server's answer as JSON.")
@connection_options
def show_job(connection: Connection, job: str, as_json: bool) -> None:
    """Show everything the server tells about JOB, and its result."""
    with connection.face() as face:
        found = _job(face, job)
    if as_json:
        print_json(found)
    else:
        print_fields(found)


@jobs.command("wait")
@click.argument("job")
@click.option("--json", "as_json", is_flag=True, help="Print the events, one JSON object per line.")
@connection_options
@click.pass_context
def wait_for_job(ctx: click.Context, connection: Connection, job: str, as_json: bool) -> None:
    """Follow JOB to its end and print its result."""
    with connection.face() as face:
        code = follow_run(face, _job(face, job), job, as_json=as_json)
    ctx.exit(code.value)


@jobs.command("cancel")
@click.argument("job")
@click.option("--json", "as_json", is_flag=True, help="Print the server's answer as JSON.")
@connection_options
def cancel_job(connection: Connection, job: str, as_json: bool) -> None:
    """End JOB, whether it waits or runs."""
    with connection.face() as face:
        _job(face, job)
        print_cancelled(cancel(face, job), as_json=as_json)


def _job(face: OwnFace, job: str) -> dict[str, Any]:
    """The run, which must be a job."""
    found = as_object(run_blocking(face.get(f"/runs/{quote(job, safe='')}")))
    if found.get("kind") != "job":
        raise UsageError(f"{job!r} is no job but a run of kind {found.get('kind')!r}; see `dragoman runs`")
    return found
