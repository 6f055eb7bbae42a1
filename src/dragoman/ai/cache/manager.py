"""Answers by request: looked up, kept, and asked for once when several want the same.

The manager knows keys, times and counts; where values lie is a backend's business, and what a value
means is the caller's. Values go through JSON, so that nobody can change what another gets. Only what
a call gives is kept; an error never is.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from dragoman.ai.cache.backends import CacheBackend, MemoryCache
from dragoman.ai.cache.flights import Flights
from dragoman.ai.cache.key import CacheKey, CacheKeyGenerator
from dragoman.ai.cache.stats import CacheStats
from dragoman.ai.errors import ValidationError

__all__ = ["CacheConfig", "CacheManager", "CacheStats", "Shared", "get_cache_manager", "set_cache_manager"]

T = TypeVar("T")

_log = logging.getLogger("dragoman.ai.cache")


@dataclass(frozen=True)
class CacheConfig:
    """`default_ttl` is in seconds, `max_size` a number of values. `cache_streaming` also keeps streamed answers.

    `default_ttl_seconds` and `max_entries` are other names of the two. Errors are never kept, whatever
    `cache_errors` says.
    """

    enabled: bool = True
    default_ttl: float = 3600.0
    max_size: int = 1000
    cache_streaming: bool = False
    cache_errors: bool = False
    default_ttl_seconds: float | None = None
    max_entries: int | None = None

    def __post_init__(self) -> None:
        for name, other in (("default_ttl", "default_ttl_seconds"), ("max_size", "max_entries")):
            given = getattr(self, other)
            if given is not None:
                object.__setattr__(self, name, given)
            object.__setattr__(self, other, getattr(self, name))
        if self.cache_errors:
            _log.warning("cache_errors=True has no effect: errors are never kept")

    @classmethod
    def disabled(cls) -> CacheConfig:
        return cls(enabled=False)

    @classmethod
    def short_ttl(cls, ttl: float = 300.0) -> CacheConfig:
        return cls(default_ttl=ttl)

    @classmethod
    def long_ttl(cls, ttl: float = 86400.0) -> CacheConfig:
        return cls(default_ttl=ttl)


@dataclass(frozen=True, slots=True)
class Shared(Generic[T]):
    """A value, and where it is from: the `call` itself, the `cache`, or the `flight` of an equal call."""

    value: T
    source: Literal["call", "cache", "flight"]

    @property
    def hit(self) -> bool:
        """Whether no call was made for this one."""
        return self.source != "call"


def _as_is(value: Any) -> Any:
    return value


def _always(value: Any) -> bool:
    return True


class CacheManager:
    """Keeps answers and vectors in a backend, by default in memory. Safe to share between tasks and event loops.

    `keys` makes the keys. A backend that fails is logged and passed by: a cache must not fail a call.
    """

    def __init__(
        self,
        config: CacheConfig | None = None,
        backend: CacheBackend | None = None,
        *,
        keys: CacheKeyGenerator | None = None,
    ) -> None:
        self.config = config or CacheConfig()
        self.backend = backend if backend is not None else MemoryCache(self.config.max_size, self.config.default_ttl)
        self._keys = keys or CacheKeyGenerator()
        self._stats = CacheStats()
        self._flights: Flights[Any] = Flights()

    @property
    def enabled(self) -> bool:
        return self.config.enabled

    @property
    def stats(self) -> CacheStats:
        """What was done so far; calling it is fine too."""
        self._stats.evictions = self.backend.evictions
        return self._stats

    # -------------------------------------------------------------------------------------- keys

    def key(self, model: str, messages: Sequence[Any], *, scope: Any = None, **params: Any) -> CacheKey | None:
        """The key of a chat; None for one that cannot have any, or when the cache is off."""
        if not self.enabled:
            return None
        try:
            return self._keys.generate(model, messages, scope=scope, **params)
        except ValidationError:
            return None

    generate_key = key

    # ------------------------------------------------------------------------------- single flight

    async def shared(
        self,
        key: CacheKey | None,
        call: Callable[[], Awaitable[T]],
        *,
        ttl: float | None = None,
        keep: Callable[[T], bool] = _always,
        encode: Callable[[T], Any] = _as_is,
        decode: Callable[[Any], T] = _as_is,
    ) -> Shared[T]:
        """What is kept under the key, else what the call gives, which is then kept if `keep` says so.

        Equal calls that are under way at once are made once; when whoever makes the call is cancelled,
        the next one makes it. `encode` turns a value into JSON and `decode` turns it back; everybody
        but the maker of the call gets a copy. Without a key the call is simply made. Raises what the
        call raises, to all who wait for it; that is not kept.
        """
        if key is None or not self.enabled:
            return Shared(await call(), "call")
        own: list[Shared[T]] = []

        async def look_or_ask() -> tuple[bool, str | None]:
            """(whether it was kept, its JSON); whoever asked finds the value itself in `own`."""
            kept = await self._look(key)
            if kept is not None:
                with suppress(Exception):  # what cannot be read any more is asked for anew
                    own.append(Shared(decode(json.loads(kept)), "cache"))
                    return True, kept
            value = await call()
            own.append(Shared(value, "call"))
            return False, _text(value, encode)

        async def keep_it(found: tuple[bool, str | None]) -> None:
            was_kept, text = found
            if not was_kept and text is not None and keep(own[0].value):
                await self._keep(key, text, ttl)

        (kept, text), _ = await self._flights.join(f"{key.key} {key.digest}", look_or_ask, keep_it)
        if own:
            found = own[0]
        elif text is None:  # what has no JSON cannot be given to two
            found = Shared(await call(), "call")
        else:
            found = Shared(decode(json.loads(text)), "cache" if kept else "flight")
        self._count(found.source)
        return found

    # -------------------------------------------------------------------------- answers and vectors

    async def get_response(
        self, model: str, messages: Sequence[Any], *, scope: Any = None, **params: Any
    ) -> dict[str, Any] | None:
        """The kept answer of an equal request; None if there is none."""
        found = await self._counted(self.key(model, messages, scope=scope, **params))
        return found if isinstance(found, dict) else None

    async def cache_response(
        self,
        model: str,
        messages: Sequence[Any],
        response: Mapping[str, Any],
        ttl: float | None = None,
        *,
        scope: Any = None,
        **params: Any,
    ) -> CacheKey:
        """Keep an answer. One with an `error` is not kept. Raises ValidationError for a request that has no key."""
        key = self._keys.generate(model, messages, scope=scope, **params)
        if self.enabled and not response.get("error"):
            await self._keep(key, _text(dict(response)), ttl)
        return key

    async def get_embedding(
        self,
        model: str,
        input_text: str | Sequence[str],
        dimensions: int | None = None,
        *,
        scope: Any = None,
        **params: Any,
    ) -> list[list[float]] | None:
        """Kept vectors of equal texts; None if there are none."""
        if not self.enabled:
            return None
        key = self._keys.generate_for_embedding(model, input_text, dimensions, scope=scope, **params)
        found = await self._counted(key)
        return found if isinstance(found, list) and all(map(_is_vector, found)) else None

    async def cache_embedding(
        self,
        model: str,
        input_text: str | Sequence[str],
        embeddings: Sequence[Sequence[float]],
        dimensions: int | None = None,
        ttl: float | None = None,
        *,
        scope: Any = None,
        **params: Any,
    ) -> CacheKey:
        """Keep vectors."""
        key = self._keys.generate_for_embedding(model, input_text, dimensions, scope=scope, **params)
        if self.enabled:
            await self._keep(key, _text([list(vector) for vector in embeddings]), ttl)
        return key

    async def invalidate(self, model: str, messages: Sequence[Any], *, scope: Any = None, **params: Any) -> bool:
        """Forget the answer of an equal request; whether there was one."""
        key = self.key(model, messages, scope=scope, **params)
        return key is not None and await self.backend.delete(str(key))

    # ------------------------------------------------------------------------------- by one's own key

    async def get(self, key: CacheKey | str) -> Any | None:
        """What was kept under a key."""
        return await self._counted(_as_key(key))

    async def set(self, key: CacheKey | str, value: Any, ttl: float | None = None) -> None:
        """Keep a value that goes into JSON."""
        if self.enabled:
            await self._keep(_as_key(key), _text(value), ttl)

    async def clear(self) -> None:
        """Forget everything, counts too."""
        await self.backend.clear()
        self._stats.reset()

    async def close(self) -> None:
        """Let go of the backend. Idempotent."""
        await self.backend.close()

    # ------------------------------------------------------------------------------------ inside

    def _count(self, source: str) -> None:
        self._stats.hits += source == "cache"
        self._stats.misses += source != "cache"
        self._stats.shared += source == "flight"

    async def _counted(self, key: CacheKey | None) -> Any:
        if key is None or not self.enabled:
            return None
        text = await self._look(key)
        found = None
        if text is not None:
            with suppress(ValueError, RecursionError):  # somebody has changed it
                found = json.loads(text)
        self._count("cache" if found is not None else "call")
        return found

    async def _look(self, key: CacheKey) -> str | None:
        """The JSON that is kept under a key."""
        try:
            _, kept = await self.backend.find(str(key))
        except Exception:
            _log.exception("a kept answer could not be read; it is asked for anew")
            return None
        digest, end, text = kept.partition("\n") if isinstance(kept, str) else ("", "", "")
        return text if end and digest == key.digest else None  # else of a request whose short hashes are the same

    async def _keep(self, key: CacheKey, text: str | None, ttl: float | None) -> None:
        if text is None:
            return
        try:
            await self.backend.set(str(key), f"{key.digest}\n{text}", self.config.default_ttl if ttl is None else ttl)
        except Exception:
            _log.exception("an answer could not be kept")
            return
        self._stats.sets += 1


def _text(value: Any, encode: Callable[[Any], Any] = _as_is) -> str | None:
    """The value as JSON; None for what is none."""
    try:
        return json.dumps(encode(value), ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError):
        return None


def _is_vector(value: Any) -> bool:
    return isinstance(value, list) and all(type(number) in (int, float) for number in value)


def _as_key(key: CacheKey | str) -> CacheKey:
    return key if isinstance(key, CacheKey) else CacheKey(key)


_lock = threading.Lock()
_manager: CacheManager | None = None


def get_cache_manager() -> CacheManager:
    """The manager of this process, made at first use."""
    global _manager
    with _lock:
        if _manager is None:
            _manager = CacheManager()
        return _manager


def set_cache_manager(manager: CacheManager | None) -> None:
    """Use this manager from now on; None for a fresh one."""
    global _manager
    with _lock:
        _manager = manager
