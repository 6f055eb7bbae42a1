"""What of a failure may be told: the text of a model's exception is for the log, and for whoever may see all.

Such a text can hold hosts, prompts and keys of the server's side. The engine gives each one a
reference under which the log has it whole; a text without a reference is the engine's own and
holds nothing. Every face asks here, so that none tells what another hides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from dragoman.core.events import Event, RunFailed, StepFailed


def told(message: str, ref: str | None, *, expose: bool) -> str:
    """The text of a failure for one reader; `expose` lets the text of an exception through."""
    if expose or ref is None:
        return message
    return f"The answer could not be completed. (reference {ref})"


def told_event(event: Event, *, expose: bool) -> Event:
    """The event for one reader."""
    body = event.body
    if expose or not isinstance(body, RunFailed | StepFailed) or body.ref is None:
        return event
    return replace(event, body=replace(body, message=told(body.message, body.ref, expose=False)))


def told_error(error: Mapping[str, Any] | None, *, expose: bool) -> dict[str, Any] | None:
    """A run's stored `{code, message, ref?}` for one reader."""
    if error is None:
        return None
    return {**error, "message": told(error.get("message", ""), error.get("ref"), expose=expose)}
