"""What the client wants to say, and the HTTP request that says it in a provider's words.

Plain values. A `ChatCall` knows no wire format and a `ChatRequest` no secret: credentials are
added by whoever sends it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

from dragoman.ai.types.message import ImageSource, Message
from dragoman.ai.types.tool import ToolDefinition

__all__ = ["ChatCall", "ChatRequest", "Resolver"]

Resolver = Callable[[Any], ImageSource]
"""Turns the source of a block that is only a reference into one with data or a URL."""


@dataclass(frozen=True)
class ChatCall:
    """One request for an answer.

    `parameters` go by their standard names and are translated; `extra` reaches the top level of the
    body verbatim, objects merged into what is there. `tool_choice` is "auto", "none", "required", a
    tool's name, or OpenAI's object; `response_format` is "json", OpenAI's object, a JSON Schema or a
    pydantic class; `reasoning_effort` a word, a number of tokens, a boolean, or
    `{"effort", "budget_tokens", "summary"}`.

    What the wire cannot express raises ValidationError when `strict`, and is left out otherwise, with
    one warning per name not yet in `warned` (hand in one set per client). `strict_capabilities` False
    turns a refused capability into a warning too.
    """

    model: str
    messages: Sequence[Message]
    tools: Sequence[ToolDefinition] = ()
    tool_choice: Any = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    stream: bool = False
    n: int = 1
    response_format: Any = None
    reasoning_effort: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    strict: bool = False
    strict_capabilities: bool = True
    resolve: Resolver | None = None
    warned: set[str] | None = None


@dataclass(frozen=True)
class ChatRequest:
    """The request as it goes on the wire, all but credentials and the place of the server.

    `path` is below the base URL, or a whole URL when the manifest names one. Header names are lower
    case; credentials go *under* these headers, because a header of the user wins over them.
    `dropped` lists the parameters that this wire cannot express.
    """

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: dict[str, Any]
    dropped: tuple[str, ...] = ()

    def url(self, base_url: str) -> str:
        """The whole URL below `base_url`, whose own path and query stay."""
        if "://" in self.path:
            base, path = urlsplit(self.path), ""
        else:
            base, path = urlsplit(base_url), self.path
        query = "&".join(part for part in (base.query, urlencode(self.query)) if part)
        return urlunsplit((base.scheme, base.netloc, base.path.rstrip("/") + path, query, ""))
