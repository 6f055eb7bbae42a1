"""What plugins and hooks fail with, and how one that fails is kept from the call that it is part of."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from dragoman.ai.errors import AiRuntimeError
from dragoman.core.redact import redact_text

if TYPE_CHECKING:
    from dragoman.ai.plugins.base import Plugin

__all__ = ["FailureLog", "HookError", "PluginError", "PluginRefusal"]

_log = logging.getLogger("dragoman.ai")


class PluginError(AiRuntimeError):
    """A critical plugin failed: `plugin` is its name, `stage` the method. What it raised is the cause."""

    def __init__(self, plugin: str, stage: str, error: Exception) -> None:
        super().__init__(f"plugin {plugin!r} failed in {stage}: {_told(error)}")
        self.plugin = plugin
        self.stage = stage


class PluginRefusal(AiRuntimeError):
    """Raise it in a plugin or a hook to end the call; unlike other errors it always reaches the caller."""


class HookError(AiRuntimeError):
    """A hook of a strict manager failed: `hook` is its name, `stage` its type. What it raised is the cause."""

    def __init__(self, hook: str, stage: str, error: Exception) -> None:
        super().__init__(f"hook {hook!r} failed at {stage}: {_told(error)}")
        self.hook = hook
        self.stage = stage


class FailureLog:
    """Counts failures by name, and tells each name and stage to the log once; the rest only to its debug level."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._told: set[tuple[str, str]] = set()
        self.counts: dict[str, int] = {}

    def add(self, name: str, stage: str, error: Exception) -> None:
        self.counts[name] = self.counts.get(name, 0) + 1
        level = logging.DEBUG if (name, stage) in self._told else logging.WARNING
        self._told.add((name, stage))
        _log.log(level, "%s %r failed in %s and is passed by: %s", self._kind, name, stage, _told(error))

    def judge(self, plugin: Plugin, stage: str, error: Exception) -> None:
        """Pass a plugin's failure by; raises PluginError where it is critical, and refusals as they are."""
        if isinstance(error, PluginRefusal | PluginError):
            raise error
        if plugin.critical:
            raise PluginError(plugin.name, stage, error) from error
        self.add(plugin.name, stage, error)


def _told(error: Exception) -> str:
    return redact_text(f"{type(error).__name__}: {error}")
