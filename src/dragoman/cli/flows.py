"""`dragoman flows`: what is served, what it is made of, and running it."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import click

from dragoman.cli.answers import as_count, as_object, as_rows
from dragoman.cli.client import OwnFace
from dragoman.cli.connection import Connection, again, connection_options
from dragoman.cli.flow_following import FlowPrinter, Tools, as_pair, as_tools, run_flow_to_end
from dragoman.cli.following import Progress
from dragoman.cli.output import note, print_json, print_table, visible
from dragoman.core.errors import ProtocolError, UsageError
from dragoman.core.flow_graph import as_mermaid, as_text, count_steps
from dragoman.core.flows import Node, decode_node
from dragoman.core.ids import new_id
from dragoman.transport.io import run_blocking

CAPTURE = ("off", "metadata_only", "redacted", "full")


@click.group(short_help="List, show and run flows.")
def flows() -> None:
    """Flows of a server, named PROJECT/SLUG."""


@flows.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print the server's answer as JSON.")
@connection_options
def list_flows(connection: Connection, as_json: bool) -> None:
    """List the flows that are served."""
    with connection.face() as face:
        page = as_object(run_blocking(face.get("/flows")))
    if as_json:
        print_json(page)
        return
    print_table(
        ("FLOW", "PRODUCTION", "VERSIONS", "STEPS", "DESCRIPTION"),
        [
            (
                str(row.get("name")),
                str(row.get("production") or "-"),
                _versions(row),
                str(row.get("steps")),
                str(row.get("description") or ""),
            )
            for row in as_rows(page, "flows")
        ],
    )


def _versions(row: Mapping[str, Any]) -> str:
    numbers = [str(number) for number in row.get("versions") or ()]
    return ", ".join([*numbers, *(["draft"] if row.get("has_draft") else [])]) or "-"


@flows.command("show")
@click.argument("name", metavar="PROJECT/SLUG")
@click.option("--version", "wanted", metavar="N|draft", help="This version; by default what runs if none is asked for.")
@click.option("--mermaid", is_flag=True, help="Print the graph as a Mermaid flowchart, for pages.")
@click.option("--json", "as_json", is_flag=True, help="Print the server's answer as JSON.")
@connection_options
def show_flow(connection: Connection, name: str, wanted: str | None, mermaid: bool, as_json: bool) -> None:
    """Show the steps of a flow: what follows what, and which keywords a caller may change."""
    with connection.face() as face:
        found = as_object(run_blocking(face.get(flow_path(name))))
    if as_json:
        print_json(found)
        return
    version, nodes = _pick(found, wanted)
    if mermaid:
        click.echo(as_mermaid(nodes), nl=False)
        return
    marks = ["draft" if version == 0 else f"version {version}"]
    marks += ["production"] if version and version == found.get("production") else []
    click.echo(visible(f"{found.get('name')}, {', '.join(marks)}"))
    if found.get("description"):
        click.echo(visible(str(found["description"])))
    click.echo(visible(as_text(nodes)), nl=False)


@flows.command("versions")
@click.argument("name", metavar="PROJECT/SLUG")
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON.")
@connection_options
def list_versions(connection: Connection, name: str, as_json: bool) -> None:
    """List the versions of a flow: the published numbers, and the draft."""
    with connection.face() as face:
        found = as_object(run_blocking(face.get(flow_path(name))))
    trees = [
        (as_count(tree.get("version")), bool(tree.get("production")), _nodes(tree)) for tree in as_rows(found, "tree")
    ]
    if as_json:
        print_json(
            [
                {
                    "version": version,
                    "production": production,
                    "steps": count_steps(nodes),
                    "ids": [n.id for n in nodes],
                }
                for version, production, nodes in trees
            ]
        )
        return
    print_table(
        ("VERSION", "PRODUCTION", "STEPS", "TOP LEVEL"),
        [
            (
                str(version or "draft"),
                "yes" if production else "",
                str(count_steps(nodes)),
                ", ".join(n.id for n in nodes),
            )
            for version, production, nodes in trees
        ],
    )


def _pick(found: Mapping[str, Any], wanted: str | None) -> tuple[int, list[Node]]:
    """The version that is asked for, else production, else the draft."""
    trees = {as_count(tree.get("version")): tree for tree in as_rows(found, "tree")}
    number = as_count(found.get("production"))
    if wanted is not None:
        asked = as_version(wanted)
        number = number if asked == "production" else 0 if asked == "draft" else int(asked)
    if number not in trees:
        names = ", ".join(str(one or "draft") for one in sorted(trees))
        raise UsageError(f"{found.get('name')!r} has no version {wanted or 'at all'!r}; versions: {names or 'none'}")
    return number, _nodes(trees[number])


def _nodes(tree: Mapping[str, Any]) -> list[Node]:
    try:
        return [decode_node(row) for row in as_rows(tree, "nodes")]
    except (KeyError, TypeError) as error:
        raise ProtocolError(f"expected the steps of a flow, got {tree!r:.80}") from error


# --------------------------------------------------------------------------- running


def start_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what a flow can be started with, and hand it to the command as `given`, the body of the request."""

    @click.option("-p", "--param", "params", metavar="NAME=VALUE", multiple=True, help="A parameter, JSON or text.")
    @click.option(
        "--set", "overrides", metavar="STEP.NAME=VALUE", multiple=True, help="Change the configuration of a step."
    )
    @click.option("--version", "wanted", metavar="N|draft|production", help="This version.")
    @click.option("--session", metavar="ID", help="Record the run in this session.")
    @click.option("--capture", type=click.Choice(CAPTURE), help="How much of inputs and outputs is kept.")
    @functools.wraps(command)
    def with_given(
        *args: Any,
        message: str | None,
        params: tuple[str, ...],
        overrides: tuple[str, ...],
        wanted: str | None,
        session: str | None,
        capture: str | None,
        **kwargs: Any,
    ) -> Any:
        given = {
            "message": message,
            "parameters": dict(as_pair(text, "--param NAME=VALUE") for text in params),
            "overrides": _overrides(overrides),
            "version": None if wanted is None else as_version(wanted),
            "session": session,
            "capture": capture,
        }
        return command(*args, given={name: value for name, value in given.items() if value not in (None, {})}, **kwargs)

    return with_given


@flows.command("run")
@click.argument("name", metavar="PROJECT/SLUG")
@click.argument("message", required=False)
@start_options
@click.option(
    "--tool", "tools", metavar="NAME=OUTPUT", multiple=True, help="What a tool of the caller gives, JSON or text."
)
@click.option("--stepwise", is_flag=True, help="Pause after each step; `flows continue` goes on.")
@click.option("--json", "as_json", is_flag=True, help="Print the run's events, one JSON object per line.")
@connection_options
@click.pass_context
def run_flow(
    ctx: click.Context,
    connection: Connection,
    name: str,
    given: dict[str, Any],
    tools: tuple[str, ...],
    stepwise: bool,
    as_json: bool,
) -> None:
    """Run a flow with MESSAGE and follow it to its end.

    The result goes to stdout, everything else to stderr. A connection that breaks is made again. Where the run waits
    for a tool, --tool answers; without one it is asked for on a terminal, else the run waits (exit code 5).
    """
    answers, names = as_tools(tools, connection.url)
    body = {**given, **({"stepwise": True} if stepwise else {})}
    if names:
        body["tools"] = [{"name": tool} for tool in names]
    with connection.face() as face:
        events = face.begin(f"{flow_path(name)}/runs", body, once=new_id(time.time()))
        ctx.exit(_follow(face, events, Progress(), FlowPrinter(as_json=as_json), answers).value)


@flows.command("continue")
@click.argument("run")
@click.option(
    "--tool", "tools", metavar="NAME=OUTPUT", multiple=True, help="What a tool of the caller gives, JSON or text."
)
@click.option("--json", "as_json", is_flag=True, help="Print the events that follow, one JSON object per line.")
@connection_options
@click.pass_context
def continue_flow(ctx: click.Context, connection: Connection, run: str, tools: tuple[str, ...], as_json: bool) -> None:
    """Let RUN, which waits for a tool or for its next step, go on, and follow it."""
    answers, _ = as_tools(tools, connection.url)
    with connection.face() as face:
        found = as_object(run_blocking(face.get(f"/runs/{quote(run, safe='')}")))
        if not found.get("flow"):
            raise UsageError(f"{run!r} is a run of an agent; `dragoman runs tail {run}` goes on with it")
        history = as_count(found.get("last_seq"))
        waits = found.get("status") == "paused"
        printer = FlowPrinter(as_json=as_json, seen=history if waits else 0)
        progress = Progress(run=run, history=history)
        ctx.exit(_follow(face, face.follow(run), progress, printer, answers, go_on=waits).value)


def _follow(
    face: OwnFace, events: Any, progress: Progress, printer: FlowPrinter, tools: Tools, *, go_on: bool = False
) -> Any:
    try:
        return run_blocking(run_flow_to_end(face, events, printer, progress, tools=tools, go_on=go_on))
    except KeyboardInterrupt:
        printer.end_line()
        if progress.run is not None and progress.final is None:
            tail, cancel = (again(f"runs {verb} {progress.run}", face.url) for verb in ("tail", "cancel"))
            note(f"[the run goes on: {tail} or {cancel}]")
        raise


def flow_path(name: str) -> str:
    """The path of a flow on the own face. Raises UsageError for a name of another form."""
    project, slash, slug = name.partition("/")
    if not slash or not project or not slug or "/" in slug:
        raise UsageError(f"expected a flow as PROJECT/SLUG, got {name!r}")
    return f"/flows/{quote(project, safe='')}/{quote(slug, safe='')}"


def as_version(text: str) -> int | str:
    """`draft`, `production` or a published number."""
    if text in ("draft", "production"):
        return text
    if text.isascii() and text.isdecimal() and len(text) < 10 and int(text) > 0:
        return int(text)
    raise UsageError(f"expected a version as a number, draft or production, got {text!r}")


def _overrides(given: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for text in given:
        place, value = as_pair(text, "--set STEP.NAME=VALUE")
        step, dot, name = place.rpartition(".")
        if not dot or not step or not name:
            raise UsageError(f"expected --set STEP.NAME=VALUE, got {text!r}")
        found.setdefault(step, {})[name] = value
    return found
