"""Where data lies when nobody says: the user's data directory of each platform."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from dragoman.core.errors import UsageError


def user_data_directory(environment: dict[str, str] | None = None, platform: str | None = None) -> Path:
    """The directory in which this user's programs keep their data."""
    env = dict(os.environ) if environment is None else environment
    platform = platform or sys.platform
    try:
        home = Path(env["HOME"]) if env.get("HOME") else Path.home()
    except RuntimeError as error:
        raise UsageError("there is no home directory; say where data is to lie with --data or DRAGOMAN_DATA") from error
    if platform == "win32":
        return Path(env["LOCALAPPDATA"]) if env.get("LOCALAPPDATA") else home / "AppData" / "Local"
    if platform == "darwin":
        return home / "Library" / "Application Support"
    given = env.get("XDG_DATA_HOME", "")
    return Path(given) if given.startswith("/") else home / ".local" / "share"


def data_directory(name: str, data: str | Path | None) -> str | Path:
    """`data` if given (`:memory:` included), else the user's data directory + `dragoman/NAME`."""
    if data is not None:
        return data
    safe = re.sub(r"[^A-Za-z0-9._-]", "-", name).lstrip(".") or "app"
    return user_data_directory() / "dragoman" / safe
