"""Knowledge sources by meaning: an embedding model by its name, of the app or of a provider."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.ai.wires.server import Provider, Received, Reply, serving
from tests.server.conftest import Inside
from tests.server.stackspot.filing import chat, files, form, post, token, uploaded, xml_code

from dragoman.ai.tokens import ModelPricing, PriceBook, set_price_book
from dragoman.core.errors import UsageError
from dragoman.engine.agents import Agent
from dragoman.engine.app import App
from dragoman.server.credits import UNIT
from dragoman.testing.model import ScriptedModel

pytestmark = pytest.mark.requirement("STK-70")

Start = Callable[..., Awaitable[Inside]]
TO_KNOWLEDGE: dict[str, Any] = {"target_type": "KNOWLEDGE_SOURCE", "target_id": "ks"}
HANDBOOK = "\n\n".join([*(f"{'word ' * 200}filler {n}" for n in range(12)), f"{'purr ' * 200}A feline sleeps."])
PRICE = Decimal("0.25")
"""Dollars for a thousand tokens."""

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


def counting(request: Received) -> Reply:
    texts = request.json()["texts"]
    said = {"embeddings": {"float": [topics_of(text) for text in texts]}}
    return Reply.json({**said, "meta": {"billed_units": {"input_tokens": 1000 * len(texts)}}})


async def test_vectors_are_measured_counted_and_paid_by_the_tenant(
    start_inside: Start, tmp_path: Path, priced: None
) -> None:
    async with serving(counting) as server:
        settings = {**manifests(tmp_path, server), **by("acme/e-1"), "credits": {"balances": {"demo": "1"}}}
        inside = await start_inside(app_of(), settings=settings)
        await uploaded(inside, await token(inside), "cats.md", b"A feline.", **TO_KNOWLEDGE)
        await best(inside, "my cat")
        await best(inside, "my cat", tenant="other")
        spent = await inside.services.store.counter("demo", "", "credits", now=0.0)
        assert spent is not None
        assert spent.used * UNIT == 2 * PRICE
        assert await inside.services.store.counter("other", "", "credits", now=0.0) is None
        text = (await inside.ask("GET", "/metrics", token=None)).text
    labels = 'gen_ai_operation_name="embeddings",gen_ai_provider_name="acme",gen_ai_request_model="e-1"'
    assert 'dragoman_tokens_total{kind="prompt"} 3000' in text
    assert f"gen_ai_client_operation_duration_seconds_count{{{labels}}} 3" in text
    assert f'gen_ai_client_token_usage_sum{{{labels},gen_ai_token_type="input"}} 3000' in text
    assert 'dragoman_model_cost_usd_total{provider="acme",model="e-1"} 0.75' in text


@pytest.fixture
def priced() -> Iterator[None]:
    set_price_book(PriceBook({"acme/e-1": ModelPricing("acme/e-1", float(PRICE), 9.0)}, published=False))
    yield
    set_price_book(None)


async def test_documents_of_another_model_are_told_at_the_start_and_found_by_words(
    start_inside: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app = app_of(embeddings={"topics": topics, "later": topics})
    first = await start_inside(app, data=tmp_path, settings=by("topics"))
    await uploaded(first, await token(first), "cats.md", HANDBOOK.encode(), **TO_KNOWLEDGE)
    passages = len(await first.services.knowledge.search("demo", ["ks"], "", limit=100))
    await first.application.stop()
    assert "uploaded again" not in caplog.text
    second = await start_inside(app, data=tmp_path, settings=by("later"))
    (told,) = [record for record in caplog.records if "uploaded again" in record.message]
    assert (told.__dict__["model"], told.__dict__["passages"]) == ("later", passages)
    assert "feline" not in await best(second, "my cat")
    assert "feline" in await best(second, "feline")


async def test_the_apps_model_may_give_arrays_of_another_library(start_inside: Start) -> None:
    async def arrays(texts: Sequence[str]) -> Any:
        return Array([Array(topics_of(text)) for text in texts])

    inside = await start_inside(app_of(embeddings={"arrays": arrays}), settings=by("arrays"))
    await uploaded(inside, await token(inside), "cats.md", HANDBOOK.encode(), **TO_KNOWLEDGE)
    assert "feline" in await best(inside, "my cat")


class Array(list[Any]):
    """As those of NumPy: of more than one number nobody knows whether it is true."""

    def __bool__(self) -> bool:
        raise ValueError("the truth value of an array is ambiguous")


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
