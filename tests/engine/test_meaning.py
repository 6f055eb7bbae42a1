"""Knowledge by meaning: documents and questions as vectors, and what happens when there are none."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from dragoman.core.errors import BadRequest, RateLimited, Unavailable
from dragoman.core.ports import Embedded
from dragoman.core.records import Blob
from dragoman.core.writes import PutBlob
from dragoman.engine.knowledge import Meaning, StoredKnowledge
from dragoman.store import SQLiteStore, open_store

pytestmark = pytest.mark.requirement("STK-70")

TOPICS = (("cat", "feline", "purr"), ("car", "engine", "wheel"), ("tax", "invoice"))
FILLER = "\n\n".join(f"{'word ' * 200}filler {n}" for n in range(30))


class Topics:
    """An embedding model that knows three topics by their words, and keeps what it was asked."""

    def __init__(self, error: Exception | None = None, *, after: int = 0, fewer: bool = False) -> None:
        self.asked: list[list[str]] = []
        self.dimensions: list[int | None] = []
        self.error, self.after, self.fewer = error, after, fewer

    async def embed(self, texts: Sequence[str], *, dimensions: int | None = None) -> Embedded:
        self.asked.append(list(texts))
        self.dimensions.append(dimensions)
        if self.error is not None and len(self.asked) > self.after:
            raise self.error
        made = [[0.01, *(float(any(word in text for word in words)) for words in TOPICS)] for text in texts]
        return Embedded(made[1:] if self.fewer else made)


class Silent:
    """A model that does not answer."""

    async def embed(self, texts: Sequence[str], *, dimensions: int | None = None) -> Embedded:
        await asyncio.Event().wait()
        raise AssertionError


@pytest.fixture
async def store() -> AsyncIterator[SQLiteStore]:
    made = await open_store(":memory:")
    yield made
    await made.close()


def knowledge_of(store: SQLiteStore, documents: Any, questions: Any = None, **settings: Any) -> StoredKnowledge:
    return StoredKnowledge(store, Meaning("topics", documents, questions or documents, **settings))


async def add(knowledge: StoredKnowledge, store: SQLiteStore, id: str, text: str, tenant: str = "t") -> int:
    blob = Blob(id, tenant, "ann", "knowledge", f"{id}.md", "text/markdown", 1.0, state="ready")
    await store.commit(PutBlob(blob))
    return await knowledge.add(tenant, "all", blob, text)


async def best(knowledge: StoredKnowledge, query: str, tenant: str = "t") -> str:
    found = await knowledge.search(tenant, ["all"], query, limit=1)
    return found[0].text if found else ""


async def test_a_question_finds_what_means_the_same(store: SQLiteStore) -> None:
    documents, questions = Topics(), Topics()
    knowledge = knowledge_of(store, documents, questions, dimensions=4)
    await add(knowledge, store, "filler", FILLER)
    await add(knowledge, store, "cats", "How to keep a feline happy.")
    await add(knowledge, store, "cars", "An engine needs oil.")
    assert await best(knowledge, "does my cat like it?") == "How to keep a feline happy."
    assert await best(knowledge, "wheels") == "An engine needs oil."
    assert questions.asked == [["does my cat like it?"], ["wheels"]]
    assert set(documents.dimensions + questions.dimensions) == {4}


async def test_a_large_document_is_embedded_in_parts(store: SQLiteStore) -> None:
    documents = Topics()
    knowledge = knowledge_of(store, documents)
    text = "\n\n".join(f"{'word ' * 230}{n}" for n in range(1100))
    assert await add(knowledge, store, "long", f"{text}\n\n{'purr ' * 230}") == 1101
    assert [len(one) for one in documents.asked] == [500, 500, 101]
    assert "purr" in await best(knowledge, "feline")


async def test_neither_questions_nor_documents_cross_tenants(store: SQLiteStore) -> None:
    knowledge = knowledge_of(store, Topics())
    await add(knowledge, store, "a", f"{FILLER}\n\nOur feline.")
    await add(knowledge, store, "b", f"{FILLER}\n\nTheir feline.", tenant="evil")
    assert "Our" in await best(knowledge, "cat")
    assert "Their" in await best(knowledge, "cat", tenant="evil")
    assert await best(knowledge, "cat", tenant="nobody") == ""


@pytest.mark.parametrize("error", [RateLimited("slow down"), BadRequest("no"), KeyError("an app's own mistake")])
async def test_a_question_without_a_vector_goes_by_words(
    store: SQLiteStore, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    knowledge = knowledge_of(store, Topics(), Topics(error))
    await add(knowledge, store, "a", f"{FILLER}\n\nA feline.")
    with caplog.at_level(logging.WARNING):
        assert "feline" in await best(knowledge, "feline")
    assert "by words alone" in caplog.text


async def test_a_model_that_does_not_answer_holds_nobody_up(store: SQLiteStore) -> None:
    knowledge = knowledge_of(store, Topics(), Silent(), question_seconds=0.01)
    await add(knowledge, store, "a", f"{FILLER}\n\nA feline.")
    async with asyncio.timeout(5):
        assert "feline" in await best(knowledge, "feline")


@pytest.mark.parametrize("query", ["", " \n", "?"])
async def test_a_question_that_says_nothing(store: SQLiteStore, query: str) -> None:
    questions = Topics()
    knowledge = knowledge_of(store, Topics(), questions)
    await add(knowledge, store, "a", FILLER)
    assert await best(knowledge, query)
    assert len(questions.asked) == len(query.strip())


async def test_a_long_question_is_cut_and_a_search_of_nothing_asks_nothing(store: SQLiteStore) -> None:
    questions = Topics()
    knowledge = knowledge_of(store, Topics(), questions)
    await knowledge.search("t", ["all"], "x" * 100_000, limit=1)
    assert [len(one) for asked in questions.asked for one in asked] == [8000]
    await knowledge.search("t", [], "x", limit=1)
    await knowledge.search("t", ["all"], "x", limit=0)
    assert len(questions.asked) == 1


@pytest.mark.parametrize(
    "documents",
    [
        Topics(RateLimited("slow down: key k-1")),
        Topics(RateLimited("later"), after=1),
        Topics(fewer=True),
        Topics(ConnectionError("an app's own mistake, with key k-1"), after=1),
    ],
)
async def test_a_document_without_vectors_is_not_taken(store: SQLiteStore, documents: Topics) -> None:
    knowledge = knowledge_of(store, documents)
    text = "\n\n".join(f"{'word ' * 230}{n}" for n in range(600))
    with pytest.raises(Unavailable) as caught:
        await add(knowledge, store, "a", text)
    assert caught.value.code == "unavailable:knowledge"
    assert "k-1" not in str(caught.value)
    assert await best(knowledge, "word") == ""


async def test_half_a_document_goes_when_its_sender_gives_up(store: SQLiteStore) -> None:
    class Slow(Topics):
        async def embed(self, texts: Sequence[str], *, dimensions: int | None = None) -> Embedded:
            if self.asked:
                waiting.set()
                await asyncio.Event().wait()
            return await super().embed(texts, dimensions=dimensions)

    waiting, text = asyncio.Event(), "\n\n".join(f"{'word ' * 230}{n}" for n in range(600))
    adding = asyncio.create_task(add(knowledge_of(store, Slow()), store, "a", text))
    async with asyncio.timeout(10):
        await waiting.wait()
        adding.cancel()
        with pytest.raises(asyncio.CancelledError):
            await adding
    assert await best(StoredKnowledge(store), "word") == ""


async def test_what_the_model_counts_is_told_of_documents_and_questions(store: SQLiteStore) -> None:
    class Counting(Topics):
        async def embed(self, texts: Sequence[str], *, dimensions: int | None = None) -> Embedded:
            made = await super().embed(texts, dimensions=dimensions)
            return Embedded(made.vectors, sum(map(len, texts)))

    told: list[tuple[str, int]] = []

    async def used(tenant: str, tokens: int) -> None:
        told.append((tenant, tokens))

    knowledge = knowledge_of(store, Counting(), used=used)
    await add(knowledge, store, "a", "A feline.")
    await best(knowledge, "my cat", tenant="other")
    await best(knowledge_of(store, Topics(), used=used), "a model that does not count")
    assert told == [("t", 9), ("other", 6)]


async def test_what_was_there_before_the_model_is_found_by_words(store: SQLiteStore) -> None:
    await add(StoredKnowledge(store), store, "old", f"{FILLER}\n\nForm H7.")
    knowledge = knowledge_of(store, Topics())
    await add(knowledge, store, "new", "A feline.")
    found = await knowledge.search("t", ["all"], "cat H7", limit=2)
    assert {one.blob for one in found} == {"old", "new"}


async def test_a_document_without_text_asks_nothing(store: SQLiteStore) -> None:
    documents = Topics()
    assert await add(knowledge_of(store, documents), store, "a", " \n ") == 0
    assert documents.asked == []
