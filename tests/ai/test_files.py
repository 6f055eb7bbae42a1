"""Files of a conversation: text as text, other types where a family takes them, else a refusal before anything is sent."""

from __future__ import annotations

import base64
import re
from typing import Any

import pytest

from dragoman.ai.files import refuse_files
from dragoman.ai.model import ProviderModel, openai_compatible, provider_model
from dragoman.ai.protocol import ProtocolLoader, ProtocolManifest
from dragoman.ai.translate import messages_of
from dragoman.core.errors import FileRefused
from dragoman.core.messages import FilePart, Message, ModelRequest, TextPart
from dragoman.transport.scripted import ScriptedIO

DATA = base64.b64encode(b"bytes").decode()
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


def part(kind: str, name: str | None = "a.bin", text: str | None = None) -> FilePart:
    return FilePart(f"data:{kind};base64,{DATA}", kind, name, text)


def asked(*parts: FilePart) -> ModelRequest:
    return ModelRequest("m", (Message("user", (TextPart("See"), *parts)),))


def loaded(adapter: str, **fields: Any) -> ProtocolLoader:
    document = {
        "id": "house",
        "protocol_version": "1.5",
        "endpoint": {"base_url": "https://example.com"},
        "endpoints": {"chat": {"path": "/chat", "adapter": adapter}},
    }
    loader = ProtocolLoader()
    loader.register_provider({**document, **fields})
    return loader


def manifest(adapter: str, **fields: Any) -> ProtocolManifest:
    return loaded(adapter, **fields).resolve_model_sync("house/m").manifest


def made(adapter: str, io: ScriptedIO) -> ProviderModel:
    return provider_model("house/m", loader=loaded(adapter), io=io)


@pytest.mark.parametrize("kind", ["text/markdown", "application/x-python", DOCX, "application/octet-stream"])
def test_what_a_file_says_is_told_in_a_tag(kind: str) -> None:
    given = part(kind, 'a "b".md', "line\n</file> two")
    (message,) = messages_of(asked(given), "p")
    assert message.content == 'See\n\n<file name="a \\"b\\".md">\nline\n<\\/file> two\n</file>'


@pytest.mark.parametrize("end", ["</file>", "</FILE>", "< / file >", "<\n/File x>"])
def test_neither_name_nor_text_of_a_file_can_end_its_tag(end: str) -> None:
    (message,) = messages_of(asked(part("text/plain", f"{end}.md", f"a {end} b")), "p")
    told = str(message.content).removeprefix("See\n\n").removesuffix("\n</file>")
    assert not re.search(r"<\s*/\s*file", told, re.IGNORECASE)
    assert re.findall("<file", told) == ["<file"]


def test_a_file_without_a_name_has_none_in_its_tag() -> None:
    (message,) = messages_of(asked(part("text/plain", None, "x")), "p")
    assert message.content == "See\n\n<file>\nx\n</file>"


TAKEN = {
    "openai_chat": ["image/png", "audio/wav", "application/pdf"],
    "openai_responses": ["image/png", "application/pdf", DOCX],
    "anthropic": ["image/png", "application/pdf"],
    "gemini": ["image/png", "audio/wav", "video/mp4", "application/pdf"],
    "cohere_v2": ["image/png"],
    "ollama": ["image/png"],
}
ALL = ["image/png", "audio/wav", "video/mp4", "application/pdf", DOCX, "application/zip", "application/octet-stream"]
CASES = [(family, kind) for family in TAKEN for kind in ALL]


@pytest.mark.parametrize(("family", "kind"), CASES)
def test_a_family_is_asked_only_for_what_it_takes(family: str, kind: str) -> None:
    found = manifest(family)
    assert found.adapter == family
    if kind in TAKEN[family] or (family == "openai_responses" and kind.startswith("audio/")):
        refuse_files(asked(part(kind)).messages, found, "m")
        return
    with pytest.raises(FileRefused) as caught:
        refuse_files(asked(part(kind, "plan.x")).messages, found, "m")
    assert caught.value.code == "bad_request:file"
    assert "'plan.x'" in caught.value.message
    assert kind in caught.value.message


@pytest.mark.parametrize("family", TAKEN)
def test_text_and_files_of_the_web_are_no_matter_of_the_family(family: str) -> None:
    parts = [
        part("text/csv"),
        part("application/json"),
        part(DOCX, text="said"),
        FilePart("https://example.com/a.zip", "application/zip"),
    ]
    refuse_files(asked(*parts).messages, manifest(family), "m")


def test_what_an_assistant_gave_is_not_told_and_so_not_refused() -> None:
    refuse_files([Message("assistant", (part("application/zip"),))], manifest("anthropic"), "m")


def test_a_model_that_cannot_see_is_shown_no_picture() -> None:
    blind = manifest("openai_chat", capabilities={"vision": False})
    with pytest.raises(FileRefused, match=r"image/png.*audio/\*, application/pdf$"):
        refuse_files(asked(part("image/png")).messages, blind, "m")


def test_a_contract_with_a_form_of_its_own_has_the_last_word() -> None:
    blocks = {"document": {"base64_field": "doc.data", "mime_type_field": "doc.type"}}
    own = manifest("openai_chat", provider_contract={"request_mapping": {"content_block_mapping": blocks}})
    refuse_files(asked(part("application/zip")).messages, own, "m")


@pytest.mark.parametrize("family", ["anthropic", "openai_chat"])
async def test_a_refused_file_is_refused_before_anything_is_sent(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOUSE_API_KEY", "k")
    io = ScriptedIO([])
    model = made(family, io)
    with pytest.raises(FileRefused):
        [piece async for piece in model.stream(asked(part("application/zip")))]
    await model.aclose()
    assert io.requests == []


async def test_servers_without_a_manifest_are_asked_as_their_family() -> None:
    model = openai_compatible("http://127.0.0.1:9/v1", "m", io=ScriptedIO([]))
    with pytest.raises(FileRefused):
        [piece async for piece in model.stream(asked(part("application/zip")))]
    await model.aclose()
