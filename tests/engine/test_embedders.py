"""What an app may give as an embedding model, and what the refusal of anything else says."""

from __future__ import annotations

import pytest

from dragoman import App, provider_model
from dragoman.core.errors import UsageError


@pytest.mark.parametrize("given", ["openai/text-embedding-3-small", provider_model("openai/text-embedding-3-small")])
def test_a_providers_embedding_model_is_sent_to_where_it_belongs(given: object) -> None:
    with pytest.raises(UsageError, match=r"belongs to App\(models=…\)"):
        App("acme", embeddings={"small": given})  # type: ignore[dict-item]  # what a user tries


def test_what_cannot_embed_is_refused() -> None:
    with pytest.raises(UsageError, match=r"embed\(texts\)") as caught:
        App("acme", embeddings={"small": 7})  # type: ignore[dict-item]  # what a user tries
    assert "App(models=…)" not in caught.value.message
