"""`dragoman serve`: host an app, or the demo."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from dragoman.cli.client import DEFAULT_URL, DEMO_KEY
from dragoman.core.errors import UsageError

DEFAULT_PORT = 8080


@click.command(short_help="Serve an app, or the demo.")
@click.argument("app", metavar="[MODULE:APP]", required=False)
@click.option("--demo", is_flag=True, help="Serve the demo app: no key, no network.")
@click.option(
    "--host", multiple=True, metavar="ADDRESS", help="Listen here; may be given again. Default: 127.0.0.1 and ::1."
)
@click.option("--port", type=click.IntRange(0, 65535), help="Listen on this port; 0 takes any. Default: 8080.")
@click.option(
    "--data",
    metavar="DIR",
    help="Keep data here; `:memory:` keeps nothing. Default: DRAGOMAN_DATA, else the user's data directory.",
)
@click.option("--config", metavar="FILE", help="Read settings from this file. Default: dragoman.toml, if it is there.")
@click.option("--reload", is_flag=True, help="Start anew when a Python file of the working directory changes.")
def serve(
    app: str | None,
    demo: bool,
    host: tuple[str, ...],
    port: int | None,
    data: str | None,
    config: str | None,
    reload: bool,
) -> None:
    """Serve MODULE:APP (as in `app:app`) or, with --demo, the demo app, until Ctrl-C.

    Every setting can be given in the environment or in dragoman.toml as well; `dragoman doctor`
    shows which one counts.
    """
    from dragoman.cli.starting import DEMO_APP, load_app, strange_names  # late: `--help` needs no server
    from dragoman.server.places import data_directory
    from dragoman.server.serve import run
    from dragoman.server.settings_sources import load_settings

    if reload:
        from dragoman.cli.reloading import keep_serving

        keep_serving(_arguments(app, demo, host, port, data, config))
        return
    loaded = load_app(app, demo=demo)
    if strange := strange_names():
        click.echo(f"warning: names in the environment that are no setting: {strange}", err=True)

    def started(url: str) -> None:
        flows = [flow.name for flow in loaded.flows]
        for line in demo_lines(url) if demo else app_lines(loaded.name, url, agents=bool(loaded.agents), flows=flows):
            click.echo(line)
        given = data or load_settings(app=loaded.settings, config=config, demo=demo).settings.data
        click.echo(data_line(data_directory("demo" if demo else loaded.name, given)))
        sys.stdout.flush()

    try:
        source = DEMO_APP if demo else app
        run(loaded, host or None, port, data=data, demo=demo, config=config, on_start=started, source=source)
    except UsageError as error:
        raise _in_words_of_make(error, port or DEFAULT_PORT) from error


def demo_lines(url: str) -> list[str]:
    """What to do next, in four lines."""
    where = "" if url == DEFAULT_URL else f"--url {url} "
    return [
        f"open   {url}/",
        f'chat   {command()} chat {where}"tool: add 2 3"',
        f"flow   {command()} flows run {where}basics/two-step hello",
        f"curl   curl -sN {url}/dragoman/v1/runs -H 'authorization: Bearer {DEMO_KEY}' -H 'accept: text/event-stream'"
        ' -H \'content-type: application/json\' -d \'{"message": {"text": "count: 5"}}\'',
    ]


def app_lines(name: str, url: str, *, agents: bool = True, flows: Sequence[str] = ()) -> list[str]:
    """Where the app is, how to talk to its agents, if it has any, and how to run the first of its flows."""
    where = "" if url == DEFAULT_URL else f"--url {url} "
    lines = [f"{name} listens on {url}; Ctrl-C ends it"]
    if agents:
        lines.append(f'chat   DRAGOMAN_KEY=… {command()} chat {where}"hello"')
    if flows:
        lines.append(f'flow   DRAGOMAN_KEY=… {command()} flows run {where}{flows[0]} "hello"')
    return lines


def data_line(where: str | Path) -> str:
    """Where it keeps what it knows."""
    kept = "in memory, until it ends" if str(where) == ":memory:" else Path(where).expanduser().absolute()
    return f"data   {kept}"


def command() -> str:
    """How to call `dragoman` from another terminal: by its name if the shell finds it, else by its path."""
    beside = Path(sys.executable).with_name("dragoman.exe" if sys.platform == "win32" else "dragoman")
    found = shutil.which("dragoman")
    if found is not None and Path(found).resolve() == beside.resolve():
        return "dragoman"
    return str(beside) if beside.is_file() else f"{sys.executable} -m dragoman"


def _in_words_of_make(error: UsageError, port: int) -> UsageError:
    """The same error; one that an option mends says what to type instead where `make demo` has called."""
    mends = {"port_in_use": f"make demo PORT={port + 1}", "data_in_use": 'make demo ARGS="--data :memory:"'}
    mend = mends.get(error.code or "")
    if mend is None or "_DRAGOMAN_MAKE" not in os.environ:
        return error
    return UsageError(f"{error.message}: {mend}", code=error.code)


def _arguments(
    app: str | None, demo: bool, host: tuple[str, ...], port: int | None, data: str | None, config: str | None
) -> list[str]:
    """The same call without `--reload`."""
    given = ["serve", *([app] if app else []), *(["--demo"] if demo else [])]
    for value in host:
        given += ["--host", value]
    for name, option in (("--port", port), ("--data", data), ("--config", config)):
        if option is not None:
            given += [name, str(option)]
    return given
