"""Answers kept for the next equal request: in memory, on disk, or not at all.

    manager = CacheManager(CacheConfig(default_ttl=600), DiskCache("answers"))
    key = manager.key("openai/gpt-4o", messages, scope=cache_scope(tenant="acme"), temperature=0)
    shared = await manager.shared(key, ask)

Names load when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dragoman.core.lazy import lazily

if TYPE_CHECKING:
    from dragoman.ai.cache.backends import CacheBackend, MemoryCache, NullCache
    from dragoman.ai.cache.backends import CacheEntry as CacheEntry
    from dragoman.ai.cache.codec import answer_from_json as answer_from_json
    from dragoman.ai.cache.codec import answer_to_json as answer_to_json
    from dragoman.ai.cache.codec import events_from_json as events_from_json
    from dragoman.ai.cache.codec import events_to_json as events_to_json
    from dragoman.ai.cache.disk import DiskCache
    from dragoman.ai.cache.key import CacheKey, CacheKeyGenerator
    from dragoman.ai.cache.key import cache_scope as cache_scope
    from dragoman.ai.cache.manager import CacheConfig, CacheManager
    from dragoman.ai.cache.manager import Shared as Shared
    from dragoman.ai.cache.manager import get_cache_manager as get_cache_manager
    from dragoman.ai.cache.manager import set_cache_manager as set_cache_manager
    from dragoman.ai.cache.stats import CacheStats

_NAMES = {
    "backends": "CacheBackend CacheEntry MemoryCache NullCache",
    "codec": "answer_from_json answer_to_json events_from_json events_to_json",
    "disk": "DiskCache",
    "key": "CacheKey CacheKeyGenerator cache_scope",
    "manager": "CacheConfig CacheManager Shared get_cache_manager set_cache_manager",
    "stats": "CacheStats",
}

__all__ = [
    "CacheBackend",
    "CacheConfig",
    "CacheKey",
    "CacheKeyGenerator",
    "CacheManager",
    "CacheStats",
    "DiskCache",
    "MemoryCache",
    "NullCache",
]

__getattr__, __dir__ = lazily(__name__, _NAMES, ("backends", "codec", "disk", "flights", "key", "manager", "stats"))
