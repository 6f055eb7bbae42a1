"""The errors of `dragoman.ai` and their thirteen classes.

Names load when they are first used. `tree` holds the errors of our own side, `remote` those of
the provider's, `classify` says which class an answer has, `standard_codes` is the table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dragoman.core.lazy import lazily

if TYPE_CHECKING:
    from dragoman.ai.errors import standard_codes as standard_codes
    from dragoman.ai.errors.classify import class_named as class_named
    from dragoman.ai.errors.classify import classify_error as classify_error
    from dragoman.ai.errors.classify import classify_http_error
    from dragoman.ai.errors.remote import RemoteError
    from dragoman.ai.errors.standard_codes import STANDARD_ERROR_CODES as STANDARD_ERROR_CODES
    from dragoman.ai.errors.standard_codes import ErrorClass, is_fallbackable, is_retryable
    from dragoman.ai.errors.standard_codes import StandardErrorCode as StandardErrorCode
    from dragoman.ai.errors.standard_codes import from_error_class as from_error_class
    from dragoman.ai.errors.standard_codes import from_http_status as from_http_status
    from dragoman.ai.errors.standard_codes import from_name as from_name
    from dragoman.ai.errors.tree import (
        AiLibError,
        AiRuntimeError,
        ErrorContext,
        PipelineError,
        ProtocolError,
        TransportError,
        ValidationError,
    )

_MODULES = ("standard_codes",)
_NAMES = {
    "classify": "class_named classify_error classify_http_error",
    "remote": "RemoteError",
    "standard_codes": (
        "ErrorClass STANDARD_ERROR_CODES StandardErrorCode from_error_class from_http_status from_name"
        " is_fallbackable is_retryable"
    ),
    "tree": "AiLibError AiRuntimeError ErrorContext PipelineError ProtocolError TransportError ValidationError",
}

__all__ = [
    "AiLibError",
    "AiRuntimeError",
    "ErrorClass",
    "ErrorContext",
    "PipelineError",
    "ProtocolError",
    "RemoteError",
    "TransportError",
    "ValidationError",
    "classify_http_error",
    "is_fallbackable",
    "is_retryable",
]

__getattr__, __dir__ = lazily(__name__, _NAMES, _MODULES)
