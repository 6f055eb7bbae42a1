"""Tools of an MCP server as tools of a model, and back: pure conversion.

A server's tool `search` is offered to the model as `mcp__<server>__search`, so that tools of
several servers live side by side. Who connects to the server and calls it is the caller.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dragoman.ai.types.message import ToolCall

__all__ = [
    "McpProviderConfig",
    "McpServerSpec",
    "McpTool",
    "McpToolBridge",
    "McpToolInvocation",
    "McpToolResult",
    "extract_provider_config",
]


@dataclass
class McpServerSpec:
    """A server to be named to a provider that calls it itself."""

    name: str
    transport: str
    uri: str
    auth: dict[str, Any] | None = field(default=None, repr=False)


@dataclass
class McpTool:
    """A tool as a server lists it; `input_schema` is the JSON Schema of its arguments."""

    name: str
    description: str | None = None
    input_schema: dict[str, Any] | None = None


@dataclass
class McpToolInvocation:
    """What to call on the server."""

    name: str
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass
class McpToolResult:
    """What the server answered: content blocks of MCP."""

    content: list[dict[str, Any]] = field(default_factory=list)
    is_error: bool = False


@dataclass
class McpProviderConfig:
    """How a provider that speaks MCP itself wants to be told of servers."""

    tool_type: str = "mcp"
    beta_header: str | None = None
    api_endpoint: str | None = None
    config_method: str = "tool_parameter"


class McpToolBridge:
    """Converts for one server. `allow_filter` and `deny_filter` are names of its tools; deny wins."""

    def __init__(
        self,
        server_name: str,
        *,
        allow_filter: Iterable[str] | None = None,
        deny_filter: Iterable[str] | None = None,
    ) -> None:
        self.server_name = server_name
        self._prefix = f"mcp__{server_name}__"
        self._allowed = frozenset(allow_filter) if allow_filter is not None else None
        self._denied = frozenset(deny_filter or ())

    def mcp_tools_to_protocol(self, mcp_tools: Iterable[McpTool]) -> list[dict[str, Any]]:
        """The permitted tools as definitions; `ToolDefinition(**…)` reads each."""
        return [
            {
                "type": "function",
                "function": {
                    "name": self._prefix + tool.name,
                    "description": tool.description,
                    "parameters": tool.input_schema or {"type": "object", "properties": {}},
                },
            }
            for tool in mcp_tools
            if self._permits(tool.name)
        ]

    def protocol_call_to_mcp(self, call: ToolCall | Mapping[str, Any]) -> McpToolInvocation | None:
        """What to call for a model's call; None when it is not for this server, or not permitted.

        A call may be a ToolCall, `{"name", "arguments"}` or OpenAI's form.
        """
        if not isinstance(call, ToolCall):
            named = {"function": call} if "name" in call else {}
            call = ToolCall.model_validate({"id": "", **call, **named})
        name = call.function_name.removeprefix(self._prefix)
        if name == call.function_name or not self._permits(name):
            return None
        return McpToolInvocation(name, call.arguments)

    def mcp_result_to_protocol(self, tool_call_id: str, result: McpToolResult) -> dict[str, Any]:
        """The result as the fields of a tool result block: text joined, other content as JSON."""
        text = "\n".join(_shown(block) for block in result.content)
        content: Any = {"error": text} if result.is_error else text
        return {"tool_use_id": tool_call_id, "content": content, "is_error": result.is_error}

    def _permits(self, name: str) -> bool:
        return name not in self._denied and (self._allowed is None or name in self._allowed)


def extract_provider_config(mcp_config: Any) -> McpProviderConfig | None:
    """By a manifest's `mcp` section: how the provider takes servers itself; None when it does not."""
    client = _part(mcp_config, "client")
    mapping = _part(client, "provider_mapping")
    if not _part(client, "supported") or mapping is None:
        return None
    return McpProviderConfig(
        tool_type=_part(mapping, "tool_type") or "mcp",
        beta_header=_part(mapping, "beta_header"),
        api_endpoint=_part(mapping, "api_endpoint"),
        config_method=_part(mapping, "config_method") or "tool_parameter",
    )


def _shown(block: Mapping[str, Any]) -> str:
    text = block.get("text")
    return text if block.get("type") == "text" and isinstance(text, str) else json.dumps(block, ensure_ascii=False)


def _part(document: Any, name: str) -> Any:
    return document.get(name) if isinstance(document, Mapping) else getattr(document, name, None)
