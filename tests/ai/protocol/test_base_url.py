"""Variables in base URLs."""

from __future__ import annotations

from typing import Any

import pytest
from tests.ai.protocol.documents import small

from dragoman.ai.errors import ProtocolError
from dragoman.ai.protocol import ProtocolLoader, ProtocolManifest

pytestmark = pytest.mark.requirement("AIP-11")


def manifest(base_url: str, **more: Any) -> ProtocolManifest:
    endpoint = {"base_url": base_url, **more.pop("endpoint", {})}
    return ProtocolManifest(**small(endpoint=endpoint, **more))


def test_a_variable_comes_from_the_caller_then_the_manifest_then_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ACME_ZONE", "environment")
    url = "https://${ACME_ZONE}.example/v1"
    assert manifest(url).base_url() == "https://environment.example/v1"
    stated = manifest(url, connection_vars={"ACME_ZONE": "manifest"})
    assert stated.base_url() == "https://manifest.example/v1"
    assert stated.base_url({"ACME_ZONE": "caller"}) == "https://caller.example/v1"


def test_a_missing_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZURE_DEPLOYMENT_ID", raising=False)
    monkeypatch.setenv("AZURE_RESOURCE_NAME", " ")
    azure = ProtocolLoader().load_provider_sync("azure")
    with pytest.raises(ProtocolError, match="needs AZURE_RESOURCE_NAME and AZURE_DEPLOYMENT_ID"):
        azure.base_url()
    filled = azure.base_url({"AZURE_RESOURCE_NAME": "acme", "AZURE_DEPLOYMENT_ID": "four"})
    assert filled == "https://acme.openai.azure.com/openai/deployments/four"


def test_a_template_wins_when_all_its_variables_are_known() -> None:
    made = manifest("https://plain.example", base_url_template="https://${ZONE}.example/${PATH_PART}")
    assert made.base_url({"ZONE": "eu"}) == "https://plain.example"
    assert made.base_url({"ZONE": "eu", "PATH_PART": "v2"}) == "https://eu.example/v2"


@pytest.mark.parametrize(
    ("base_url", "protocol", "url"),
    [
        ("https://x.example/v1/", "http", "https://x.example/v1"),
        ("x.example:8080/v1", "http", "http://x.example:8080/v1"),
        ("//x.example", "wss", "wss://x.example"),
        ("http://[::1]:11434/", "https", "http://[::1]:11434"),
        ("https://x.example/a?b=c", "https", "https://x.example/a?b=c"),
    ],
)
def test_the_protocol_counts_only_without_a_scheme(base_url: str, protocol: str, url: str) -> None:
    assert manifest(base_url, endpoint={"protocol": protocol}).base_url() == url


def test_what_is_no_variable_stays() -> None:
    assert manifest("https://x.example/$HOME/{model}").base_url() == "https://x.example/$HOME/{model}"
