"""What makes two requests equal: everything that can change the answer, and whose request it is.

A key has a short text for people (`prefix:model:messages:parameters`) and a whole digest. The text
names the place where a value is kept; the digest lies beside the value and must be equal too, so
that two requests whose short hashes collide never get each other's answer.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from enum import Enum
from typing import Any

from pydantic import BaseModel

from dragoman.ai.errors import ValidationError

__all__ = ["CacheKey", "CacheKeyGenerator", "cache_scope", "canonical"]

EXCLUDED = ("user", "stream")
"""Parameters that do not change the answer."""


@dataclass(frozen=True)
class CacheKey:
    """`key` is the place, `digest` the identity; two keys are equal by both."""

    key: str
    model: str = ""
    messages_hash: str = ""
    params_hash: str = ""
    digest: str = ""

    def __str__(self) -> str:
        return self.key


def cache_scope(
    *,
    provider: str | None = None,
    base_url: str | None = None,
    credential: str | None = None,
    tenant: str | None = None,
    **more: Any,
) -> str:
    """Whose requests share answers: those of one provider, address, credential and tenant. A digest; the secret is
    not in it.

    What is left out is a scope of its own: no tenant is not every tenant.
    """
    secret = None if credential is None else hashlib.sha256(credential.encode("utf-8", "surrogatepass")).hexdigest()
    return _digest([provider, base_url, secret, tenant, more])


class CacheKeyGenerator:
    """Makes keys. `include_model` and `include_params` False leave them out of the text, never out of the digest."""

    def __init__(
        self,
        prefix: str = "ai",
        include_model: bool = True,
        include_params: bool = True,
        excluded_params: Iterable[str] | None = None,
    ) -> None:
        self.prefix = prefix
        self._include_model = include_model
        self._include_params = include_params
        self._excluded = frozenset(EXCLUDED if excluded_params is None else excluded_params)

    def generate(self, model: str, messages: Sequence[Any], *, scope: Any = None, **params: Any) -> CacheKey:
        """The key of a chat. `scope` says whose it is: see `cache_scope`.

        Messages, tools and formats may be our types, pydantic models or plain JSON. Raises
        ValidationError for what has no fixed form, a function for instance: such a request has no key.
        """
        told = {name: value for name, value in params.items() if name not in self._excluded}
        return self._made(model, list(messages), told, scope, ())

    def generate_for_embedding(
        self,
        model: str,
        input_text: str | Sequence[str],
        dimensions: int | None = None,
        *,
        scope: Any = None,
        **params: Any,
    ) -> CacheKey:
        """The key of vectors."""
        texts = input_text if isinstance(input_text, str) else list(input_text)
        return self._made(model, texts, {"dimensions": dimensions, **params}, scope, ("embedding",))

    def _made(
        self, model: str, messages: Any, params: Mapping[str, Any], scope: Any, kind: tuple[str, ...]
    ) -> CacheKey:
        asked, told = canonical(messages), canonical([dict(params), scope])
        messages_hash, params_hash = _hash(asked)[:16], _hash(told)[:8]
        shown = [
            self.prefix,
            *kind,
            *([model] if self._include_model else []),
            messages_hash,
            *([params_hash] if self._include_params else []),
        ]
        digest = _digest([*kind, model, _hash(asked), _hash(told)])
        return CacheKey(":".join(shown), model, messages_hash, params_hash, digest)


def canonical(value: Any) -> str:
    """A value as JSON with sorted keys. Raises ValidationError for what has no fixed form."""
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, default=_plain)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValidationError(f"there is no key for this request: {error}", field="cache") from error


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_none=True)
    if isinstance(value, type) and issubclass(value, BaseModel):
        return value.model_json_schema()
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, bytes | bytearray | memoryview):
        return {"sha256": hashlib.sha256(bytes(value)).hexdigest()}
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset):
        return sorted(value, key=repr)
    raise TypeError(f"a {type(value).__name__} has no fixed form")


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _digest(value: Any) -> str:
    return _hash(canonical(value))
