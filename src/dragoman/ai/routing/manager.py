"""A list of models to choose from: by strategy, by what they can do, by price, by size."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dragoman.ai.errors import ValidationError
from dragoman.ai.routing.models import ModelInfo
from dragoman.ai.routing.selectors import (
    LeastConnectionsSelector,
    ModelSelectionStrategy,
    ModelSelector,
    create_model_selector,
)
from dragoman.core.errors import MissingExtra

if TYPE_CHECKING:
    from dragoman.ai.routing.array import ModelArray
    from dragoman.ai.routing.known import (
        create_anthropic_models,
        create_openai_models,
        get_model_manager,
        register_model_manager,
    )

__all__ = [
    "ModelArray",
    "ModelManager",
    "create_anthropic_models",
    "create_openai_models",
    "get_model_manager",
    "register_model_manager",
]


def __getattr__(name: str) -> Any:
    # What stands above this module, for code that looks for it here.
    if name in __all__:
        from dragoman.ai.routing import array, known

        return getattr(array if name == "ModelArray" else known, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class ModelManager:
    """Models in the order of their adding. A model is found by name or by `provider/name`.

    `provider` is given to models that are added without one.
    """

    def __init__(
        self, provider: str = "", strategy: ModelSelectionStrategy = ModelSelectionStrategy.ROUND_ROBIN
    ) -> None:
        self.provider = provider
        self._models: dict[str, ModelInfo] = {}
        self._strategy = ModelSelectionStrategy(strategy)
        self._selector: ModelSelector = create_model_selector(strategy)

    @property
    def strategy(self) -> ModelSelectionStrategy:
        return self._strategy

    @property
    def selector(self) -> ModelSelector:
        """What the strategy chooses with."""
        return self._selector

    def add_model(self, model: ModelInfo) -> ModelManager:
        """Add one; one of the same provider and name is replaced."""
        if not model.provider:
            model.provider = self.provider
        self._models[model.full_id] = model
        return self

    def remove_model(self, model_name: str) -> ModelInfo | None:
        found = self.get_model(model_name)
        return self._models.pop(found.full_id, None) if found is not None else None

    def get_model(self, model_name: str) -> ModelInfo | None:
        """By `provider/name`, else the first of that name."""
        found = self._models.get(model_name)
        if found is not None:
            return found
        return next((model for model in self._models.values() if model.name == model_name), None)

    def list_models(self) -> list[ModelInfo]:
        return list(self._models.values())

    def with_strategy(self, strategy: ModelSelectionStrategy) -> ModelManager:
        """Choose in another way from now on."""
        self._strategy = ModelSelectionStrategy(strategy)
        self._selector = create_model_selector(strategy)
        return self

    def merge(self, other: ModelManager) -> ModelManager:
        """Add the models of another one, which stays as it is; one of the same provider and name is replaced."""
        for model in other.list_models():
            self.add_model(replace(model))
        return self

    # -- choosing

    def select_model(self) -> ModelInfo | None:
        """One by the strategy, None when there is none."""
        return self._selector.select(self.list_models())

    def recommend_for(self, use_case: str) -> ModelInfo | None:
        """One by the strategy among those that support the use case (chat, code, vision, tools, …)."""
        return self._selector.select(self.filter_by_capability(use_case))

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[ModelInfo]:
        """A model on which a request is under way for the body. Raises ValidationError when there is none."""
        model = self.select_model()
        if model is None:
            raise ValidationError(f"there is no model to choose from for {self.provider or 'any provider'!r}")
        self.begin(model)
        try:
            yield model
        finally:
            self.end(model)

    def begin(self, model: ModelInfo) -> None:
        """A request of the model begins; the least-connections strategy counts it."""
        if isinstance(self._selector, LeastConnectionsSelector):
            self._selector.increment(model.full_id)

    def end(self, model: ModelInfo) -> None:
        """A request of the model is over."""
        if isinstance(self._selector, LeastConnectionsSelector):
            self._selector.decrement(model.full_id)

    # -- filters

    def filter_by_capability(self, capability: str) -> list[ModelInfo]:
        return [model for model in self._models.values() if model.supports(capability)]

    def filter_by_cost(self, max_cost_per_1k: float) -> list[ModelInfo]:
        """Those whose thousand input tokens cost at most so much; an unknown price is left out."""
        priced = ((model, model.pricing) for model in self._models.values())
        return [model for model, price in priced if price is not None and price.input_cost_per_1k <= max_cost_per_1k]

    def filter_by_context_window(self, min_tokens: int) -> list[ModelInfo]:
        """Those that take at least so many tokens; an unknown size is left out."""
        return [model for model in self._models.values() if (model.capabilities.context_window or 0) >= min_tokens]

    filter_by_max_cost = filter_by_cost
    filter_by_min_context = filter_by_context_window

    # -- files

    def to_json(self) -> str:
        """All models as a JSON list."""
        return json.dumps([model.to_dict() for model in self._models.values()], indent=2, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> ModelManager:
        """A manager of the models that `to_json` wrote. Raises ValidationError."""
        where = Path("JSON")
        try:
            entries = json.loads(text)
        except ValueError as error:
            raise _wrong(where, "", "a JSON list of models", str(error)) from error
        return cls()._add_all(where, entries)

    def load_from_config(self, config_path: str | Path) -> ModelManager:
        """Add the models of a JSON file (or YAML, extra `protocol`): a list, or `{"models": [...]}`.

        Raises ValidationError naming the file and what is wrong; then nothing was added.
        """
        path = Path(config_path)
        return self._add_all(path, _read(path))

    def _add_all(self, path: Path, data: Any) -> ModelManager:
        entries = data.get("models") if isinstance(data, dict) else data
        if not isinstance(entries, list):
            raise _wrong(path, "models", "a list of models, or an object with one under 'models'", type(data).__name__)
        for model in [_model(path, number, entry) for number, entry in enumerate(entries)]:
            self.add_model(model)
        return self

    def save_to_config(self, config_path: str | Path) -> None:
        """Write all models as a JSON list, which `load_from_config` reads."""
        Path(config_path).write_text(self.to_json() + "\n", encoding="utf-8")

    def __len__(self) -> int:
        return len(self._models)

    def __contains__(self, model_name: object) -> bool:
        return isinstance(model_name, str) and self.get_model(model_name) is not None


def _read(path: Path) -> Any:
    text = path.read_text(encoding="utf-8")
    try:
        if path.suffix not in (".yaml", ".yml"):
            return json.loads(text)
        try:
            import yaml
        except ImportError:
            raise MissingExtra("reading models from YAML", "protocol") from None
        try:
            return yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ValueError(str(error)) from error
    except ValueError as error:
        raise _wrong(path, "", "a JSON or YAML document", str(error)) from error


def _model(path: Path, number: int, entry: Any) -> ModelInfo:
    try:
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            raise TypeError("it has no name")
        return ModelInfo.from_dict(entry)
    except (TypeError, ValueError) as error:
        raise _wrong(path, f"models[{number}]", "a model", str(error)) from error


def _wrong(path: Path, field: str, expected: str, actual: str) -> ValidationError:
    return ValidationError(f"{path}: expected {expected}: {actual}", field=field or None, expected=expected)
