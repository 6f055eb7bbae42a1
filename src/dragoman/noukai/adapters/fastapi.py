"""The adapter for FastAPI and Starlette, which is that of every ASGI application."""

from __future__ import annotations

from dragoman.noukai.adapters.asgi import NoukaiTraceMiddleware

__all__ = ["NoukaiTraceMiddleware"]
