"""`dragoman replay`: a recorded session against the code as it is now."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from dragoman.cli.connection import Connection, connection_options
from dragoman.cli.exits import ExitCode
from dragoman.cli.output import note, print_json, visible
from dragoman.core.cassette import outcome
from dragoman.core.errors import ConnectionFailed, NotFound
from dragoman.testing.cassette import Cassette
from dragoman.testing.replaying.comparing import NOTHING, Difference
from dragoman.transport.io import run_blocking

_DEMO = "demo"
_DEMO_APP = "dragoman.demo.app:app"
_USUAL_APP = "app:app"


def fetch_cassette(connection: Connection, session: str) -> Cassette:
    """The session, or the thread of this id, as the server exports it. Raises DragomanError."""
    with connection.face() as face:
        document = run_blocking(face.get(f"/sessions/{quote(session, safe='')}/cassette"))
    return Cassette.of(document, place=f"the server's answer about {session!r}")


@click.command(short_help="Run a recorded session through your code as it is now.")
@click.argument("session", metavar="SESSION")
@click.option("--against", metavar="MODULE:APP", help=f"The app to run; by default {_USUAL_APP}, or the demo's.")
@click.option("--json", "as_json", is_flag=True, help="Print all outcomes and differences as JSON.")
@connection_options
@click.pass_context
def replay(ctx: click.Context, connection: Connection, session: str, against: str | None, as_json: bool) -> None:
    """Run SESSION through the code as it is now, and show what comes out otherwise.

    SESSION is a cassette's file, or the id of a session or thread of a server. Models and writing tools answer as they did,
    the network is cut. Exits with 1 if anything differs.
    """
    from dragoman.testing.replaying import find_app, replay_blocking  # late: `--help` needs no engine

    cassette = _cassette(connection, session)
    chosen = against or (_DEMO_APP if cassette.app == _DEMO else _USUAL_APP)
    logging.getLogger("dragoman").addHandler(logging.NullHandler())  # what a recorded model's failure logs is old news
    found = replay_blocking(cassette, find_app(chosen))
    if as_json:
        runs = [
            {
                "run": run.recorded["run"],
                "name": run.recorded["name"],
                "recorded": outcome(run.recorded),
                "replayed": None if run.document is None else outcome(run.document),
                "differences": len(run.differences),
            }
            for run in found.runs
        ]
        differences = [_encoded(each) for each in found.differences]
        told: dict[str, Any] = {"session": cassette.session, "app": cassette.app, "against": chosen}
        print_json(told | {"runs": runs, "differences": differences, "remarks": found.remarks, "wanted": found.wanted})
    else:
        count = len(found.differences)
        verdict = "no difference" if not count else f"{count} difference{'s' if count > 1 else ''}"
        plural = "s" if len(found.runs) != 1 else ""
        line = f"{cassette.session}: {len(found.runs)} run{plural} replayed against {chosen}, {verdict}"
        click.echo(visible(line).replace("\n", " "))
        if count:
            click.echo(visible(found.told()))
        for remark in found.remarks:
            note(f"[{remark}]")
        for place in found.wanted:
            note(f"[the code wanted to reach {place}; nothing was sent]")
    ctx.exit((ExitCode.ERROR if found.differences else ExitCode.OK).value)


def _cassette(connection: Connection, session: str) -> Cassette:
    path = Path(session)
    if path.is_file() or path.suffix == ".json":
        return Cassette.load(path)
    try:
        return fetch_cassette(connection, session)
    except NotFound as error:
        raise NotFound(f"there is no session or thread {session!r} on {connection.url}, and no such file") from error
    except ConnectionFailed as error:
        raise ConnectionFailed(f"there is no file {session!r}, and {error.message}") from error


def _encoded(difference: Difference) -> dict[str, Any]:
    told = {"where": list(difference.where), "recorded": difference.recorded, "replayed": difference.replayed}
    return {name: value for name, value in told.items() if value is not NOTHING}
