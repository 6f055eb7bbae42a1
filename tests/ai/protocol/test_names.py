"""Names of models: slashes, bare names, display names."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.ai.protocol.documents import small

from dragoman.ai.errors import ProtocolError
from dragoman.ai.protocol import ProtocolLoader

pytestmark = pytest.mark.requirement("AIP-10")


@pytest.mark.parametrize(
    ("name", "provider", "sent"),
    [
        ("openai/gpt-4o", "openai", "gpt-4o"),
        ("groq/meta-llama/llama-4-scout", "groq", "meta-llama/llama-4-scout"),
        ("openai/gpt-35-turbo", "openai", "gpt-3.5-turbo"),
        ("anthropic/claude-3-5-sonnet", "anthropic", "claude-3-5-sonnet-20241022"),
        ("anthropic/claude-next", "anthropic", "claude-next"),
        ("google/gemini-2.5-pro", "gemini", "gemini-2.5-pro"),
        ("ollama/qwen3:8b@q4", "ollama", "qwen3:8b@q4"),
        ("openai/ft:gpt-4o:acme one", "openai", "ft:gpt-4o:acme one"),
        ("gpt-4o", "openai", "gpt-4o"),
        ("claude-3-5-sonnet", "anthropic", "claude-3-5-sonnet-20241022"),
        ("claude-3-5-sonnet-20241022", "anthropic", "claude-3-5-sonnet-20241022"),
        ("gpt-5.5", "openai", "gpt-5.5"),
    ],
)
def test_a_name_leads_to_a_provider_and_to_what_is_sent(name: str, provider: str, sent: str) -> None:
    found = ProtocolLoader().resolve_model_sync(name)
    assert (found.provider_id, found.manifest.id, found.model_id) == (provider, provider, sent)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("openai", "'openai' is a provider, not a model; expected \"openai/<model>\", for instance openai/gpt-5.5"),
        ("ollama", "'ollama' is a provider, not a model; expected \"ollama/<model>\""),
        ("gtp-4o", "no provider is known for the model 'gtp-4o'; expected \"provider/model\""),
        ("meta-llama/llama-4-scout", "there is no manifest for provider 'meta-llama'"),
        ("openai/", "'openai/' is half a name"),
        ("/gpt-4o", "'/gpt-4o' is half a name"),
        ("", "'' names no model"),
        ("  ", "names no model"),
    ],
)
def test_a_name_that_leads_nowhere_says_what_was_expected(name: str, text: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        ProtocolLoader().resolve_model_sync(name)
    assert text in str(caught.value)
    assert caught.value.error_class == "not_found"


def test_a_near_miss_is_answered_with_what_is_close() -> None:
    with pytest.raises(ProtocolError, match=r"close to it: .*openai/gpt-4o-mini"):
        ProtocolLoader().resolve_model_sync("gpt4o-mini")


def test_a_bare_name_of_several_providers_lists_them(tmp_path: Path, write: Callable[..., Path]) -> None:
    for name in ("acme", "apex"):
        write(tmp_path / f"{name}.json", metadata={"models": {"shared": {}, f"of-{name}": {}}})
    loader = ProtocolLoader(tmp_path)
    assert loader.resolve_model_sync("of-apex").provider_id == "apex"
    with pytest.raises(ProtocolError, match="several providers have a model 'shared': acme/shared, apex/shared"):
        loader.resolve_model_sync("shared")


def test_model_files_come_before_the_facts_of_manifests(tmp_path: Path, write: Callable[..., Path]) -> None:
    write(tmp_path / "v1/providers/acme.json")
    write(tmp_path / "v2/providers/apex.json", metadata={"models": {"quick": {}}})
    models = {"models": {"quick": {"provider": "acme", "model_id": "quick-2026"}}}
    (tmp_path / "v1/models").mkdir()
    (tmp_path / "v1/models/acme.json").write_text(json.dumps(models), encoding="utf-8")
    loader = ProtocolLoader(tmp_path)
    found = loader.resolve_model_sync("quick")
    assert (found.provider_id, found.model_id) == ("acme", "quick-2026")
    assert loader.resolve_model_sync("apex/quick").model_id == "quick"  # another provider's display name


def test_a_registered_providers_models_are_known() -> None:
    loader = ProtocolLoader()
    loader.register_provider(small("hand-made", metadata={"models": {"my-model": {"context_window": 5}}}))
    assert loader.resolve_model_sync("my-model").provider_id == "hand-made"
