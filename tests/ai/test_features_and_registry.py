"""Optional packages, declared and available capabilities, the MCP bridge."""

from __future__ import annotations

import builtins
import importlib.util
from types import SimpleNamespace
from typing import Any

import pytest

from dragoman.ai import features
from dragoman.ai.errors import ValidationError
from dragoman.ai.mcp import McpTool, McpToolBridge, McpToolInvocation, McpToolResult, extract_provider_config
from dragoman.ai.registry import CapabilityGap, CapabilityRegistry, CapabilityStatus
from dragoman.ai.types import ToolCall, ToolDefinition


@pytest.mark.requirement("AIP-98")
def test_probes_say_what_is_installed() -> None:
    for name, module in {
        "KEYRING": "keyring",
        "TOKENIZER": "tiktoken",
        "VISION": "PIL",
        "WATCHDOG": "watchdog",
    }.items():
        assert getattr(features, f"HAS_{name}") is (importlib.util.find_spec(module) is not None)
    assert isinstance(features.HAS_AUDIO, bool)
    assert isinstance(features.HAS_TELEMETRY, bool)


@pytest.mark.requirement("AIP-98")
def test_a_missing_extra_is_an_import_error_that_names_it() -> None:
    features.require_extra("protocol", "pydantic")
    for package in ("no-such-package", "no_such.sub_package"):
        with pytest.raises(ImportError, match=r"pip install 'dragoman\[keyring\]'"):
            features.require_extra("keyring", package)


@pytest.mark.requirement("AIP-98")
def test_a_registry_sets_declared_against_available() -> None:
    registry = CapabilityRegistry({"text", "stt"}, {"vision", "batch", "text"}, {"text", "vision", "tools"})
    assert registry.active_capabilities() == {"text", "vision"}
    assert registry.status_report() == {
        "batch": CapabilityStatus.UNAVAILABLE,
        "stt": CapabilityStatus.UNAVAILABLE,
        "text": CapabilityStatus.ACTIVE_REQUIRED,
        "vision": CapabilityStatus.ACTIVE_OPTIONAL,
    }
    assert registry.gaps() == [CapabilityGap("stt", True, None), CapabilityGap("batch", False, None)]
    assert (registry.is_active("vision"), registry.is_active("tools")) == (True, False)


@pytest.mark.requirement("AIP-98")
def test_a_missing_required_capability_is_refused_with_its_name() -> None:
    registry = CapabilityRegistry({"text", "tts", "stt"}, {"batch"}, {"text"})
    with pytest.raises(ValidationError, match="not available: stt, tts") as caught:
        registry.validate_requirements()
    assert isinstance(caught.value, builtins.RuntimeError)
    assert caught.value.standard_code.code == "E1005"
    CapabilityRegistry({"text"}, {"batch"}, {"text"}).validate_requirements()


@pytest.mark.requirement("AIP-98")
@pytest.mark.parametrize(
    "declared",
    [
        {"required": ["text"], "optional": ["mcp_client", "tts"]},
        SimpleNamespace(required=["text"], optional=["mcp_client", "tts"]),
        {"capabilities": {"required": ["text"], "optional": ["mcp_client", "tts"]}},
    ],
)
def test_a_manifest_or_its_capabilities_make_a_registry(declared: Any) -> None:
    registry = CapabilityRegistry.from_capabilities(declared)
    registry.validate_requirements()
    assert registry.active_capabilities() == {"text", "mcp_client"}
    assert [registry.integration(name) for name in ("text", "mcp_client", "tts", "vision")] == [
        "native",
        "tool_bridge",
        None,
        None,
    ]


@pytest.mark.requirement("AIP-102")
def test_tools_of_a_server_are_offered_under_its_name_and_come_back() -> None:
    bridge = McpToolBridge("files", deny_filter={"rm"})
    schema = {"type": "object", "properties": {"path": {"type": "string"}}}
    offered = bridge.mcp_tools_to_protocol([McpTool("ls", "List", schema), McpTool("rm"), McpTool("pwd")])
    assert [ToolDefinition(**tool).name for tool in offered] == ["mcp__files__ls", "mcp__files__pwd"]
    assert ToolDefinition(**offered[0]).parameters == schema
    expected = McpToolInvocation("ls", {"path": "/"})
    for call in (
        ToolCall(id="c", function_name="mcp__files__ls", arguments={"path": "/"}),
        {"name": "mcp__files__ls", "arguments": {"path": "/"}},
        {"id": "c", "function": {"name": "mcp__files__ls", "arguments": '{"path": "/"}'}},
    ):
        assert bridge.protocol_call_to_mcp(call) == expected


@pytest.mark.requirement("AIP-102")
@pytest.mark.parametrize("name", ["ls", "mcp__other__ls", "mcp__files__rm", "mcp__files__cat"])
def test_a_call_for_somebody_else_or_of_a_forbidden_tool_is_none(name: str) -> None:
    bridge = McpToolBridge("files", allow_filter={"ls", "rm"}, deny_filter={"rm"})
    assert bridge.protocol_call_to_mcp({"name": name, "arguments": {}}) is None


@pytest.mark.requirement("AIP-102")
def test_a_result_is_text_and_other_content_as_json() -> None:
    content: list[dict[str, Any]] = [{"type": "text", "text": "a"}, {"type": "image", "data": "x"}]
    bridge = McpToolBridge("files")
    assert bridge.mcp_result_to_protocol("c", McpToolResult(content)) == {
        "tool_use_id": "c",
        "content": 'a\n{"type": "image", "data": "x"}',
        "is_error": False,
    }
    failed = bridge.mcp_result_to_protocol("c", McpToolResult([{"type": "text", "text": "no"}], is_error=True))
    assert (failed["content"], failed["is_error"]) == ({"error": "no"}, True)


@pytest.mark.requirement("AIP-102")
def test_a_provider_that_speaks_mcp_itself_says_how() -> None:
    found = extract_provider_config({"client": {"supported": True, "provider_mapping": {"beta_header": "b-1"}}})
    assert found is not None
    assert (found.tool_type, found.beta_header, found.config_method) == ("mcp", "b-1", "tool_parameter")
    assert extract_provider_config(None) is None
    assert extract_provider_config({"client": {"supported": False, "provider_mapping": {}}}) is None
