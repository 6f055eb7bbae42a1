"""`dragoman doctor`: what is installed, what is set and by whom, whether a server could start."""

from __future__ import annotations

import platform
import re
import sys
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

import click

from dragoman._version import __version__
from dragoman.cli.exits import ExitCode
from dragoman.cli.output import Check, exact, print_json, print_table
from dragoman.core.redact import redact

_NEEDS = re.compile(r"^([A-Za-z0-9._-]+)\s*(?:\[([^\]]*)\])?.*;.*\bextra\s*==\s*['\"]([^'\"]+)['\"]")

_NEEDED = ("cli", "server")
"""The extras that a start needs; all others are for special uses."""


@click.command(short_help="Show settings and their sources, and what is missing.")
@click.argument("app", metavar="[MODULE:APP]", required=False)
@click.option("--demo", is_flag=True, help="As `serve --demo` would see it.")
@click.option("--host", multiple=True, metavar="ADDRESS", help="As `serve --host`.")
@click.option("--port", type=click.IntRange(0, 65535), help="As `serve --port`.")
@click.option("--data", metavar="DIR", help="As `serve --data`.")
@click.option("--config", metavar="FILE", help="As `serve --config`.")
@click.option("--all", "show_all", is_flag=True, help="Show every optional extra, not only `cli` and `server`.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.pass_context
def doctor(
    ctx: click.Context,
    app: str | None,
    demo: bool,
    host: tuple[str, ...],
    port: int | None,
    data: str | None,
    config: str | None,
    show_all: bool,
    as_json: bool,
) -> None:
    """Show what is installed, every setting with its source, and whether a server could start.

    Exit code 1 if something would keep the server from starting.
    """
    checks = [
        Check("dragoman", f"{__version__} in {Path(__file__).parents[1]}"),
        Check("python", f"{platform.python_version()} ({sys.executable})", sys.version_info >= (3, 11)),
        Check("platform", platform.platform()),
        *_extras(show_all or as_json),
    ]
    settings: list[dict[str, Any]] = []
    if not missing_of("server"):
        from dragoman.cli.starting import look  # late: needs the extra `server`

        found, settings = look(app, demo=demo, host=host, port=port, data=data, config=config)
        checks += found
    _print(checks, settings, as_json=as_json)
    ctx.exit((ExitCode.ERROR if any(check.ok is False for check in checks) else ExitCode.OK).value)


def _print(checks: list[Check], settings: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        print_json({"checks": [asdict(check) for check in checks], "settings": redact(settings)})
        return
    marks = {True: "ok", False: "FAULT", None: ""}
    print_table(("", "WHAT", "FOUND"), [(marks[check.ok], check.name, check.text) for check in checks])
    if settings:
        click.echo()
        rows = [(row["name"], exact(row["value"]), row["source"]) for row in redact(settings)]
        print_table(("SETTING", "VALUE", "FROM"), rows)


def extras() -> dict[str, list[str]]:
    """Each optional extra and the packages of it that are not installed; empty for one that is complete."""
    try:
        needs = metadata.requires("dragoman") or []
        names = metadata.metadata("dragoman").get_all("Provides-Extra") or []
    except metadata.PackageNotFoundError:  # run from a folder of sources
        return {}
    wanted: dict[str, set[str]] = {name: set() for name in names}
    for need in needs:
        match = _NEEDS.match(need)
        if match is not None and match[3] in wanted:
            inner = {part.strip() for part in (match[2] or "").split(",") if part.strip()}
            wanted[match[3]] |= {f"+{extra}" for extra in inner} if match[1] == "dragoman" else {match[1]}
    return {name: sorted(p for p in _expand(name, wanted) if not _is_installed(p)) for name in names}


def missing_of(extra: str) -> list[str]:
    """The packages of an extra that are not installed."""
    return extras().get(extra, [])


def _expand(name: str, wanted: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    for need in wanted.get(name, set()):
        found |= _expand(need[1:], wanted) if need.startswith("+") else {need}
    return found


def _is_installed(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True


def _extras(show_all: bool) -> list[Check]:
    found = extras()
    names = [name for name in _NEEDED if name in found]
    names += [name for name in found if name not in _NEEDED] if show_all else []
    return [_extra(name, found[name]) for name in names]


def _extra(name: str, missing: list[str]) -> Check:
    return Check(f"extra {name}", f"missing: {', '.join(missing)}" if missing else "installed")
