"""Finds, reads, checks and keeps manifests.

Order, first hit wins: what was registered; `base_path`; `AI_PROTOCOL_DIR`, else `AI_PROTOCOL_PATH`;
`ai-protocol` in the working directory and its two parents; the package; and, only when asked for, the
network. A document that stands in the way but cannot be read is an error, never skipped.

Async methods do file work in a thread; their sync twins are for threads and programs without a loop.
Loading is safe from several threads at once.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import anyio.to_thread

from dragoman.ai.errors import ErrorContext, ProtocolError
from dragoman.ai.protocol.assembly import Loaded, assemble
from dragoman.ai.protocol.documents import bounded, thaw
from dragoman.ai.protocol.identity import canonical_provider_id, checked_id
from dragoman.ai.protocol.manifest import ProtocolManifest
from dragoman.ai.protocol.names import ModelIndex, split_name
from dragoman.ai.protocol.patches import AppliedPatch
from dragoman.ai.protocol.places import DirectoryPlace, FilePlace, FileSource, PackagePlace, Place, Source
from dragoman.ai.protocol.remote import PUBLISHED, RemotePlace, default_cache
from dragoman.transport.io import IO

__all__ = ["ProtocolLoader", "ProviderEntry", "ResolvedModel"]

NEIGHBOURS = ("ai-protocol", "../ai-protocol", "../../ai-protocol")
_LOOK_AGAIN = 1.0  # seconds between two looks at a file that may have changed
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """A model's name taken apart: whom to ask, and under which name the model goes out."""

    manifest: ProtocolManifest
    model_id: str
    provider_id: str


@dataclass(frozen=True, slots=True)
class ProviderEntry:
    """A provider that a loader can see; `error` says why it cannot be used."""

    id: str
    where: str
    manifest: ProtocolManifest | None
    error: ProtocolError | None = None


@dataclass(frozen=True, slots=True)
class _Cached:
    loaded: Loaded
    source: Source | None
    looked: float
    refused: Any = None  # key of a changed file that could not be used


class ProtocolLoader:
    """Loads manifests by id and models by name.

    `base_path` is a directory or one file. `fallback_to_github=True` or `AI_PROTOCOL_REMOTE=1` allow the
    network. `generation="v1"` or `AI_PROTOCOL_GENERATION` pin a generation; otherwise v2 comes first.
    `strict_streaming` makes the streaming check raise (None: `AI_LIB_STRICT_STREAMING` decides).
    """

    def __init__(
        self,
        base_path: str | os.PathLike[str] | None = None,
        fallback_to_github: bool = False,
        hot_reload: bool = False,
        cache_enabled: bool = True,
        *,
        generation: str | None = None,
        strict_streaming: bool | None = None,
        clock: Callable[[], float] = time.monotonic,
        io: IO | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
    ) -> None:
        self._base = Path(base_path) if base_path is not None else None
        self._hot = hot_reload
        self._caching = cache_enabled
        self._generations = _generations(generation)
        self._strict = strict_streaming
        self._clock = clock
        self._io = io
        self._cache_dir = Path(cache_dir) if cache_dir is not None else None
        self._remote = fallback_to_github or _is_on(os.environ.get("AI_PROTOCOL_REMOTE"))
        self._registered: dict[str, Loaded] = {}
        self._cache: dict[str, _Cached] = {}

    @property
    def base_path(self) -> Path | None:
        """The place that was asked for, if one was."""
        return self._base

    # -- loading

    async def load_provider(self, provider_id: str) -> ProtocolManifest:
        """The manifest of a provider, by id or alias. Raises ProtocolError."""
        found = self._at_hand(provider_id)
        if found is not None:
            return found.manifest
        return await anyio.to_thread.run_sync(self.load_provider_sync, provider_id)

    def load_provider_sync(self, provider_id: str) -> ProtocolManifest:
        """`load_provider` for a thread of its own: it reads files."""
        return self._load(checked_id(provider_id)).manifest

    async def load_model(self, model_id: str) -> ProtocolManifest:
        """The manifest that a model's name leads to."""
        return (await self.resolve_model(model_id)).manifest

    async def resolve_model(self, name: str) -> ResolvedModel:
        """`provider/model`, or a bare model name that only one provider has. Raises ProtocolError."""
        return await anyio.to_thread.run_sync(self.resolve_model_sync, name)

    def resolve_model_sync(self, name: str) -> ResolvedModel:
        """`resolve_model` for a thread of its own."""
        provider_id, model = split_name(name)
        if provider_id is None:
            provider_id, model = self._index().look_up(model)
            manifest = self.load_provider_sync(provider_id)
        else:
            manifest = self.load_provider_sync(provider_id)
            model = self._index().wire_name(manifest, model)
        return ResolvedModel(manifest, model, manifest.id)

    async def load_spec(self, version: str = "v1") -> dict[str, Any]:
        """The rules of a generation: `<version>/spec.*` of a directory, else the packaged schema."""
        return await anyio.to_thread.run_sync(self._spec, version)

    def load_file(self, path: str | os.PathLike[str]) -> dict[str, Any]:
        """A JSON or YAML document as it stands, unchecked."""
        source = FileSource.of(Path(path))
        if source is None:
            raise ProtocolError(f"{Path(path)} is not there", protocol_path=str(path))
        return dict(thaw(source.read()))

    def register_provider(self, data: Mapping[str, Any]) -> ProtocolManifest:
        """Check a document and use it for its id from now on, whatever the files say."""
        try:
            bounded(data)
        except ValueError as error:
            raise ProtocolError(f"the registered manifest cannot be used: {error}") from error
        loaded = assemble(data, where="the registered manifest", place=None, strict=self._strict)
        self._registered[loaded.manifest.id] = loaded
        return loaded.manifest

    # -- what there is

    def patches_for(self, provider_id: str) -> list[AppliedPatch]:
        """What was corrected in a provider's manifest (C9); loads it."""
        return list(self._load(checked_id(provider_id)).patches)

    def models(self) -> list[dict[str, Any]]:
        """Every model that a manifest or a model file names: provider, name, model_id and facts."""
        return self._index().rows()

    def providers(self) -> list[ProviderEntry]:
        """Every provider in sight, first hit per id; what cannot be loaded says why."""
        entries: dict[str, ProviderEntry] = {}
        for loaded in self._registered.values():
            entries[loaded.manifest.id] = ProviderEntry(loaded.manifest.id, loaded.where, loaded.manifest)
        for place in self._places():
            for source in place.providers(self._generations):
                stem = Path(source.where).stem
                try:
                    document = source.read()
                    if "protocol_version" not in document and "endpoint" not in document:
                        continue  # some other document beside the manifests
                    name = str(document.get("id", stem))
                    if name not in entries:
                        loaded = assemble(
                            document, where=source.where, place=place, key=source.key, strict=self._strict
                        )
                        entries[name] = ProviderEntry(name, source.where, loaded.manifest)
                except ProtocolError as error:
                    entries.setdefault(stem, ProviderEntry(stem, source.where, None, error))
        return [entries[name] for name in sorted(entries)]

    def clear_cache(self) -> None:
        """Read everything anew when it is next asked for; registered manifests are forgotten too."""
        self._cache.clear()
        self._registered.clear()

    def invalidate(self, key: str) -> None:
        """Forget `provider:<id>`, also where it was loaded by an alias, also if it was registered."""
        name = key.removeprefix("provider:")
        self._registered.pop(name, None)
        for cached, entry in list(self._cache.items()):
            if cached == f"provider:{name}" or entry.loaded.manifest.id == name:
                self._cache.pop(cached, None)

    # -- inside

    def _at_hand(self, provider_id: str) -> Loaded | None:
        """What can be given without touching a file."""
        if provider_id in self._registered:
            return self._registered[provider_id]
        cached = self._cache.get(f"provider:{provider_id}") if self._caching else None
        if cached is None or (self._hot and self._clock() - cached.looked >= _LOOK_AGAIN):
            return None
        return cached.loaded

    def _load(self, provider_id: str) -> Loaded:
        found = self._at_hand(provider_id)
        if found is not None:
            return found
        key = f"provider:{provider_id}"
        cached = self._cache.get(key) if self._caching else None
        if cached is not None:
            cached = self._looked_again(cached)
        else:
            place, source = self._find(provider_id)
            loaded = assemble(source.read(), where=source.where, place=place, key=source.key, strict=self._strict)
            cached = _Cached(loaded, source, self._clock())
        if self._caching:
            self._cache[key] = cached
        return cached.loaded

    def _looked_again(self, cached: _Cached) -> _Cached:
        """Hot reload: a changed file is swapped in if it is good; a bad one is logged once."""
        now = self._clock()
        old = cached.source
        if old is None or old.path is None:
            return replace(cached, looked=now)
        try:
            source = FileSource.of(old.path)
            if source is None:
                raise ProtocolError(f"{old.path} is not there any more", protocol_path=str(old.path))
            if source.key == old.key:
                return replace(cached, looked=now, refused=None)
            if source.key == cached.refused:
                return replace(cached, looked=now)
            loaded = assemble(
                source.read(), where=source.where, place=cached.loaded.place, key=source.key, strict=self._strict
            )
            if loaded.manifest.id != cached.loaded.manifest.id:
                raise ProtocolError(f"{old.path} is now about {loaded.manifest.id!r}", protocol_path=str(old.path))
        except ProtocolError as error:
            state = source.key if source is not None else "gone"
            if state != cached.refused:
                _log.warning("the changed manifest is not used, the old one stays: %s", error)
            return replace(cached, looked=now, refused=state)
        return _Cached(loaded, source, now)

    def _places(self) -> list[Place]:
        places: list[Place] = []
        if self._base is not None:
            places.append(_place_at(self._base, "base_path"))
        variable, named = _named_place()
        if named and not _is_url(named):
            places.append(_place_at(Path(named), variable))
        places += [DirectoryPlace(Path(name)) for name in NEIGHBOURS if _is_neighbour(Path(name))]
        return [*places, PackagePlace()]

    def _remote_place(self) -> RemotePlace | None:
        _, named = _named_place()
        if not self._remote and not _is_url(named):
            return None
        base = named if _is_url(named) else PUBLISHED
        return RemotePlace(base, self._cache_dir or default_cache(), self._io)

    def _find(self, provider_id: str) -> tuple[Place, Source]:
        places = self._places()
        remote = self._remote_place()
        if remote is not None and remote.base != PUBLISHED:
            places.insert(1 if self._base is not None else 0, remote)  # a URL in the place of a directory
        canonical = canonical_provider_id(provider_id)
        for wanted in dict.fromkeys((provider_id, None, canonical)):
            for place in places:
                source = self._by_alias(place, provider_id) if wanted is None else place.find(wanted, self._generations)
                if source is not None:
                    return place, source
        if remote is not None and remote.base == PUBLISHED:
            source = remote.find(canonical or provider_id, self._generations)
            if source is not None:
                return remote, source
        raise self._not_found(provider_id, canonical, places, remote)

    def _by_alias(self, place: Place, provider_id: str) -> Source | None:
        for source in place.providers(self._generations):
            try:
                aliases = source.read().get("aliases")
            except ProtocolError as error:
                _log.warning("skipped while looking for an alias: %s", error)
                continue
            if isinstance(aliases, list) and provider_id in aliases:
                return source
        return None

    def _not_found(
        self, provider_id: str, canonical: str | None, places: list[Place], remote: RemotePlace | None
    ) -> ProtocolError:
        known = sorted({Path(source.where).stem for place in places for source in place.providers(self._generations)})
        named = f"{provider_id!r}" if canonical in (None, provider_id) else f"{provider_id!r} ({canonical!r})"
        looked = [place.where for place in places] + ([remote.where] if remote is not None else [])
        known += sorted(self._registered)
        near = get_close_matches(provider_id, known, 1, cutoff=0.75)
        hint = f"did you mean {near[0]!r}? " if near else ""
        hint += f"known here: {', '.join(known)}"
        if remote is None:
            hint += "; AI_PROTOCOL_REMOTE=1 asks the published set"
        return ProtocolError(
            f"there is no manifest for provider {named}; looked in {', '.join(dict.fromkeys(looked))}",
            ErrorContext(hint=hint),
            error_class="not_found",
        )

    def _index(self) -> ModelIndex:
        registered = [loaded.manifest.raw for loaded in self._registered.values()]
        return ModelIndex(self._places(), self._generations, registered)

    def _spec(self, version: str) -> dict[str, Any]:
        for place in self._places():
            source = place.spec(version)
            if source is not None:
                return dict(thaw(source.read()))
        raise ProtocolError(f"there is no specification {version!r}, expected v1 or v2", version=version)


def _is_neighbour(path: Path) -> bool:
    """Whether a folder nearby may say where keys are sent: it is ours, the system's, or of whose folder we are in."""
    try:
        owner = path.stat().st_uid
        trusted = owner in (os.getuid(), 0, Path().stat().st_uid) if hasattr(os, "getuid") else True
    except OSError:
        return False
    if not trusted and path.is_dir():
        _log.warning("%s belongs to somebody else and is not used; name it by AI_PROTOCOL_DIR if it should be", path)
    return trusted and path.is_dir()


def _named_place() -> tuple[str, str]:
    """The variable that names a place, and what it says; empty text when neither does."""
    for variable in ("AI_PROTOCOL_DIR", "AI_PROTOCOL_PATH"):
        named = os.environ.get(variable, "").strip()
        if named:
            return variable, named
    return "AI_PROTOCOL_DIR", ""


def _place_at(path: Path, name: str) -> Place:
    if path.is_dir():
        return DirectoryPlace(path)
    if path.is_file():
        return FilePlace(path)
    raise ProtocolError(f"{name} {str(path)!r} is neither a directory nor a file", protocol_path=str(path))


def _generations(pinned: str | None) -> tuple[str, ...]:
    name = pinned or os.environ.get("AI_PROTOCOL_GENERATION") or ""
    if name in ("v1", "v2"):
        return (name,)
    if name:
        raise ProtocolError(f"generation must be v1 or v2, got {name!r}", version=name)
    return ("v2", "v1")


def _is_url(text: str) -> bool:
    return text.startswith(("https://", "http://"))


def _is_on(value: str | None) -> bool:
    return (value or "").strip().lower() in ("1", "true", "yes")
