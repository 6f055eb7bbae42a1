"""Which server a command talks to, and as whom."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click

from dragoman.cli.client import DEFAULT_URL, OwnFace
from dragoman.cli.output import note
from dragoman.transport.drivers import BlockingDriver
from dragoman.transport.io import IO


@dataclass(frozen=True, slots=True)
class Connection:
    """Where the server is; `key` None means none was given, `port` None a new blocking driver."""

    url: str
    key: str | None = None
    port: IO | None = None

    @contextmanager
    def face(self) -> Iterator[OwnFace]:
        """The server's own face over a connection of this thread, closed at the end."""
        if self.port is not None:
            yield OwnFace(self.port, self.url, self.key, on_wait=_remark)
            return
        driver = BlockingDriver()
        try:
            yield OwnFace(driver, self.url, self.key, on_wait=_remark)
        finally:
            driver.close()

    def __repr__(self) -> str:  # never the key
        return f"Connection({self.url!r})"


def again(command: str, url: str) -> str:
    """A command line for the same server: with its URL, where the command would not find it without."""
    found = os.environ.get("DRAGOMAN_URL") or DEFAULT_URL
    return f"`dragoman {command}`" if url.rstrip("/") == found.rstrip("/") else f"`dragoman {command} --url {url}`"


def _remark(text: str) -> None:
    note(f"[{text}]")


def connection_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--url` and `--key` to a command and hand it a `Connection` as `connection`.

    Whoever calls the group with `obj=` an I/O port has the commands use that one.
    """

    @click.option(
        "--url", envvar="DRAGOMAN_URL", default=DEFAULT_URL, show_default=True, help="The server. [env: DRAGOMAN_URL]"
    )
    @click.option(
        "--key", envvar="DRAGOMAN_KEY", help="API key; a demo server on this machine needs none. [env: DRAGOMAN_KEY]"
    )
    @functools.wraps(command)
    def with_connection(*args: Any, url: str, key: str | None, **kwargs: Any) -> Any:
        port = click.get_current_context().obj
        return command(*args, connection=Connection(url, key, port), **kwargs)

    return with_connection
