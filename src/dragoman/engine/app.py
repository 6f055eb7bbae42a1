"""The app: what a user serves."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dragoman.core.errors import UsageError
from dragoman.engine.agents import Agent, ModelLike


class App:
    """Agents under one name, with the callables and settings that belong to them.

    `models` gives names to models, so that agents can name them; they win over `provider/model`. `authenticate` takes the request's
    headers (lower-case names) and gives a `Principal` or None. `suggestions` takes
    `(context, data, principal)` and gives suggestions as the Kai face documents them. Both may be
    async. `settings` are defaults that configuration files, environment and command line
    override. `version` names the code in every run; without it, it is computed from the
    definitions, so that it changes when they do. Nothing is started or checked against the
    outside here; `dragoman serve` does that.
    """

    def __init__(
        self,
        name: str,
        *,
        agents: Sequence[Agent] = (),
        models: Mapping[str, ModelLike] | None = None,
        settings: Mapping[str, Any] | None = None,
        authenticate: Callable[..., Any] | None = None,
        suggestions: Callable[..., Any] | None = None,
        version: str | None = None,
    ) -> None:
        names = [agent.name for agent in agents]
        twice = {n for n in names if names.count(n) > 1}
        if twice:
            raise UsageError(f"app {name!r} has two agents named {sorted(twice)[0]!r}")
        self.name = name
        self.agents = tuple(agents)
        self.models = dict(models or {})
        self.settings = dict(settings or {})
        self.authenticate = authenticate
        self.suggestions = suggestions
        self.version = version if version is not None else _version(self.agents)

    def __repr__(self) -> str:
        return f"App({self.name!r}, agents={[agent.name for agent in self.agents]})"

    def agent(self, name: str) -> Agent | None:
        """The agent of this name."""
        return next((agent for agent in self.agents if agent.name == name), None)


def _kind(model: ModelLike) -> str:
    return model if isinstance(model, str) else repr(type(model))


def _version(agents: Sequence[Agent]) -> str:
    digest = hashlib.sha256()
    for agent in agents:
        digest.update(
            repr((agent.name, agent.instructions, sorted(agent.options.items()), _kind(agent.model))).encode()
        )
        for made in agent.tools.values():
            digest.update(repr((made.spec, made.read_only, made.idempotent, made.needs_approval)).encode())
            try:
                digest.update(inspect.getsource(made.function).encode())
            except (OSError, TypeError):  # defined where no source is kept; the schema must do
                digest.update(made.name.encode())
    return digest.hexdigest()[:12]
