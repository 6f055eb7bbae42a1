"""What is asked of an agent and what it answered: values, with no call in them.

`raw_response` is the answer as it came and the only truth; the properties read it and take what they find, for a
service that leaves a field out or fills it oddly must not spoil a good answer.
"""

from __future__ import annotations

import math
import uuid
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from dragoman.stackspot.failures import is_timeout
from dragoman.stackspot.validation import require


class ChatStatus(StrEnum):
    """How a call ended. `TIMEOUT` is any limit that passed, on this side or, as HTTP 408 and 504, on the other."""

    SUCCESS = "SUCCESS"
    ERROR = "ERROR"
    TIMEOUT = "TIMEOUT"

    @classmethod
    def from_exception(cls, exc: BaseException) -> ChatStatus:
        """`TIMEOUT` if a limit in time is behind the exception, whatever wraps it; else `ERROR`."""
        return cls.TIMEOUT if is_timeout(exc) else cls.ERROR


@dataclass(frozen=True)
class ChatTokenUsage:
    """What an answer cost in tokens: the prompt, what knowledge sources added to it, the answer."""

    user: int
    enrichment: int
    output: int

    @property
    def total(self) -> int:
        return self.user + self.enrichment + self.output


@dataclass(frozen=True)
class ChatRequest:
    """One prompt to an agent.

    `id` names the request in logs and, as `X-Request-Id` and `Idempotency-Key`, to the service: one that is sent
    again is the same request, which our server answers from its record. `metadata` never leaves this process.
    """

    user_prompt: str
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    conversation_id: str | None = None
    use_conversation: bool = False
    use_knowledge_sources: bool = True
    return_knowledge_sources: bool = False
    upload_ids: list[str] | None = None
    metadata: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require(self.id, "expected an id for the request, got an empty one")
        require(self.user_prompt, "expected a user_prompt, got an empty one")

    def to_api_payload(self) -> dict[str, Any]:
        """The body of the call for one whole answer; a stream sets `streaming` in it.

        The service wants `stackspot_knowledge` as a word.
        """
        payload: dict[str, Any] = {
            "user_prompt": self.user_prompt,
            "streaming": False,
            "use_conversation": self.use_conversation,
            "stackspot_knowledge": "true" if self.use_knowledge_sources else "false",
            "return_ks_in_response": self.return_knowledge_sources,
        }
        if self.conversation_id:
            payload["conversation_id"] = self.conversation_id
        if self.upload_ids:
            payload["upload_ids"] = list(self.upload_ids)
        return payload


@dataclass(frozen=True)
class ChatResponse:
    """What became of a request. `result` is what the result handler made of the answer's text.

    `error` says what went wrong; `raw_response` is the body as it came and may be there beside an error.
    """

    request: ChatRequest
    status: ChatStatus
    result: Any = None
    error: str | None = None
    raw_response: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        require(self.request, "expected the request that this answers, got none")
        require(self.status, "expected a status, got none")

    @property
    def raw_result(self) -> str | None:
        """The answer's text, as no handler has touched it."""
        text: str | None = self._field("message")
        return text

    @property
    def stop_reason(self) -> str | None:
        reason: str | None = self._field("stop_reason")
        return reason

    @property
    def tokens(self) -> ChatTokenUsage | None:
        """None if the service gave no counts; a count that is null or missing is 0."""
        return token_usage(self._field("tokens"))

    @property
    def conversation_id(self) -> str | None:
        found: str | None = self._field("conversation_id")
        return found

    @property
    def knowledge_sources(self) -> list[str]:
        """Ids of the knowledge sources used; the service names them if the request asked it to."""
        named = self._field("knowledge_source_id")
        if isinstance(named, str):
            return [named] if named else []
        return list(named) if isinstance(named, list) else []

    def is_success(self) -> bool:
        return self.status == ChatStatus.SUCCESS

    def is_error(self) -> bool:
        return self.status == ChatStatus.ERROR

    def is_timeout(self) -> bool:
        return self.status == ChatStatus.TIMEOUT

    def error_with_details(self) -> dict[str, Any]:
        """What to log or show of a failure; empty after a success."""
        if self.is_success():
            return {}
        return {"status": self.status, "error_message": self.error, "response_body": self.raw_response or {}}

    def _field(self, name: str) -> Any:
        return self.raw_response.get(name) if isinstance(self.raw_response, dict) else None


def token_usage(counts: Any) -> ChatTokenUsage | None:
    """The wire's counts; None for what is none.

    The service may leave `user` null and say `input`, which is `user` and `enrichment` together.
    """
    if not isinstance(counts, dict):
        return None
    user, enrichment = _count(counts.get("user")), _count(counts.get("enrichment")) or 0
    if user is None:
        user = max((_count(counts.get("input")) or 0) - enrichment, 0)
    return ChatTokenUsage(user, enrichment, _count(counts.get("output")) or 0)


def _count(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if isinstance(value, int) or math.isfinite(value) else None
