"""What a cache has done so far."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["CacheStats"]


@dataclass
class CacheStats:
    """Counts. `shared` are the callers that waited for an equal request instead of making one.

    Calling it gives itself, since it is documented as an attribute and as a method.
    """

    hits: int = 0
    misses: int = 0
    sets: int = 0
    evictions: int = 0
    shared: int = 0

    @property
    def total_requests(self) -> int:
        return self.hits + self.misses

    @property
    def hit_rate(self) -> float:
        """Part of the requests that were answered; 0 without any."""
        return self.hits / self.total_requests if self.total_requests else 0.0

    @property
    def hit_ratio(self) -> float:
        return self.hit_rate

    def to_dict(self) -> dict[str, Any]:
        return {
            "hits": self.hits,
            "misses": self.misses,
            "sets": self.sets,
            "evictions": self.evictions,
            "shared": self.shared,
            "total_requests": self.total_requests,
            "hit_rate": self.hit_rate,
        }

    def reset(self) -> None:
        self.hits = self.misses = self.sets = self.evictions = self.shared = 0

    def __call__(self) -> CacheStats:
        return self
