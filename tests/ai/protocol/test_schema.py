"""JSON Schema on request: offline, all errors with their paths, unknown fields as warnings."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.ai.protocol.documents import TREE

from dragoman.ai.errors import ProtocolError
from dragoman.ai.protocol import ProtocolValidator

pytestmark = pytest.mark.requirement("AIP-03")

PASSING = sorted(
    [
        *TREE.glob("v[12]/providers/*.yaml"),
        *TREE.glob("own/v1/providers/*.yaml"),
        *(path for path in TREE.glob("v1/models/*.yaml") if path.stem != "claude"),
        *TREE.glob("v2/contracts/*.yaml"),
    ]
)
V2 = {
    "id": "acme",
    "protocol_version": "2.0",
    "endpoint": {"base_url": "https://x"},
    "error_classification": {},
    "capabilities": {"required": ["text"]},
}


def read(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return document


@pytest.fixture(scope="module")
def validator() -> ProtocolValidator:
    return ProtocolValidator(offline=True)


@pytest.mark.parametrize("path", PASSING, ids=lambda path: path.relative_to(TREE).as_posix())
def test_the_collected_set_passes_without_a_word(validator: ProtocolValidator, path: Path) -> None:
    result = validator.validate(read(path))
    assert (result.errors, result.warnings) == ([], [])


def test_the_legacy_file_fails_on_purpose(validator: ProtocolValidator) -> None:
    result = validator.validate(read(TREE / "v1/legacy/groq-1.1.yaml"))
    assert (
        result.errors
        == [
            'capabilities: ["chat","tools","streaming","parallel_tools","agentic"] is not of type "object"',
            'the document: "endpoint" is a required property',
            'the document: "availability" is a required property',
        ]
        or not result.valid
    )
    assert "base_url: unknown field" in result.warnings


def test_the_model_list_without_verification_says_so_for_each_model(validator: ProtocolValidator) -> None:
    errors = validator.validate(read(TREE / "v1/models/claude.yaml")).errors
    assert 'models.claude-3-5-sonnet: "verification" is a required property' in errors
    assert 'the document: "protocol_version" is a required property' in errors


def test_all_errors_are_listed_with_their_paths(validator: ProtocolValidator) -> None:
    document = {
        "id": "acme",
        "protocol_version": "1.5",
        "endpoint": {"base_url": 5, "timeout_ms": 1},
        "capabilities": {"streaming": "yes", "tools": True, "vision": True},
        "availability": {"required": False, "regions": [], "check": {"method": "GET", "path": "models"}},
    }
    errors = validator.validate(document).errors
    assert 'endpoint.base_url: 5 is not of type "string"' in errors
    assert "endpoint.timeout_ms: 1 is less than the minimum of 100" in errors
    assert 'capabilities.streaming: "yes" is not of type "boolean"' in errors
    assert any(error.startswith("availability.regions: ") for error in errors)
    assert any(error.startswith("availability.check.path: ") for error in errors)


def test_unknown_fields_are_warnings_at_every_level(validator: ProtocolValidator) -> None:
    document = {**V2, "future": 1, "endpoint": {"base_url": "https://x", "zone": "a"}}
    document["capabilities"] = {"required": ["text"], "odd": True}
    result = validator.validate(document)
    assert result.valid
    assert sorted(result.warnings) == [
        "capabilities.odd: unknown field",
        "endpoint.zone: unknown field",
        "future: unknown field",
    ]


def test_of_alternatives_the_one_that_was_meant_speaks(validator: ProtocolValidator) -> None:
    (error,) = validator.validate({**V2, "capabilities": {"required": ["texts"]}}).errors
    assert error.startswith('capabilities.required[0]: "texts" is not one of')
    (error,) = validator.validate({**V2, "capabilities": {"optional": ["text"]}}).errors
    assert error == 'capabilities: "required" is a required property'


def test_references_between_files_are_followed_here(
    validator: ProtocolValidator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_args: object) -> None:
        raise AssertionError("validation opened a socket")

    monkeypatch.setattr(socket.socket, "connect", refused)
    document = {**V2, "$schema": "https://nowhere.invalid/schema.json", "mcp": {"client": {"supported": "yes"}}}
    errors = ProtocolValidator().validate(document).errors
    assert any(error.startswith("mcp.client.supported: ") for error in errors)


def test_facts_of_models_have_rules_too(validator: ProtocolValidator) -> None:
    facts = {"small": {"context_window": -1}, "big": {"model_capabilities": {"flies": True}}}
    result = validator.validate({**V2, "metadata": {"models": facts}})
    assert result.errors == ["metadata.models.small.context_window: -1 is less than the minimum of 0"]
    assert result.warnings == ["metadata.models.big.model_capabilities.flies: unknown field"]


@pytest.mark.requirement("AIP-02")
def test_the_profile_speaks_in_the_words_of_the_protocol(validator: ProtocolValidator) -> None:
    result = validator.validate({**V2, "capability_profile": {"phase": "ios_v1"}})
    assert result.errors == [
        "capability_profile must match at least one schema in anyOf: one of inputs, outcomes, systems"
    ]


def test_validate_or_raise_says_everything(validator: ProtocolValidator) -> None:
    validator.validate_or_raise(V2)
    with pytest.raises(ProtocolError, match=r"'acme' is not valid: .*capabilities.*retry_policy") as caught:
        validator.validate_or_raise({**V2, "capabilities": 1, "retry_policy": {"max_retries": -1}})
    assert caught.value.version == "2.0"
    assert not validator.is_valid({})
    assert validator.validate([]).errors == ["the document: must be an object, got list"]  # type: ignore[arg-type]


def test_a_contract_and_its_parts_are_judged(validator: ProtocolValidator) -> None:
    contract = read(TREE / "v2/contracts/anthropic-messages.contract.yaml")
    assert validator.validate_contract(contract).errors == []
    assert validator.contract_values("ref_resolution") == ("error_before_encode", "resolve_at_runtime")
    assert validator.contract_values("no_such_field") == ()
    assert validator.validate_block_mapping({"document": {"ref_resolution": "resolve_at_runtime"}}).valid
    assert validator.validate_block_mapping({"document": {"ref_resolution": "later"}}).errors == [
        'document.ref_resolution: "later" is not one of "error_before_encode" or "resolve_at_runtime"'
    ]


def test_schemas_of_ones_own_may_be_used(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"type": "object", "required": ["motto"]}), encoding="utf-8")
    assert ProtocolValidator(path).validate(V2).errors == ['the document: "motto" is a required property']
    folder = ProtocolValidator(TREE / "schemas")
    assert folder.validate(V2).valid
    assert folder.validate(read(TREE / "own/v1/providers/ollama.yaml")).errors != []  # not widened: json_lines
    with pytest.raises(ProtocolError, match="there is no schema at"):
        ProtocolValidator(tmp_path / "nothing")
