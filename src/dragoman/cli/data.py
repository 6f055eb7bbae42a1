"""Which data directory a command means: the options, and what they come to."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from dragoman.cli.output import note
from dragoman.core.errors import UsageError
from dragoman.server.places import data_directory, user_data_directory
from dragoman.store.directory import DATABASE_NAME, MEMORY, locate


def data_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--data` and `--app`, handed over as `data` and `app_name`."""
    for option in (
        click.option("--app", "app_name", metavar="NAME", help="The app whose default data directory is meant."),
        click.option("--data", metavar="DIR", help="The data directory, as given to `serve`."),
    ):
        command = option(command)
    return command


def find_data(data: str | None, app_name: str | None) -> Path:
    """The data directory that is meant: told, set, the app's own, or the only one there is, which is then named.

    Raises UsageError where that is not clear.
    """
    given = data or _setting()
    if given == MEMORY:
        raise UsageError(f"{MEMORY!r} keeps nothing; name a data directory with --data")
    if given or app_name:
        return Path(data_directory(app_name or "", given)).expanduser()
    found = _existing()
    if len(found) == 1:
        note(f"[data: {found[0]}]")
        return found[0]
    raise UsageError(f"which data directory? name it with --data, or its app with --app ({_names(found)})")


def refuse_without_data(where: Path) -> None:
    """Raises UsageError where no server has kept anything: a mistyped name must not make a directory of its own."""
    if not locate(where).file.is_file():
        raise UsageError(
            f"there is no data in {str(where)!r}, so no server would know the key; check the name"
            f" ({_names(_existing())}), or add --new to make it"
        )


def _existing() -> list[Path]:
    return sorted(path.parent for path in (user_data_directory() / "dragoman").glob(f"*/{DATABASE_NAME}"))


def _names(found: list[Path]) -> str:
    return f"in {str(user_data_directory() / 'dragoman')!r}: {', '.join(path.name for path in found) or 'none yet'}"


def _setting() -> str | None:
    try:
        from dragoman.server.settings_sources import load_settings  # needs the extra `server`
    except ModuleNotFoundError:
        return os.environ.get("DRAGOMAN_DATA") or None
    return load_settings().settings.data
