"""What is asked of a quick command and what became of it: values, with no call in them.

Both can be written to a file, for whoever wants to see later what was said.
"""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from dragoman.stackspot.failures import is_timeout
from dragoman.stackspot.validation import require

_UNSAFE = re.compile(r"[^\w.$-]")
_LONGEST_NAME = 100
"""Characters of an id in the name of a file; systems allow 255 bytes for all of it."""


class RqcExecutionStatus(StrEnum):
    """Where an execution is.

    `PENDING`, `ERROR` and `TIMEOUT` are this side's: not begun yet, failed here, too slow. `CREATED`, `RUNNING`,
    `COMPLETED` and `FAILURE` are the service's: queued, at work, done, failed there.
    """

    PENDING = "PENDING"
    CREATED = "CREATED"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILURE = "FAILURE"
    ERROR = "ERROR"
    TIMEOUT = "TIMEOUT"

    @classmethod
    def from_server(cls, value: object) -> RqcExecutionStatus | None:
        """The status that the service names, in any case; None for what is none of its four."""
        try:
            status = cls(value.upper() if isinstance(value, str) else "")
        except ValueError:
            return None
        return status if status in _OF_THE_SERVER else None

    @classmethod
    def from_exception(cls, exc: BaseException) -> RqcExecutionStatus:
        """`TIMEOUT` if a limit in time is behind the exception, whatever wraps it; else `ERROR`."""
        return cls.TIMEOUT if is_timeout(exc) else cls.ERROR


_OF_THE_SERVER = frozenset(
    {
        RqcExecutionStatus.CREATED,
        RqcExecutionStatus.RUNNING,
        RqcExecutionStatus.COMPLETED,
        RqcExecutionStatus.FAILURE,
    }
)


def file_safe(name: str) -> str:
    """A name that is one segment of a path, whatever it was."""
    return _UNSAFE.sub("_", name)[:_LONGEST_NAME]


def _write(folder: Path, name: str, value: Any) -> Path:
    require(folder, "expected a directory to write to, got none")
    require(Path(folder).is_dir(), f"expected a directory, got {folder}")
    path = Path(folder, name)
    text = json.dumps(value, indent=4, ensure_ascii=False, default=str)
    path.write_text(text, encoding="utf-8", errors="backslashreplace")
    return path


@dataclass(frozen=True)
class RqcRequest:
    """One execution of a quick command; `payload` is its input, whatever JSON can say.

    `id` names the request in logs and, as `X-Request-Id` and `Idempotency-Key`, to the service. `metadata` never
    leaves this process.
    """

    payload: Any
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    metadata: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require(self.id, "expected an id for the request, got an empty one")
        require(self.payload, "expected a payload, got an empty one")

    def to_input_data(self) -> dict[str, Any]:
        """The body of the call."""
        return {"input_data": self.payload}

    def write_to_file(self, output_dir: Path, tracking_id: str | None = None) -> Path:
        """Write the call's body as `{tracking_id or id}-request.json` to a directory that exists; the file's path."""
        return _write(output_dir, f"{file_safe(tracking_id or self.id)}-request.json", self.to_input_data())


@dataclass(frozen=True)
class RqcResponse:
    """What became of a request. `result` is what the result handler made of the service's `result`.

    `error` says what went wrong; `raw_response` is the service's last answer and may be there beside an error.
    `execution_id` is None if no execution came about.
    """

    request: RqcRequest
    status: RqcExecutionStatus
    result: Any = None
    error: str | None = None
    raw_response: Any = None
    execution_id: str | None = None

    def __post_init__(self) -> None:
        require(self.request, "expected the request that this answers, got none")
        require(self.status, "expected a status, got none")

    @property
    def raw_result(self) -> Any:
        """The service's `result`, as no handler has touched it."""
        return self.raw_response.get("result") if isinstance(self.raw_response, dict) else None

    def is_pending(self) -> bool:
        return self.status == RqcExecutionStatus.PENDING

    def is_created(self) -> bool:
        return self.status == RqcExecutionStatus.CREATED

    def is_running(self) -> bool:
        return self.status == RqcExecutionStatus.RUNNING

    def is_completed(self) -> bool:
        return self.status == RqcExecutionStatus.COMPLETED

    def is_failure(self) -> bool:
        return self.status == RqcExecutionStatus.FAILURE

    def is_error(self) -> bool:
        return self.status == RqcExecutionStatus.ERROR

    def is_timeout(self) -> bool:
        return self.status == RqcExecutionStatus.TIMEOUT

    def error_with_details(self) -> dict[str, Any]:
        """What to log or show of an execution that did not complete; empty for one that did."""
        if self.is_completed():
            return {}
        return {"status": self.status, "error_message": self.error, "response_body": self.raw_response or {}}

    def write_to_file(self, output_dir: Path) -> Path:
        """Write the answer, or what is known of the failure, to a directory that exists; the file's path.

        Its name is `{execution_id or the request's id}-response-{status}.json`.
        """
        told = (self.raw_response or {}) if self.is_completed() else self.error_with_details()
        return _write(
            output_dir, f"{file_safe(self.execution_id or self.request.id)}-response-{self.status}.json", told
        )
