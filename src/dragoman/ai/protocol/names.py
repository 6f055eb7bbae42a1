"""Model names: which provider is meant, and what is sent.

`provider/model` is split at the first slash only. A bare name is looked up, in model files first, then
in the model facts of manifests; it must lead to exactly one provider. The prefix is never sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from dragoman.ai.errors import ErrorContext, ProtocolError
from dragoman.ai.protocol.identity import canonical_provider_id
from dragoman.ai.protocol.manifest import ProtocolManifest
from dragoman.ai.protocol.metadata_model import merged_fact
from dragoman.ai.protocol.places import Place


def split_name(name: str) -> tuple[str | None, str]:
    """Provider and model of a name; no provider for a bare one. Raises ProtocolError for half a name."""
    if not isinstance(name, str) or not name.strip():
        raise ProtocolError(f'{name!r} names no model, expected "provider/model"', error_class="not_found")
    provider, slash, model = name.strip().partition("/")
    if not slash:
        return None, provider
    if not provider or not model:
        raise ProtocolError(f'{name!r} is half a name, expected "provider/model"', error_class="not_found")
    return provider, model


class ModelIndex:
    """The models that a row of places knows of. Reads files; made anew for each question."""

    def __init__(
        self, places: list[Place], generations: tuple[str, ...], registered: list[Mapping[str, Any]] | None = None
    ) -> None:
        self._places = places
        self._generations = generations
        self._registered = registered or []

    def wire_name(self, manifest: ProtocolManifest, model: str) -> str:
        """What to send for a model of a known provider: the model file's id for a display name."""
        for provider, name, entry in self._listed():
            if name == model and provider == manifest.id and isinstance(entry.get("model_id"), str):
                return str(entry["model_id"])
        return model

    def look_up(self, name: str) -> tuple[str, str]:
        """Provider and sent name of a bare model name."""
        hits: dict[str, str] = {}
        for provider, display, entry in self._listed():
            if name in (display, entry.get("model_id")):
                hits.setdefault(provider, str(entry.get("model_id") or display))
        if not hits:
            hits = {provider: name for provider, model, _ in self._facts() if model == name}
        if len(hits) == 1:
            return hits.popitem()
        raise self._unclear(name, hits)

    def _unclear(self, name: str, hits: dict[str, str]) -> ProtocolError:
        if hits:
            candidates = [f"{provider}/{model}" for provider, model in sorted(hits.items())]
            return ProtocolError(
                f"several providers have a model {name!r}: {', '.join(candidates)}",
                ErrorContext(hint="name one of them in full"),
                error_class="not_found",
            )
        if any(provider == name for provider in self._provider_ids()):
            own = [f"{name}/{model}" for provider, model, _ in self._facts() if provider == name][:5]
            examples = f", for instance {', '.join(own)}" if own else ""
            return ProtocolError(
                f'{name!r} is a provider, not a model; expected "{name}/<model>"{examples}', error_class="not_found"
            )
        known = sorted({f"{row['provider']}/{row['model_id']}" for row in self.rows()})
        shorts = {full.partition("/")[2]: full for full in known}
        near = [shorts[short] for short in get_close_matches(name, shorts, 5, 0.5)]
        return ProtocolError(
            f'no provider is known for the model {name!r}; expected "provider/model"',
            ErrorContext(hint=f"close to it: {', '.join(near)}" if near else None),
            error_class="not_found",
        )

    def rows(self) -> list[dict[str, Any]]:
        """Every known model as plain data; where files and facts speak of one model, they are joined."""
        names: dict[tuple[str, str], dict[str, Any]] = {}
        facts = {(provider, model): entry for provider, model, entry in self._facts()}
        for provider, display, entry in self._listed():
            model_id = str(entry.get("model_id") or display)
            names.setdefault((provider, model_id), {"name": display, "entry": entry})
        rows = []
        for provider, model_id in sorted({*names, *facts}):
            listed = names.get((provider, model_id), {})
            fact = merged_fact(model_id, facts.get((provider, model_id)), listed.get("entry"))
            if fact is None:
                continue
            capabilities = fact.raw.get("capabilities")
            rows.append(
                {
                    "provider": provider,
                    "name": listed.get("name", model_id),
                    "model_id": model_id,
                    "display_name": fact.display_name,
                    "status": fact.status,
                    "family": fact.family,
                    "context_window": fact.context_window,
                    "max_output_tokens": fact.max_output_tokens,
                    "input_per_1m": fact.input_per_1m,
                    "output_per_1m": fact.output_per_1m,
                    "cache_hit_input_per_1m": fact.cache_hit_input_per_1m,
                    "capabilities": list(capabilities) if isinstance(capabilities, list) else [],
                    "facts": fact,
                }
            )
        return rows

    def _listed(self) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
        """Provider, display name and entry of every model file, first place first."""
        seen: set[tuple[str, str]] = set()
        for place in self._places:
            for source in place.model_files():
                for name, entry in (source.read().get("models") or {}).items():
                    if not isinstance(entry, Mapping) or not isinstance(entry.get("provider"), str):
                        continue
                    provider = canonical_provider_id(entry["provider"]) or entry["provider"]
                    if (provider, name) not in seen:
                        seen.add((provider, name))
                        yield provider, name, entry

    def _facts(self) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
        """Provider, sent name and entry of every `metadata.models`, first place first."""
        for document in self._documents():
            metadata = document.get("metadata")
            models = metadata.get("models") if isinstance(metadata, Mapping) else None
            for model, entry in (models or {}).items() if isinstance(models, Mapping) else ():
                if isinstance(entry, Mapping):
                    yield str(document["id"]), str(model), entry

    def _documents(self) -> Iterator[Mapping[str, Any]]:
        seen: set[str] = set()
        for document in self._registered:
            seen.add(str(document["id"]))
            yield document
        for place in self._places:
            for source in place.providers(self._generations):
                try:
                    document = source.read()
                except ProtocolError:
                    continue  # a broken manifest of another provider; asking for that one names it
                name = document.get("id")
                if isinstance(name, str) and name not in seen:
                    seen.add(name)
                    yield document

    def _provider_ids(self) -> Iterator[str]:
        for document in self._documents():
            yield str(document["id"])
        for place in self._places:
            for source in place.providers(self._generations):
                yield Path(source.where).stem
