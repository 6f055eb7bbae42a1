"""The user agent of model calls that the OpenAI Agents SDK makes for a responder. Does nothing without that SDK."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dragoman.chatkit.version import __version__

_OVERRIDES = (
    ("agents.models.chatcmpl_helpers", "HEADERS_OVERRIDE"),
    ("agents.models.openai_responses", "_HEADERS_OVERRIDE"),
)
"""Where the SDK keeps its context variables, by version; what is not there is left alone."""


@contextmanager
def agents_sdk_user_agent_override() -> Iterator[None]:
    """Within it, the SDK's model calls name this package too; the SDK is never imported for it."""
    sdk = sys.modules.get("agents")
    if sdk is None:
        yield
        return
    headers = {"User-Agent": f"Agents/Python {getattr(sdk, '__version__', '0')} Dragoman-ChatKit/Python {__version__}"}
    found: list[Any] = [getattr(sys.modules.get(module), name, None) for module, name in _OVERRIDES]
    tokens = [(variable, variable.set(headers)) for variable in found if hasattr(variable, "set")]
    try:
        yield
    finally:
        for variable, token in tokens:
            try:
                variable.reset(token)
            except ValueError:  # the stream is closed by another task than the one that began it
                continue
