"""Words, headers, limits and small value types of the Noukai wire, for both directions.

Sources: specs of the dialect, sections 1 to 3. Knows no models and no network.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

API_VERSION = "2026-05-31"
KEY_PREFIX = "nk_"
HOSTED_URL = "https://api.noukai.dev/api/v1"
DEV_URL = "http://localhost:8080/api/v1"

KEY_VARIABLE = "NOUKAI_API_KEY"
ENV_VARIABLE = "NOUKAI_ENV"
URL_VARIABLE = "NOUKAI_BASE_URL"
REPLAY_VARIABLE = "NOUKAI_REPLAY_ENABLED"

SESSION_HEADER = "X-Session-Id"
CALL_INDEX_HEADER = "X-Noukai-Call-Index"
FEATURES_HEADER = "X-Noukai-Features"
JOB_TOOLS = "job-tools"
REPLAY_HEADER = "X-Noukai-Replay"
RESPONSE_SESSION_HEADER = "X-Noukai-Session"
IDEMPOTENCY_HEADER = "Idempotency-Key"
REQUEST_ID_HEADER = "X-Request-ID"

DEFAULT_TIMEOUT = 300.0
DEFAULT_RETRIES = 1
DEFAULT_TOOL_ROUNDS = 10
JOB_GRACE = 5.0
"""Seconds after a submission during which an unknown job counts as pending."""
PATIENCE = 60.0
"""The longest Retry-After in seconds that `retry_on_rate_limit` waits for."""
MANY_TOOL_MESSAGES = 200
LARGE_MESSAGES = 900_000
"""Bytes of `messages` from which on a warning is given; servers refuse 1 000 000."""
RETRY_STATUSES = frozenset({408, 500, 502, 503, 504})
MESSAGE_ROLES = ("user", "assistant", "tool")
RESERVED_OUTPUT_KEYS = ("__rendered_prompt__",)
"""Keys that a recording may add to an output, and that are none of it."""

VersionSpec: TypeAlias = Literal["draft", "production"] | int
ToolChoice: TypeAlias = Literal["auto", "none", "required"] | dict[str, Any]
ToolCalls: TypeAlias = list[dict[str, Any]]
Attempt: TypeAlias = Literal["latest", "all"] | int
LogHandler: TypeAlias = Callable[[dict[str, Any]], object]
Trigger: TypeAlias = Literal["execute", "step", "job"]

_SESSION_ID: Final = re.compile(r"[A-Za-z0-9._~:-]{1,128}")


def is_session_id(value: str) -> bool:
    """Whether this may name a session: 1 to 128 of `A-Za-z0-9._~:-`, but neither `.` nor `..`."""
    return value not in (".", "..") and _SESSION_ID.fullmatch(value) is not None


@dataclass(frozen=True, slots=True)
class Address:
    """Where a flow lives."""

    org: str
    project: str
    slug: str

    def __str__(self) -> str:
        return f"{self.org}/{self.project}/{self.slug}"
