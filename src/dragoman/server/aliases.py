"""Which agent a client means by the name of a model; the same names on every face that has such a field."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dragoman.core.errors import NotFound
from dragoman.server.settings import ModelAliases

DEFAULT = "chat-model"
REASONING = "chat-model-reasoning"


@dataclass(frozen=True, slots=True)
class Named:
    """The agent behind a name, and whether its reasoning model is meant."""

    agent: str
    reasoning: bool = False


def named(alias: str | None, agents: Sequence[str], models: ModelAliases) -> Named | None:
    """What `alias` means (None: nobody asked for anything); None for a name that means nothing here.

    Raises NotFound where there is no agent at all.
    """
    if not agents:
        raise NotFound("This server has no agent.", code="not_found:chat")
    if alias in models.aliases:
        found = models.aliases[alias]
        return Named(found.agent, found.reasoning)
    if alias is None or alias == DEFAULT:
        return Named(agents[0])
    if alias == REASONING:
        return Named(agents[0], reasoning=True)
    if alias in agents:
        return Named(alias)
    return Named(agents[0]) if models.unknown == "default" else None


def known(agents: Sequence[str], models: ModelAliases) -> str:
    """All names that mean something, for people."""
    return ", ".join(dict.fromkeys([DEFAULT, REASONING, *models.aliases, *agents]))
