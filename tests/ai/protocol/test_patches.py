"""Corrections of published manifests: small, named, and only where the wrong value stands."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from dragoman.ai.protocol import ProtocolLoader
from dragoman.ai.protocol.patches import apply_patches, shipped_patches
from dragoman.ai.protocol.upgrade import upgrade

pytestmark = pytest.mark.requirement("AIP-112")


def names(loader: ProtocolLoader, provider: str) -> list[str]:
    return [patch.name for patch in loader.patches_for(provider)]


@pytest.mark.parametrize(
    ("generation", "expected"),
    [
        (
            "v2",
            {
                "anthropic": ["tokens-for-older-reasoning"],
                "deepseek": ["quota-class-name", "reasoning-in-tool-loops"],
                "groq": ["usage-beside-choices"],
                "mistral": ["no-stream-options"],
                "openai": ["newer-limit-of-tokens"],
            },
        ),
        (
            "v1",
            {
                "groq": ["usage-beside-choices", "frames-with-usage-alone"],
                "azure": ["api-version", "newer-limit-of-tokens-there-too"],
                "deepseek": ["reasoning-in-tool-loops-v1"],
                "openai": ["usage-in-streams", "newer-limit-of-tokens"],
                "gemini": ["nested-stop-sequences", "nested-candidate-count", "class-of-401"],
            },
        ),
    ],
)
def test_each_patch_meets_what_it_is_for_and_nothing_else(generation: str, expected: dict[str, list[str]]) -> None:
    loader = ProtocolLoader(generation=generation)
    found = {entry.id: names(loader, entry.id) for entry in loader.providers()}
    assert {provider: patches for provider, patches in found.items() if patches} == expected


def test_what_was_changed_is_told() -> None:
    loader = ProtocolLoader()
    patch = loader.patches_for("deepseek")[0]
    assert (patch.field, patch.before, patch.after) == (
        "error_classification.by_http_status.402",
        "insufficient_quota",
        "quota_exhausted",
    )
    assert loader.load_provider_sync("deepseek").get_error_class(402) == "quota_exhausted"


def test_a_patch_changes_that_value_and_no_other(tree: Path) -> None:
    document = upgrade(ProtocolLoader().load_file(tree / "v1/providers/gemini.yaml"))
    before = copy.deepcopy(document)
    patched, _ = apply_patches(document)
    assert document == before
    assert patched["parameter_mappings"].pop("stop_sequences") == "generationConfig.stopSequences"
    assert patched["error_classification"]["by_http_status"].pop("401") == "authentication"
    assert patched["features"]["multi_candidate"].pop("param_name") == "generationConfig.candidateCount"
    before["parameter_mappings"].pop("stop_sequences")
    before["features"]["multi_candidate"].pop("param_name")
    assert patched == before


def test_a_mended_manifest_is_left_alone(tree: Path) -> None:
    document = ProtocolLoader().load_file(tree / "v1/providers/gemini.yaml")
    document["parameter_mappings"]["stop_sequences"] = "generationConfig.stopSequences"
    document["error_classification"]["by_http_status"]["401"] = "permission_denied"
    loader = ProtocolLoader()
    manifest = loader.register_provider(document)
    assert names(loader, "gemini") == ["nested-candidate-count"]
    assert manifest.get_error_class(401) == "permission_denied"


def test_patching_twice_changes_nothing() -> None:
    for entry in ProtocolLoader(generation="v1").providers():
        assert entry.manifest is not None
        assert apply_patches(entry.manifest.raw) == (dict(entry.manifest.raw), [])


def test_patches_can_be_turned_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AI_PROTOCOL_PATCHES", "0")
    loader = ProtocolLoader()
    assert loader.patches_for("deepseek") == []
    assert loader.load_provider_sync("deepseek").get_error_class(402) == "insufficient_quota"
    monkeypatch.delenv("AI_PROTOCOL_PATCHES")
    assert ProtocolLoader().load_provider_sync("deepseek").get_error_class(402) == "quota_exhausted"


def test_a_patch_knows_a_manifest_by_what_it_says_and_not_by_its_id(tree: Path) -> None:
    document = ProtocolLoader().load_file(tree / "v1/providers/groq.yaml")
    loader = ProtocolLoader()
    loader.register_provider({**document, "id": "my-groq"})
    assert "usage-beside-choices" in names(loader, "my-groq")
    elsewhere: dict[str, Any] = {**document, "id": "groq-like", "endpoint": {"base_url": "https://gateway.example"}}
    loader.register_provider(elsewhere)
    assert names(loader, "groq-like") == []
    assert all("id" not in patch.where for patch in shipped_patches())
