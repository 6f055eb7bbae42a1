"""The names that the room promises, and that having them costs nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest
from tests.ai.protocol.documents import TREE

import dragoman.ai.protocol as protocol

DOCUMENTED = [
    "AccumulatorConfig",
    "AuthConfig",
    "AvailabilityConfig",
    "CandidateConfig",
    "CapabilitiesConfig",
    "DecoderConfig",
    "EndpointConfig",
    "ErrorClassification",
    "EventMapRule",
    "HealthCheckConfig",
    "ProtocolLoader",
    "ProtocolManifest",
    "ProtocolValidator",
    "RateLimitHeaders",
    "RetryPolicy",
    "SUPPORTED_PROTOCOL_VERSIONS",
    "ServiceConfig",
    "StreamingConfig",
    "ToolUseConfig",
    "ToolingConfig",
    "ValidationResult",
    "validate_manifest",
    "validate_manifest_or_raise",
    "validate_protocol_version",
    "validate_streaming_config",
]
MORE = [
    "check_manifest",
    "require_capability",
    "canonical_provider_id",
    "Endpoint",
    "ModelFact",
    "CapabilityKnown",
    "ProviderContract",
]


@pytest.mark.requirement("AIP-45")
def test_the_documented_names_are_the_public_ones() -> None:
    assert sorted(protocol.__all__) == sorted(DOCUMENTED)
    assert all(getattr(protocol, name) is not None for name in [*DOCUMENTED, *MORE])
    assert set(DOCUMENTED) <= set(dir(protocol))
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        protocol.nothing  # noqa: B018  # the access is what is tested


@pytest.mark.requirement("AIP-03")
def test_importing_and_loading_need_no_extra() -> None:
    code = (
        "import sys; sys.modules.update(yaml=None, jsonschema_rs=None, jsonpath_ng=None)\n"
        "from dragoman.ai.protocol import ProtocolLoader, ProtocolValidator\n"
        "print(ProtocolLoader().resolve_model_sync('gpt-4o').provider_id)\n"
        "try: ProtocolValidator().validate({})\n"
        "except ImportError as error: print(error)\n"
        "try: ProtocolLoader().load_file(sys.argv[1])\n"
        "except ImportError as error: print(error)\n"
    )
    example = str(TREE / "own/v1/providers/ollama.yaml")
    done = subprocess.run(
        [sys.executable, "-c", code, example], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.stderr == ""
    loaded, schema, yaml = done.stdout.splitlines()
    assert loaded == "openai"
    assert schema == "validation by JSON Schema needs an optional dependency: pip install 'dragoman[protocol]'"
    assert yaml.endswith("needs an optional dependency: pip install 'dragoman[protocol]'")
