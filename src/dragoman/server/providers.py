"""Names of models → models of providers: where the engine, which knows no provider, meets `dragoman.ai`.

What an app defines itself wins and never comes here. All names of an app are looked up before the
server starts, so that a provider that is unknown, or whose key is missing, is told then.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from pathlib import Path

import anyio.to_thread

from dragoman.ai.errors import AiLibError, ErrorClass
from dragoman.ai.model import ProviderModel, provider_model
from dragoman.ai.protocol import ProtocolLoader
from dragoman.ai.telemetry.tracer import Tracer
from dragoman.ai.telemetry.watching import MetricsSink
from dragoman.core.errors import DragomanError, MissingExtra, UsageError
from dragoman.core.ports import Model
from dragoman.engine.agents import as_model
from dragoman.engine.app import App
from dragoman.server.settings import ModelSettings
from dragoman.transport.options import Recording

logger = logging.getLogger("dragoman.server")

MOST_ASKED = 256
"""Models that clients have named and that are kept ready."""


class Providers:
    """The models of one app. `prepare` first; then `resolve` gives them without waiting."""

    def __init__(self, app: App, settings: ModelSettings) -> None:
        self._app = app
        self._settings = settings
        self._loader: ProtocolLoader | None = None
        self._made: dict[str, ProviderModel] = {}
        self._asked: OrderedDict[str, ProviderModel] = OrderedDict()
        self._retiring: set[asyncio.Task[None]] = set()
        self._record = Recording(settings.record, most_bytes=settings.record_bytes) if settings.record else None
        self._replay = (
            Recording(settings.replay, times=settings.replay_times, strict=settings.replay_strict)
            if settings.replay
            else None
        )
        self._metrics: MetricsSink | None = None
        self._tracer: Tracer | None = None
        self.unusable: dict[str, str] = {}
        """Names of `App(models=…)` whose key is missing, and what is to be done about it."""

    def measure(self, metrics: MetricsSink, tracer: Tracer | None) -> None:
        """Tell these of every call to a model, from now on."""
        self._metrics, self._tracer = metrics, tracer
        for model in self._every():
            model.measure(metrics, tracer)

    def _every(self) -> list[ProviderModel]:
        """All models that are there, those that the app made itself too."""
        own = [model for model in self._app.models.values() if isinstance(model, ProviderModel)]
        direct = [model for _, _, model in self._app.named_models() if isinstance(model, ProviderModel)]
        every = (*self._made.values(), *self._asked.values(), *own, *direct)
        return list({id(model): model for model in every}.values())

    async def prepare(self) -> None:
        """Look up every model that an agent or a flow names. Raises UsageError that tells of all that cannot be used."""
        await anyio.to_thread.run_sync(self.look)

    def look(self) -> None:
        """The same, for a thread of its own: it reads files and asks the keyring.

        A model of `App(models=…)` that nothing of the app uses, and that lacks but its key, is `unusable`.
        """
        for one in self._every():
            one.tape(self._record, self._replay)
        faults: dict[str, list[tuple[str, str]]] = {}
        cause: DragomanError | None = None
        named = [*self._app.named_models(), *(("model", name, name) for name in self._app.models)]
        for kind, name, model in named:
            try:
                found = as_model(model, self._app.models, self.resolve)
                if isinstance(found, ProviderModel):
                    self._join(found)
                    found.prepare()
            except MissingExtra:
                raise
            except DragomanError as error:
                told = _told(error, model)
                if kind == "model" and told in faults:
                    continue  # told already, with who uses it
                if kind == "model" and is_missing_key(error):
                    self.unusable[name] = told
                    continue
                faults.setdefault(told, []).append((kind, name))
                cause = cause or error
        if faults:
            lines = [f"{_who(named)}: {told}" for told, named in faults.items()]
            raise UsageError("; ".join(lines), code="model") from cause
        for name, told in self.unusable.items():
            logger.warning("a model of the app cannot be used", extra={"model": name, "error": told})

    def _join(self, model: ProviderModel, above: tuple[str, ...] = ()) -> None:
        """Fallbacks that are names of the app become its models. Raises UsageError for one that cannot step in."""
        own = self._app.models
        found: list[ProviderModel] = []
        for each in model.fallbacks:
            other = as_model(each.name, own, self.resolve) if each.is_only_named and each.name in own else each
            if not isinstance(other, ProviderModel):
                raise UsageError(f"fallback {each.name!r} of model {model.name!r} is no model of a provider")
            if other is model or each.name in above:
                raise UsageError(f"fallbacks of model {model.name!r} lead back to {each.name!r}")
            if other.fallbacks:
                self._join(other, (*above, each.name))
            found.append(other)
        model.fallbacks = tuple(found)

    def resolve(self, name: str) -> Model:
        """The model of a name that the app does not define. Raises UsageError for one that nobody knows."""
        return self.offered(name, named=True)

    def offered(self, name: str, *, named: bool = False) -> ProviderModel:
        """The same as `resolve`. What the app has not `named` a client has: of these the last ones are kept."""
        made = self._made.get(name)
        if made is None and (named and name in self._names()):
            made = self._made[name] = self._make(name)
        if made is not None:
            return made
        made = self._asked.pop(name, None) or self._make(name)
        self._asked[name] = made
        if len(self._asked) > MOST_ASKED:
            _, oldest = self._asked.popitem(last=False)
            task = asyncio.get_running_loop().create_task(oldest.retire(), name="a model that nobody asks")
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)
        return made

    def kept(self, name: str) -> ProviderModel:
        """The same, kept for as long as the server runs: what its settings name."""
        made = self._made.get(name)
        if made is None:
            made = self._made[name] = self._make(name)
        return made

    def _names(self) -> frozenset[str]:
        """The models that the app names."""
        models = (*(model for _, _, model in self._app.named_models()), *self._app.models.values())
        return frozenset(model for model in models if isinstance(model, str))

    @property
    def loader(self) -> ProtocolLoader:
        """The manifests that all of these come from."""
        if self._loader is None:
            self._loader = ProtocolLoader(place_of_manifests(self._settings), hot_reload=True)
        return self._loader

    def _make(self, name: str) -> ProviderModel:
        if "/" not in name:
            known = ", ".join(sorted(self._app.models)) or "none"
            raise UsageError(
                f"unknown model {name!r}; App(models=…) knows: {known}; a provider's model is named provider/model"
            )
        settings = self._settings
        made = provider_model(
            name,
            loader=self.loader,
            timeout=settings.timeout_seconds,
            retries=settings.retries,
            max_inflight=settings.concurrent,
            record=self._record,
            replay=self._replay,
        )
        made.measure(self._metrics, self._tracer)
        return made

    async def aclose(self) -> None:
        """Close the connections of all models, those that the app made itself too."""
        if self._retiring:
            await asyncio.wait(list(self._retiring))
        for model in self._every():
            model.measure()
            try:
                await model.aclose()
            except Exception:  # the rest is to be closed all the same
                logger.exception("connections of a model could not be closed", extra={"model": model.name})


def place_of_manifests(settings: ModelSettings) -> str | None:
    """The folder or file with manifests of the user's own. Raises UsageError if it is not there."""
    named = settings.manifests
    if named is not None and not Path(named).exists():
        raise UsageError(f"models.manifests: there is no folder or file {named!r}")
    return named


def is_missing_key(error: DragomanError) -> bool:
    """Whether a model lacks nothing but its key or address."""
    return isinstance(error, AiLibError) and error.error_class is ErrorClass.AUTHENTICATION


def _who(named: list[tuple[str, str]]) -> str:
    told = []
    for kind in dict.fromkeys(kind for kind, _ in named):
        names = list(dict.fromkeys(repr(name) for one, name in named if one == kind))
        told.append(f"{kind}{'s' if len(names) > 1 else ''} {', '.join(names)}")
    return ", ".join(told)


def _told(error: DragomanError, model: object) -> str:
    """What is wrong with a model, in one line, and what may help."""
    if not isinstance(error, AiLibError):
        return error.message
    hint = error.context.hint if error.context is not None else None
    text = f"{error.message} ({hint})" if hint else error.message
    return f"unknown model {model!r}: {text}" if error.error_class is ErrorClass.NOT_FOUND else text
