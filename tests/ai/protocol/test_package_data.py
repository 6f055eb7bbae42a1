"""The package ships exactly what the tree of the tests says."""

from __future__ import annotations

from pathlib import Path

import pytest
from tools import manifests

import dragoman.ai
from dragoman.ai.protocol import ProtocolLoader, ProtocolValidator
from dragoman.ai.protocol.package import package_names

PACKAGE = Path(dragoman.ai.__file__).parent / "manifests"
OWN = {"dragoman", "fireworks", "lmstudio", "ollama", "openai-responses", "openrouter", "together", "vllm", "xai"}


@pytest.mark.requirement("AIP-01")
def test_the_packages_manifests_are_as_generated() -> None:
    assert manifests.differences() == [], "run tools/manifests.py"


@pytest.mark.requirement("AIP-01")
def test_a_changed_copy_is_noticed(tmp_path: Path) -> None:
    for name, text in manifests.generated().items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert manifests.differences(tmp_path) == []
    (tmp_path / "v1" / "providers" / "ollama.json").write_text("{}", encoding="utf-8")
    (tmp_path / "v2" / "providers" / "groq.json").unlink()
    (tmp_path / "more.json").write_text("{}", encoding="utf-8")
    assert manifests.differences(tmp_path) == [
        "missing: v2/providers/groq.json",
        "not generated: more.json",
        "differs: v1/providers/ollama.json",
    ]


@pytest.mark.requirement("AIP-112")
def test_the_licence_and_the_changes_stand_beside_the_data() -> None:
    notice = (PACKAGE / "NOTICE").read_text(encoding="utf-8")
    assert "MIT License" in notice
    assert "Permission is hereby granted" in notice
    assert all(name in notice for name in OWN)


@pytest.mark.requirement("AIP-112")
def test_the_own_manifests_are_there_and_pass_the_schema_without_a_word() -> None:
    assert set(package_names("v1/providers")) >= OWN
    loader, validator = ProtocolLoader(generation="v1"), ProtocolValidator()
    for name in sorted(OWN):
        result = validator.validate(loader.load_provider_sync(name).raw)
        assert (name, result.errors) == (name, [])


@pytest.mark.requirement("AIP-112")
def test_a_local_server_needs_no_key_and_no_other_word() -> None:
    loader = ProtocolLoader()
    for name in ("ollama", "vllm", "lmstudio"):
        manifest = loader.load_provider_sync(name)
        assert manifest.auth is None
        assert manifest.base_url().startswith("http://127.0.0.1:")
