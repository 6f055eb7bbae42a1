"""Where code written for ai_lib_python finds the errors; ours are in `errors.tree` and `errors.remote`."""

from __future__ import annotations

from dragoman.ai.errors.remote import RemoteError
from dragoman.ai.errors.tree import (
    AiLibError,
    AiRuntimeError,
    ErrorContext,
    PipelineError,
    ProtocolError,
    RuntimeError,
    TransportError,
    ValidationError,
)

__all__ = [
    "AiLibError",
    "AiRuntimeError",
    "ErrorContext",
    "PipelineError",
    "ProtocolError",
    "RemoteError",
    "RuntimeError",
    "TransportError",
    "ValidationError",
]
