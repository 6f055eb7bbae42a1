"""The `dragoman` group: finds commands, turns errors into one line and an exit code.

Commands are imported when they are used, so that `dragoman --help` stays fast and a client that
lacks the server's packages can still chat.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import click

from dragoman._version import __version__
from dragoman.cli.exits import ExitCode, describe, failure
from dragoman.core.errors import DragomanError, MissingExtra

_COMMANDS: dict[str, tuple[str, str]] = {
    "serve": ("dragoman.cli.serve:serve", "Serve an app, or the demo."),
    "chat": ("dragoman.cli.chat:chat", "Talk to an agent of a running server."),
    "runs": ("dragoman.cli.runs:runs", "List, show, follow and cancel runs."),
    "flows": ("dragoman.cli.flows:flows", "List, show and run flows."),
    "jobs": ("dragoman.cli.jobs:jobs", "Submit, list, follow and cancel jobs."),
    "sessions": ("dragoman.cli.sessions:sessions", "List, show and export sessions."),
    "replay": ("dragoman.cli.replay:replay", "Run a recorded session through your code as it is now."),
    "models": ("dragoman.cli.models:models", "List the models that can be used here."),
    "manifests": ("dragoman.cli.manifests:manifests", "Look over manifests of providers."),
    "keys": ("dragoman.cli.keys:keys", "Create, list and revoke API keys."),
    "backup": ("dragoman.cli.backup:backup", "Copy a data directory, also while a server uses it."),
    "restore": ("dragoman.cli.backup:restore", "Put a backup into a new data directory."),
    "erase": ("dragoman.cli.erase:erase", "Delete everything of one user."),
    "chatkit": ("dragoman.cli.chatkit:chatkit", "Take over the data of a ChatKit server."),
    "kai": ("dragoman.kai.cli:main", "Talk to a Kai service."),
    "doctor": ("dragoman.cli.doctor:doctor", "Show settings and their sources, and what is missing."),
}

_EXITS = "\b\nExit codes:\n" + "\n".join(f"  {code.value:<4}{describe(code)}" for code in ExitCode)


_EXTRAS = {
    "rich": "cli",
    "uvicorn": "server",
    "starlette": "server",
    "pydantic_settings": "server",
    "python_multipart": "server",
    "orjson": "server",
    "structlog": "server",
    "opentelemetry": "server",
    "yaml": "protocol",
    "jsonschema_rs": "protocol",
}
"""Which extra brings a module that could not be imported."""


@contextmanager
def _one_line_errors() -> Iterator[None]:
    """Every foreseeable end of a command as a line and an exit code, never a traceback."""
    try:
        yield
    except DragomanError as error:
        raise failure(error) from error
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        raise failure(MissingExtra("This command", extra)) from error
    except (KeyboardInterrupt, click.Abort):
        click.echo(err=True)  # ends the line with ^C
        raise click.exceptions.Exit(ExitCode.INTERRUPTED.value) from None


class LazyGroup(click.Group):
    """A group whose commands are named in a table and imported on use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name][0].partition(":")
        with _one_line_errors():
            command = getattr(importlib.import_module(module), name)
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        with _one_line_errors():
            return super().invoke(ctx)


@click.group(cls=LazyGroup, epilog=_EXITS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="dragoman")
def cli() -> None:
    """One system between AI clients and AI models."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command; always ends by SystemExit with one of `ExitCode`."""
    cli.main(args=None if arguments is None else list(arguments), prog_name="dragoman")
