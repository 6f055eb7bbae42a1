"""Every document of the collected set, in one form whatever its generation."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.ai.protocol.documents import TREE, small

from dragoman.ai.errors import ProtocolError
from dragoman.ai.protocol import ProtocolLoader, ProtocolManifest

pytestmark = pytest.mark.requirement("AIP-01")

FILES = sorted([*TREE.glob("v[12]/providers/*.yaml"), *TREE.glob("own/v1/providers/*.yaml"), *TREE.glob("v1/legacy/*")])
FIXTURES = sorted((TREE / "tests/compliance/fixtures/providers").glob("*.yaml"))
REFUSED = {
    "mock-invalid": "id is missing",
    "mock-google-v2-ios-invalid-contract": "must NOT have additional properties",
    "mock-google-v2-ios-invalid-process": "must NOT have additional properties",
    "mock-google-v2-ios-invalid-empty-ios": "must match at least one schema in anyOf",
    "mock-google-v2-ios-invalid-nonobject": "capability_profile must be object",
    "mock-google-v2-iospc-invalid-missing-process-contract": "iospc_v1 requires process or contract",
}


def read(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return document


def named(path: Path) -> str:
    return path.relative_to(TREE).as_posix()


@pytest.mark.parametrize("path", FILES, ids=named)
def test_every_manifest_loads(path: Path) -> None:
    document = read(path)
    manifest = ProtocolLoader(path).load_provider_sync(document["id"])
    assert manifest.id == document["id"]
    assert manifest.protocol_version == document["protocol_version"]
    assert "://" in manifest.endpoint.base_url
    assert manifest.supports_streaming()
    assert manifest.operation("chat").path.startswith("/")


@pytest.mark.parametrize("path", FIXTURES, ids=named)
def test_every_fixture_loads_or_is_refused_for_the_documented_reason(path: Path) -> None:
    name = read(path).get("id", "nobody")
    reason = REFUSED.get(path.stem)
    if reason is None:
        assert ProtocolLoader(path).load_provider_sync(name).id == name
        return
    loader = ProtocolLoader()
    with pytest.raises(ProtocolError, match=reason):
        loader.register_provider(loader.load_file(path))


@pytest.mark.parametrize("path", [*FILES, *(path for path in FIXTURES if path.stem not in REFUSED)], ids=named)
def test_no_field_is_lost(path: Path) -> None:
    document = read(path)
    manifest = ProtocolManifest(**document)
    for name, value in document.items():
        if name in ("capabilities", "endpoints", "endpoint", "streaming", "base_url", "auth"):
            continue  # these are brought into another form
        assert manifest.raw[name] == json.loads(json.dumps(value, default=str))
        assert name == "$schema" or hasattr(manifest, name) or name == "provider_contract"


def test_unknown_fields_survive_at_every_level() -> None:
    manifest = ProtocolManifest(
        **small(
            future={"a": [1]},
            endpoint={"base_url": "https://x", "region_hint": "eu"},
            streaming={
                "decoder": {"format": "sse", "nested": 1},
                "event_map": [{"match": "$.a", "emit": "X", "odd": 2}],
            },
        )
    )
    assert manifest.future == {"a": [1]}  # type: ignore[attr-defined]  # an unknown field
    assert manifest.endpoint.region_hint == "eu"  # type: ignore[attr-defined]  # an unknown field
    assert manifest.streaming is not None
    assert manifest.streaming.decoder is not None
    assert manifest.streaming.decoder.nested == 1  # type: ignore[attr-defined]  # an unknown field
    assert manifest.streaming.event_map is not None
    assert manifest.streaming.event_map[0].odd == 2  # type: ignore[attr-defined]  # an unknown field


def test_version_1_1_is_upgraded_in_memory(tree: Path) -> None:
    manifest = ProtocolLoader(tree / "v1/legacy/groq-1.1.yaml").load_provider_sync("groq")
    assert manifest.endpoint.base_url == "https://api.groq.com/openai/v1"
    assert manifest.endpoints["completions_create"].path == "/completions"
    assert manifest.endpoints["completions_create"].method == "POST"
    assert manifest.operation("chat").path == "/chat/completions"
    assert manifest.capabilities.tools is True
    assert manifest.has_capability("text") is True
    assert manifest.has_capability("vision") is None
    assert (manifest.availability.required, manifest.availability.regions) == (False, ["global"])


def test_an_older_nesting_below_core_is_read() -> None:
    endpoint = {"base_url": "https://x", "endpoints": {"video_get": {"path": "/v/{id}", "method": "GET"}}}
    manifest = ProtocolManifest(id="nested", protocol_version="2.0", core={"endpoint": endpoint})
    assert manifest.base_url() == "https://x"
    assert (manifest.operation("video_get", "/else").path, manifest.operation("video_get").method) == ("/v/{id}", "GET")
    assert manifest.operation("other", "/else").path == "/else"
    with pytest.raises(ProtocolError, match=r"'nested' has no endpoint 'other' \(it has: video_get\)"):
        manifest.operation("other")


@pytest.mark.parametrize(
    "said",
    [
        {"streaming": True, "tools": True, "vision": False},
        ["chat", "streaming", "tools"],
        {"required": ["text", "streaming"], "optional": ["tools"]},
    ],
    ids=["booleans", "list", "v2"],
)
@pytest.mark.parametrize("version", ["1.1", "1.5", "2.0"])
def test_three_shapes_of_capabilities_are_read_in_every_generation(said: Any, version: str) -> None:
    manifest = ProtocolManifest(**small(capabilities=said) | {"protocol_version": version})
    assert manifest.supports_streaming()
    assert manifest.supports_tools()
    assert not manifest.supports_vision()
    assert manifest.has_capability("text") is True
    assert manifest.has_capability("audio") is None


def test_extract_and_fields_are_one_thing(tree: Path) -> None:
    manifest = ProtocolLoader(tree, generation="v2").load_provider_sync("openai")
    assert manifest.streaming is not None
    assert manifest.streaming.event_map is not None
    assert manifest.streaming.event_map[0].fields == {"content": "$.choices[0].delta.content"}


def test_short_paths_become_endpoints_and_endpoints_win() -> None:
    manifest = ProtocolManifest(
        **small(
            endpoint={"base_url": "https://x", "chat": "/short", "stt": "/hear", "embeddings": "/short-e"},
            endpoints={"chat": {"path": "/long", "method": "POST"}, "realtime": "wss://x/rt"},
        )
    )
    assert manifest.get_chat_endpoint() == "/long"
    assert manifest.operation("embeddings").path == "/short-e"
    assert manifest.operation("speech_to_text").path == "/hear"
    assert manifest.operation("realtime").path == "wss://x/rt"


def test_the_default_family_picks_the_chat_endpoint() -> None:
    endpoints = {
        "chat_openai": {"path": "/chat/completions", "adapter": "openai"},
        "chat_anthropic": {"path": "/anthropic/v1/messages", "adapter": "anthropic"},
    }
    manifest = ProtocolManifest(**small(endpoints=endpoints, default_api_family="anthropic_messages"))
    assert manifest.get_chat_endpoint() == "/anthropic/v1/messages"
    assert manifest.adapter == "anthropic"


def test_the_endpoints_auth_wins_and_the_other_is_known(tree: Path) -> None:
    path = tree / "tests/compliance/fixtures/providers/mock-credential-dual-auth.yaml"
    manifest = ProtocolLoader(path).load_provider_sync("dualauth")
    assert manifest.auth is not None
    assert manifest.auth.token_env == "DUALAUTH_API_TOKEN"
    assert manifest.shadowed_auth is not None
    assert manifest.shadowed_auth.key_env == "DUALAUTH_LEGACY_KEY"


def test_upgrading_twice_changes_nothing() -> None:
    for path in FILES:
        once = ProtocolManifest(**read(path))
        assert ProtocolManifest(**once.raw).raw == once.raw


def test_a_manifest_is_frozen_and_its_document_too() -> None:
    manifest = ProtocolLoader().load_provider_sync("openai")
    with pytest.raises(ValueError, match="frozen"):
        manifest.name = "other"  # type: ignore[misc]  # that it cannot is the point
    with pytest.raises(TypeError, match="shared and cannot be changed"):
        manifest.raw["endpoint"]["base_url"] = "https://evil.example"
    with pytest.raises(TypeError, match="shared and cannot be changed"):
        manifest.raw["capabilities"]["required"].append("x")
    changed = copy.deepcopy(manifest.raw)
    changed["name"] = "Mine"  # type: ignore[index]
    assert json.loads(json.dumps(manifest.raw))["name"] == "OpenAI"


def test_a_manifest_travels_to_another_process() -> None:
    manifest = ProtocolLoader().load_provider_sync("gemini")
    assert pickle.loads(pickle.dumps(manifest)).raw == manifest.raw
    assert copy.deepcopy(manifest) is manifest
    assert repr(manifest) == "ProtocolManifest('gemini', 2.0, gemini)"


def test_a_contract_beside_the_manifest_is_found(tree: Path) -> None:
    loader = ProtocolLoader(tree)
    gemini = loader.load_provider_sync("gemini")
    assert gemini.contract is not None
    assert gemini.contract.request_mapping.role_mapping["assistant"] == "model"
    assert loader.load_provider_sync("groq").contract is None


def test_what_is_compiled_is_compiled_once() -> None:
    manifest = ProtocolManifest(**small())
    made: list[ProtocolManifest] = []

    def build(source: ProtocolManifest) -> list[str]:
        made.append(source)
        return [source.id]

    assert manifest.compiled("plan", build) is manifest.compiled("plan", build)
    assert made == [manifest]
    assert manifest.plan_cache == {"plan": ["acme"]}


def test_yaml_that_is_not_json_is_read_as_json_would_be(tmp_path: Path) -> None:
    path = tmp_path / "acme.yaml"
    path.write_text(
        "id: acme\nprotocol_version: '1.5'\nendpoint: {base_url: 'https://x'}\nreleased: 2026-06-19\n"
        "error_classification: {by_http_status: {429: rate_limited}}\nnull_here: ~\nretry_policy: ~\n",
        encoding="utf-8",
    )
    manifest = ProtocolLoader(path).load_provider_sync("acme")
    assert manifest.get_error_class(429) == "rate_limited"
    assert manifest.get_error_class(500) is None
    assert manifest.raw["released"] == "2026-06-19"
    assert manifest.retry_policy is None


def test_defaults_are_those_of_the_protocol() -> None:
    manifest = ProtocolManifest(**small(streaming={"decoder": {}}, retry_policy={}, auth={}, tooling={"tool_use": {}}))
    assert (manifest.endpoint.protocol, manifest.endpoint.timeout_ms) == ("https", 10000)
    assert manifest.streaming is not None
    decoder = manifest.streaming.decoder
    assert decoder is not None
    assert (decoder.format, decoder.delimiter, decoder.prefix, decoder.done_signal) == (
        "sse",
        "\n\n",
        "data: ",
        "[DONE]",
    )
    policy = manifest.retry_policy
    assert policy is not None
    assert (policy.strategy, policy.max_retries, policy.min_delay_ms, policy.max_delay_ms) == (
        "exponential_backoff",
        None,
        1000,
        None,
    )
    assert (policy.jitter, policy.retry_on_http_status, policy.retry_on_error_status) == ("full", [429, 500], [])
    assert manifest.auth is not None
    assert manifest.auth.type == "bearer"
    assert manifest.tooling is not None
    assert manifest.tooling.tool_use is not None
    assert manifest.tooling.tool_use.input_format == "json_object"
    assert manifest.get_service_endpoint("none") is None
    assert manifest.get_parameter_name("max_tokens") == "max_tokens"


def test_parameters_map_by_name_and_alias_and_nest() -> None:
    first = ProtocolManifest(**small(parameter_mappings={"top_p": "generationConfig.topP"}))
    assert first.map_parameters({"top_p": 0.5, "seed": None, "x": 1}) == {"generationConfig": {"topP": 0.5}, "x": 1}
    rules = {"maxOutputTokens": {"alias": "max_tokens"}, "temperature": {"default": 1.0}}
    second = ProtocolManifest(**small(parameters=rules))
    assert second.get_parameter_name("max_tokens") == "maxOutputTokens"
    assert second.map_parameters({"max_tokens": 5}) == {"maxOutputTokens": 5}
    assert second.map_parameters({"max_tokens": 5}, apply_defaults=True) == {"maxOutputTokens": 5, "temperature": 1.0}
