"""A manifest from a stranger: it may be useless, but it ends no process, reads no other file and takes no key astray."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.ai.protocol.documents import small

from dragoman.ai import AiClient
from dragoman.ai.adapters import build_chat
from dragoman.ai.adapters.call import ChatCall
from dragoman.ai.errors import AiLibError, ProtocolError, ValidationError
from dragoman.ai.pipeline import Pipeline
from dragoman.ai.protocol import ProtocolLoader, ProtocolValidator
from dragoman.ai.protocol.remote import LARGEST, RemotePlace
from dragoman.ai.resilience import RetryConfig
from dragoman.ai.transport import HttpTransport
from dragoman.ai.types.message import Message
from dragoman.transport.scripted import Reply, ScriptedIO
from dragoman.wire.http import Response

pytestmark = pytest.mark.requirement("AIP-07")

KEY = "sk-Very0Secret1Value2For3This4Test5"
Write = Callable[..., Path]

# --------------------------------------------------------------------------- documents

DEEP = 50_000
"""So deep, libyaml's composer ends the process with a broken stack."""

BOMBS = {
    "flow.yaml": "a: " + "[" * DEEP + "]" * DEEP,
    "dashes.yaml": "- " * DEEP,
    "keys.yaml": "? " * DEEP,
    "block.yaml": "".join(" " * n + "a:\n" for n in range(2000)),
    "objects.yaml": '{"a":' * DEEP,
    "json.json": '{"a":' * DEEP + "1" + "}" * DEEP,
    "less.json": '{"a":' * 200 + "1" + "}" * 200,
    "merged.yaml": "a0: &a0 {"
    + ", ".join(f"k{n}: 1" for n in range(300))
    + "}\n"
    + "".join(f"a{n}: &a{n}\n  <<: [{', '.join([f'*a{n - 1}'] * 300)}]\n" for n in range(1, 5)),
    "itself.yaml": "a: &a {b: *a}\n",
    "wide.json": json.dumps({f"k{n}": n for n in range(300_000)}),
    "digits.yaml": "a: " + "9" * 10_000,
    "digits.json": '{"a": ' + "9" * 10_000 + "}",
    "python.yaml": 'id: !!python/object/apply:os.system ["true"]\n',
    "name.yaml": "id: !!python/name:os.system\n",
    "list.yaml": "? [a, b]\n: 1\n",
    "date.yaml": "a: 2026-99-99\n",
    "two.yaml": "a: 1\n---\na: 2\n",
    "nul.yaml": "a: \x00\n",
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_document_that_is_a_bomb_is_refused(name: str, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_text(BOMBS[name], encoding="utf-8")
    with pytest.raises(ProtocolError) as caught:
        ProtocolLoader().load_file(file)
    assert name in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_a_registered_document_may_not_be_deeper_than_a_file() -> None:
    deep: Any = 1
    for _ in range(3000):
        deep = [deep]
    circle: list[Any] = []
    circle.append(circle)
    for value in (deep, circle):
        with pytest.raises(ProtocolError, match="nested more than"):
            ProtocolLoader().register_provider(small(extra=value))


def test_a_file_is_not_believed_about_its_id(tmp_path: Path, write: Write) -> None:
    (tmp_path / "secret.json").write_text(json.dumps(small("secret")), encoding="utf-8")
    inner = tmp_path / "manifests"
    write(inner / "acme.json", id="../secret")
    for name in ("../secret", "acme", "..", "/etc/passwd", "acme\n", "acme/../../secret", "ACME", "a" * 65, "\\\\host"):
        with pytest.raises(ProtocolError):
            ProtocolLoader(inner).load_provider_sync(name)


@pytest.mark.requirement("AIP-05")
def test_a_folder_nearby_that_is_somebody_elses_is_not_used(
    write: Write, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """In `/tmp/work/app`, `../../ai-protocol` is whoever's was there first."""
    write(Path("../../ai-protocol/v1/providers/openai.json"), name="Mine")
    assert ProtocolLoader().load_provider_sync("openai").name == "Mine"
    there = Path("../../ai-protocol").stat().st_uid
    monkeypatch.setattr(os, "getuid", lambda: there + 1)
    real = Path.stat

    def owned(path: Path, **options: Any) -> os.stat_result:
        found = list(real(path, **options))
        found[4] = there + (7 if path.name == "ai-protocol" else 1)
        return os.stat_result(found)

    monkeypatch.setattr(Path, "stat", owned)
    assert ProtocolLoader().load_provider_sync("openai").name != "Mine"
    assert "belongs to somebody else" in caplog.text


# --------------------------------------------------------------------------- expressions and patterns

EXPRESSIONS = [
    "(" * 100_000 + "$.a" + ")" * 100_000,
    "!" * 100_000 + "$.a",
    "||".join(["$.a"] * 250_000),
    "$.a == " + "9" * 5000,
    "$.a[" + "9" * 5000 + "]",
    "$.a == '" + "x" * 1_000_000,
    "'" * 999_999,
    "$" + ".a" * 300_000,
    "$.a" + "[*]" * 100_000,
    "$.a in [" + ",".join(["1"] * 300_000) + "]",
    "$.a" + "[?(@.b" * 100 + ")]" * 100,
    "$.a[²]",
]


@pytest.mark.requirement("AIP-12")
@pytest.mark.parametrize("text", EXPRESSIONS, ids=lambda text: text[:12])
def test_an_expression_that_is_a_bomb_is_an_error_of_few_words(text: str) -> None:
    for rule in (
        {"match": text, "emit": "PartialContentDelta", "fields": {"content": "$.a"}},
        {"match": "$.a", "emit": "PartialContentDelta", "fields": {"content": text if text[0] == "$" else f"$.{text}"}},
    ):
        with pytest.raises(ProtocolError) as caught:
            ProtocolLoader().register_provider(small(streaming={"event_map": [rule]}))
        assert len(str(caught.value)) < 1000


@pytest.mark.requirement("AIP-39")
def test_a_pattern_that_may_take_for_ever_is_refused_at_load() -> None:
    for pattern, text in ((r"(a+)+$", "a repeated group"), ("a?" * 30 + "a" * 30, "options"), ("(", "no regular")):
        extraction = {"retry_after_extraction": {"pattern": pattern}}
        with pytest.raises(ProtocolError, match=rf"retry_after_extraction\.pattern cannot be used: .*{text}"):
            ProtocolLoader().register_provider(small(error_classification=extraction))


@pytest.mark.requirement("AIP-40")
def test_no_manifest_gets_as_many_retries_as_it_likes() -> None:
    greedy = {"strategy": "fixed_delay", "min_delay_ms": 0, "max_retries": 10**9}
    manifest = ProtocolLoader().register_provider(small(retry_policy=greedy))
    assert RetryConfig.from_protocol(manifest.retry_policy).max_retries == 10


FIELDS = [
    "endpoint",
    "auth",
    "capabilities",
    "availability",
    "streaming",
    "endpoints",
    "metadata",
    "error_classification",
    "retry_policy",
    "rate_limit_headers",
    "features",
    "termination",
    "tooling",
    "parameters",
    "parameter_mappings",
    "response_paths",
    "services",
    "connection_vars",
    "aliases",
    "base_url_template",
    "payload_format",
    "feature_flags",
    "provider_contract",
    "response_format",
    "name",
    "version",
    "status",
    "mcp",
    "capability_profile",
    "core",
    "api_families",
    "default_api_family",
    "computer_use",
    "provider_id",
]


@pytest.mark.parametrize("field", FIELDS)
def test_a_field_of_any_kind_is_taken_or_refused(field: str) -> None:
    values: list[Any] = [[], {}, 5, "x", True, None, {"a": {"b": {}}}, [{}], float("nan"), 10**30, "9" * 5000]
    for value in values:
        try:
            manifest = ProtocolLoader().register_provider(small(**{field: value}))
            Pipeline.from_manifest(manifest)
            ProtocolValidator().validate(manifest.raw)
            build_chat(manifest, ChatCall("m", [Message.user("Hello")], stream=True))
        except AiLibError:
            pass


# --------------------------------------------------------------------------- addresses and keys


async def sent_to(manifest: dict[str, Any], model: str = "m", **options: Any) -> list[str]:
    """The URLs that a call goes to."""
    io = ScriptedIO(lambda request: Response(500))
    found = ProtocolLoader().register_provider(manifest)
    async with await AiClient.from_manifest(found, model, api_key=KEY, io=io, **options) as client:
        with pytest.raises(AiLibError):
            await client.chat().user("Hello").execute()
    return [request.url for request in io.requests]


def chat_at(path: str, **more: Any) -> dict[str, Any]:
    return small(endpoints={"chat": {"path": path}}, **more)


@pytest.mark.requirement("AIP-17")
@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("a/../b", "a%2F..%2Fb"),
        ("a?b#c", "a%3Fb%23c"),
        ("a\r\nHost: b", "a%0D%0AHost%3A%20b"),
        ("%2e%2e", "%252e%252e"),
        ("${HOME}", "%24%7BHOME%7D"),
        ("\ud800", "%EF%BF%BD"),
    ],
)
async def test_a_models_name_stays_one_piece_of_the_path(model: str, path: str) -> None:
    assert await sent_to(chat_at("/of/{model}/chat"), model) == [f"https://acme.example/v1/of/{path}/chat"]


@pytest.mark.requirement("AIP-17")
@pytest.mark.parametrize("model", [".", ".."])
async def test_a_models_name_leads_to_no_other_path(model: str) -> None:
    assert await sent_to(chat_at("/of/{model}/chat"), model) == []


@pytest.mark.requirement("AIP-17")
@pytest.mark.parametrize("path", ["//evil.example/x", "/\\evil.example", "@evil.example", "/x@evil.example"])
async def test_a_path_leads_to_no_other_host(path: str) -> None:
    (url,) = await sent_to(chat_at(path))
    assert url.startswith("https://acme.example/v1/")


@pytest.mark.requirement("AIP-17")
async def test_an_absolute_path_replaces_the_manifests_base_but_not_the_callers() -> None:
    """A key goes where the manifest says, or where the caller says, and never where only one of them thinks."""
    manifest = chat_at("https://other.example/chat")
    assert await sent_to(manifest) == ["https://other.example/chat"]
    assert await sent_to(manifest, base_url="https://gateway.example/v1") == []
    same = chat_at("https://gateway.example/elsewhere")
    assert await sent_to(same, base_url="https://gateway.example/v1") == ["https://gateway.example/elsewhere"]


@pytest.mark.parametrize("url", ["https://[", "https://[::1", "https://℀.example/", "file:///etc/passwd"])
async def test_what_is_no_url_is_an_error_of_ours(url: str) -> None:
    for manifest, options in (
        (small(endpoint={"base_url": url}), {}),
        (chat_at(url), {}),
        (small(), {"base_url": url}),
    ):
        found = ProtocolLoader().register_provider(manifest)
        async with await AiClient.from_manifest(found, "m", api_key=KEY, **options) as client:  # type: ignore[arg-type]
            with pytest.raises(ValidationError):
                await client.chat().user("Hello").execute()


@pytest.mark.requirement("AIP-15")
@pytest.mark.parametrize(
    "auth",
    [
        {"type": "bearer", "extra_headers": [{"name": "x-a\r\nx-b", "value": "c"}]},
        {"type": "bearer", "extra_headers": [{"name": "x-a", "value": "b\r\nx-c: d"}]},
        {"type": "bearer", "extra_headers": [{"name": "x-a", "value": "\x00"}]},
        {"type": "bearer", "extra_headers": [{"name": ":path", "value": "/"}]},
        {"type": "custom_header", "header": "x-a\r\nx-b: c"},
        {"type": "bearer", "prefix": "a\r\nx-b: c"},
    ],
)
async def test_a_line_end_in_a_header_is_refused_before_anything_is_sent(auth: dict[str, Any]) -> None:
    manifest = ProtocolLoader().register_provider(small(endpoint={"base_url": "http://127.0.0.1:9"}, auth=auth))
    async with HttpTransport(manifest, api_key=KEY) as transport:
        with pytest.raises(ValidationError, match="nothing HTTP allows") as caught:
            await transport.post("/chat", json={})
    assert KEY not in str(caught.value)


@pytest.mark.requirement("AIP-11", "AIP-113")
def test_a_secret_does_not_go_from_the_environment_into_a_url(monkeypatch: pytest.MonkeyPatch) -> None:
    """The host in that URL is whatever the manifest says, and URLs are shown and logged."""
    for name in ("OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "DB_PASSWORD", "ACME_KEY"):
        monkeypatch.setenv(name, KEY)
        url = f"https://evil.example/${{{name}}}"
        manifest = ProtocolLoader().register_provider(small(endpoint={"base_url": url}))
        with pytest.raises(ProtocolError, match=rf"{name}.*connection variable") as caught:
            manifest.base_url()
        assert KEY not in str(caught.value)
        assert KEY in manifest.base_url({name: KEY})
        template = small(endpoint={"base_url": "https://acme.example"}, base_url_template=url)
        assert ProtocolLoader().register_provider(template).base_url() == "https://acme.example"
    monkeypatch.setenv("ACME_REGION", "eu")
    manifest = ProtocolLoader().register_provider(small(endpoint={"base_url": "https://${ACME_REGION}.example"}))
    assert manifest.base_url() == "https://eu.example"


# --------------------------------------------------------------------------- the network


@pytest.mark.requirement("AIP-05")
def test_a_manifest_from_the_network_has_bounds_in_size_and_time(tmp_path: Path) -> None:
    large = Reply([b" " * (1 << 20)] * (LARGEST // (1 << 20) + 1))
    slow = Reply([piece for _ in range(50) for piece in (1.0, b" ")])
    for reply, text in ((large, "is larger than"), (slow, "took longer than 10 s")):
        place = RemotePlace("https://manifests.example", tmp_path, ScriptedIO([reply]))
        with pytest.raises(ProtocolError, match=text):
            place.find("acme", ("v2",))
