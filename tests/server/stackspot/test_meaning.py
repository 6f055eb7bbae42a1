"""Knowledge sources by meaning: an embedding model by its name, of the app or of a provider."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.ai.wires.server import Provider, Received, Reply, serving
from tests.server.conftest import Inside
from tests.server.stackspot.filing import chat, files, form, post, token, uploaded, xml_code

from dragoman.core.errors import UsageError
from dragoman.engine.agents import Agent
from dragoman.engine.app import App
from dragoman.testing.model import ScriptedModel

pytestmark = pytest.mark.requirement("STK-70")

Start = Callable[..., Awaitable[Inside]]
TO_KNOWLEDGE: dict[str, Any] = {"target_type": "KNOWLEDGE_SOURCE", "target_id": "ks"}
HANDBOOK = "\n\n".join([*(f"{'word ' * 200}filler {n}" for n in range(12)), f"{'purr ' * 200}A feline sleeps."])
TOPICS = (("cat", "feline"), ("engine", "wheel"))


def topics_of(text: str) -> list[float]:
    return [0.01, *(float(any(word in text for word in words)) for words in TOPICS)]


async def topics(texts: Sequence[str]) -> list[list[float]]:
    return [topics_of(text) for text in texts]


def app_of(**settings: Any) -> App:
    return App("t", agents=[Agent("demo", model=ScriptedModel(), knowledge=["ks"])], **settings)


def by(model: str | None, **more: Any) -> dict[str, Any]:
    return {"stackspot": {"knowledge": {"model": model, **more}, "upload_limit": 1 << 20}}


async def best(inside: Inside, query: str, tenant: str = "demo") -> str:
    found = await inside.services.knowledge.search(tenant, ["ks"], query, limit=1)
    return found[0].text if found else ""


async def test_a_model_of_the_app_finds_what_means_the_same(start_inside: Start) -> None:
    inside = await start_inside(app_of(embeddings={"topics": topics}), settings=by("topics"))
    bearer = await token(inside)
    await uploaded(inside, bearer, "cats.md", HANDBOOK.encode(), **TO_KNOWLEDGE)
    assert "feline" in await best(inside, "my cat")
    assert await best(inside, "my cat", tenant="other") == ""
    reply = await chat(inside, bearer, "what of my cat?", stackspot_knowledge="true", return_ks_in_response=True)
    assert (reply.status, reply.json()["knowledge_source_id"]) == (200, ["ks"])


async def test_without_a_model_words_decide(start_inside: Start) -> None:
    inside = await start_inside(app_of(embeddings={"topics": topics}), settings=by(None))
    await uploaded(inside, await token(inside), "cats.md", HANDBOOK.encode(), **TO_KNOWLEDGE)
    assert "feline" not in await best(inside, "my cat")
    assert "feline" in await best(inside, "feline")


# ------------------------------------------------------------------------------ by a provider


def embedding(request: Received) -> Reply:
    return Reply.json({"embeddings": {"float": [topics_of(text) for text in request.json()["texts"]]}})


def manifests(folder: Path, server: Provider, **changes: Any) -> dict[str, Any]:
    document = {
        "id": "acme",
        "protocol_version": "2.0",
        "endpoint": {"base_url": server.url},
        "payload_format": "cohere_v2",
        "endpoints": {"embeddings": {"path": "/embed", "method": "POST"}},
        "capabilities": {"required": ["text", "embeddings"], "optional": []},
        "error_classification": {"by_http_status": {}},
        **changes,
    }
    file = folder / "v2" / "providers" / "acme.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(document))
    return {"models": {"manifests": str(folder)}}


async def test_a_model_of_a_provider_is_asked_for_documents_and_for_questions(
    start_inside: Start, tmp_path: Path
) -> None:
    async with serving(embedding) as server:
        settings = {**manifests(tmp_path, server), **by("acme/e-1", dimensions=3)}
        inside = await start_inside(app_of(), settings=settings)
        await uploaded(inside, await token(inside), "cats.md", HANDBOOK.encode(), **TO_KNOWLEDGE)
        assert "feline" in await best(inside, "my cat")
    asked = [request.json() for request in server.requests]
    assert [(one["input_type"], one["model"], one["output_dimension"]) for one in asked] == [
        ("search_document", "e-1", 3),
        ("search_query", "e-1", 3),
    ]
    assert asked[1]["texts"] == ["my cat"]


async def test_while_the_provider_is_away_uploads_are_refused_and_searches_go_by_words(
    start_inside: Start, tmp_path: Path
) -> None:
    answers = [embedding]

    def answer(request: Received) -> Reply:
        return answers[0](request)

    async with serving(answer) as server:
        inside = await start_inside(app_of(), settings={**manifests(tmp_path, server), **by("acme/e-1")})
        bearer = await token(inside)
        await uploaded(inside, bearer, "cats.md", HANDBOOK.encode(), **TO_KNOWLEDGE)
        answers[0] = lambda request: Reply.json({"message": "down"}, 500)
        assert "feline" in await best(inside, "feline")
        made = await form(inside, bearer, "more.md", **TO_KNOWLEDGE)
        refused = await post(inside, made, b"An engine.")
        assert xml_code(refused)[0] == 503
        assert "down" not in refused.text
        assert len(files(inside)) == 1
        answers[0] = embedding
        assert (await post(inside, made, b"An engine.")).status == 204  # the form is still good
        assert await best(inside, "wheel") == "An engine."


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("acme", "provider/model"),
        ("unheard-of/e", "unheard-of"),
        ("anthropic/claude-sonnet-4-5", "embeddings"),
        ("openai/text-embedding-3-small", "OPENAI_API_KEY"),
    ],
)
async def test_a_model_that_cannot_be_used_is_told_at_the_start(
    start_inside: Start, monkeypatch: pytest.MonkeyPatch, name: str, told: str
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k-0123456789")
    with pytest.raises(UsageError, match=r"^stackspot\.knowledge\.model: ") as caught:
        await start_inside(app_of(), settings=by(name))
    assert told in str(caught.value)
