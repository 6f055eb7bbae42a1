"""Where manifests are looked for, and that nobody asks the network unasked."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.ai.protocol.documents import small

from dragoman.ai.errors import ProtocolError
from dragoman.ai.protocol import ProtocolLoader
from dragoman.core.errors import ConnectionFailed
from dragoman.testing.io import ScriptedIO
from dragoman.wire.http import Headers, Request, Response

pytestmark = pytest.mark.requirement("AIP-05")

Write = Callable[..., Path]


def name_of(loader: ProtocolLoader, provider_id: str = "acme") -> str | None:
    return loader.load_provider_sync(provider_id).name


def test_the_first_place_wins(tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    here = Path.cwd()
    write(tmp_path / "base/v1/providers/openai.json", name="base")
    write(tmp_path / "env/v1/providers/openai.json", name="env")
    write(tmp_path / "path/v1/providers/openai.json", name="path")
    for folder, name in (("ai-protocol", "here"), ("../ai-protocol", "above"), ("../../ai-protocol", "two above")):
        write(here / folder / "v1/providers/openai.json", name=name)
    monkeypatch.setenv("AI_PROTOCOL_DIR", str(tmp_path / "env"))
    monkeypatch.setenv("AI_PROTOCOL_PATH", str(tmp_path / "path"))
    order = [name_of(ProtocolLoader(tmp_path / "base"), "openai"), name_of(ProtocolLoader(), "openai")]
    monkeypatch.delenv("AI_PROTOCOL_DIR")
    order.append(name_of(ProtocolLoader(), "openai"))
    monkeypatch.delenv("AI_PROTOCOL_PATH")
    for folder in ("ai-protocol", "../ai-protocol", "../../ai-protocol"):
        order.append(name_of(ProtocolLoader(), "openai"))
        (here / folder / "v1/providers/openai.json").unlink()
    order.append(name_of(ProtocolLoader(), "openai"))
    assert order == ["base", "env", "path", "here", "above", "two above", "OpenAI"]


def test_what_a_place_lacks_comes_from_the_next(tmp_path: Path, write: Write) -> None:
    write(tmp_path / "v1/providers/acme.json", name="mine")
    loader = ProtocolLoader(tmp_path)
    assert (name_of(loader), name_of(loader, "openai")) == ("mine", "OpenAI")


def test_the_order_inside_a_directory(tmp_path: Path, write: Write) -> None:
    places = [
        "dist/v2/providers/acme.json",
        "dist/v1/providers/acme.json",
        "v2/providers/acme.json",
        "v2/providers/acme.yaml",
        "v1/providers/acme.json",
        "v1/providers/acme.yaml",
        "v1/providers/acme.yml",
        "acme.json",
        "acme.yaml",
    ]
    for place in places:
        write(tmp_path / place, name=place)
    found = []
    for place in places:
        found.append(name_of(ProtocolLoader(tmp_path)))
        (tmp_path / place).unlink()
    assert found == places


def test_a_generation_may_be_pinned(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ProtocolLoader(tree).load_provider_sync("openai").generation == "v2"
    assert ProtocolLoader(tree, generation="v1").load_provider_sync("openai").generation == "v1"
    monkeypatch.setenv("AI_PROTOCOL_GENERATION", "v1")
    assert ProtocolLoader().load_provider_sync("openai").generation == "v1"
    with pytest.raises(ProtocolError, match="generation must be v1 or v2, got 'v3'"):
        ProtocolLoader(generation="v3")


def test_one_file_is_a_place_too(tmp_path: Path, write: Write) -> None:
    path = write(tmp_path / "anything.json", id="acme", name="one file", aliases=["apex"])
    loader = ProtocolLoader(path)
    assert (loader.base_path, name_of(loader), name_of(loader, "apex")) == (path, "one file", "one file")
    assert name_of(loader, "openai") == "OpenAI"


def test_a_file_that_cannot_be_read_is_an_error_and_never_skipped(tmp_path: Path, write: Write) -> None:
    broken = tmp_path / "v2/providers/openai.json"
    broken.parent.mkdir(parents=True)
    broken.write_text("{", encoding="utf-8")
    write(tmp_path / "v1/providers/openai.json")
    with pytest.raises(ProtocolError, match=r"v2.providers.openai\.json cannot be read"):
        ProtocolLoader(tmp_path).load_provider_sync("openai")
    for text, reason in (("[1]", "must hold an object, got list"), ("\xff", "is not UTF-8 text")):
        broken.write_bytes(text.encode("latin-1"))
        with pytest.raises(ProtocolError, match=reason):
            ProtocolLoader(tmp_path).load_provider_sync("openai")
    (tmp_path / "x.yaml").write_text("a: [1", encoding="utf-8")
    with pytest.raises(ProtocolError, match=r"x\.yaml cannot be read: .*\(line 1, column 4\).*\(line 2, "):
        ProtocolLoader().load_file(tmp_path / "x.yaml")


def test_anchors_that_multiply_are_refused(tmp_path: Path) -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 8))
    for name, text in (("bomb", bomb), ("circle", "a: &a [*a]\n")):
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
        with pytest.raises(ProtocolError, match="holds more than 200000 values"):
            ProtocolLoader().load_file(tmp_path / f"{name}.yaml")


def test_a_place_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ProtocolError, match=r"base_path .*nowhere' is neither a directory nor a file"):
        ProtocolLoader(tmp_path / "nowhere").load_provider_sync("acme")
    monkeypatch.setenv("AI_PROTOCOL_PATH", str(tmp_path / "nowhere"))
    with pytest.raises(ProtocolError, match="AI_PROTOCOL_PATH"):
        ProtocolLoader().load_provider_sync("acme")


def test_an_unknown_provider_says_where_was_looked_and_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(ProtocolError) as caught:
        ProtocolLoader(tmp_path).load_provider_sync("acme")
    text = str(caught.value)
    assert f"there is no manifest for provider 'acme'; looked in {tmp_path}, the package" in text
    assert "known here: anthropic, azure" in text
    assert "AI_PROTOCOL_REMOTE=1" in text
    assert "did you mean" not in text
    assert caught.value.error_class == "not_found"
    with pytest.raises(ProtocolError, match=r"did you mean 'openai'\?"):
        ProtocolLoader(tmp_path).load_provider_sync("opnai")


def test_nobody_asks_the_network_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_args: object) -> None:
        raise AssertionError("the loader opened a socket")

    monkeypatch.setattr(socket.socket, "connect", refused)
    for name in ("kimi", "unheard-of"):
        with pytest.raises(ProtocolError, match="there is no manifest"):
            ProtocolLoader().load_provider_sync(name)


def published(manifests: dict[str, Any], seen: list[Request] | None = None) -> ScriptedIO:
    """A published set: path below dist → document; answers with ETags."""

    def answer(request: Request) -> Response:
        if seen is not None:
            seen.append(request)
        name = request.url.partition("/dist/")[2]
        if name not in manifests:
            return Response(404)
        body = json.dumps(manifests[name]).encode()
        etag = f'"{len(body)}"'
        if request.headers.get("if-none-match") == etag:
            return Response(304)
        return Response(200, Headers({"etag": etag}), body)

    return ScriptedIO(answer)


def test_the_network_is_asked_last_and_only_when_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Request] = []
    io = published({"v1/providers/moonshot.json": small("moonshot", name="far")}, seen)
    loader = ProtocolLoader(fallback_to_github=True, io=io, cache_dir=tmp_path)
    assert name_of(loader, "kimi") == "far"
    assert name_of(loader, "openai") == "OpenAI"
    assert [request.url.rpartition("/main/")[2] for request in seen] == [
        "dist/v2/providers/moonshot.json",
        "dist/v1/providers/moonshot.json",
    ]
    assert seen[0].timeouts.read == 10.0
    assert seen[0].url.startswith("https://raw.githubusercontent.com/ailib-official/ai-protocol/main/")
    monkeypatch.setenv("AI_PROTOCOL_REMOTE", "1")
    assert name_of(ProtocolLoader(io=io, cache_dir=tmp_path), "moonshot") == "far"
    with pytest.raises(ProtocolError, match="there is no manifest for provider 'nobody'"):
        loader.load_provider_sync("nobody")


def test_an_answer_is_kept_with_its_etag(tmp_path: Path) -> None:
    seen: list[Request] = []
    io = published({"v2/providers/acme.json": small()}, seen)
    for _ in range(2):
        ProtocolLoader(fallback_to_github=True, io=io, cache_dir=tmp_path).load_provider_sync("acme")
    assert "if-none-match" not in seen[0].headers
    assert seen[1].headers["if-none-match"].startswith('"')


def test_a_network_that_is_away_is_answered_from_the_disk(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    io = published({"v2/providers/acme.json": small(name="kept")})
    ProtocolLoader(fallback_to_github=True, io=io, cache_dir=tmp_path).load_provider_sync("acme")

    def away(request: Request) -> Response:
        raise ConnectionFailed("no route")

    again = ProtocolLoader(fallback_to_github=True, io=ScriptedIO(away), cache_dir=tmp_path)
    assert name_of(again) == "kept"
    assert "the network is away" in caplog.text
    with pytest.raises(ProtocolError, match="cannot be asked"):
        again.load_provider_sync("other")


def test_a_strange_answer_is_an_error(tmp_path: Path) -> None:
    answers: list[tuple[Response, str]] = [
        (Response(500), "answered 500, expected a manifest"),
        (Response(200, body=b"<html>"), "cannot be read"),
        (Response(302, Headers({"location": "https://evil.example"})), "answered 302"),
    ]
    for response, reason in answers:
        io = ScriptedIO([response])
        with pytest.raises(ProtocolError, match=reason):
            ProtocolLoader(fallback_to_github=True, io=io, cache_dir=tmp_path).load_provider_sync("acme")


def test_a_url_in_the_environment_is_a_remote_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Request] = []
    monkeypatch.setenv("AI_PROTOCOL_DIR", "https://manifests.example/set/")
    io = published({"v2/providers/openai.json": small("openai", name="theirs")}, seen)
    loader = ProtocolLoader(io=io, cache_dir=tmp_path)
    assert name_of(loader, "openai") == "theirs"
    assert seen[0].url == "https://manifests.example/set/dist/v2/providers/openai.json"
    assert name_of(loader, "ollama") == "Ollama"


async def test_async_and_sync_give_the_same(tree: Path) -> None:
    loader = ProtocolLoader(tree)
    manifest = await loader.load_provider("openai")
    assert manifest is loader.load_provider_sync("openai")
    assert await loader.load_model("openai/gpt-4o") is manifest
    assert (await loader.resolve_model("openai/gpt-4o")).model_id == "gpt-4o"


async def test_the_rules_of_a_generation_can_be_had(tmp_path: Path) -> None:
    loader = ProtocolLoader(tmp_path)
    assert (await loader.load_spec("v2"))["title"] == "AI Protocol V2 Provider Manifest"
    assert (await loader.load_spec())["title"] == "AI-Protocol v1.1 Specification"
    (tmp_path / "v1").mkdir()
    (tmp_path / "v1" / "spec.yaml").write_text("standard: [temperature]", encoding="utf-8")
    assert await loader.load_spec() == {"standard": ["temperature"]}
    with pytest.raises(ProtocolError, match="there is no specification 'v9'"):
        await loader.load_spec("v9")


def test_everything_in_sight_is_listed_with_what_is_wrong(tmp_path: Path, write: Write) -> None:
    write(tmp_path / "acme.json")
    write(tmp_path / "notes.json", id=None, protocol_version=None, endpoint=None)
    (tmp_path / "settings.json").write_text("{}", encoding="utf-8")
    (tmp_path / "broken.yaml").write_text("{", encoding="utf-8")
    entries = {entry.id: entry for entry in ProtocolLoader(tmp_path).providers()}
    assert entries["acme"].manifest is not None
    assert entries["broken"].manifest is None
    assert "cannot be read" in str(entries["broken"].error)
    assert entries["ollama"].where == "dragoman.ai/manifests/v1/providers/ollama.json"
    assert "settings" not in entries


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_no_manifest(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "acme.json")
    with pytest.raises(ProtocolError, match="there is no manifest"):
        ProtocolLoader(tmp_path).load_provider_sync("acme")
