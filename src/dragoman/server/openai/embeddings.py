"""`POST /v1/embeddings`: texts to vectors, by a provider's model or one of the app's own."""

from __future__ import annotations

from functools import partial
from typing import Any

from dragoman.ai.backwards.fields import refusal
from dragoman.ai.backwards.vectors import AskedVectors, embedding_list, read_embedding_request
from dragoman.ai.embeddings import EmbeddingClient
from dragoman.ai.embeddings.wires import EMBEDDINGS
from dragoman.ai.model import ProviderModel
from dragoman.ai.protocol.adapter_choice import adapter_named
from dragoman.ai.services.operation import resolve_operation
from dragoman.core.errors import ServerError
from dragoman.core.ports import Embedded, Embedder
from dragoman.server.http import Answer, Call, Route
from dragoman.server.limits import ClientGone
from dragoman.server.openai.catalogue import Provided, unknown
from dragoman.server.openai.context import Context
from dragoman.server.openai.errors import encode_told, judge

AT_ONCE = 2048
"""Texts of one request to a provider, as far as its wire takes so many."""
_OURS = frozenset({"batch_size", "dimensions", "purpose", "self", "texts"})
"""Words that mean something to `embed_batch`, and are no caller's to say."""


def routes(context: Context) -> tuple[Route, ...]:
    """The route of embeddings."""
    made = Embeddings(context)
    return (Route("POST", "/v1/embeddings", made.create, body_limit=context.settings.limits.body),)


class Embeddings:
    """The handler."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def create(self, call: Call) -> Answer:
        """`POST /v1/embeddings`."""
        context, who = self._context, call.principal
        context.limits.take_request(who, context.now())
        asked = read_embedding_request(await call.json(), most=context.settings.limits.inputs)
        own = context.catalogue.embedder(asked.model)
        model = None if own is not None else await self._provided(asked.model)
        await context.spending.look(who)
        place = context.limits.take(who, asked.model, model.max_inflight if model is not None else None)
        try:
            async with call.while_present():
                found = await (_own(own, asked) if own is not None else _by_provider(model, asked))
            body = embedding_list(found.vectors, model=asked.model, encoding=asked.encoding, tokens=found.tokens)
        except ClientGone:
            if model is not None:  # it has been asked
                context.spending.settle_vectors(who, model.name, asked, None)
            raise
        except Exception as error:
            return encode_told(judge(error, asked.model, expose=context.expose))
        finally:
            place.release()
        if model is not None:
            context.spending.settle_vectors(who, model.name, asked, found.tokens)
        else:
            tokens = found.tokens or 0
            context.spending.count(who, asked.model, {"prompt_tokens": tokens, "completion_tokens": 0})
        return Answer.json(body)

    async def _provided(self, name: str) -> ProviderModel:
        found = await self._context.catalogue.find(name)
        if not isinstance(found, Provided):
            raise unknown(name)
        return found.model


async def _own(embedder: Embedder, asked: AskedVectors) -> Embedded:
    if asked.tokens is not None:
        raise refusal("input", "This model takes texts alone, no tokens.", "unsupported_value")
    found = await embedder.embed(asked.texts, dimensions=asked.dimensions)
    if len(found.vectors) != len(asked.texts):
        text = f"{asked.model!r} gave {len(found.vectors)} vectors for {len(asked.texts)} texts"
        raise ServerError(text, code="model_error", status=502)
    return found


async def _by_provider(model: ProviderModel | None, asked: AskedVectors) -> Embedded:
    if model is None:
        raise unknown(asked.model)
    async with model.in_use() as client:
        vectors = EmbeddingClient(client.target)
        manifest = client.manifest
        endpoint = resolve_operation(manifest, EMBEDDINGS, client.model_id)
        family = adapter_named(endpoint.adapter) or manifest.adapter
        extra: dict[str, Any] = {}
        if family.startswith("openai"):
            extra = {name: value for name, value in asked.extra.items() if name not in _OURS}
        if asked.tokens is not None:
            if not family.startswith("openai"):
                raise refusal("input", "This model takes texts alone, no tokens.", "unsupported_value")
            extra = {**extra, "input": asked.tokens}
        embed = partial(vectors.embed_batch, asked.texts, asked.dimensions, AT_ONCE)
        answer = await embed(**extra)
    return Embedded(answer.vectors, answer.usage.prompt_tokens or answer.usage.total_tokens)
