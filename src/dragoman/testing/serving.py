"""The real server inside a test's process: `with serve(app) as server: …`.

A loopback socket, uvicorn and the whole stack, in a thread of its own; nothing is faked. What the
server needs is imported when it is called, so that the rest of the kit works without it.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dragoman.core.errors import MissingExtra, TimedOut

if TYPE_CHECKING:  # types only; the modules need the extra `server`
    from dragoman.engine.app import App
    from dragoman.server.asgi import Application

START_SECONDS = 20.0
STOP_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Served:
    """A running server: where it is, a key that opens it, and the application inside.

    `key` is empty where the data had keys before. Rows and runs can be looked at through
    `application.services`, but only from its own thread.
    """

    url: str
    key: str
    application: Application

    @property
    def headers(self) -> dict[str, str]:
        """What a request needs to be let in."""
        return {"authorization": f"Bearer {self.key}"} if self.key else {}

    def __repr__(self) -> str:  # never the key
        return f"Served({self.url!r})"


@contextmanager
def serve(
    app: App, *, data: str | Path = ":memory:", demo: bool = False, port: int = 0, **settings: Any
) -> Iterator[Served]:
    """Serve `app` on a free port of the loopback interface until the block ends.

    `settings` are those of the server: `serve(app, kai={"approval": {"mode": "hold"}})`; neither
    environment nor files are read. `demo` lets the demo's tokens in. With a `data` directory a
    second `serve` is a restart. Raises UsageError for what the caller can mend, MissingExtra
    without the extra `server`, TimedOut if the server neither starts nor fails in time.
    """
    try:
        from dragoman.server import asgi as server_asgi
        from dragoman.server.serve import Server, bind, url_of
        from dragoman.server.settings_sources import load_settings
    except ModuleNotFoundError as error:
        raise MissingExtra("serve()", "server") from error
    loaded = load_settings(overrides=settings, app=app.settings, config=os.devnull, demo=demo, environment=False)
    told: list[str] = []
    application = server_asgi(app, settings=loaded.settings, data=data, demo=demo, announce=told.append)
    sockets = bind(["127.0.0.1"], port)
    url = url_of(sockets)
    started = threading.Event()
    server = Server(application, url=url, on_start=lambda _: started.set())

    def work() -> None:
        try:
            server.run(sockets=sockets)
        except SystemExit:
            pass  # uvicorn's way to say that the lifespan failed; `application.failure` has the reason
        finally:
            started.set()

    thread = threading.Thread(target=work, name="dragoman-serve", daemon=True)
    thread.start()
    try:
        if not started.wait(START_SECONDS):
            raise TimedOut(f"the server did not start within {START_SECONDS:g} s")
        if application.failure is not None:
            raise application.failure
        yield Served(url, "demo-you" if demo else _key(told), application)
    finally:
        server.should_exit = True
        thread.join(STOP_SECONDS)
        if thread.is_alive():
            server.force_exit = True
            thread.join(STOP_SECONDS)
        for one in sockets:
            one.close()
    if thread.is_alive():
        raise TimedOut(f"the server did not stop within {2 * STOP_SECONDS:g} s")


def _key(told: list[str]) -> str:
    found = re.search(r"\bdk_\S+", "\n".join(told))
    return found[0] if found else ""
