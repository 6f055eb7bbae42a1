"""What is uploaded and what became of it: values, with no call in them.

A request is checked when it is made, its file once more when it is sent (`dragoman.stackspot.uploading`).
"""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from dragoman.stackspot.failures import is_timeout
from dragoman.stackspot.validation import require


class FileUploadTargetType(StrEnum):
    """What a file is for: the context of chats, or a knowledge source."""

    CONTEXT = "CONTEXT"
    KNOWLEDGE_SOURCE = "KNOWLEDGE_SOURCE"


class FileUploadStatus(StrEnum):
    """How an upload ended. `TIMEOUT` is any limit that passed, on this side or, as HTTP 408 and 504, on the other."""

    SUCCESS = "SUCCESS"
    ERROR = "ERROR"
    TIMEOUT = "TIMEOUT"

    @classmethod
    def from_exception(cls, exc: BaseException) -> FileUploadStatus:
        """`TIMEOUT` if a limit in time is behind the exception, whatever wraps it; else `ERROR`."""
        return cls.TIMEOUT if is_timeout(exc) else cls.ERROR


@dataclass(frozen=True)
class FileUploadRequest:
    """A file to upload.

    `expiration` is in minutes, from when the upload is announced. `target_id` names the knowledge source and is
    needed for one. `id` names the request in logs; `metadata` never leaves this process.
    """

    file_path: str | Path
    target_type: FileUploadTargetType = FileUploadTargetType.CONTEXT
    target_id: str | None = None
    expiration: int = 60
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    metadata: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require(self.id, "expected an id for the request, got an empty one")
        require(self.file_path, "expected a file_path, got an empty one")
        require(
            isinstance(self.expiration, int | float) and self.expiration > 0,
            f"expected an expiration of more than 0 minutes, got {self.expiration!r}",
        )
        require(
            isinstance(self.target_type, FileUploadTargetType),
            f"expected target_type to be a FileUploadTargetType, got {type(self.target_type).__name__}",
        )
        if self.target_type is FileUploadTargetType.KNOWLEDGE_SOURCE:
            named = isinstance(self.target_id, str) and self.target_id.strip()
            require(named, f"expected a target_id, as a target_type of {self.target_type} needs one")
        require(os.path.exists(self.file_path), f"file not found: {self.file_path}")
        require(os.path.isfile(self.file_path), f"expected a regular file, got {self.file_path}")

    @property
    def file_name(self) -> str:
        """The last part of the path."""
        return Path(self.file_path).name

    def to_api_payload(self) -> dict[str, Any]:
        """The body of the call that announces the upload."""
        payload: dict[str, Any] = {
            "file_name": self.file_name,
            "target_type": self.target_type,
            "expiration": self.expiration,
        }
        if self.target_id is not None:
            payload["target_id"] = self.target_id
        return payload


@dataclass(frozen=True)
class FileUploadResponse:
    """What became of an upload: `upload_id` on success, else `error`.

    `raw_response` is the service's answer to the announcement; it is there as soon as that answer came.
    """

    request: FileUploadRequest
    status: FileUploadStatus
    upload_id: str | None = None
    error: str | None = None
    raw_response: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        require(self.request, "expected the request that this answers, got none")
        require(self.status, "expected a status, got none")

    def is_success(self) -> bool:
        return self.status == FileUploadStatus.SUCCESS

    def is_error(self) -> bool:
        return self.status == FileUploadStatus.ERROR

    def is_timeout(self) -> bool:
        return self.status == FileUploadStatus.TIMEOUT

    def error_with_details(self) -> dict[str, Any]:
        """What to log or show of a failure; empty after a success."""
        if self.is_success():
            return {}
        return {"status": self.status, "error_message": self.error, "response_body": self.raw_response or {}}
