"""Embeddings: the client asks for base64 unless it is told otherwise, and unpacks it."""

from __future__ import annotations

import math

from tests.interop.openai.registry import DEMO, EMBEDDING, scenario
from tests.interop.openai.stage import Visit


@scenario.behind(EMBEDDING)
def vectors_come_in_the_order_of_the_texts(visit: Visit) -> None:
    texts = [f"{visit.tag}| a", f"{visit.tag}| long", f"{visit.tag}| longest"]
    wanted = [[len(text) / 4, 0.5, -0.25, 1.0] for text in texts]
    model = f"{visit.family}-vectors"
    for more in ({}, {"encoding_format": "float"}):
        answer = visit.client.embeddings.create(model=model, input=texts, **more)
        assert [each.index for each in answer.data] == [0, 1, 2]
        assert [list(each.embedding) for each in answer.data] == wanted
        assert answer.model == model
    assert answer.usage.prompt_tokens == (0 if visit.family == "gemini" else 7)
    packed = visit.client.embeddings.create(model=model, input=texts[0], encoding_format="base64")
    assert isinstance(packed.data[0].embedding, str)


@scenario.behind(EMBEDDING)
def one_text_gives_one_vector(visit: Visit) -> None:
    text = f"{visit.tag}| alone"
    [only] = visit.client.embeddings.create(model=f"{visit.family}-vectors", input=text).data
    assert list(only.embedding) == [len(text) / 4, 0.5, -0.25, 1.0]


@scenario.at(DEMO)
def the_demos_vectors_are_of_length_one(visit: Visit) -> None:
    create = visit.client.embeddings.create
    packed = create(model="demo-embed", input=["hello", "hello", "other"])
    plain = create(model="demo-embed", input=["hello", "hello", "other"], encoding_format="float")
    first, second, third = (list(each.embedding) for each in packed.data)
    assert (len(first), first) == (16, second)
    assert first != third
    assert math.isclose(math.hypot(*first), 1.0, rel_tol=1e-5)
    assert all(math.isclose(a, b, abs_tol=1e-6) for a, b in zip(first, plain.data[0].embedding, strict=True))
