"""Versions, and what streams need."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.ai.protocol.documents import small

from dragoman.ai.errors import ProtocolError
from dragoman.ai.protocol import (
    SUPPORTED_PROTOCOL_VERSIONS,
    ProtocolLoader,
    ProtocolManifest,
    ValidationResult,
    check_manifest,
    validate_manifest,
    validate_manifest_or_raise,
    validate_protocol_version,
    validate_streaming_config,
)

pytestmark = pytest.mark.requirement("AIP-04")


def test_the_supported_versions_are_a_constant() -> None:
    assert SUPPORTED_PROTOCOL_VERSIONS == ["1.0", "1.1", "1.5", "2.0"]


@pytest.mark.parametrize("version", SUPPORTED_PROTOCOL_VERSIONS)
def test_a_supported_version_loads(version: str) -> None:
    manifest = ProtocolLoader().register_provider({**small(), "protocol_version": version})
    assert validate_protocol_version(manifest).valid
    assert manifest.generation == ("v2" if version == "2.0" else "v1")


@pytest.mark.parametrize("version", ["0.9", "1.2", "1.5.1", "2.1", "2.0-alpha", ""])
def test_another_version_is_refused_with_the_list(version: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        ProtocolLoader().register_provider({**small(), "protocol_version": version})
    assert f"Unsupported protocol version {version!r}: expected one of 1.0, 1.1, 1.5, 2.0" in str(caught.value)
    assert caught.value.version == version


def test_version_1_0_is_warned_of_and_others_may_be_allowed() -> None:
    aged = ["protocol_version 1.0 is deprecated and read as 1.5; say 1.5 once you have looked it over"]
    assert validate_protocol_version({"protocol_version": "1.0"}).warnings == aged
    assert validate_protocol_version({"protocol_version": "9.9"}, ["9.9"]).valid
    assert validate_protocol_version({}) == ValidationResult(warnings=aged)


def test_a_manifest_that_does_not_say_its_version_is_read_as_1_0() -> None:
    document = {name: value for name, value in small().items() if name != "protocol_version"}
    made = ProtocolManifest(**document)
    assert (made.protocol_version, made.generation) == ("1.0", "v1")
    assert ProtocolLoader().register_provider(document).raw["protocol_version"] == "1.0"
    assert any("deprecated" in warning for warning in check_manifest(document).warnings)


def test_a_sandbox_version_loads_only_when_its_file_is_named(tmp_path: Path, write: Any) -> None:
    path = write(tmp_path / "acme.json", protocol_version="2.0-alpha")
    assert ProtocolLoader(path).load_provider_sync("acme").generation == "v2"
    with pytest.raises(ProtocolError, match=r"2\.0-alpha"):
        ProtocolLoader(tmp_path).load_provider_sync("acme")


CAN = {"streaming": True, "tools": True}
PROBLEMS = [
    (None, "the capability streaming is declared, but there is no streaming configuration"),
    ({"content_path": "a", "tool_call_path": "b"}, "streaming.decoder.format is missing or empty"),
    (
        {"decoder": {"format": " "}, "content_path": "a", "tool_call_path": "b"},
        "streaming.decoder.format is missing or empty",
    ),
    (
        {"decoder": {"format": "sse"}, "tool_call_path": "b"},
        "streaming has neither event_map nor content_path: no text can be read",
    ),
    (
        {"decoder": {"format": "sse"}, "content_path": "a"},
        "tools are declared, but streaming has neither event_map nor tool_call_path",
    ),
]


@pytest.mark.parametrize(("streaming", "problem"), PROBLEMS)
def test_the_streaming_check_warns_and_is_an_error_when_strict(streaming: dict[str, Any] | None, problem: str) -> None:
    manifest = ProtocolManifest(**small(capabilities=CAN, streaming=streaming))
    assert validate_streaming_config(manifest) == ValidationResult(warnings=[problem])
    assert validate_streaming_config(manifest, strict=True) == ValidationResult(valid=False, errors=[problem])


@pytest.mark.parametrize(
    ("capabilities", "streaming"),
    [
        ({"streaming": False}, None),
        (CAN, {"decoder": {"format": "sse"}, "event_map": [{"match": "$.a", "emit": "StreamEnd"}]}),
        (CAN, {"decoder": {"format": "sse"}, "content_path": "a", "tool_call_path": "b"}),
    ],
)
def test_what_can_be_read_passes_the_strict_check(capabilities: Any, streaming: Any) -> None:
    document = small(capabilities=capabilities, streaming=streaming)
    assert validate_streaming_config(document, strict=True) == ValidationResult()


@pytest.mark.parametrize("value", ["1", "true", "YES"])
def test_the_environment_makes_it_strict(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    document = small(capabilities=CAN)
    assert validate_manifest(document).valid
    monkeypatch.setenv("AI_LIB_STRICT_STREAMING", value)
    assert not validate_manifest(document)
    assert validate_manifest(document, strict_streaming=False).valid
    with pytest.raises(ProtocolError, match="there is no streaming configuration"):
        validate_manifest_or_raise(document)
    with pytest.raises(ProtocolError, match="there is no streaming configuration"):
        ProtocolLoader().register_provider(document)


def test_the_loader_may_be_strict_and_the_packages_manifests_pass() -> None:
    loader = ProtocolLoader(strict_streaming=True)
    with pytest.raises(ProtocolError, match="there is no streaming configuration"):
        loader.register_provider(small(capabilities=CAN))
    refused = {entry.id: str(entry.error) for entry in loader.providers() if entry.error is not None}
    assert set(refused) == {"cohere"}  # v2: an empty event_map, all of it is the adapter's
    for generation in ("v1", "v2"):
        other = ProtocolLoader(strict_streaming=True, generation=generation)
        assert {entry.id for entry in other.providers() if entry.error is not None} <= {"cohere"}


def test_the_version_check_can_be_left_out() -> None:
    document = {**small(), "protocol_version": "7.0"}
    assert not validate_manifest(document)
    assert validate_manifest(document, check_version=False)


def test_validating_a_manifest_looks_at_version_and_streams_and_leaves_its_shape_to_the_shape_check() -> None:
    assert validate_manifest({"id": "acme", "protocol_version": "1.5"})
    assert not check_manifest({"id": "acme", "protocol_version": "1.5"})
    both = validate_manifest({"protocol_version": "9", "capabilities": {"streaming": True}}, strict_streaming=True)
    assert len(both.errors) == 2
    assert not validate_manifest([])  # type: ignore[arg-type]
