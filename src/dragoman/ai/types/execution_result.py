"""What an execution gave and what it took, in the form that the protocol's schema fixes."""

from __future__ import annotations

from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["ExecutionMetadata", "ExecutionResult", "ExecutionUsage"]

T = TypeVar("T")


class _Fixed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class ExecutionUsage(_Fixed):
    """Tokens; None where nobody counted."""

    prompt_tokens: int | None = Field(default=None, ge=0)
    completion_tokens: int | None = Field(default=None, ge=0)
    total_tokens: int | None = Field(default=None, ge=0)
    reasoning_tokens: int | None = Field(default=None, ge=0)
    cache_read_tokens: int | None = Field(default=None, ge=0)
    cache_creation_tokens: int | None = Field(default=None, ge=0)


class ExecutionMetadata(_Fixed):
    """Who answered, in milliseconds of the provider and of our own translation; `error_code` is E and four digits."""

    provider_id: str
    model_id: str
    execution_latency_ms: int = Field(ge=0)
    translation_latency_ms: int = Field(ge=0)
    micro_retry_count: int = Field(ge=0, le=255)
    error_code: str | None = Field(default=None, pattern="^E[0-9]{4}$")
    usage: ExecutionUsage | None = None


class ExecutionResult(_Fixed, Generic[T]):
    """A value and how it came about."""

    data: T
    metadata: ExecutionMetadata
