"""A manifest put together of config objects instead of a document."""

from __future__ import annotations

import pytest

from dragoman.ai.protocol import (
    AuthConfig,
    CapabilitiesConfig,
    DecoderConfig,
    EndpointConfig,
    ErrorClassification,
    EventMapRule,
    ProtocolManifest,
    ServiceConfig,
    StreamingConfig,
)
from dragoman.ai.protocol.v2 import CapabilitiesV2, Capability, ManifestV2

ENDPOINT = EndpointConfig(base_url="https://acme.example/v1")


@pytest.mark.requirement("AIP-01", "AIP-45")
def test_it_says_what_the_same_document_says() -> None:
    made = ProtocolManifest(
        id="acme",
        protocol_version="1.5",
        endpoint=ENDPOINT,
        capabilities=CapabilitiesConfig(tools=True),
        services={"list": ServiceConfig(path="/models")},
        error_classification=ErrorClassification(by_http_status={"429": "rate_limited"}),
        streaming=StreamingConfig(
            decoder=DecoderConfig(format="json_lines"),
            event_map=[EventMapRule(match="exists($.a)", emit="PartialContentDelta", fields={"content": "$.a"})],
        ),
    )
    document = {
        "id": "acme",
        "protocol_version": "1.5",
        "endpoint": {"base_url": "https://acme.example/v1"},
        "capabilities": {"tools": True},
        "services": {"list": {"path": "/models"}},
        "error_classification": {"by_http_status": {"429": "rate_limited"}},
        "streaming": {
            "decoder": {"format": "json_lines"},
            "event_map": [{"match": "exists($.a)", "emit": "PartialContentDelta", "fields": {"content": "$.a"}}],
        },
    }
    assert made.raw == ProtocolManifest(**document).raw
    assert (made.supports_streaming(), made.supports_tools(), made.supports_vision()) == (True, True, False)
    assert made.has_capability("vision") is None


@pytest.mark.requirement("AIP-14")
def test_the_auth_of_an_endpoint_object_wins_and_shadows_the_other() -> None:
    own = AuthConfig(type="bearer", token_env="ACME_TOKEN")
    made = ProtocolManifest(
        id="acme",
        endpoint=EndpointConfig(base_url="https://acme.example", auth=own),
        auth=AuthConfig(type="api_key", key_env="ACME_OLD_KEY"),
    )
    assert made.auth is not None
    assert made.shadowed_auth is not None
    assert (made.auth.token_env, made.shadowed_auth.key_env) == ("ACME_TOKEN", "ACME_OLD_KEY")


@pytest.mark.requirement("AIP-98")
def test_the_v2_view_takes_capability_objects_and_gives_members_of_the_enumeration() -> None:
    caps = CapabilitiesV2(required=["text"], optional=["vision", "telepathy"])
    assert [type(cap) for cap in caps.all_capabilities()] == [Capability, Capability, str]
    made = ManifestV2(id="acme", capabilities=caps)
    assert made.has_capability(Capability.VISION)
    assert made.has_capability("telepathy")
    assert not made.has_capability(Capability.AUDIO)
