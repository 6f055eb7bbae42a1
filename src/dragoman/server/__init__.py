"""The composition root: faces, credentials, settings, limits, logs, and what joins two rooms.

`asgi(app)` gives an ASGI application for any server; `dragoman serve` runs it under uvicorn.
Importing this package imports no framework; using it needs the extra `server`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dragoman.core.errors import MissingExtra

if TYPE_CHECKING:
    from dragoman.server.asgi import asgi as asgi

__all__ = ["asgi"]


def __getattr__(name: str) -> Any:
    if name == "asgi":
        try:
            from dragoman.server.asgi import asgi
        except ModuleNotFoundError as error:
            raise MissingExtra("the server", "server") from error
        return asgi
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
