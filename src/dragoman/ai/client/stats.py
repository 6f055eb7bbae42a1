"""What one call took: time, attempts, tokens, and who answered."""

from __future__ import annotations

import sys
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["CallStats"]


@dataclass
class CallStats:
    """Filled in while a call goes on; of a stream, complete when the stream has ended.

    Times are milliseconds on a clock that never goes back. "First token" is the first content,
    thinking or tool event. `provider`, `model` and `endpoint` are those that answered, which may be
    a fallback; unknown token counts and costs stay None, as they do for an answer `from_cache`.
    """

    client_request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    latency_ms: float = 0.0
    time_to_first_token_ms: float | None = None
    retry_count: int = 0
    model: str | None = None
    provider: str | None = None
    endpoint: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost: float | None = None
    from_cache: bool = False
    clock: Callable[[], float] = field(default=time.monotonic, repr=False, compare=False)
    _began: float | None = field(default=None, repr=False, compare=False)
    _reported_total: int | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        self.record_start()

    def record_start(self) -> None:
        """The call begins now."""
        self._began = self.clock()

    def record_first_token(self) -> None:
        """Output has come; only the first time counts."""
        if self.time_to_first_token_ms is None:
            self.time_to_first_token_ms = self._elapsed_ms()

    def record_end(self) -> None:
        """The call is over."""
        self.latency_ms = self._elapsed_ms()

    def record_usage(self, usage: Mapping[str, Any] | None) -> None:
        """Take over the token counts that `usage` has, in the standard names."""
        if not usage:
            return
        for name in ("prompt_tokens", "completion_tokens"):
            if (count := whole_number(usage.get(name))) is not None:
                setattr(self, name, count)
        if (total := whole_number(usage.get("total_tokens"))) is not None:
            self._reported_total = total
        cost = usage.get("cost")
        cost = cost.get("total_cost") if isinstance(cost, Mapping) else cost  # some give it with its parts
        if isinstance(cost, int | float) and not isinstance(cost, bool) and abs(cost) <= sys.float_info.max:
            self.cost = float(cost)

    @property
    def total_tokens(self) -> int | None:
        """As the provider counted, else the sum, else None."""
        if self._reported_total is not None:
            return self._reported_total
        if self.prompt_tokens is None and self.completion_tokens is None:
            return None
        return (self.prompt_tokens or 0) + (self.completion_tokens or 0)

    @property
    def input_tokens(self) -> int | None:
        return self.prompt_tokens

    @property
    def output_tokens(self) -> int | None:
        return self.completion_tokens

    def _elapsed_ms(self) -> float:
        return max((self.clock() - (self._began or 0.0)) * 1000, 0.0)


def whole_number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
