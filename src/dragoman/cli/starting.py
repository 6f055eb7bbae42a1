"""What `serve` needs before it starts, and `doctor` looks at: the app, the settings, data and port.

Needs the extra `server`.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dragoman.cli.output import Check
from dragoman.core.errors import DragomanError, UsageError
from dragoman.engine.app import App
from dragoman.server import settings_sources
from dragoman.server.places import data_directory
from dragoman.server.providers import Providers
from dragoman.server.serve import bind, check_reach
from dragoman.server.settings import Settings

DEMO_APP = "dragoman.demo.app:app"


def load_app(spec: str | None, *, demo: bool) -> App:
    """The `App` that `module:name` names, or the demo's; a function of that name is called for it.

    Modules are found from the working directory first. Raises UsageError, also for a module that
    fails when it is imported, with file and line.
    """
    if demo and spec is not None:
        raise UsageError("expected either --demo or MODULE:APP, got both")
    if spec is None and not demo:
        raise UsageError("expected --demo, or MODULE:APP such as app:app")
    module_name, _, name = (spec or DEMO_APP).partition(":")
    if module_name.endswith(".py"):
        raise UsageError(f"expected the name of a module, such as {module_name[:-3]}:{name or 'app'}, got {spec!r}")
    if not module_name or not name:
        raise UsageError(f"expected MODULE:APP such as app:app, got {spec!r}")
    found: Any = _module(module_name)
    for part in name.split("."):
        if not hasattr(found, part):
            apps = sorted(key for key, value in getattr(found, "__dict__", {}).items() if isinstance(value, App))
            raise UsageError(f"module {module_name!r} has no {name!r}; apps in it: {', '.join(apps) or 'none'}")
        found = getattr(found, part)
    if not isinstance(found, App) and callable(found) and not isinstance(found, type):
        try:
            found = found()
        except DragomanError:
            raise
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            raise UsageError(
                f"{spec!r} is no dragoman.App, and calling it for one failed: "
                f"{place.filename}:{place.lineno}: {type(error).__name__}: {error}"
            ) from error
    if not isinstance(found, App):
        raise UsageError(f"{spec!r} is no dragoman.App but {type(found).__name__}")
    return found


def _module(name: str) -> Any:
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except DragomanError:
        raise
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise UsageError(f"there is no module {error.name!r} in {here!r} or among the installed ones") from error
        raise UsageError(f"module {name!r} needs {error.name!r}, which is not installed") from error
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = (
            f"{error.filename}:{error.lineno}" if isinstance(error, SyntaxError) else f"{place.filename}:{place.lineno}"
        )
        raise UsageError(f"module {name!r} cannot be imported: {where}: {type(error).__name__}: {error}") from error


def strange_names() -> str:
    """The variables of the environment that look like settings and are none, for people; empty if there are none."""
    found = settings_sources.strange_names(os.environ)
    return ", ".join(f"{name} (did you mean {near}?)" if near else name for name, near in found.items())


def look(
    spec: str | None,
    *,
    demo: bool,
    host: Sequence[str] = (),
    port: int | None = None,
    data: str | None,
    config: str | None,
) -> tuple[list[Check], list[dict[str, Any]]]:
    """What `doctor` tells about a start with these options; nothing is started or changed.

    Raises UsageError for settings that cannot be read.
    """
    checks: list[Check] = []
    app: App | None = None
    if spec is not None or demo:
        try:
            app = load_app(spec, demo=demo)
            names = [*(agent.name for agent in app.agents), *(flow.name for flow in app.flows), *app.models]
            told = ", ".join(names) or "no agent, flow or model, so nobody would answer"
            checks.append(Check("app", f"{app.name}: {told}", bool(names)))
        except UsageError as error:
            checks.append(Check("app", error.message, False))
    overrides = {"host": list(host) or None, "port": port, "data": data}
    loaded = settings_sources.load_settings(
        overrides=overrides, app=app.settings if app else None, config=config, demo=demo
    )
    settings = loaded.settings
    if app is not None:
        checks.append(_models(app, settings))
    name = "demo" if demo else app.name if app else "NAME"
    checks += [_data(data_directory(name, settings.data)), _port(settings, demo=demo)]
    if strange := strange_names():
        checks.append(Check("environment", f"names that are no setting: {strange}"))
    rows = [{"name": row.name, "value": row.value, "source": row.source} for row in loaded.explain()]
    return checks, rows


def _models(app: App, settings: Settings) -> Check:
    try:
        providers = Providers(app, settings.models)
        providers.look()
    except UsageError as error:
        return Check("models", error.message, False)
    if providers.unusable:
        return Check("models", "; ".join(f"{name}: {told}" for name, told in providers.unusable.items()), None)
    return Check("models", "every model that the app names can be used", True)


def _data(where: str | Path) -> Check:
    if str(where) == ":memory:":
        return Check("data", "a temporary directory; nothing is kept", True)
    place = Path(where).expanduser().absolute()
    if place.is_dir():
        return Check("data", f"{place}", os.access(place, os.R_OK | os.W_OK | os.X_OK))
    parent = next(above for above in place.parents if above.exists())
    return Check("data", f"{place} (will be made)", parent.is_dir() and os.access(parent, os.W_OK | os.X_OK))


def _port(settings: Settings, *, demo: bool) -> Check:
    where = f"{', '.join(settings.host)} port {settings.port}"
    try:
        check_reach(settings, demo=demo)
        for one in bind(settings.host, settings.port):
            one.close()
    except UsageError as error:
        return Check("port", error.message, False)
    return Check("port", f"{where} is free", True)
