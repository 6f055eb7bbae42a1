"""What can be done: yes, no, unknown; and facts of models with their prices."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.ai.protocol.documents import small

from dragoman.ai.errors import ValidationError
from dragoman.ai.protocol import CapabilityKnown, ModelFact, ProtocolLoader, ProtocolManifest, require_capability
from dragoman.ai.protocol.metadata_model import supports_generative_capability

MODELS = {
    "sees": {"model_capabilities": {"attachment": True}, "modalities": {"input": ["text", "image"]}},
    "blind": {"modalities": {"input": ["text"]}, "model_capabilities": {"tool_call": False}},
    "bare": {},
}


def v2(capabilities: Any = None, **more: Any) -> ProtocolManifest:
    return ProtocolManifest(**{**small(capabilities=capabilities, **more), "protocol_version": "2.0"})


@pytest.mark.requirement("AIP-43")
@pytest.mark.parametrize(
    ("manifest", "name", "answer"),
    [
        (v2({"required": ["text", "tools"]}), "tools", "yes"),
        (v2({"required": ["text"], "optional": ["vision"]}), "vision", "yes"),
        (v2({"required": ["text"]}), "vision", "unknown"),
        (v2({"required": ["text"], "feature_flags": {"structured_output": False}}), "structured_output", "no"),
        (v2({"required": ["text"]}, feature_flags={"structured_output": True}), "structured_output", "yes"),
        (v2({"required": ["text"]}, multimodal={"input": {"audio": {"supported": False}}}), "audio", "no"),
        (v2({"required": ["text"], "tool_calling": {"native": {"supported": False}}}), "tools", "no"),
        (v2({"streaming": True, "vision": False}), "vision", "no"),
        (v2({"streaming": True, "vision": False}), "audio", "unknown"),
        (v2({"chat": True}), "text", "yes"),
        (v2(["chat", "function_calling"]), "tools", "yes"),
        (v2(), "text", "unknown"),
        (v2({"required": ["mcp_client"]}), "mcp", "yes"),
    ],
)
def test_left_out_is_unknown_and_not_no(manifest: ProtocolManifest, name: str, answer: str) -> None:
    assert manifest.supports(name) == answer


@pytest.mark.requirement("AIP-43")
def test_a_fact_of_the_model_beats_a_claim_of_the_provider() -> None:
    manifest = v2({"required": ["text", "tools"], "optional": []}, metadata={"models": MODELS})
    assert manifest.supports("vision") == "unknown"
    assert manifest.supports("vision", "sees") == "yes"
    assert manifest.supports("vision", "blind") == "no"
    assert manifest.supports("tools", "blind") == "no"
    assert manifest.supports("tools", "sees") == "yes"
    assert manifest.supports("tools", "bare") == "yes"
    assert manifest.supports("vision", "unheard-of") == "unknown"


@pytest.mark.requirement("AIP-43")
def test_the_guard_wants_a_yes_and_has_its_own_code() -> None:
    manifest = v2({"required": ["text", "mcp_client"]})
    require_capability(manifest, "mcp_client")
    for name in ("computer_use", "reasoning", "video"):
        with pytest.raises(ValidationError, match=f"'acme' does not declare the capability '{name}'") as caught:
            require_capability(manifest, name)
        assert caught.value.standard_code.code == "E1005"
        assert caught.value.actual == ["mcp_client", "text"]


@pytest.mark.requirement("AIP-43")
def test_generative_capabilities_are_three_valued() -> None:
    assert (
        supports_generative_capability({"model_capabilities": {"image_generation": True}}, "image_generation") == "yes"
    )
    assert supports_generative_capability({"model_capabilities": {"text_to_speech": False}}, "text_to_speech") == "no"
    assert supports_generative_capability({}, "speech_to_text") is CapabilityKnown.UNKNOWN
    assert supports_generative_capability(None, "speech_to_text") is CapabilityKnown.UNKNOWN
    fact = ProtocolLoader().load_provider_sync("openai").model_fact("gpt-4o")
    assert supports_generative_capability(fact, "image_generation") in set(CapabilityKnown)


@pytest.mark.requirement("AIP-43")
def test_sizes_of_zero_are_unknown() -> None:
    models = {"m": {"context_window": 0, "max_output_tokens": 4096, "pricing": {"input_per_1m": 0}, "preview": False}}
    fact = v2(metadata={"models": models}).model_fact("m")
    assert fact is not None
    assert fact.raw == {"max_output_tokens": 4096, "pricing": {"input_per_1m": 0}, "preview": False}
    assert (fact.context_window, fact.max_output_tokens, fact.input_per_1m) == (None, 4096, None)


@pytest.mark.requirement("AIP-43")
def test_a_model_file_completes_what_the_manifest_says(tmp_path: Path, write: Callable[..., Path]) -> None:
    write(
        tmp_path / "v2/providers/acme.json", protocol_version="2.0", metadata={"models": {"m-1": {"context_window": 9}}}
    )
    entry = {
        "provider": "acme",
        "model_id": "m-1",
        "display_name": "M One",
        "context_window": 5,
        "capabilities": ["chat", "vision"],
        "pricing": {"input_per_token": 2.5e-06, "output_per_token": 1e-05},
    }
    (tmp_path / "v1/models").mkdir(parents=True)
    (tmp_path / "v1/models/acme.json").write_text(json.dumps({"models": {"m": entry}}), encoding="utf-8")
    manifest = ProtocolLoader(tmp_path).load_provider_sync("acme")
    fact = manifest.model_fact("m-1")
    assert isinstance(fact, ModelFact)
    assert (fact.context_window, fact.display_name) == (9, "M One")
    assert (fact.input_per_1m, fact.output_per_1m) == (2.5, 10.0)
    assert manifest.supports("vision", "m-1") == "yes"
    assert [each.model_id for each in manifest.model_facts()] == ["m-1"]


@pytest.mark.requirement("AIP-75")
def test_prices_have_one_unit_whatever_the_file_says() -> None:
    rows = {(row["provider"], row["model_id"]): row for row in ProtocolLoader().models()}
    listed = rows["anthropic", "claude-3-5-sonnet-20241022"]
    assert (listed["input_per_1m"], listed["output_per_1m"]) == (3.0, 15.0)
    stated = rows["deepseek", "deepseek-v4-flash"]
    assert (stated["input_per_1m"], stated["output_per_1m"], stated["cache_hit_input_per_1m"]) == (0.14, 0.28, 0.0028)
    assert rows["openai", "gpt-5.5"]["input_per_1m"] is None
    assert rows["openai", "gpt-3.5-turbo"]["name"] == "gpt-35-turbo"


@pytest.mark.requirement("AIP-75")
def test_where_two_sources_price_one_model_the_manifest_counts() -> None:
    (newer,) = [row for row in ProtocolLoader().models() if row["model_id"] == "gpt-4o"]
    (older,) = [row for row in ProtocolLoader(generation="v1").models() if row["model_id"] == "gpt-4o"]
    assert (newer["input_per_1m"], older["input_per_1m"]) == (2.5, 5.0)


@pytest.mark.requirement("AIP-44")
def test_availability_is_there_for_whoever_checks_it() -> None:
    azure = ProtocolLoader().load_provider_sync("azure")
    assert azure.availability.required
    assert azure.availability.check is not None
    assert (azure.availability.check.method, azure.availability.check.expected_status) == ("GET", [200])
    deepseek = ProtocolLoader().load_provider_sync("deepseek")
    assert (deepseek.availability.required, deepseek.availability.regions) == (False, ["cn", "global"])
    nothing = ProtocolManifest(**small(availability={"check": {"path": "/up"}})).availability
    assert nothing.check is not None
    assert (nothing.required, nothing.regions, nothing.check.timeout_ms) == (False, ["global"], 3000)
