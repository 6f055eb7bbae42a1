"""One application out of its parts: settings, store, engine, credentials, faces, lifespan.

The only place where rooms are plugged together. `asgi(app)` starts nothing by itself; the ASGI
server's lifespan does, and ends it.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import threading
import time
import types
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

from starlette.types import Receive, Scope, Send

from dragoman.core.errors import MissingExtra, UsageError
from dragoman.core.ids import is_id
from dragoman.core.ports import Blobs, Clock, Knowledge, Store
from dragoman.core.writes import PutKey
from dragoman.engine.app import App
from dragoman.engine.embedded import EmbeddedEngine
from dragoman.engine.files import StoredFiles
from dragoman.engine.knowledge import as_knowledge
from dragoman.engine.masking import Masking
from dragoman.server import console, gauges, kai, noukai, openai, operations, own, stackspot
from dragoman.server.auth import authentication
from dragoman.server.chatkit import face as chatkit
from dragoman.server.closing import Closing
from dragoman.server.credits import EXHAUSTED, charging
from dragoman.server.demo_rows import add_rows
from dragoman.server.dispatch import Dispatcher
from dragoman.server.http import Face
from dragoman.server.keys import create_key
from dragoman.server.logs import logger
from dragoman.server.meaning import Expense, meaning_of, tell_of_others
from dragoman.server.measured import measured
from dragoman.server.metrics import Metrics
from dragoman.server.model_metrics import ModelMetrics
from dragoman.server.places import data_directory
from dragoman.server.providers import Providers
from dragoman.server.rates import SlidingWindows
from dragoman.server.run_changes import RunChanges
from dragoman.server.services import Services
from dragoman.server.settings import Settings
from dragoman.server.settings_sources import load_settings
from dragoman.server.sweeping import DAY, Sweeper
from dragoman.server.tracing import Tracing, start_tracing
from dragoman.store.backup import BLOBS_NAME
from dragoman.store.blobs import FileBlobs, ObjectBlobs, open_bucket
from dragoman.store.sqlite import SQLiteStore, open_store

FACES: dict[str, Callable[[Services], Face | Sequence[Face]]] = {
    "kai": kai.face,
    "noukai": noukai.face,
    "chatkit": chatkit.face,
    "openai": openai.face,
    "stackspot": stackspot.face,
    "own": own.face,
}
"""Name → maker, for the setting `faces`. Those of the console, or of what is at the root without it, and of the
operations are always there."""

_UNAVAILABLE = b'{"code":"starting","message":"The server has not started yet."}'


def asgi(
    app: App,
    *,
    settings: Settings | Mapping[str, Any] | None = None,
    data: str | Path | None = None,
    demo: bool = False,
    config: str | Path | None = None,
    clock: Clock = time.time,
    announce: Callable[[str], None] | None = None,
    source: str | None = None,
) -> Application:
    """An ASGI application that serves `app` on all faces.

    `settings` are the strongest source (see `settings_sources`); a `Settings` object is taken as
    it is. `data` is the data directory or `:memory:`. `demo` lets the demo's public tokens in and
    sets the demo's defaults. `announce` gets what must be told to a human once, the first key; by
    default it goes to stderr. `source` is where the app comes from, as `MODULE:APP`: what a replay needs that is asked for
    over HTTP. Raises UsageError for bad settings; a bad model name or a data
    directory in use is reported when the lifespan starts.
    """
    if isinstance(settings, Settings):
        given = settings
    else:
        given = load_settings(overrides=settings, app=app.settings, config=config, demo=demo).settings
    if not (app.agents or app.flows or app.models or app.embedders) and app.chatkit is None:
        raise UsageError(
            f"app {app.name!r} has neither agents nor flows, so nobody would answer;"
            f" give it one: App({app.name!r}, agents=[…], flows=[…])"
        )
    unknown = [name for name in given.faces if name not in FACES]
    if unknown:
        raise UsageError(f"faces: there is no face {unknown[0]!r}; known: {', '.join(FACES)}")
    where = data_directory("demo" if demo else app.name, data if data is not None else given.data)
    return Application(app, given, where, demo=demo, clock=clock, announce=announce or _to_stderr, source=source)


class Application:
    """What `asgi` makes: callable by ASGI servers.

    `services` is set while the application is started. `failure` is why it could not start.
    """

    def __init__(
        self,
        app: App,
        settings: Settings,
        data: str | Path,
        *,
        demo: bool,
        clock: Clock,
        announce: Callable[[str], None],
        source: str | None = None,
    ) -> None:
        self.app = app
        self.settings = settings
        self.data = data
        self.demo = demo
        self.services: Services | None = None
        self.failure: Exception | None = None
        self._clock = clock
        self._announce = announce
        self._source = source
        self._dispatch: Dispatcher | None = None
        self._made: tuple[Face, ...] = ()
        self._providers = Providers(app, settings.models)
        self._tracing = Tracing()
        self._sweeping: asyncio.Task[None] | None = None
        self._signals: dict[int, Any] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind: Literal["http", "websocket", "lifespan"] = scope["type"]
        if kind == "lifespan":
            await self._lifespan(receive, send)
        elif kind == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1000})
        elif self._dispatch is None:
            headers = [(b"content-type", b"application/json"), (b"retry-after", b"1")]
            await send({"type": "http.response.start", "status": 503, "headers": headers})
            await send({"type": "http.response.body", "body": _UNAVAILABLE})
        else:
            await self._dispatch(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await self.start()
        except Exception as error:
            self.failure = error
            await self.stop()
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        self._listen_to_signals()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        try:
            await self.stop()
        except Exception as error:
            logging.getLogger("dragoman.server").exception("shutdown failed")
            await send({"type": "lifespan.shutdown.failed", "message": str(error)})
            return
        await send({"type": "lifespan.shutdown.complete"})

    async def start(self) -> None:
        """Open store and engine and build the faces. The lifespan calls it; so may a test."""
        settings, metrics, log = self.settings, Metrics(), logger()
        await self._providers.prepare()
        mode: Literal["NORMAL", "FULL"] = "FULL" if settings.store.synchronous == "full" else "NORMAL"
        opened = await open_store(self.data, synchronous=mode, clock=self._clock)
        changes = RunChanges()
        counted = measured(opened, metrics, log if settings.log.runs else None, changes.saw)
        store, charges = charging(self.app, counted, settings.credits.balances, self._clock)
        rates = SlidingWindows()
        self._tracing = start_tracing(self.app.name, self.app.version)
        self._providers.measure(ModelMetrics(metrics), self._tracing.tracer)
        try:
            blobs = _blobs(settings, opened.directory)
            knowledge = await self._knowledge(store, metrics)
            engine = self._engine(store, blobs, knowledge)
            if self.demo:
                await add_rows(store, self._clock())
            else:
                await self._first_key(store)
            signing = await store.secret("files")
            await engine.open()
        except BaseException:
            await opened.close()
            await self._tracing.aclose()
            raise
        self.services = services = Services(
            app=self.app,
            engine=engine,
            store=store,
            settings=settings,
            authenticate=authentication(
                store,
                self._clock,
                demo=self.demo,
                demo_remote=settings.demo.remote,
                own=self.app.authenticate,
                rates=rates,
            ),
            blobs=blobs,
            signing=signing,
            knowledge=knowledge,
            providers=self._providers,
            clock=self._clock,
            closing=Closing(),
            log=log,
            metrics=metrics,
            rates=rates,
            demo=self.demo,
            source=self._source,
            changes=changes,
        )
        charges.on_spent = partial(engine.cancel, reason=EXHAUSTED)
        self._begin(services, engine, opened)

    def _begin(self, services: Services, engine: EmbeddedEngine, opened: SQLiteStore) -> None:
        """The faces, and what sweeps and counts beside them."""
        metrics, retention = services.metrics, services.settings.retention
        self._made = _faces(services)
        self._dispatch = dispatch = Dispatcher(services, self._made)

        async def cancel(run: str, reason: str) -> bool:
            return await engine.cancel(run, reason=reason)

        sweeper = Sweeper(
            services.store, retention, metrics, services.log, cancel=cancel, blobs=services.blobs, clock=self._clock
        )
        gauges.register(metrics, services, engine=engine, store=opened, dispatch=dispatch, sweeper=sweeper)
        self._sweeping = asyncio.create_task(sweeper.watch(), name="sweeper")

    async def _knowledge(self, store: Store, metrics: Metrics) -> Knowledge:
        """The search of knowledge sources: the app's own, or by words, and by meaning where a model is named."""
        expense = Expense(store, self.settings.credits.balances, metrics, self._clock)
        meaning = await meaning_of(self.settings.stackspot.knowledge, self.app, self._providers, expense)
        knowledge = as_knowledge(self.app.knowledge, store, meaning)
        if meaning is not None:
            await tell_of_others(store, meaning)
        return knowledge

    def _engine(self, store: Store, blobs: Blobs, knowledge: Knowledge) -> EmbeddedEngine:
        return EmbeddedEngine(
            self.app,
            store,
            clock=self._clock,
            most_moving=self.settings.limits.runs,
            resolve=self._providers.resolve,
            files=StoredFiles(store, blobs),
            knowledge=knowledge,
            **flow_rules(self.settings),
        )

    @property
    def faces(self) -> tuple[Face, ...]:
        """What is served since the start: every route of every face, the operations' among them."""
        return self._made

    async def stop(self) -> None:
        """End streams, stop the engine (unfinished runs go on at the next start), close the store."""
        services, self.services = self.services, None
        if services is None:
            return
        services.closing.set()
        self._restore_signals()
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.wait([self._sweeping])
        try:
            await services.engine.close(grace=self.settings.run.grace_seconds)
        finally:
            self._dispatch = None
            await self._providers.aclose()
            await self._tracing.aclose()
            for face in self._made:
                if face.close is not None:
                    await face.close()
            await services.store.close()

    def begin_closing(self) -> None:
        """Let open streams say goodbye; called by the loop's thread as soon as the end is known."""
        if self.services is not None:
            self.services.closing.set()

    async def _first_key(self, store: Store) -> None:
        if await store.keys():
            return
        tenant = self.app.name if is_id(self.app.name) else "main"
        key, text = create_key(
            tenant=tenant, user="admin", now=self._clock(), scopes=("use", "admin"), name="first start"
        )
        await store.commit(PutKey(key))
        self._announce(f"The first key, with scope admin of tenant {tenant!r}; it is shown only now:\n  {text}")

    def _listen_to_signals(self) -> None:
        """Hear of the end early: a server tells the lifespan only when all streams are over.

        The server's own handlers are called as before. Without this, open streams would hold
        the shutdown of servers that we do not start ourselves.
        """
        if threading.current_thread() is not threading.main_thread():
            return
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            before = signal.getsignal(number)
            if not callable(before) or before is signal.default_int_handler:
                continue

            def heard(signum: int, frame: types.FrameType | None, before: Callable[..., Any] = before) -> None:
                loop.call_soon_threadsafe(self.begin_closing)
                before(signum, frame)

            self._signals[number] = (before, heard)
            signal.signal(number, heard)

    def _restore_signals(self) -> None:
        for number, (before, heard) in self._signals.items():
            if signal.getsignal(number) is heard:
                signal.signal(number, before)
        self._signals.clear()


def flow_rules(settings: Settings) -> dict[str, Any]:
    """What the settings say about jobs, capture and sessions, as arguments of the engine."""
    capture = settings.capture
    return {
        "workers": settings.jobs.workers,
        "queue_limit": settings.jobs.queue,
        "capture": capture.mode,
        "masking": Masking(capture.rules, names=capture.names, patterns=capture.patterns),
        "session_seconds": settings.retention.sessions_days * DAY,
    }


def _blobs(settings: Settings, directory: Path) -> Blobs:
    """The bytes of files, beside the rows unless the settings name a bucket. Raises UsageError, MissingExtra."""
    if settings.blobs is None:
        return FileBlobs(directory / BLOBS_NAME)
    try:
        return ObjectBlobs(open_bucket(settings.blobs))
    except MissingExtra:
        raise
    except Exception as error:
        raise UsageError(f"blobs: {settings.blobs!r} cannot be used: {error}") from error


def _faces(services: Services) -> tuple[Face, ...]:
    made: list[Face] = []
    for name in services.settings.faces:
        result = FACES[name](services)
        made += [result] if isinstance(result, Face) else result
    return (*made, console.face(services), operations.face(services))


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class _CallableModule(types.ModuleType):
    """`dragoman.server.asgi` is documented as the function; once this module is loaded, that name is the module."""

    def __call__(self, *args: Any, **kwargs: Any) -> Application:
        return asgi(*args, **kwargs)


sys.modules[__name__].__class__ = _CallableModule

__all__ = ["FACES", "Application", "asgi"]
