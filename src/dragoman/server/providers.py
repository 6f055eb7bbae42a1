"""Names of models → models of providers: where the engine, which knows no provider, meets `dragoman.ai`.

What an app defines itself wins and never comes here. All names of an app are looked up before the
server starts, so that a provider that is unknown, or whose key is missing, is told then.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import anyio.to_thread

from dragoman.ai.errors import AiLibError, ErrorClass
from dragoman.ai.model import ProviderModel, provider_model
from dragoman.ai.protocol import ProtocolLoader
from dragoman.core.errors import DragomanError, MissingExtra, UsageError
from dragoman.core.ports import Model
from dragoman.engine.agents import Agent, ModelLike, as_model
from dragoman.engine.app import App
from dragoman.server.settings import ModelSettings

logger = logging.getLogger("dragoman.server")


class Providers:
    """The models of one app. `prepare` first; then `resolve` gives them without waiting."""

    def __init__(self, app: App, settings: ModelSettings) -> None:
        self._app = app
        self._settings = settings
        self._loader: ProtocolLoader | None = None
        self._made: dict[str, ProviderModel] = {}

    async def prepare(self) -> None:
        """Look up every model that an agent names. Raises UsageError that tells of all that cannot be used."""
        await anyio.to_thread.run_sync(self.look)

    def look(self) -> None:
        """The same, for a thread of its own: it reads files and asks the keyring."""
        faults: dict[str, list[str]] = {}
        cause: DragomanError | None = None
        for agent, model in self._named():
            try:
                found = as_model(model, self._app.models, self.resolve)
                if isinstance(found, ProviderModel):
                    found.prepare()
            except MissingExtra:
                raise
            except DragomanError as error:
                faults.setdefault(_told(error, model), []).append(repr(agent.name))
                cause = cause or error
        if faults:
            lines = [f"{_agents(names)}: {told}" for told, names in faults.items()]
            raise UsageError("; ".join(lines), code="model") from cause

    def resolve(self, name: str) -> Model:
        """The model of a name that the app does not define. Raises UsageError for one that nobody knows."""
        made = self._made.get(name)
        if made is None:
            made = self._made[name] = self._make(name)
        return made

    def _make(self, name: str) -> ProviderModel:
        if "/" not in name:
            known = ", ".join(sorted(self._app.models)) or "none"
            raise UsageError(
                f"unknown model {name!r}; App(models=…) knows: {known}; a provider's model is named provider/model"
            )
        settings = self._settings
        if self._loader is None:
            self._loader = ProtocolLoader(place_of_manifests(settings), hot_reload=True)
        return provider_model(
            name,
            loader=self._loader,
            timeout=settings.timeout_seconds,
            retries=settings.retries,
            max_inflight=settings.concurrent,
        )

    def _named(self) -> Iterator[tuple[Agent, ModelLike]]:
        for agent in self._app.agents:
            yield agent, agent.model
            if agent.reasoning_model is not agent.model:
                yield agent, agent.reasoning_model

    async def aclose(self) -> None:
        """Close the connections of all models, those that the app made itself too."""
        own = [model for model in self._app.models.values() if isinstance(model, ProviderModel)]
        direct = [model for _, model in self._named() if isinstance(model, ProviderModel)]
        for model in {id(model): model for model in (*self._made.values(), *own, *direct)}.values():
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


def _agents(names: list[str]) -> str:
    different = list(dict.fromkeys(names))
    return f"agent{'s' if len(different) > 1 else ''} {', '.join(different)}"


def _told(error: DragomanError, model: object) -> str:
    """What is wrong with a model, in one line, and what may help."""
    if not isinstance(error, AiLibError):
        return error.message
    hint = error.context.hint if error.context is not None else None
    text = f"{error.message} ({hint})" if hint else error.message
    return f"unknown model {model!r}: {text}" if error.error_class is ErrorClass.NOT_FOUND else text
