"""Which adapter, which URL, which headers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.ai.adapters.families import CHAT_PATHS, FAMILIES, PNG, calling, family, published, request

from dragoman._version import __version__
from dragoman.ai.adapters import ChatRequest, adapter_of
from dragoman.ai.errors import ProtocolError
from dragoman.ai.protocol.package import package_names
from dragoman.ai.types import Message

pytestmark = pytest.mark.requirement("AIP-17")


@pytest.mark.parametrize("wire", [*FAMILIES, "custom"])
def test_the_adapter_is_what_the_manifest_says(wire: str) -> None:
    assert adapter_of(family(wire)).name == wire


@pytest.mark.parametrize(
    ("name", "adapter", "path"),
    [
        ("v1/providers/openai", "openai_chat", "/chat/completions"),
        ("v1/providers/openai-responses", "openai_responses", "/responses"),
        ("v1/providers/anthropic", "anthropic", "/messages"),
        ("v2/providers/anthropic", "anthropic", "/messages"),
        ("v1/providers/gemini", "gemini", "/models/m-1:generateContent"),
        ("v2/providers/gemini", "gemini", "/models/m-1:generateContent"),
        ("v1/providers/cohere", "cohere_v2", "/chat"),
        ("v2/providers/cohere", "cohere_v2", "/chat"),
        ("v1/providers/ollama", "ollama", "/api/chat"),
        ("v2/providers/deepseek", "openai_chat", "/chat/completions"),
        ("v1/providers/groq", "openai_chat", "/chat/completions"),
        ("v1/providers/azure", "openai_chat", "/chat/completions"),
    ],
)
def test_published_manifests_are_sent_to_their_chat_path(name: str, adapter: str, path: str) -> None:
    manifest = published(name)
    sent = request(manifest)
    assert (adapter_of(manifest).name, sent.method, sent.path) == (adapter, "POST", path)


@pytest.mark.parametrize("wire", FAMILIES)
def test_each_family_has_its_path_when_the_manifest_gives_none(wire: str) -> None:
    manifest = family(wire, endpoints={}, payload_format=wire)
    assert request(manifest).path == CHAT_PATHS[wire].replace("{model}", "m-1")


@pytest.mark.requirement("AIP-115")
@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("gemini-3-pro", "/models/gemini-3-pro:generateContent"),
        ("models/gemini-3-pro", "/models/gemini-3-pro:generateContent"),
        ("a:b@c d/é", "/models/a%3Ab%40c%20d%2F%C3%A9:generateContent"),
        ("../../admin?x#y", "/models/..%2F..%2Fadmin%3Fx%23y:generateContent"),
    ],
)
def test_the_model_is_percent_encoded_in_the_path(model: str, path: str) -> None:
    assert request("gemini", model=model).path == path


def test_a_stream_of_gemini_has_its_own_verb() -> None:
    for manifest in (family("gemini"), published("v1/providers/gemini"), published("v2/providers/gemini")):
        sent = request(manifest, stream=True)
        assert sent.path == "/models/m-1:streamGenerateContent"
        assert sent.query == {"alt": "sse"}
        assert sent.headers["accept"] == "text/event-stream"
        assert "stream" not in sent.body


@pytest.mark.requirement("AIP-108")
def test_gemini_without_sse_streams_one_array() -> None:
    sent = request(family("gemini", streaming={"decoder": {"format": "gemini_json"}}), stream=True)
    assert sent.query == {}
    assert sent.headers["accept"] == "application/json"


def test_streams_go_to_their_own_endpoint_when_there_is_one() -> None:
    chat = {"path": "/talk", "adapter": "openai"}
    manifest = family("openai_chat", endpoints={"chat": chat, "stream_chat": {"path": "/talk/live", "method": "put"}})
    assert request(manifest).path == "/talk"
    live = request(manifest, stream=True)
    assert (live.method, live.path) == ("PUT", "/talk/live")


@pytest.mark.requirement("AIP-105")
def test_a_query_in_the_path_becomes_a_query() -> None:
    sent = request(published("v1/providers/azure"))
    assert (sent.path, sent.query) == ("/chat/completions", {"api-version": "2024-10-21"})


def test_other_placeholders_are_filled_from_what_is_given() -> None:
    chat = {"path": "/regions/{region}/chat", "adapter": "openai"}
    assert (
        request(family("openai_chat", endpoints={"chat": chat}), extra={"region": "eu 1"}).path
        == "/regions/eu%201/chat"
    )
    with pytest.raises(ProtocolError, match="'region'"):
        request(family("openai_chat", endpoints={"chat": chat}))


@pytest.mark.parametrize(
    ("base", "path", "query", "url"),
    [
        ("https://a.example/v1", "/chat", {}, "https://a.example/v1/chat"),
        ("https://a.example/v1/", "/chat", {"alt": "sse"}, "https://a.example/v1/chat?alt=sse"),
        ("https://a.example/v1?key=a%20b", "/chat", {"n": "1"}, "https://a.example/v1/chat?key=a%20b&n=1"),
        ("http://[::1]:8080", "/api/chat", {}, "http://[::1]:8080/api/chat"),
        ("https://a.example", "wss://b.example/live", {}, "wss://b.example/live"),
    ],
)
def test_the_whole_url(base: str, path: str, query: dict[str, str], url: str) -> None:
    assert ChatRequest("POST", path, query, {}, {}).url(base) == url


# ------------------------------------------------------------------------- headers


@pytest.mark.parametrize("wire", FAMILIES)
def test_every_request_says_what_it_is_and_who_sends_it(wire: str) -> None:
    headers = request(wire).headers
    assert headers["content-type"] == "application/json"
    assert headers["accept"] == "application/json"
    assert headers["user-agent"] == f"dragoman/{__version__}"
    assert not {"authorization", "x-api-key", "x-goog-api-key"} & set(headers)


@pytest.mark.parametrize("wire", FAMILIES)
def test_a_stream_asks_for_its_format(wire: str) -> None:
    wanted = "application/x-ndjson" if wire == "ollama" else "text/event-stream"
    assert request(wire, stream=True).headers["accept"] == wanted
    lines = family(wire, streaming={"decoder": {"format": "ndjson"}})
    assert request(lines, stream=True).headers["accept"] == "application/x-ndjson"


@pytest.mark.requirement("AIP-107")
def test_anthropic_always_names_its_version() -> None:
    assert request("anthropic").headers["anthropic-version"] == "2023-06-01"
    own = {"type": "bearer", "extra_headers": [{"name": "Anthropic-Version", "value": "2030-01-01"}]}
    assert request(family("anthropic", auth=own)).headers["anthropic-version"] == "2030-01-01"


@pytest.mark.requirement("AIP-15", "AIP-101")
@pytest.mark.parametrize(
    "required",
    [
        {"x-zone": "contract", "x-b": "2"},
        [{"name": "x-zone", "value": "contract"}, {"name": "x-b", "value": "2"}],
    ],
    ids=["map", "list, as the schema has it"],
)
def test_later_headers_win_from_manifest_to_contract_to_user(required: Any) -> None:
    auth = {"type": "bearer", "extra_headers": [{"name": "X-Zone", "value": "manifest"}, {"name": "X-A", "value": "1"}]}
    mapping = {"required_headers": required}
    contract: dict[str, Any] = {"api_style": "openai_compatible", "request_mapping": mapping}
    manifest = family("openai_chat", auth=auth, provider_contract=contract)
    headers = request(manifest).headers
    assert (headers["x-zone"], headers["x-a"], headers["x-b"]) == ("contract", "1", "2")
    headers = request(manifest, headers={"X-ZONE": "user", "User-Agent": "mine"}).headers
    assert (headers["x-zone"], headers["user-agent"]) == ("user", "mine")


def test_a_request_shows_no_secret_because_it_has_none() -> None:
    auth = {"type": "query_param", "param_name": "key", "token_env": "SECRET_ENV"}
    assert request(family("gemini", auth=auth), PNG).query == {}


SHIPPED = [f"{v}/providers/{name}" for v in ("v1", "v2") for name in package_names(f"{v}/providers")]


@pytest.mark.requirement("AIP-18", "AIP-19", "AIP-112")
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_manifest_gives_a_request(name: str, stream: bool) -> None:
    manifest = published(name)
    talk = [Message.system("Be brief."), Message.user("Hi"), calling(("c1", "f", "{}")), Message.tool("c1", "x")]
    sent = request(manifest, talk, stream=stream, parameters={"max_tokens": 5, "temperature": 0.5})
    json.dumps(sent.body)
    assert sent.path.startswith("/")
    assert "{" not in sent.path
    assert sent.dropped == ()
    assert "Be brief." in json.dumps(sent.body)
