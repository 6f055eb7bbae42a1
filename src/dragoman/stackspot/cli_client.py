"""An HTTP client that sends through StackSpot's own command line tool."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from dragoman.stackspot.cli_tool import MODULE, StkCLI
from dragoman.stackspot.http_interface import HttpClient, Timeout
from dragoman.stackspot.validation import require

__all__ = ["StkCLI", "StkCLIHttpClient"]


class StkCLIHttpClient(HttpClient):
    """Sends through the command line tool, which authorizes by its own session."""

    def get(self, url: str, headers: dict[str, str] | None = None, timeout: Timeout = 30) -> Any:
        _check(url)
        return _function("get_with_authorization")(url=url, timeout=timeout, headers=headers, use_cache=False)

    def post(self, url: str, data: Any = None, headers: dict[str, str] | None = None, timeout: Timeout = 30) -> Any:
        _check(url)
        return _function("post_with_authorization")(url=url, body=data, timeout=timeout, headers=headers)

    def post_stream(
        self, url: str, data: Any = None, headers: dict[str, str] | None = None, timeout: Timeout = 30
    ) -> Any:
        _check(url)
        return _function("post_with_authorization")(url=url, body=data, timeout=timeout, headers=headers, stream=True)


def _check(url: str) -> None:
    require(url, "url must not be empty")


def _function(name: str) -> Callable[..., Any]:
    found: Callable[..., Any] = getattr(import_module(MODULE), name)
    return found
