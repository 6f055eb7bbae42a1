"""Lists of models: filters, choosing, files, and what the manifests know."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dragoman.ai.errors import ValidationError
from dragoman.ai.protocol import ProtocolLoader
from dragoman.ai.routing import (
    LeastConnectionsSelector,
    ModelCapabilities,
    ModelInfo,
    ModelManager,
    ModelSelectionStrategy,
    PricingInfo,
    create_anthropic_models,
    create_openai_models,
    get_model_manager,
    manager_from_manifests,
    register_model_manager,
)

A = ("a", PricingInfo(0.001, 0.002), ModelCapabilities(context_window=8000))
B = ("b", PricingInfo(0.01, 0.02), ModelCapabilities(multimodal=True, context_window=128000))
C = ("c", None, ModelCapabilities(chat=False, embedding=True))


@pytest.fixture
def manager() -> ModelManager:
    made = ModelManager("acme")
    for name, pricing, capabilities in (A, B, C):
        made.add_model(ModelInfo(name, pricing=pricing, capabilities=capabilities))
    return made


def names(models: list[ModelInfo]) -> list[str]:
    return [model.name for model in models]


@pytest.mark.requirement("AIP-72")
def test_models_are_added_found_and_removed(manager: ModelManager) -> None:
    assert (len(manager), "a" in manager, "acme/a" in manager, "z" in manager, 3 in manager) == (
        3,
        True,
        True,
        False,
        False,
    )
    found = manager.get_model("acme/a")
    assert found is not None
    assert (found.provider, found is manager.get_model("a")) == ("acme", True)
    manager.add_model(ModelInfo("a", "new"))
    assert (len(manager), manager.list_models()[0].display_name) == (3, "new")
    removed = manager.remove_model("a")
    assert removed is not None
    assert removed.display_name == "new"
    assert (manager.remove_model("a"), names(manager.list_models())) == (None, ["b", "c"])


@pytest.mark.requirement("AIP-72")
def test_one_name_at_two_providers_is_two_models() -> None:
    both = ModelManager().add_model(ModelInfo("m", provider="p")).add_model(ModelInfo("m", provider="q"))
    assert len(both) == 2
    assert both.get_model("q/m") is both.list_models()[1]


@pytest.mark.requirement("AIP-72")
def test_filters_leave_out_what_is_unknown(manager: ModelManager) -> None:
    assert names(manager.filter_by_capability("vision")) == ["b"]
    assert names(manager.filter_by_cost(0.001)) == ["a"]
    assert names(manager.filter_by_cost(1.0)) == ["a", "b"]
    assert names(manager.filter_by_context_window(8000)) == ["a", "b"]
    assert names(manager.filter_by_context_window(8001)) == ["b"]


@pytest.mark.requirement("AIP-72", "AIP-73")
def test_choosing_follows_the_strategy(manager: ModelManager) -> None:
    assert manager.strategy is ModelSelectionStrategy.ROUND_ROBIN
    assert [manager.select_model().name for _ in range(4)] == ["a", "b", "c", "a"]  # type: ignore[union-attr]  # some
    cheapest = manager.with_strategy(ModelSelectionStrategy.COST_BASED).select_model()
    assert cheapest is manager.get_model("a")
    assert manager.recommend_for("vision") is manager.get_model("b")
    assert manager.recommend_for("embedding") is manager.get_model("c")
    assert manager.recommend_for("telepathy") is None
    assert ModelManager().select_model() is None


@pytest.mark.requirement("AIP-73")
async def test_a_model_counts_what_is_under_way(manager: ModelManager) -> None:
    manager.with_strategy(ModelSelectionStrategy.LEAST_CONNECTIONS)
    async with manager.acquire() as one, manager.acquire() as two, manager.acquire() as three:
        assert names([one, two, three]) == ["a", "b", "c"]
        with pytest.raises(ZeroDivisionError):
            async with manager.acquire():
                _ = 1 / 0
    selector = manager.selector
    assert isinstance(selector, LeastConnectionsSelector)
    assert [selector.connections(model) for model in manager.list_models()] == [0, 0, 0]
    with pytest.raises(ValidationError, match="no model"):
        async with ModelManager().acquire():
            pass


# -------------------------------------------------------------------------------------- files


@pytest.mark.requirement("AIP-72")
def test_a_list_goes_to_a_file_and_back(manager: ModelManager, tmp_path: Path) -> None:
    path = tmp_path / "models.json"
    manager.save_to_config(path)
    assert ModelManager().load_from_config(str(path)).list_models() == manager.list_models()
    entries = json.loads(path.read_text("utf-8"))
    (tmp_path / "wrapped.json").write_text(json.dumps({"models": entries}), "utf-8")
    assert len(ModelManager().load_from_config(tmp_path / "wrapped.json")) == 3


@pytest.mark.requirement("AIP-72")
def test_yaml_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "models.yaml"
    path.write_text("models:\n- name: m\n  pricing: {input_cost_per_1k: 0.1, output_cost_per_1k: 0.2}\n", "utf-8")
    loaded = ModelManager("acme").load_from_config(path)
    assert loaded.list_models() == [ModelInfo("m", provider="acme", pricing=PricingInfo(0.1, 0.2))]


@pytest.mark.requirement("AIP-72")
@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("bad.json", "{", "a JSON or YAML document"),
        ("bad.yaml", "a: [", "a JSON or YAML document"),
        ("text.json", '"models"', "a list of models"),
        ("half.json", '[{"name": "ok"}, {"display_name": "M"}]', "a model: it has no name"),
        ("tier.json", '[{"name": "m", "performance": {"speed": "quick"}}]', "a model: 'quick'"),
    ],
)
def test_a_bad_file_is_named_and_adds_nothing(tmp_path: Path, name: str, text: str, expected: str) -> None:
    path, manager = tmp_path / name, ModelManager()
    path.write_text(text, "utf-8")
    with pytest.raises(ValidationError, match=expected) as caught:
        manager.load_from_config(path)
    assert name in str(caught.value)
    assert len(manager) == 0


# ---------------------------------------------------------------------------------- manifests


@pytest.mark.requirement("AIP-75")
@pytest.mark.parametrize(
    ("full_id", "price"),
    [
        ("openai/gpt-4o", PricingInfo(0.0025, 0.01)),  # the v2 fact, not the older model file
        ("openai/gpt-4o-mini", PricingInfo(0.00015, 0.0006)),  # per token, from the model file
        ("openai/gpt-3.5-turbo", PricingInfo(0.0015, 0.002)),  # display name gpt-35-turbo
        ("openai/gpt-5.5", None),  # no price is stated
        ("anthropic/claude-sonnet-4-5", PricingInfo(0.003, 0.015)),
        ("cohere/embed-english-v3.0", PricingInfo(0.0001, 0.0)),
        ("gemini/gemini-2.5-pro", None),
    ],
)
def test_prices_have_the_right_units_and_unknown_stays_unknown(full_id: str, price: PricingInfo | None) -> None:
    model = manager_from_manifests().get_model(full_id)
    assert model is not None
    assert (model.full_id, model.pricing) == (full_id, price)


@pytest.mark.requirement("AIP-75")
def test_a_million_tokens_cost_what_the_provider_says_for_a_million() -> None:
    loader = ProtocolLoader()
    manager = manager_from_manifests(loader)
    priced = [row for row in loader.models() if row["input_per_1m"] and row["output_per_1m"]]
    assert len(priced) > 15
    for row in priced:
        model = manager.get_model(f"{row['provider']}/{row['model_id']}")
        assert model is not None
        assert model.pricing is not None
        stated = row["input_per_1m"] + row["output_per_1m"]
        assert model.pricing.calculate_cost(10**6, 10**6) == pytest.approx(stated)


@pytest.mark.requirement("AIP-72", "AIP-75")
def test_prebuilt_lists_come_from_the_model_data() -> None:
    models = create_openai_models()
    gpt = models.get_model("gpt-4o")
    assert gpt is not None
    assert (gpt.display_name, gpt.provider, gpt.capabilities.context_window) == ("GPT-4o", "openai", 128000)
    assert all(gpt.supports(word) for word in ("chat", "vision", "tools", "streaming", "code"))
    assert {model.provider for model in models.list_models()} == {"openai"}
    old = models.get_model("gpt-3.5-turbo")
    assert old is not None
    assert not old.supports("vision")
    assert "claude-3-5-haiku-20241022" in create_anthropic_models()


def test_a_model_that_only_embeds_does_not_chat() -> None:
    model = manager_from_manifests(provider="cohere").get_model("embed-multilingual-v3.0")
    assert model is not None
    assert [model.supports(word) for word in ("embedding", "multilingual", "chat", "streaming")] == [
        True,
        True,
        False,
        False,
    ]


def test_a_manifest_of_ones_own_gives_its_models(tmp_path: Path) -> None:
    manifest = {
        "id": "acme",
        "protocol_version": "2.0",
        "endpoint": {"base_url": "https://acme.example"},
        "error_classification": {},
        "capabilities": {"required": ["text", "streaming"], "optional": ["tools"]},
        "metadata": {"models": {"acme-1": {"context_window": 0, "pricing": {"input_per_1m": 2, "output_per_1m": 4}}}},
    }
    place = tmp_path / "v2" / "providers"
    place.mkdir(parents=True)
    (place / "acme.json").write_text(json.dumps(manifest), "utf-8")
    models = manager_from_manifests(ProtocolLoader(tmp_path), provider="acme").list_models()
    assert names(models) == ["acme-1"]
    assert models[0].capabilities == ModelCapabilities(function_calling=True, tool_use=True)
    assert models[0].pricing == PricingInfo(0.002, 0.004)


@pytest.mark.requirement("AIP-72")
def test_managers_are_kept_by_provider() -> None:
    mine = ModelManager("acme")
    register_model_manager("acme", mine)
    assert get_model_manager("acme") is mine
    assert len(get_model_manager("nobody")) == 0
    assert get_model_manager("nobody") is get_model_manager("nobody")
    assert "gpt-4o" in get_model_manager("openai")
