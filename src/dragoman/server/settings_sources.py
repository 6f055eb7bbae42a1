"""Where settings come from: command line, environment, file, app, demo, default; first hit wins.

Also tells the source of each value (`dragoman doctor`) and the table of all settings (docs).
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import EnvSettingsSource
from pydantic_settings.exceptions import SettingsError

from dragoman.core.errors import UsageError
from dragoman.server.settings import DEMO_DEFAULTS, Settings
from dragoman.transport.options import RECORD, REPLAY, TIMES

FILE_NAME = "dragoman.toml"
_PREFIX = "DRAGOMAN_"
_OTHERS = ("DRAGOMAN_URL", "DRAGOMAN_KEY", RECORD, REPLAY, TIMES)
"""What the commands that talk to a server read, and clients."""


@dataclass(frozen=True, slots=True)
class Source:
    """One place that gave values; `name` is for people."""

    name: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Explained:
    """One setting as it is: `source` names where the value came from."""

    name: str
    value: Any
    source: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings, and the sources they were put together from, strongest first."""

    settings: Settings
    sources: tuple[Source, ...]

    def explain(self) -> list[Explained]:
        """Every setting with its value and source, in the order of the table."""
        found = []
        for path, _ in _leaves(Settings):
            value: Any = self.settings
            for key in path:
                value = getattr(value, key)
            source = next((s.name for s in self.sources if _has(s.values, path)), "default")
            found.append(Explained(".".join(path), value, source))
        return found


def load_settings(
    *,
    overrides: Mapping[str, Any] | None = None,
    app: Mapping[str, Any] | None = None,
    config: str | Path | None = None,
    demo: bool = False,
    environment: bool = True,
) -> Loaded:
    """Put the settings together.

    `overrides` is the command line (nested or dotted keys; None values do not count), `app` what
    `App(settings=…)` has. `config` is a file that must exist; without it `dragoman.toml` of the
    working directory is read if it is there. Raises UsageError that names setting and source.
    """
    sources = [Source("command line", _nested(overrides or {}))]
    if environment:
        sources.append(Source("environment", _environment()))
    file = _file(config)
    if file is not None:
        sources.append(file)
    sources.append(Source("App(settings=…)", _nested(app or {})))
    if demo:
        sources.append(Source("demo", DEMO_DEFAULTS))
    merged: dict[str, Any] = {}
    for source in sources:
        _fill(merged, source.values)
    try:
        return Loaded(Settings(**merged), tuple(sources))
    except ValidationError as error:
        raise UsageError(_explain_error(error, sources)) from error


def settings_table() -> list[tuple[str, str, str, str]]:
    """(name, environment variable, default, description) of every setting."""
    rows = []
    for path, info in _leaves(Settings):
        default = info.get_default(call_default_factory=True)
        text = "" if default is None else "true" if default is True else "false" if default is False else str(default)
        if isinstance(default, list):
            text = ", ".join(default)
        elif isinstance(default, dict):
            text = ""
        rows.append((".".join(path), _PREFIX + "__".join(path).upper(), text, info.description or ""))
    return rows


def strange_names(environment: Mapping[str, str]) -> dict[str, str | None]:
    """Variables named like settings that are none, and the closest setting's variable; None if none is close.

    They are no error, since container platforms add such names for services; one below a group's name is.
    """
    known = [variable for _, variable, _, _ in settings_table()]
    strange = [
        name
        for name in sorted(environment)
        if name.upper().startswith(_PREFIX)
        and name.upper().removeprefix(_PREFIX).partition("__")[0].lower() not in Settings.model_fields
        and name.upper() not in _OTHERS
    ]
    return {name: next(iter(get_close_matches(name.upper(), known, 1, 0.8)), None) for name in strange}


def _leaves(model: type[BaseModel], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], FieldInfo]]:
    for name, info in model.model_fields.items():
        kind = info.annotation
        if isinstance(kind, type) and get_origin(kind) is None and issubclass(kind, BaseModel):
            yield from _leaves(kind, (*above, name))
        else:
            yield (*above, name), info


def _has(values: Mapping[str, Any], path: tuple[str, ...]) -> bool:
    here: Any = values
    for key in path:
        if not isinstance(here, Mapping) or key not in here:
            return False
        here = here[key]
    return True


def _fill(target: dict[str, Any], weaker: Mapping[str, Any], path: tuple[str, ...] = ()) -> None:
    """Take from `weaker` what `target` does not have; groups are merged, values (tables too) are not."""
    for key, value in weaker.items():
        below = (*path, key)
        if isinstance(value, Mapping) and _is_group(below):
            inner = target.setdefault(key, {})
            if isinstance(inner, dict):
                _fill(inner, value, below)
        elif key not in target:
            target[key] = value


def _is_group(path: tuple[str, ...]) -> bool:
    model: type[BaseModel] = Settings
    for name in path:
        info = model.model_fields.get(name)
        kind = info.annotation if info is not None else None
        if not (isinstance(kind, type) and not get_args(kind) and issubclass(kind, BaseModel)):
            return False
        model = kind
    return True


def _nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """`{"kai.busy": "reject"}` and `{"kai": {"busy": "reject"}}` alike, None left out."""
    made: dict[str, Any] = {}
    for key, value in values.items():
        if value is None:
            continue
        *groups, last = str(key).split(".")
        here = made
        for group in groups:
            here = here.setdefault(group, {})
        if isinstance(value, Mapping) and isinstance(here.get(last), dict):
            here[last].update(value)
        else:
            here[last] = _nested(value) if isinstance(value, Mapping) and _is_group((*groups, last)) else value
    return made


def _environment() -> dict[str, Any]:
    try:
        values = EnvSettingsSource(Settings)()
    except SettingsError as error:
        raise UsageError(f"the environment holds a setting that cannot be read: {error}") from error
    # Kubernetes gives pods DRAGOMAN_PORT=tcp://address:port for a service named dragoman
    if str(values.get("port", "")).startswith(("tcp://", "udp://")):
        del values["port"]
    return values


def _file(config: str | Path | None) -> Source | None:
    path = Path(config) if config is not None else Path(os.curdir) / FILE_NAME
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        if config is None:
            return None
        raise UsageError(f"the configuration file {str(path)!r} does not exist") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the configuration file {str(path)!r} cannot be read: {error}") from error
    try:
        return Source(str(path), tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"the configuration file {str(path)!r} is not TOML: {error}") from error


def _explain_error(error: ValidationError, sources: list[Source]) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    path = tuple(str(part) for part in first["loc"])
    place = next((s.name for s in sources if _has(s.values, path)), "settings")
    name = ".".join(path)
    if first["type"] == "extra_forbidden":
        return f"{place}: there is no setting {name!r}; `dragoman doctor` lists all"
    return f"{place}: setting {name!r} is not valid: {first['msg']}"
