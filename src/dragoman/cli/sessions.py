"""`dragoman sessions`: runs that a client has grouped, to look at and to replay."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import click

from dragoman.cli.answers import as_object, as_rows, print_fields, tell_of_more
from dragoman.cli.connection import Connection, connection_options
from dragoman.cli.output import print_json, print_table, when
from dragoman.cli.runs import print_runs
from dragoman.transport.io import run_blocking


@click.group(short_help="List, show and export sessions.")
def sessions() -> None:
    """Sessions of a server; a thread can be shown and exported as one as well."""


@sessions.command("list")
@click.option("-n", "--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="At most so many.")
@click.option("--after", metavar="SESSION", help="Those that follow this session.")
@click.option("--json", "as_json", is_flag=True, help="Print the server's answer as JSON.")
@connection_options
def list_sessions(connection: Connection, as_json: bool, **query: Any) -> None:
    """List sessions that have not expired, the one last used first."""
    with connection.face() as face:
        page = as_object(run_blocking(face.get("/sessions", query)))
    if as_json:
        print_json(page)
        return
    print_table(
        ("SESSION", "CREATED", "UPDATED", "EXPIRES"),
        [
            (str(row.get("id")), *(when(row.get(name)) for name in ("created", "updated", "expires")))
            for row in as_rows(page, "sessions")
        ],
    )
    tell_of_more(page, "sessions", "sessions list", connection.url)


@sessions.command("show")
@click.argument("session")
@click.option(
    "-n", "--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="At most so many runs."
)
@click.option("--after", metavar="RUN", help="Runs that follow this one (older).")
@click.option("--json", "as_json", is_flag=True, help="Print the server's answer as JSON.")
@connection_options
def show_session(connection: Connection, session: str, as_json: bool, **query: Any) -> None:
    """Show SESSION and its runs, newest first."""
    with connection.face() as face:
        found = as_object(run_blocking(face.get(_path(session), query)))
    if as_json:
        print_json(found)
        return
    print_fields({name: value for name, value in found.items() if name not in ("runs", "more", "next")})
    click.echo()
    print_runs(as_rows(found, "runs"))
    tell_of_more(found, "runs", f"sessions show {session}", connection.url)


@sessions.command("export")
@click.argument("session")
@click.option(
    "-o", "--output", metavar="FILE", type=click.Path(path_type=Path), help="Write to this file instead of stdout."
)
@click.option(
    "--format",
    "form",
    type=click.Choice(("json", "test")),
    default="json",
    show_default=True,
    help="A cassette, or a test of pytest with its cassette beside.",
)
@click.option(
    "--against", metavar="MODULE:APP", default="app:app", show_default=True, help="The app that the test runs."
)
@click.option("--json", "as_json", is_flag=True, help="Print which files were written as JSON.")
@connection_options
def export_session(
    connection: Connection,
    session: str,
    output: Path | None,
    form: Literal["json", "test"],
    against: str,
    as_json: bool,
) -> None:
    """Export SESSION as a cassette: what it takes to replay it without a model; secrets are taken out."""
    from dragoman.testing.cassette import Cassette, save  # late: the other commands need no cassettes

    if output is None and form == "test":
        raise click.UsageError("--format test needs --output test_NAME.py")
    with connection.face() as face:
        cassette = Cassette.of(run_blocking(face.get(f"{_path(session)}/cassette")), place="the server's answer")
    if output is None:
        click.echo(cassette.text(), nl=False)
        return
    written = save(cassette, output, format=form, against=against)
    if as_json:
        print_json({"session": session, "files": [str(path) for path in written]})
    else:
        click.echo(f"wrote {', '.join(str(path) for path in written)}")


def _path(session: str) -> str:
    return f"/sessions/{quote(session, safe='')}"
