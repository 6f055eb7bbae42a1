"""Where code written for ai_lib_python finds the classes of errors; ours are in `standard_codes` and `classify`."""

from __future__ import annotations

from dragoman.ai.errors.classify import classify_http_error
from dragoman.ai.errors.standard_codes import ErrorClass, is_fallbackable, is_retryable

__all__ = ["ErrorClass", "classify_http_error", "is_fallbackable", "is_retryable"]
